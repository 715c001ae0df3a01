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
