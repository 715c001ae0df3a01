package sql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// metPatience is how long payments between watched addresses are looked for: a
// list of a hundred thousand, among millions of payments, would take minutes.
const metPatience = time.Minute

// met finds the recorded payments between the addresses that a change of the
// list added and all that are watched, from before the change; nil where there
// are none. What the history of an added address brought counts as of before.
// Where that takes too long, unknown says so.
func (s *Store) met(ctx context.Context, change int64) (found *alerts.Met, unknown bool, err error) {
	limited, cancel := context.WithTimeout(ctx, s.metPatience)
	defer cancel()
	found, err = s.lookForMet(limited, change)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, true, nil
	}
	return found, false, err
}

func (s *Store) lookForMet(ctx context.Context, change int64) (*alerts.Met, error) {
	found, err := s.pool.Query(ctx, `
		WITH added AS MATERIALIZED (
		    SELECT DISTINCT l.script_id, l.recorded_at AS at
		    FROM btcwatch.listing l
		    LEFT JOIN btcwatch.listing b ON b.id = l.supersedes
		    WHERE l.import_id = $1
		      AND NOT l.retired
		      AND coalesce(b.retired, true)
		), party AS (
		    SELECT n.script_id, array_agg(DISTINCT n.list) AS lists,
		           array_remove(array_agg(DISTINCT n.basis), '') AS bases,
		           (array_agg(n.label ORDER BY n.id DESC))[1] AS label,
		           bool_and(n.basis = 'own') AS own
		    FROM btcwatch.listing_now n
		    WHERE EXISTS ( -- who is listed later is told of by that change
		        SELECT FROM btcwatch.listing f
		        WHERE f.script_id = n.script_id
		          AND f.import_id <= $1)
		    GROUP BY n.script_id
		), pair AS (
		    SELECT c.payer, c.payee, `+contactSums+`
		    FROM btcwatch.contacts((SELECT array_agg(script_id) FROM added)) c
		    JOIN btcwatch.tx_now n ON n.tx_id = c.tx_id
		    WHERE EXISTS (
		        SELECT FROM btcwatch.touch t
		        WHERE t.tx_id = c.tx_id
		          AND (t.historic OR t.recorded_at <= (SELECT min(at) FROM added)))
		    GROUP BY c.payer, c.payee
		)
		SELECT count(*) OVER (), p.amount_sat, p.tx_count, p.first_at, p.last_at, p.proof,
		       ps.address, pp.label, pp.lists, pp.bases, p.payer IN (SELECT script_id FROM added),
		       qs.address, qp.label, qp.lists, qp.bases, p.payee IN (SELECT script_id FROM added)
		FROM pair p
		JOIN party pp ON pp.script_id = p.payer
		JOIN party qp ON qp.script_id = p.payee
		JOIN btcwatch.script ps ON ps.id = p.payer
		JOIN btcwatch.script qs ON qs.id = p.payee
		WHERE NOT (pp.own AND qp.own) -- own addresses are news where they meet another listing
		ORDER BY 'own' = ANY(pp.bases || qp.bases) DESC, p.amount_sat DESC, p.payer, p.payee
		LIMIT $2`, change, alerts.MostListed)
	if err != nil {
		return nil, fmt.Errorf("look for payments between watched addresses: %w", err)
	}
	met := &alerts.Met{}
	met.Some, err = pgx.CollectRows(found, func(row pgx.CollectableRow) (m alerts.Meeting, err error) {
		m.Historic = true
		err = row.Scan(append([]any{&met.Count, &m.AmountSat, &m.TxCount, &m.FirstAt, &m.LastAt, &m.Proof}, slices.Concat(columnsOfParty(&m.Payer), columnsOfParty(&m.Payee))...)...)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("look for payments between watched addresses: %w", err)
	}
	if met.Count == 0 {
		return nil, nil
	}
	return met, nil
}

func columnsOfParty(p *alerts.Party) []any {
	return []any{&p.Address, &p.Label, &p.Lists, &p.Bases, &p.Added}
}

// contactSums sum up contacts c in transactions n: what was paid, how often, when
// first and last, and the weakest grade among them.
const contactSums = `sum(c.amount)::bigint AS amount_sat, count(*) AS tx_count,
		           min(coalesce(n.block_time, n.first_seen_at)) AS first_at, max(coalesce(n.block_time, n.first_seen_at)) AS last_at,
		           CASE
		               WHEN bool_or(c.stated OR n.proof = 'reported') THEN 'reported'
		               WHEN bool_or(n.proof = 'corroborated') THEN 'corroborated'
		               ELSE 'proven'
		           END AS proof`
