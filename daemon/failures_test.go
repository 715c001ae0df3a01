package daemon

import (
	"log/slog"
	"testing"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// What the client counts is saved once, whoever leads: a lead that follows
// another in one process adds what came since.
func TestFailuresAreSaved(t *testing.T) {
	t.Parallel()
	ledger, _ := newLedger()
	l := newLooked(t)
	server := chaintest.NewEsplora(ledger, l.config.Network)
	l.add("one", "esplora", "a", server)
	store := must(sql.Open(t.Context(), sqltest.Migrated(t), l.config.Network, slog.New(slog.DiscardHandler)))
	t.Cleanup(store.Close)
	if err := store.SetExplorers(t.Context(), l.config.Explorers); err != nil {
		t.Fatal(err)
	}
	w := &watch{daemon: &daemon{store: store}, explorers: []*explorer.Explorer{must(explorer.Open(l.config.Explorers[0], l.config.Network))}}
	fail := func(status, times int) {
		server.Faults.Set("/**", chaintest.Fault{Status: status})
		for range times {
			if _, err := w.explorers[0].Chain.Tip(t.Context()); err == nil {
				t.Error("no failure")
			}
		}
	}
	expect := func(want ...sql.Failure) {
		t.Helper()
		have := must(store.Failures(t.Context(), time.Now().Add(-24*time.Hour)))
		if len(have) != len(want) {
			t.Fatalf("%+v, want %+v", have, want)
		}
		for i, f := range have {
			if f.Explorer != "one" || f.Kind != want[i].Kind || f.Count != want[i].Count || time.Since(f.LastAt) > time.Hour {
				t.Errorf("%+v, want %+v", f, want[i])
			}
		}
	}
	save := func(f *failures) {
		t.Helper()
		if err := f.save(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	first := w.newFailures()
	save(first)
	expect()
	fail(500, 3)
	save(first)
	save(first)
	expect(sql.Failure{Kind: "unavailable", Count: 3})
	fail(500, 1)
	fail(400, 2)
	save(w.newFailures()) // of the next lead
	save(w.newFailures())
	expect(sql.Failure{Kind: "unavailable", Count: 4}, sql.Failure{Kind: "refused", Count: 2})
}

// TestLiesAreCounted: what is found false when it is held to the chain counts
// like what a client finds false, and what the client has counted counts once.
func TestLiesAreCounted(t *testing.T) {
	t.Parallel()
	ledger, _ := newLedger()
	l := newLooked(t)
	l.add("one", "esplora", "a", chaintest.NewEsplora(ledger, l.config.Network))
	one := must(explorer.Open(l.config.Explorers[0], l.config.Network))
	w := &watch{daemon: &daemon{Program: Program{Now: time.Now, Log: slog.New(slog.DiscardHandler)}}, config: l.config, explorers: []*explorer.Explorer{one}}
	h := w.resumeHealth(nil)
	lies := func(want int64, after string) {
		t.Helper()
		if got := one.Pace.Failures()[explorer.ErrLying.Error()]; got != want {
			t.Errorf("after %s: %d lies, want %d", after, got, want)
		}
	}
	h.note("one", forBlocks, badAnswer("one", "block 5", chain.ErrFalseBlock))
	lies(1, "a false block")
	h.note("one", forTransactions, &explorer.Error{Kind: explorer.ErrLying, Explorer: "one"})
	lies(1, "what its client found")
	h.note("one", forBlocks, badAnswer("one", "block 5", chain.ErrEarly))
	h.note("one", forBlocks, contested{badAnswer("one", "block 5", chain.ErrFalseBlock)})
	h.note("one", forBlocks, errUnavailable)
	h.note("one", forBlocks, nil)
	h.note("gone", forBlocks, badAnswer("gone", "block 5", chain.ErrFalseBlock))
	lies(1, "what proves nothing")
}
