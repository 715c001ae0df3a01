package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// Delivery is one alert on its way to one channel, claimed for a while.
type Delivery struct {
	Alert   alerts.ID
	Channel string
	Body    []byte
	Attempt int        // 1 for the first try
	ReplyTo *alerts.ID // the first alert of the thread that went to this channel
	lease   int64
}

// ClaimDeliveries takes deliveries of a channel that are due, oldest alert
// first, for the length of the lease. Another daemon passes over what is
// claimed; what nobody finishes is due again when the lease is over. epoch is
// the leader's; nil for a daemon that stands by. What a delivery replies to does
// not depend on what was delivered by then, so that a repeat has the same bytes.
func (q Queue) ClaimDeliveries(ctx context.Context, channel string, most int, lease time.Duration, epoch *int64) ([]Delivery, error) {
	found, err := q.pool.Query(ctx, q.on(claim), channel, most, lease, epoch)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries of %s: %w", channel, err)
	}
	return claimed(found, channel)
}

const claim = `
	WITH due AS (
	    SELECT d.alert_id
	    FROM btcwatch.delivery d
	    WHERE d.channel = $1
	      AND d.state = 'waiting'
	      AND d.next_at <= now()
	      AND (d.leased_until IS NULL OR d.leased_until < now())
	    ORDER BY d.seq
	    LIMIT $2
	    FOR UPDATE OF d SKIP LOCKED
	), claimed AS (
	    UPDATE btcwatch.delivery d
	    SET attempts = d.attempts + 1,
	        lease = d.lease + 1,
	        leased_until = now() + $3::interval,
	        claimed_by = $4
	    FROM due
	    WHERE d.alert_id = due.alert_id
	      AND d.channel = $1
	    RETURNING d.alert_id, d.attempts, d.lease
	)
	SELECT c.alert_id, a.body, c.attempts, c.lease, (
	           SELECT f.id
	           FROM btcwatch.alert f
	           JOIN btcwatch.delivery p ON p.alert_id = f.id AND p.channel = $1
	           WHERE f.thread = a.thread
	             AND a.thread <> ''
	             AND p.state <> 'folded'
	             AND f.seq < a.seq
	           ORDER BY f.seq
	           LIMIT 1)
	FROM claimed c
	JOIN btcwatch.alert a ON a.id = c.alert_id
	ORDER BY a.seq`

func claimed(found pgx.Rows, channel string) ([]Delivery, error) {
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (Delivery, error) {
		d := Delivery{Channel: channel}
		var id, reply []byte
		err := row.Scan(&id, &d.Body, &d.Attempt, &d.lease, &reply)
		d.Alert = alerts.ID(id)
		if reply != nil {
			first := alerts.ID(reply)
			d.ReplyTo = &first
		}
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries of %s: %w", channel, err)
	}
	return all, nil
}

// FreeClaims lets go of what leaders of earlier epochs claimed and never
// finished, so that an alert does not wait for the lease of a dead daemon.
func (w *Writer) FreeClaims(ctx context.Context) error {
	for _, q := range []Queue{w.store.Queue, w.store.Canaries()} {
		_, err := q.pool.Exec(ctx, q.on(`
			UPDATE btcwatch.delivery
			SET leased_until = NULL
			WHERE state = 'waiting'
			  AND leased_until IS NOT NULL
			  AND claimed_by < $1`), w.epoch)
		if err != nil {
			return fmt.Errorf("free the claims of earlier leaders: %w", err)
		}
	}
	return nil
}

// Epoch is that of the leader who records with this writer.
func (w *Writer) Epoch() int64 { return w.epoch }

// Delivered notes that the channel took the alert. A result that comes after
// its lease was taken by somebody else changes nothing.
func (q Queue) Delivered(ctx context.Context, d Delivery) error {
	if _, err := q.pool.Exec(ctx, q.on(delivered), d.Alert[:], d.Channel, d.lease); err != nil {
		return fmt.Errorf("note that %s took %s: %w", d.Channel, d.Alert, err)
	}
	return nil
}

