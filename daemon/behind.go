package daemon

import (
	"fmt"
	"time"
)

// behindBy is how many blocks an explorer is behind when it is behind: one block
// takes a while to spread.
const behindBy = 2

// compare takes down since when an explorer is behind the chain that is verified
// here. What others claim as their tips is no measure.
func (s *sight) compare(verified int32, now time.Time) {
	switch {
	case !s.shows() || s.tip > verified-behindBy:
		s.behind = time.Time{}
	case s.behind.IsZero():
		s.behind = now
	}
}

// lagging says whether an explorer has been behind for long enough.
func (h *health) lagging(s *sight, now time.Time) bool {
	return !s.behind.IsZero() && now.Sub(s.behind) >= h.settings.LaggingAfter
}

// stale says whether an explorer shows the same tip for long while the verified
// chain moved on: not late, but standing still.
func (h *health) stale(s *sight, now time.Time) bool {
	return h.settings.StaleAfter > 0 && h.lagging(s, now) && !s.tipSince.IsZero() && now.Sub(s.tipSince) >= h.settings.StaleAfter
}

func (s *sight) staleWords(verified int32, now time.Time) string {
	return fmt.Sprintf("it has shown block %d as its tip for %s, and the chain is verified up to block %d",
		s.tip, plain(now.Sub(s.tipSince).Truncate(time.Minute)), verified)
}
