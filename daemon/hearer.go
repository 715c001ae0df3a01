package daemon

import (
	"context"
	"sync"
	"time"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Announcing. What an explorer is asked is on record before it is asked, so that
// no crash makes it less than the truth. Where an explorer's pace is ten questions
// a second or less, each is announced by itself. Where more are asked, those about
// addresses of a tenth of a second are announced together, a few for each of the addresses that
// come next: a commit for each would cost more than the question. A program that
// is killed leaves so many too many, as unsure.
const (
	mostAnnounced = 200 // addresses
	eachAnnounced = 4   // questions about each of them
)

// hearer is one explorer that hears of addresses, and what it was told of today.
type hearer struct {
	name  string
	store *sql.Store
	now   func() time.Time

	mu    sync.Mutex
	to    sql.Hearer
	ahead map[sql.Disclosure]int64 // announced and not put yet
	put   map[sql.Disclosure]int64 // put, and on record as announced only
}

func newHearer(name string, store *sql.Store, now func() time.Time) *hearer {
	return &hearer{name: name, store: store, now: now, ahead: map[sql.Disclosure]int64{}, put: map[sql.Disclosure]int64{}}
}

// told takes down a question that is about to be put, which gives away some
// watched scripts. Without it on record there must be no question.
func (h *hearer) told(ctx context.Context, e *explorer.Explorer, about string, scripts []int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	to := sql.Hearer{Explorer: h.name, Operator: e.Operator, Day: h.now().UTC().Format(time.DateOnly)}
	if to != h.to {
		if err := h.settle(ctx, true); err != nil {
			return err
		}
		h.to = to
	}
	if err := h.announce(ctx, about, scripts, together(e)); err != nil {
		return err
	}
	for _, script := range scripts {
		d := sql.Disclosure{Script: script, About: about}
		if h.put[d]++; h.ahead[d] > 1 {
			h.ahead[d]--
		} else {
			delete(h.ahead, d)
		}
	}
	return nil
}

// together is for how many addresses an explorer's questions are announced at
// once.
func together(e *explorer.Explorer) int {
	if e.Pace == nil || e.Pace.Interval() <= 0 {
		return mostAnnounced
	}
	return max(1, min(mostAnnounced, int(time.Second/e.Pace.Interval())/10))
}

// announce records what is about to be asked, where it was not announced yet,
// with what was put since.
func (h *hearer) announce(ctx context.Context, about string, scripts []int64, together int) error {
	each := int64(1)
	if together > 1 {
		each = eachAnnounced // the proof of a payment is as many questions, too
	}
	more := map[sql.Disclosure]int64{}
	for _, script := range scripts {
		if d := (sql.Disclosure{Script: script, About: about}); h.ahead[d] == 0 {
			more[d] = each
		}
	}
	if len(more) == 0 {
		return nil
	}
	if about == sql.AboutAddress && together > 1 {
		for _, script := range coming(ctx, h.name, together-1) {
			if d := (sql.Disclosure{Script: script, About: about}); h.ahead[d] == 0 {
				more[d] = each
			}
		}
	}
	all := h.settled()
	for d, count := range more {
		all[d] = sql.Disclosed{Announced: count, Put: all[d].Put}
	}
	if err := h.save(ctx, all); err != nil {
		return err
	}
	clear(h.put)
	for d, count := range more {
		h.ahead[d] = count
	}
	return nil
}

// settled gives what was put since the record was made last.
func (h *hearer) settled() map[sql.Disclosure]sql.Disclosed {
	all := map[sql.Disclosure]sql.Disclosed{}
	for d, count := range h.put {
		all[d] = sql.Disclosed{Put: count}
	}
	return all
}

// settle records what was put; with last, that no more will be under this day
// and operator.
func (h *hearer) settle(ctx context.Context, last bool) error {
	all := h.settled()
	if last {
		for d, count := range h.ahead {
			all[d] = sql.Disclosed{Put: all[d].Put, Dropped: count}
		}
	}
	if err := h.save(ctx, all); err != nil {
		return err
	}
	clear(h.put)
	if last {
		clear(h.ahead)
	}
	return nil
}

func (h *hearer) flush(ctx context.Context, last bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.settle(ctx, last)
}

// save finishes what it begins: of a commit that is given up amid it nobody
// knows whether it was made, and what it announced would stay for ever.
func (h *hearer) save(ctx context.Context, all map[sql.Disclosure]sql.Disclosed) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longestFlush)
	defer cancel()
	return h.store.SaveDisclosures(ctx, h.to, all)
}

type comingKey struct{}

// expecting gives a context for the questions of a round, which knows whom it
// comes to next.
func expecting(ctx context.Context, list *agenda) context.Context {
	return context.WithValue(ctx, comingKey{}, list)
}

// coming gives some of the scripts that an explorer may be asked about next in a
// round; none outside of a round.
func coming(ctx context.Context, explorer string, most int) []int64 {
	list, ok := ctx.Value(comingKey{}).(*agenda)
	if !ok {
		return nil
	}
	list.mu.Lock()
	defer list.mu.Unlock()
	var scripts []int64
	for _, i := range list.open {
		if len(scripts) == most {
			break
		}
		if !i.tried[explorer] {
			scripts = append(scripts, i.Script)
		}
	}
	return scripts
}
