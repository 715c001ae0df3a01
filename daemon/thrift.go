package daemon

import (
	"context"
	"fmt"
	"math"
	"time"

	"btcwatch/chain/explorer"
)

// spareTip gives the tip that an explorer showed lately, where its budget bears
// no question for it in every round.
func (h *health) spareTip(e *explorer.Explorer, most time.Duration) (tip int32, spared bool) {
	if e.Pace == nil {
		return 0, false
	}
	pause := e.Pace.TipPause()
	if most > 0 {
		pause = min(pause, most)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.each[e.Name]
	if s == nil || s.uses[forTip] == nil || pause == 0 {
		return 0, false
	}
	return s.tip, s.shows() && h.now().Sub(s.uses[forTip].good) < pause
}

// sparing parts the explorers into those that are asked for their tip now, and
// what those show that are spared. Where nobody would be asked, all are that
// were not within half of what counts as blindness.
func (f *follower) sparing() (asked []*explorer.Explorer, spared []shown) {
	for _, most := range []time.Duration{0, f.health.settings.BlindAfter / 2} {
		asked, spared = nil, nil
		for _, e := range f.explorers {
			if e.Chain == nil {
				continue
			}
			if tip, ok := f.health.spareTip(e, most); ok {
				spared = append(spared, shown{e, tip})
			} else {
				asked = append(asked, e)
			}
		}
		if len(asked) > 0 {
			break
		}
	}
	return asked, spared
}

// savedAhead is for how long requests are saved before they are made, so that a
// daemon that is killed has not forgotten any: as long as the longest pause
// between two savings.
const savedAhead = 10 * time.Second

// resumeBudgets goes on counting where an earlier life was.
func (h *health) resumeBudgets(ctx context.Context, explorers []*explorer.Explorer) error {
	for _, e := range explorers {
		if e.Pace == nil || e.Pace.Left() == (explorer.Left{}) {
			continue
		}
		spent, err := h.store.Spent(ctx, e.Name)
		if err != nil {
			return err
		}
		e.Pace.Resume(spent)
		h.mu.Lock()
		h.paces[e.Name] = e.Pace
		h.mu.Unlock()
	}
	return nil
}

// keepBudgets saves what was asked, for explorers that have a budget.
func (h *health) keepBudgets(ctx context.Context) error {
	for name, pace := range h.paces { // written before anybody else reads
		spent := pace.Spent()
		if len(spent) == 0 {
			continue
		}
		state := fmt.Sprint(spent[len(spent)-1])
		if h.spent[name] == state {
			continue
		}
		last := spent[max(0, len(spent)-2):]
		if interval := pace.Interval(); interval > 0 {
			last[len(last)-1].Requests += int64(math.Ceil(float64(savedAhead) / float64(interval)))
		}
		if err := h.store.SaveSpent(ctx, name, last); err != nil {
			return err
		}
		h.spent[name] = state
	}
	return nil
}
