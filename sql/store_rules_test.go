package sql_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// ruled is a bench with rules, that follows a chain from its block 3 on. Its
// blocks are ten minutes apart.
func ruled(t *testing.T, rules alerts.Rules, watched ...chain.Address) (*bench, *chaintest.Chain) {
	t.Helper()
	tell := telling()
	tell.Rules = rules
	b := newBench(t, tell)
	ledger := chaintest.NewChain()
	ledger.MineEmpty(3)
	for _, a := range watched {
		b.watch(listing(a))
	}
	b.begin(ledger, 3)
	return b, ledger
}

// windows gives what rules over time told, in their order.
func (b *bench) windows(rule string) []alerts.Data {
	b.Helper()
	found, err := b.conn.Query(b.Context(), `SELECT body FROM btcwatch.alert WHERE type = $1 ORDER BY seq`, "rule."+rule)
	b.must(err)
	defer found.Close()
	var all []alerts.Data
	for found.Next() {
		var raw []byte
		var body alerts.Body
		b.must(found.Scan(&raw))
		b.must(json.Unmarshal(raw, &body))
		all = append(all, body.Data)
	}
	b.must(found.Err())
	return all
}

// told gives the rules that the first alert about a payment names, and how severe
// it is.
func (b *bench) told(tx *wire.MsgTx) string {
	b.Helper()
	return b.lines(`
		SELECT severity || ' ' || coalesce(convert_from(body, 'UTF8')::jsonb #>> '{data,rules}', '')
		FROM btcwatch.alert
		WHERE tx_id = (SELECT id FROM btcwatch.tx WHERE btcwatch.display(txid) = $1)
		  AND type = 'transaction.confirmed' AND NOT quiet`, tx.TxHash().String())[0]
}

// payOf pays an address from a stranger.
func payOf(salt int, a chain.Address, amount int64) *wire.MsgTx {
	return transaction(uint32(salt), []wire.OutPoint{{Hash: [32]byte{0xaa, byte(salt), byte(salt >> 8)}}}, pays(a, amount))
}

// TestRulesDecorateOneAlert: all rules that match stand in the one alert of the
// payment, and the highest severity wins.
func TestRulesDecorateOneAlert(t *testing.T) {
	a := address(1)
	least := int64(50_000)
	b, ledger := ruled(t, alerts.Rules{
		{Name: "any", Severity: alerts.Low},
		{Name: "large", Severity: alerts.Severe, MinSat: &least, Direction: []alerts.Direction{alerts.In}},
	}, a)
	small, large := payOf(1, a, least-1), payOf(2, a, least)
	ledger.Mine(small, large)
	b.follow(ledger)
	if got := b.told(small); got != `medium ["money-in", "any"]` {
		t.Error(got)
	}
	if got := b.told(large); got != `severe ["money-in", "any", "large"]` {
		t.Error(got)
	}
	if n := b.count(`SELECT count(*) FROM btcwatch.alert WHERE type LIKE 'transaction.%' AND NOT quiet`); n != 2 {
		t.Errorf("%d alerts of two payments", n)
	}
}

// TestRuleAfterRest: the first activity after a day of rest is told so; dust
// neither ends the rest nor wakes, and two payments in one block both wake.
func TestRuleAfterRest(t *testing.T) {
	a := address(1)
	b, ledger := ruled(t, alerts.Rules{{Name: "woke", Severity: alerts.Severe, RestDays: 1}}, a)
	day := 24 * 6 // blocks
	old := payOf(1, a, 20_000)
	ledger.Mine(old)
	ledger.MineEmpty(day / 2)
	dust := payOf(2, a, 600)
	ledger.Mine(dust)
	ledger.MineEmpty(day / 2)
	one, two := payOf(3, a, 20_000), payOf(4, a, 30_000)
	ledger.Mine(one, two)
	soon := payOf(5, a, 40_000)
	ledger.Mine(soon)
	b.exec(`INSERT INTO btcwatch.coverage (script_id, from_height, to_height, proof, at) SELECT script_id, 0, 3, 'reported', now() FROM btcwatch.listing`)
	b.follow(ledger)
	for _, c := range []struct {
		what string
		tx   *wire.MsgTx
		want string
	}{
		{"after the rest", one, `severe ["money-in", "woke"]`},
		{"in the same block", two, `severe ["money-in", "woke"]`},
		{"ten minutes later", soon, `medium ["money-in"]`},
	} {
		if got := b.told(c.tx); got != c.want {
			t.Errorf("%s: %s", c.what, got)
		}
	}
	if n := b.count(`SELECT count(*) FROM btcwatch.alert WHERE severity = 'severe'`); n != 2 {
		t.Errorf("%d severe alerts", n)
	}
}

