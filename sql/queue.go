package sql

import (
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Queue holds deliveries that wait: those of alerts to the channels, or those of
// the canary to the end of its road. Both are worked by the same statements.
type Queue struct {
	pool   *pgxpool.Pool
	canary bool
}

// on makes a statement about the tables of this queue.
func (q Queue) on(statement string) string {
	if !q.canary {
		return statement
	}
	return strings.NewReplacer("btcwatch.delivery", "btcwatch.canary_delivery", "btcwatch.alert", "btcwatch.canary_payment").Replace(statement)
}

// Canaries is the queue of the canary's payments.
func (s *Store) Canaries() Queue { return Queue{s.pool, true} }
