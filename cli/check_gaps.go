package cli

import (
	"context"
	"fmt"
	"time"

	"btcwatch/sql"
)

// gapDays is how far back check looks for what was not covered.
const gapDays = 7

// gaps tells of when nobody was asked lately: it is over, and nothing brings it
// back. Blocks that a start left out are told apart.
func (c *checkup) gaps(ctx context.Context, store *sql.Store) {
	// Where nothing was ever followed, "none" would say too much.
	if _, begun, err := store.LatestStart(ctx); c.unread("gaps", err) || !begun {
		return
	}
	gaps, err := store.Gaps(ctx, c.Now().Add(-gapDays*24*time.Hour))
	if c.unread("gaps", err) {
		return
	}
	f := finding{Check: "gaps", State: isFine, Finding: fmt.Sprintf("none in the last %d days", gapDays)}
	if len(gaps) > 0 {
		f.State = isNote
		f.Finding = fmt.Sprintf("%s in the last %d days, the last one %s; all are in report.gaps", counted(len(gaps), "gap", "gaps"), gapDays, gapWords(gaps[0]))
	}
	c.add(f)
}

func gapWords(g sql.Gap) string {
	text := "of " + g.Kind
	if g.Address != "" {
		text += " of " + g.Address
	}
	if g.FromTime != nil && g.ToTime != nil {
		text += fmt.Sprintf(", %s from %s UTC on", span(g.ToTime.Sub(*g.FromTime)), minute(g.FromTime))
	}
	return text + ": " + g.Reason
}
