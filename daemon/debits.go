package daemon

import (
	"context"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// debits gets the transactions that debits rest on: first those of debits of
// which only a revealed key or script is known, and no amount.
func (p *past) debits(ctx context.Context) error {
	ids, err := p.store.DebitsByHint(ctx, p.leftOut(), mostPast)
	if err != nil {
		return err
	}
	if len(ids) < mostPast {
		stated, err := p.store.DebitsByWord(ctx, p.after, p.leftOut(), mostPast-len(ids))
		if err != nil {
			return err
		}
		p.after = stated.After
		ids = append(ids, stated.Previous...)
	}
	for _, id := range ids {
		if err := p.previous(ctx, id); err != nil {
			p.leave(id) // the others come first next time
			return err
		}
	}
	return nil
}

// previous gets one transaction, which its id proves whoever gives it, and
// records what it shows. Where it is a payment itself that an explorer places in
// a block, it is recorded as that, too.
func (p *past) previous(ctx context.Context, id chainhash.Hash) error {
	for _, e := range p.inTurn() {
		tx, err := e.Transactions.Transaction(ctx, id)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.judge(e, err)
		if err != nil {
			p.rest(ctx, e, 1)
			continue
		}
		misstated, err := p.writer.RecordPrevious(ctx, tx, e.Name)
		if err != nil {
			return err
		}
		p.nameMisstaters(misstated)
		if tx.Place != nil {
			err = p.place(ctx, e, tx)
		}
		delete(p.left, id)
		p.log.Debug("previous transaction recorded", "transaction", id, "explorer", e.Name)
		p.rest(ctx, e, 1)
		return err
	}
	p.leave(id)
	return ctx.Err()
}
