package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// ListFailed is a reading of a list that failed or was refused.
type ListFailed struct {
	List   string
	Origin string
	Kind   string // unreachable, fault or size
	Reason string // for people, in our own words
}

// ListFailed records that a list could not be taken, and tells it, unless the
// same kind of failure was told since the list was last taken.
func (w *Writer) ListFailed(ctx context.Context, f ListFailed) error {
	return w.commit(ctx, "list failure", func(c *commit) error {
		told, failure := false, int64(0)
		var after *int64
		var readAt *time.Time
		err := c.tx.QueryRow(ctx, `
			SELECT id, at
			FROM btcwatch.list_read
			WHERE list = $1
			ORDER BY id DESC
			LIMIT 1`, f.List).Scan(&after, &readAt)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read when %s was last taken: %w", f.List, err)
		}
		err = c.tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM btcwatch.list_failure WHERE list = $1 AND kind = $2 AND after IS NOT DISTINCT FROM $3)`,
			f.List, f.Kind, after).Scan(&told)
		if err != nil {
			return fmt.Errorf("read the failures of %s: %w", f.List, err)
		}
		err = c.tx.QueryRow(ctx, `
			INSERT INTO btcwatch.list_failure (list, origin, at, kind, reason, after)
			VALUES ($1, $2, $3, $4, $5, $6)
			RETURNING id`, f.List, f.Origin, c.at, f.Kind, storable(f.Reason), after).Scan(&failure)
		if err != nil {
			return fmt.Errorf("record that %s could not be taken: %w", f.List, err)
		}
		c.note("list failure %d", failure)
		if told {
			return nil
		}
		a := alerts.ListFailure{
			Network: c.network(), List: f.List, Failure: failure, Origin: f.Origin, Reason: f.Reason, ReadAt: readAt, At: c.at,
		}.Alert(c.store.key)
		return c.alert(ctx, a, subject{})
	})
}

// ListTaken tells that a list was taken again, where it had failed before and
// that was not told yet.
func (w *Writer) ListTaken(ctx context.Context, list string) error {
	var failure, since, open = int64(0), time.Time{}, false
	err := w.store.pool.QueryRow(ctx, `
		SELECT f.id, (SELECT min(o.at) FROM btcwatch.list_failure o WHERE o.list = f.list AND o.after IS NOT DISTINCT FROM f.after),
		       f.after IS DISTINCT FROM (SELECT max(r.id) FROM btcwatch.list_read r WHERE r.list = f.list)
		FROM btcwatch.list_failure f
		WHERE f.list = $1
		ORDER BY f.id DESC
		LIMIT 1`, list).Scan(&failure, &since, &open)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !open {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the failures of %s: %w", list, err)
	}
	a := alerts.ListRecovery{Network: chain.NetworkName(w.store.params), List: list, Failure: failure, Since: since, At: w.store.now().UTC()}.Alert(w.store.key)
	var told bool
	if err := w.store.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM btcwatch.alert WHERE id = $1)`, a.ID[:]).Scan(&told); err != nil || told {
		return err
	}
	return w.commit(ctx, "list taken", func(c *commit) error { return c.alert(ctx, a, subject{}) })
}

// ListUnchanged notes that a list is as it was when it was last read and taken,
// as its server says; false where what was last taken is another file than the
// one that the server means.
func (s *Store) ListUnchanged(ctx context.Context, list string, sum [32]byte) (bool, error) {
	done, err := s.pool.Exec(ctx, `
		INSERT INTO btcwatch.list_read (list, origin, at, format, sha256, entries, held)
		SELECT list, origin, $3, format, sha256, entries, held
		FROM (SELECT * FROM btcwatch.list_read WHERE list = $1 ORDER BY id DESC LIMIT 1) r
		WHERE sha256 = $2`, list, sum[:], s.now().UTC())
	if err != nil {
		return false, fmt.Errorf("note that the list %s is as it was: %w", list, err)
	}
	return done.RowsAffected() > 0, nil
}
