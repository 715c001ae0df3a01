package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// receiver is a webhook receiver that keeps what it was sent.
type receiver struct {
	*chaintest.Faults
	mu   sync.Mutex
	took []post
	hold func(post) // called before the answer
	url  string
}

// post is one message that was answered with 200.
type post struct {
	id, agent string
	body      [32]byte
}

// receiver starts a receiver and adds it to the world as a channel.
func (w *world) receiver(name string) *receiver {
	w.t.Helper()
	r := &receiver{Faults: chaintest.NewFaults(), hold: func(post) {}}
	var stop func()
	r.url, stop = chaintest.Serve(r.Wrap(http.HandlerFunc(r.take)))
	w.t.Cleanup(stop)
	secret := filepath.Join(w.t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.channel(name, "webhook", map[string]any{"url": r.url + "/hook", "secret_file": secret, "allow_private": true, "timeout": "30s"})
	return r
}

func (r *receiver) take(_ http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p := post{request.Header.Get("Webhook-Id"), request.Header.Get("User-Agent"), sha256.Sum256(body)}
	r.hold(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, p)
}

// posts gives the messages by id.
func (r *receiver) posts() map[string][]post {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string][]post{}
	for _, p := range r.took {
		all[p.id] = append(all[p.id], p)
	}
	return all
}

// checkPosts holds what a receiver took against the alerts recorded: each once,
// byte for byte.
func (w *world) checkPosts(r *receiver) {
	w.t.Helper()
	took := r.posts()
	alerts := w.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE NOT quiet`)
	for _, body := range alerts {
		posts := took[idOf(w.t, body)]
		if len(posts) != 1 || posts[0].body != sha256.Sum256([]byte(body)) {
			w.t.Errorf("the receiver took %d times, or otherwise than recorded: %s", len(posts), body)
		}
	}
	if len(took) != len(alerts) {
		w.t.Errorf("the receiver took %d alerts, %d are recorded", len(took), len(alerts))
	}
}

// TestTwoDaemons: one leads, one stands by and shares the deliveries; the lead
// passes when the leader is stopped, and when it is killed. Nothing is lost or
// doubled.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	hook := w.receiver("hook")
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	first := w.fork("first")
	w.caughtUp(ledger)
	w.awaitDelivered(alerts.ListChanged, 1)

	w.version = "second" // with a file of its own: what it delivers there it must not
	leadersFile := w.file
	elsewhere := filepath.Join(t.TempDir(), "standby.jsonl")
	w.config.Channels[0] = channelOrder{"record", "file", map[string]any{"path": elsewhere}}.settings()
	w.start()
	w.awaitLog("standing by")
	w.expect("1", `SELECT epoch FROM btcwatch.position`)

	// The leader is held in its first delivery; the other one takes the rest.
	release := make(chan struct{})
	hook.hold = func(p post) {
		if p.agent == "btcwatch/first" {
			<-release
		}
	}
	for i := range 4 {
		must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: int64(30_000 + i)}))
	}
	w.awaitDelivered(alerts.TransactionSeen, 4)
	w.await("3", `SELECT count(*) FROM report.deliveries d JOIN report.alerts a ON a.id = d.alert_id
		WHERE a.type = 'transaction.seen' AND channel = 'hook' AND d.state = 'delivered'`)
	close(release)
	w.await("0", `SELECT count(*) FROM report.deliveries WHERE state <> 'delivered'`)
	by := map[string]int{}
	for _, posts := range hook.posts() {
		by[posts[0].agent]++
	}
	if by["btcwatch/second"] < 3 {
		t.Errorf("delivered by %v", by)
	}
	if _, err := os.Stat(elsewhere); !os.IsNotExist(err) {
		t.Error("who stands by wrote into its file")
	}

	first.kill()
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 50_000}))
	ledger.MineMempool()
	w.caughtUp(ledger)
	w.await("2", `SELECT epoch FROM btcwatch.position`)
	w.file = elsewhere
	w.word(alerts.TransactionConfirmed, paid, a)

	third := w.fork("third")
	w.await("0", `SELECT count(*) FROM report.deliveries WHERE state <> 'delivered'`)
	w.stop()
	ledger.MineEmpty(1)
	w.caughtUp(ledger)
	w.expect("3", `SELECT epoch FROM btcwatch.position`)
	third.stop()

	w.file = filepath.Join(t.TempDir(), "both.jsonl")
	both := append(must(os.ReadFile(leadersFile)), must(os.ReadFile(elsewhere))...)
	if err := os.WriteFile(w.file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	if repeats := w.checkDelivered(); repeats != 0 {
		t.Errorf("%d alerts are in the files twice", repeats)
	}
	w.checkPosts(hook)
	w.compare(replay(t, ledger, 109, a))
}

// TestFenced: whoever led before can record nothing more, whatever it believes.
func TestFenced(t *testing.T) {
	t.Parallel()
	ledger, _ := newLedger()
	w := newWorld(t, ledger)
	ctx := t.Context()
	store, err := sql.Open(ctx, w.config.DatabaseURL, w.config.Network, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	old := must(store.TakeLead(ctx))
	if _, err := store.TakeLead(ctx); !errors.Is(err, sql.ErrStandby) {
		t.Errorf("a second lead: %v", err)
	}
	writer := store.Writer(old, sql.Telling{}, nil)
	if err := writer.BeginOutage(ctx, "blocks", "", "first", time.Now()); err != nil {
		t.Fatal(err)
	}
	w.ask(`SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	var lead *sql.Lead
	for lead == nil {
		if lead, err = store.TakeLead(ctx); err != nil && !errors.Is(err, sql.ErrStandby) {
			t.Fatal(err)
		}
	}
	defer lead.Release(ctx)
	if err := old.Held(ctx); err == nil {
		t.Error("the lead that was lost says that it stands")
	}
	for what, record := range map[string]func() error{
		"an outage": func() error { return writer.BeginOutage(ctx, "mempool", "", "too late", time.Now()) },
		"its end":   func() error { return writer.EndOutage(ctx, "blocks", "") },
		"a start":   func() error { return writer.SetStart(ctx, sql.Start{Height: 1}) },
		"a report":  func() error { return writer.TellDaily(ctx, sql.Daily{Date: "2026-01-01"}) },
	} {
		if err := record(); !errors.Is(err, sql.ErrFenced) {
			t.Errorf("%s of an old epoch: %v", what, err)
		}
	}
	w.expect("1 0 0", `SELECT concat_ws(' ', (SELECT count(*) FROM btcwatch.outage), (SELECT count(*) FROM btcwatch.outage_end), (SELECT count(*) FROM btcwatch.start))`)
}

