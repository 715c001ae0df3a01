package cli

import (
	"context"
	"fmt"

	"btcwatch/alerts"
	"btcwatch/sql"
)

// canary says whether what tests the whole road has come through it.
func (c *checkup) canary(ctx context.Context, store *sql.Store) {
	if c.config.Canary.Address == nil {
		return
	}
	state, err := store.Canary(ctx)
	if c.unread("canary", err) {
		return
	}
	c.add(canaryFinding(state))
}

func canaryFinding(state *sql.Canary) finding {
	f := finding{Check: "canary", State: isNote}
	switch {
	case state == nil:
		f.Finding = "not watched yet; btcwatch run begins with it"
		return f
	case state.Watched:
		f.State, f.Finding = isWrong, "cannot be used, because "+alerts.CanaryWatched
		f.Do = "choose another address in [canary] of the configuration"
		return f
	case state.Arrived == nil:
		f.Finding = "no payment of it has come through since " + minute(&state.Since) + " UTC, when it was first watched"
	default:
		f.State = isFine
		f.Finding = "a payment last came through at " + minute(state.Arrived) + " UTC"
		if state.Last != nil {
			f.Finding += fmt.Sprintf(", %.1f s after its block was verified", max(0, state.Last.Took))
		}
	}
	if known := state.Seen + state.Missed; known > 0 {
		f.Finding += fmt.Sprintf("; %d of %d were seen unconfirmed first", state.Seen, known)
	}
	if state.Told != nil {
		f.State = isWrong
		f.Finding += ": too long ago"
		f.Do = "look the address of [canary] up with an explorer that is not configured here: if it was paid since then btcwatch is broken, so see the log; if not, choose one that is paid every day"
	}
	return f
}
