package daemon

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// TestNoNewBlockIsTold: first to operations, then as blindness; and when a block
// comes it is said whether anything had been hidden.
func TestNoNewBlockIsTold(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.config.Health.NoBlockAfter = 10 * time.Second
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	quiet := w.awaitDelivered(alerts.ChainQuiet, 1)[0].Data
	if quiet.Severity != "low" || quiet.Kind != "tip" || quiet.Since == nil || !strings.Contains(quiet.Summary, "Either no block was found") {
		t.Errorf("chain.quiet says %+v", quiet)
	}
	blind := w.awaitDelivered(alerts.WatchBlind, 1)[0].Data
	if blind.Severity != "severe" || blind.Kind != "tip" || !blind.Since.Equal(*quiet.Since) || !strings.Contains(blind.Summary, "cannot tell which") {
		t.Errorf("watch.blind says %+v", blind)
	}
	ledger.Time = func(int32) time.Time { return time.Now() }
	ledger.MineEmpty(1)
	slow := w.awaitDelivered(alerts.WatchRestored, 1)[0].Data
	if slow.Closed == nil || !*slow.Closed || slow.Thread != blind.Thread || !strings.Contains(slow.Next, "Block 111 was read") || !strings.Contains(slow.Next, "the chain was slow") {
		t.Errorf("watch.restored says %+v", slow)
	}

	w.awaitDelivered(alerts.WatchBlind, 2)
	hidden := time.Now().Add(-time.Hour)
	ledger.Time = func(height int32) time.Time { return hidden.Add(time.Duration(height) * time.Second) }
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	ledger.MineEmpty(1)
	w.word(alerts.TransactionConfirmed, paid, a)
	old := w.awaitDelivered(alerts.WatchRestored, 2)[1].Data
	if old.Closed == nil || !*old.Closed || !strings.Contains(old.Next, "the explorers had shown an old chain") {
		t.Errorf("watch.restored says %+v", old)
	}
	w.await("0", `SELECT count(*) FROM btcwatch.outage o LEFT JOIN btcwatch.outage_end e ON e.outage_id = o.id WHERE e.at IS NULL`)
	w.expect("0", `SELECT count(*) FROM report.gaps`)
}

// TestLateDeliveryIsTold by the channels that work, and not again when the
// channel gives up.
func TestLateDeliveryIsTold(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	slow, gone := w.receiver("slow"), w.receiver("gone")
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	w.await("0", `SELECT count(*) FROM btcwatch.delivery WHERE state = 'waiting'`)
	w.outagesAfter(time.Minute, 2*time.Second)
	trouble := chaintest.Fault{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"2"}}}
	slow.Set("/hook", trouble)
	gone.Set("/hook", trouble)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	seen := w.word(alerts.TransactionSeen, paid, a)
	w.await("2", `SELECT count(*) FROM report.deliveries WHERE alert_id = $1 AND state = 'waiting' AND last_error IS NOT NULL`, seen.ID)
	must(w.conn().Exec(t.Context(), `UPDATE btcwatch.alert SET opened_at = opened_at - interval '6 minutes' WHERE type = 'transaction.seen'`))
	kinds := map[string]alerts.Data{}
	for _, b := range w.awaitDelivered(alerts.WatchBlind, 2) {
		kinds[b.Data.Channel] = b.Data
	}
	late := kinds["slow"]
	if len(kinds) != 2 || kinds["gone"].Kind != "delivery" || late.Kind != "delivery" || late.Severity != "severe" || !strings.Contains(late.Reason, "503") {
		t.Errorf("watch.blind says %+v", kinds)
	}
	gone.Set("/hook", chaintest.Fault{Status: http.StatusGone})
	w.awaitDelivered(alerts.ChannelFailing, 1)
	slow.ClearAll()
	for deadline := time.Now().Add(60 * time.Second); w.ask(`SELECT count(*) FROM btcwatch.alert WHERE type = 'watch.restored'`) == "0"; time.Sleep(100 * time.Millisecond) {
		// It is tried again in minutes, and a try that was under way may put it off once more.
		must(w.conn().Exec(t.Context(), `UPDATE btcwatch.delivery SET next_at = now() WHERE channel = 'slow' AND state = 'waiting'`))
		if time.Now().After(deadline) {
			t.Fatalf("the channel takes nothing\n%s", w.log)
		}
	}
	restored := w.awaitDelivered(alerts.WatchRestored, 1)[0].Data
	if restored.Channel != "slow" || restored.Closed == nil || !*restored.Closed || !strings.Contains(restored.Next, "delivered late, none was given up") {
		t.Errorf("watch.restored says %+v", restored)
	}
	w.await("channel", `SELECT string_agg(o.kind, ' ') FROM btcwatch.outage o LEFT JOIN btcwatch.outage_end e ON e.outage_id = o.id WHERE e.at IS NULL`)
	w.expect("1", `SELECT count(*) FROM report.alerts WHERE type = 'watch.restored'`)
	w.expect("2", `SELECT count(*) FROM report.alerts WHERE type = 'watch.blind'`)
	w.checkPosts(slow)
}
