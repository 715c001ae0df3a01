package daemon

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// never is a schedule that does not come within a test; what is on it still runs
// once, at the start.
const never = "@every 8760h"

// newHinted makes an installation whose polls run once, at the start, with one
// Esplora, which gives the blocks, and one Electrum server that hints.
func newHinted(t *testing.T, ledger *chaintest.Chain, change ...func(*chaintest.Electrum)) (*world, *chaintest.Electrum) {
	w := newWorldOver(t, sqltest.Migrated(t), ledger)
	w.config.Schedule = Schedule{Blocks: never, Mempool: never}
	server := chaintest.NewElectrum(ledger, w.config.Network)
	server.Notices = 10 * time.Millisecond
	for _, c := range change {
		c(server)
	}
	w.addElectrum(server)
	return w, server
}

// addElectrum adds an Electrum server that is wished to hint.
func (w *world) addElectrum(server *chaintest.Electrum) {
	url, stop := server.Serve()
	w.t.Cleanup(stop)
	w.config.Explorers = append(w.config.Explorers, explorer.Settings{
		Name: "electrum", Kind: "electrum", URL: url, Operator: "operator electrum", Timeout: 5 * time.Second, Subscriptions: 1000,
	})
}

// wished waits until so many addresses were wished for, all in all.
func wished(t *testing.T, server *chaintest.Electrum, n int) {
	t.Helper()
	if err := server.Faults.Await(t.Context(), "/blockchain.scripthash.subscribe", n); err != nil {
		t.Fatal(err)
	}
}

// Without the poll, which does not come within this test, a hint brings the
// payment; and another brings the block that holds it.
func TestHintsBringPaymentAndBlockWithoutThePoll(t *testing.T) {
	ledger, wallet := newLedger()
	w, server := newHinted(t, ledger)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "the hinted one")
	w.watch(wallet.Address(chain.P2WPKH, 2), "another, wished for when the first is answered")
	w.began(ledger)
	wished(t, server, 2)
	tx := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 50_000}))
	if seen := w.awaitDelivered(alerts.TransactionSeen, 1); seen[0].Data.TxID != tx.TxHash().String() || seen[0].Data.Proof != "reported" {
		t.Errorf("%+v", seen[0].Data)
	}
	w.expect("electrum", `SELECT first_seen_by FROM report.transactions WHERE txid = $1`, tx.TxHash().String())
	ledger.MineMempool()
	if confirmed := w.awaitDelivered(alerts.TransactionConfirmed, 1); confirmed[0].Data.Proof != "proven" {
		t.Errorf("%+v", confirmed[0].Data)
	}
	w.expect("1", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.seen'`)
}

// A server that takes every wish and tells nothing, one that hangs up on each,
// and one that takes few: the poll finds the payment, and nobody is called
// failing for it.
func TestDeafHintsCostNothingButTime(t *testing.T) {
	for name, change := range map[string]func(*chaintest.Electrum){
		"never tells": func(e *chaintest.Electrum) { e.Notices = 0 },
		"hangs up": func(e *chaintest.Electrum) {
			e.Faults.Set("/blockchain.scripthash.subscribe", chaintest.Fault{Close: true})
		},
		"takes one": func(e *chaintest.Electrum) { e.MostWishes = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			ledger, wallet := newLedger()
			w, server := newHinted(t, ledger, change)
			w.config.Schedule = Schedule{Blocks: "@every 1s", Mempool: "@every 1s"}
			a, b := wallet.Address(chain.P2WPKH, 1), wallet.Address(chain.P2WPKH, 2)
			w.watch(a, "one")
			w.watch(b, "two")
			w.began(ledger)
			wished(t, server, 1)
			one := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 50_000}))
			two := must(wallet.Pay(t.Context(), chaintest.Output{Script: b.Script, Value: 60_000}))
			w.awaitDelivered(alerts.TransactionSeen, 2)
			for _, tx := range []string{one.TxHash().String(), two.TxHash().String()} {
				w.expect("unconfirmed", `SELECT state FROM report.transactions WHERE txid = $1`, tx)
			}
			w.expect("0", `SELECT count(*) FROM report.explorers WHERE state <> 'ok'`)
			w.expect("0", `SELECT count(*) FROM report.gaps WHERE kind = 'mempool'`)
		})
	}
}

