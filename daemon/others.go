package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// answers remembers when each explorer was last asked about each address, and
// when the last complete answer was asked for: one that lists all it counts.
type answers struct {
	mu  sync.Mutex
	all map[askedOf]answered
}

type answered struct {
	tried    time.Time
	complete time.Time // zero: never
	listed   time.Time // when the last one was asked for that was a list, and not the same counters again

	completeTip, listedTip int32 // that it had shown when these were asked for

	counted total // as last counted
}

// total is how many confirmed payments an explorer counts at an address.
type total struct {
	explorer string
	address  chain.Address
	count    int64
	tip      int32 // that it showed before and after
	asked    time.Time
}

func (a *answers) tried(key askedOf, now time.Time) {
	a.change(key, func(b answered) answered { b.tried = now; return b })
}

// listedAll is complete for an answer that is a list itself.
func (a *answers) listedAll(key askedOf, asked time.Time) {
	a.change(key, func(b answered) answered {
		b.complete, b.listed = asked, asked
		b.completeTip, b.listedTip = b.counted.tip, b.counted.tip
		return b
	})
}

func (a *answers) complete(key askedOf, asked time.Time) {
	a.change(key, func(b answered) answered { b.complete, b.completeTip = asked, b.counted.tip; return b })
}

func (a *answers) counted(script int64, t total) {
	a.change(askedOf{script, t.explorer}, func(b answered) answered { b.counted = t; return b })
}

// forget forgets what an explorer answered, of which nothing counts any more.
func (a *answers) forget(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, b := range a.all {
		if key.explorer == name {
			a.all[key] = answered{tried: b.tried}
		}
	}
}

// counts gives what was counted at a tip since a moment, by script, where more
// than one explorer counted.
func (a *answers) counts(tip int32, since time.Time) map[int64][]total {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[int64][]total{}
	for key, b := range a.all {
		if b.counted.tip == tip && tip > 0 && b.counted.asked.After(since) {
			all[key.script] = append(all[key.script], b.counted)
		}
	}
	return all
}

func (a *answers) change(key askedOf, change func(answered) answered) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[askedOf]answered{}
	}
	a.all[key] = change(a.all[key])
}

func (a *answers) of(key askedOf) answered {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[key]
}

// waiting gives the addresses about which an explorer was not asked since a
// moment, those first that were never, then those that were longest ago.
func (a *answers) waiting(name string, questions []*sql.Question, since time.Time) []*sql.Question {
	a.mu.Lock()
	defer a.mu.Unlock()
	last := func(q *sql.Question) time.Time { return a.all[askedOf{q.Script, name}].tried }
	var left []*sql.Question
	for _, q := range questions {
		if last(q).Before(since) {
			left = append(left, q)
		}
	}
	slices.SortStableFunc(left, func(a, b *sql.Question) int { return last(a).Compare(last(b)) })
	return left
}

// askOthers asks the explorers that were not asked about an address in this
// round about it too, each at its own pace, until the next round is due: what
// one leaves out another shows. A round that took as long as that with asking
// one of them ends there.
func (a *asker) askOthers(ctx context.Context, questions []*sql.Question, began time.Time) error {
	if a.until == nil || len(questions) == 0 {
		return nil
	}
	until := a.until(began)
	left := until.Sub(a.now())
	var asked []*explorer.Explorer
	for _, e := range a.explorers {
		if e.Addresses != nil && a.health.trusted(e.Name) {
			asked = append(asked, e)
		}
	}
	if left <= 0 || len(asked) < 2 {
		return nil
	}
	// Canceled and not timed out: what is cut short is no fault of the explorer.
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(left, cancel).Stop()
	var group errgroup.Group
	for _, e := range asked {
		group.Go(guarded(func() error { return a.alsoAsk(limited, e, a.given.waiting(e.Name, questions, began)) }))
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// alsoAsk asks one explorer about addresses until the context ends, or it fails
// by itself.
func (a *asker) alsoAsk(ctx context.Context, e *explorer.Explorer, questions []*sql.Question) error {
	for _, q := range questions {
		err := safely(ctx, a.news, e, q)
		if ctx.Err() != nil {
			return nil
		}
		a.beat()
		a.given.tried(askedOf{q.Script, e.Name}, a.now())
		if errors.Is(err, errDatabase) {
			return err
		}
		a.health.note(e.Name, forMempool, err)
		if err == nil {
			continue
		}
		a.log.Warn("question failed", "explorer", e.Name, "error", err)
		if !aboutAddress(err) {
			return nil
		}
		if err := a.store.SaveAskFailed(ctx, q.Script, e.Name, words(err)); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// second reads histories from a second explorer that is independent of those
// that were read before, in the background and slowly: the mempool is asked at
// the same pace.
type second struct {
	*asker
	above int64 // the script at which the last round ended
	pause func(ctx context.Context, took time.Duration)
}

// Bounds of reading histories again.
const (
	secondPause = 10 * time.Second
	mostSeconds = 20 // addresses looked at in one round
	restAfter   = 3  // times as long as the reading took
	longestRest = time.Minute
)

func newSecond(a *asker) *second {
	return &second{asker: a, pause: func(ctx context.Context, took time.Duration) { sleep(ctx, min(restAfter*took, longestRest)) }}
}

func (s *second) round(ctx context.Context) error {
	if len(s.explorers) < 2 {
		return nil
	}
	scripts, err := s.store.Unseconded(ctx, s.above, mostSeconds)
	if err != nil || len(scripts) == 0 {
		s.above = 0
		return err
	}
	s.above = scripts[len(scripts)-1]
	questions, err := s.store.QuestionsAbout(ctx, scripts)
	if err != nil {
		return err
	}
	for _, q := range questions {
		e := s.next(q)
		if e == nil || !joined(q) || !s.short.due(q.Script, s.now()) {
			continue
		}
		began := s.now()
		err := safely(ctx, s.history, e, q)
		s.beat()
		if errors.Is(err, errDatabase) || ctx.Err() != nil {
			return err
		}
		s.health.note(e.Name, forMempool, err)
		if err != nil {
			s.log.Warn("second reading of a history failed", "explorer", e.Name, "error", err)
		}
		s.pause(ctx, s.now().Sub(began))
		s.beat()
	}
	return ctx.Err()
}

// next is an explorer whose reading of a history could bear out one that was
// read; nil where there is none.
func (s *second) next(q *sql.Question) *explorer.Explorer {
	for _, e := range s.explorers {
		if e.Addresses == nil || q.Asked[e.Name].Read || !s.health.trusted(e.Name) {
			continue
		}
		for _, other := range s.explorers {
			if q.Asked[other.Name].Read && explorer.Independent(e.Witness(), other.Witness()) {
				return e
			}
		}
	}
	return nil
}
