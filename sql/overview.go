package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Overview is what the record holds of the watch, for who looks without asking
// anybody else.
type Overview struct {
	Watched      int64 // addresses in force
	Confidential int64 // of them, those nobody is asked about
	Retired      int64
	Read         int64      // of those in force that may be asked about, whose history was read to the end
	TipAt        *time.Time // time of the block at the position; nil: there is none
	Alerts       []AlertCount
	Disagreed    int64 // alerts that explorers contradict each other, since a time
	Rounds       []RoundRow
	Explorers    []ExplorerStanding
}

// AlertCount is how many alerts of a severity wait for staff.
type AlertCount struct {
	Severity string
	Open     int64
}

// RoundRow is when a scheduled job last began.
type RoundRow struct {
	Name    string
	BeganAt time.Time
}

// ExplorerStanding is how the leader found a configured explorer last.
type ExplorerStanding struct {
	Name        string
	Kind        string
	Operator    string
	State       string
	TipHeight   *int32
	LastSuccess *time.Time
	LastError   *string
	LastErrorAt *time.Time
	Failovers   int64
}

// Overview reads it, as of one moment; what explorers contradict each other in
// since a time.
func (s *Store) Overview(ctx context.Context, since time.Time) (*Overview, error) {
	o := &Overview{}
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		for _, read := range []func(context.Context, pgx.Tx) error{o.watch, o.tip, o.alerts, o.rounds, o.explorers} {
			if err := read(ctx, tx); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `
			SELECT count(*)
			FROM btcwatch.alert
			WHERE type = 'explorer.disagreed'
			  AND opened_at >= $1`, since).Scan(&o.Disagreed)
	})
	if err != nil {
		return nil, fmt.Errorf("read how the watch stands: %w", err)
	}
	return o, nil
}

func (o *Overview) watch(ctx context.Context, tx pgx.Tx) error {
	return tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE n.script_id IS NOT NULL),
		       count(*) FILTER (WHERE n.confidential),
		       count(*) FILTER (WHERE n.script_id IS NULL),
		       count(*) FILTER (WHERE NOT n.confidential AND EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = n.script_id))
		FROM (SELECT DISTINCT script_id FROM btcwatch.listing) l
		LEFT JOIN (
		    SELECT script_id, bool_or(confidential) AS confidential
		    FROM btcwatch.listing_now
		    GROUP BY script_id
		) n ON n.script_id = l.script_id`).Scan(&o.Watched, &o.Confidential, &o.Retired, &o.Read)
}

func (o *Overview) tip(ctx context.Context, tx pgx.Tx) error {
	return tx.QueryRow(ctx, `
		SELECT (SELECT b.time FROM btcwatch.block b WHERE b.hash = p.hash)
		FROM btcwatch.position p`).Scan(&o.TipAt)
}

func (o *Overview) alerts(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, `
		SELECT a.severity, count(*) AS open
		FROM btcwatch.alert a
		WHERE NOT a.quiet
		  AND a.type <> 'report.daily'
		  AND coalesce((
		      SELECT s.action
		      FROM btcwatch.staff_action s
		      WHERE s.alert_id = a.id AND s.action <> 'note'
		      ORDER BY s.id DESC
		      LIMIT 1), 'reopen') = 'reopen'
		GROUP BY a.severity
		ORDER BY array_position(ARRAY['severe', 'high', 'medium', 'low', 'info'], a.severity)`)
	if err != nil {
		return err
	}
	o.Alerts, err = pgx.CollectRows(found, pgx.RowToStructByName[AlertCount])
	return err
}

func (o *Overview) rounds(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, `
		SELECT name, began_at
		FROM btcwatch.job_run
		ORDER BY name`)
	if err != nil {
		return err
	}
	o.Rounds, err = pgx.CollectRows(found, pgx.RowToStructByName[RoundRow])
	return err
}

func (o *Overview) explorers(ctx context.Context, tx pgx.Tx) error {
	found, err := tx.Query(ctx, `
		SELECT name, kind, operator, state, tip_height, last_success_at AS last_success, last_error, last_error_at, failovers
		FROM report.explorers
		ORDER BY name`)
	if err != nil {
		return err
	}
	o.Explorers, err = pgx.CollectRows(found, pgx.RowToStructByName[ExplorerStanding])
	return err
}
