package sql

import (
	"context"
	"fmt"
	"time"

	"btcwatch/alerts"
)

// gap records the hole that an outage leaves in the record: what came and went
// unconfirmed in that time, and the time in which a job did not run. Blocks are
// caught up with, and alerts that waited are delivered late.
func (c *commit) gap(ctx context.Context, o Outage) error {
	reason := o.Reason
	switch o.Kind {
	case "mempool":
	case "schedule":
		reason = fmt.Sprintf("the job %s did not run: %s", o.Name, o.Reason)
	default:
		return nil
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.gap (kind, from_time, to_time, reason, at)
		VALUES ($1, $2, $3, $4, $3)`, o.Kind, o.Since, c.at, reason)
	return err
}

// hole finds out what became of what an outage hid, as far as the record shows
// it.
func (c *commit) hole(ctx context.Context, o Outage) (h alerts.Hole, err error) {
	no := false
	switch {
	case o.Kind == "blocks", o.Kind == "backlog", o.Kind == "tip":
		err = c.blocksSince(ctx, o, &h)
	case o.Kind == "mempool", o.Kind == "schedule" && o.Name == "mempool":
		h.Closed = &no
	case o.Kind == "delivery":
		err = c.deliveredSince(ctx, o, &h)
	}
	return h, err
}

// wellBefore allows for miners' clocks: a block that says it was found so long
// before a moment was.
const wellBefore = 10 * time.Minute

// blocksSince counts what was read since an outage began, which may be with the
// last block that was read before it. It ends only when the
// position has reached the highest tip shown, so the hole is closed, unless
// blocks are known to be missing.
func (c *commit) blocksSince(ctx context.Context, o Outage, h *alerts.Hole) error {
	var from, to *int32
	err := c.tx.QueryRow(ctx, `
		SELECT count(*), min(b.height), max(b.height), count(*) FILTER (WHERE b.time < o.at - $2::interval)
		FROM btcwatch.outage o
		JOIN btcwatch.block b ON b.recorded_at > o.since
		JOIN btcwatch.chain_now n ON n.block_id = b.id
		WHERE o.id = $1`, o.ID, wellBefore).Scan(&h.Blocks, &from, &to, &h.Older)
	if err != nil {
		return fmt.Errorf("count the blocks read since: %w", err)
	}
	if from != nil {
		h.From, h.To = *from, *to
	}
	var missing bool
	err = c.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM btcwatch.gap WHERE kind = 'blocks' AND at >= $1)`, o.Since).Scan(&missing)
	if err != nil {
		return fmt.Errorf("look for blocks that are missing: %w", err)
	}
	closed := !missing
	h.Closed = &closed
	return nil
}

// deliveredSince counts what a channel took late and what it never took.
func (c *commit) deliveredSince(ctx context.Context, o Outage, h *alerts.Hole) error {
	err := c.tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE d.state = 'delivered' AND d.delivered_at > a.opened_at + $3::interval),
		       count(*) FILTER (WHERE d.state = 'dead')
		FROM btcwatch.delivery d
		JOIN btcwatch.alert a ON a.id = d.alert_id
		WHERE d.channel = $1
		  AND a.type <> 'channel.test'
		  AND a.opened_at >= $2`, o.Name, o.Since, LateAfter).Scan(&h.Late, &h.Dead)
	if err != nil {
		return fmt.Errorf("count what was delivered late: %w", err)
	}
	closed := h.Dead == 0
	h.Closed = &closed
	return nil
}

// died says that alerts wait for a channel no more because it has given them
// up, which channel.failing tells: nothing has been restored.
func (c *commit) died(ctx context.Context, o Outage) (bool, error) {
	if o.Kind != "delivery" {
		return false, nil
	}
	dead, err := c.ongoing(ctx, "channel", o.Name)
	return dead != nil, err
}

// LateAfter is how long an alert may wait for a channel before it is late.
const LateAfter = 5 * time.Minute

// LateChannel is a channel with an alert that waits for too long.
type LateChannel struct {
	Channel string
	Since   time.Time // when the oldest of them was made, or was to go
	Reason  string    // of its last try; empty: not tried, or nothing went wrong
	Waiting int64     // late ones
	Count   int64     // all that wait
}

// LateDeliveries names the channels with alerts that wait for too long, by the
// clock of the database. Those whose deliveries have died are left out: that is
// told as channel.failing.
func (s *Store) LateDeliveries(ctx context.Context) ([]LateChannel, error) {
	late, err := rows[LateChannel](ctx, s.pool, `
		SELECT d.channel,
		       min(greatest(a.opened_at, d.due_at)) AS since,
		       coalesce((array_agg(d.last_error ORDER BY a.seq))[1], '') AS reason,
		       count(*) FILTER (WHERE greatest(a.opened_at, d.due_at) < now() - $1::interval) AS waiting,
		       count(*) AS count
		FROM btcwatch.delivery d
		JOIN btcwatch.alert a ON a.id = d.alert_id
		WHERE d.state = 'waiting'
		  AND a.type <> 'channel.test'
		  AND NOT EXISTS (
		      SELECT
		      FROM btcwatch.outage o
		      WHERE o.kind = 'channel'
		        AND o.name = d.channel
		        AND NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id))
		GROUP BY d.channel
		HAVING min(greatest(a.opened_at, d.due_at)) < now() - $1::interval
		ORDER BY d.channel`, LateAfter)
	if err != nil {
		return nil, fmt.Errorf("look for late deliveries: %w", err)
	}
	return late, nil
}
