package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/watchlist"
)

// TellImports tells of the changes of the list whose addresses have their
// history read, or that have waited for it long enough: one alert a change,
// however many addresses and old payments it brought. It waits for patience, and
// for each of the addresses whose history is still to be read as long again as
// told. Where that was not enough, what the rest of the histories shows is told
// when it is there. It gives how many changes still wait.
func (w *Writer) TellImports(ctx context.Context, patience, each time.Duration) (waiting int, err error) {
	open, err := w.untold(ctx)
	if err != nil {
		return 0, err
	}
	for _, i := range open {
		if i.Told && i.Missing > 0 {
			continue
		}
		if i.Missing > 0 && w.store.now().Sub(i.At) < patience+min(time.Duration(i.Missing)*each, longestWait) {
			waiting++
			continue
		}
		if err := w.tellImport(ctx, i); err != nil {
			return waiting, fmt.Errorf("tell of list change %d: %w", i.ID, err)
		}
	}
	return waiting, nil
}

// longestWait is how long the histories of a long list may hold back that it
// changed.
const longestWait = 6 * time.Hour

type openImport struct {
	ID      int64
	Origin  string
	At      time.Time
	Missing int64 // addresses whose history is not read
	Told    bool  // without the histories that were missing then
}

func (w *Writer) untold(ctx context.Context) ([]openImport, error) {
	open, err := rows[openImport](ctx, w.store.pool, `
		SELECT i.id, i.origin, i.at, (
		           SELECT count(DISTINCT l.script_id)
		           FROM btcwatch.listing l
		           WHERE l.import_id = i.id
		             AND NOT l.retired
		             AND NOT l.confidential
		             AND NOT EXISTS (SELECT FROM btcwatch.privacy_now WHERE mode = 'blocks')
		             AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)
		             AND NOT EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = l.script_id)) AS missing,
		       t.import_id IS NOT NULL AS told
		FROM btcwatch.import i
		LEFT JOIN btcwatch.import_told t ON t.import_id = i.id
		WHERE t.import_id IS NULL
		   OR t.missing > 0 AND NOT EXISTS (SELECT FROM btcwatch.import_past_told p WHERE p.import_id = i.id)
		ORDER BY i.id`)
	if err != nil {
		return nil, fmt.Errorf("read changes of the list: %w", err)
	}
	return open, nil
}

func (w *Writer) tellImport(ctx context.Context, i openImport) error {
	// Before the commit, for it may take long; what is recorded meanwhile is told by itself.
	met, unknown, err := w.store.met(ctx, i.ID)
	if err != nil {
		return err
	}
	return w.commit(ctx, "list change", func(c *commit) error {
		first, err := c.noteTold(ctx, i)
		if err != nil || !first {
			return err
		}
		change := alerts.ListChange{
			Network: c.network(), Import: i.ID, At: c.at, Origin: i.Origin,
			HistoryProof: alerts.Reported, HistoryMissing: i.Missing, Met: met, MetUnknown: unknown, Past: i.Told,
		}
		if err := c.listed(ctx, i.ID, &change); err != nil {
			return err
		}
		if err := c.held(ctx, i.ID, &change); err != nil {
			return err
		}
		if err := c.history(ctx, i.ID, &change); err != nil {
			return err
		}
		if i.Told && change.HistoricPayments == 0 && met == nil && !unknown {
			return nil // the rest of the past is empty: nothing was left unsaid
		}
		return c.alert(ctx, change.Alert(c.store.key), subject{})
	})
}

// noteTold notes that a change is told, or the rest of what it brought; false
// where it was before.
func (c *commit) noteTold(ctx context.Context, i openImport) (first bool, err error) {
	statement, args := `
		INSERT INTO btcwatch.import_told (import_id, at, missing)
		VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING`, []any{i.ID, c.at, i.Missing}
	if i.Told {
		statement, args = `
		INSERT INTO btcwatch.import_past_told (import_id, at)
		VALUES ($1, $2)
		ON CONFLICT DO NOTHING`, args[:2]
	}
	done, err := c.tx.Exec(ctx, statement, args...)
	return err == nil && done.RowsAffected() > 0, err
}

