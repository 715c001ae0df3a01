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

	turn int    // of the round, for who is asked first
	read *int64 // version of the list of which every history is read; nil: none yet
	last lastAsked
	met  introduced

	given answers
	until func(began time.Time) time.Time // when the next mempool round is due; nil: the others are not asked
}

// errDatabase marks failures to record, which no other explorer can mend.
var errDatabase = errors.New("record answers")

// errPanicked marks a question over which we panicked: the next one may go well.
var errPanicked = errors.New("question not finished")

// question is what one explorer is asked about one address.
type question func(ctx context.Context, e *explorer.Explorer, q *sql.Question) error

// mempoolRound asks about every address whether anything has changed, and if
// so what. Before following has a start nothing has joined: then there are
// addresses to ask about, but not yet.
func (a *asker) mempoolRound(ctx context.Context) error {
	all, err := a.store.Questions(ctx)
	if err != nil {
		return err
	}
	chosen := chosenOf(all, joined)
	if len(chosen) > 0 || len(all) == 0 {
		a.health.nothingToAsk(forMempool, len(all) == 0)
	} else {
		a.health.nobodyToAsk(forMempool, errNotBegun)
	}
	began := a.now()
	if err := a.share(ctx, chosen, a.news); err != nil {
		return err
	}
	return a.askOthers(ctx, chosen, began)
}

// historyRound reads every history again in full, whatever the counters say.
func (a *asker) historyRound(ctx context.Context) error {
	all, err := a.store.Questions(ctx)
	if err != nil {
		return err
	}
	return a.share(ctx, chosenOf(all, joined), a.history)
}

// fillRound reads the history of addresses that have joined the watch and were
// never read to the end. One that no explorer gave whole is left alone for a
// while that grows.
func (a *asker) fillRound(ctx context.Context) error {
	position, err := a.store.Position(ctx)
	if err != nil || a.read != nil && *a.read == position.ListVersion {
		return err
	}
	unread, err := a.store.Unread(ctx)
	if err != nil {
		return err
	}
	if len(unread) == 0 {
		a.read = &position.ListVersion
	}
	return a.share(ctx, chosenOf(unread, func(q *sql.Question) bool {
		return joined(q) && a.short.due(q.Script, a.now())
	}), a.history)
}

func joined(q *sql.Question) bool { return q.Joined != nil }

func chosenOf(all []*sql.Question, choose func(*sql.Question) bool) []*sql.Question {
	var chosen []*sql.Question
	for _, q := range all {
		if choose(q) {
			chosen = append(chosen, q)
		}
	}
	return chosen
}

