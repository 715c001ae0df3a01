package sql

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/watchlist"
)

// addFormer says of counterparties that are on no list which they were on. Most
// payments have none such, and ask nothing of the database.
func (c *commit) addFormer(ctx context.Context, all []alerts.Counterparty) error {
	place := map[int64]int{}
	var scripts []int64
	for i, p := range all {
		if len(p.Listings) > 0 {
			continue
		}
		a, err := chain.ParseAddress(p.Address, c.store.params)
		if err != nil {
			continue // what has no address is on no list
		}
		if id, ok := c.set.match.Number(a.Script); ok && c.set.scripts[id] != nil {
			place[id], scripts = i, append(scripts, id)
		}
	}
	if len(scripts) == 0 {
		return nil
	}
	found, err := c.tx.Query(ctx, selectListing()+`
		WHERE l.retired
		  AND l.script_id = ANY($1)
		  AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)
		ORDER BY l.id`, scripts)
	if err != nil {
		return fmt.Errorf("read former listings: %w", err)
	}
	ended, err := pgx.CollectRows(found, scanListing)
	if err != nil {
		return fmt.Errorf("read former listings: %w", err)
	}
	for _, l := range ended {
		former := listingsOf([]watchlist.Listing{l.listing})[0]
		at := l.at.UTC()
		former.EndedAt = &at
		p := &all[place[l.script]]
		p.Former = append(p.Former, former)
	}
	return nil
}
