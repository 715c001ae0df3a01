package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// TestFoundLate: what was mined while nobody looked says how late it was found,
// what was mined in sight does not, and the daily report counts it.
func TestFoundLate(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	w.await("true", `SELECT reached_at > now() - interval '1 minute' FROM btcwatch.position`)
	intime := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	if d := w.word(alerts.TransactionConfirmed, intime, a); d.LateSeconds != 0 || d.BehindSince != nil || strings.Contains(d.Summary, "late") {
		t.Errorf("in time it says %+v", d)
	}
	w.caughtUp(ledger)
	w.await("true", `SELECT reached_at > moved_at FROM btcwatch.position`)
	w.stop()

	missed := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 40_000}))
	mined := ledger.MineMempool().Header.Timestamp
	ledger.MineEmpty(3)
	w.exec(`UPDATE btcwatch.position SET reached_at = now() - interval '3 hours'`)
	w.start()
	d := w.word(alerts.TransactionConfirmed, missed, a)
	want := int64(d.ObservedAt.Sub(mined) / time.Second)
	if d.LateSeconds != want || want < 50*60 || d.LateConfirmation {
		t.Errorf("it was found %d seconds after the block's time, and says %d (%v)", want, d.LateSeconds, d.LateConfirmation)
	}
	if d.BehindSince == nil || d.ObservedAt.Sub(*d.BehindSince) < 3*time.Hour || d.ObservedAt.Sub(*d.BehindSince) > 4*time.Hour {
		t.Errorf("behind since %v", d.BehindSince)
	}
	if !strings.Contains(d.Summary, fmt.Sprintf("found late, %d minutes", want/60)) {
		t.Errorf("it says %s", d.Summary)
	}
	w.caughtUp(ledger)
	w.await("true", `SELECT reached_at > moved_at FROM btcwatch.position`)
	w.reloaded(func(c *Config) { c.Schedule.Report = "@every 1s" })
	r := w.awaitDelivered(alerts.ReportDaily, 1)[0].Data
	if r.Report.Late != 1 || r.Report.LateMost != want || !strings.Contains(r.Lines[0], "1 payment was found late") {
		t.Errorf("the report says %v", r.Lines)
	}
	w.checkDelivered()
}

// TestAStopIsAGap: how long nobody was asked about unconfirmed payments is a
// row, once, and a short stop is none.
func TestAStopIsAGap(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.began(ledger)
	w.await("true", `SELECT began_at > now() - interval '1 minute' FROM btcwatch.job_run WHERE name = 'mempool'`)
	w.stop()
	w.start()
	w.awaitLog("leading epoch=2")
	w.await("true", `SELECT began_at > (SELECT max(at) FROM btcwatch.import) FROM btcwatch.job_run WHERE name = 'mempool'`)
	w.expect("0", `SELECT count(*) FROM report.gaps`)
	w.stop()
	w.exec(`UPDATE btcwatch.job_run SET began_at = now() - interval '3 hours 12 minutes' WHERE name = 'mempool'`)
	for epoch := 3; epoch <= 4; epoch++ {
		w.start()
		w.awaitLog(fmt.Sprint("leading epoch=", epoch))
		w.await("true", `SELECT began_at > now() - interval '1 minute' FROM btcwatch.job_run WHERE name = 'mempool'`)
		w.await("1 mempool 03:12", `SELECT concat_ws(' ', count(*), min(kind), to_char(min(to_time - from_time), 'HH24:MI')) FROM report.gaps`)
		w.await("true", `SELECT bool_and(state = 'ok') FROM report.explorers`) // it has judged
		w.stop()
	}
}
