package daemon

import (
	"slices"
	"time"

	"btcwatch/chain/explorer"
)

// turns decides which explorer is asked for the next block, so that each serves
// as many as its pace allows and their paces add up. One that is never asked is
// never known to work either.
type turns struct {
	spent  map[string]time.Duration // by explorer: what it has served, in time that its pace asks for
	turn   time.Duration            // spent by the last one before its turn
	resign map[string]time.Time     // until when one that failed comes after the others
}

func newTurns() *turns {
	return &turns{spent: map[string]time.Duration{}, resign: map[string]time.Time{}}
}

// order gives the explorers as they are to be asked: whoever has served least
// for its pace first, in the file's order where that is equal, and those that
// have just failed last.
func (t *turns) order(seen []shown, now time.Time) []shown {
	ordered := slices.Clone(seen)
	slices.SortStableFunc(ordered, func(a, b shown) int {
		if one, other := now.Before(t.resign[a.Name]), now.Before(t.resign[b.Name]); one != other {
			if one {
				return 1
			}
			return -1
		}
		return int(max(-1, min(1, max(t.spent[a.Name], t.turn)-max(t.spent[b.Name], t.turn))))
	})
	return ordered
}

// leastCost is what a block costs an explorer without a pace: others are asked
// for one of thousands.
const leastCost = time.Millisecond

// spareFactor is how much dearer a block is from an explorer that can also be
// asked about addresses: those are spared for what others cannot do.
const spareFactor = 4

// served takes down who gave a block. Who had nothing to give for a while does
// not make up for it.
func (t *turns) served(e *explorer.Explorer) {
	cost := leastCost
	if e.Pace != nil {
		cost = max(cost, e.Pace.Interval())
	}
	if e.Addresses != nil {
		cost *= spareFactor
	}
	t.turn = max(t.turn, t.spent[e.Name])
	t.spent[e.Name] = t.turn + cost
	delete(t.resign, e.Name)
}

// failed puts an explorer behind the others for some times as long as its
// failure took, so that one that hangs holds up few blocks.
func (t *turns) failed(name string, now time.Time, took time.Duration) {
	const times = 4
	t.resign[name] = now.Add(times * took)
}
