package daemon

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// scripted answers about addresses as a test says; what it leaves out is empty.
type scripted struct {
	counters func(chain.Address) (explorer.Counters, error)
	mempool  func() ([]*chain.Transaction, bool, error)
	history  iter.Seq2[[]*chain.Transaction, error]
}

func (s scripted) Counters(_ context.Context, a chain.Address) (explorer.Counters, error) {
	return s.counters(a)
}

func (s scripted) History(context.Context, chain.Address) iter.Seq2[[]*chain.Transaction, error] {
	if s.history == nil {
		return func(func([]*chain.Transaction, error) bool) {}
	}
	return s.history
}

func (s scripted) Mempool(context.Context, chain.Address) ([]*chain.Transaction, bool, error) {
	if s.mempool == nil {
		return nil, true, nil
	}
	return s.mempool()
}

// counting gives an explorer that always counts the same.
func counting(c explorer.Counters) scripted {
	return scripted{counters: func(chain.Address) (explorer.Counters, error) { return c, nil }}
}

func scriptedExplorer(name string, s scripted) *explorer.Explorer {
	return &explorer.Explorer{Name: name, Addresses: s}
}

// numbered gives the address number n of a test.
func numbered(n byte) chain.Address {
	script := append([]byte{0x00, 0x14, n}, make([]byte, 19)...)
	a, ok := chain.AddressOf(script, &chaincfg.RegressionNetParams)
	if !ok {
		panic("no address")
	}
	return a
}

// payment pays address one from outputs of a transaction that is not known.
func payment(parent byte, inputs int, salt uint32) *chain.Transaction {
	tx := wire.NewMsgTx(2)
	tx.LockTime = salt
	for i := range inputs {
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{parent, byte(i), byte(i >> 8)}}, nil, nil))
	}
	tx.AddTxOut(wire.NewTxOut(5_000_000, numbered(1).Script))
	return &chain.Transaction{ID: tx.TxHash(), Msg: tx, Spent: make([]*wire.TxOut, inputs)}
}

