package daemon

import (
	"net/http"
	"strings"
	"testing"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// TestChannelsFail: one receiver is down and comes back, one is gone for good,
// one hangs. None holds up another, nothing is lost and nothing doubled.
func TestChannelsFail(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	flaky, gone, hanging := w.receiver("flaky"), w.receiver("gone"), w.receiver("hanging")
	flaky.Set("/hook", chaintest.Fault{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"1"}}, Times: 1})
	gone.Set("/hook", chaintest.Fault{Status: http.StatusGone})
	hanging.Set("/hook", chaintest.Fault{Hang: true})
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	failing := w.awaitDelivered(alerts.ChannelFailing, 1)[0].Data
	if failing.Channel != "gone" || failing.Severity != "high" {
		t.Errorf("channel.failing says %+v", failing)
	}
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	seen := w.word(alerts.TransactionSeen, paid, a)
	w.await("delivered", `SELECT state FROM report.deliveries WHERE channel = 'flaky' AND alert_id = $1`, seen.ID)
	w.expect("waiting", `SELECT state FROM report.deliveries WHERE channel = 'hanging' AND alert_id = $1`, seen.ID)
	w.await("dead", `SELECT state FROM report.deliveries WHERE channel = 'gone' AND alert_id = $1`, seen.ID)
	w.expect("1", `SELECT count(*) FROM report.alerts WHERE type = 'channel.failing'`)

	hanging.ClearAll() // its first try ends without an answer, and comes again
	gone.ClearAll()
	w.await("", `SELECT string_agg(DISTINCT channel, ' ') FROM report.deliveries WHERE state = 'waiting'`)
	ledger.MineMempool()
	confirmed := w.word(alerts.TransactionConfirmed, paid, a)
	w.await("delivered", `SELECT state FROM report.deliveries WHERE channel = 'gone' AND alert_id = $1`, confirmed.ID)
	w.await("1", `SELECT count(*) FROM btcwatch.outage_end`)
	w.await("", `SELECT string_agg(DISTINCT channel, ' ') FROM report.deliveries WHERE state = 'waiting'`)
	w.checkPosts(flaky)
	w.checkPosts(hanging)
	w.expect("true", `SELECT bool_or(attempts > 1) FROM report.deliveries WHERE channel = 'flaky'`)
	if got := len(gone.posts()); got != 1 {
		t.Errorf("the receiver that came back took %d alerts, want the one that came after", got)
	}

	// The next time that it goes away is told again, also by a daemon that has
	// just been started.
	w.restart()
	gone.Set("/hook", chaintest.Fault{Status: http.StatusGone})
	must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 40_000}))
	again := w.awaitDelivered(alerts.ChannelFailing, 2)[1].Data
	if again.ID == failing.ID || strings.Contains(again.Reason, "/hook") {
		t.Errorf("channel.failing says %+v", again)
	}
}
