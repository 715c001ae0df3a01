package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"btcwatch/daemon"
	"btcwatch/sql"
)

// everything looks at the database, with and without a running daemon, and at
// the explorers in between: the database says about whom they may be asked.
func (c *checkup) everything(ctx context.Context) {
	db, store := c.open(ctx)
	c.explorers(ctx, store)
	if store == nil {
		c.mempool(askable(c.config))
	} else {
		c.progress.now("asking the database")
		reading, cancel := context.WithTimeout(ctx, readTime)
		c.record(reading, store)
		cancel()
		store.Close()
	}
	c.leave(db)
}

func (c *checkup) leave(db *database) {
	if db == nil {
		return
	}
	if err := db.close(); err != nil {
		c.add(finding{Check: "database", State: isWrong, Finding: err.Error(), Do: "see the log in " + c.config.DataDir})
	}
}

// open gives the database, nil where there is none to be had, and what is
// recorded there, nil where that is nothing yet.
func (c *checkup) open(ctx context.Context) (*database, *sql.Store) {
	c.progress.now("starting the database")
	ctx, cancel := context.WithTimeout(ctx, databaseTime)
	defer cancel()
	db, err := openDatabase(ctx, c.config, c.quietLog())
	if err != nil {
		c.noDatabase(ctx, err)
		return nil, nil
	}
	return db, c.recorded(ctx, db)
}

func (c *checkup) recorded(ctx context.Context, db *database) *sql.Store {
	c.progress.now("asking the database")
	server, err := sql.Inspect(ctx, db.url)
	if err != nil {
		c.noDatabase(ctx, err)
		return nil
	}
	c.server(server)
	if !c.tables(ctx, db.url) {
		return nil
	}
	store, err := sql.Open(ctx, db.url, c.config.Network, c.quietLog())
	if err != nil {
		c.noDatabase(ctx, err)
		return nil
	}
	if questions, err := store.Questions(ctx); !c.unread("database", err) {
		for _, q := range questions {
			c.addresses = append(c.addresses, q.Address)
		}
	}
	return store
}

// askable counts the addresses of the configuration that explorers may be
// asked about.
func askable(config *daemon.Config) int {
	count := 0
	for _, l := range config.Watch {
		if !l.Confidential && config.Privacy.Mode != daemon.PrivacyBlocks {
			count++
		}
	}
	return count
}

func (c *checkup) noDatabase(ctx context.Context, err error) {
	f := finding{Check: "database", State: isWrong, Finding: err.Error(), Do: "see above what it needs; the daemon cannot work without its database"}
	switch {
	case ctx.Err() != nil:
		f.Do = fmt.Sprintf("it did not answer within %s; see whether it is overloaded or hangs", span(databaseTime))
	case errors.Is(err, sql.ErrUnreachable):
		f.Do = "start the database, or correct [database] url; a running daemon waits for it"
	case errors.Is(err, sql.ErrOtherNetwork):
		f.Do = "name another data_dir or database in the configuration, or the network it belongs to"
	case c.config.DatabaseURL != "":
		f.Do = "see whether it is a Postgres server that takes this login: btcwatch sql -- -c 'SELECT 1'"
	}
	c.add(f)
}

func (c *checkup) server(server sql.Server) {
	place := "named in the configuration"
	if c.config.DatabaseURL == "" {
		place = "private, in " + c.config.DataDir
	}
	f := finding{Check: "database", State: isFine, Finding: fmt.Sprintf("PostgreSQL %s, %s", server.Name, place)}
	c.add(f)
	for _, warning := range server.Warnings {
		c.add(finding{Check: "database", State: isNote, Finding: warning})
	}
}

// tables says whether the tables are those of this program; only then the
// record can be asked.
func (c *checkup) tables(ctx context.Context, url string) bool {
	f := finding{Check: "tables", State: isFine, Finding: "up to date"}
	steps, err := sql.Pending(ctx, url)
	switch {
	case errors.Is(err, sql.ErrTooNew):
		f.State, f.Finding, f.Do = isWrong, err.Error(), "install the btcwatch that made them"
	case err != nil:
		f.State, f.Finding, f.Do = isWrong, err.Error(), "see whether the login may read its own tables"
	case len(steps) > 0:
		f.State, f.Finding = isNote, fmt.Sprintf("%s to go; btcwatch run does that at its start", counted(len(steps), "step", "steps"))
	}
	c.add(f)
	return err == nil && len(steps) == 0
}

