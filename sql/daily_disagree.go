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
