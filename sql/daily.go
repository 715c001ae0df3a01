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

// Daily is what the daily report needs that the record does not hold.
type Daily struct {
	Date     string                   // in the zone of the schedule; one report a date
	Round    map[string]time.Duration // by explorer: how long a mempool round takes at its pace
	Versions []string
}

// TellDaily records the daily report as an alert, once for a date. It goes back
// to where the last one ended, be that more than a day, so that nothing falls
// between two. It is gathered before the commit, which holds up whoever records.
func (w *Writer) TellDaily(ctx context.Context, d Daily) error {
	r := alerts.Report{Network: chain.NetworkName(w.store.params), DustMost: w.tell.Rules.DustSat(), Date: d.Date, To: w.settled(), Versions: d.Versions}
	told := false
	read := func(tx pgx.Tx) (err error) {
		g := dayReader{tx: tx, daily: d, dust: w.tell.Rules.DustSat()}
		if told, err = g.told(ctx, r.Alert(w.store.key).ID); told || err != nil {
			return err
		}
		return g.gather(ctx, &r)
	}
	if err := pgx.BeginTxFunc(ctx, w.store.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read); err != nil {
		return fmt.Errorf("gather the daily report: %w", err)
	}
	if told {
		return nil
	}
	return w.commit(ctx, "daily report", func(c *commit) error {
		r.At = c.at
		if r.Blocks != nil {
			r.Blocks.Proof = c.grade()
		}
		return c.alert(ctx, r.Alert(c.store.key), subject{})
	})
}

// settled is the time now, of which it is sure that every commit with an earlier
// time has ended: one commit at a time takes its time under the same lock. In
// microseconds, as the database has them.
func (w *Writer) settled() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.store.now().UTC().Truncate(time.Microsecond)
}

// dayReader reads the figures of a daily report, all as of one moment.
type dayReader struct {
	tx    pgx.Tx
	daily Daily
	dust  int64 // the most satoshis that are
}

