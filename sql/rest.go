package sql

import (
	"context"
	"fmt"
	"time"
)

// restingSince is the time of the last activity at an address before one of its
// transactions, dust left out; where there was none, since when the address is
// watched. Nil: not known.
//
// Where its past is not read, what is recorded from before the watch may lack the
// newest of it: then the rest began no earlier than the watch.
func (c *commit) restingSince(ctx context.Context, script, tx int64) (*time.Time, error) {
	var last *time.Time
	var covered bool
	err := c.tx.QueryRow(ctx, `
		WITH own AS (
		    SELECT least(first_seen_at, block_time) AS at
		    FROM btcwatch.tx_now
		    WHERE tx_id = $2
		)
		SELECT greatest((
		           SELECT at
		           FROM (
		               SELECT m.height, m.tx_id, min(least(n.first_seen_at, n.block_time)) AS at
		               FROM btcwatch.movement m
		               JOIN btcwatch.tx_now n ON n.tx_id = m.tx_id AND n.state = 'confirmed' AND n.height = m.height
		               WHERE m.script_id = $1
		                 AND m.tx_id <> $2
		                 AND least(n.first_seen_at, n.block_time) < own.at
		               GROUP BY m.height, m.tx_id
		               HAVING bool_or(m.direction = 1) OR sum(m.amount) > $3
		               ORDER BY m.height DESC, m.tx_id DESC
		               LIMIT 1
		           ) confirmed), (
		           SELECT max(at)
		           FROM (
		               SELECT n.first_seen_at AS at
		               FROM btcwatch.pending p
		               JOIN btcwatch.tx_now n ON n.tx_id = p.tx_id AND n.state = 'unconfirmed'
		               WHERE p.script_id = $1
		                 AND p.tx_id <> $2
		                 AND n.first_seen_at < own.at
		               GROUP BY p.tx_id, n.first_seen_at
		               HAVING bool_or(p.direction = 1) OR sum(p.amount) > $3
		           ) unconfirmed)),
		       EXISTS (SELECT FROM btcwatch.coverage v WHERE v.script_id = $1)
		FROM own`, script, tx, c.tell.Rules.DustSat()).Scan(&last, &covered)
	if err != nil {
		return nil, fmt.Errorf("find since when an address was at rest: %w", err)
	}
	since := c.set.scripts[script].since
	if last != nil && (covered || since != nil && last.After(*since)) {
		since = last
	}
	return since, nil
}
