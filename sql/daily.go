package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// Daily is what the daily report needs that the record does not hold.
type Daily struct {
	Date     string // in the zone of the schedule; one report a date
	From, To time.Time
	Round    map[string]time.Duration // by explorer: how long a mempool round takes at its pace
	Versions []string
}

// TellDaily records the daily report as an alert, once for a date.
func (w *Writer) TellDaily(ctx context.Context, d Daily) error {
	return w.commit(ctx, "daily report", func(c *commit) error {
		r := alerts.Report{
			Network: c.network(), Date: d.Date, At: c.at, From: d.From.UTC(), To: d.To.UTC(), Versions: d.Versions,
		}
		for _, read := range []func(context.Context, Daily, *alerts.Report) error{
			c.dailyCounts, c.dailyPayments, c.dailyBlocks, c.dailyGaps, c.dailyExplorers, c.dailyOldest,
		} {
			if err := read(ctx, d, &r); err != nil {
				return fmt.Errorf("gather the daily report: %w", err)
			}
		}
		return c.alert(ctx, r.Alert(c.store.key), subject{})
	})
}

func (c *commit) dailyCounts(ctx context.Context, d Daily, r *alerts.Report) error {
	return c.tx.QueryRow(ctx, `
		SELECT (SELECT count(DISTINCT script_id) FROM btcwatch.listing_now),
		       (SELECT count(*) FROM btcwatch.delivery WHERE state = 'waiting'),
		       (SELECT count(*) FROM btcwatch.delivery WHERE state = 'dead' AND died_at >= $1),
		       (SELECT min(a.opened_at) FROM btcwatch.delivery d JOIN btcwatch.alert a ON a.id = d.alert_id WHERE d.state = 'waiting'),
		       (SELECT count(*) FROM report.alerts WHERE state = 'open' AND NOT quiet AND type LIKE 'transaction.%'),
		       (SELECT count(*)
		        FROM btcwatch.alert
		        WHERE type = 'transaction.confirmed' AND quiet AND severity <> 'info' AND opened_at >= $1 AND opened_at < $2),
		       dust.count, dust.sum
		FROM (
		    SELECT count(*) AS count, coalesce(sum(amount), 0)::bigint AS sum
		    FROM (
		        SELECT DISTINCT ON (script_id, tx_id) amount
		        FROM btcwatch.alert
		        WHERE severity = 'info' AND about = 'payment' AND opened_at >= $1 AND opened_at < $2
		    ) x
		) dust`, d.From, d.To).
		Scan(&r.Addresses, &r.Waiting, &r.Dead, &r.WaitingFor, &r.Open, &r.Deeper, &r.DustCount, &r.DustSat)
}

// dailyPayments counts each payment once, by the first word about it.
func (c *commit) dailyPayments(ctx context.Context, d Daily, r *alerts.Report) error {
	found, err := c.tx.Query(ctx, `
		SELECT x.severity, x.direction, count(*), coalesce(sum(x.amount), 0)::bigint, count(*) FILTER (WHERE x.amount IS NULL)
		FROM (
		    SELECT DISTINCT ON (script_id, tx_id) severity, amount, convert_from(body, 'UTF8')::jsonb #>> '{data,direction}' AS direction, opened_at
		    FROM btcwatch.alert
		    WHERE about = 'payment' AND severity <> 'info' AND type IN ('transaction.seen', 'transaction.confirmed')
		    ORDER BY script_id, tx_id, seq
		) x
		WHERE x.opened_at >= $1
		  AND x.opened_at < $2
		GROUP BY x.severity, x.direction`, d.From, d.To)
	if err != nil {
		return err
	}
	r.Payments, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (alerts.PaymentSum, error) {
		var s alerts.PaymentSum
		var severity, direction string
		if err := row.Scan(&severity, &direction, &s.Count, &s.AmountSat, &s.Unknown); err != nil {
			return s, err
		}
		s.Direction = alerts.Direction(direction)
		var err error
		s.Severity, err = alerts.ParseSeverity(severity)
		return s, err
	})
	return err
}

func (c *commit) dailyBlocks(ctx context.Context, d Daily, r *alerts.Report) error {
	var from, to *int32
	err := c.tx.QueryRow(ctx, `
		SELECT min(b.height), max(b.height)
		FROM btcwatch.chain_now n
		JOIN btcwatch.block b ON b.id = n.block_id
		WHERE b.recorded_at >= $1
		  AND b.recorded_at < $2`, d.From, d.To).Scan(&from, &to)
	if err == nil && from != nil {
		r.Blocks = &alerts.BlockRange{From: *from, To: *to, Proof: c.grade()}
	}
	return err
}

func (c *commit) dailyGaps(ctx context.Context, d Daily, r *alerts.Report) error {
	found, err := c.tx.Query(ctx, `
		SELECT g.kind, coalesce(g.address, ''), g.from_height, g.to_height, g.from_time, g.to_time, g.reason
		FROM report.gaps g
		WHERE coalesce(g.to_time, $2) >= $1
		UNION ALL
		SELECT o.kind, '', NULL, NULL, o.since, NULL, o.reason
		FROM btcwatch.outage o
		WHERE o.kind IN ('blocks', 'mempool')
		  AND NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)
		UNION ALL
		SELECT DISTINCT 'mempool', s.address, NULL::integer, NULL::integer, NULL::timestamptz, NULL::timestamptz, a.error
		FROM btcwatch.asked a
		JOIN btcwatch.script s ON s.id = a.script_id
		JOIN btcwatch.listing_now l ON l.script_id = s.id
		WHERE a.error IS NOT NULL`, d.From, d.To)
	if err != nil {
		return err
	}
	r.Gaps, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (alerts.Gap, error) {
		var g alerts.Gap
		err := row.Scan(&g.Kind, &g.Address, &g.FromHeight, &g.ToHeight, &g.From, &g.To, &g.Reason)
		return g, err
	})
	return err
}

func (c *commit) dailyExplorers(ctx context.Context, d Daily, r *alerts.Report) error {
	found, err := c.tx.Query(ctx, `
		SELECT name, state, tip_height, last_success_at
		FROM report.explorers
		ORDER BY name`)
	if err != nil {
		return err
	}
	r.Explorers, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (alerts.ExplorerDay, error) {
		var e alerts.ExplorerDay
		err := row.Scan(&e.Name, &e.State, &e.TipHeight, &e.LastSuccess)
		e.RoundSeconds = int64(d.Round[e.Name].Seconds())
		return e, err
	})
	return err
}

func (c *commit) dailyOldest(ctx context.Context, _ Daily, r *alerts.Report) error {
	var o alerts.OpenAlert
	var severity string
	err := c.tx.QueryRow(ctx, `
		SELECT id, opened_at, severity, summary
		FROM report.alerts
		WHERE state = 'open'
		  AND NOT quiet
		  AND type LIKE 'transaction.%'
		ORDER BY opened_at
		LIMIT 1`).Scan(&o.ID, &o.OpenedAt, &severity, &o.Summary)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.Severity, err = alerts.ParseSeverity(severity); err != nil {
		return err
	}
	r.OldestOpen = &o
	return nil
}