const delivered = `
	UPDATE btcwatch.delivery
	SET state = 'delivered', delivered_at = now(), leased_until = NULL, last_error = NULL
	WHERE alert_id = $1
	  AND channel = $2
	  AND lease = $3
	  AND state = 'waiting'`

// DeliveredClaimNext is Delivered, and ClaimDeliveries of the next one, in one
// commit: each costs a wait for the disk, and where many wait that is most of the
// time. Where it fails, neither has happened, and the delivery is repeated.
func (q Queue) DeliveredClaimNext(ctx context.Context, d Delivery, lease time.Duration, epoch *int64) ([]Delivery, error) {
	batch := &pgx.Batch{}
	batch.Queue(q.on(delivered), d.Alert[:], d.Channel, d.lease)
	batch.Queue(q.on(claim), d.Channel, 1, lease, epoch)
	results := q.pool.SendBatch(ctx, batch)
	next, err := func() ([]Delivery, error) {
		if _, err := results.Exec(); err != nil {
			return nil, err
		}
		found, err := results.Query()
		if err != nil {
			return nil, err
		}
		return claimed(found, d.Channel)
	}()
	if ended := results.Close(); err == nil {
		err = ended
	}
	if err != nil {
		return nil, fmt.Errorf("note that %s took %s, and claim the next: %w", d.Channel, d.Alert, err)
	}
	return next, nil
}

// DeliveryFailed notes a try that failed, and when the next one is due.
func (q Queue) DeliveryFailed(ctx context.Context, d Delivery, reason string, next time.Duration) error {
	_, err := q.pool.Exec(ctx, q.on(`
		UPDATE btcwatch.delivery
		SET next_at = now() + $4::interval, leased_until = NULL, last_error = $5
		WHERE alert_id = $1
		  AND channel = $2
		  AND lease = $3
		  AND state = 'waiting'`), d.Alert[:], d.Channel, d.lease, next, reason)
	if err != nil {
		return fmt.Errorf("note that %s did not take %s: %w", d.Channel, d.Alert, err)
	}
	return nil
}

// DeliveryInterrupted notes that a try was cut off before it had an outcome: it
// does not count, and the delivery is due as before.
func (q Queue) DeliveryInterrupted(ctx context.Context, d Delivery) error {
	_, err := q.pool.Exec(ctx, q.on(`
		UPDATE btcwatch.delivery
		SET attempts = attempts - 1, leased_until = NULL
		WHERE alert_id = $1
		  AND channel = $2
		  AND lease = $3
		  AND state = 'waiting'`), d.Alert[:], d.Channel, d.lease)
	if err != nil {
		return fmt.Errorf("note that the delivery of %s to %s was interrupted: %w", d.Alert, d.Channel, err)
	}
	return nil
}

// DeliveryDied gives a delivery up and tells the other channels so, in one
// commit: one alert for an episode, which lasts until the channel takes
// something again.
func (w *Writer) DeliveryDied(ctx context.Context, d Delivery, reason string) error {
	return w.commit(ctx, "dead delivery", func(c *commit) error {
		done, err := c.tx.Exec(ctx, `
			UPDATE btcwatch.delivery
			SET state = 'dead', died_at = now(), leased_until = NULL, last_error = $4
			WHERE alert_id = $1
			  AND channel = $2
			  AND lease = $3
			  AND state = 'waiting'`, d.Alert[:], d.Channel, d.lease, reason)
		if err != nil {
			return fmt.Errorf("give up the delivery of %s to %s: %w", d.Alert, d.Channel, err)
		}
		if done.RowsAffected() == 0 {
			return nil
		}
		c.note("dead %s %s", d.Alert, d.Channel)
		var carried int64 // by a sum; each of them is an alert that did not arrive
		err = c.tx.QueryRow(ctx, `
			SELECT count(*)
			FROM btcwatch.delivery
			WHERE carried_by = $1
			  AND channel = $2`, d.Alert[:], d.Channel).Scan(&carried)
		if err != nil {
			return fmt.Errorf("count what %s carries: %w", d.Alert, err)
		}
		return c.tellDead(ctx, d.Channel, reason, max(1, carried))
	})
}

