package sql_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/sql"
)

// daily records the report of a date and gives what it says.
func (b *bench) daily(date string) *alerts.Report {
	b.Helper()
	b.must(b.writer.TellDaily(b.Context(), sql.Daily{Date: date}))
	var body []byte
	b.must(b.conn.QueryRow(b.Context(), `SELECT body FROM btcwatch.alert WHERE type = 'report.daily' ORDER BY seq DESC LIMIT 1`).Scan(&body))
	var read alerts.Body
	b.must(json.Unmarshal(body, &read))
	return read.Data.Report
}

// Each report begins where the last one ended, however long ago that was, and a
// payment is in one of them, by the first word about it.
func TestReportsLeaveNoHole(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	first := b.daily("2026-01-01")
	if span := first.To.Sub(first.From); span != 24*time.Hour {
		t.Errorf("the first report goes back %v", span)
	}
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 50_000))
	b.report("alpha", seen(tx))
	if again := b.daily("2026-01-01"); !again.To.Equal(first.To) || len(again.Payments) > 0 {
		t.Errorf("a second report of the date: %+v", again)
	}
	second := b.daily("2026-01-09")
	if !second.From.Equal(first.To) {
		t.Errorf("from %v, the last went to %v", second.From, first.To)
	}
	if len(second.Payments) != 1 || second.Payments[0] != (alerts.PaymentSum{Severity: alerts.Medium, Direction: alerts.In, Count: 1, AmountSat: 50_000}) {
		t.Errorf("payments %+v", second.Payments)
	}
	c.Mine(tx)
	b.follow(c)
	third := b.daily("2026-01-10")
	if !third.From.Equal(second.To) || len(third.Payments) > 0 || third.Blocks == nil || third.Blocks.Proof != alerts.Proven {
		t.Errorf("the third report: %+v", third)
	}
	b.expect(`SELECT DISTINCT type || ' ' || direction FROM btcwatch.alert WHERE direction IS NOT NULL`, "transaction.confirmed in transaction.seen in")
}
