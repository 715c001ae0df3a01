package sql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// canaried is a bench with a canary, that has begun to follow.
func canaried(t *testing.T, canary chain.Address, watched ...chain.Address) (*bench, *chaintest.Chain) {
	tell := telling()
	tell.Canary = &canary
	b, c := newBench(t, tell), chaintest.NewChain()
	c.MineEmpty(3)
	changed, err := b.writer.SetCanary(t.Context())
	b.must(err)
	if !changed {
		t.Error("a new canary is no change")
	}
	b.begin(c, 3)
	for _, a := range watched {
		b.watch(listing(a))
	}
	return b, c
}

// rest is every row of every table but the canary's own.
func (b *bench) rest() string {
	var all []string
	for line := range strings.Lines(b.dump()) {
		if !strings.HasPrefix(line, "canary") {
			all = append(all, line)
		}
	}
	return strings.Join(all, "")
}

func (b *bench) arrive() int {
	b.Helper()
	claimed, err := b.store.Canaries().ClaimDeliveries(b.Context(), sql.CanaryChannel, 100, time.Hour, nil)
	b.must(err)
	for _, d := range claimed {
		body, err := alerts.Decode(d.Body)
		b.must(err)
		b.must(b.store.CanaryArrived(b.Context(), d.Alert, body.Data.TxID))
		b.must(b.store.Canaries().Delivered(b.Context(), d))
	}
	return len(claimed)
}

// TestCanaryIsKeptApart: a block whose payments are the canary's leaves in the
// record nothing that one with strangers' payments would not; and only so many
// are taken, of a wallet that is paid all day.
func TestCanaryIsKeptApart(t *testing.T) {
	a, canary := address(1), address(2)
	b, c := canaried(t, canary, a)
	var busy []*wire.MsgTx
	for n := range 300 {
		busy = append(busy, transaction(uint32(n), []wire.OutPoint{stranger(byte(n))}, pays(canary, 70_000)))
	}
	c.Mine(busy...)
	b.follow(c)
	b.expect(`SELECT count(*) || ' ' || sum(amount_sat) || ' ' || count(delivered_at) || ' ' || bool_and(on_chain) FROM report.canary`, "4 280000 0 true")
	for _, view := range []string{"transactions", "movements", "counterparties", "alerts", "deliveries"} {
		if n := b.count(`SELECT count(*) FROM report.` + view); n != 0 {
			t.Errorf("report.%s has %d rows of the canary", view, n)
		}
	}
	for _, table := range []string{"tx", "touch", "movement", "alert", "delivery", "stated_output"} {
		if n := b.count(`SELECT count(*) FROM btcwatch.` + table); n != 0 {
			t.Errorf("btcwatch.%s has %d rows of the canary", table, n)
		}
	}
	for _, view := range b.lines(`SELECT table_name::text FROM information_schema.views WHERE table_schema = 'report' AND table_name <> 'canary'`) {
		if n := b.count(fmt.Sprintf(`SELECT count(*) FROM report.%s v WHERE v::text LIKE '%%%s%%'`, view, canary.Text)); n != 0 {
			t.Errorf("report.%s speaks of the canary", view)
		}
	}
	before := b.rest()
	if n := b.arrive(); n != 4 {
		t.Errorf("%d payments came through", n)
	}
	c.Mine(transaction(900, []wire.OutPoint{stranger(1)}, pays(canary, 1)))
	block := b.next(c)
	state, err := b.store.Canary(t.Context())
	b.must(err)
	if state.Arrived == nil || state.Waited != 0 || state.Last == nil || state.Last.Height != 4 || state.Last.Took < 0 || state.OnTheirWay != 0 || state.Unsighted != 4 {
		t.Errorf("the canary is %+v, last %+v", state, state.Last)
	}
	if b.rest() != before {
		t.Error("the end of the canary's road touched the record")
	}
	_, err = b.writer.RecordBlock(t.Context(), block, "alpha", nil)
	b.must(err)
	b.expect(`SELECT count(*)::text FROM report.canary`, "4") // there was no room left in this hour
	b.exec(`UPDATE btcwatch.canary_payment SET recorded_at = recorded_at - interval '61 minutes'`)
	c.Mine(transaction(901, []wire.OutPoint{stranger(2)}, pays(canary, 2), pays(a, 5_000)))
	b.follow(c)
	b.expect(`SELECT count(*)::text FROM report.canary`, "5")
	b.expect(`SELECT address || ' ' || amount_sat FROM report.transactions`, a.Text+" 5000")
	if n := b.count(`SELECT count(*) FROM btcwatch.alert WHERE convert_from(body, 'UTF8') LIKE '%canary%'`); n != 0 {
		t.Errorf("%d alerts tell people of the canary", n)
	}
	// A journal row a commit: of a block each, of nothing else.
	b.expect(`SELECT kind || ' ' || count(*) FROM btcwatch.journal GROUP BY kind`, "block 3 start 1")
	b.dangling()
}

