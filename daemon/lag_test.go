package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// voice answers questions about the chain as a test wants.
type voice struct {
	tip   int32
	hash  func(height int32) (chainhash.Hash, error)
	block func(hash chainhash.Hash) ([]byte, error)
}

func (v voice) Tip(context.Context) (int32, error) { return v.tip, nil }
func (v voice) BlockHash(_ context.Context, height int32) (chainhash.Hash, error) {
	return v.hash(height)
}
func (v voice) Block(_ context.Context, hash chainhash.Hash) ([]byte, error) { return v.block(hash) }

// honest answers from a chain, up to a height.
func honest(ledger *chaintest.Chain, tip int32) voice {
	return voice{tip: tip,
		hash: func(height int32) (chainhash.Hash, error) {
			if height > tip {
				return chainhash.Hash{}, errNotFound
			}
			return ledger.BlockAt(height).BlockHash(), nil
		},
		block: func(hash chainhash.Hash) ([]byte, error) { return ledger.RawBlock(context.Background(), hash) },
	}
}

// lookout is a follower over a database, at block 3 of a chain, whose clock the
// test moves.
type lookout struct {
	*follower
	t      *testing.T
	ledger *chaintest.Chain
	at     time.Time
}

func newLookout(t *testing.T, blocks int) *lookout {
	return newLookoutTelling(t, blocks, sql.Telling{Confirmations: []int32{1}})
}

func newLookoutTelling(t *testing.T, blocks int, tell sql.Telling) *lookout {
	l := &lookout{t: t, ledger: chaintest.NewChain(), at: time.Now()}
	l.ledger.MineEmpty(blocks)
	log := slog.New(slog.DiscardHandler)
	store := must(sql.Open(t.Context(), sqltest.Migrated(t), &chaincfg.RegressionNetParams, log))
	t.Cleanup(store.Close)
	lead := must(store.TakeLead(t.Context()))
	t.Cleanup(func() { lead.Release(context.Background()) })
	writer := store.Writer(lead, tell, func() {})
	start := sql.Start{Height: 4, Parent: l.ledger.BlockAt(3).BlockHash(), RestsOn: "the test", Proves: true}
	if err := writer.SetStart(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return l.at }
	l.follower = &follower{
		ancestors: &ancestors{store: store, writer: writer, params: &chaincfg.RegressionNetParams, beat: func() {}, now: now, log: log},
		compared:  map[string]string{}, weighed: map[string]weight{}, turns: newTurns(),
		store: store, writer: writer, params: &chaincfg.RegressionNetParams, beat: func() {}, now: now, log: log, began: l.at,
		health: newHealth(HealthSettings{FailingAfter: 10 * time.Minute, BlindAfter: 5 * time.Minute}, writer, store, now, log),
	}
	return l
}

func (l *lookout) explorer(name string, v voice) {
	l.explorers = append(l.explorers, &explorer.Explorer{Name: name, Operator: name, Chain: v, Blocks: v})
}

