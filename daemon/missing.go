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
	mostMissing = 50              // asked about in one round
	mostAsks    = 2 * time.Minute // and no more often than that
)

// missingRound asks after the unconfirmed payments: one that another
// transaction has replaced is told, and so is one that nobody knows any more.
func (a *asker) missingRound(ctx context.Context, droppedAfter time.Duration) error {
	pause := min(mostAsks, droppedAfter/4)
	waiting, err := a.store.UnconfirmedToAsk(ctx, a.now().Add(-pause), mostMissing)
	if err != nil {
		return err
	}
	for _, u := range waiting {
		if err := a.askAfter(ctx, u, droppedAfter); err != nil {
			return err
		}
	}
	return nil
}

func (a *asker) askAfter(ctx context.Context, u sql.Unconfirmed, droppedAfter time.Duration) error {
	known, missing, err := a.known(ctx, u.ID)
	if err != nil {
		return err
	}
	if missing {
		by, who, err := a.spender(ctx, u)
		if err != nil {
			return err
		}
		if by != nil {
			return a.replaced(ctx, u, by, who)
		}
		if u.MissingSince != nil && a.now().Sub(*u.MissingSince) >= droppedAfter {
			a.log.Info("payment dropped", "transaction", u.ID, "missing_since", *u.MissingSince)
			return a.writer.RecordDropped(ctx, u, *u.MissingSince)
		}
	}
	return a.store.SaveKnown(ctx, u, known, missing)
}

// replaced records what took a payment's place: first what that does to watched
// addresses, if anything, then that the payment is gone.
func (a *asker) replaced(ctx context.Context, u sql.Unconfirmed, by *chain.Transaction, who *explorer.Explorer) error {
	if _, _, err := a.record(ctx, who, []*chain.Transaction{by}); err != nil {
		return err
	}
	a.log.Info("payment replaced", "transaction", u.ID, "by", by.ID, "explorer", who.Name)
	return a.writer.RecordReplaced(ctx, u, by.ID, who.Name)
}

// known asks every explorer for a transaction: known when one has it, missing
// when all that answer do not; neither when one could not say.
func (a *asker) known(ctx context.Context, id chainhash.Hash) (known, missing bool, err error) {
	answers, silent := 0, 0
	for _, e := range a.explorers {
		if e.Transactions == nil {
			continue
		}
		_, err := e.Transactions.Transaction(ctx, id)
		a.beat()
		if ctx.Err() != nil {
			return false, false, ctx.Err()
		}
		a.health.note(e.Name, forTransactions, err)
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

// spender asks who spends the money of a payment now. Its transaction is
// fetched whole, so that its bytes bear it out. Nil where nobody does.
func (a *asker) spender(ctx context.Context, u sql.Unconfirmed) (by *chain.Transaction, who *explorer.Explorer, err error) {
	for _, in := range u.Inputs {
		for _, e := range a.explorers {
			if e.Transactions == nil {
				continue
			}
			spends, err := e.Transactions.Spends(ctx, in.Hash)
			a.beat()
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			if err != nil || int(in.Index) >= len(spends) || spends[in.Index] == nil || spends[in.Index].TxID == u.ID {
				continue
			}
			tx, err := e.Transactions.Transaction(ctx, spends[in.Index].TxID)
			if err == nil && spendsOne(tx, u) {
				return tx, e, nil
			}
		}
	}
	return nil, nil, nil
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