// tellDead tells the other channels that one has not delivered what it should
// have, unless they were told in this episode.
func (c *commit) tellDead(ctx context.Context, channel, reason string, count int64) error {
	o, isNew, err := c.openOutage(ctx, "channel", channel, reason, c.at)
	if err != nil || !isNew {
		return err
	}
	dead := alerts.DeadDeliveries{
		Network: c.network(), Channel: channel, Episode: o.ID, Count: count, Since: c.at, Reason: reason, At: c.at,
	}
	return c.alert(ctx, dead.Alert(c.store.key), subject{})
}

// GiveUpUnconfigured gives up what waits for channels that are not configured
// any more, renamed or removed, and tells the other channels so: one alert for
// each. Their outages end with them, and nobody is told that they work again.
func (w *Writer) GiveUpUnconfigured(ctx context.Context) error {
	err := w.commit(ctx, "channels gone", func(c *commit) error {
		configured := []string{}
		for _, channel := range c.tell.Channels {
			configured = append(configured, channel.Name)
		}
		if err := c.endChannels(ctx, configured); err != nil {
			return err
		}
		if err := c.buryWaiting(ctx, configured); err != nil {
			return err
		}
		return c.endChannels(ctx, configured)
	})
	if err != nil {
		return fmt.Errorf("give up what waits for channels that are gone: %w", err)
	}
	return nil
}

// buryWaiting gives up and tells what waits for any but the configured
// channels.
func (c *commit) buryWaiting(ctx context.Context, configured []string) error {
	const reason = "the channel is not configured any more"
	found, err := c.tx.Query(ctx, `
		WITH dead AS (
		    UPDATE btcwatch.delivery
		    SET state = 'dead', died_at = now(), leased_until = NULL, last_error = $2
		    WHERE (state = 'waiting' OR state = 'folded' AND carried_by IS NULL)
		      AND channel <> ALL ($1)
		    RETURNING channel, alert_id
		)
		SELECT d.channel, count(*)
		FROM dead d
		JOIN btcwatch.alert a ON a.id = d.alert_id
		WHERE a.type <> 'channel.test'
		GROUP BY d.channel
		ORDER BY d.channel`, configured, reason)
	if err != nil {
		return err
	}
	type burial struct {
		Channel string
		Count   int64
	}
	all, err := pgx.CollectRows(found, pgx.RowToStructByPos[burial])
	if err != nil {
		return err
	}
	for _, b := range all {
		c.note("dead %d %s", b.Count, b.Channel)
		if err := c.tellDead(ctx, b.Channel, reason, b.Count); err != nil {
			return err
		}
	}
	return nil
}

// endChannels closes the outages of any but the configured channels.
func (c *commit) endChannels(ctx context.Context, configured []string) error {
	done, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.outage_end (outage_id, at)
		SELECT o.id, $2
		FROM btcwatch.outage o
		WHERE o.kind = 'channel'
		  AND o.name <> ALL ($1)
		  AND NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)`, configured, c.at)
	if err == nil && done.RowsAffected() > 0 {
		c.note("%d outages of channels over", done.RowsAffected())
	}
	return err
}

// NextDelivery is how long it is until something of the channel is due; false
// where nothing waits.
func (q Queue) NextDelivery(ctx context.Context, channel string) (time.Duration, bool, error) {
	var wait *time.Duration
	err := q.pool.QueryRow(ctx, q.on(`
		SELECT min(greatest(next_at, coalesce(leased_until, next_at))) - now()
		FROM btcwatch.delivery
		WHERE channel = $1
		  AND state = 'waiting'`), channel).Scan(&wait)
	if err != nil {
		return 0, false, fmt.Errorf("ask what waits for %s: %w", channel, err)
	}
	if wait == nil {
		return 0, false, nil
	}
	return max(*wait, 0), true, nil
}
