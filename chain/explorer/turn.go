package explorer

import (
	"context"
	"slices"
	"sync"
)

// turns lets one question at a time through to an explorer. Those about the tip
// and blocks go before all that wait, so that a long list of addresses does not
// hold up what is proven; among their like the first to come goes first. Who
// follows blocks asks one thing after the other: others go in between.
type turns struct {
	mu      sync.Mutex
	taken   bool
	urgent  []chan struct{} // closed when it is theirs
	waiting []chan struct{}
}

// take waits for a turn, which give ends; or for the end of ctx.
func (t *turns) take(ctx context.Context, urgent bool) error {
	mine, free := t.queue(urgent)
	if free {
		return nil
	}
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	if !t.leave(mine) {
		t.give() // it came at the same moment
	}
	return ctx.Err()
}

func (t *turns) queue(urgent bool) (mine chan struct{}, free bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.taken {
		t.taken = true
		return nil, true
	}
	mine = make(chan struct{})
	if urgent {
		t.urgent = append(t.urgent, mine)
	} else {
		t.waiting = append(t.waiting, mine)
	}
	return mine, false
}

// leave takes one out of the queue; false where the turn was already its own.
func (t *turns) leave(mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := func(c chan struct{}) bool { return c == mine }
	before := len(t.urgent) + len(t.waiting)
	t.urgent = slices.DeleteFunc(t.urgent, is)
	t.waiting = slices.DeleteFunc(t.waiting, is)
	return len(t.urgent)+len(t.waiting) < before
}

// give hands the turn to the next.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, queue := range []*[]chan struct{}{&t.urgent, &t.waiting} {
		if len(*queue) > 0 {
			close((*queue)[0])
			*queue = slices.Delete(*queue, 0, 1)
			return
		}
	}
	t.taken = false
}
