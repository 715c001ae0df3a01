package daemon

import (
	"strings"
	"sync"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/watchlist"
)

// reloaded reads a changed configuration and waits until it is in force.
func (w *world) reloaded(change func(*Config)) {
	w.t.Helper()
	next := *w.config
	next.Watch = append([]watchlist.Listing(nil), next.Watch...)
	change(&next)
	w.config, w.next = &next, &next
	times := strings.Count(w.log.String(), "configuration read again")
	leads := strings.Count(w.log.String(), "msg=leading")
	w.reload <- struct{}{}
	deadline := time.Now().Add(30 * time.Second)
	for strings.Count(w.log.String(), "configuration read again") <= times || strings.Count(w.log.String(), "msg=leading") <= leads {
		if time.Now().After(deadline) {
			w.t.Fatalf("the configuration was not read again\n%s", w.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestReload adds, changes and retires addresses in the configuration; each is
// told once. A configuration with a fault changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	a, b := wallet.Address(chain.P2WPKH, 1), wallet.Address(chain.P2TR, 2)
	w.watch(a, "label")
	for i := range 3 {
		must(wallet.Pay(t.Context(), chaintest.Output{Script: b.Script, Value: int64(10_000 + i)}))
		ledger.MineMempool()
	}
	w.began(ledger)

	w.reloaded(func(c *Config) { c.Watch = append(c.Watch, watchlist.Listing{Address: b, Label: "new"}) })
	added := w.awaitDelivered(alerts.ListChanged, 2)[1].Data.List
	if added.Added.Count != 1 || added.Added.Some[0].Address != b.Text || added.Retired.Count != 0 || added.Changed.Count != 0 || added.HistoricPayments != 3 {
		t.Errorf("list.changed says %+v", added)
	}
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: b.Script, Value: 30_000}))
	w.word(alerts.TransactionSeen, paid, b)
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, paid, b)
	w.caughtUp(ledger)
	w.compare(replay(t, ledger, 113, a, b)) // a has no payments: where its watch began does not matter

	w.reloaded(func(c *Config) { c.Watch[1].Label = "newer" })
	changed := w.awaitDelivered(alerts.ListChanged, 3)[2].Data.List
	if changed.Changed.Count != 1 || changed.Changed.Some[0].Label != "newer" || changed.Added.Count != 0 || changed.Retired.Count != 0 {
		t.Errorf("list.changed says %+v", changed)
	}
	w.reloaded(func(*Config) {}) // nothing new

	w.next = nil
	w.reload <- struct{}{}
	w.awaitLog("configuration not taken")
	still := must(wallet.Pay(t.Context(), chaintest.Output{Script: b.Script, Value: 31_000}))
	if d := w.word(alerts.TransactionSeen, still, b); d.Label != "newer" {
		t.Errorf("after a bad configuration: %+v", d)
	}
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, still, b)

	w.reloaded(func(c *Config) { c.Watch = c.Watch[:1] })
	retired := w.awaitDelivered(alerts.ListChanged, 4)[3].Data.List
	if retired.Retired.Count != 1 || retired.Retired.Some[0].Address != b.Text || retired.Added.Count != 0 || retired.Changed.Count != 0 {
		t.Errorf("list.changed says %+v", retired)
	}
	w.expect("true", `SELECT retired_at IS NOT NULL FROM report.addresses WHERE address = $1`, b.Text)
	quiet := must(wallet.Pay(t.Context(), chaintest.Output{Script: b.Script, Value: 32_000}))
	loud := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 33_000}))
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, loud, a)
	w.caughtUp(ledger)
	w.expect("0", `SELECT count(*) FROM report.alerts WHERE txid = $1`, quiet.TxHash().String())
	w.compare(replay(t, ledger, 113, a, b)) // what happens there is recorded all the same
	w.expect("4", `SELECT count(*) FROM report.alerts WHERE type = 'list.changed'`)
	w.checkDelivered()
}

// clock is a clock that a test moves.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// TestDailyReport: one for each date, and it says what is not well.
func TestDailyReport(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.outagesAfter(1500*time.Millisecond, time.Minute)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 500}))
	w.word(alerts.TransactionSeen, paid, a)
	ledger.MineMempool()
	w.caughtUp(ledger)
	w.await("ok ok", `SELECT string_agg(state, ' ') FROM report.explorers`)
	w.reloaded(func(c *Config) { c.Schedule.Report = "@every 1s" })
	well := w.awaitDelivered(alerts.ReportDaily, 1)[0].Data
	if well.Lines[0] != "All is well." || well.Severity != "info" || well.Report.Addresses != 1 || well.Report.DustCount != 1 || well.Report.DustSat != 500 ||
		len(well.Report.Payments) != 1 || well.Report.Payments[0].Count != 1 || well.Report.Payments[0].AmountSat != 30_000 ||
		well.Report.Blocks == nil || well.Report.Blocks.From != 110 || well.Report.Blocks.To != 111 {
		t.Errorf("the report of a good day says %+v\n%+v", well.Lines, well.Report)
	}

	// The next day an explorer is down.
	w.servers[0].Faults.SetDown(true)
	w.await("failing", `SELECT state FROM report.explorers WHERE name = 'one'`)
	w.clock.advance(24 * time.Hour)
	var bad alerts.Data
	for _, b := range w.awaitDelivered(alerts.ReportDaily, 2) {
		if b.Data.Report.Date != well.Report.Date {
			bad = b.Data
		}
	}
	if !strings.HasPrefix(bad.Lines[0], "Not all is well: ") || !strings.Contains(bad.Lines[0], "explorer one is failing") || bad.Severity != "low" {
		t.Errorf("the report of a bad day says %+v", bad.Lines)
	}
	if err := w.servers[1].Faults.Await(t.Context(), "/blocks/tip/height", w.servers[1].Faults.Count("/blocks/tip/height")+2); err != nil {
		t.Fatal(err)
	}
	w.expect("1", `SELECT max(n) FROM (SELECT count(*) AS n FROM report.alerts WHERE type = 'report.daily' GROUP BY substr(summary, 1, 23)) x`)
	w.checkDelivered()
}