// TestRuleOverTime tells each time that payments within the time come to the
// count and the sum, each payment once, against a model that adds them up anew.
func TestRuleOverTime(t *testing.T) {
	random := dice(t, 7)
	a, other := address(1), address(3)
	sum, most := int64(30_000), int64(19_000)
	rule := alerts.Rule{Name: "often", Severity: alerts.High, Direction: []alerts.Direction{alerts.In}, MaxSat: &most, Over: time.Hour, SumSat: &sum, Count: 3}
	b, ledger := ruled(t, alerts.Rules{rule}, a, other)
	type counted struct {
		at     time.Time
		amount int64
		id     string
	}
	var open []counted
	var want []string
	for n := range 150 {
		var txs []*wire.MsgTx
		for range random.IntN(3) {
			txs = append(txs, payOf(1000+len(txs)+10*n, a, 1_000+random.Int64N(20_000)))
		}
		if n%20 == 0 {
			txs = append(txs, payOf(5000+n, other, 15_000))
		}
		at := ledger.Mine(txs...).Header.Timestamp.UTC()
		for _, tx := range txs {
			amount := tx.TxOut[0].Value
			if amount > most || string(tx.TxOut[0].PkScript) != string(a.Script) {
				continue
			}
			open = append(open, counted{at, amount, tx.TxHash().String()})
			open = slices.DeleteFunc(open, func(c counted) bool { return at.Sub(c.at) > time.Hour })
			var total int64
			var ids []string
			for _, c := range open {
				total, ids = total+c.amount, append(ids, c.id)
			}
			if total >= sum && len(open) >= 3 {
				slices.Sort(ids)
				want = append(want, fmt.Sprint(open[0].at.Unix(), " ", at.Unix(), " ", len(open), " ", total, " ", ids))
				open = nil
			}
		}
	}
	b.follow(ledger)
	var got []string
	for _, d := range b.windows("often") {
		w := d.Window
		slices.Sort(w.TxIDs)
		got = append(got, fmt.Sprint(w.From.Unix(), " ", w.To.Unix(), " ", w.Count, " ", w.SumSat, " ", w.TxIDs))
		if d.Severity != "high" || d.Address != a.Text || d.Proof != alerts.Proven || !slices.Equal(d.Rules, []string{"often"}) {
			t.Errorf("it says %+v", d)
		}
	}
	if !slices.Equal(got, want) || len(want) < 5 {
		t.Errorf("told\n%v, want\n%v", got, want)
	}
	var again []string // as btcwatch rules test finds them in the record
	tallies := map[string]*alerts.Tally{}
	tell := telling()
	tell.Rules = alerts.Rules{rule}
	b.must(b.store.Recorded(b.Context(), tell, time.Time{}, time.Time{}, func(p alerts.Payment) error {
		if len(p.Rules.OverTime(p)) == 0 {
			return nil
		}
		if tallies[p.Address] == nil {
			tallies[p.Address] = alerts.NewTally(rule)
		}
		if w := tallies[p.Address].Add(p); w != nil {
			slices.Sort(w.TxIDs)
			again = append(again, fmt.Sprint(w.From.Unix(), " ", w.To.Unix(), " ", w.Count, " ", w.SumSat, " ", w.TxIDs))
		}
		return nil
	}))
	if !slices.Equal(again, want) {
		t.Errorf("found again\n%v, want\n%v", again, want)
	}
	if rows := b.count(`SELECT count(*) FROM report.rule_windows`); rows != int64(len(want)) {
		t.Errorf("%d rows in report.rule_windows", rows)
	}
}

