package daemon

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// waitingDeliveries is how many wait when the benchmark begins.
const waitingDeliveries = 10_000

// BenchmarkDeliveries lets 10,000 waiting deliveries go to a local webhook, alone
// and beside a channel that answers nothing, and says how many a second went and
// what the dead channel cost.
func BenchmarkDeliveries(b *testing.B) {
	for b.Loop() {
		alone := deliverWaiting(b, "hook")
		beside := deliverWaiting(b, "hook", "dead")
		b.ReportMetric(waitingDeliveries/alone.Seconds(), "deliveries/s")
		promised(b, "10,000 deliveries to a webhook, seconds", alone.Seconds(), waitingDeliveries/1_500.0, "s")
		promised(b, "the same beside a dead channel, against alone", beside.Seconds()/alone.Seconds(), 1.1, "")
	}
}

// deliverWaiting gives how long it took until all that waited for the hook was
// delivered.
func deliverWaiting(b *testing.B, channels ...string) time.Duration {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	database := sqltest.Migrated(b)
	log := slog.New(slog.DiscardHandler)
	store := must(sql.Open(ctx, database, &chaincfg.RegressionNetParams, log))
	defer store.Close()
	conn := must(pgx.Connect(ctx, database))
	defer conn.Close(context.Background())
	must(conn.Exec(ctx, `
		INSERT INTO btcwatch.alert (id, type, severity, about, quiet, opened_at, body)
		SELECT substring(sha256(n::text::bytea), 1, 16), 'transaction.seen', 'medium', 'payment', false, now(),
		       convert_to(jsonb_build_object('type', 'transaction.seen', 'timestamp', now(), 'data', jsonb_build_object(
		           'id', encode(substring(sha256(n::text::bytea), 1, 16), 'hex'), 'severity', 'medium', 'summary', repeat('x', 600)))::text, 'UTF8')
		FROM generate_series(1, $1) AS n`, waitingDeliveries))
	for _, channel := range channels {
		must(conn.Exec(ctx, `INSERT INTO btcwatch.delivery (alert_id, channel, next_at) SELECT id, $1, now() FROM btcwatch.alert`, channel))
	}
	must(conn.Exec(ctx, `ANALYZE btcwatch.alert, btcwatch.delivery`))
	secret := webhookSecret(b)
	began := time.Now()
	for _, name := range channels {
		url, end := chaintest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if name == "dead" {
				<-r.Context().Done()
			}
		}))
		defer end()
		settings := channelOrder{name, "webhook", map[string]any{"url": url, "secret_file": secret, "allow_private": true, "timeout": "1s"}}.settings()
		d := &deliverer{
			name: name, channel: must(alerts.Open(settings, alerts.Env{Version: "test"})), store: store.Queue, zone: time.UTC,
			wake: make(chan struct{}), log: log, pulse: newPulse(time.Now),
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = d.run(ctx)
		}()
		defer func() { stop(); <-done }()
	}
	for {
		var left int
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM btcwatch.delivery WHERE channel = 'hook' AND state <> 'delivered'`).Scan(&left); err != nil {
			b.Fatal(err)
		}
		if left == 0 {
			return time.Since(began)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func webhookSecret(b *testing.B) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}
