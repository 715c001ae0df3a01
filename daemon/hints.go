package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// How long hints are left alone after a connection for them was lost: doubling,
// until one has lasted for longer than the longest.
const (
	firstDeaf = 5 * time.Second
	lastDeaf  = 10 * time.Minute
)

// hintListener listens to the hints of one explorer. Nothing that they say is
// recorded or believed: the explorer is asked at once what the poll would ask it
// later. Whatever goes wrong here costs time and nothing else.
type hintListener struct {
	*asker // asks only the explorer that hints
	from   *explorer.Explorer
	most   int    // addresses that it is told of at most
	nth    int    // among the explorers that hint: where one is not told of all, others are told of the rest
	blocks func() // brings the next look for blocks forward; nil: nobody looks for any
	heard  *heard

	version int64           // of the list that wanted was made of
	wanted  []*sql.Question // to be told of; nil: not known
	strikes map[string]strike

	due *hintsDue
}

// strike is a wish over which connections were lost.
type strike struct {
	count int
	at    time.Time
}

// hintListeners gives one for each explorer that hints, where anybody wants to know
// what is unconfirmed.
func (l *leader) hintListeners(jobs *scheduler) (all []*hintListener) {
	if l.config.Schedule.Mempool == "" {
		return nil
	}
	for _, e := range l.explorers {
		most := e.Subscriptions
		if e.Hints == nil || e.Addresses == nil || most == 0 {
			continue
		}
		h := &hintListener{asker: l.asker("hints"), from: e, most: most, nth: len(all), heard: &l.heard, strikes: map[string]strike{}}
		h.explorers = []*explorer.Explorer{e}
		h.due = newHintsDue(l.Now)
		if l.config.Schedule.Blocks != "" {
			h.blocks = func() { jobs.bring("blocks") }
		}
		all = append(all, h)
	}
	return all
}

// mayAsk decides which addresses an explorer may be asked about, here: those
// that the poll asks everybody about. (Confidential ones are no questions.)
func (h *hintListener) mayAsk(all []*sql.Question) []*sql.Question { return chosenOf(all, joined) }

// errNotTrusted ends a connection for hints: who is in quarantine is neither told
// of addresses nor listened to.
var errNotTrusted = errors.New("it is in quarantine")

// run listens, and asks after what it hears of, until the context ends.
func (h *hintListener) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.listen(ctx) })
	group.Go(func() error { return h.follow(ctx) })
	return group.Wait()
}

// listen keeps a connection, and makes a new one after a while that grows.
func (h *hintListener) listen(ctx context.Context) error {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		began := h.now()
		err := guarded(func() error { return h.connected(ctx) })()
		h.heard.set(h.from.Name, false, 0)
		if ctx.Err() != nil {
			break
		}
		if h.now().Sub(began) > lastDeaf {
			pause = 0
		}
		pause = min(max(firstDeaf, 2*pause), lastDeaf)
		if asked, ok := explorer.RetryAfter(err); ok {
			pause = max(pause, asked)
		}
		h.log.Info("no hints for a while, the poll goes on", "explorer", h.from.Name, "error", err, "pause", pause)
		sleep(ctx, pause)
	}
	return ctx.Err()
}

// connected makes a connection, and hears and wishes on it until it is lost.
func (h *hintListener) connected(ctx context.Context) error {
	if !h.health.trusted(h.from.Name) {
		return errNotTrusted
	}
	feed, err := h.from.Hints.Listen(ctx)
	if err != nil {
		return err
	}
	defer feed.Close()
	h.heard.set(h.from.Name, true, 0)
	answers := make(chan explorer.Hint)
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, feed.Close)() // ends the waiting for the next hint
	group.Go(guarded(func() error { return h.hear(ctx, feed, answers) }))
	group.Go(guarded(func() error {
		return h.wish(ctx, &wishing{hintListener: h, feed: feed, answers: answers, told: map[string]chain.Address{}})
	}))
	return group.Wait()
}

// hear takes what comes.
func (h *hintListener) hear(ctx context.Context, feed *explorer.Feed, answers chan<- explorer.Hint) error {
	for {
		hint, err := feed.Next()
		if err != nil {
			return err
		}
		if !hint.First {
			h.heard.count(h.from.Name)
		}
		if hint.Refused == nil {
			h.due.take(hint)
		}
		if !hint.First {
			continue
		}
		select {
		case answers <- hint:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// heard counts hints and the connections for them.
type heard struct {
	mu   sync.Mutex
	each map[string]hintFigures
}

// hintFigures is what metrics tell of one explorer's hints.
type hintFigures struct {
	up     bool
	hints  int64
	wishes int
}

func (h *heard) set(name string, up bool, wishes int) {
	h.change(name, func(f *hintFigures) { f.up, f.wishes = up, wishes })
}

func (h *heard) count(name string) { h.change(name, func(f *hintFigures) { f.hints++ }) }

func (h *heard) change(name string, change func(*hintFigures)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.each == nil {
		h.each = map[string]hintFigures{}
	}
	f := h.each[name]
	change(&f)
	h.each[name] = f
}

func (h *heard) of(name string) (f hintFigures, listens bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, listens = h.each[name]
	return f, listens
}