func (g dayReader) told(ctx context.Context, id alerts.ID) (told bool, err error) {
	err = g.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM btcwatch.alert WHERE id = $1)`, id[:]).Scan(&told)
	return told, err
}

func (g dayReader) gather(ctx context.Context, r *alerts.Report) error {
	for _, read := range []func(context.Context, *alerts.Report) error{
		g.since, g.counts, g.payments, g.late, g.blocks, g.gaps, g.explorers, g.disagreements, g.oldest, g.canary, g.privacy,
		g.activity, g.ages, g.lists, g.record, g.fiat,
	} {
		if err := read(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// since is where the last report ended; a day ago where there is none, or where
// it ended in the future because the clock was wrong.
func (g dayReader) since(ctx context.Context, r *alerts.Report) error {
	err := g.tx.QueryRow(ctx, `
		SELECT (convert_from(body, 'UTF8')::json #>> '{data,report,to}')::timestamptz
		FROM btcwatch.alert
		WHERE type = 'report.daily'
		ORDER BY seq DESC
		LIMIT 1`).Scan(&r.From)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if r.From = r.From.UTC(); r.From.IsZero() || r.From.After(r.To) {
		r.From = r.To.Add(-24 * time.Hour)
	}
	return nil
}

func (g dayReader) counts(ctx context.Context, r *alerts.Report) error {
	return g.tx.QueryRow(ctx, `
		SELECT (SELECT count(DISTINCT script_id) FROM btcwatch.listing_now),
		       (SELECT count(*) FROM btcwatch.delivery WHERE state = 'waiting' AND coalesce(due_at <= now(), true)),
		       (SELECT count(*) FROM btcwatch.delivery WHERE state = 'dead' AND died_at >= $1),
		       (SELECT min(a.opened_at) FROM btcwatch.delivery d JOIN btcwatch.alert a ON a.id = d.alert_id WHERE d.state = 'waiting' AND coalesce(d.due_at <= now(), true)),
		       (SELECT count(*) FROM report.alerts WHERE state = 'open' AND NOT quiet AND type LIKE 'transaction.%'),
		       (SELECT count(*)
		        FROM btcwatch.alert
		        WHERE type = 'transaction.confirmed' AND quiet AND severity <> 'info' AND opened_at >= $1 AND opened_at < $2),
		       dust.count, dust.sum, dust.addresses
		FROM (
		    SELECT count(*) AS count, coalesce(sum(amount), 0)::bigint AS sum, count(DISTINCT script_id) AS addresses
		    FROM (
		        SELECT DISTINCT ON (script_id, tx_id) script_id, amount
		        FROM btcwatch.alert
		        WHERE severity = 'info' AND about = 'payment' AND opened_at >= $1 AND opened_at < $2
		          AND type LIKE 'transaction.%' AND direction = 'in' AND amount <= $3
		    ) x
		) dust`, r.From, r.To, g.dust).
		Scan(&r.Addresses, &r.Waiting, &r.Dead, &r.WaitingFor, &r.Open, &r.Deeper, &r.DustCount, &r.DustSat, &r.DustAddresses)
}

// payments counts each payment once, by the first word about it.
func (g dayReader) payments(ctx context.Context, r *alerts.Report) error {
	found, err := g.tx.Query(ctx, `
		SELECT a.severity, coalesce(a.direction, ''), count(*), coalesce(sum(a.amount), 0)::bigint, count(*) FILTER (WHERE a.amount IS NULL)
		FROM btcwatch.alert a
		WHERE a.about = 'payment'
		  AND NOT (a.severity = 'info' AND a.direction = 'in' AND coalesce(a.amount <= $3, false))
		  AND a.type IN ('transaction.seen', 'transaction.confirmed')
		  AND a.opened_at >= $1
		  AND a.opened_at < $2
		  AND NOT EXISTS (
		      SELECT
		      FROM btcwatch.alert f
		      WHERE f.tx_id = a.tx_id
		        AND f.script_id = a.script_id
		        AND f.seq < a.seq
		        AND f.about = 'payment'
		        AND NOT (f.severity = 'info' AND f.direction = 'in' AND coalesce(f.amount <= $3, false))
		        AND f.type IN ('transaction.seen', 'transaction.confirmed'))
		GROUP BY a.severity, a.direction`, r.From, r.To, g.dust)
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

// late counts the payments of which an alert said that they were found late.
func (g dayReader) late(ctx context.Context, r *alerts.Report) error {
	return g.tx.QueryRow(ctx, `
		SELECT count(DISTINCT (script_id, tx_id)), coalesce(max(late_seconds), 0)
		FROM btcwatch.alert
		WHERE late_seconds IS NOT NULL
		  AND opened_at >= $1
		  AND opened_at < $2`, r.From, r.To).Scan(&r.Late, &r.LateMost)
}

func (g dayReader) blocks(ctx context.Context, r *alerts.Report) error {
	var from, to *int32
	err := g.tx.QueryRow(ctx, `
		SELECT min(b.height), max(b.height)
		FROM btcwatch.chain_now n
		JOIN btcwatch.block b ON b.id = n.block_id
		WHERE b.recorded_at >= $1
		  AND b.recorded_at < $2`, r.From, r.To).Scan(&from, &to)
	if err == nil && from != nil {
		r.Blocks = &alerts.BlockRange{From: *from, To: *to}
	}
	return err
}

func (g dayReader) gaps(ctx context.Context, r *alerts.Report) error {
	found, err := g.tx.Query(ctx, `
		SELECT g.kind, coalesce(g.address, ''), g.from_height, g.to_height, g.from_time, g.to_time, g.reason
		FROM report.gaps g
		WHERE coalesce(g.to_time, $2) >= $1
		UNION ALL
		SELECT o.kind, '', NULL, NULL, o.since, NULL, o.reason
		FROM btcwatch.outage o
		WHERE o.kind NOT IN ('explorer', 'channel', 'chain', 'quiet', 'canary')
		  AND NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)
		UNION ALL
		SELECT DISTINCT 'mempool', s.address, NULL::integer, NULL::integer, NULL::timestamptz, NULL::timestamptz, a.error
		FROM btcwatch.asked a
		JOIN btcwatch.script s ON s.id = a.script_id
		JOIN btcwatch.listing_now l ON l.script_id = s.id
		WHERE a.error IS NOT NULL`, r.From, r.To)
	if err != nil {
		return err
	}
	r.Gaps, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (alerts.Gap, error) {
		var p alerts.Gap
		err := row.Scan(&p.Kind, &p.Address, &p.FromHeight, &p.ToHeight, &p.From, &p.To, &p.Reason)
		return p, err
	})
	return err
}

func (g dayReader) explorers(ctx context.Context, r *alerts.Report) error {
	found, err := g.tx.Query(ctx, `
		SELECT name, state, tip_height, last_success_at
		FROM report.explorers
		ORDER BY name`)
	if err != nil {
		return err
	}
	r.Explorers, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (alerts.ExplorerDay, error) {
		var e alerts.ExplorerDay
		err := row.Scan(&e.Name, &e.State, &e.TipHeight, &e.LastSuccess)
		e.RoundSeconds = int64(g.daily.Round[e.Name].Seconds())
		return e, err
	})
	return err
}

func (g dayReader) canary(ctx context.Context, r *alerts.Report) error {
	c, err := readCanary(ctx, g.tx)
	if c == nil || err != nil {
		return err
	}
	r.Canary = &alerts.CanaryDay{Arrived: c.Arrived, Seen: c.Seen, Missed: c.Missed, Unsighted: c.Unsighted, Overdue: c.Told != nil, Watched: c.Watched}
	if c.Last != nil {
		r.Canary.TookSeconds = &c.Last.Took
	}
	return nil
}

func (g dayReader) oldest(ctx context.Context, r *alerts.Report) error {
	var o alerts.OpenAlert
	var severity string
	err := g.tx.QueryRow(ctx, `
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

// privacy is who may be asked, where that is not everybody.
func (g dayReader) privacy(ctx context.Context, r *alerts.Report) error {
	return g.tx.QueryRow(ctx, `SELECT coalesce(nullif(mode, 'ask'), '') FROM btcwatch.privacy_now`).Scan(&r.Privacy)
}