func (a *asker) share(ctx context.Context, questions []*sql.Question, ask question) error {
	if len(questions) == 0 {
		return nil
	}
	a.last.oldestFirst(questions)
	list := newAgenda(questions)
	var asked []*explorer.Explorer
	for _, e := range a.explorers {
		if e.Addresses != nil && a.health.trusted(e.Name) {
			asked = append(asked, e)
		}
	}
	if len(asked) == 0 {
		return a.nobody()
	}
	list.deal(asked, a.turn)
	a.turn++
	group, ctx := errgroup.WithContext(expecting(ctx, list))
	defer context.AfterFunc(ctx, list.wake)()
	for _, e := range asked {
		group.Go(guarded(func() error { return a.work(ctx, e, list, ask) }))
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if left := list.left(); len(left) > 0 {
		return fmt.Errorf("%d of %d addresses got no answer: %w", len(left), len(questions), left[0].err)
	}
	return nil
}

// work lets one explorer answer about addresses until none is left that it was
// not asked about, or until it fails by itself.
func (a *asker) work(ctx context.Context, e *explorer.Explorer, list *agenda, ask question) error {
	for first := true; ctx.Err() == nil; first = false {
		i := list.take(ctx, e.Name)
		if i == nil {
			break
		}
		err := safely(ctx, ask, e, i.Question)
		a.beat()
		if errors.Is(err, errPrivate) { // it has become so since the round began
			list.giveBack(i, nil)
			continue
		}
		if err == nil || aboutAddress(err) || first {
			// Who gave out before is asked first next time; not again and again,
			// for it may be this address that no explorer can bear.
			a.last.note(i.Script, a.now())
			a.given.tried(askedOf{i.Script, e.Name}, a.now())
		}
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

// safely puts a question; a panic over it is the failure of that question.
func safely(ctx context.Context, ask question, e *explorer.Explorer, q *sql.Question) error {
	returned := false
	err := guarded(func() error {
		err := ask(ctx, e, q)
		returned = true
		return err
	})()
	if !returned {
		return fmt.Errorf("%w: %w", errPanicked, err)
	}
	return err
}

// aboutAddress says whether an explorer may well answer about another address.
func aboutAddress(err error) bool {
	return errors.Is(err, errPanicked) || errors.Is(err, explorer.ErrRefused) || errors.Is(err, explorer.ErrMalformed) || errors.Is(err, explorer.ErrLying)
}

func (a *asker) failed(ctx context.Context, e *explorer.Explorer, i *item, err error) error {
	level := slog.LevelWarn
	if errors.Is(err, explorer.ErrSpent) {
		level = slog.LevelDebug // as was asked for
	}
	a.log.Log(ctx, level, "question failed", "explorer", e.Name, "error", err)
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
	began, tip := a.now(), a.health.tipOf(e.Name)
	counters, err := e.Addresses.Counters(ctx, q.Address)
	if err != nil {
		return err
	}
	a.given.counted(q.Script, total{e.Name, q.Address, counters.Transactions, tip, began})
	whole := func() { a.given.complete(askedOf{q.Script, e.Name}, began) }
	before := q.Asked[e.Name]
	same := q.Known && counters.Signal == before.Signal && !before.Failed
	if same && !q.Pending {
		whole()
		return nil
	}
	// Also where the counters are as they were: a replacement that pays the
	// same leaves them so.
	list, err := a.mempool(ctx, e, q)
	switch {
	case err != nil:
		return err
	case !same && q.Known: // else its history is as it was, or another job's
	case !list.complete:
		return a.cutOff(ctx, e, q, list)
	default:
		if q.Known { // else its history was not read, and may well show more
			whole()
		}
		return nil
	}
	held, err := a.newest(ctx, e, q, counters)
	if err != nil {
		return err
	}
	if list.complete && held == 0 {
		a.given.listedAll(askedOf{q.Script, e.Name}, began)
	}
	return a.settle(ctx, e, q, counters, list, held)
}

// settle saves an explorer's counters for an address, if what it lists bears
// them out: they may come from different machines of its, and a payment that
// was counted and not listed would never be asked for again. Counters that stay
// wrong are taken in the end.
func (a *asker) settle(ctx context.Context, e *explorer.Explorer, q *sql.Question, counters explorer.Counters, list listed, held int) error {
	if !list.complete {
		return a.cutOff(ctx, e, q, list)
	}
	if held > 0 || !a.short.settled(q.Script, e.Name, counters.Unconfirmed-list.count) {
		return nil // asked for again
	}
	return a.saveAsked(ctx, e, q, counters.Signal)
}

// cutOff notes that an explorer does not list all that is unconfirmed at an
// address. That is a gap, and no fault of the explorer.
func (a *asker) cutOff(ctx context.Context, e *explorer.Explorer, q *sql.Question, list listed) error {
	a.log.Warn("mempool list cut off by the explorer", "explorer", e.Name, "address", q.Address.Text, "transactions", list.count)
	reason := fmt.Sprintf("%s lists no more than %d unconfirmed transactions: there may be others", e.Name, list.count)
	if err := a.store.SaveAskFailed(ctx, q.Script, e.Name, reason); err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	return nil
}

func (a *asker) saveAsked(ctx context.Context, e *explorer.Explorer, q *sql.Question, signal string) error {
	if err := a.store.SaveAsked(ctx, q.Script, e.Name, signal); err != nil {
		return fmt.Errorf("%w: %w", errDatabase, err)
	}
	return nil
}

// listed is what an explorer lists as unconfirmed.
type listed struct {
	count    int64
	complete bool
}

func (a *asker) mempool(ctx context.Context, e *explorer.Explorer, q *sql.Question) (listed, error) {
	txs, complete, err := e.Addresses.Mempool(ctx, q.Address)
	if err != nil {
		return listed{}, err
	}
	_, _, err = a.record(ctx, e, txs)
	return listed{count: int64(len(txs)), complete: complete}, err
}

// newest reads history until a page holds nothing new and as many transactions
// were met or are on record as the explorer counts, or as few less as it is
// known to count too many; else to the end.
func (a *asker) newest(ctx context.Context, e *explorer.Explorer, q *sql.Question, counters explorer.Counters) (held int, err error) {
	read, missing := 0, int64(0)
	for page, err := range e.Addresses.History(ctx, q.Address) {
		if err != nil {
			return held, err
		}
		a.beat()
		if read += len(page); endless(read, counters.Transactions) {
			return held, neverEnding(e, read, counters.Transactions)
		}
		news, kept, err := a.record(ctx, e, page)
		held += kept
		if err != nil {
			return held, err
		}
		count, err := a.store.Confirmed(ctx, q.Script)
		if err != nil {
			return held, fmt.Errorf("%w: %w", errDatabase, err)
		}
		missing = counters.Transactions - count - int64(held)
		if news == 0 && a.short.explained(q.Script, e.Name, missing) {
			return held, nil
		}
	}
	a.short.readToEnd(q.Script, e.Name, missing)
	return held, nil
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
	if err := a.introduce(ctx, e); err != nil {
		return 0, held, err
	}
	recorded, err := a.writer.Record(ctx, e.Name, rest)
	if err != nil {
		return 0, held, fmt.Errorf("%w: %w", errDatabase, err)
	}
	a.beat()
	a.nameMisstaters(recorded.Misstated)
	if recorded.News > 0 {
		a.log.Info("transactions recorded", "explorer", e.Name, "transactions", recorded.News)
	}
	switch {
	case recorded.Invented > 0:
		err = fmt.Errorf("%w: %s shows payments in blocks that do not hold them (%d)", explorer.ErrLying, e.Name, recorded.Invented)
		if len(recorded.Deep) == recorded.Invented && !a.sharesOurs(ctx, e, recorded.Deep[0]) {
			err = contested{err}
		}
	case recorded.Astray > 0:
		err = fmt.Errorf("%w: %s shows payments in blocks that are not on the chain followed (%d)", explorer.ErrUnavailable, e.Name, recorded.Astray)
	}
	return recorded.News, held, err
}
