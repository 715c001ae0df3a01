package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// asker asks explorers about addresses, for what blocks cannot give: history
// from before the watch, and the mempool. The addresses of a round are shared
// among the explorers, each at its own pace; what one fails to answer another
// is asked.
type asker struct {
	store     *sql.Store
	writer    *sql.Writer
	explorers []*explorer.Explorer
	health    *health
	hold      *hold
	short     *shortfall
	beat      func()
	now       func() time.Time
	log       *slog.Logger

	turn int // of the round, for who is asked first
}

// errDatabase marks failures to record, which no other explorer can mend.
var errDatabase = errors.New("record answers")

// question is what one explorer is asked about one address.
type question func(ctx context.Context, e *explorer.Explorer, q *sql.Question) error

// mempoolRound asks about every address whether anything has changed, and if
// so what.
func (a *asker) mempoolRound(ctx context.Context) error {
	any := false
	err := a.round(ctx, func(q *sql.Question) bool {
		any = any || q.Joined != nil
		return q.Joined != nil
	}, a.news)
	if err == nil {
		a.health.nothingToAsk(forMempool, !any)
	}
	return err
}

// historyRound reads every history again in full, whatever the counters say.
func (a *asker) historyRound(ctx context.Context) error {
	return a.round(ctx, func(q *sql.Question) bool { return q.Joined != nil }, a.history)
}

// fillRound reads the history of addresses that have joined the watch and were
// never read to the end. One that no explorer gave whole is left alone for a
// while that grows.
func (a *asker) fillRound(ctx context.Context) error {
	return a.round(ctx, func(q *sql.Question) bool {
		return !q.Known && q.Joined != nil && a.short.due(q.Script, a.now())
	}, a.history)
}

// round puts a question about every address that the choice takes.
func (a *asker) round(ctx context.Context, choose func(*sql.Question) bool, ask question) error {
	all, err := a.store.Questions(ctx)
	if err != nil {
		return err
	}
	list := newAgenda()
	for _, q := range all {
		if choose(q) {
			list.open = append(list.open, &item{Question: q, tried: map[string]bool{}})
		}
	}
	if len(list.open) == 0 {
		return nil
	}
	return a.share(ctx, list, ask)
}

