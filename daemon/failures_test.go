package daemon

import (
	"log/slog"
	"testing"
	"time"

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
