package alerts

import "time"

// From when a payment counts as found late. The time of a block is its miner's
// and may be off by two hours, so that beyond those it was found late for sure.
// What was found earlier counts from ten minutes on, the time that a block
// takes, if the watch had not been at the tip of the chain for as long: then it
// could not have been in time.
const (
	lateAfter   = 10 * time.Minute
	lateForSure = 2 * time.Hour
)

// late says how long after the time of its block a payment was found there; zero where that was in time. What is older than the watch is never
// late.
func (p Payment) late() time.Duration {
	if p.State != Confirmed || p.Historic || p.FoundAt.IsZero() || p.OccurredAt.IsZero() {
		return 0
	}
	by := p.FoundAt.Sub(p.OccurredAt).Truncate(time.Second)
	away := p.CoveredAt.IsZero() || p.FoundAt.Sub(p.CoveredAt) > lateAfter
	if by > lateForSure || by > lateAfter && away {
		return by
	}
	return 0
}

// behindSince is when the watch had last been at the tip of the chain, where
// that is why a payment was found late.
func (p Payment) behindSince() *time.Time {
	if p.late() == 0 || p.FoundAt.Sub(p.CoveredAt) <= lateAfter {
		return nil
	}
	return moment(p.CoveredAt)
}

// lateness says in words that a payment was found late, and by how much.
func lateness(d Data) string {
	if d.LateSeconds == 0 {
		return ""
	}
	text := "; found late, "
	if d.LateConfirmation {
		text = "; found in its block late, "
	}
	text += span(time.Duration(d.LateSeconds)*time.Second) + " after the time of its block"
	if d.BehindSince != nil {
		text += ", as the chain had last been covered to its tip at " + clock(*d.BehindSince, nil)
	}
	return text
}
