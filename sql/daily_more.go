package sql

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// activity counts the alerts that were sent, by severity, the most severe first.
func (g dayReader) activity(ctx context.Context, r *alerts.Report) error {
	found, err := g.tx.Query(ctx, `
		SELECT severity, count(*) FILTER (WHERE about = 'payment'), count(*) FILTER (WHERE about <> 'payment')
		FROM btcwatch.alert
		WHERE opened_at >= $1
		  AND opened_at < $2
		  AND NOT quiet
		  AND type <> 'report.daily'
		GROUP BY severity
		ORDER BY array_position('{severe,high,medium,low,info}', severity)`, r.From, r.To)
	if err != nil {
		return err
	}
	r.NewAlerts, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (alerts.SeverityCount, error) {
		var c alerts.SeverityCount
		var severity string
		if err := row.Scan(&severity, &c.Payments, &c.Other); err != nil {
			return c, err
		}
		var err error
		c.Severity, err = alerts.ParseSeverity(severity)
		return c, err
	})
	return err
}

// ages sorts the alerts about payments that were sent by how long they are open,
// and counts those that somebody worked on.
func (g dayReader) ages(ctx context.Context, r *alerts.Report) error {
	r.Ages = &alerts.AlertAges{}
	return g.tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE state = 'open' AND opened_at > $2::timestamptz - interval '1 day'),
		       count(*) FILTER (WHERE state = 'open' AND opened_at <= $2::timestamptz - interval '1 day' AND opened_at > $2::timestamptz - interval '7 days'),
		       count(*) FILTER (WHERE state = 'open' AND opened_at <= $2::timestamptz - interval '7 days'),
		       count(*) FILTER (WHERE state = 'acknowledged'),
		       count(*) FILTER (WHERE state = 'closed' AND closed_at >= $1 AND closed_at < $2)
		FROM report.alerts
		WHERE NOT quiet
		  AND type LIKE 'transaction.%'`, r.From, r.To).
		Scan(&r.Ages.Day, &r.Ages.Week, &r.Ages.Older, &r.Ages.Acknowledged, &r.Ages.Closed)
}

// lists counts listings that came, were changed and went.
func (g dayReader) lists(ctx context.Context, r *alerts.Report) error {
	var day alerts.ListDay
	err := g.tx.QueryRow(ctx, `
		SELECT count(DISTINCT l.import_id),
		       count(*) FILTER (WHERE NOT l.retired AND coalesce(b.retired, true)),
		       count(*) FILTER (WHERE NOT l.retired AND NOT coalesce(b.retired, true)),
		       count(*) FILTER (WHERE l.retired)
		FROM btcwatch.import i
		JOIN btcwatch.listing l ON l.import_id = i.id
		LEFT JOIN btcwatch.listing b ON b.id = l.supersedes
		WHERE i.at >= $1
		  AND i.at < $2`, r.From, r.To).Scan(&day.Changes, &day.Added, &day.Changed, &day.Retired)
	if err == nil && day.Changes > 0 {
		r.Lists = &day
	}
	return err
}

// record is how far the record goes, at the moment at which all of this is read.
func (g dayReader) record(ctx context.Context, r *alerts.Report) error {
	var day alerts.RecordDay
	var hash, head []byte
	err := g.tx.QueryRow(ctx, `
		SELECT p.height, p.hash, (SELECT count(*) FROM btcwatch.journal), (SELECT digest FROM btcwatch.journal ORDER BY seq DESC LIMIT 1)
		FROM btcwatch.position p`).Scan(&day.Height, &hash, &day.Commits, &head)
	if err != nil {
		return err
	}
	if day.Height != nil && len(hash) == chainhash.HashSize {
		day.Hash = chainhash.Hash(hash).String()
	}
	day.Head = hex.EncodeToString(head)
	r.Record = &day
	return nil
}

// fiat is the newest rate of the configured currency, and who stated others.
func (g dayReader) fiat(ctx context.Context, r *alerts.Report) error {
	var day alerts.FiatDay
	var maxAge time.Duration
	err := g.tx.QueryRow(ctx, `SELECT currency, max_age FROM btcwatch.fiat_now`).Scan(&day.Currency, &maxAge)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	r.Fiat = &day
	var minor int64
	var at time.Time
	var currency chain.Currency
	err = g.tx.QueryRow(ctx, `
		SELECT minor, digits, at, source
		FROM btcwatch.rate
		WHERE currency = $1
		  AND at <= $2
		ORDER BY at DESC, own DESC, source COLLATE "C", id DESC
		LIMIT 1`, day.Currency, r.To).Scan(&minor, &currency.Digits, &at, &day.Source)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	at = at.UTC()
	day.Rate, day.Time, day.Aged = currency.Text(minor), &at, r.To.Sub(at) > maxAge
	found, err := g.tx.Query(ctx, `
		SELECT DISTINCT source COLLATE "C"
		FROM report.rates
		WHERE currency = $1
		  AND recorded_at >= $2
		  AND recorded_at < $3
		  AND disputed
		ORDER BY 1`, day.Currency, r.From, r.To)
	if err != nil {
		return err
	}
	day.Disputed, err = pgx.CollectRows(found, pgx.RowTo[string])
	return err
}
