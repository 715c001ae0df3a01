package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"btcwatch/alerts"
	"btcwatch/sql"
)

// deliverer carries waiting alerts to one channel. Each channel has its own,
// so that one that fails or hangs never holds up another.
type deliverer struct {
	name    string
	channel alerts.Channel
	store   sql.Queue
	writer  *sql.Writer // nil while standing by
	zone    *time.Location
	wake    <-chan struct{}
	log     *slog.Logger
	pulse   *pulse

	failing bool           // an episode of dead deliveries is open
	next    []sql.Delivery // claimed as the one before was noted as delivered; one at most
}

// Times of a delivery. The lease outlasts the try, so that a slow receiver is
// not tried twice at once; a daemon that dies holds a claim no longer than it.
const (
	longestTry = 45 * time.Second
	lease      = 90 * time.Second
	look       = 5 * time.Second // how often the database is asked what waits, besides being told
	lastWord   = 3 * time.Second // how long a stop waits until the result of a try is written down
)

// run delivers until the context ends.
func (d *deliverer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		d.pulse.begin(d.job())
		sent, err := d.deliverDue(ctx)
		d.pulse.end(d.job(), time.Time{})
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			d.log.Error("deliveries interrupted", "channel", d.name, "error", err)
		}
		if !sent || err != nil {
			d.wait(ctx)
		}
	}
	d.giveBack(ctx)
	return nil
}

// giveBack lets go of what was claimed and not tried, so that whoever comes next
// need not wait for its lease to end.
func (d *deliverer) giveBack(ctx context.Context) {
	if len(d.next) == 0 {
		return
	}
	finishing, done := outlasting(ctx, lastWord)
	defer done()
	if err := d.store.DeliveryInterrupted(finishing, d.next[0]); err != nil {
		d.log.Error("delivery not given back", "channel", d.name, "alert", d.next[0].Alert, "error", err)
	}
	d.next = nil
}

func (d *deliverer) job() string { return "deliver " + d.name }

func (d *deliverer) wait(ctx context.Context) {
	pause := look
	if due, waiting, err := d.store.NextDelivery(ctx, d.name); err == nil && waiting {
		pause = min(pause, max(due, 50*time.Millisecond))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-d.wake:
	case <-timer.C:
	}
}

// deliverDue tries the oldest delivery that is due, and says whether there was
// one. One at a time: the order is kept, and nothing is claimed that would wait
// for others while its lease runs out.
func (d *deliverer) deliverDue(ctx context.Context) (bool, error) {
	claimed, err := d.claim(ctx)
	if err != nil || len(claimed) == 0 {
		return false, err
	}
	// Whatever becomes of the context, the result of a try is written down.
	finishing, done := outlasting(ctx, lastWord)
	defer done()
	failed := d.try(ctx, claimed[0])
	if failed != nil && ctx.Err() != nil {
		return true, d.store.DeliveryInterrupted(finishing, claimed[0])
	}
	return true, d.finish(finishing, claimed[0], failed)
}

func (d *deliverer) claim(ctx context.Context) ([]sql.Delivery, error) {
	if next := d.next; len(next) > 0 {
		d.next = nil
		return next, nil
	}
	return d.store.ClaimDeliveries(ctx, d.name, 1, lease, d.epoch())
}

// outlasting is a context that ends some time after another one does.
func outlasting(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-longer.Done():
		case <-timer.C:
			cancel()
		}
	})
	return longer, func() { stop(); cancel() }
}

// epoch marks the claims of a leader, so that its successor need not wait for
// their leases to end.
func (d *deliverer) epoch() *int64 {
	if d.writer == nil {
		return nil
	}
	epoch := d.writer.Epoch()
	return &epoch
}

func (d *deliverer) try(ctx context.Context, delivery sql.Delivery) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the channel panicked: %v", r)
		}
	}()
	body, err := alerts.Decode(delivery.Body)
	if err != nil {
		return alerts.PermanentError(fmt.Errorf("read the alert back: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, longestTry)
	defer cancel()
	return d.channel.Send(ctx, alerts.Message{
		ID: delivery.Alert, Body: delivery.Body, Decoded: body,
		Attempt: delivery.Attempt, Zone: d.zone, ReplyTo: delivery.ReplyTo,
	})
}

func (d *deliverer) finish(ctx context.Context, delivery sql.Delivery, failed error) error {
	if failed == nil {
		return d.delivered(ctx, delivery)
	}
	if isTrial(delivery) {
		return d.store.TrialFailed(ctx, delivery, words(failed))
	}
	next, again := alerts.NextTry(delivery.Attempt)
	if later, ok := alerts.RetryAfter(failed); ok {
		next = max(next, later)
	}
	reason := words(failed)
	if (alerts.Permanent(failed) || !again) && d.writer != nil {
		d.log.Error("delivery given up", "channel", d.name, "alert", delivery.Alert, "attempts", delivery.Attempt, "error", reason)
		d.failing = true
		return d.writer.DeliveryDied(ctx, delivery, reason)
	}
	if !again || alerts.Permanent(failed) {
		next = time.Minute // the leader gives it up, and tells the other channels
	}
	d.log.Warn("delivery failed", "channel", d.name, "alert", delivery.Alert, "attempt", delivery.Attempt, "next_in", next, "error", reason)
	return d.store.DeliveryFailed(ctx, delivery, reason, next)
}

func (d *deliverer) delivered(ctx context.Context, delivery sql.Delivery) (err error) {
	if d.next, err = d.store.DeliveredClaimNext(ctx, delivery, lease, d.epoch()); err != nil {
		return err
	}
	if delivery.Attempt > 1 {
		d.log.Info("delivery succeeded", "channel", d.name, "alert", delivery.Alert, "attempt", delivery.Attempt)
	}
	if !d.failing || d.writer == nil {
		return nil
	}
	d.failing = false
	return d.writer.EndOutage(ctx, "channel", d.name)
}