// TestCanaryIsForgotten after its time, and with it what waited; nothing else is.
func TestCanaryIsForgotten(t *testing.T) {
	canary := address(2)
	b, c := canaried(t, canary)
	for n := range byte(3) {
		c.Mine(transaction(uint32(n), []wire.OutPoint{stranger(n)}, pays(canary, 10_000)))
	}
	b.follow(c)
	before := b.rest()
	b.exec(`UPDATE btcwatch.canary_payment SET recorded_at = now() - interval '169 hours' WHERE height = 4`)
	b.exec(`UPDATE btcwatch.canary_payment SET recorded_at = now() - interval '167 hours' WHERE height = 5`)
	b.must(b.store.ForgetCanaries(t.Context(), 168*time.Hour))
	b.expect(`SELECT block_height::text FROM report.canary`, "5 6")
	b.expect(`SELECT count(*)::text FROM btcwatch.canary_delivery`, "2")
	if b.rest() != before {
		t.Error("forgetting touched the record")
	}
	b.must(b.store.CanaryArrived(t.Context(), alerts.ID{1}, "of one that is forgotten"))
	if d := b.arrive(); d != 2 {
		t.Errorf("%d came through", d)
	}
}

// TestCanaryWrongPaymentDoesNotArrive: what comes must be what was recorded.
func TestCanaryWrongPaymentDoesNotArrive(t *testing.T) {
	b, c := canaried(t, address(2))
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(address(2), 10_000)))
	b.follow(c)
	claimed, err := b.store.Canaries().ClaimDeliveries(t.Context(), sql.CanaryChannel, 9, time.Hour, nil)
	b.must(err)
	if len(claimed) != 1 || b.store.CanaryArrived(t.Context(), claimed[0].Alert, chainhash.Hash{1}.String()) == nil {
		t.Errorf("%d claimed, and another transaction is taken for it", len(claimed))
	}
	b.expect(`SELECT count(delivered_at)::text FROM report.canary`, "0")
}

// TestWatchWinsOverCanary: an address that comes to be watched is recorded as
// such from the next block on, and is no canary.
func TestWatchWinsOverCanary(t *testing.T) {
	canary := address(2)
	b, c := canaried(t, canary)
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(canary, 10_000)))
	b.follow(c)
	b.watch(listing(canary))
	c.Mine(transaction(2, []wire.OutPoint{stranger(2)}, pays(canary, 20_000)))
	b.follow(c)
	b.expect(`SELECT amount_sat::text FROM report.canary`, "10000")
	b.expect(`SELECT amount_sat::text FROM report.transactions`, "20000")
	state, err := b.store.Canary(t.Context())
	b.must(err)
	if !state.Watched {
		t.Error("nobody says that the canary is watched")
	}
	_, err = b.store.Retire(t.Context(), canary, "tester")
	b.must(err)
	c.Mine(transaction(3, []wire.OutPoint{stranger(3)}, pays(canary, 30_000)))
	b.follow(c)
	b.expect(`SELECT amount_sat::text FROM report.canary`, "10000")
	b.expect(`SELECT amount_sat::text FROM report.transactions`, "20000 30000") // as of any that is retired
}

// TestCanarySight: whether a payment was seen unconfirmed is said only where it
// is known.
func TestCanarySight(t *testing.T) {
	canary := address(2)
	b, c := canaried(t, canary)
	pay := func(n byte) (*wire.MsgTx, []chainhash.Hash) {
		tx := transaction(uint32(n), []wire.OutPoint{stranger(n)}, pays(canary, int64(n)))
		return tx, []chainhash.Hash{tx.TxHash()}
	}
	unasked, _ := pay(1)
	c.Mine(unasked)
	b.follow(c)
	seen, id := pay(2)
	b.must(b.store.SawCanary(t.Context(), "alpha", id, true))
	b.must(b.store.SawCanary(t.Context(), "beta", id, true)) // the first is named
	missed, _ := pay(3)
	c.Mine(seen, missed)
	b.follow(c)
	cut, id := pay(4)
	b.must(b.store.SawCanary(t.Context(), "beta", id, false))
	notKnown, _ := pay(5)
	b.exec(`UPDATE btcwatch.canary_payment SET recorded_at = recorded_at - interval '2 hours'`)
	c.Mine(cut, notKnown)
	b.follow(c)
	b.expect(`SELECT amount_sat || ' ' || coalesce(seen_unconfirmed::text, 'not known') || ' ' || coalesce(seen_by, '-') || ' ' || (seen_at IS NOT NULL) FROM report.canary`,
		"1 not known - false 2 true alpha true 3 false - false 4 true beta true 5 not known - false")
}

