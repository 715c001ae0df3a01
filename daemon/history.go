package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// batch is how many transactions of a history are recorded in one commit.
const batch = 500

// history reads the whole history of an address, and its mempool, and notes
// that it did.
func (a *asker) history(ctx context.Context, e *explorer.Explorer, q *sql.Question) error {
	err := a.wholeHistory(ctx, e, q)
	if err != nil {
		a.short.failed(q.Script, a.now())
	}
	return err
}

func (a *asker) wholeHistory(ctx context.Context, e *explorer.Explorer, q *sql.Question) error {
	counters, err := e.Addresses.Counters(ctx, q.Address)
	if err != nil {
		return err
	}
	read, held, err := a.readHistory(ctx, e, q, counters.Transactions)
	if err != nil {
		return err
	}
	if read < counters.Transactions && !a.short.accept(q.Script, read) {
		return fmt.Errorf("%w: %s shows %d of the %d transactions that it counts", explorer.ErrUnavailable, e.Name, read, counters.Transactions)
	}
	if read < counters.Transactions {
		a.log.Warn("history shorter than counted, twice the same", "explorer", e.Name, "address", q.Address.Text, "read", read, "counted", counters.Transactions)
	}
	list, err := a.mempool(ctx, e, q)
	if err != nil {
		return err
	}
	if err := a.introduce(ctx, e); err != nil {
		return err
	}
	if err := a.writer.HistoryRead(ctx, q, e.Name); err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	if !q.Known {
		a.log.Info("history read", "explorer", e.Name, "address", q.Address.Text, "transactions", counters.Transactions)
	}
	return a.settle(ctx, e, q, counters, list, held)
}

// readHistory reads all pages and records them in batches: while one batch is
// recorded the next is fetched, and no more than two are in memory.
func (a *asker) readHistory(ctx context.Context, e *explorer.Explorer, q *sql.Question, total int64) (read int64, held int, err error) {
	batches := make(chan []*chain.Transaction)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(guarded(func() error {
		defer close(batches)
		return a.fetchHistory(ctx, e, q, total, batches)
	}))
	group.Go(guarded(func() error {
		progress := progress{log: a.log, now: a.now, last: a.now(), total: total, explorer: e.Name, address: q.Address.Text}
		for txs := range batches {
			_, kept, err := a.record(ctx, e, txs)
			if err != nil {
				return err
			}
			read, held = read+int64(len(txs)), held+kept
			progress.read(len(txs))
		}
		return nil
	}))
	err = group.Wait()
	return read, held, err
}

func (a *asker) fetchHistory(ctx context.Context, e *explorer.Explorer, q *sql.Question, total int64, batches chan<- []*chain.Transaction) error {
	send := func(txs []*chain.Transaction) error {
		select {
		case batches <- txs:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var waiting []*chain.Transaction
	read := 0
	for page, err := range e.Addresses.History(ctx, q.Address) {
		if err != nil {
			return err
		}
		a.beat()
		if read += len(page); endless(read, total) {
			return neverEnding(e, read, total)
		}
		if waiting = append(waiting, page...); len(waiting) < batch {
			continue
		}
		if err := send(waiting); err != nil {
			return err
		}
		waiting = nil
	}
	return send(waiting)
}

// progress tells, every few seconds, how far a long history is read.
type progress struct {
	log               *slog.Logger
	now               func() time.Time
	last              time.Time
	done              int
	total             int64
	explorer, address string
}

func (p *progress) read(count int) {
	p.done += count
	if p.now().Sub(p.last) < 2*time.Second {
		return
	}
	p.last = p.now()
	p.log.Info("reading history", "explorer", p.explorer, "address", p.address, "read", p.done, "of", p.total)
}
