package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain/explorer"
)

// SaveSpent rewrites what was asked of an explorer lately, and forgets what
// counts no more.
func (s *Store) SaveSpent(ctx context.Context, name string, spent []explorer.Spent) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		id, err := nameExplorer(ctx, tx, name)
		if err != nil {
			return err
		}
		for _, one := range spent {
			_, err := tx.Exec(ctx, `
				INSERT INTO btcwatch.explorer_spent (explorer_id, at, requests)
				VALUES ($1, $2, $3)
				ON CONFLICT (explorer_id, at) DO UPDATE SET requests = excluded.requests`, id, one.At, one.Requests)
			if err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `DELETE FROM btcwatch.explorer_spent WHERE explorer_id = $1 AND at < $2`, id, s.now().Add(-25*time.Hour))
		return err
	})
	if err != nil {
		return fmt.Errorf("save what %s was asked: %w", name, err)
	}
	return nil
}

// Spent gives what was asked of an explorer in the last day, oldest first.
func (s *Store) Spent(ctx context.Context, name string) ([]explorer.Spent, error) {
	spent, err := rows[explorer.Spent](ctx, s.pool, `
		SELECT s.at, s.requests
		FROM btcwatch.explorer_spent s
		JOIN btcwatch.explorer e ON e.id = s.explorer_id
		WHERE e.name = $1
		  AND s.at > $2
		ORDER BY s.at`, name, s.now().Add(-24*time.Hour-explorer.SpentStretch))
	if err != nil {
		return nil, fmt.Errorf("read what %s was asked: %w", name, err)
	}
	return spent, nil
}