// TestCanarySightsAreBounded: beyond what is remembered nothing is claimed.
func TestCanarySightsAreBounded(t *testing.T) {
	b, _ := canaried(t, address(2))
	ids := func(from, to int) (all []chainhash.Hash) {
		for n := from; n < to; n++ {
			all = append(all, chainhash.Hash{byte(n), byte(n >> 8)})
		}
		return all
	}
	b.must(b.store.SawCanary(t.Context(), "alpha", ids(0, 4990), true))
	listed := b.lines(`SELECT listed_at::text FROM btcwatch.canary`)[0]
	b.must(b.store.SawCanary(t.Context(), "alpha", ids(4980, 5020), true))
	b.expect(`SELECT count(*)::text FROM btcwatch.canary_sight`, "5000")
	b.expect(`SELECT listed_at::text FROM btcwatch.canary`, listed)
}

// TestCanaryChanges: another canary, or none, takes nothing over from the one
// before; after a reorganisation a payment is taken once.
func TestCanaryChanges(t *testing.T) {
	canary, other := address(2), address(4)
	b, c := canaried(t, canary)
	paid := transaction(1, []wire.OutPoint{stranger(1)}, pays(canary, 10_000))
	c.Mine(paid)
	b.follow(c)
	b.arrive()
	c.Reorg(1)
	b.must(b.writer.StepBack(t.Context(), 3))
	b.expect(`SELECT on_chain::text FROM report.canary`, "false")
	c.Mine(paid)
	b.follow(c)
	b.expect(`SELECT block_height::text FROM report.canary`, "4")
	for _, set := range []struct {
		to      *chain.Address
		changed bool
		want    string
	}{{&canary, false, canary.Text + " true"}, {&other, true, other.Text + " false"}, {nil, true, ""}, {nil, false, ""}, {&canary, true, canary.Text + " false"}} {
		tell := telling()
		tell.Canary = set.to
		b.writer = b.store.Writer(b.lead, tell, nil)
		changed, err := b.writer.SetCanary(t.Context())
		b.must(err)
		got := strings.Join(b.lines(`SELECT address || ' ' || (arrived_at IS NOT NULL) FROM btcwatch.canary`), "")
		if changed != set.changed || got != set.want {
			t.Errorf("changed %v, it is %q; want %v, %q", changed, got, set.changed, set.want)
		}
	}
	b.expect(`SELECT count(*)::text FROM report.canary`, "1") // kept until it is too old
}

// TestCanaryWaits: how long it is waited for is saved, and what was counted
// before a payment came does not count after it.
func TestCanaryWaits(t *testing.T) {
	b, c := canaried(t, address(2))
	waits := func(longer time.Duration, since *time.Time) *sql.Canary {
		t.Helper()
		state, err := b.store.CanaryWaits(t.Context(), longer, since)
		b.must(err)
		return state
	}
	waits(time.Hour, nil)
	if state := waits(30*time.Minute, nil); state.Waited != 5400 || state.Arrived != nil || state.Told != nil {
		t.Errorf("waited for: %+v", state)
	}
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(address(2), 10_000)))
	b.follow(c)
	b.arrive()
	state := waits(time.Hour, nil)
	if state.Waited != 0 || state.Arrived == nil {
		t.Errorf("after it came: %+v", state)
	}
	if state = waits(time.Minute, state.Arrived); state.Waited != 60 {
		t.Errorf("a minute later: %+v", state)
	}
}

// TestCanaryInTheDailyReport, and its outage is no gap in what was covered.
func TestCanaryInTheDailyReport(t *testing.T) {
	b, c := canaried(t, address(2))
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(address(2), 10_000)))
	b.follow(c)
	b.must(b.writer.BeginOutage(t.Context(), "canary", "", "", time.Now().Add(-time.Hour)))
	daily := func(date string) alerts.Report {
		t.Helper()
		b.must(b.writer.TellDaily(t.Context(), sql.Daily{Date: date}))
		body, err := alerts.Decode([]byte(b.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE type = 'report.daily' ORDER BY seq DESC LIMIT 1`)[0]))
		b.must(err)
		return *body.Data.Report
	}
	if r := daily("2026-01-01"); r.Canary == nil || r.Canary.Arrived != nil || !r.Canary.Overdue || r.GapCount != 0 {
		t.Errorf("the report says %+v, %d gaps", r.Canary, r.GapCount)
	}
	b.arrive()
	b.must(b.writer.EndOutage(t.Context(), "canary", ""))
	if r := daily("2026-01-02"); r.Canary == nil || r.Canary.Arrived == nil || r.Canary.TookSeconds == nil || r.Canary.Overdue || r.Canary.Unsighted != 1 {
		t.Errorf("the report says %+v", r.Canary)
	}
}

// TestCanaryOfAnEarlierLeader: who leads no more takes no payment.
func TestCanaryOfAnEarlierLeader(t *testing.T) {
	b, c := canaried(t, address(2))
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(address(2), 10_000)))
	block := b.next(c)
	b.exec(`UPDATE btcwatch.position SET epoch = epoch + 1`)
	if _, err := b.writer.RecordBlock(t.Context(), block, "alpha", nil); err == nil {
		t.Error("it recorded")
	}
	if _, err := b.writer.SetCanary(t.Context()); err == nil {
		t.Error("it named a canary")
	}
	b.expect(`SELECT count(*)::text FROM report.canary`, "0")
}
