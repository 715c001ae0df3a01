package daemon

import (
	"context"
	"fmt"
	"log/slog"

	"btcwatch/alerts"
	"btcwatch/sql"
)

// DeliverTrial tries a test message once, as a daemon would, where none leads
// that does. What came of it is written down; nothing happens where somebody
// else has taken it up meanwhile.
func DeliverTrial(ctx context.Context, config *Config, channel alerts.Channel, store *sql.Store, name string, id alerts.ID) error {
	delivery, mine, err := store.ClaimTrial(ctx, id, name, lease)
	if err != nil || !mine {
		return err
	}
	finishing, done := outlasting(ctx, lastWord)
	defer done()
	d := &deliverer{name: name, channel: channel, store: store.Queue, zone: config.Zone, log: slog.New(slog.DiscardHandler)}
	failed := d.try(ctx, delivery)
	if failed != nil && ctx.Err() != nil {
		failed = fmt.Errorf("the test was interrupted")
	}
	return d.finish(finishing, delivery, failed)
}

// isTrial says whether a delivery is a test that a person waits for: it is tried
// once, and its failure is told to nobody else.
func isTrial(delivery sql.Delivery) bool {
	body, err := alerts.Decode(delivery.Body)
	return err == nil && body.Type == alerts.ChannelTest
}
