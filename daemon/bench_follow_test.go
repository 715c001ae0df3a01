package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// promised prints a figure beside what was promised of it.
func promised(b *testing.B, what string, figure, most float64, unit string) {
	b.Helper()
	met := "met"
	if figure > most {
		met = "NOT MET"
	}
	b.Logf("%-60s %10.2f %-10s goal: at most %.2f  %s", what, figure, unit, most, met)
}

// benchFollower prepares a follower whose position is the block before a height,
// and that may ask so many explorers, each at a pace (0: none).
func benchFollower(b *testing.B, ledger *chaintest.Chain, from int32, watched []chain.Address, paces ...float64) *follower {
	b.Helper()
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	store, err := sql.Open(ctx, sqltest.New(b), ledger.Params(), log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	lead, err := store.TakeLead(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { lead.Release(ctx) })
	writer := store.Writer(lead, sql.Telling{Confirmations: []int32{1, 6}}, func() {})
	var listings []watchlist.Listing
	for _, a := range watched {
		listings = append(listings, watchlist.Listing{Address: a})
	}
	_, listed := store.SyncConfig(ctx, listings)
	start := sql.Start{Height: from, Parent: ledger.BlockAt(from - 1).BlockHash(), RestsOn: "the benchmark", Proves: true}
	if err := errors.Join(listed, writer.SetStart(ctx, start)); err != nil {
		b.Fatal(err)
	}
	f := &follower{
		store: store, writer: writer, params: ledger.Params(), beat: func() {}, now: time.Now, log: log, began: time.Now(),
		compared: map[string]string{}, turns: newTurns(), ready: true,
		ancestors: &ancestors{store: store, writer: writer, params: ledger.Params(), beat: func() {}, now: time.Now, log: log, begin: -1},
		health:    newHealth(HealthSettings{FailingAfter: time.Hour, BlindAfter: time.Hour}, writer, store, time.Now, log),
	}
	for i, pace := range paces {
		server := chaintest.NewEsplora(ledger, ledger.Params())
		url, stop := server.Serve()
		b.Cleanup(stop)
		if err := server.Sync(ctx); err != nil {
			b.Fatal(err)
		}
		e, err := explorer.Open(explorer.Settings{Name: fmt.Sprint("e", i), Kind: "esplora", URL: url, Operator: fmt.Sprint("o", i), RequestsPerSecond: pace}, ledger.Params())
		if err != nil {
			b.Fatal(err)
		}
		f.explorers = append(f.explorers, e)
	}
	return f
}

func follow(b *testing.B, f *follower) time.Duration {
	b.Helper()
	began := time.Now()
	if err := f.round(context.Background()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// BenchmarkCatchUpAtPace catches up 40 blocks from two explorers that allow two
// requests a second each. If a block took one request they could give four a
// second; the figure is how many of those there are.
func BenchmarkCatchUpAtPace(b *testing.B) {
	const blocks, pace = 40, 2.0
	ledger := chaintest.NewChain()
	ledger.MineEmpty(10 + blocks)
	for b.Loop() {
		f := benchFollower(b, ledger, 11, nil, pace, pace)
		took := follow(b, f)
		b.ReportMetric(blocks/took.Seconds(), "blocks/s")
		b.ReportMetric(blocks/took.Seconds()/(2*pace), "of-ideal")
		for _, e := range f.explorers {
			b.ReportMetric(float64(e.Pace.Requests()), "requests-"+e.Name)
		}
	}
	_ = math.MaxInt32
	_ = strings.Cut
}
