package daemon

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// impatient makes outages of an installation short. One that expects none to
// begin as the daemon starts calls it afterwards: to start can take long.
func (w *world) impatient() {
	w.outagesAfter(1500*time.Millisecond, 1500*time.Millisecond)
}

// outagesAfter says how long an explorer must fail, and how long the watch see
// nothing, for an outage; in force at once where the daemon runs.
func (w *world) outagesAfter(failing, blind time.Duration) {
	change := func(c *Config) {
		c.Health = HealthSettings{FailingAfter: failing, BlindAfter: blind, Quarantine: c.Health.Quarantine}
		c.Explorers = slices.Clone(c.Explorers)
		for i := range c.Explorers {
			c.Explorers[i].Timeout = time.Second
		}
	}
	if !w.running {
		change(w.config)
		return
	}
	w.reloaded(change)
}

// neverBlind lets so much time pass for the daemon that whatever it has found
// wanting all along would be an outage, and finds that it never was blind.
func (w *world) neverBlind() {
	w.t.Helper()
	w.clock.advance(2 * w.config.Health.BlindAfter)
	const answered = `SELECT (max(last_success_at) > $1)::text FROM report.explorers`
	w.await("true", answered, w.clock.now()) // written by the verdict that counts
	w.await("true", answered, w.clock.now()) // which is over with the next one
	w.expect("0", `SELECT count(*) FROM report.alerts WHERE type LIKE 'watch.%'`)
}

// both sets a fault at every explorer.
func (w *world) both(pattern string, fault chaintest.Fault) {
	for _, s := range w.servers {
		s.Faults.Set(pattern, fault)
	}
}

func (w *world) clear() {
	for _, s := range w.servers {
		s.Faults.ClearAll()
	}
}

// TestOneExplorerDown is told of, and costs nothing as long as another
// answers.
func TestOneExplorerDown(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.outagesAfter(1500*time.Millisecond, time.Minute)
	w.began(ledger)

	w.servers[0].Faults.SetDown(true)
	failing := w.awaitDelivered(alerts.ExplorerFailing, 1)[0].Data
	if failing.Explorer != "one" || failing.Severity != "low" || failing.Since == nil || failing.Reason == "" {
		t.Errorf("explorer.failing says %+v", failing)
	}
	w.await("failing", `SELECT state FROM report.explorers WHERE name = 'one'`)
	w.expect("ok", `SELECT state FROM report.explorers WHERE name = 'two'`)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	w.word(alerts.TransactionSeen, paid, a)
	ledger.MineMempool()
	if d := w.word(alerts.TransactionConfirmed, paid, a); d.Proof != alerts.Proven {
		t.Errorf("with one explorer down the grade is %s", d.Proof)
	}

	w.servers[0].Faults.SetDown(false)
	recovered := w.awaitDelivered(alerts.ExplorerRecovered, 1)[0].Data
	if recovered.Explorer != "one" || recovered.Until == nil || recovered.Thread != failing.Thread {
		t.Errorf("explorer.recovered says %+v", recovered)
	}
	w.await("ok", `SELECT state FROM report.explorers WHERE name = 'one'`)

	// The next outage is another one, and told again.
	w.servers[0].Faults.SetDown(true)
	again := w.awaitDelivered(alerts.ExplorerFailing, 2)[1].Data
	if again.ID == failing.ID {
		t.Error("the second outage has the first one's alert")
	}
	w.agrees(ledger, a)
	w.neverBlind()
	w.checkDelivered()
}

// TestBlind lets all explorers fail in each of the ways that are known. The
// watch says that it is blind, for blocks and for the mempool; nothing that is
// recorded changes; and when they answer again it says so and has missed
// nothing.
func TestBlind(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]chaintest.Fault{
		"down":         {Close: true},
		"hanging":      {Hang: true},
		"HTML":         chaintest.HTML(),
		"null":         {Body: []byte("null")},
		"nothing":      {Body: []byte{}, Status: http.StatusOK},
		"truncated":    {Truncate: true},
		"trouble":      {Status: http.StatusBadGateway, Body: []byte("bad gateway")},
		"banned":       {Status: http.StatusForbidden, Body: []byte("forbidden")},
		"redirect":     {Status: http.StatusFound, Header: http.Header{"Location": {"https://example.org/"}}},
		"rate limited": chaintest.TooMany(1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ledger, wallet, a := newWatched(t)
			must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 70_000}))
			ledger.MineMempool()
			ledger.MineEmpty(2)
			w.began(ledger)
			w.impatient()
			joined := int32(112)
			before := w.lines(`SELECT concat_ws(' ', address, balance_sat, received_sat, sent_sat, unconfirmed_sat, tx_count) FROM report.balances`)

			w.both("/**", fault)
			blind := w.awaitDelivered(alerts.WatchBlind, 2)
			kinds := map[string]bool{}
			for _, b := range blind {
				kinds[b.Data.Kind] = true
				if b.Data.Severity != "severe" || b.Data.Reason == "" {
					t.Errorf("watch.blind says %+v", b.Data)
				}
			}
			if len(kinds) != 2 || !kinds["blocks"] || !kinds["mempool"] {
				t.Errorf("blind for %v", kinds)
			}
			missed := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
			ledger.MineMempool()
			w.same("report.balances while blind", before, w.lines(`SELECT concat_ws(' ', address, balance_sat, received_sat, sent_sat, unconfirmed_sat, tx_count) FROM report.balances`))
			w.expect("112", `SELECT height - 1 FROM btcwatch.position`)

			w.clear()
			w.awaitDelivered(alerts.WatchRestored, 2)
			if d := w.word(alerts.TransactionConfirmed, missed, a); d.Proof != alerts.Proven || *d.AmountSat != 30_000 || *d.BalanceSat != 100_000 {
				t.Errorf("what was missed is told as %+v", d)
			}
			w.caughtUp(ledger)
			w.compare(replay(t, ledger, joined, a))
			// That nobody was asked while it was read again is another gap.
			w.expect("1", `SELECT count(*) FROM report.gaps WHERE kind = 'mempool' AND to_time > from_time AND reason NOT LIKE 'btcwatch was stopped%'`)
			w.await("0", `SELECT count(*) FROM btcwatch.outage o LEFT JOIN btcwatch.outage_end e ON e.outage_id = o.id WHERE e.at IS NULL`)
			w.checkDelivered()
		})
	}
}

