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

// Rate is what one bitcoin was worth at a time, as its source says.
type Rate struct {
	Currency chain.Currency
	Minor    int64 // minor units of the currency
	At       time.Time
	Source   string
	Own      bool // from the operator's table, which goes before explorers
}

// SetFiat records in which currency amounts are given from now on, and how far a
// rate may be from a payment; the zero currency: in none.
func (w *Writer) SetFiat(ctx context.Context, currency chain.Currency, maxAge time.Duration) error {
	err := w.commit(ctx, "fiat", func(c *commit) error {
		var code string
		var age time.Duration
		err := c.tx.QueryRow(ctx, `SELECT currency, max_age FROM btcwatch.fiat ORDER BY id DESC LIMIT 1`).Scan(&code, &age)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if code == currency.Code && (code == "" || age == maxAge) {
			return nil
		}
		c.note("fiat %q %s", currency.Code, maxAge)
		_, err = c.tx.Exec(ctx, `
			INSERT INTO btcwatch.fiat (currency, max_age, at)
			VALUES ($1, $2, $3)`, currency.Code, maxAge, c.at)
		return err
	})
	if err != nil {
		return fmt.Errorf("record the currency of amounts: %w", err)
	}
	return nil
}

// RecordRates records rates, and gives how many of them are news: a rate that
// its source stated before, of the same time, is none.
func (w *Writer) RecordRates(ctx context.Context, rates []Rate) (news int, err error) {
	if len(rates) == 0 {
		return 0, nil
	}
	err = w.commit(ctx, "rates", func(c *commit) error {
		news, err = c.rates(ctx, rates)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("record %d rates: %w", len(rates), err)
	}
	return news, nil
}

func (c *commit) rates(ctx context.Context, rates []Rate) (news int, err error) {
	var codes, sources []string
	var digits []int16
	var minors []int64
	var times []time.Time
	var own []bool
	for _, r := range rates {
		codes, digits, minors = append(codes, r.Currency.Code), append(digits, int16(r.Currency.Digits)), append(minors, r.Minor)
		times, sources, own = append(times, r.At.UTC()), append(sources, r.Source), append(own, r.Own)
	}
	found, err := c.tx.Query(ctx, `
		INSERT INTO btcwatch.rate (currency, digits, minor, at, source, own, recorded)
		SELECT u.currency, u.digits, u.minor, u.at, u.source, u.own, $7
		FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::timestamptz[], $5::text[], $6::boolean[])
		     WITH ORDINALITY AS u (currency, digits, minor, at, source, own, n)
		WHERE u.minor IS DISTINCT FROM (
		    SELECT r.minor
		    FROM btcwatch.rate r
		    WHERE r.currency = u.currency AND r.at = u.at AND r.source = u.source
		    ORDER BY r.id DESC
		    LIMIT 1)
		ORDER BY u.n
		RETURNING currency, minor, at, source`, codes, digits, minors, times, sources, own, c.at)
	if err != nil {
		return 0, err
	}
	var code, source string
	var minor int64
	var at time.Time
	_, err = pgx.ForEachRow(found, []any{&code, &minor, &at, &source}, func() error {
		c.note("rate %s %d %s %q", code, minor, at.UTC().Format(time.RFC3339Nano), source)
		news++
		return nil
	})
	return news, err
}

// NextRateDay gives the newest UTC day from first to last of which the rate at
// noon was not asked for yet; false when it was of all of them.
func (s *Store) NextRateDay(ctx context.Context, currency chain.Currency, first, last time.Time) (day time.Time, ok bool, err error) {
	var found *time.Time
	err = s.pool.QueryRow(ctx, `
		SELECT max(d.day)::timestamp AT TIME ZONE 'UTC'
		FROM generate_series($2::text::date, $3::text::date, '1 day') AS d (day)
		WHERE NOT EXISTS (SELECT FROM btcwatch.rate_asked a WHERE a.currency = $1 AND a.day = d.day::date)`,
		currency.Code, first.UTC().Format(time.DateOnly), last.UTC().Format(time.DateOnly)).Scan(&found)
	if err != nil {
		return day, false, fmt.Errorf("find the next day to ask a rate of: %w", err)
	}
	if found == nil {
		return day, false, nil
	}
	return found.UTC(), true, nil
}

// RecordRateDay records what was answered of a day; no rates: nobody has one.
func (w *Writer) RecordRateDay(ctx context.Context, currency chain.Currency, day time.Time, rates []Rate) error {
	err := w.commit(ctx, "rates", func(c *commit) error {
		if len(rates) > 0 {
			if _, err := c.rates(ctx, rates); err != nil {
				return err
			}
		}
		_, err := c.tx.Exec(ctx, `
			INSERT INTO btcwatch.rate_asked (currency, day, at)
			VALUES ($1, $2::text::date, $3)
			ON CONFLICT DO NOTHING`, currency.Code, day.UTC().Format(time.DateOnly), c.at)
		return err
	})
	if err != nil {
		return fmt.Errorf("record the rate of %s: %w", day.UTC().Format(time.DateOnly), err)
	}
	return nil
}

// worth adds what a payment was worth at the time of its block, or at first
// sight while it has none. A rate that is not known then stays unknown in this
// alert, whatever is learnt later.
func (c *commit) worth(ctx context.Context, p *alerts.Payment, s standing, seen *time.Time) error {
	currency := c.tell.Fiat
	if p.FiatCurrency = currency.Code; currency.Code == "" || p.AmountSat == nil {
		return nil
	}
	at := c.at
	if s.state == alerts.Confirmed {
		at = s.time
	} else if seen != nil {
		at = *seen
	}
	var rate int64
	fiat := alerts.Fiat{Currency: currency.Code}
	err := c.tx.QueryRow(ctx, `
		SELECT r.minor, r.at, r.source, btcwatch.rate_disputed(r)
		FROM btcwatch.rate_at($1) AS r
		WHERE r.currency = $2`, at, currency.Code).Scan(&rate, &fiat.At, &fiat.Source, &fiat.Disputed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find a rate for %s: %w", p.TxID, err)
	}
	if minor, ok := chain.Worth(*p.AmountSat, rate); ok {
		fiat.Minor = minor
		p.Fiat = &fiat
	}
	return nil
}
