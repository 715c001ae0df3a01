package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// life is one daemon's work on a database, a job at a time as the test says,
// with the leader's own jobs.
type life struct {
	*leader
	t    *testing.T
	ctx  context.Context
	held *sql.Lead
	log  *syncBuffer

	follow *follower
	ask    *asker
	lost   *missing
	ahead  time.Duration // how far the clock of questions is ahead
}

// live begins a life of the scene's daemon on a database. meets, when not nil,
// sees each request to an explorer before it is answered.
func (s *scene) live(ctx context.Context, t *testing.T, database string, meets func(explorer, path string)) *life {
	t.Helper()
	l := &life{t: t, ctx: ctx, log: &syncBuffer{}}
	log := slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	config := s.config(t, database, meets)
	d := &daemon{Program: Program{Version: "test", Log: log, Now: time.Now, Notify: func(string) {}}, pulse: newPulse(time.Now)}
	d.store = must(sql.Open(ctx, database, config.Network, log))
	w := must(newWatch(d, config))
	for l.held == nil { // the connections of one who was killed may take a moment to end
		var err error
		if l.held, err = d.store.TakeLead(ctx); err != nil && !errors.Is(err, sql.ErrStandby) {
			t.Fatal(err)
		}
	}
	writer := d.store.Writer(l.held, sql.Telling{Confirmations: config.Alerts.Confirmations, Channels: config.Channels}, w.wakeAll)
	l.leader = &leader{watch: w, writer: writer, health: w.resumeHealth(writer), short: newShortfall(), hold: newHold(d.store, holdPause(config), time.Now)}
	l.ancestors = l.newAncestors()
	if err := l.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	l.follow, l.ask = l.follower(), l.asker("mempool")
	l.ask.explorers = l.explorers[1:] // whose turn it is would be chance
	l.lost = newMissing(l.asker("missing"), config.Alerts.DroppedAfter)
	l.lost.now = func() time.Time { return time.Now().Add(l.ahead) }
	return l
}

// config is the configuration of the scene's daemon.
func (s *scene) config(t *testing.T, database string, meets func(explorer, path string)) *Config {
	config := testConfig(database)
	config.Network = s.params
	config.Watch = s.listings()
	config.Channels = append(config.Channels, channelOrder{"record", "file", map[string]any{"path": filepath.Join(t.TempDir(), "alerts.jsonl")}}.settings())
	config.Explorers = served(t, s.servers, meets)
	return config
}

// served serves the explorers, each under an address that is the test's own.
func served(t *testing.T, servers []*chaintest.Esplora, meets func(explorer, path string)) []explorer.Settings {
	var all []explorer.Settings
	for i, server := range servers {
		name := []string{"one", "two"}[i]
		url, stop := chaintest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if meets != nil {
				meets(name, r.URL.Path)
			}
			server.ServeHTTP(w, r)
		}))
		t.Cleanup(stop)
		all = append(all, explorer.Settings{Name: name, Kind: "esplora", URL: url, Operator: "operator " + name, Timeout: time.Minute})
	}
	return all
}

// work does a round that has to go well.
func (l *life) work(round func(context.Context) error) {
	l.t.Helper()
	if err := round(l.ctx); err != nil {
		l.t.Fatalf("%v\n%s", err, l.log)
	}
}

// settle does what a daemon does in the hours after a reorganisation: it asks
// for news, and after what is unconfirmed, until it is dropped.
func (l *life) settle() {
	l.t.Helper()
	l.work(l.ask.mempoolRound)
	for range 3 {
		l.ahead += 2 * l.lost.droppedAfter
		l.work(l.lost.round)
	}
}

// end lets go of everything.
func (l *life) end() {
	l.held.Release(context.Background())
	l.close()
	l.store.Close()
}

// death is a moment at which a life ends by force.
type death struct {
	name string
	// stage says when that is.
	stage func(s *scene, d *dying)
	// at is where the position stands when it has struck, above the fork.
	at func(s *scene) int32
}

// dying is a life that will end by force: at the nth request to an explorer that
// begins with a path, or at the nth commit of a kind.
type dying struct {
	path  string
	kind  string
	dies  hearing // what becomes of that commit
	cable *cable

	mu  sync.Mutex
	nth int32
}

// meets ends the life at the request that it waits for. From then on nobody
// gets an answer.
func (d *dying) meets(_, path string) {
	if d.path == "" || !strings.HasPrefix(path, d.path) {
		return
	}
	if left := d.count(); left == 0 {
		d.cable.cut()
	} else if left > 0 {
		return
	}
	panic(http.ErrAbortHandler)
}

// commits ends the life at the commit that it waits for.
func (d *dying) commits(kind string) hearing {
	if d.kind == "" || kind != d.kind || d.count() != 0 {
		return passes
	}
	return d.dies
}

// count gives how many are still to come; none: now.
func (d *dying) count() int32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.nth--
	return d.nth
}

// struck says whether it has died where it should.
func (d *dying) struck() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nth <= 0
}

// raw is the request for the block that comes at a height above the fork.
func (s *scene) raw(at int32) string {
	return fmt.Sprintf("/block/%s/raw", s.ledger.BlockAt(s.split+at).BlockHash())
}
