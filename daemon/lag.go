package daemon

import (
	"fmt"
	"time"

	"btcwatch/sql"
)

// sawTip takes down the height that an explorer shows. The round that asked for
// it has to say whether it is covered.
func (h *health) sawTip(name string, height int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.of(name); s.tip != height || s.tipSince.IsZero() {
		s.tip, s.tipSince = height, h.now()
	}
	if h.open.IsZero() {
		h.open = h.now()
	}
}

// covered takes down whether the covered chain reaches the best tip shown, and
// if not, why.
func (h *health) covered(reached bool, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = time.Time{}
	switch {
	case reached:
		h.behind, h.why = time.Time{}, ""
	case h.behind.IsZero():
		h.behind = h.now()
	}
	if why != nil {
		h.why = words(why)
	}
}

// progressed takes down that a block was covered, though not yet the last.
func (h *health) progressed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.behind.IsZero() {
		h.behind = h.now()
	}
	if !h.open.IsZero() {
		h.open = h.now()
	}
}

// stands takes down how far the chain is covered.
func (h *health) stands(position sql.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.judged = h.now()
	h.begun, h.height, h.moved = position.Set, position.Height, position.MovedAt
}

// lags says since when the covered chain is behind the best tip shown; the zero
// time where it is not. A round that never came to say so does not hide it.
func (h *health) lags(best int32) time.Time {
	if h.behind.IsZero() && best > h.height {
		return h.open
	}
	return h.behind
}

func (h *health) reason() string {
	if h.why == "" {
		return "the search for it does not come to an end"
	}
	return h.why
}

// panicked takes down that a job ended where it must not. What it was to see
// was not seen.
func (h *health) panicked(job string, err error) {
	err = fmt.Errorf("the job %s panicked: %w", job, err)
	switch job {
	case "blocks":
		h.covered(false, err)
	case "mempool":
		h.mu.Lock()
		defer h.mu.Unlock()
		ofKind(h.kinds, forMempool).note(h.now(), err)
	}
}
