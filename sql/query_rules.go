package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/watchlist"
)

// recordedAddress is what rules need to know of a watched address.
type recordedAddress struct {
	text     string
	since    *time.Time // when the watch of it began
	covered  bool       // its past is read
	listings []watchlist.Listing
}

// Recorded gives every payment on record that stands, with a time from one moment
// up to another (zero: without bound), as rules judge it: each address by itself,
// oldest first. Listings are those of now; what stands about a payment is what it
// came to. It reads row by row.
func (s *Store) Recorded(ctx context.Context, tell Telling, from, to time.Time, each func(alerts.Payment) error) error {
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		r := recordReader{tx: tx, rules: tell.Rules, fiat: tell.Fiat, addresses: map[int64]*recordedAddress{}, sides: map[int64][]side{}}
		for _, read := range []func(context.Context) error{r.readAddresses, r.readListings, r.readSides} {
			if err := read(ctx); err != nil {
				return err
			}
		}
		return r.read(ctx, from, to, each)
	})
	if err != nil {
		return fmt.Errorf("read the recorded payments: %w", err)
	}
	return nil
}

// recordReader reads payments as rules judge them.
type recordReader struct {
	tx        pgx.Tx
	rules     alerts.Rules
	fiat      chain.Currency
	addresses map[int64]*recordedAddress // by script
	sides     map[int64][]side           // by transaction: the watched ones, where there are several
}

// side is a watched address in a transaction.
type side struct {
	script int64
	debit  bool // it pays
	credit bool // it is paid
}

func (r *recordReader) readAddresses(ctx context.Context) error {
	found, err := r.tx.Query(ctx, `
		SELECT s.id, s.address, j.at, EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = s.id)
		FROM (SELECT DISTINCT script_id FROM btcwatch.listing_now) l
		JOIN btcwatch.script s ON s.id = l.script_id
		LEFT JOIN btcwatch.joined j ON j.script_id = s.id`)
	if err != nil {
		return err
	}
	var id int64
	var a recordedAddress
	_, err = pgx.ForEachRow(found, []any{&id, &a.text, &a.since, &a.covered}, func() error {
		one := a
		r.addresses[id] = &one
		a = recordedAddress{}
		return nil
	})
	return err
}

func (r *recordReader) readListings(ctx context.Context) error {
	all, err := currentListings(ctx, r.tx, `true`)
	if err != nil {
		return err
	}
	for _, l := range all {
		if a := r.addresses[l.script]; a != nil {
			a.listings = append(a.listings, l.listing)
		}
	}
	return nil
}

// readSides reads the transactions that more than one watched address has a part
// in: only of these can the other side be listed.
func (r *recordReader) readSides(ctx context.Context) error {
	found, err := r.tx.Query(ctx, `
		SELECT m.tx_id, m.script_id, bool_or(m.direction = 1), bool_or(m.direction = 0)
		FROM (
		    SELECT tx_id, script_id, direction FROM btcwatch.movement
		    UNION ALL
		    SELECT tx_id, script_id, direction FROM btcwatch.pending
		) m
		WHERE m.tx_id IN (SELECT u.tx_id FROM btcwatch.touch u GROUP BY u.tx_id HAVING count(*) > 1)
		GROUP BY m.tx_id, m.script_id`)
	if err != nil {
		return err
	}
	var tx int64
	var s side
	_, err = pgx.ForEachRow(found, []any{&tx, &s.script, &s.debit, &s.credit}, func() error {
		r.sides[tx] = append(r.sides[tx], s)
		return nil
	})
	return err
}

// recordedRow is a payment on record.
type recordedRow struct {
	script, tx int64
	txid       []byte
	state      string
	proof      string
	at         time.Time
	credits    int64
	debits     int64
	unknown    int64
	received   int64
	sent       int64
	alone      bool // nobody else is paid
	height     *int32
	rate       *int64 // minor units for a bitcoin; null: none is near enough, or no rule asks
}