// TestRuleOverTimeCountsOnce: a payment that is seen, confirmed, reorganised and
// confirmed again counts once; one that does not stand counts not at all.
func TestRuleOverTimeCountsOnce(t *testing.T) {
	a := address(1)
	b, ledger := ruled(t, alerts.Rules{{Name: "often", Severity: alerts.High, Over: time.Hour, Count: 3}}, a)
	now := time.Now().UTC()
	ledger.Time = func(height int32) time.Time { return now.Add(time.Duration(height-10) * time.Minute) }
	txs := []*wire.MsgTx{payOf(1, a, 20_000), payOf(2, a, 20_000), payOf(3, a, 20_000), payOf(4, a, 20_000)}
	b.report("alpha", seen(txs[0]))
	ledger.Mine(txs[0])
	b.follow(ledger)
	b.report("alpha", seen(txs[1]))
	gone := b.lines(`SELECT id::text FROM btcwatch.tx ORDER BY id DESC LIMIT 1`)[0]
	b.exec(`UPDATE btcwatch.tx_now SET state = 'dropped' WHERE tx_id = $1::text::bigint`, gone)
	ledger.Mine(txs[2])
	b.follow(ledger)
	if n := len(b.windows("often")); n != 0 {
		t.Errorf("told %d times of two payments that stand", n)
	}
	ledger.Mine(txs[3])
	b.follow(ledger)
	all := b.windows("often")
	if len(all) != 1 || all[0].Window.Count != 3 || slices.Contains(all[0].Window.TxIDs, txs[1].TxHash().String()) {
		t.Fatalf("told %+v", all)
	}
	ledger.MineEmpty(4) // deeper confirmations are no payments
	b.follow(ledger)
	if n := len(b.windows("often")); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// TestRulesLeaveHistoryAlone: what is from before the watch makes no sum.
func TestRulesLeaveHistoryAlone(t *testing.T) {
	a := address(1)
	b, ledger := ruled(t, alerts.Rules{{Name: "often", Severity: alerts.High, Over: 1000 * time.Hour, Count: 2}}, a)
	past := []*wire.MsgTx{payOf(1, a, 20_000), payOf(2, a, 20_000), payOf(3, a, 30_000)}
	for i, tx := range past {
		b.report("alpha", confirmed(tx, ledger, int32(i+1)))
	}
	if n := b.count(`SELECT count(*) FROM btcwatch.rule_payment`); n != 0 {
		t.Errorf("%d payments of the past count", n)
	}
}

// TestDailyReportOfRules: what a rule makes mild is counted as a payment of that
// severity, and only dust as dust, up to what the rule says it is.
func TestDailyReportOfRules(t *testing.T) {
	a := address(1)
	dust, least := int64(5_000), int64(100_000)
	b, ledger := ruled(t, alerts.Rules{{Name: "dust", MaxSat: &dust}, {Name: "money-in", MinSat: &least}}, a)
	b.must(b.writer.TellDaily(b.Context(), sql.Daily{Date: "2026-01-01"}))
	ledger.Mine(payOf(1, a, 4_000), payOf(2, a, 5_000), payOf(3, a, 5_001), payOf(4, a, 100_000))
	b.follow(ledger)
	b.must(b.writer.TellDaily(b.Context(), sql.Daily{Date: "2026-01-02"}))
	var body alerts.Body
	b.must(json.Unmarshal([]byte(b.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE type = 'report.daily' ORDER BY seq DESC LIMIT 1`)[0]), &body))
	r := body.Data.Report
	if r.DustCount != 2 || r.DustSat != 9_000 || r.DustMost != 5_000 {
		t.Errorf("dust: %d, %d sat, up to %d", r.DustCount, r.DustSat, r.DustMost)
	}
	got := map[string]int64{}
	for _, p := range r.Payments {
		got[p.Severity.String()] += p.AmountSat
	}
	if len(got) != 2 || got["info"] != 5_001 || got["medium"] != 100_000 {
		t.Errorf("payments: %v", got)
	}
}
