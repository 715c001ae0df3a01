package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
	t        *testing.T
	servers  []*chaintest.Esplora
	config   *Config
	channels []channelOrder // the channels of config, as a child is told of them
	file     string         // what the file channel wrote
	db       *pgx.Conn

	reload  chan struct{}
	next    *Config // what a reload reads; nil: it fails
	version string
	stdout  io.Writer
	clock   clock
	stop    func()
	running bool

	headerless bool // no explorer serves headers
	log        *syncBuffer
}

// newWorld makes an installation over a source of blocks, with two explorers
// of different operators and one channel of kind file.
func newWorld(t *testing.T, source chaintest.Source) *world {
	return newWorldOver(t, sqltest.Migrated(t), source, source)
}

// newWatched makes an installation over a chain of our own that watches one
// address, and gives the chain, a wallet that can pay from it, and the address.
func newWatched(t *testing.T) (w *world, ledger *chaintest.Chain, wallet *chaintest.Wallet, a chain.Address) {
	ledger, wallet = newLedger()
	w, a = newWorld(t, ledger), wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	return w, ledger, wallet, a
}

// newWorldOver makes an installation in which each explorer has a source of
// its own.
func newWorldOver(t *testing.T, database string, sources ...chaintest.Source) *world {
	w := &world{t: t, log: &syncBuffer{}, reload: make(chan struct{}, 1), stop: func() {}, version: "test", stdout: io.Discard}
	w.file = filepath.Join(t.TempDir(), "alerts.jsonl")
	w.config = testConfig(database)
	w.channel("record", "file", map[string]any{"path": w.file})
	for i, source := range sources {
		name := []string{"one", "two", "three"}[i]
		server := chaintest.NewEsplora(source, w.config.Network)
		server.Flavour = chaintest.Flavour(i % 2)
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

// channel adds a channel.
func (w *world) channel(name, kind string, keys map[string]any) {
	c := channelOrder{name, kind, keys}
	w.channels = append(w.channels, c)
	w.config.Channels = append(w.config.Channels, c.settings())
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
	w.running = true
	go func() { done <- Run(ctx, w.config, w.program()) }()
	w.stop = func() {
		cancel()
		w.running = false
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
		Version: w.version,
		Log:     slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Stdout:  w.stdout,
		Reload:  w.reload,
		Now:     w.clock.now,
		Load: func() (*Config, error) {
			if w.next == nil {
				return nil, errors.New("the file holds a fault")
			}
			return w.next, nil
		},
		Notify: func(string) {},
	}
}

func (w *world) restart() {
	w.stop()
	w.start()
}

// conn is the test's own eye on the database.
func (w *world) conn() *pgx.Conn {
	w.t.Helper()
	if w.db == nil || w.db.IsClosed() {
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

// await waits until a query gives a value: for a minute in which what it gives
// stays the same, since a loaded machine comes on slowly, and five in all.
func (w *world) await(want, query string, args ...any) {
	w.t.Helper()
	last := time.Now().Add(5 * time.Minute)
	deadline, got := time.Now().Add(time.Minute), ""
	for time.Now().Before(deadline) && time.Now().Before(last) {
		now := w.ask(query, args...)
		if now == want {
			return
		}
		if now != got {
			deadline, got = time.Now().Add(time.Minute), now
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
		if !strings.HasSuffix(line, "\n") {
			break // it is being written just now
		}
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

// awaitLog waits until the daemon has logged some words.
func (w *world) awaitLog(words string) {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !strings.Contains(w.log.String(), words) {
		if time.Now().After(deadline) {
			w.t.Fatalf("the daemon did not log %q:\n%s", words, w.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// began starts the daemon on a chain and waits until it has covered the tip and
// told of its list.
func (w *world) began(source chaintest.Source) {
	w.t.Helper()
	w.start()
	w.caughtUp(source)
	w.awaitDelivered(alerts.ListChanged, 1)
}

// caughtUp waits until the tip of a chain is covered.
func (w *world) caughtUp(source chaintest.Source) {
	w.t.Helper()
	height, _ := must2(source.Best(w.t.Context()))
	w.covered(height)
}

// newLedger makes a chain of our own of 110 blocks of yesterday, and a wallet
// that can spend from it. What a test mines upon them is of the last hour.
func newLedger() (*chaintest.Chain, *chaintest.Wallet) {
	ledger := chaintest.NewChain()
	began := time.Now().Add(-24 * time.Hour)
	ledger.Time = func(height int32) time.Time {
		if height > 110 {
			return began.Add(23*time.Hour + time.Duration(height)*time.Second)
		}
		return began.Add(time.Duration(height) * time.Minute)
	}
	ledger.MineEmpty(110)
	return ledger, chaintest.NewWallet(ledger, "")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func must2[T, U any](one T, two U, err error) (T, U) {
	if err != nil {
		panic(err)
	}
	return one, two
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