func (r *recordReader) read(ctx context.Context, from, to time.Time, each func(alerts.Payment) error) error {
	asked := ""
	if r.rules.InFiat() {
		asked = r.fiat.Code
	}
	found, err := r.tx.Query(ctx, `
		SELECT m.script_id, m.tx_id, t.txid, n.state, n.proof, least(n.first_seen_at, n.block_time) AS at,
		       count(*) FILTER (WHERE m.direction = 0), count(*) FILTER (WHERE m.direction = 1), count(*) FILTER (WHERE m.amount IS NULL),
		       coalesce(sum(m.amount) FILTER (WHERE m.direction = 0), 0)::bigint, coalesce(sum(m.amount) FILTER (WHERE m.direction = 1), 0)::bigint,
		       NOT EXISTS (SELECT FROM btcwatch.tx_output o WHERE o.tx_id = m.tx_id AND o.script_id <> m.script_id AND o.amount > 0),
		       n.height,
		       CASE WHEN $1 <> '' THEN (SELECT r.minor FROM btcwatch.rate_at(coalesce(n.block_time, n.first_seen_at)) r WHERE r.currency = $1) END
		FROM (
		    SELECT script_id, tx_id, height, direction, amount FROM btcwatch.moved
		    UNION ALL
		    SELECT script_id, tx_id, NULL, direction, amount FROM btcwatch.pending
		) m
		JOIN btcwatch.tx_now n ON n.tx_id = m.tx_id AND n.state IN ('unconfirmed', 'confirmed') AND n.height IS NOT DISTINCT FROM m.height
		JOIN btcwatch.tx t ON t.id = m.tx_id
		GROUP BY m.script_id, m.tx_id, t.txid, n.state, n.proof, n.first_seen_at, n.block_time, n.height
		ORDER BY m.script_id, at, m.tx_id`, asked)
	if err != nil {
		return err
	}
	var p recordedRow
	var before int64
	var lastAt *time.Time // of the last activity at the address but dust
	_, err = pgx.ForEachRow(found, []any{&p.script, &p.tx, &p.txid, &p.state, &p.proof, &p.at, &p.credits, &p.debits, &p.unknown, &p.received, &p.sent, &p.alone, &p.height, &p.rate}, func() error {
		a := r.addresses[p.script]
		if a == nil {
			return nil // retired: it is recorded, and not told
		}
		if p.script != before {
			before, lastAt = p.script, nil
		}
		payment := r.payment(p, a)
		payment.RestingSince = resting(a, lastAt, p.at)
		if !r.rules.Little(payment) && (lastAt == nil || p.at.After(*lastAt)) {
			at := p.at
			lastAt = &at
		}
		if p.at.Before(from) || !to.IsZero() && !p.at.Before(to) {
			return nil
		}
		return each(payment)
	})
	return err
}

// resting is since when an address was at rest, as restingSince finds it.
func resting(a *recordedAddress, last *time.Time, at time.Time) *time.Time {
	since := a.since
	if since != nil && since.After(at) {
		since = nil // from before the watch
	}
	if last != nil && (a.covered || since == nil || last.After(*since)) {
		since = last
	}
	return since
}

func (r *recordReader) payment(row recordedRow, a *recordedAddress) alerts.Payment {
	p := alerts.Payment{
		Address: a.text, Listings: listingsOf(a.listings), TxID: chainhash.Hash(row.txid).String(),
		Direction: row.direction(), Spends: row.debits > 0, State: alerts.State(row.state), Proof: alerts.Proof(row.proof),
		OccurredAt: row.at.UTC(), Rules: r.rules, BlockHeight: row.height,
	}
	if n := len(a.listings); n > 0 {
		p.Label, p.Entity = a.listings[n-1].Label, a.listings[n-1].Entity
	}
	if row.unknown == 0 {
		net := max(row.received-row.sent, row.sent-row.received)
		p.AmountSat = &net
		if row.rate != nil {
			if minor, ok := chain.Worth(net, *row.rate); ok {
				p.Fiat = &alerts.Fiat{Minor: minor, Currency: r.fiat.Code}
			}
		}
	}
	for _, s := range r.sides[row.tx] {
		if other := r.addresses[s.script]; other != nil && s.script != row.script && (s.debit && !p.Spends || s.credit && p.Spends) {
			p.Counterparties = append(p.Counterparties, alerts.Counterparty{Address: other.text, Listings: listingsOf(other.listings)})
		}
	}
	return p
}

// direction is where the money went, as an alert says it.
func (r recordedRow) direction() alerts.Direction {
	switch {
	case r.debits == 0:
		return alerts.In
	case r.unknown > 0:
		return alerts.Out
	case r.credits > 0 && r.alone:
		return alerts.Within
	case r.received >= r.sent:
		return alerts.In
	}
	return alerts.Out
}
