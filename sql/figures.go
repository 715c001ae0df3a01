package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Figures counts what the record holds, for metrics. What grows with the years
// is counted once and then added to.
type Figures struct {
	Position  Position
	Watched   int64            // addresses
	Alerts    map[string]int64 // by type, all that were ever made
	Outages   map[string]int64 // open ones, by kind
	Channels  []ChannelRow
	Explorers []ExplorerRow // the configured ones
	Canary    *Canary       // nil: there is none

	lastAlert int64 // seq up to which Alerts counts
	counted   bool  // Watched is that of the position's list
}

// ExplorerRow is how the leader found an explorer last.
type ExplorerRow struct {
	Name        string
	State       string
	TipHeight   *int32
	LastSuccess *time.Time
	Failovers   int64
}

// Figures reads them. before is what was read last, or nil.
func (s *Store) Figures(ctx context.Context, before *Figures) (*Figures, error) {
	f := &Figures{Alerts: map[string]int64{}, Outages: map[string]int64{}}
	if before != nil {
		f.lastAlert = before.lastAlert
		for typ, count := range before.Alerts {
			f.Alerts[typ] = count
		}
	}
	// One snapshot, so that nothing is counted twice.
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for _, read := range []func(context.Context, pgx.Tx) error{f.position, f.alerts, f.outages, f.channels, f.explorers, f.canary} {
			if err := read(ctx, tx); err != nil {
				return err
			}
		}
		if before != nil && before.counted && before.Position.ListVersion == f.Position.ListVersion {
			f.Watched, f.counted = before.Watched, true
			return nil
		}
		f.counted = true
		return tx.QueryRow(ctx, `SELECT count(DISTINCT script_id) FROM btcwatch.listing_now`).Scan(&f.Watched)
	})
	if err != nil {
		return nil, fmt.Errorf("read the figures: %w", err)
	}
	return f, nil
}

func (f *Figures) position(ctx context.Context, tx pgx.Tx) (err error) {
	f.Position, err = scanPosition(tx.QueryRow(ctx, selectPosition))
	return err
}

// alerts counts those that came since. They are made under the position's lock,
// one commit after the other, so that their numbers rise as they appear.
func (f *Figures) alerts(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, `
		SELECT type, count(*), max(seq)
		FROM btcwatch.alert
		WHERE seq > $1
		GROUP BY type`, f.lastAlert)
	if err != nil {
		return err
	}
	var (
		typ         string
		count, last int64
	)
	newest := f.lastAlert
	_, err = pgx.ForEachRow(found, []any{&typ, &count, &last}, func() error {
		f.Alerts[typ] += count
		newest = max(newest, last)
		return nil
	})
	f.lastAlert = newest
	return err
}

func (f *Figures) outages(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, `
		SELECT o.kind, count(*)
		FROM btcwatch.outage o
		WHERE NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)
		GROUP BY o.kind`)
	if err != nil {
		return err
	}
	var (
		kind  string
		count int64
	)
	_, err = pgx.ForEachRow(found, []any{&kind, &count}, func() error {
		f.Outages[kind] = count
		return nil
	})
	return err
}

func (f *Figures) canary(ctx context.Context, tx pgx.Tx) (err error) {
	f.Canary, err = readCanary(ctx, tx)
	return err
}

func (f *Figures) channels(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, selectChannels)
	if err != nil {
		return err
	}
	f.Channels, err = pgx.CollectRows(found, pgx.RowToStructByName[ChannelRow])
	return err
}

func (f *Figures) explorers(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, `
		SELECT name, state, tip_height, last_success_at AS last_success, failovers
		FROM report.explorers
		ORDER BY name`)
	if err != nil {
		return err
	}
	f.Explorers, err = pgx.CollectRows(found, pgx.RowToStructByName[ExplorerRow])
	return err
}
