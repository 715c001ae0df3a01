package daemon

import (
	"context"
	"fmt"
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

// Bounds of what is wished for on one connection.
const (
	wishAnswer   = time.Minute   // how long the answer to a wish may take
	mostRefusals = 3             // wishes refused one after the other; then it is wished for no more
	mostStrikes  = 2             // connections that one wish may cost
	strikeRest   = 6 * time.Hour // after which it is tried again
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
	for i, e := range l.explorers {
		most := l.config.Explorers[i].Subscriptions
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

// wishing is what was wished for on one connection.
type wishing struct {
	*hintListener
	feed    *explorer.Feed
	answers <-chan explorer.Hint
	told    map[string]chain.Address // of what we are told, by script
	refused map[string]bool          // and of what we shall not be
	inTurn  int                      // refusals, one after the other
	pinged  time.Time
}

// wish keeps what is wished for as the list is, and the connection alive.
func (h *hintListener) wish(ctx context.Context, w *wishing) error {
	w.pinged, w.refused = h.now(), map[string]bool{}
	if h.blocks != nil {
		if err := w.await(ctx, func() error { return w.feed.Blocks(ctx) }, ""); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		wanted, err := h.list(ctx)
		if err != nil {
			return err
		}
		if err := w.bring(ctx, wanted); err != nil {
			return err
		}
		if err := w.ping(ctx); err != nil {
			return err
		}
		sleep(ctx, fillPause)
	}
	return ctx.Err()
}

// list gives the addresses to be told of. It is read anew when the list of what
// is watched has changed, or one on it has yet to join.
func (h *hintListener) list(ctx context.Context) ([]*sql.Question, error) {
	position, err := h.store.Position(ctx)
	if err != nil || h.wanted != nil && h.version == position.ListVersion {
		return h.wanted, err
	}
	all, err := h.store.Questions(ctx)
	if err != nil {
		return nil, err
	}
	may := h.mayAsk(all)
	wanted := []*sql.Question{}
	for i := range min(h.most, len(may)) {
		wanted = append(wanted, may[(h.nth*h.most+i)%len(may)])
	}
	if len(chosenOf(all, joined)) == len(all) {
		h.wanted, h.version = wanted, position.ListVersion
	}
	return wanted, nil
}

// bring makes what we are told of what is wanted.
func (w *wishing) bring(ctx context.Context, wanted []*sql.Question) error {
	want := map[string]bool{}
	for _, q := range wanted {
		want[string(q.Address.Script)] = true
	}
	for script, a := range w.told {
		if !want[script] {
			delete(w.told, script)
			w.due.forget(script)
			if err := w.feed.Drop(ctx, a); err != nil {
				return err
			}
		}
	}
	for _, q := range wanted {
		script := string(q.Address.Script)
		if _, told := w.told[script]; told || w.refused[script] || w.struck(script) || w.inTurn >= mostRefusals {
			continue
		}
		w.due.expect(q, w.from.Name)
		if err := w.await(ctx, func() error { return w.feed.Address(ctx, q.Address) }, script); err != nil {
			return err
		}
		if !w.refused[script] {
			w.told[script] = q.Address
		}
		w.heard.set(w.from.Name, true, len(w.told))
		if err := w.ping(ctx); err != nil {
			return err
		}
	}
	return nil
}

// await puts a wish and waits for its answer, one wish at a time: servers that
// cannot bear a script hang up on whoever wishes for it, and then it is known
// which one it was.
func (w *wishing) await(ctx context.Context, put func() error, script string) error {
	if err := put(); err != nil {
		return err
	}
	timer := time.NewTimer(wishAnswer)
	defer timer.Stop()
	select {
	case hint := <-w.answers:
		if _, limited := explorer.RetryAfter(hint.Refused); limited {
			return hint.Refused
		}
		w.inTurn++
		if hint.Refused == nil {
			w.inTurn = 0
			return nil
		}
		w.refused[script] = true
		w.log.Debug("hint refused", "explorer", w.from.Name, "error", hint.Refused)
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	if script != "" {
		w.strikes[script] = strike{w.strikes[script].count + 1, w.now()}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: a wish for hints was not answered within %s", explorer.ErrUnavailable, wishAnswer)
}

func (h *hintListener) struck(script string) bool {
	s := h.strikes[script]
	return s.count >= mostStrikes && h.now().Sub(s.at) < strikeRest
}

// ping asks for a sign of life when it is time.
func (w *wishing) ping(ctx context.Context) error {
	if w.now().Sub(w.pinged) < explorer.PingEvery {
		return nil
	}
	w.pinged = w.now()
	return w.feed.Ping(ctx)
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