func (a *asker) share(ctx context.Context, list *agenda, ask question) error {
	count := len(list.open)
	var asked []*explorer.Explorer
	for _, e := range a.explorers {
		if e.Addresses != nil {
			asked = append(asked, e)
		}
	}
	list.deal(asked, a.turn)
	a.turn++
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range asked {
		group.Go(guarded(func() error { return a.work(ctx, e, list, ask) }))
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if left := list.left(); len(left) > 0 {
		return fmt.Errorf("%d of %d addresses got no answer: %w", len(left), count, left[0].err)
	}
	return nil
}

// work lets one explorer answer about addresses until none is left that it was
// not asked about, or until it fails by itself.
func (a *asker) work(ctx context.Context, e *explorer.Explorer, list *agenda, ask question) error {
	for ctx.Err() == nil {
		i := list.take(e.Name)
		if i == nil {
			return nil
		}
		err := ask(ctx, e, i.Question)
		a.beat()
		list.giveBack(i, err)
		if err == nil {
			a.health.note(e.Name, forMempool, nil)
			continue
		}
		if errors.Is(err, errDatabase) || ctx.Err() != nil {
			return err
		}
		a.health.note(e.Name, forMempool, err)
		if err := a.failed(ctx, e, i, err); err != nil {
			return err
		}
		if !aboutAddress(err) {
			return nil // the others go on
		}
	}
	return ctx.Err()
}

// aboutAddress says whether an explorer may well answer about another address.
func aboutAddress(err error) bool {
	return errors.Is(err, explorer.ErrRefused) || errors.Is(err, explorer.ErrMalformed) || errors.Is(err, explorer.ErrLying)
}

func (a *asker) failed(ctx context.Context, e *explorer.Explorer, i *item, err error) error {
	a.log.Warn("question failed", "explorer", e.Name, "error", err)
	a.health.failedOver(e.Name)
	if !aboutAddress(err) || i.Asked[e.Name].Failed {
		return nil
	}
	if err := a.store.SaveAskFailed(ctx, i.Script, e.Name, words(err)); err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	return nil
}

// news asks whether an explorer's counters for an address have changed. If so
// it reads the mempool and the newest history, and all of it where the newest
// pages do not explain the counters.
func (a *asker) news(ctx context.Context, e *explorer.Explorer, q *sql.Question) error {
	counters, err := e.Addresses.Counters(ctx, q.Address)
	if err != nil {
		return err
	}
	if !q.Known {
		return a.mempool(ctx, e, q) // its history is another job's
	}
	before := q.Asked[e.Name]
	same := counters.Signal == before.Signal && !before.Failed
	if !same || q.Pending {
		// A replacement that pays the same leaves the counters as they were.
		if err := a.mempool(ctx, e, q); err != nil {
			return err
		}
	}
	if same {
		return nil
	}
	held, err := a.newest(ctx, e, q, counters)
	if err != nil || held > 0 {
		return err // what is held back is asked for again
	}
	return a.saveAsked(ctx, e, q, counters.Signal)
}

func (a *asker) saveAsked(ctx context.Context, e *explorer.Explorer, q *sql.Question, signal string) error {
	if err := a.store.SaveAsked(ctx, q.Script, e.Name, signal); err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	return nil
}

func (a *asker) mempool(ctx context.Context, e *explorer.Explorer, q *sql.Question) error {
	txs, complete, err := e.Addresses.Mempool(ctx, q.Address)
	if err != nil {
		return err
	}
	if !complete {
		a.log.Warn("mempool list cut off by the explorer", "explorer", e.Name, "transactions", len(txs))
	}
	_, _, err = a.record(ctx, e, txs)
	return err
}

// newest reads history until a page holds nothing new and as many transactions
// were met or are on record as the explorer counts; else to the end.
func (a *asker) newest(ctx context.Context, e *explorer.Explorer, q *sql.Question, counters explorer.Counters) (held int, err error) {
	for page, err := range e.Addresses.History(ctx, q.Address) {
		if err != nil {
			return held, err
		}
		a.beat()
		news, kept, err := a.record(ctx, e, page)
		held += kept
		if err != nil {
			return held, err
		}
		if news > 0 {
			continue
		}
		count, err := a.store.Confirmed(ctx, q.Script)
		if err != nil {
			return held, fmt.Errorf("%w: %w", errDatabase, err)
		}
		if count+int64(held) == counters.Transactions {
			return held, nil
		}
	}
	return held, nil
}

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
	if err := a.mempool(ctx, e, q); err != nil {
		return err
	}
	if err := a.writer.HistoryRead(ctx, q, e.Name); err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	if !q.Known {
		a.log.Info("history read", "explorer", e.Name, "address", q.Address.Text, "transactions", counters.Transactions)
	}
	if held > 0 {
		return nil // the next round reads what is held back
	}
	return a.saveAsked(ctx, e, q, counters.Signal)
}

// readHistory reads all pages and records them in batches: while one batch is
// recorded the next is fetched, and no more than two are in memory.
func (a *asker) readHistory(ctx context.Context, e *explorer.Explorer, q *sql.Question, total int64) (read int64, held int, err error) {
	batches := make(chan []*chain.Transaction)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(guarded(func() error {
		defer close(batches)
		return a.fetchHistory(ctx, e, q, batches)
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

func (a *asker) fetchHistory(ctx context.Context, e *explorer.Explorer, q *sql.Question, batches chan<- []*chain.Transaction) error {
	send := func(txs []*chain.Transaction) error {
		select {
		case batches <- txs:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var waiting []*chain.Transaction
	for page, err := range e.Addresses.History(ctx, q.Address) {
		if err != nil {
			return err
		}
		a.beat()
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

// record records what an explorer says of transactions, but for what is held
// back for the follower.
func (a *asker) record(ctx context.Context, e *explorer.Explorer, txs []*chain.Transaction) (news, held int, err error) {
	if len(txs) == 0 {
		return 0, 0, nil
	}
	rest, held, err := a.hold.back(ctx, txs)
	if err != nil {
		return 0, held, fmt.Errorf("%w: %w", errDatabase, err)
	}
	recorded, err := a.writer.Record(ctx, e.Name, rest)
	if err != nil {
		return 0, held, fmt.Errorf("%w: %w", errDatabase, err)
	}
	a.beat()
	if recorded.News > 0 {
		a.log.Info("transactions recorded", "explorer", e.Name, "transactions", recorded.News)
	}
	switch {
	case recorded.Invented > 0:
		err = fmt.Errorf("%w: %s shows %d transactions in blocks that do not hold them", explorer.ErrLying, e.Name, recorded.Invented)
	case recorded.Astray > 0:
		err = fmt.Errorf("%w: %s shows %d transactions in blocks that are not on the chain followed", explorer.ErrUnavailable, e.Name, recorded.Astray)
	}
	return recorded.News, held, err
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
