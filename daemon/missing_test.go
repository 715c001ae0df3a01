package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// ledgerOf answers about transactions: those it holds, and who spends the first
// output of others. It counts what it is asked.
type ledgerOf struct {
	txs    map[chainhash.Hash]*chain.Transaction
	spends map[chainhash.Hash]*chain.Transaction
	asked  int
}

func (l *ledgerOf) Transaction(_ context.Context, id chainhash.Hash) (*chain.Transaction, error) {
	l.asked++
	if tx := l.txs[id]; tx != nil {
		return tx, nil
	}
	return nil, &explorer.Error{Kind: explorer.ErrNotFound}
}

func (l *ledgerOf) Spends(_ context.Context, id chainhash.Hash) ([]*explorer.Spend, error) {
	l.asked++
	if tx := l.spends[id]; tx != nil {
		return []*explorer.Spend{{TxID: tx.ID}}, nil
	}
	return []*explorer.Spend{nil}, nil
}

// replace lets another transaction spend the input of a payment with a number.
func (l *ledgerOf) replace(old *chain.Transaction, input int, by *chain.Transaction) {
	l.txs[by.ID] = by
	l.spends[old.Msg.TxIn[input].PreviousOutPoint.Hash] = by
}

// newMissed makes rounds after payments that the one explorer does not know any
// more. Block 4 is covered, and they were recorded a minute ago.
func newMissed(t *testing.T, droppedAfter time.Duration, payments ...*chain.Transaction) (*missing, *ledgerOf) {
	t.Helper()
	l := &ledgerOf{txs: map[chainhash.Hash]*chain.Transaction{}, spends: map[chainhash.Hash]*chain.Transaction{}}
	a := newAsked(t, 1, &explorer.Explorer{Name: "one", Addresses: scripted{}, Transactions: l, Spends: l})
	c := a.begun(t)
	c.MineEmpty(1)
	position := must(a.store.Position(t.Context()))
	block := must(chain.VerifyBlock(must(c.RawBlock(t.Context(), c.BlockAt(4).BlockHash())), c.BlockAt(4).BlockHash(), position.Tip(), &chaincfg.RegressionNetParams, time.Now()))
	must(a.writer.RecordBlock(t.Context(), block, "one", nil))
	for _, p := range payments {
		must(a.writer.Record(t.Context(), "one", []*chain.Transaction{p}))
	}
	a.now = func() time.Time { return time.Now().Add(time.Minute) }
	return newMissing(a, droppedAfter), l
}

// stands gives which payments still stand as unconfirmed.
func (m *missing) stands(t *testing.T) map[chainhash.Hash]bool {
	t.Helper()
	stand := map[chainhash.Hash]bool{}
	for _, u := range must(m.store.UnconfirmedToAsk(t.Context(), time.Now().Add(1000*time.Hour), 99)) {
		stand[u.ID] = true
	}
	return stand
}

// A replacement that the chain contradicts is noted against the explorer, and
// the other payments are asked after all the same.
func TestContradictedReplacementStopsNoRound(t *testing.T) {
	t.Parallel()
	one, two := payment(1, 1, 0), payment(2, 1, 0)
	m, l := newMissed(t, 4*time.Second, one, two)
	astray, by := payment(1, 1, 7), payment(2, 1, 7)
	astray.Place = &chain.Place{Height: 4, Block: chainhash.Hash{7}, Time: time.Now(), Index: -1}
	l.replace(one, 0, astray)
	l.replace(two, 0, by)
	if err := m.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	stand := m.stands(t)
	if !stand[one.ID] || stand[two.ID] || m.health.each["one"].err == nil {
		t.Errorf("standing %v; noted of the explorer: %v", stand, m.health.each["one"].err)
	}
}

// A round asks only so often, and the next one goes on in the midst of a
// payment.
func TestMissingRoundHasABudget(t *testing.T) {
	t.Parallel()
	paid, by := payment(1, 90, 0), payment(1, 90, 7)
	m, l := newMissed(t, time.Hour, paid)
	l.replace(paid, 85, by)
	now := time.Now()
	m.now = func() time.Time { return now }
	for n := range 3 {
		now = now.Add(time.Hour)
		l.asked = 0
		if err := m.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		if l.asked > mostRequests {
			t.Errorf("round %d asked %d times", n, l.asked)
		}
		if n == 0 && !m.stands(t)[paid.ID] {
			t.Error("replaced before it was found")
		}
	}
	if m.stands(t)[paid.ID] {
		t.Error("the replacement was not found in three rounds")
	}
}

// mute knows each transaction and says of none who spends it.
type mute struct{ *ledgerOf }

func (mute) Spends(context.Context, chainhash.Hash) ([]*explorer.Spend, error) {
	return nil, &explorer.Error{Kind: explorer.ErrUnavailable}
}

// Who does not say who spends a payment's money is passed over for another one,
// which is counted and held against it.
func TestPassedOverWhereItDoesNotSayWhoSpends(t *testing.T) {
	t.Parallel()
	paid, by := payment(1, 2, 0), payment(1, 2, 7)
	m, l := newMissed(t, 4*time.Second, paid)
	l.replace(paid, 0, by)
	m.explorers = append(m.explorers, &explorer.Explorer{Name: "mute", Transactions: mute{l}, Spends: mute{l}}) // it is first in the second turn
	if err := m.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.stands(t)[paid.ID] {
		t.Error("the replacement was not found")
	}
	s := m.health.each["mute"]
	if s == nil || s.failed == 0 || s.err == nil {
		t.Errorf("that it was passed over is not counted: %+v", s)
	}
	if one := m.health.each["one"]; one == nil || one.failed != 0 || one.err != nil {
		t.Errorf("who answered is blamed: %+v", one)
	}
}

// While the follower may still prove the replacement, the payment waits.
func TestHeldReplacementWaits(t *testing.T) {
	t.Parallel()
	paid, by := payment(1, 1, 0), payment(1, 1, 7)
	m, l := newMissed(t, 4*time.Second, paid)
	by.Place = &chain.Place{Height: 5, Block: chainhash.Hash{7}, Time: time.Now(), Index: -1}
	l.replace(paid, 0, by)
	now := time.Now().Add(time.Minute)
	m.now = func() time.Time { return now }
	m.hold = newHold(m.store, time.Minute, m.now)
	if err := m.round(t.Context()); err != nil || !m.stands(t)[paid.ID] {
		t.Errorf("stands %v, %v", m.stands(t)[paid.ID], err)
	}
	now = now.Add(2 * time.Minute)
	if err := m.round(t.Context()); err != nil || m.stands(t)[paid.ID] {
		t.Errorf("stands %v, %v", m.stands(t)[paid.ID], err)
	}
}
