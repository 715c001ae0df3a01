package daemon

import (
	"context"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/sql"
)

// Bounds of what is asked about the transactions of one block before it is
// recorded: who paid is worth knowing, but never worth a late alert. While
// blocks are missing no more is asked, over time, than one transaction a block.
const (
	mostAsked  = 25
	longestAsk = 15 * time.Second
)

// mayAsk says after how many transactions of the next block may be asked.
func (f *follower) mayAsk(wanted int) int {
	if f.behind <= worthList {
		return min(wanted, mostAsked)
	}
	f.asks = min(f.asks+1, mostAsked)
	asked := min(wanted, f.asks)
	f.asks -= asked
	return asked
}

// spentBy asks which outputs transactions spend, which a block does not show.
// Nothing depends on the answer but who the other side is.
func (f *follower) spentBy(ctx context.Context, unknown []*chain.Transaction) map[chainhash.Hash]sql.Stated {
	unknown = unknown[:f.mayAsk(len(unknown))]
	if len(unknown) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, longestAsk)
	defer cancel()
	spent := map[chainhash.Hash]sql.Stated{}
	whose, err := f.writer.Concerned(ctx, unknown)
	if err != nil {
		f.log.Warn("who paid is not asked", "error", err)
		return nil
	}
	for _, tx := range unknown {
		ctx := concerning(ctx, whose[tx.ID])
		for _, e := range f.explorers {
			if e.Transactions == nil || !f.health.trusted(e.Name) {
				continue
			}
			told, err := e.Transactions.Transaction(ctx, tx.ID)
			f.beat()
			if err == nil {
				f.health.note(e.Name, forTransactions, nil)
				spent[tx.ID] = sql.Stated{Spent: told.Spent, By: e.Name}
				break
			}
			if ctx.Err() != nil {
				return spent
			}
			f.health.note(e.Name, forTransactions, err)
			f.health.failedOver(e.Name)
		}
	}
	return spent
}