// record asks the database about the watch, one thing after the other.
func (c *checkup) record(ctx context.Context, store *sql.Store) {
	leads, err := store.Leads(ctx)
	if c.unread("daemon", err) {
		return
	}
	f := finding{Check: "daemon", State: isFine, Finding: "one is running"}
	if !leads {
		f.State, f.Finding = isNote, "none is running now: start it with btcwatch run, or systemctl start btcwatch"
	}
	c.add(f)
	c.outages(ctx, store, leads)
	c.position(ctx, store, leads)
	c.lists(ctx, store)
	c.histories(ctx, store)
	c.past(ctx, store)
	c.gaps(ctx, store)
	c.mempool(len(c.addresses))
	c.deliveries(ctx, store)
	c.canary(ctx, store)
}

func (c *checkup) unread(check string, err error) bool {
	if err != nil {
		c.add(finding{Check: check, State: isWrong, Finding: err.Error(), Do: "see whether the database works: btcwatch sql"})
	}
	return err != nil
}

// outages tells of what the running daemon cannot see or do. Explorers were
// asked already, and channels that gave up have a finding of their own.
func (c *checkup) outages(ctx context.Context, store *sql.Store, leads bool) {
	open, err := store.OpenOutages(ctx)
	if c.unread("daemon", err) || !leads && !c.offline {
		return
	}
	for _, o := range open {
		f, told := outage(o)
		switch {
		case c.offline && o.Kind == "explorer":
			f.State, f.Do = isNote, ""
			f.Finding = "the explorer " + o.Name + " has been failing since " + minute(&o.Since) + " UTC: " + o.Reason
		case !told:
			continue
		case !leads:
			f.State, f.Do = isNote, "" // that none runs is said
		}
		c.add(f)
	}
}

func outage(o sql.Outage) (finding, bool) {
	since := o.Since
	at := "since " + minute(&since) + " UTC"
	f := finding{Check: "daemon", State: isWrong, Do: "payments may happen unseen; see the explorers above"}
	switch o.Kind {
	case "explorer", "channel", "canary": // the canary has a finding of its own
		return f, false
	case "chain":
		f.Finding = "stopped " + at + ": " + o.Reason
		f.Do = "a person has to say with which chain it goes on: the alert chain.stuck (btcwatch alerts list) says what to compare and the btcwatch follow to type"
	case "quiet":
		f.State, f.Do = isNote, ""
		f.Finding = "no explorer has shown a new block " + at
	case "tip":
		f.Finding = "no explorer has shown a new block " + at + ": either none was found, or all show an old chain"
		f.Do = "compare the heights above with a source that is not configured here"
	case "backlog":
		f.Finding = "falling behind " + at + ": " + o.Reason
		f.Do = "see whether requests_per_second or this machine is too slow"
	case "schedule":
		f.Finding = "the job " + o.Name + " has not run " + at + ": " + o.Reason
		f.Do = "see the log (journalctl -u btcwatch); restart btcwatch if it does not come back by itself"
	case "delivery":
		f.Finding = "alerts wait for the channel " + o.Name + " " + at
		if o.Reason != "" {
			f.Finding += ": " + o.Reason
		}
		f.Do = "mend the channel; whoever reads only that one has not been told"
	default:
		f.Finding = fmt.Sprintf("blind for %s %s: %s", o.Kind, at, o.Reason)
	}
	return f, true
}

// farBehind is how many blocks behind a running daemon is not merely waiting
// for its next round.
const farBehind = 6

func (c *checkup) position(ctx context.Context, store *sql.Store, leads bool) {
	p, err := store.Position(ctx)
	if c.unread("position", err) {
		return
	}
	start, begun, err := store.LatestStart(ctx)
	if c.unread("position", err) {
		return
	}
	if !p.Set || !begun {
		text := "no block is followed yet; the first round of btcwatch run begins"
		if c.best == nil {
			text = "no block is followed yet, and no explorer shows now where to begin"
		}
		c.add(finding{Check: "position", State: isNote, Finding: text})
		return
	}
	c.unwatched = !leads
	f := finding{Check: "position", State: isFine, Height: &p.Height, RestsOn: start.RestsOn,
		Finding: "block " + grouped(int64(p.Height)) + c.behind(p.Height) + ", resting on " + start.RestsOn}
	if c.best != nil {
		behind := *c.best - p.Height
		f.Behind = &behind
	}
	switch {
	case !start.Proves:
		f.State = isNote
		f.Finding += ": one operator's word, so payments stay reported, not proven, until a second one agrees"
	case leads && f.Behind != nil && *f.Behind > farBehind:
		f.State = isWrong
		f.Do = "if a second check shows the same block, it is stuck: see the log (journalctl -u btcwatch); otherwise it is catching up"
	}
	c.add(f)
	c.leftOut(ctx, store)
}

// leftOut tells of the blocks that a start left out.
func (c *checkup) leftOut(ctx context.Context, store *sql.Store) {
	gaps, err := store.BlockGaps(ctx)
	if c.unread("left out", err) {
		return
	}
	for _, g := range gaps {
		heights := "before block " + grouped(int64(g.To)+1)
		if g.From != nil {
			heights = fmt.Sprintf("%s to %s", grouped(int64(*g.From)), grouped(int64(g.To)))
		}
		c.add(finding{Check: "left out", State: isNote, Finding: fmt.Sprintf("blocks %s are not covered: %s", heights, g.Reason)})
	}
}

