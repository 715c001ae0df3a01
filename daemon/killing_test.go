package daemon

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain/chaintest"
	"btcwatch/sql/sqltest"
)

// killing is a run of a scene with a daemon in a process of its own.
type killing struct {
	*world
	*scene
	t      *testing.T
	binary string
	conf   string // the configuration
	chain  *chaintest.Chain
	hook   *receiver
	holder *pgx.Conn // a stranger in the database

	mu      sync.Mutex
	path    string // of the request to an explorer at which the daemon is held
	nth     int
	held    bool           // in its first delivery to the hook
	silent  []post         // what the hook took and never answered
	asked   map[string]int // requests by path
	reached chan struct{}
	opened  chan struct{}
	opening sync.Once
}

// newKilling makes an installation whose explorers show the chain as it was
// before its turn.
func newKilling(t *testing.T, s *scene, binary string) *killing {
	t.Helper()
	k := &killing{scene: s, t: t, binary: binary, asked: map[string]int{}, reached: make(chan struct{}), opened: make(chan struct{})}
	database := sqltest.Copy(t, s.database)
	k.world = &world{t: t, config: testConfig(database), log: &syncBuffer{}, file: filepath.Join(t.TempDir(), "alerts.jsonl")}
	if _, err := k.conn().Exec(t.Context(), `UPDATE btcwatch.delivery SET state = 'delivered', attempts = 1, delivered_at = now()`); err != nil {
		t.Fatal(err)
	}
	k.chain = copyOf(s.ledger)
	for _, hash := range s.gone {
		k.chain.Add(s.block(hash))
	}
	k.chain.Switch(s.old)
	var servers []*chaintest.Esplora
	for range 2 {
		servers = append(servers, chaintest.NewEsplora(k.chain, k.chain.Params()))
	}
	k.world.config.Explorers = served(t, servers, k.meets)
	k.hook = k.receiver("hook")
	k.hook.hold = k.answer
	k.write()
	return k
}

// run lets the chain take its turn under a running program. With a stage the
// program is killed there and started again. It gives every row of the database.
func (k *killing) run(stage *stage) []string {
	k.t.Helper()
	life := k.launch()
	k.idle(2)
	if stage != nil {
		stage.hold(k)
	}
	k.chain.Switch(k.end)
	if stage != nil {
		stage.wait(k)
		life.kill()
		k.release()
		life = k.launch()
	}
	tip, _ := k.ledger.Tip()
	k.await(fmt.Sprint(tip, " ", k.end), `SELECT concat_ws(' ', height, btcwatch.display(hash)) FROM btcwatch.position`)
	k.await("0", `SELECT count(*) FROM report.deliveries WHERE state <> 'delivered'`)
	life.stop()
	rows := k.dump(k.world)
	k.checkTook()
	k.settled()
	return rows
}

// settled lets a daemon go on from what the program left, and holds all that is
// recorded against the chain.
func (k *killing) settled() {
	k.t.Helper()
	k.conn().Close(context.Background())
	l := k.live(k.t.Context(), k.t, k.world.config.DatabaseURL, nil)
	l.settle()
	l.end()
	o := k.outcome(k.t, k.world.config.DatabaseURL)
	k.judgeAll(k.t, o)
}

