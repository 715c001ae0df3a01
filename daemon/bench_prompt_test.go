package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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

// BenchmarkPromptness records twenty alerts a second and says how long after the
// commit began a webhook and a file had them, beside a channel that answers nothing.
func BenchmarkPromptness(b *testing.B) {
	for b.Loop() {
		figures := promptness(b, 300, 50*time.Millisecond)
		for _, channel := range []string{"hook", "log"} {
			f := figures[channel]
			b.Logf("%s: median %.0f ms, longest %.0f ms, of %d", channel, f.median*1000, f.longest*1000, f.count)
			promised(b, "95% of alerts have left for the "+channel+" after", f.p95, 2, "s")
		}
	}
}

type delays struct {
	count                int
	median, p95, longest float64 // seconds
}

func promptness(b *testing.B, many int, pause time.Duration) map[string]delays {
	b.Helper()
	ctx, stop := context.WithCancel(context.Background())
	database := sqltest.Migrated(b)
	log := slog.New(slog.DiscardHandler)
	store := must(sql.Open(ctx, database, &chaincfg.RegressionNetParams, log))
	lead := must(store.TakeLead(ctx))
	tell, wake := sql.Telling{Confirmations: []int32{1}}, map[string]chan struct{}{}
	opened := receivers(b)
	var ends []chan struct{}
	for name, channel := range opened {
		kind := map[string]string{"log": "file"}[name]
		if kind == "" {
			kind = "webhook"
		}
		tell.Channels = append(tell.Channels, alerts.Settings{Name: name, Kind: kind})
		wake[name] = make(chan struct{}, 1)
		d := &deliverer{name: name, channel: channel, store: store.Queue, zone: time.UTC, wake: wake[name], log: log, pulse: newPulse(time.Now)}
		done := make(chan struct{})
		ends = append(ends, done)
		go func() {
			defer close(done)
			_ = d.run(ctx)
		}()
	}
	writer := store.Writer(lead, tell, func() {
		for _, w := range wake {
			select {
			case w <- struct{}{}:
			default:
			}
		}
	})
	for i := range many {
		if err := writer.BeginOutage(ctx, "explorer", fmt.Sprint("e", i), "a reason", time.Now()); err != nil {
			b.Fatal(err)
		}
		time.Sleep(pause)
	}
	conn := must(pgx.Connect(ctx, database))
	for left := -1; left != 0; time.Sleep(100 * time.Millisecond) {
		if err := conn.QueryRow(ctx, `SELECT count(*) FROM btcwatch.delivery WHERE channel <> 'dead' AND state <> 'delivered'`).Scan(&left); err != nil {
			b.Fatal(err)
		}
	}
	figures := map[string]delays{}
	for name := range opened {
		figures[name] = delaysOf(b, conn, name)
	}
	stop()
	for _, done := range ends {
		<-done
	}
	lead.Release(context.Background())
	conn.Close(context.Background())
	store.Close()
	return figures
}

// delaysOf is how long after its commit began each alert had left for a channel.
func delaysOf(b *testing.B, conn *pgx.Conn, channel string) (f delays) {
	b.Helper()
	err := conn.QueryRow(b.Context(), `
		SELECT count(*),
		       coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY late), 0),
		       coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY late), 0),
		       coalesce(max(late), 0)
		FROM (
		    SELECT extract(epoch FROM d.delivered_at - a.opened_at)::double precision AS late
		    FROM btcwatch.delivery d
		    JOIN btcwatch.alert a ON a.id = d.alert_id
		    WHERE d.channel = $1
		      AND d.delivered_at IS NOT NULL
		) x`, channel).Scan(&f.count, &f.median, &f.p95, &f.longest)
	if err != nil {
		b.Fatal(err)
	}
	return f
}

// receivers are a webhook that answers, one that does not, and a file.
func receivers(b *testing.B) map[string]alerts.Channel {
	b.Helper()
	opened := map[string]alerts.Channel{}
	for _, name := range []string{"hook", "dead"} {
		url, end := chaintest.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if name == "dead" {
				<-r.Context().Done()
			}
		}))
		b.Cleanup(end)
		order := channelOrder{name, "webhook", map[string]any{"url": url, "secret_file": webhookSecret(b), "allow_private": true, "timeout": "5s"}}
		opened[name] = must(alerts.Open(order.settings(), alerts.Env{Version: "test"}))
	}
	order := channelOrder{"log", "file", map[string]any{"path": filepath.Join(b.TempDir(), "alerts.jsonl")}}
	opened["log"] = must(alerts.Open(order.settings(), alerts.Env{Version: "test"}))
	return opened
}
