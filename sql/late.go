package sql

import (
	"context"
	"fmt"
	"time"
)

// Reached notes that the chain is covered up to the best tip that explorers
// show. What is found in a block later than it might have been is known by it.
func (w *Writer) Reached(ctx context.Context) error {
	return w.commit(ctx, "reached", func(c *commit) error {
		_, err := c.tx.Exec(ctx, `UPDATE btcwatch.position SET reached_at = $1`, c.at)
		if err != nil {
			return fmt.Errorf("note that the tip is reached: %w", err)
		}
		return nil
	})
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// RecordStop records that nobody was asked about unconfirmed payments since a
// time: what came and went meanwhile is not known. It is false where an outage
// of the mempool is open, which says so itself.
func (w *Writer) RecordStop(ctx context.Context, since time.Time) (told bool, err error) {
	return w.recordUnasked(ctx, since, stopReason)
}

// RecordUnasked records the same of a time in which the privacy mode was blocks.
func (w *Writer) RecordUnasked(ctx context.Context, since time.Time) error {
	_, err := w.recordUnasked(ctx, since, "the privacy mode was blocks, so that nobody was asked about unconfirmed payments")
	return err
}

func (w *Writer) recordUnasked(ctx context.Context, since time.Time, reason string) (told bool, err error) {
	err = w.commit(ctx, "stop", func(c *commit) error {
		open, err := c.ongoing(ctx, "mempool", "")
		if err != nil || open != nil {
			return err
		}
		c.note("stop %s", since.UTC())
		told = true
		if err := c.gap(ctx, Outage{Kind: "mempool", Since: since, Reason: reason}); err != nil {
			return err
		}
		_, err = c.tx.Exec(ctx, `
			UPDATE btcwatch.job_run
			SET began_at = $1
			WHERE name = 'mempool'`, c.at)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("record that nobody was asked since %s: %w", since, err)
	}
	return told, nil
}

const stopReason = "btcwatch was stopped or could not record, so that nobody was asked about unconfirmed payments"

// Gap is something that was not covered. What does not apply is nil.
type Gap struct {
	Kind       string // blocks, mempool, schedule, delivery
	Address    string // empty: all
	FromHeight *int32
	ToHeight   *int32
	FromTime   *time.Time
	ToTime     *time.Time
	Reason     string
}

// Gaps gives the gaps in time that were recorded since one, the latest first;
// BlockGaps has those of blocks.
func (s *Store) Gaps(ctx context.Context, since time.Time) ([]Gap, error) {
	gaps, err := rows[Gap](ctx, s.pool, `
		SELECT g.kind, coalesce(s.address, '') AS address, g.from_height, g.to_height, g.from_time, g.to_time, g.reason
		FROM btcwatch.gap g
		LEFT JOIN btcwatch.script s ON s.id = g.script_id
		WHERE g.at >= $1
		  AND g.kind <> 'blocks'
		ORDER BY g.id DESC`, since)
	if err != nil {
		return nil, fmt.Errorf("read what was not covered: %w", err)
	}
	return gaps, nil
}