// checkTook holds what the two channels took against the alerts that this run
// made: each at least once, and never other bytes.
func (k *killing) checkTook() {
	k.t.Helper()
	bodies := k.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE NOT quiet AND opened_at >= $1`, k.made)
	written, err := os.ReadFile(k.file)
	if err != nil {
		k.t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(written)))
	posts := k.hook.posts()
	for _, body := range bodies {
		id := idOf(k.t, body)
		if !slices.Contains(lines, body+"\n") || len(posts[id]) == 0 {
			k.t.Errorf("the file took it %v, the hook %d times: %s", slices.Contains(lines, body+"\n"), len(posts[id]), body)
		}
		for _, p := range posts[id] {
			if p.body != sha256.Sum256([]byte(body)) {
				k.t.Errorf("the hook took %s with other bytes", id)
			}
		}
	}
	for _, line := range lines {
		if !slices.Contains(bodies, strings.TrimSuffix(line, "\n")) {
			k.t.Errorf("the file took what is no alert of this run: %s", line)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.silent {
		if len(posts[p.id]) == 0 || posts[p.id][0].body != p.body {
			k.t.Errorf("what the hook did not answer came again %d times, or with other bytes", len(posts[p.id]))
		}
	}
	if len(posts) != len(bodies) || len(bodies) == 0 {
		k.t.Errorf("the hook took %d alerts of %d", len(posts), len(bodies))
	}
}

// idle waits until the program has asked for the tip some more times, which it
// does when it has nothing else to do.
func (k *killing) idle(times int) {
	k.t.Helper()
	tips := func() int {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.asked["/blocks/tip/height"]
	}
	from := tips()
	k.until("nobody asks for the tip", func() bool { return tips() >= from+2*times })
}

func (k *killing) until(otherwise string, done func() bool) {
	k.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			k.t.Fatalf("%s\n%s", otherwise, k.log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// meets counts the requests to explorers and holds the program at one.
func (k *killing) meets(_, path string) {
	k.mu.Lock()
	k.asked[path]++
	here := k.path != "" && path == k.path
	if here {
		k.nth--
		here = k.nth <= 0
	}
	k.mu.Unlock()
	if here {
		k.stopHere()
	}
}

// holdDelivery holds the program in its next delivery to the hook.
func (k *killing) holdDelivery() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = true
}

// gate holds the program at the nth request from now on for a path.
func (k *killing) gate(path string, nth int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.path, k.nth = path, nth
}

// answer lets the hook take a message, or never answer it.
func (k *killing) answer(p post) {
	k.mu.Lock()
	held := k.held
	if k.held = false; held {
		k.silent = append(k.silent, p)
	}
	k.mu.Unlock()
	if !held {
		return
	}
	k.stopHere()
	panic(http.ErrAbortHandler)
}

// stopHere keeps whoever asks until the program is dead.
func (k *killing) stopHere() {
	k.mu.Lock()
	select {
	case <-k.reached:
	default:
		close(k.reached)
	}
	k.mu.Unlock()
	<-k.opened
}

func (k *killing) atGate() {
	k.t.Helper()
	select {
	case <-k.reached:
	case <-time.After(60 * time.Second):
		k.t.Fatalf("the program does not come to where it is to be killed\n%s", k.log)
	}
}

// stranger is another session in the database.
func (k *killing) stranger() *pgx.Conn {
	k.t.Helper()
	if k.holder == nil {
		k.holder = must(pgx.Connect(k.t.Context(), k.world.config.DatabaseURL))
		k.t.Cleanup(func() { k.holder.Close(context.Background()) })
	}
	return k.holder
}

func (k *killing) lock(statement string) {
	k.t.Helper()
	for _, s := range []string{"BEGIN", statement} {
		if _, err := k.stranger().Exec(k.t.Context(), s); err != nil {
			k.t.Fatal(err)
		}
	}
}

// holdClaims lets nobody claim a delivery.
func (k *killing) holdClaims() {
	k.t.Helper()
	_, err := k.stranger().Exec(k.t.Context(), `
		CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM pg_advisory_xact_lock_shared(4711);
			RETURN NEW;
		END $$;
		CREATE TRIGGER hold BEFORE UPDATE ON btcwatch.delivery FOR EACH ROW EXECUTE FUNCTION public.hold();
		SELECT pg_advisory_lock(4711)`)
	if err != nil {
		k.t.Fatal(err)
	}
}

// release lets go of all that held the program, and waits until the server has
// noticed that it is gone.
func (k *killing) release() {
	k.t.Helper()
	k.letThrough()
	if k.holder != nil {
		k.holder.Close(context.Background())
	}
	k.await("0", `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'btcwatch'`)
}

// letThrough lets whoever is held at a gate or in a delivery go on.
func (k *killing) letThrough() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.path, k.held = "", false
	k.opening.Do(func() { close(k.opened) })
}

// write makes the configuration file of the program.
func (k *killing) write() {
	k.t.Helper()
	dir := k.t.TempDir()
	text := fmt.Sprintf(`network = "regtest"
data_dir = %q
[database]
url = %q
[schedule] # by blocks alone: whom of two explorers is asked about an address would be chance
blocks = "@every 1s"
mempool = ""
history = ""
report = ""
[alerts]
confirmations = [1, 6]
[channels.record]
kind = "file"
path = %q
[channels.hook]
kind = "webhook"
url = %q
secret_file = %q
allow_private = true
`, filepath.Join(dir, "data"), k.world.config.DatabaseURL, k.file, k.channels[0].Keys["url"], k.channels[0].Keys["secret_file"])
	for _, e := range k.world.config.Explorers {
		text += fmt.Sprintf("[explorers.%s]\nkind = %q\nurl = %q\noperator = %q\nrequests_per_second = 0\n", e.Name, e.Kind, e.URL, e.Operator)
	}
	for _, l := range k.listings() {
		text += fmt.Sprintf("[watch.%q]\nlabel = %q\nbasis = %q\n", l.Address.Text, l.Label, l.Basis)
	}
	k.conf = filepath.Join(dir, "config.toml")
	if err := os.WriteFile(k.conf, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// launch starts the program.
func (k *killing) launch() *program {
	k.t.Helper()
	return launch(k.t, k.binary, k.conf, k.log)
}
