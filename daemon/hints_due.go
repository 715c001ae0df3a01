package daemon

import (
	"context"
	"sync"
	"time"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Hints about one subject that come one upon the other are followed after a
// while that doubles, and at once again when it was quiet for the longest.
const (
	firstHold = time.Second
	lastHold  = time.Minute
)

// hintsDue is what has been hinted at and not been asked after yet. However
// many hints come, there is one entry for each address that was wished for, and
// one for blocks, under the empty script.
type hintsDue struct {
	now func() time.Time

	mu    sync.Mutex
	known map[string]string // to the state last told, or last asked for
	ids   map[string]int64  // of the scripts wished for
	due   map[string]bool
	held  map[string]restraint
	woken chan struct{}
}

// restraint says when hints about a subject may be followed next.
type restraint struct {
	next  time.Time
	pause time.Duration
}

func newHintsDue(now func() time.Time) *hintsDue {
	return &hintsDue{now: now, known: map[string]string{}, ids: map[string]int64{}, due: map[string]bool{},
		held: map[string]restraint{}, woken: make(chan struct{}, 1)}
}

// expect prepares for what an explorer will say of an address: what it said when
// it was asked last is no news.
func (d *hintsDue) expect(q *sql.Question, explorer string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	script := string(q.Address.Script)
	d.ids[script] = q.Script
	if _, known := d.known[script]; !known && q.Asked[explorer].Signal != "" {
		d.known[script] = q.Asked[explorer].Signal
	}
}

// forget drops an address that is not wished for any more.
func (d *hintsDue) forget(script string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, script)
	delete(d.ids, script)
	delete(d.due, script)
	delete(d.held, script)
}

// take notes a hint, if it tells something new. How things stand when a wish is
// first answered is news only where it is known how they stood.
func (d *hintsDue) take(hint explorer.Hint) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, wished := d.ids[hint.Script]
	before, known := d.known[hint.Script]
	if hint.Script != "" && !wished || known && before == hint.State {
		return
	}
	d.known[hint.Script] = hint.State
	if hint.First && !known {
		return
	}
	d.due[hint.Script] = true
	select {
	case d.woken <- struct{}{}:
	default: // it will look already
	}
}

// ripe gives what may be followed now, and how long it is until more may be.
func (d *hintsDue) ripe() (scripts []int64, blocks bool, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	wait = lastHold
	for script := range d.due {
		r := d.held[script]
		if left := r.next.Sub(now); left > 0 && left <= lastHold { // a clock set back holds nothing up
			wait = min(wait, left)
			continue
		}
		delete(d.due, script)
		d.held[script] = r.followed(now)
		if script == "" {
			blocks = true
		} else {
			scripts = append(scripts, d.ids[script])
		}
	}
	return scripts, blocks, wait
}

func (r restraint) followed(now time.Time) restraint {
	if now.Sub(r.next) > lastHold {
		r.pause = 0
	}
	r.pause = min(max(firstHold, 2*r.pause), lastHold)
	r.next = now.Add(r.pause)
	return r
}

// follow asks at once after what was hinted at.
func (h *hintListener) follow(ctx context.Context) error {
	for ctx.Err() == nil {
		scripts, blocks, wait := h.due.ripe()
		if blocks && h.blocks != nil {
			h.blocks()
		}
		if len(scripts) == 0 {
			h.due.await(ctx, wait)
			continue
		}
		err := guarded(func() error { return h.askAbout(ctx, scripts) })()
		if err != nil && ctx.Err() == nil {
			h.log.Info("hint not followed, the poll goes on", "explorer", h.from.Name, "error", err)
		}
	}
	return ctx.Err()
}

func (d *hintsDue) await(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-d.woken:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// askAbout asks the explorer that hinted what the poll would ask.
func (h *hintListener) askAbout(ctx context.Context, scripts []int64) error {
	if !h.health.trusted(h.from.Name) {
		return errNotTrusted // others may well be asked: the poll sees to that
	}
	questions, err := h.store.QuestionsAbout(ctx, scripts)
	if err != nil {
		return err
	}
	return h.share(ctx, h.mayAsk(questions), h.asker.news)
}
