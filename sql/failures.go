package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AddFailures adds to how often an explorer failed today, by the kinds of its
// failures.
func (s *Store) AddFailures(ctx context.Context, explorer string, more map[string]int64) error {
	now := s.now().UTC()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for kind, count := range more {
			_, err := tx.Exec(ctx, `
				INSERT INTO btcwatch.explorer_failure AS f (explorer_id, day, kind, count, last_at)
				SELECT id, $2, $3, $4, $5
				FROM btcwatch.explorer
				WHERE name = $1
				ON CONFLICT (explorer_id, day, kind) DO UPDATE
				SET count = f.count + excluded.count,
				    last_at = excluded.last_at`, explorer, now.Format(time.DateOnly), kind, count, now)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save the failures of %s: %w", explorer, err)
	}
	return nil
}

// Failure is how often an explorer failed in one way.
type Failure struct {
	Explorer string    `json:"-"`
	Kind     string    `json:"kind"`
	Count    int64     `json:"count"`
	LastAt   time.Time `json:"last_at"`
}

// Failures gives those of explorers since the beginning of a UTC day, the most
// frequent first.
func (s *Store) Failures(ctx context.Context, since time.Time) ([]Failure, error) {
	list, err := rows[Failure](ctx, s.pool, `
		SELECT explorer, kind, sum(count)::bigint AS count, max(last_at) AS last_at
		FROM report.explorer_failures
		WHERE day >= $1
		GROUP BY explorer, kind
		ORDER BY explorer, count DESC, kind`, since.UTC().Format(time.DateOnly))
	if err != nil {
		return nil, fmt.Errorf("read how explorers failed: %w", err)
	}
	return list, nil
}
