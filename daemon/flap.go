package daemon

import (
	"context"
	"time"

	"btcwatch/sql"
)

// An explorer that fails again so soon after it recovered is flapping. Its
// outage then lasts until it has answered well for so long, so that people are
// told once, and in the end how often it failed.
const flapping = time.Hour

// flaps is what an explorer's outages have been lately.
type flaps struct {
	over    time.Time // when the last one ended
	relapse bool      // the open one began soon after
	well    time.Time // since when it answers well in an open one; zero: it does not
	falls   int       // how often its answers went bad in the open one; 0: not known
}

// merge holds back the end of a relapse. known says whether an outage is open.
func (f *flaps) merge(v *verdict, decided, known bool, now time.Time) bool {
	switch {
	case v.out && !known:
		f.relapse = !f.over.IsZero() && now.Sub(f.over) < flapping
		f.well, f.falls = time.Time{}, 1
		if f.relapse {
			v.reason += "; it comes and goes, so the next message is that it has answered well for an hour"
		}
	case known && (v.out || !decided):
		if !f.well.IsZero() && f.falls > 0 {
			f.falls++
		}
		f.well = time.Time{}
	case known && f.relapse:
		if f.well.IsZero() {
			f.well = now
		}
		v.times = f.falls
		return now.Sub(f.well) >= flapping
	}
	return decided
}

// loadFlaps goes on where an earlier life of the daemon was.
func (h *health) loadFlaps(ctx context.Context, open []sql.Outage) error {
	ends, err := h.store.LastRecoveries(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, over := range ends {
		h.past[name] = flaps{over: over}
	}
	for _, o := range open {
		if before := h.past[o.Name]; o.Kind == "explorer" && !before.over.IsZero() {
			before.relapse = o.At.Sub(before.over) < flapping
			h.past[o.Name] = before
		}
	}
	return nil
}
