package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Bounds of the questions about unconfirmed payments. An explorer's mempool
// list says nothing of one that has left it, so each is asked about by itself.
const (
	mostMissing  = 50               // payments asked about in one round
	mostRequests = 40               // to explorers in one round: the mempool is asked at the same pace
	mostAsks     = 2 * time.Minute  // a payment is asked about no more often than that
	missingPause = 30 * time.Second // between rounds
)

// errSpent ends a round that has asked as often as it may.
var errSpent = errors.New("round has asked often enough")

// missing asks after unconfirmed payments that no list shows any more.
type missing struct {
	*asker
	droppedAfter time.Duration

	left    int                    // requests that this round may still make
	reached map[chainhash.Hash]int // how many parents of a payment were asked about, where a round ended amid them
}

func newMissing(a *asker, droppedAfter time.Duration) *missing {
	return &missing{asker: a, droppedAfter: droppedAfter, reached: map[chainhash.Hash]int{}}
}

// round asks after the unconfirmed payments: one that another transaction has
// replaced is told, and so is one that nobody knows any more.
func (m *missing) round(ctx context.Context) error {
	pause := min(mostAsks, m.droppedAfter/4)
	waiting, err := m.store.UnconfirmedToAsk(ctx, m.now().Add(-pause), mostMissing)
	if err != nil {
		return err
	}
	m.left = mostRequests
	for _, u := range waiting {
		err := m.askAfter(ctx, u)
		if errors.Is(err, errSpent) {
			return nil // the next round goes on
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *missing) askAfter(ctx context.Context, u sql.Unconfirmed) error {
	ctx = concerning(ctx, nil, u.ID)
	known, missing, err := m.known(ctx, u.ID)
	if err != nil {
		return err
	}
	if missing {
		by, who, err := m.spender(ctx, u)
		if err != nil && !errors.Is(err, errSpent) {
			return err
		}
		if by != nil {
			if over, err := m.replaced(ctx, u, by, who); over || err != nil {
				return err
			}
		}
		if u.MissingSince != nil && m.now().Sub(*u.MissingSince) >= m.droppedAfter {
			delete(m.reached, u.ID)
			m.log.Info("payment dropped", "transaction", u.ID, "missing_since", *u.MissingSince)
			return m.writer.RecordDropped(ctx, u, *u.MissingSince)
		}
	}
	return m.store.SaveKnown(ctx, u, known, missing)
}

// replaced records what took a payment's place: first what that does to watched
// addresses, if anything, then that the payment is gone. What is held back for
// the follower waits, and so does the payment. What the chain contradicts is
// the explorer's failure, and the payment is still missing.
func (m *missing) replaced(ctx context.Context, u sql.Unconfirmed, by *chain.Transaction, who *explorer.Explorer) (over bool, err error) {
	_, held, err := m.record(ctx, who, []*chain.Transaction{by})
	switch {
	case errors.Is(err, errDatabase) || ctx.Err() != nil:
		return false, err
	case err != nil:
		m.log.Warn("replacement not taken", "transaction", u.ID, "by", by.ID, "explorer", who.Name, "error", err)
		m.health.note(who.Name, forTransactions, err)
		return false, nil
	case held > 0:
		return true, nil
	}
	delete(m.reached, u.ID)
	m.log.Info("payment replaced", "transaction", u.ID, "by", by.ID, "explorer", who.Name)
	return true, m.writer.RecordReplaced(ctx, u, by.ID, who.Name)
}

// inTurn gives the explorers that know transactions, each time beginning with
// another.
func (a *asker) inTurn() []*explorer.Explorer {
	var able []*explorer.Explorer
	for n := range a.explorers {
		if e := a.explorers[(a.turn+n)%len(a.explorers)]; e.Transactions != nil && a.health.trusted(e.Name) {
			able = append(able, e)
		}
	}
	a.turn++
	return able
}

// spend takes one request from what the round may make.
func (m *missing) spend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.left == 0 {
		return errSpent
	}
	m.left--
	return nil
}

// known asks every explorer for a transaction: known when one has it, missing
// when all that answer do not; neither when one could not say.
func (m *missing) known(ctx context.Context, id chainhash.Hash) (known, missing bool, err error) {
	answers, silent := 0, 0
	for _, e := range m.inTurn() {
		if err := m.spend(ctx); err != nil {
			return false, false, err
		}
		_, err := e.Transactions.Transaction(ctx, id)
		m.beat()
		if ctx.Err() != nil {
			return false, false, ctx.Err()
		}
		m.health.note(e.Name, forTransactions, err)
		switch {
		case err == nil:
			return true, false, nil
		case errors.Is(err, explorer.ErrNotFound):
			answers++
		default:
			silent++
		}
	}
	return false, answers > 0 && silent == 0, nil
}

// spender asks who spends the money of a payment now; nil where nobody does.
// Where the round may ask no more, the next one goes on with the parents that
// are left.
func (m *missing) spender(ctx context.Context, u sql.Unconfirmed) (by *chain.Transaction, who *explorer.Explorer, err error) {
	parents := parentsOf(u)
	for n := m.reached[u.ID]; n < len(parents); n++ {
		by, who, err := m.spenderOf(ctx, u, parents[n])
		if errors.Is(err, errSpent) {
			m.reached[u.ID] = n
		}
		if by != nil || err != nil {
			return by, who, err
		}
	}
	delete(m.reached, u.ID)
	return nil, nil, nil
}

// parentsOf gives the transactions whose outputs a payment spends, once each.
func parentsOf(u sql.Unconfirmed) []chainhash.Hash {
	var parents []chainhash.Hash
	seen := map[chainhash.Hash]bool{}
	for _, in := range u.Inputs {
		if !seen[in.Hash] {
			seen[in.Hash] = true
			parents = append(parents, in.Hash)
		}
	}
	return parents
}

// spenderOf asks who spends an output of one parent that the payment spends.
// That transaction is fetched whole, so that its bytes bear it out.
func (m *missing) spenderOf(ctx context.Context, u sql.Unconfirmed, parent chainhash.Hash) (by *chain.Transaction, who *explorer.Explorer, err error) {
	for _, e := range m.inTurn() {
		if e.Spends == nil {
			continue
		}
		if err := m.spend(ctx); err != nil {
			return nil, nil, err
		}
		spends, err := e.Spends.Spends(ctx, parent)
		if m.passedOver(ctx, e, err) {
			continue
		}
		other := otherSpend(u, parent, spends)
		if other == nil {
			continue
		}
		if err := m.spend(ctx); err != nil {
			return nil, nil, err
		}
		tx, err := e.Transactions.Transaction(ctx, *other)
		if !m.passedOver(ctx, e, err) && spendsOne(tx, u) {
			return tx, e, nil
		}
	}
	return nil, nil, ctx.Err()
}

// passedOver says whether an explorer did not answer, so that the next one is
// asked, which is counted.
func (m *missing) passedOver(ctx context.Context, e *explorer.Explorer, err error) bool {
	m.beat()
	if ctx.Err() != nil {
		return true
	}
	m.health.note(e.Name, forTransactions, err)
	if err != nil && !errors.Is(err, explorer.ErrNotFound) && !notPut(err) {
		m.health.failedOver(e.Name)
	}
	return err != nil
}

// otherSpend gives a transaction that is said to spend what a payment spends of
// one parent; nil where there is none.
func otherSpend(u sql.Unconfirmed, parent chainhash.Hash, spends []*explorer.Spend) *chainhash.Hash {
	for _, in := range u.Inputs {
		if in.Hash != parent || int64(in.Index) >= int64(len(spends)) {
			continue
		}
		if s := spends[in.Index]; s != nil && s.TxID != u.ID {
			return &s.TxID
		}
	}
	return nil
}

func spendsOne(tx *chain.Transaction, u sql.Unconfirmed) bool {
	for _, in := range tx.Msg.TxIn {
		for _, out := range u.Inputs {
			if in.PreviousOutPoint == out {
				return true
			}
		}
	}
	return false
}