// Hints about an address that joins later come, those about one that is retired
// come no more, and a confidential one is never wished for.
func TestWishesFollowTheList(t *testing.T) {
	ledger, wallet := newLedger()
	w, server := newHinted(t, ledger)
	var all []chain.Address
	for n := range 4 {
		all = append(all, wallet.Address(chain.P2WPKH, n+1))
	}
	w.watch(all[0], "stays")
	w.watch(all[1], "goes")
	w.watch(all[2], "secret")
	w.config.Watch[2].Confidential = true
	w.began(ledger)
	wished(t, server, 2)
	next := *w.config
	next.Watch = nil
	w.next = &next
	kept := w.config.Watch
	w.config = &next
	w.config.Watch = append(w.config.Watch, kept[0], kept[2])
	w.watch(all[3], "comes")
	w.reload <- struct{}{}
	wished(t, server, 4) // a new connection: the first again, and the one that came
	tx := must(wallet.Pay(t.Context(), chaintest.Output{Script: all[0].Script, Value: 50_000}))
	w.awaitDelivered(alerts.TransactionSeen, 1)
	w.expect("unconfirmed", `SELECT state FROM report.transactions WHERE txid = $1`, tx.TxHash().String())
	hash := sha256.Sum256(all[2].Script)
	slices.Reverse(hash[:])
	for _, request := range server.Faults.Requests() {
		if strings.Contains(request, hex.EncodeToString(hash[:])) {
			t.Errorf("a confidential address was asked about: %s", request)
		}
	}
}

// No schedule for the mempool: nobody wishes for anything.
func TestNoHintsWithoutAMempoolRound(t *testing.T) {
	ledger, wallet := newLedger()
	w, server := newHinted(t, ledger)
	w.config.Schedule = Schedule{Blocks: "@every 1s"}
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.start() // the list is told of later, since nobody reads histories
	w.caughtUp(ledger)
	ledger.MineEmpty(3)
	w.caughtUp(ledger)
	if n := server.Faults.Count("/blockchain.scripthash.subscribe"); n != 0 {
		t.Errorf("%d wishes", n)
	}
}

// Ten thousand notices a second, each with another status: the address is asked
// about a few times, and not once for each.
func TestFloodOfHints(t *testing.T) {
	ledger, wallet := newLedger()
	w, server := newHinted(t, ledger)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	hash := sha256.Sum256(a.Script)
	slices.Reverse(hash[:])
	flooded := make(chan struct{})
	url := floodOf(t, w.config.Explorers[1].URL, hex.EncodeToString(hash[:]), 20_000, flooded)
	w.config.Explorers[1].URL = url
	defer func() { w.stop() }() // before those that stand between wait for it
	w.began(ledger)
	<-flooded
	tx := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 50_000}))
	w.await("unconfirmed", `SELECT state FROM report.transactions WHERE txid = $1`, tx.TxHash().String())
	if n := server.Faults.Count("/blockchain.scripthash.get_history"); n > 200 {
		t.Errorf("asked %d times after 20,000 notices", n)
	}
}

