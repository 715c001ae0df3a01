package daemon

import (
	"cmp"
	"context"
	"slices"
	"time"

	"btcwatch/alerts"
	"btcwatch/sql"
)

// canaryHealth is how long the canary is waited for. Only time counts in which
// this daemon ran and blocks were followed: it counts when the next block is
// covered, so that whatever else makes the watch blind is not told twice.
type canaryHealth struct {
	settings CanarySettings
	state    *sql.Canary // as last read; nil: there is none

	last    time.Time     // when the watch was judged last
	height  int32         // of the position then
	running time.Duration // since the last block, while all was well
	waited  time.Duration // since then and not saved yet
	saved   time.Time
	forgot  time.Time
}

// How often the canary is looked after. A break longer than longestGap is one
// in which the machine slept, or the daemon hung.
const (
	longestGap   = time.Minute
	canaryPause  = 30 * time.Second
	forgetPause  = time.Hour
	canaryMargin = 2 // half of the time in which a payment is expected is granted beyond it
)

// allowed is how long no payment may come through.
func (s CanarySettings) allowed() time.Duration { return s.Every + s.Every/canaryMargin }

// lookAfterCanary reads how the canary does, and forgets what is too old.
func (h *health) lookAfterCanary(ctx context.Context) error {
	longer, known, due := h.countCanary()
	if due.forget {
		if err := h.store.ForgetCanaries(ctx, cmp.Or(h.canary.settings.Kept, canaryKept)); err != nil {
			return err
		}
	}
	if !due.save {
		return nil
	}
	state, err := h.store.CanaryWaits(ctx, longer, known)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.canary.state = state
	h.canary.waited -= longer
	return nil
}

type canaryDue struct{ save, forget bool }

// countCanary counts on, and says what is to be saved: for how much longer no
// payment has come since the last one known.
func (h *health) countCanary() (longer time.Duration, known *time.Time, due canaryDue) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, now := &h.canary, h.now()
	beat := now.Sub(c.last)
	if c.last.IsZero() || beat < 0 || beat > longestGap {
		beat = 0
	}
	if h.settled(now, h.best()) {
		c.running += beat
	}
	switch {
	case h.blindForBlocks():
		c.running = 0
	case h.height > c.height && c.height > 0:
		c.waited, c.running = c.waited+c.running, 0
	}
	c.last, c.height = now, h.height
	if c.forgot.IsZero() || now.Sub(c.forgot) >= forgetPause {
		c.forgot, due.forget = now, true
	}
	pause := min(canaryPause, c.settings.Every/10)
	if c.settings.Address != nil && (c.saved.IsZero() || now.Sub(c.saved) >= pause) {
		c.saved, due.save = now, true
	}
	if c.state != nil {
		known = c.state.Arrived
	}
	return c.waited, known, due
}

// blindForBlocks says that following is known not to work.
func (h *health) blindForBlocks() bool {
	return slices.ContainsFunc([]string{forBlocks + " ", noBlock + " ", backlog + " ", lateJob + " " + forBlocks}, func(key string) bool {
		return h.outages[key]
	})
}

// canaryVerdict says whether the canary is waited for too long, or cannot be
// used. It is over when a payment comes through, however long one may take.
func (h *health) canaryVerdict() []verdict {
	s := h.canary.state
	if h.canary.settings.Address == nil || s == nil {
		return nil
	}
	v := verdict{kind: forCanary, since: s.Since}
	if s.Arrived != nil {
		v.since = *s.Arrived
	}
	switch {
	case s.Watched:
		v.out, v.reason = true, alerts.CanaryWatched
	case s.Waited >= h.canary.settings.allowed().Seconds():
		v.out = true
	case s.Told != nil && (s.Arrived == nil || !s.Arrived.After(*s.Told)):
		return nil
	}
	return []verdict{v}
}