// TestBlindInTheMempoolAlone: explorers show blocks and counters, and no lists.
// That is blindness too, however well the rest works.
func TestBlindInTheMempoolAlone(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.began(ledger)
	w.impatient()
	w.both("/address/*/txs/**", chaintest.Fault{Status: http.StatusInternalServerError})
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	blind := w.awaitDelivered(alerts.WatchBlind, 1)[0].Data
	if blind.Kind != "mempool" {
		t.Errorf("blind for %s", blind.Kind)
	}
	w.awaitDelivered(alerts.ExplorerFailing, 2)
	w.expect("0", `SELECT count(*) FROM report.transactions`)
	ledger.MineMempool()
	if d := w.word(alerts.TransactionConfirmed, paid, a); d.Proof != alerts.Proven {
		t.Errorf("told as %+v", d)
	}
	w.clear()
	w.awaitDelivered(alerts.WatchRestored, 1)
	w.awaitDelivered(alerts.ExplorerRecovered, 2)
	w.compare(replay(t, ledger, 109, a))
	w.checkDelivered()
}

// TestBlindInBlocksAlone: tips go on and no block can be had.
func TestBlindInBlocksAlone(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.began(ledger)
	w.impatient()
	w.both("/block/**", chaintest.Fault{Rewrite: func(_ string, body []byte) []byte { return bytes.ReplaceAll(body, body[80:90], body[90:100]) }})
	must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	if blind := w.awaitDelivered(alerts.WatchBlind, 1)[0].Data; blind.Kind != "blocks" {
		t.Errorf("blind for %s", blind.Kind)
	}
	w.clear()
	w.awaitDelivered(alerts.WatchRestored, 1)
	w.agrees(ledger, a)
	w.checkDelivered()
}

// TestSlowIsNeitherFailingNorBlind: a list that the pace allows to be asked
// about only in several times what counts as an outage.
func TestSlowIsNeitherFailingNorBlind(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	const count, wanting = 30, 5 * time.Second
	for i := range w.config.Explorers {
		w.config.Explorers[i].RequestsPerSecond = 8
	}
	var all []chain.Address
	for i := range count {
		all = append(all, wallet.Address(chain.P2WPKH, i+1))
		w.watch(all[i], fmt.Sprint("address ", i))
	}
	w.start()
	w.caughtUp(ledger)
	w.outagesAfter(wanting, wanting)
	w.servers[1].Faults.Set("/address/*", chaintest.Fault{Status: 429, Header: http.Header{"Retry-After": {"1"}}, Times: 1})
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: all[count-1].Script, Value: 30_000}))
	w.word(alerts.TransactionSeen, paid, all[count-1])
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, paid, all[count-1])
	w.await(fmt.Sprint(count), `SELECT count(DISTINCT script_id) FROM btcwatch.asked WHERE asked_at IS NOT NULL`)
	w.expect("true", `SELECT (max(asked_at) - min(asked_at) > $1 * interval '1 second')::text FROM btcwatch.asked`, wanting.Seconds())
	w.expect("0", `SELECT count(*) FROM report.alerts WHERE type LIKE 'watch.%' OR type LIKE 'explorer.%'`)
}

// TestEmptyMempoolLosesNothing: what an explorer no longer lists is still what
// was seen.
func TestEmptyMempoolLosesNothing(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.began(ledger)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	w.word(alerts.TransactionSeen, paid, a)
	ledger.DropMempool(paid.TxHash())
	w.awaitAsked(3)
	w.expect("unconfirmed 30000", `SELECT concat_ws(' ', t.state, b.unconfirmed_sat) FROM report.transactions t JOIN report.balances b USING (address)`)
	ledger.MineEmpty(1)
	w.caughtUp(ledger)
	w.expect("unconfirmed 30000", `SELECT concat_ws(' ', t.state, b.unconfirmed_sat) FROM report.transactions t JOIN report.balances b USING (address)`)
	ledger.Mine(paid)
	w.word(alerts.TransactionConfirmed, paid, a)
	w.compare(replay(t, ledger, 109, a))
	w.checkDelivered()
}

// awaitAsked waits until explorers were asked about addresses some more times.
func (w *world) awaitAsked(times int) {
	w.t.Helper()
	count := func() (n int) {
		for _, s := range w.servers {
			n += s.Faults.Count("/address/*")
		}
		return n
	}
	deadline := time.Now().Add(30 * time.Second)
	for want := count() + times; count() < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("nobody is asked about addresses\n%s", w.log)
		}
	}
}
