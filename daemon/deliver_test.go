package daemon

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// sendFunc is a channel that is a function.
type sendFunc func(context.Context, alerts.Message) error

func (f sendFunc) Send(ctx context.Context, m alerts.Message) error { return f(ctx, m) }

// TestStopGivesBackWhatWasClaimed: whoever delivers next finds due at once what
// was claimed ahead and not tried, with no try counted.
func TestStopGivesBackWhatWasClaimed(t *testing.T) {
	database := sqltest.Migrated(t)
	log := slog.New(slog.DiscardHandler)
	store := must(sql.Open(t.Context(), database, &chaincfg.RegressionNetParams, log))
	defer store.Close()
	conn := must(pgx.Connect(t.Context(), database))
	defer conn.Close(context.Background())
	must(conn.Exec(t.Context(), `
		INSERT INTO btcwatch.alert (id, type, severity, about, quiet, opened_at, body)
		SELECT substring(sha256(n::text::bytea), 1, 16), 'transaction.seen', 'medium', 'payment', false, now(),
		       convert_to('{"type": "transaction.seen", "timestamp": "2026-11-24T00:00:00Z", "data": {}}', 'UTF8')
		FROM generate_series(1, 5) AS n`))
	must(conn.Exec(t.Context(), `INSERT INTO btcwatch.delivery (alert_id, channel, next_at) SELECT id, 'hook', now() FROM btcwatch.alert ORDER BY seq`))
	ctx, stop := context.WithCancel(t.Context())
	sent := 0
	d := &deliverer{
		name: "hook", store: store.Queue, zone: time.UTC, wake: make(chan struct{}), log: log, pulse: newPulse(time.Now),
		channel: sendFunc(func(context.Context, alerts.Message) error {
			if sent++; sent == 3 {
				stop()
			}
			return nil
		}),
	}
	if err := d.run(ctx); err != nil {
		t.Error(err)
	}
	var delivered, due int
	err := conn.QueryRow(t.Context(), `
		SELECT count(*) FILTER (WHERE state = 'delivered'),
		       count(*) FILTER (WHERE state = 'waiting' AND attempts = 0 AND leased_until IS NULL AND next_at <= now())
		FROM btcwatch.delivery`).Scan(&delivered, &due)
	if err != nil || delivered != 3 || due != 2 {
		t.Errorf("%d are delivered and %d due (%v), want 3 and 2", delivered, due, err)
	}
}
