package sql

import (
	"context"

	"btcwatch/alerts"
)

// disagreements counts how often explorers disagreed; absent where they never
// did and do not.
func (g dayReader) disagreements(ctx context.Context, r *alerts.Report) error {
	var d alerts.Disagreeing
	err := g.tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE told_at >= $1 AND told_at < $2),
		       count(*) FILTER (WHERE ended_at >= $1 AND ended_at < $2),
		       count(*) FILTER (WHERE told_at < $2 AND (ended_at IS NULL OR ended_at >= $2)),
		       (SELECT coalesce(sum(count), 0)::bigint
		        FROM btcwatch.disagreement_more
		        WHERE day BETWEEN ($1::timestamptz AT TIME ZONE 'UTC')::date AND ($2::timestamptz AT TIME ZONE 'UTC')::date),
		       coalesce(array_agg(DISTINCT wrong) FILTER (WHERE wrong IS NOT NULL AND ended_at >= $1 AND ended_at < $2), '{}')
		FROM report.disagreements
		WHERE ended_at IS NULL
		   OR ended_at >= $1`, r.From, r.To).Scan(&d.Began, &d.Ended, &d.Open, &d.NotKept, &d.Wrong)
	if err == nil && d.Began+d.Ended+d.Open+d.NotKept > 0 {
		r.Disagree = &d
	}
	return err
}

// Difference is where an explorer says something else than another one, or than
// the chain followed, now.
type Difference struct {
	Explorer  string
	Other     string // empty: the chain followed
	Address   string // empty: none in particular
	TxID      string // empty: none in particular
	Kind      string // transaction, mempool, amount, counters or block
	Said      string
	OtherSaid string
}

// Differences gives the disagreements that are open, for each explorer and
// address, in that order.
func (s *Store) Differences(ctx context.Context) ([]Difference, error) {
	return rows[Difference](ctx, s.pool, `
		SELECT explorer, coalesce(other, '') AS other, coalesce(address, '') AS address, coalesce(txid, '') AS tx_id, kind, said, other_said
		FROM report.disagreements
		WHERE ended_at IS NULL
		ORDER BY explorer, address, id`)
}

// Software gives the family of software of each configured explorer, by its
// name; empty where it is not known.
func (s *Store) Software(ctx context.Context) (map[string]string, error) {
	found, err := rows[struct{ Name, Software string }](ctx, s.pool, `SELECT name, software FROM report.explorers`)
	all := map[string]string{}
	for _, f := range found {
		all[f.Name] = f.Software
	}
	return all, err
}
