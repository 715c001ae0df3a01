package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
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

// found adds when a payment was first known to be in its block, by an explorer
// or by the block itself, and when the tip had been reached before.
func (c *commit) found(ctx context.Context, p *alerts.Payment, tx int64, s standing) error {
	var seen, covered *time.Time
	err := c.tx.QueryRow(ctx, `
		SELECT e.at, e.covered_at, n.first_seen_at
		FROM btcwatch.tx_event e
		JOIN btcwatch.tx_now n ON n.tx_id = e.tx_id
		WHERE e.tx_id = $1
		  AND e.state = 'confirmed'
		  AND e.block_hash = $2
		ORDER BY e.id
		LIMIT 1`, tx, s.block[:]).Scan(&p.FoundAt, &covered, &seen)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find when %s was found in its block: %w", p.TxID, err)
	}
	p.FoundAt = p.FoundAt.UTC()
	if covered != nil {
		p.CoveredAt = covered.UTC()
	}
	p.SeenBefore = seen != nil && seen.Before(p.FoundAt)
	return nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