// listed counts what a change added, changed and retired, and names the first of each.
func (c *commit) listed(ctx context.Context, id int64, change *alerts.ListChange) error {
	for _, kind := range []struct {
		part  *alerts.ListPart
		where string
	}{
		{&change.Added, `NOT l.retired AND coalesce(b.retired, true)`},
		{&change.Changed, `NOT l.retired AND NOT b.retired`},
		{&change.Retired, `l.retired`},
	} {
		err := c.tx.QueryRow(ctx, `
			SELECT count(*)
			FROM btcwatch.listing l
			LEFT JOIN btcwatch.listing b ON b.id = l.supersedes
			WHERE l.import_id = $1
			  AND `+kind.where, id).Scan(&kind.part.Count)
		if err != nil {
			return err
		}
		found, err := c.tx.Query(ctx, selectListing()+`
			LEFT JOIN btcwatch.listing b ON b.id = l.supersedes
			WHERE l.import_id = $1
			  AND `+kind.where+`
			ORDER BY l.id
			LIMIT $2`, id, alerts.MostListed)
		if err != nil {
			return err
		}
		some, err := pgx.CollectRows(found, scanListing)
		if err != nil {
			return err
		}
		for _, l := range some {
			kind.part.Some = append(kind.part.Some, alerts.ListedAddress{
				Address: l.listing.Address.Text, Label: l.listing.Label, Listings: listingsOf([]watchlist.Listing{l.listing}),
			})
		}
	}
	return nil
}

// held counts the entries of the file that are not watched.
func (c *commit) held(ctx context.Context, id int64, change *alerts.ListChange) error {
	found, err := c.tx.Query(ctx, `
		SELECT reason, count(*)
		FROM btcwatch.held
		WHERE import_id = $1
		GROUP BY reason
		ORDER BY count(*) DESC, reason`, id)
	if err != nil {
		return err
	}
	change.Held, err = pgx.CollectRows(found, pgx.RowToStructByPos[alerts.HeldCount])
	return err
}

// history sums up the historic payments of the addresses that a change added,
// with those that nobody was told of because no list had the address then.
func (c *commit) history(ctx context.Context, id int64, change *alerts.ListChange) error {
	var received, sent int64
	err := c.tx.QueryRow(ctx, `
		SELECT count(DISTINCT (u.script_id, u.tx_id)),
		       count(DISTINCT u.script_id),
		       coalesce(sum(m.amount) FILTER (WHERE m.direction = 0), 0)::bigint,
		       coalesce(sum(m.amount) FILTER (WHERE m.direction = 1), 0)::bigint
		FROM (SELECT DISTINCT script_id FROM btcwatch.listing WHERE import_id = $1 AND NOT retired) l
		JOIN btcwatch.touch u ON u.script_id = l.script_id AND (u.historic OR NOT EXISTS (
		    SELECT FROM btcwatch.listing f
		    WHERE f.script_id = u.script_id
		      AND NOT f.retired
		      AND f.recorded_at <= u.recorded_at
		      AND NOT EXISTS (SELECT FROM btcwatch.listing s WHERE s.supersedes = f.id AND s.recorded_at <= u.recorded_at)))
		JOIN btcwatch.tx_now n ON n.tx_id = u.tx_id
		JOIN btcwatch.moved m ON m.script_id = u.script_id AND m.height = n.height AND m.tx_id = u.tx_id`, id).
		Scan(&change.HistoricPayments, &change.HistoricAddresses, &received, &sent)
	if err != nil {
		return fmt.Errorf("sum up the history: %w", err)
	}
	var unread int64
	err = c.tx.QueryRow(ctx, `
		SELECT count(DISTINCT l.script_id)
		FROM btcwatch.listing l
		WHERE l.import_id = $1
		  AND NOT l.retired
		  AND NOT EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = l.script_id)`, id).Scan(&unread)
	if err != nil {
		return fmt.Errorf("count what nobody is asked about: %w", err)
	}
	change.HistoryUnasked = max(0, unread-change.HistoryMissing)
	if unread == 0 {
		change.HistoricReceivedSat, change.HistoricSentSat = &received, &sent
	}
	return nil
}
