package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// QueuedRow is a delivery with the alert that it carries.
type QueuedRow struct {
	Alert       string     `db:"alert_id" json:"alert_id"`
	Channel     string     `json:"channel"`
	State       string     `json:"state"`
	Attempts    int32      `json:"attempts"`
	LastError   *string    `json:"last_error"`
	NextAt      *time.Time `json:"next_at"`  // of one that waits
	HeldFor     *string    `json:"held_for"` // why it was not sent at once: burst, digest, quiet
	DeliveredAt *time.Time `json:"delivered_at"`
	OpenedAt    time.Time  `json:"opened_at"`
	Type        string     `json:"type"`
	Severity    string     `json:"severity"`
	Summary     string     `json:"summary"`
}

// Queued chooses deliveries; what is empty chooses all.
type Queued struct {
	Channel string
	States  []string // waiting, delivered, dead
	Most    int
}

// Deliveries lists deliveries, newest alert first.
func (s *Store) Deliveries(ctx context.Context, q Queued) ([]QueuedRow, error) {
	list, err := rows[QueuedRow](ctx, s.pool, `
		SELECT encode(d.alert_id, 'hex') AS alert_id, d.channel, CASE WHEN d.state = 'folded' THEN 'waiting' ELSE d.state END AS state, d.attempts, d.last_error,
		       CASE d.state WHEN 'waiting' THEN d.next_at WHEN 'folded' THEN d.due_at END AS next_at, d.held_for, d.delivered_at, a.opened_at, a.type, a.severity,
		       convert_from(a.body, 'UTF8')::jsonb #>> '{data,summary}' AS summary
		FROM btcwatch.delivery d
		JOIN btcwatch.alert a ON a.id = d.alert_id
		WHERE ($1 = '' OR d.channel = $1)
		  AND (d.state = ANY ($2)
		       OR d.state = 'folded' AND d.carried_by IS NULL AND 'waiting' = ANY ($2)) -- of a carried one its carrier is listed
		ORDER BY a.seq DESC, d.channel
		LIMIT $3`, q.Channel, q.States, q.Most)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return list, nil
}

// Retry makes dead deliveries wait again, with all their tries, and those that
// wait for their next try due at once; it says to which channels how many. alert
// nil: all of these channels. One that is being tried just now is left alone.
func (s *Store) Retry(ctx context.Context, alert *alerts.ID, channels []string, actor string) (map[string]int64, error) {
	var id []byte
	if alert != nil {
		id = alert[:]
	}
	found, err := s.pool.Query(ctx, `
		WITH again AS (
		    UPDATE btcwatch.delivery
		    SET state = 'waiting',
		        attempts = CASE WHEN state = 'dead' THEN 0 ELSE attempts END,
		        next_at = now(),
		        died_at = NULL,
		        leased_until = NULL,
		        lease = lease + 1
		    WHERE (state = 'dead' OR state = 'waiting' AND next_at > now() AND coalesce(leased_until, now()) <= now())
		      AND channel = ANY ($2)
		      AND ($1::bytea IS NULL OR alert_id = $1)
		    RETURNING alert_id, channel
		), noted AS (
		    INSERT INTO btcwatch.delivery_retry (alert_id, channel, actor, at)
		    SELECT alert_id, channel, $3, now()
		    FROM again
		)
		SELECT channel, count(*)
		FROM again
		GROUP BY channel`, id, channels, actor)
	if err != nil {
		return nil, fmt.Errorf("deliver again: %w", err)
	}
	counts := map[string]int64{}
	var channel string
	var n int64
	_, err = pgx.ForEachRow(found, []any{&channel, &n}, func() error { counts[channel] = n; return nil })
	if err != nil {
		return nil, fmt.Errorf("deliver again: %w", err)
	}
	return counts, nil
}