// past says how far the payments from before the watch are proven.
func (c *checkup) past(ctx context.Context, store *sql.Store) {
	past, known, err := store.PastState(ctx)
	if c.unread("past", err) || !known || past.Unproven == 0 {
		return
	}
	f := finding{Check: "past", State: isNote,
		Finding: counted(past.Unproven, "payment", "payments") + " from before the watch not proven yet; that goes on in the background"}
	if past.Known > past.Lowest {
		f.Finding += fmt.Sprintf("; headers known back to block %s of %s needed", grouped(int64(past.Known)), grouped(int64(past.Lowest)))
	}
	c.add(f)
}

func (c *checkup) behind(height int32) string {
	switch {
	case c.best == nil:
		return ", how far behind is not known"
	case *c.best > height:
		return ", " + counted(*c.best-height, "block", "blocks") + " behind"
	}
	if c.offline {
		return ", the highest that an explorer has shown the daemon"
	}
	return ", at the tip"
}

// mempool says how often each address is really asked about.
func (c *checkup) mempool(addresses int) {
	if c.config.Privacy.Mode == daemon.PrivacyBlocks {
		c.add(finding{Check: "mempool", State: isNote, Finding: "never asked: unconfirmed payments are not seen in this mode"})
		return
	}
	expr := c.config.Schedule.Mempool
	if expr == "" {
		c.add(finding{Check: "mempool", State: isNote, Finding: "never asked: payments are seen when they are in a block"})
		return
	}
	planned, err := c.plannedRound()
	if c.unread("mempool", err) {
		return
	}
	round := c.round(addresses)
	seconds := max(round, planned).Seconds()
	f := finding{Check: "mempool", State: isFine, RoundSeconds: &seconds}
	f.Finding = fmt.Sprintf("%s asked about every %s", counted(addresses, "address", "addresses"), span(max(round, planned)))
	if round > planned {
		f.State = isNote
		f.Finding += fmt.Sprintf(", not every %s: at the configured paces a round takes that long", span(planned))
	}
	if c.best == nil && addresses > 0 && !c.offline {
		f.State = isNote
		f.Finding += "; no explorer answers now"
	}
	c.add(f)
}

// plannedRound is how often rounds of the mempool are to begin; 0: never.
func (c *checkup) plannedRound() (time.Duration, error) {
	if c.config.Schedule.Mempool == "" {
		return 0, nil
	}
	cadence, err := daemon.ParseSchedule(c.config.Schedule.Mempool, c.config.Zone)
	if err != nil {
		return 0, err
	}
	next := cadence.Next(c.Now())
	return cadence.Next(next).Sub(next), nil
}

// round is how long one takes at the configured paces.
func (c *checkup) round(addresses int) time.Duration {
	var round time.Duration
	for _, takes := range daemon.RoundLengths(c.config, addresses) {
		round = max(round, takes)
	}
	return round
}

func (c *checkup) deliveries(ctx context.Context, store *sql.Store) {
	states, err := store.ChannelStates(ctx)
	if c.unread("deliveries", err) {
		return
	}
	open, err := store.OpenOutages(ctx)
	if c.unread("deliveries", err) {
		return
	}
	broken := map[string]bool{}
	for _, o := range open {
		if o.Kind == "channel" {
			broken[o.Name] = true
		}
	}
	for _, state := range states {
		c.add(c.channel(state, broken[state.Channel]))
	}
	if len(states) == 0 {
		var none int64
		c.add(finding{Check: "deliveries", State: isFine, Finding: "none waits, none is dead", Waiting: &none, Dead: &none})
	}
}

// channel judges one channel. What died long ago and was followed by a
// delivery is history; what dies now is a fault.
func (c *checkup) channel(s sql.ChannelRow, broken bool) finding {
	f := finding{Check: "deliveries", Name: s.Channel, State: isFine, Waiting: &s.Waiting, Dead: &s.Dead,
		Finding: fmt.Sprintf("%s, %s dead", counted(s.Waiting, "waits", "wait"), grouped(s.Dead))}
	if s.Oldest != nil {
		f.Finding += fmt.Sprintf("; the oldest since %s UTC", minute(s.Oldest))
	}
	if s.Error != nil {
		f.State = isNote
		f.Finding += "; last: " + *s.Error
	}
	switch {
	case broken:
		f.State = isWrong
		f.Do = "mend the channel; btcwatch deliveries list shows what it has not told, and deliveries retry sends it again"
	case s.Dead > 0:
		f.State = isNote
	}
	return f
}