// TestLeadLost: the connection of the lead is cut. The daemon notices, takes
// the lead again and goes on.
func TestLeadLost(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	w.ask(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	w.awaitLog("lead lost")
	w.await("2", `SELECT epoch FROM btcwatch.position`)
	ledger.MineEmpty(1)
	w.caughtUp(ledger)
	w.compare(replay(t, ledger, 109, a))
	w.comparePaymentsTold(replay(t, ledger, 109, a))
	w.checkDelivered()
}

// TestDatabaseLost stops Postgres under the daemon, and starts it again.
func TestDatabaseLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	postgres := func() *sql.Private {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return must(sql.StartPrivate(ctx, dir, slog.New(slog.DiscardHandler), sql.NotDurable()))
	}
	end := func(p *sql.Private) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
	cluster := postgres()
	t.Cleanup(func() { end(cluster) })
	ledger, wallet := newLedger()
	w := newWorldOver(t, cluster.URL(), ledger, ledger)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	for i := range 2 {
		end(cluster)
		must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: int64(30_000 + i)}))
		ledger.MineMempool()
		for n := 0; strings.Count(w.log.String(), "waiting for the database") <= i; n++ {
			if n > 1000 {
				t.Fatal("the daemon does not say that it waits for the database\n", w.log)
			}
			time.Sleep(20 * time.Millisecond)
		}
		cluster = postgres()
		w.caughtUp(ledger)
		w.await(fmt.Sprint(2+i), `SELECT epoch FROM btcwatch.position`)
	}
	m := replay(t, ledger, 109, a)
	w.compare(m)
	w.comparePaymentsTold(m)
	w.checkDelivered()
	w.stop()
}
