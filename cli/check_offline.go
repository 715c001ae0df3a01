package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"btcwatch/sql"
)

// recordAlone looks at the database and asks nobody else. What it says of
// explorers is how the daemon found them last.
func (c *checkup) recordAlone(ctx context.Context) {
	db, store := c.open(ctx)
	if store != nil {
		c.progress.now("asking the database")
		reading, cancel := context.WithTimeout(ctx, readTime)
		c.standing(reading, store)
		c.record(reading, store)
		cancel()
		store.Close()
	}
	c.leave(db)
}

// standing says how the watch stands by the record.
func (c *checkup) standing(ctx context.Context, store *sql.Store) {
	today := c.Now().Add(-gapDays * 24 * time.Hour)
	o, err := store.Overview(ctx, today)
	if c.unread("watch", err) {
		return
	}
	failed, err := store.Failures(ctx, today)
	if c.unread("explorer", err) {
		return
	}
	c.watched(o)
	for _, e := range o.Explorers {
		c.add(c.lastSeen(e, failed))
		if e.TipHeight != nil && (c.best == nil || *e.TipHeight > *c.best) {
			c.best = e.TipHeight
		}
	}
	if len(o.Explorers) == 0 {
		c.add(finding{Check: "explorer", State: isNote, Finding: "none was asked yet"})
	}
	c.agreement(o)
	c.rounds(o)
	c.openAlerts(o)
}

// watched says who is watched, and whose past is read.
func (c *checkup) watched(o *sql.Overview) {
	f := finding{Check: "watch", State: isFine, Watched: &o.Watched, Finding: counted(o.Watched, "address", "addresses")}
	if o.Confidential > 0 {
		f.Finding += fmt.Sprintf(", %s of them confidential", grouped(o.Confidential))
	}
	if o.Retired > 0 {
		f.Finding += fmt.Sprintf(", %s retired", grouped(o.Retired))
	}
	if o.Watched == 0 {
		f.State = isNote
	}
	c.add(f)
	asked := o.Watched - o.Confidential
	f = finding{Check: "histories", State: isFine,
		Finding: fmt.Sprintf("the past of %s of %s that may be asked about is read, as explorers show it", grouped(o.Read), grouped(asked))}
	if o.Read < asked {
		f.State = isNote
	}
	if asked > 0 {
		c.add(f)
	}
}

// lastSeen is how the daemon found an explorer last.
func (c *checkup) lastSeen(e sql.ExplorerStanding, failed []sql.Failure) finding {
	f := finding{Check: "explorer", Name: e.Name, State: isFine, TipHeight: e.TipHeight, Finding: e.State}
	f.Kind, f.Operator = e.Kind, e.Operator
	if e.State != "ok" {
		f.State = isNote
	}
	if e.TipHeight != nil {
		f.Finding += ", tip " + grouped(int64(*e.TipHeight))
	}
	if e.LastSuccess != nil {
		f.Finding += ", last good answer " + c.ago(*e.LastSuccess)
	} else {
		f.Finding += ", no good answer yet"
	}
	if e.Failovers > 0 {
		f.Finding += ", " + counted(e.Failovers, "failover", "failovers")
	}
	f.Finding += c.failures(&f, failed)
	if e.LastError != nil && e.LastErrorAt != nil {
		f.Finding += fmt.Sprintf("; last error %s: %s", c.ago(*e.LastErrorAt), *e.LastError)
	}
	return f
}

// failures says how often an explorer failed lately, and notes it.
func (c *checkup) failures(f *finding, failed []sql.Failure) string {
	var words []string
	for _, failure := range failed {
		if failure.Explorer == f.Name {
			f.Failures = append(f.Failures, failure)
			words = append(words, fmt.Sprintf("%s %s", grouped(failure.Count), failure.Kind))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return fmt.Sprintf("; in %d days %s", gapDays, strings.Join(words, ", "))
}

// ago says how long something is past.
func (c *checkup) ago(at time.Time) string {
	past := c.Now().Sub(at)
	if past < 0 {
		return "at " + minute(&at) + " UTC"
	}
	return span(past.Round(time.Second)) + " ago"
}

func (c *checkup) agreement(o *sql.Overview) {
	f := finding{Check: "disagreements", State: isFine, Finding: fmt.Sprintf("none told in %d days", gapDays)}
	if o.Disagreed > 0 {
		f.State = isNote
		f.Finding = fmt.Sprintf("explorers contradicted each other %s in %d days: btcwatch alerts list", counted(o.Disagreed, "time", "times"), gapDays)
	}
	c.add(f)
}

// rounds says when the jobs began last, and of the mempool when it was seen.
func (c *checkup) rounds(o *sql.Overview) {
	var words []string
	for _, r := range o.Rounds {
		words = append(words, r.Name+" "+c.ago(r.BeganAt))
	}
	f := finding{Check: "rounds", State: isFine, Finding: "last: " + strings.Join(words, ", ") + " (history and report count from the first start until they have run)"}
	if o.TipAt != nil {
		f.Finding += "; the block at the position is from " + c.ago(*o.TipAt)
	}
	if len(words) == 0 {
		f.State, f.Finding = isNote, "no job has run yet"
	}
	c.add(f)
}

func (c *checkup) openAlerts(o *sql.Overview) {
	f := finding{Check: "alerts", State: isFine, Finding: "none is open"}
	var words []string
	for _, a := range o.Alerts {
		words = append(words, grouped(a.Open)+" "+a.Severity)
	}
	if len(words) > 0 {
		f.Finding = "open: " + strings.Join(words, ", ") + " (btcwatch alerts list)"
	}
	c.add(f)
}
