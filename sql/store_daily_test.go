package sql_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain/chaintest"
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

// What the report adds up, from facts that were made at known times.
func TestReportAddsUp(t *testing.T) {
	end := time.Now().UTC().Truncate(time.Second).Add(time.Minute) // what people do has the database's time
	now := end
	tell := telling()
	tell.Fiat = euro()
	b, c := newBench(t, tell), chaintest.NewChain()
	sql.SetClock(b.store, func() time.Time { return now })
	c.MineEmpty(3)
	now = end.AddDate(0, 0, -10)
	b.begin(c, 3)
	one, two, three := address(1), address(2), address(3)
	b.watch(listing(one))
	b.watch(listing(two))
	b.must(b.writer.SetFiat(t.Context(), euro(), time.Hour))
	salt := uint32(0)
	pay := func(away time.Duration, outs ...*wire.TxOut) {
		t.Helper()
		now = end.Add(-away)
		salt++
		b.report("alpha", seen(transaction(salt, []wire.OutPoint{stranger(byte(salt))}, outs...)))
	}
	const day = 24 * time.Hour
	pay(9*day+time.Hour, pays(one, 300))
	now = end.AddDate(0, 0, -9)
	first := b.daily("2026-03-01")
	if first.Lists == nil || *first.Lists != (alerts.ListDay{Changes: 2, Added: 2}) || first.DustCount != 1 || first.DustAddresses != 1 || *first.Ages != (alerts.AlertAges{}) {
		t.Errorf("the first report: %+v, %+v, dust %d to %d", first.Lists, first.Ages, first.DustCount, first.DustAddresses)
	}
	if first.Fiat == nil || first.Fiat.Currency != "EUR" || first.Fiat.Rate != "" || len(first.NewAlerts) != 0 {
		t.Errorf("the first report: %+v, %+v", first.Fiat, first.NewAlerts)
	}
	pay(8*day, pays(one, 50_000))
	pay(7*day, pays(one, 50_000)) // seven days exactly are over
	pay(3*day, pays(two, 50_000))
	pay(day, pays(two, 50_000)) // and so is one
	pay(3*time.Hour, pays(one, 50_000))
	pay(2*time.Hour, pays(one, 50_000), pays(two, 60_000))
	for _, dust := range []*wire.TxOut{pays(one, 400), pays(one, 500), pays(two, 1_000)} {
		pay(time.Hour, dust)
	}
	var ids []alerts.ID
	for _, line := range b.lines(`SELECT encode(id, 'hex') FROM btcwatch.alert WHERE about = 'payment' AND NOT quiet AND opened_at = $1 ORDER BY amount`, end.Add(-2*time.Hour)) {
		id, err := alerts.ParseID(line)
		b.must(err)
		ids = append(ids, id)
	}
	if len(ids) != 2 {
		t.Fatalf("%d alerts of two hours ago", len(ids))
	}
	_, err := b.store.Act(t.Context(), ids[0], sql.Action{Kind: "acknowledge", Actor: "ann"})
	b.must(err)
	_, err = b.store.Act(t.Context(), ids[1], sql.Action{Kind: "close", Actor: "ann", Disposition: "reported", Note: "done"})
	b.must(err)
	now = end.Add(-30 * time.Minute)
	b.watch(listing(three))
	changed := listing(two)
	changed.Label = "another label"
	b.watch(changed)
	b.rates(end, "alpha 7780000 -20m", "beta 8000000 -25m", "delta 8230400 -30m", "alpha 9000000 10m", "gamma 1 -9000m")
	c.MineEmpty(2)
	b.follow(c)
	now = end
	commits, head := b.count(`SELECT count(*) FROM btcwatch.journal`), strings.Join(b.lines(`SELECT encode(digest, 'hex') FROM btcwatch.journal ORDER BY seq DESC LIMIT 1`), "")
	r := b.daily("2026-03-10")
	if want := (alerts.AlertAges{Day: 1, Week: 2, Older: 2, Acknowledged: 1, Closed: 1}); r.Ages == nil || *r.Ages != want {
		t.Errorf("ages %+v, want %+v", r.Ages, want)
	}
	if r.DustCount != 3 || r.DustSat != 1_900 || r.DustAddresses != 2 {
		t.Errorf("dust: %d, %d sat, to %d", r.DustCount, r.DustSat, r.DustAddresses)
	}
	if want := []alerts.SeverityCount{{Severity: alerts.Medium, Payments: 7}}; !slices.Equal(r.NewAlerts, want) {
		t.Errorf("new alerts %+v, want %+v", r.NewAlerts, want)
	}
	if r.Lists == nil || *r.Lists != (alerts.ListDay{Changes: 2, Added: 1, Changed: 1}) {
		t.Errorf("lists %+v", r.Lists)
	}
	tip, _ := c.Tip()
	if p := r.Record; p == nil || p.Height == nil || *p.Height != tip || p.Hash != c.BlockAt(tip).BlockHash().String() || p.Commits != commits || p.Head != head || len(head) != 64 {
		t.Errorf("record %+v, want height %d, %d commits, the last %s", p, tip, commits, head)
	}
	at := end.Add(-20 * time.Minute)
	if f := r.Fiat; f == nil || f.Rate != "77800.00" || f.Source != "alpha" || f.Time == nil || !f.Time.Equal(at) || f.Aged {
		t.Errorf("fiat %+v", f)
	}
	// Delta's is 2.88 % over beta's, and alpha's more than three below it.
	if want := []string{"alpha", "delta"}; !slices.Equal(r.Fiat.Disputed, want) {
		t.Errorf("disputed %q, want %q", r.Fiat.Disputed, want)
	}
	now = end.Add(2 * time.Hour)
	if f := b.daily("2026-03-11").Fiat; f == nil || f.Rate != "90000.00" || !f.Aged {
		t.Errorf("two hours later: %+v", f)
	}
}
