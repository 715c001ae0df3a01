package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotQuarantined says that an explorer is in no quarantine.
var ErrNotQuarantined = errors.New("it is in no quarantine")

// Quarantine is a stretch in which an explorer's word counts for nothing,
// because it was caught in something false.
type Quarantine struct {
	ID       int64
	Explorer string
	Since    time.Time     // when it was caught
	Reason   string        // what was false
	LastLie  time.Time     // when something false was seen last
	Clean    time.Duration // for how long it was probed since then, and nothing false seen
}

// Quarantines gives those that last.
func (s *Store) Quarantines(ctx context.Context) ([]Quarantine, error) {
	open, err := s.pool.Query(ctx, `
		SELECT q.id, e.name, q.since, q.reason, coalesce(n.last_lie_at, q.since), coalesce(n.clean_seconds, 0)
		FROM btcwatch.quarantine q
		JOIN btcwatch.explorer e ON e.id = q.explorer_id
		LEFT JOIN btcwatch.quarantine_now n ON n.quarantine_id = q.id
		WHERE NOT EXISTS (SELECT FROM btcwatch.quarantine_end d WHERE d.quarantine_id = q.id)
		ORDER BY q.id`)
	if err != nil {
		return nil, fmt.Errorf("read the quarantines: %w", err)
	}
	all, err := pgx.CollectRows(open, func(row pgx.CollectableRow) (q Quarantine, err error) {
		var seconds int64
		err = row.Scan(&q.ID, &q.Explorer, &q.Since, &q.Reason, &q.LastLie, &seconds)
		q.Clean = time.Duration(seconds) * time.Second
		return q, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the quarantines: %w", err)
	}
	return all, nil
}

// BeginQuarantine records that an explorer was caught, unless it is in
// quarantine already, and gives the row.
func (w *Writer) BeginQuarantine(ctx context.Context, q Quarantine) (Quarantine, error) {
	err := w.commit(ctx, "quarantine", func(c *commit) error {
		open, err := c.quarantined(ctx, q.Explorer)
		if err != nil || open != 0 {
			q.ID = open
			return err
		}
		explorer, err := c.explorer(ctx, q.Explorer)
		if err != nil {
			return err
		}
		c.note("quarantine %s %s", q.Explorer, q.Reason)
		return c.tx.QueryRow(ctx, `
			INSERT INTO btcwatch.quarantine (explorer_id, since, reason, at)
			VALUES ($1, $2, $3, $4)
			RETURNING id`, explorer, q.Since, q.Reason, c.at).Scan(&q.ID)
	})
	if err != nil {
		return q, fmt.Errorf("record that %s was caught: %w", q.Explorer, err)
	}
	return q, nil
}

// EndQuarantine records that an explorer was clean for long enough.
func (w *Writer) EndQuarantine(ctx context.Context, explorer string) error {
	err := w.commit(ctx, "quarantine over", func(c *commit) error {
		return c.endQuarantine(ctx, explorer, "clean", nil, "")
	})
	if err != nil && !errors.Is(err, ErrNotQuarantined) {
		return fmt.Errorf("end the quarantine of %s: %w", explorer, err)
	}
	return nil
}

// ClearQuarantine records that a person trusts an explorer again, and why.
// Whoever leads takes it up when it judges next. ErrNotQuarantined where there
// is nothing to clear.
func (s *Store) ClearQuarantine(ctx context.Context, explorer, actor, reason string) error {
	w := &Writer{store: s, ids: map[string]int32{}, aside: true}
	err := w.commit(ctx, "quarantine cleared", func(c *commit) error {
		return c.endQuarantine(ctx, explorer, "cleared", &actor, reason)
	})
	if err != nil {
		return fmt.Errorf("clear %s: %w", explorer, err)
	}
	return nil
}

func (c *commit) endQuarantine(ctx context.Context, explorer, how string, actor *string, reason string) error {
	id, err := c.quarantined(ctx, explorer)
	if err != nil {
		return err
	}
	if id == 0 {
		return ErrNotQuarantined
	}
	c.note("quarantine %d %s %s", id, how, reason)
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.quarantine_end (quarantine_id, at, how, actor, reason)
		VALUES ($1, $2, $3, $4, $5)`, id, c.at, how, actor, reason)
	return err
}

// quarantined is the row of an explorer's quarantine; 0: it is in none.
func (c *commit) quarantined(ctx context.Context, explorer string) (id int64, err error) {
	err = c.tx.QueryRow(ctx, `
		SELECT q.id
		FROM btcwatch.quarantine q
		JOIN btcwatch.explorer e ON e.id = q.explorer_id
		WHERE e.name = $1
		  AND NOT EXISTS (SELECT FROM btcwatch.quarantine_end d WHERE d.quarantine_id = q.id)
		ORDER BY q.id DESC
		LIMIT 1`, explorer).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// SaveClean rewrites how clean an explorer in quarantine is.
func (s *Store) SaveClean(ctx context.Context, q Quarantine) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO btcwatch.quarantine_now (quarantine_id, clean_seconds, last_lie_at)
		VALUES ($1, $2, $3)
		ON CONFLICT (quarantine_id) DO UPDATE
		SET clean_seconds = excluded.clean_seconds, last_lie_at = excluded.last_lie_at`, q.ID, int64(q.Clean.Seconds()), q.LastLie)
	if err != nil {
		return fmt.Errorf("save how clean %s is: %w", q.Explorer, err)
	}
	return nil
}