// floodOf stands before a server and, once a script was wished for, tells of it
// again and again, and of scripts that nobody wished for.
func floodOf(t *testing.T, to, script string, count int, flooded chan<- struct{}) (url string) {
	t.Helper()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	var serving sync.WaitGroup
	var once sync.Once
	pass := func(client net.Conn) {
		defer client.Close()
		server := must(net.Dial("tcp", strings.TrimPrefix(to, "tcp://")))
		defer server.Close()
		var writing sync.Mutex
		serving.Go(func() {
			defer client.Close()
			answers := bufio.NewScanner(server)
			for answers.Scan() {
				writing.Lock()
				fmt.Fprintf(client, "%s\n", answers.Text())
				writing.Unlock()
			}
		})
		asks := bufio.NewScanner(client)
		for asks.Scan() {
			fmt.Fprintf(server, "%s\n", asks.Text())
			if !strings.Contains(asks.Text(), "scripthash.subscribe") {
				continue
			}
			for n := range count {
				about := script
				if n%2 == 1 {
					about = fmt.Sprintf("%064x", n)
				}
				writing.Lock()
				fmt.Fprintf(client, `{"jsonrpc":"2.0","method":"blockchain.scripthash.subscribe","params":["%s","%064x"]}`+"\n", about, n)
				writing.Unlock()
			}
			once.Do(func() { close(flooded) })
		}
	}
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { pass(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return "tcp://" + listener.Addr().String()
}

// What is due is merged for each address, told once, and held back for longer
// and longer while more comes; after a quiet minute it is told at once again.
func TestHintsAreMergedAndHeldBack(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := newHintsDue(func() time.Time { return now })
	d.expect(&sql.Question{Script: 7, Address: chain.Address{Script: []byte("seven")}, Asked: map[string]sql.Asked{"one": {Signal: "known"}}}, "one")
	expect := func(what string, want bool) {
		t.Helper()
		scripts, _, _ := d.ripe()
		if got := slices.Equal(scripts, []int64{7}); got != want || !got && len(scripts) > 0 {
			t.Errorf("%s: %v", what, scripts)
		}
	}
	d.take(explorer.Hint{Script: "seven", State: "known", First: true})
	expect("as it was when it was asked last", false)
	d.take(explorer.Hint{Script: "eight", State: "x"})
	expect("nobody wished for it", false)
	d.take(explorer.Hint{Script: "seven", State: "a", First: true})
	expect("it changed before the wish was answered", true)
	asked := 0
	for n := range 120 * 1000 { // for two minutes, each millisecond
		now = now.Add(time.Millisecond)
		d.take(explorer.Hint{Script: "seven", State: fmt.Sprint(n)})
		scripts, _, wait := d.ripe()
		if asked += len(scripts); wait <= 0 || wait > lastHold {
			t.Fatalf("waits %s", wait)
		}
	}
	if asked != 6 { // after 1, 2+1, 4+3, 8+7, 16+15, 32+31 seconds; the next comes after 60 more
		t.Errorf("followed %d times", asked)
	}
	now = now.Add(5 * time.Minute)
	expect("what came while it was held back", true)
	d.take(explorer.Hint{Script: "seven", State: "other"})
	expect("at once after it", false)
	now = now.Add(firstHold)
	expect("a second later", true)
	d.take(explorer.Hint{Script: "seven", State: "last"})
	d.forget("seven")
	now = now.Add(time.Hour)
	expect("forgotten", false)
}

// Hints are wished for unless the configuration says otherwise, of a thousand
// addresses unless it says of how many; no other kind has the keys.
func TestHintsInTheConfiguration(t *testing.T) {
	for keys, want := range map[string]int{
		"":                                    1000,
		"hints = true":                        1000,
		"hints = false":                       0,
		"subscriptions = 7":                   7,
		"hints = false\nsubscriptions = 7":    0,
		"hints = true\nsubscriptions = 20000": 20_000,
		"subscriptions = 0":                   -1,
		"subscriptions = 100001":              -1,
		`hints = "yes"`:                       -1,
	} {
		file := filepath.Join(t.TempDir(), "config.toml")
		text := "[explorers.one]\nkind = \"electrum\"\nurl = \"ssl://one.example:50002\"\n" + keys + "\n" +
			"[explorers.two]\nkind = \"esplora\"\nurl = \"https://two.example/api\"\n" +
			"[channels.screen]\nkind = \"stdout\"\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := Load(file)
		switch {
		case want < 0 && err == nil:
			t.Errorf("%q is taken", keys)
		case want >= 0 && err != nil:
			t.Errorf("%q: %v", keys, err)
		case want >= 0 && (config.Explorers[0].Subscriptions != want || config.Explorers[1].Subscriptions != 0):
			t.Errorf("%q: %d and %d, want %d", keys, config.Explorers[0].Subscriptions, config.Explorers[1].Subscriptions, want)
		}
	}
}

// TestHintsOfOneInQuarantine: it is told of no address, its hints are not
// followed, and that says nothing of whether others see the mempool.
func TestHintsOfOneInQuarantine(t *testing.T) {
	t.Parallel()
	a := newAsked(t, 2)
	a.begun(t)
	ledger, _ := newLedger()
	server := chaintest.NewElectrum(ledger, &chaincfg.RegressionNetParams)
	url, stop := server.Serve()
	t.Cleanup(stop)
	e := must(explorer.Open(explorer.Settings{Name: "one", Kind: "electrum", URL: url, Timeout: 5 * time.Second}, &chaincfg.RegressionNetParams))
	t.Cleanup(func() { e.Close() })
	a.explorers = []*explorer.Explorer{e}
	a.health.settings = severe()
	h := &hintListener{asker: a, from: e, most: 10, heard: &heard{}, strikes: map[string]strike{}, due: newHintsDue(a.now)}
	w := &wishing{hintListener: h, feed: must(e.Hints.Listen(t.Context())), told: map[string]chain.Address{}, refused: map[string]bool{}}
	defer w.feed.Close()
	a.health.note("one", forProofs, errLie)
	if err := h.connected(t.Context()); !errors.Is(err, errNotTrusted) {
		t.Errorf("a connection is made: %v", err)
	}
	if err := w.bring(t.Context(), must(a.store.Questions(t.Context()))); !errors.Is(err, errNotTrusted) {
		t.Errorf("a wish amid which it was caught: %v", err)
	}
	if err := h.wish(t.Context(), w); !errors.Is(err, errNotTrusted) {
		t.Errorf("a connection goes on: %v", err)
	}
	if n := server.Faults.Count("/blockchain.scripthash.subscribe"); n != 0 {
		t.Errorf("it was told of %d addresses", n)
	}
	if err := h.askAbout(t.Context(), []int64{1, 2}); !errors.Is(err, errNotTrusted) {
		t.Errorf("a hint is followed: %v", err)
	}
	if c := a.health.kinds[forMempool]; c != nil && c.ailing() {
		t.Errorf("blind for the mempool: %v", c.err)
	}
}
