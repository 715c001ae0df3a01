package daemon

import (
	"net/http"
	"strings"
	"testing"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// TestRenamedChannel: what waited for a channel under its old name is given up,
// and the others are told so once.
func TestRenamedChannel(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.receiver("ops").Set("/hook", chaintest.Fault{Status: http.StatusServiceUnavailable})
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.began(ledger)
	w.await("waiting", `SELECT state FROM report.deliveries WHERE channel = 'ops'`)
	w.reloaded(func(c *Config) {
		c.Channels = append([]alerts.Settings(nil), c.Channels...)
		c.Channels[1].Name = "operations"
	})
	told := w.awaitDelivered(alerts.ChannelFailing, 1)[0].Data
	if told.Channel != "ops" || !strings.Contains(told.Reason, "not configured any more") {
		t.Errorf("channel.failing says %+v", told)
	}
	w.reloaded(func(*Config) {})
	w.expect("dead", `SELECT state FROM report.deliveries WHERE channel = 'ops'`)
	w.expect("1", `SELECT count(*) FROM report.alerts WHERE type = 'channel.failing'`)
	w.expect("0", `SELECT count(*) FROM btcwatch.outage o WHERE NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)`)
}