// watch makes rounds, one in half a minute, and judges after each.
func (l *lookout) watch(length time.Duration) (last error) {
	l.t.Helper()
	for end := l.at.Add(length); l.at.Before(end); l.at = l.at.Add(30 * time.Second) {
		last = guarded(func() error { return l.round(l.t.Context()) })()
		if err := l.health.judge(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
	}
	return last
}

func (l *lookout) wantsOut(what, key string, want bool) {
	l.t.Helper()
	if l.health.outages[key] != want {
		l.t.Errorf("%s: that %q is out is %v, want %v", what, key, !want, want)
	}
}

func (l *lookout) wantsWord(name, want string) {
	l.t.Helper()
	_, states := l.health.verdicts()
	for _, s := range states {
		if s.Name == name && s.State != want {
			l.t.Errorf("%s is %s, want %s", name, s.State, want)
		}
	}
}

// TestStandingStillHidesNothing: that one explorer shows no more than the
// position does not excuse that no block can be had, where another one shows
// the next, or none came for hours.
func TestStandingStillHidesNothing(t *testing.T) {
	withheld := func(chainhash.Hash) ([]byte, error) { return nil, errUnavailable }
	t.Run("the next block is shown", func(t *testing.T) {
		l := newLookout(t, 3)
		l.explorer("still", honest(l.ledger, 3))
		l.explorer("ahead", voice{60, func(int32) (chainhash.Hash, error) { return chainhash.Hash{5}, nil }, withheld})
		l.watch(4 * time.Minute)
		l.wantsOut("for four minutes", "blocks ", false)
		l.watch(3 * time.Minute)
		l.wantsOut("for seven minutes", "blocks ", true)
	})
	t.Run("nothing but a tip is shown", func(t *testing.T) {
		l := newLookout(t, 5)
		l.explorer("still", honest(l.ledger, 3))
		l.explorer("boaster", voice{60, func(int32) (chainhash.Hash, error) { return chainhash.Hash{}, errNotFound }, withheld})
		l.watch(110 * time.Minute)
		l.wantsOut("for less than two hours", "blocks ", false)
		l.wantsOut("for less than two hours", "explorer boaster", true)
		l.watch(20 * time.Minute)
		l.wantsOut("for more than two hours", "blocks ", true)
		l.explorers[0].Chain = honest(l.ledger, 5)
		l.at = time.Now() // a block came, by the database's clock
		l.watch(10 * time.Minute)
		l.wantsOut("with a block", "blocks ", false)
	})
}

// TestPanicOverABlock: an explorer whose answer makes us stumble is named, and
// another one asked. Where there is no other the watch says that it is blind.
func TestPanicOverABlock(t *testing.T) {
	stumbling := voice{60, func(int32) (chainhash.Hash, error) { return chainhash.Hash{5}, nil },
		func(chainhash.Hash) ([]byte, error) { panic("index out of range") }}
	t.Run("another one has it", func(t *testing.T) {
		l := newLookout(t, 5)
		l.explorer("stumbling", stumbling)
		l.explorer("honest", honest(l.ledger, 5))
		l.watch(20 * time.Minute)
		if p := must(l.store.Position(t.Context())); p.Height != 5 {
			t.Errorf("covered up to %d, want 5", p.Height)
		}
		l.wantsOut("panics", "explorer stumbling", true)
		l.wantsOut("panics", "explorer honest", false)
	})
	t.Run("there is no other", func(t *testing.T) {
		l := newLookout(t, 3)
		l.explorer("stumbling", stumbling)
		if err := l.watch(20 * time.Minute); err == nil || !strings.Contains(err.Error(), "index out of range") {
			t.Errorf("the round gives %v", err)
		}
		l.wantsOut("panics", "blocks ", true)
		l.wantsOut("panics", "explorer stumbling", true)
	})
}

// TestRoundsThatEndEarly: what ends a round before it says whether the chain is
// covered does not hide that it is not.
func TestRoundsThatEndEarly(t *testing.T) {
	w := newWard(t)
	for range 14 { // rounds in seven minutes that show a tip and come no further
		w.note("one", forTip, nil)
		w.sawTip("one", 60)
		w.at = w.at.Add(30 * time.Second)
	}
	w.stands(sql.Position{Set: true, Height: 60})
	w.wants("all is covered", "blocks ", "well")
	w.stands(sql.Position{Set: true, Height: 59})
	w.wants("a block is missing", "blocks ", "out")
	w.covered(true, nil)
	w.wants("a round came to its end", "blocks ", "well")

	w.panicked("mempool", errors.New("boo"))
	w.panicked("blocks", errors.New("boo"))
	w.at = w.at.Add(5 * time.Minute)
	w.note("one", forTip, nil)
	w.wants("the job panics", "blocks ", "out")
	w.wants("the job panics", "mempool ", "out")
	w.wants("the job panics", "explorer one", "well")
}

// TestJunkIsNamed: a block that follows nothing, from an explorer that shows the
// position as its own, is a lie.
func TestJunkIsNamed(t *testing.T) {
	l := newLookout(t, 3)
	junk := l.ledger.BlockAt(1).BlockHash()
	liar := honest(l.ledger, 3)
	shown := liar.hash
	liar.tip = 60
	liar.hash = func(height int32) (chainhash.Hash, error) {
		if height > 3 {
			return junk, nil
		}
		return shown(height)
	}
	l.explorer("liar", liar)
	err := l.watch(20 * time.Minute)
	if !errors.Is(err, explorer.ErrLying) {
		t.Errorf("the round gives %v", err)
	}
	l.wantsWord("liar", "lying")
	l.wantsOut("junk", "explorer liar", true)
	l.wantsOut("junk", "blocks ", true)
}

// TestReadingAgainHidesNothing: whoever reads the configuration again and again
// hears that the watch is blind just as soon.
func TestReadingAgainHidesNothing(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	config := &Config{Schedule: Schedule{Blocks: "@every 30s"}, Health: HealthSettings{FailingAfter: 10 * time.Minute, BlindAfter: 5 * time.Minute}}
	d := &daemon{Program: Program{Now: func() time.Time { return at }, Log: slog.New(slog.DiscardHandler)}}
	read := func() *ward {
		w := &watch{daemon: d, config: config}
		return &ward{t: t, at: at, health: w.resumeHealth(nil)}
	}
	var w *ward
	for range 12 {
		w = read()
		w.note("one", forTip, errUnavailable)
		w.note("gone", forTip, errUnavailable)
		w.stands(sql.Position{})
		at = at.Add(30 * time.Second)
	}
	w.wants("read every half minute", "blocks ", "out")
	w = read()
	w.keepOnly(map[string]bool{"one": true})
	_, states := w.verdicts()
	if len(states) != 1 || states[0].Name != "one" {
		t.Errorf("kept of explorers that left: %s", fmt.Sprint(states))
	}
	at = at.Add(time.Hour) // another daemon led
	w = read()
	w.note("one", forTip, errUnavailable)
	w.wants("after a long break", "blocks ", "undecided")
}

// TestIdle: an outage is closed for want of questions only where there are none.
func TestIdle(t *testing.T) {
	w := newWard(t)
	w.outages["mempool "] = true
	w.nothingToAsk(forMempool, true)
	if over := w.idleOutages(); len(over) != 0 {
		t.Errorf("before the start %v are closed", over)
	}
	w.stands(sql.Position{Set: true, Height: 5})
	if over := w.idleOutages(); len(over) != 1 {
		t.Errorf("with nothing to ask %v are closed, want the mempool", over)
	}
	w.note("one", forMempool, errUnavailable)
	if over := w.idleOutages(); len(over) != 0 {
		t.Errorf("after a bad answer %v are closed", over)
	}
}

// TestHeadersWithoutBlocks: who gives no blocks is never asked for one, covers
// nothing, and yet shows when those that do are behind.
func TestHeadersWithoutBlocks(t *testing.T) {
	headers := func(l *lookout, v voice) {
		l.explorers = append(l.explorers, &explorer.Explorer{Name: "headers", Operator: "another", Chain: v})
	}
	t.Run("at the same tip", func(t *testing.T) {
		l := newLookout(t, 5)
		headers(l, honest(l.ledger, 5))
		l.explorer("one", honest(l.ledger, 5))
		if err := l.watch(time.Minute); err != nil {
			t.Error(err)
		}
		if p := must(l.store.Position(t.Context())); p.Height != 5 {
			t.Errorf("covered up to %d, want 5", p.Height)
		}
		l.wantsWord("headers", "ok")
		l.wantsWord("one", "ok")
	})
	t.Run("ahead", func(t *testing.T) {
		l := newLookout(t, 5)
		l.explorer("behind", honest(l.ledger, 4))
		headers(l, honest(l.ledger, 5))
		if err := l.watch(3 * time.Minute); err == nil || !strings.Contains(err.Error(), "nobody who gives blocks") {
			t.Errorf("the round gives %v", err)
		}
		l.wantsOut("for three minutes", "blocks ", false)
		l.watch(4 * time.Minute)
		l.wantsOut("for seven minutes", "blocks ", true)
		l.wantsOut("for seven minutes", "explorer headers", false)
		if p := must(l.store.Position(t.Context())); p.Height != 4 {
			t.Errorf("covered up to %d, want 4", p.Height)
		}
	})
}
