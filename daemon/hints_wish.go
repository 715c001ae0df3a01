package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Bounds of what is wished for on one connection.
const (
	wishAnswer   = time.Minute   // how long the answer to a wish may take
	mostRefusals = 3             // wishes refused one after the other; then it is wished for no more
	mostStrikes  = 2             // connections that one wish may cost
	strikeRest   = 6 * time.Hour // after which it is tried again
)

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
		if !h.health.trusted(h.from.Name) {
			return errNotTrusted
		}
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
			// Where the budget does not bear it, what it tells is passed over.
			if err := w.feed.Drop(ctx, a); err != nil && !errors.Is(err, explorer.ErrSpent) {
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
		err := w.await(ctx, func() error { return w.feed.Address(ctx, q.Address) }, script)
		if errors.Is(err, errPrivate) {
			continue
		}
		if errors.Is(err, explorer.ErrSpent) {
			break // it is told of the rest when the budget bears it
		}
		if err != nil {
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
	if !w.health.trusted(w.from.Name) {
		return errNotTrusted
	}
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
	err := w.feed.Ping(ctx)
	if errors.Is(err, explorer.ErrSpent) {
		return nil // what it tells is a sign of life too
	}
	return err
}
