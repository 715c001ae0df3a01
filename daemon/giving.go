package daemon

import (
	"slices"

	"btcwatch/chain/explorer"
)

// mostFirst gives the explorers that serve headers as they are to be asked: who
// gives most in an answer first, in turns where that is equal, and those in
// quarantine last. Who was never asked is asked once to see.
func (a *ancestors) mostFirst(turn int) []*explorer.Explorer {
	bad := a.health.inQuarantine()
	var able []*explorer.Explorer
	for i := range a.explorers {
		if e := a.explorers[(turn+i)%len(a.explorers)]; e.Headers != nil {
			able = append(able, e)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	worth := func(e *explorer.Explorer) int {
		gave, known := a.gave[e.Name]
		switch {
		case bad[e.Name]:
			return -1
		case !known:
			return mostHeaders
		}
		return gave
	}
	slices.SortStableFunc(able, func(one, other *explorer.Explorer) int { return worth(other) - worth(one) })
	return able
}

// mostHeaders is more than any kind of explorer gives in an answer.
const mostHeaders = 1 << 20

// gives takes down how many headers an explorer gave. Who fails comes behind
// others bit by bit.
func (a *ancestors) gives(name string, headers int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gave == nil {
		a.gave = map[string]int{}
	}
	if err != nil {
		headers = a.gave[name] / 2
	}
	a.gave[name] = headers
}
