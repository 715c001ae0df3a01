package sql

import (
	"context"
	"fmt"
	"iter"
	"time"

	"btcwatch/watchlist"
)

// EachListing gives the listings that were in force here at an instant, list by
// list in the order in which they came: of the lists named, or of all. It holds
// none of them in memory.
func (s *Store) EachListing(ctx context.Context, lists []string, asOf time.Time) iter.Seq2[watchlist.Listing, error] {
	return func(yield func(watchlist.Listing, error) bool) {
		found, err := s.pool.Query(ctx, selectListing()+`
			LEFT JOIN btcwatch.listing n ON n.supersedes = l.id
			WHERE NOT l.retired
			  AND l.recorded_at <= $1
			  AND (n.recorded_at IS NULL OR n.recorded_at > $1)
			  AND ($2::text[] IS NULL OR l.list = ANY($2))
			ORDER BY l.list, l.id`, asOf, lists)
		if err != nil {
			yield(watchlist.Listing{}, fmt.Errorf("read the listings: %w", err))
			return
		}
		defer found.Close()
		for found.Next() {
			row, err := scanListing(found)
			if !yield(row.listing, err) || err != nil {
				return
			}
		}
		if err := found.Err(); err != nil {
			yield(watchlist.Listing{}, fmt.Errorf("read the listings: %w", err))
		}
	}
}

// ListRow is a list as report.lists gives it.
type ListRow struct {
	List      string     `json:"list"`
	Addresses int64      `json:"addresses"`
	Held      int64      `json:"held"`
	ReadAt    *time.Time `json:"read_at"` // null: it comes from no file
	ChangedAt *time.Time `json:"changed_at"`
	Origin    string     `json:"origin"`
	FailedAt  *time.Time `json:"failed_at"`
	Failure   *string    `json:"failure"`
}

// Lists gives every list there is or was.
func (s *Store) Lists(ctx context.Context) ([]ListRow, error) {
	all, err := rows[ListRow](ctx, s.pool, `
		SELECT list, addresses, held, read_at, changed_at, origin, failed_at, failure
		FROM report.lists
		ORDER BY list`)
	if err != nil {
		return nil, fmt.Errorf("read the lists: %w", err)
	}
	return all, nil
}
