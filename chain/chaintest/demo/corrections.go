package main

import (
	"context"
	"fmt"
	"time"

	"btcwatch/chain/chaintest"
)

func (w *world) paymentReplaced(ctx context.Context) error {
	w.say.heading("Payments are replaced before any block holds them")
	payer, err := w.wallet.Pay(ctx, chaintest.Output{Script: w.ledger.watched[1].script, Value: 2_000_000})
	if err != nil {
		return err
	}
	hurried, err := w.wallet.Pay(ctx, chaintest.Output{Script: w.ledger.watched[0].script, Value: 6_000_000})
	if err != nil {
		return err
	}
	less, same := w.ledger.add(payer)[0], w.ledger.add(hurried)[0]
	w.say.tell("Somebody pays %s to the second address, and somebody else %s to the first.", btc(less.amount), btc(same.amount))
	if err := w.expectSeen(ctx, []*effect{less, same}); err != nil {
		return err
	}
	other, err := w.wallet.Replace(ctx, payer, chaintest.Output{Script: less.to.script, Value: 1_200_000})
	if err != nil {
		return err
	}
	raised, err := w.wallet.Replace(ctx, hurried, chaintest.Output{Script: same.to.script, Value: same.amount})
	if err != nil {
		return err
	}
	now := append(w.ledger.replace(less, other), w.ledger.replace(same, raised)...)
	w.say.tell("The first spends the same coins again: now only %s comes to the address. The other raises the fee, and pays %s as before.", btc(now[0].amount), btc(now[1].amount))
	return w.expectReplaced(ctx, less, same, now)
}

// expectReplaced waits for the correction of what is less now, and for no word
// about what is the same.
func (w *world) expectReplaced(ctx context.Context, less, same *effect, now []*effect) error {
	b, err := w.expect(ctx, told{kind: replaced, about: less})
	if err != nil {
		return err
	}
	w.say.happened("Alert %s corrects alert %s: %s", b.Data.ID, b.Data.Corrects, b.Data.Summary)
	w.hushed = append(w.hushed, told{kind: seen, about: now[0]}, told{kind: replaced, about: same}, told{kind: seen, about: now[1]})
	err = w.awaitRows(ctx, "the raised fee on record", fmt.Sprintf(`SELECT txid, state FROM transactions WHERE txid IN ('%s', '%s') ORDER BY state`, same.txid, same.replacedBy),
		fmt.Sprintf("%s|replaced", same.txid), fmt.Sprintf("%s|unconfirmed", same.replacedBy))
	if err != nil {
		return err
	}
	w.say.happened("The raised fee is recorded. (That it made no message is checked at the end.)")
	all, err := w.confirm(ctx, now)
	if err != nil {
		return err
	}
	if err := w.sameThread(all[0]); err != nil {
		return err
	}
	w.say.proves("what was told and is not so any more is taken back, in the same thread; a fee that is raised disturbs nobody.")
	return nil
}

func (w *world) blocksLeave(ctx context.Context) error {
	w.say.heading("Two blocks leave the chain")
	fork, err := w.node.Height(ctx)
	if err != nil {
		return err
	}
	paid, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[1].script, Value: 12_000_000})
	if err != nil {
		return err
	}
	w.say.tell("Somebody pays %s to the second address.", btc(paid[0].amount))
	if err := w.expectSeen(ctx, paid); err != nil {
		return err
	}
	if _, err := w.confirm(ctx, paid); err != nil {
		return err
	}
	if err := w.mine(ctx); err != nil {
		return err
	}
	if err := w.awaitCovered(ctx); err != nil {
		return err
	}
	w.say.tell("A second block is mined on top of it.")
	if err := w.takeOff(ctx, fork, paid[0]); err != nil {
		return err
	}
	all, err := w.confirm(ctx, paid)
	if err != nil {
		return err
	}
	if err := w.sameThread(all[0]); err != nil {
		return err
	}
	w.say.proves("the chain with the most work is followed; a confirmation that no longer holds is taken back, and never left standing.")
	return nil
}

// takeOff lets three other blocks outweigh the two that hold a payment, and
// waits for the correction.
func (w *world) takeOff(ctx context.Context, fork int32, paid *effect) error {
	block := paid.block
	if err := w.outweigh(ctx, fork, 3); err != nil {
		return err
	}
	w.ledger.leave(block)
	w.say.tell("Other miners publish three blocks in the place of the two: more work, and the payment is in none of them.")
	b, err := w.expect(ctx, told{kind: reorged, about: paid, block: block})
	if err != nil {
		return err
	}
	w.say.happened("Alert %s takes alert %s back: %s", b.Data.ID, b.Data.Corrects, b.Data.Summary)
	return w.awaitRows(ctx, "the payment unconfirmed, and the balance without it", fmt.Sprintf(
		`SELECT t.state, b.balance_sat FROM transactions t JOIN balances b USING (address) WHERE t.txid = '%s'`, paid.txid),
		fmt.Sprintf("unconfirmed|%d", w.ledger.balance(paid.to)))
}

// outweigh gives the node blocks of another branch, which hold nothing but
// their coinbases. It takes them for the chain when they are more.
func (w *world) outweigh(ctx context.Context, fork int32, blocks int) error {
	hash, err := w.node.BlockHash(ctx, fork)
	if err != nil {
		return err
	}
	on, err := w.block(ctx, hash)
	if err != nil {
		return err
	}
	branch := chaintest.ChainOf(fork, on)
	branch.Time = func(int32) time.Time { return time.Now() }
	for range blocks {
		if err := w.node.SubmitBlock(ctx, branch.MineEmpty(1)); err != nil {
			return err
		}
	}
	best, tip, err := w.node.Best(ctx)
	if want, _ := branch.Tip(); err == nil && best != want {
		err = fmt.Errorf("the node stays at block %d, %s", best, tip)
	}
	return err
}

// awaitCovered waits until the daemon has verified the last block.
func (w *world) awaitCovered(ctx context.Context) error {
	height, err := w.node.Height(ctx)
	if err != nil {
		return err
	}
	return w.awaitRows(ctx, "the last block", `SELECT DISTINCT to_height FROM coverage WHERE how = 'followed by blocks'`, fmt.Sprint(height))
}
