package sql

import (
	"context"
	"fmt"
	"time"

	"btcwatch/alerts"
)

// BeginTrial records a test message to one channel, which waits there like any
// alert, whatever the channel wants otherwise. It is counted nowhere.
func (s *Store) BeginTrial(ctx context.Context, channel, actor string) (alerts.ID, error) {
	w := &Writer{store: s, ids: map[string]int32{}, aside: true}
	var id alerts.ID
	err := w.commit(ctx, "channel test", func(c *commit) error {
		a := alerts.Trial{Network: c.network(), Channel: channel, Actor: actor, At: c.at}.Alert(s.key)
		id = a.ID
		if err := c.alert(ctx, a, subject{}); err != nil {
			return err
		}
		_, err := c.tx.Exec(ctx, `
			INSERT INTO btcwatch.delivery (alert_id, channel, next_at)
			VALUES ($1, $2, now())`, id[:], channel)
		return err
	})
	if err != nil {
		return id, fmt.Errorf("record the test of the channel %s: %w", channel, err)
	}
	return id, nil
}

// ClaimTrial takes one test message, and nothing else that waits for the
// channel; false where somebody else has taken it.
func (s *Store) ClaimTrial(ctx context.Context, id alerts.ID, channel string, lease time.Duration) (Delivery, bool, error) {
	found, err := rows[struct {
		Body    []byte
		Attempt int
		Lease   int64
	}](ctx, s.pool, `
		UPDATE btcwatch.delivery d
		SET attempts = d.attempts + 1,
		    lease = d.lease + 1,
		    leased_until = now() + $3::interval,
		    claimed_by = NULL
		FROM btcwatch.alert a
		WHERE a.id = $1
		  AND d.alert_id = $1
		  AND d.channel = $2
		  AND d.state = 'waiting'
		  AND (d.leased_until IS NULL OR d.leased_until < now())
		RETURNING a.body, d.attempts AS attempt, d.lease`, id[:], channel, lease)
	if err != nil {
		return Delivery{}, false, fmt.Errorf("claim the test of the channel %s: %w", channel, err)
	}
	if len(found) == 0 {
		return Delivery{}, false, nil
	}
	return Delivery{Alert: id, Channel: channel, Body: found[0].Body, Attempt: found[0].Attempt, lease: found[0].Lease}, true, nil
}

// TrialFailed ends a test that was tried and failed. It is not tried again, and
// no other channel is told: whoever asked for it sees it. No time of death is
// noted, which keeps it out of the daily report.
func (q Queue) TrialFailed(ctx context.Context, d Delivery, reason string) error {
	_, err := q.pool.Exec(ctx, q.on(`
		UPDATE btcwatch.delivery
		SET state = 'dead', leased_until = NULL, last_error = $4
		WHERE alert_id = $1
		  AND channel = $2
		  AND lease = $3
		  AND state = 'waiting'`), d.Alert[:], d.Channel, d.lease, reason)
	if err != nil {
		return fmt.Errorf("note that the test of the channel %s failed: %w", d.Channel, err)
	}
	return nil
}

// WithdrawTrial ends a test that nobody has taken up, so that it does not come
// when nobody expects it any more; what is being tried this moment stays.
func (s *Store) WithdrawTrial(ctx context.Context, id alerts.ID, channel, reason string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE btcwatch.delivery
		SET state = 'dead', last_error = $3
		WHERE alert_id = $1
		  AND channel = $2
		  AND state = 'waiting'
		  AND (leased_until IS NULL OR leased_until < now())`, id[:], channel, reason)
	if err != nil {
		return fmt.Errorf("withdraw the test of the channel %s: %w", channel, err)
	}
	return nil
}

// ChannelDeliveries says what a channel has delivered, and what it has not.
// Tests are not counted, but for the last delivery.
type ChannelDeliveries struct {
	Channel       string
	Waiting       int64
	Dead          int64
	LastDelivered *time.Time // null: never
	LastError     *string    // of what waits
}

// ChannelDeliveries says so of every channel that something was ever queued for.
func (s *Store) ChannelDeliveries(ctx context.Context) ([]ChannelDeliveries, error) {
	list, err := rows[ChannelDeliveries](ctx, s.pool, `
		SELECT d.channel,
		       count(*) FILTER (WHERE d.state = 'waiting' AND a.type <> 'channel.test') AS waiting,
		       count(*) FILTER (WHERE d.state = 'dead' AND a.type <> 'channel.test') AS dead,
		       max(d.delivered_at) AS last_delivered,
		       (array_agg(d.last_error ORDER BY a.seq DESC) FILTER (WHERE d.state = 'waiting' AND d.last_error IS NOT NULL))[1] AS last_error
		FROM btcwatch.delivery d
		JOIN btcwatch.alert a ON a.id = d.alert_id
		GROUP BY d.channel
		ORDER BY d.channel`)
	if err != nil {
		return nil, fmt.Errorf("count the deliveries of each channel: %w", err)
	}
	return list, nil
}