// newAsked makes an asker of explorers over a database of its own, in which so
// many addresses are listed.
func newAsked(t *testing.T, addresses int, explorers ...*explorer.Explorer) *asker {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store := must(sql.Open(t.Context(), sqltest.Migrated(t), &chaincfg.RegressionNetParams, log))
	t.Cleanup(store.Close)
	lead := must(store.TakeLead(t.Context()))
	t.Cleanup(func() { lead.Release(context.Background()) })
	w := store.Writer(lead, sql.Telling{Confirmations: []int32{1}}, nil)
	var settings []explorer.Settings
	for _, e := range explorers {
		settings = append(settings, explorer.Settings{Name: e.Name, Kind: "esplora"})
	}
	if err := store.SetExplorers(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	for n := range addresses {
		must(store.Watch(t.Context(), watchlist.Listing{Address: numbered(byte(n + 1)), List: "command", Basis: watchlist.Press}, "test"))
	}
	return &asker{
		store: store, writer: w, explorers: explorers, hold: newHold(store, 0, time.Now), short: newShortfall(),
		health: newHealth(HealthSettings{FailingAfter: time.Minute, BlindAfter: time.Minute}, w, store, time.Now, log),
		beat:   func() {}, now: time.Now, log: log,
	}
}

// begun gives the watch a start on a chain of three blocks.
func (a *asker) begun(t *testing.T) *chaintest.Chain {
	t.Helper()
	c := chaintest.NewChain()
	c.MineEmpty(3)
	err := a.writer.SetStart(t.Context(), sql.Start{Height: 4, Parent: c.BlockAt(3).BlockHash(), RestsOn: "the test", Proves: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// allKnown makes all histories known, on the word of the first explorer.
func (a *asker) allKnown(t *testing.T) {
	t.Helper()
	for _, q := range must(a.store.Questions(t.Context())) {
		if err := a.writer.HistoryRead(t.Context(), q, a.explorers[0].Name); err != nil {
			t.Fatal(err)
		}
	}
}

func (a *asker) askedOne(t *testing.T) sql.Asked {
	t.Helper()
	return must(a.store.Questions(t.Context()))[0].Asked[a.explorers[0].Name]
}

// A panic over one address is the failure of that question: the other explorer
// is asked, and the round ends.
func TestPanicEndsOneQuestion(t *testing.T) {
	t.Parallel()
	waits := make(chan struct{})
	one := scriptedExplorer("one", scripted{counters: func(chain.Address) (explorer.Counters, error) {
		<-waits
		panic("an answer nobody thought of")
	}})
	answered := 0
	two := scriptedExplorer("two", scripted{counters: func(chain.Address) (explorer.Counters, error) {
		if answered++; answered == 1 {
			close(waits) // now two waits for what one has in hand
		}
		return explorer.Counters{Signal: "0"}, nil
	}})
	a := newAsked(t, 2, one, two)
	a.begun(t)
	a.allKnown(t)
	if err := a.mempoolRound(t.Context()); err != nil || answered != 2 {
		t.Errorf("%d of 2 addresses answered, %v", answered, err)
	}
}

// Who waits for an address in another explorer's hand stops when its context
// ends.
func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	list := newAgenda([]*sql.Question{{Script: 1}})
	ctx, cancel := context.WithCancel(t.Context())
	defer context.AfterFunc(ctx, list.wake)()
	if list.take(ctx, "one") == nil {
		t.Fatal("nothing to take")
	}
	done := make(chan *item)
	go func() { done <- list.take(ctx, "two") }()
	cancel()
	if i := <-done; i != nil {
		t.Errorf("took %+v", i)
	}
}

// There is something to ask for as soon as an address has joined, however the
// answers are; before following has a start nothing is decided.
func TestWhetherThereIsSomethingToAsk(t *testing.T) {
	t.Parallel()
	a := newAsked(t, 0, scriptedExplorer("one", scripted{counters: func(chain.Address) (explorer.Counters, error) {
		return explorer.Counters{}, &explorer.Error{Kind: explorer.ErrUnavailable}
	}}))
	idle := func(want bool) {
		t.Helper()
		if got := a.health.idle[forMempool]; got != want {
			t.Errorf("nothing to ask: %v, want %v", got, want)
		}
	}
	if err := a.mempoolRound(t.Context()); err != nil {
		t.Fatal(err)
	}
	idle(true)
	a.health.nothingToAsk(forMempool, false)
	must(a.store.Watch(t.Context(), watchlist.Listing{Address: numbered(1), List: "command", Basis: watchlist.Press}, "test"))
	if err := a.mempoolRound(t.Context()); err != nil {
		t.Fatal(err)
	}
	idle(false)
	a.health.nothingToAsk(forMempool, true)
	a.begun(t)
	if err := a.mempoolRound(t.Context()); !errors.Is(err, explorer.ErrUnavailable) {
		t.Fatal(err)
	}
	idle(false)
}

// A payment that is counted and not yet listed is asked for again.
func TestCountedAndNotListedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	paid, reads := payment(1, 1, 0), 0
	s := counting(explorer.Counters{Unconfirmed: 1, Signal: "0 1"})
	s.mempool = func() ([]*chain.Transaction, bool, error) {
		if reads++; reads == 1 {
			return nil, true, nil // from a machine that has not heard of it
		}
		return []*chain.Transaction{paid}, true, nil
	}
	a := newAsked(t, 1, scriptedExplorer("one", s))
	a.begun(t)
	a.allKnown(t)
	for range 2 {
		if err := a.mempoolRound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if u := must(a.store.UnconfirmedToAsk(t.Context(), time.Now().Add(time.Hour), 9)); len(u) != 1 || u[0].ID != paid.ID {
		t.Errorf("%d payments recorded", len(u))
	}
	if got := a.askedOne(t); got.Signal != "0 1" {
		t.Errorf("counters saved: %+v", got)
	}
}

// Counters that stay above the list are taken as wrong in the end.
func TestCountersThatStayWrongAreTaken(t *testing.T) {
	t.Parallel()
	reads := 0
	s := counting(explorer.Counters{Unconfirmed: 2, Signal: "0 2"})
	s.mempool = func() ([]*chain.Transaction, bool, error) { reads++; return nil, true, nil }
	a := newAsked(t, 1, scriptedExplorer("one", s))
	a.begun(t)
	a.allKnown(t)
	for range 10 {
		if err := a.mempoolRound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if reads != 3 || a.askedOne(t).Signal != "0 2" {
		t.Errorf("list read %d times, want 3; %+v", reads, a.askedOne(t))
	}
}

// A history that stays shorter than counted is not read to its end for ever.
func TestHistoryThatStaysShortIsTaken(t *testing.T) {
	t.Parallel()
	pages, rounds := 0, 0
	s := scripted{counters: func(chain.Address) (explorer.Counters, error) {
		rounds++
		return explorer.Counters{Transactions: 3, Signal: strconv.Itoa(rounds)}, nil
	}}
	s.history = func(yield func([]*chain.Transaction, error) bool) {
		for n := range byte(2) {
			tx := payment(n, 1, 0)
			tx.Place = &chain.Place{Height: 1, Block: chainhash.Hash{9}, Time: time.Now(), Index: -1}
			if pages++; !yield([]*chain.Transaction{tx}, nil) {
				return
			}
		}
	}
	a := newAsked(t, 1, scriptedExplorer("one", s))
	a.begun(t)
	a.allKnown(t)
	for range 6 {
		if err := a.mempoolRound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if pages != 3*2+3 {
		t.Errorf("%d pages read in 6 rounds, want all of the 2 in 3 rounds, then one a round", pages)
	}
}

// A list that the explorer cuts off is a gap of that address, and the explorer
// is well.
func TestCutOffListIsAGap(t *testing.T) {
	t.Parallel()
	cut := true
	s := counting(explorer.Counters{Unconfirmed: 2, Signal: "0 2"})
	s.mempool = func() ([]*chain.Transaction, bool, error) {
		return []*chain.Transaction{payment(1, 1, 0), payment(2, 1, 0)}, !cut, nil
	}
	a := newAsked(t, 1, scriptedExplorer("one", s))
	a.begun(t)
	a.allKnown(t)
	round := func(failed bool, signal string) {
		t.Helper()
		if err := a.mempoolRound(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := a.askedOne(t); got.Failed != failed || got.Signal != signal {
			t.Errorf("noted as %+v, want failed %v, signal %q", got, failed, signal)
		}
	}
	round(true, "")
	round(true, "")
	if a.health.each["one"].err != nil {
		t.Errorf("the explorer is blamed: %v", a.health.each["one"].err)
	}
	cut = false
	round(false, "0 2")
}

// An explorer that gives out in the midst of each round still comes to every
// address.
func TestRoundsGoOnWhereTheyEnded(t *testing.T) {
	t.Parallel()
	left, asked := 0, map[string]int{}
	a := newAsked(t, 4, scriptedExplorer("one", scripted{counters: func(a chain.Address) (explorer.Counters, error) {
		if left == 0 {
			return explorer.Counters{}, &explorer.Error{Kind: explorer.ErrRateLimited}
		}
		left--
		asked[a.Text]++
		return explorer.Counters{Signal: "0"}, nil
	}}))
	a.begun(t)
	a.allKnown(t)
	for range 8 {
		left = 3
		if err := a.mempoolRound(t.Context()); !errors.Is(err, explorer.ErrRateLimited) {
			t.Fatal(err)
		}
	}
	for n := range byte(4) {
		if got := asked[numbered(n+1).Text]; got != 6 {
			t.Errorf("address %d was asked about %d times in 8 rounds, want 6", n+1, got)
		}
	}
}

// One address about which no explorer can answer does not keep the others
// waiting.
func TestOneUnbearableAddressStopsNoOther(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	a := newAsked(t, 3, scriptedExplorer("one", scripted{counters: func(a chain.Address) (explorer.Counters, error) {
		if a.Text == numbered(1).Text {
			return explorer.Counters{}, &explorer.Error{Kind: explorer.ErrUnavailable}
		}
		asked[a.Text]++
		return explorer.Counters{Signal: "0"}, nil
	}}))
	a.begun(t)
	a.allKnown(t)
	for range 4 {
		_ = a.mempoolRound(t.Context()) // one address fails in each
	}
	if len(asked) != 2 {
		t.Errorf("asked about %d of the 2 others", len(asked))
	}
}

// A history without an end is a lie.
func TestEndlessHistoryIsALie(t *testing.T) {
	t.Parallel()
	s := counting(explorer.Counters{Transactions: 1, Signal: "1 0"})
	n := uint32(0)
	s.history = func(yield func([]*chain.Transaction, error) bool) {
		for {
			var page []*chain.Transaction
			for range 25 {
				n++
				tx := payment(1, 1, n)
				tx.Place = &chain.Place{Height: 1, Block: chainhash.Hash{9}, Time: time.Now(), Index: -1}
				page = append(page, tx)
			}
			if !yield(page, nil) {
				return
			}
		}
	}
	a := newAsked(t, 1, scriptedExplorer("one", s))
	a.begun(t)
	if err := a.fillRound(t.Context()); !errors.Is(err, explorer.ErrLying) || !strings.Contains(err.Error(), "counts 1") || n > 1100 {
		t.Errorf("reading ended after %d transactions: %v", n, err)
	}
	a.allKnown(t)
	n = 100_000
	if err := a.mempoolRound(t.Context()); !errors.Is(err, explorer.ErrLying) || n > 101_100 {
		t.Errorf("asking for news ended after %d transactions: %v", n-100_000, err)
	}
}
