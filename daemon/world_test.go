package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"
	"github.com/pelletier/go-toml/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// world is a whole installation under test: a chain that the test makes, two
// explorers over it, a database of its own, and a daemon.
type world struct {
	t       *testing.T
	servers []*chaintest.Esplora
	config  *Config
	file    string // what the file channel wrote
	db      *pgx.Conn

	reload chan struct{}
	next   *Config // what a reload reads
	stop   func()
	log    *syncBuffer
}

// newWorld makes an installation over a source of blocks, with two explorers
// of different operators and one channel of kind file.
func newWorld(t *testing.T, source chaintest.Source) *world {
	w := &world{t: t, log: &syncBuffer{}, reload: make(chan struct{}, 1), stop: func() {}}
	w.file = filepath.Join(t.TempDir(), "alerts.jsonl")
	w.config = &Config{
		Network:     &chaincfg.RegressionNetParams,
		Zone:        time.UTC,
		DatabaseURL: sqltest.New(t),
		Schedule:    Schedule{Blocks: "@every 1s", Mempool: "@every 1s"},
		Start:       Start{Tip: true},
		Alerts:      AlertSettings{Confirmations: []int32{1, 6}, Burst: 20},
		Health:      HealthSettings{FailingAfter: time.Minute, BlindAfter: time.Minute},
		Channels:    []alerts.Settings{fileChannel("record", w.file)},
	}
	for i, name := range []string{"one", "two"} {
		server := chaintest.NewEsplora(source, w.config.Network)
		server.Flavour = chaintest.Flavour(i)
		url, stop := server.Serve()
		t.Cleanup(stop)
		w.servers = append(w.servers, server)
		w.config.Explorers = append(w.config.Explorers, explorer.Settings{
			Name: name, Kind: "esplora", URL: url, Operator: "operator " + name, Timeout: 5 * time.Second,
		})
	}
	t.Cleanup(func() { w.stop() })
	return w
}

func fileChannel(name, path string) alerts.Settings {
	return alerts.Settings{Name: name, Kind: "file", Decode: func(into any) error {
		return remarshal(map[string]any{"path": path}, into)
	}}
}

// remarshal fills a kind's settings by the names of its keys.
func remarshal(from map[string]any, into any) error {
	doc, err := toml.Marshal(from)
	if err != nil {
		return err
	}
	return toml.Unmarshal(doc, into)
}

func (w *world) watch(a chain.Address, label string) {
	w.config.Watch = append(w.config.Watch, watchlist.Listing{
		Address: a, Label: label, Basis: watchlist.Press,
		Source: watchlist.Source{Title: "A report", Author: "its author"},
	})
}

// start starts the daemon; it runs until stop or the test's end.
func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, w.config, w.program()) }()
	w.stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("daemon: %v", err)
			}
		case <-time.After(20 * time.Second):
			w.t.Error("the daemon did not stop within 20 s")
		}
		w.stop = func() {}
		if w.t.Failed() {
			w.t.Logf("log of the daemon:\n%s", w.log)
		}
	}
}

func (w *world) program() Program {
	return Program{
		Version: "test",
		Log:     slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Stdout:  io.Discard,
		Reload:  w.reload,
		Load:    func() (*Config, error) { return w.next, nil },
		Notify:  func(string) {},
	}
}

func (w *world) restart() {
	w.stop()
	w.start()
}

// conn is the test's own eye on the database.
func (w *world) conn() *pgx.Conn {
	w.t.Helper()
	if w.db == nil {
		db, err := pgx.Connect(context.Background(), w.config.DatabaseURL)
		if err != nil {
			w.t.Fatal(err)
		}
		w.db = db
		w.t.Cleanup(func() { db.Close(context.Background()) })
	}
	return w.db
}

// ask gives the one value of a query, as text; "" while it fails or is null.
func (w *world) ask(query string, args ...any) string {
	w.t.Helper()
	var value *string
	err := w.conn().QueryRow(context.Background(), "SELECT ("+query+")::text", args...).Scan(&value)
	if err != nil || value == nil {
		return ""
	}
	return *value
}

// await waits until a query gives a value.
func (w *world) await(want, query string, args ...any) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	got := ""
	for time.Now().Before(deadline) {
		if got = w.ask(query, args...); got == want {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("%s\n gives %q, want %q\nlog of the daemon:\n%s", query, got, want, w.log)
}

// expect compares the one value of a query now.
func (w *world) expect(want, query string, args ...any) {
	w.t.Helper()
	if got := w.ask(query, args...); got != want {
		w.t.Errorf("%s\n gives %q, want %q", query, got, want)
	}
}

// delivered gives the bodies that the file channel took, once each.
func (w *world) delivered() []alerts.Body {
	w.t.Helper()
	data, err := os.ReadFile(w.file)
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	var all []alerts.Body
	for line := range strings.Lines(string(data)) {
		var b alerts.Body
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			w.t.Fatalf("a line of the file channel is no alert: %v\n%s", err, line)
		}
		all = append(all, b)
	}
	return all
}

// awaitDelivered waits until the file channel has taken a number of alerts of a
// type.
func (w *world) awaitDelivered(typ alerts.Type, count int) []alerts.Body {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	var of []alerts.Body
	for time.Now().Before(deadline) {
		of = nil
		for _, b := range w.delivered() {
			if b.Type == typ {
				of = append(of, b)
			}
		}
		if len(of) >= count {
			return of
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("%d alerts of type %s were delivered, want %d\nlog of the daemon:\n%s", len(of), typ, count, w.log)
	return nil
}

// covered waits until the chain is covered up to a height.
func (w *world) covered(height int32) {
	w.t.Helper()
	w.await(fmt.Sprint(height), `SELECT height FROM btcwatch.position`)
}

// syncBuffer is a buffer that a daemon writes while a test reads.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// outpoints gives the outputs of a transaction that pay a script.
func outpoints(tx *wire.MsgTx, script []byte) []wire.OutPoint {
	var all []wire.OutPoint
	for i, out := range tx.TxOut {
		if string(out.PkScript) == string(script) {
			all = append(all, wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)})
		}
	}
	return all
}
