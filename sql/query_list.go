package sql

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
	"btcwatch/watchlist"
)

// Listings gives the listings in force of an address, oldest first.
func (s *Store) Listings(ctx context.Context, a chain.Address) ([]watchlist.Listing, error) {
	var list []watchlist.Listing
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		found, err := currentListings(ctx, tx, `s.sha256 = $1`, digest(a.Script))
		for _, row := range found {
			list = append(list, row.listing)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the listings of %s: %w", a.Text, err)
	}
	return list, nil
}

// LookAlikes gives watched addresses that begin and end with the same four
// characters as a, which people compare, and are not a.
func (s *Store) LookAlikes(ctx context.Context, a chain.Address) ([]string, error) {
	if len(a.Text) < 8 {
		return nil, nil
	}
	found, err := s.pool.Query(ctx, `
		SELECT DISTINCT s.address
		FROM btcwatch.listing_now l
		JOIN btcwatch.script s ON s.id = l.script_id
		WHERE left(s.address, 4) = $1
		  AND right(s.address, 4) = $2
		  AND s.address <> $3
		ORDER BY s.address
		LIMIT 10`, a.Text[:4], a.Text[len(a.Text)-4:], a.Text)
	if err != nil {
		return nil, fmt.Errorf("look for addresses like %s: %w", a.Text, err)
	}
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for addresses like %s: %w", a.Text, err)
	}
	return list, nil
}

// WatchedAddress gives the row of one address, also of a retired one; false
// where it was never watched.
func (s *Store) WatchedAddress(ctx context.Context, a chain.Address) (WatchedRow, bool, error) {
	list, err := rows[WatchedRow](ctx, s.pool, `
		SELECT a.address, a.label, a.entity, a.category, a.basis, a.list, b.balance_sat, b.tx_count,
		       b.last_activity_at AS last_at, a.added_at, a.retired_at, b.history_known AS history_read
		FROM report.addresses a
		JOIN report.balances b USING (address)
		WHERE a.address = $1`, a.Text)
	if err != nil {
		return WatchedRow{}, false, fmt.Errorf("look for %s: %w", a.Text, err)
	}
	if len(list) == 0 {
		return WatchedRow{}, false, nil
	}
	return list[0], true, nil
}

// Login is the role that this program has on the database.
func (s *Store) Login(ctx context.Context) (string, error) {
	var name string
	if err := s.pool.QueryRow(ctx, `SELECT session_user`).Scan(&name); err != nil {
		return "", fmt.Errorf("ask who we are: %w", err)
	}
	return name, nil
}
