package sql_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/watchlist"
)

func (b *bench) watchOwn(all ...chain.Address) {
	b.Helper()
	for _, a := range all {
		l := listing(a)
		l.List, l.Basis, l.Confidential = "hot wallets", watchlist.Own, watchlist.Own.Confidential()
		b.watch(l)
	}
}

// toldOf gives, for the alerts of a type, address, severity and rules.
func (b *bench) toldOf(typ alerts.Type) (all []string) {
	b.Helper()
	for _, d := range b.bodies(typ, true) {
		all = append(all, d.Address+" "+d.Severity+" "+strings.Join(d.Rules, ","))
	}
	return all
}

func (b *bench) wantTold(typ alerts.Type, want ...string) {
	b.Helper()
	if got := b.toldOf(typ); !slices.Equal(got, want) {
		b.Errorf("%s: %q, want %q", typ, got, want)
	}
}

func ownSides(d alerts.Data) (all []string) {
	for _, c := range d.Counterparties {
		if alerts.IsOwn(c.Listings) {
			all = append(all, c.Address)
		}
	}
	return all
}

// Two own addresses pay a listed one, as a hot wallet does: one alert, of the
// listed one, that names both. The reorg that takes it back is one too.
func TestOwnMeetsListedIsOneAlert(t *testing.T) {
	bad, one, two := address(1), address(3), address(5)
	b, c := started(t, bad)
	b.watchOwn(one, two)
	fund := transaction(1, []wire.OutPoint{stranger(1)}, pays(one, 60_000), pays(two, 50_000))
	c.Mine(fund)
	b.follow(c)
	b.wantTold(alerts.TransactionConfirmed) // silent alone

	id := fund.TxHash()
	c.Mine(transaction(2, []wire.OutPoint{*wire.NewOutPoint(&id, 0), *wire.NewOutPoint(&id, 1)}, pays(bad, 500), pays(address(9), 100_000)))
	b.follow(c)
	b.wantTold(alerts.TransactionConfirmed, bad.Text+" severe own-meets-listing,dust")
	d := b.one(alerts.TransactionConfirmed)
	if got := ownSides(d); len(got) != 2 || !slices.Contains(got, one.Text) || !slices.Contains(got, two.Text) || d.OwnParties != 2 {
		t.Errorf("own addresses named are %v, counted %d", got, d.OwnParties)
	}
	if !strings.Contains(d.Summary, "on its other side are 2 of our own addresses, among them ") {
		t.Errorf("it says %q", d.Summary)
	}
	c.Reorg(1)
	b.must(b.writer.StepBack(t.Context(), 4))
	b.wantTold(alerts.TransactionReorged, bad.Text+" severe own-meets-listing,dust")
}

// The listed address pays an own one, and a batch of a stranger pays both: the
// first is told once, of the second only what the listed one received.
func TestListedPaysOwn(t *testing.T) {
	bad, mine := address(1), address(3)
	b, c := started(t, bad)
	b.watchOwn(mine)
	batch := transaction(1, []wire.OutPoint{stranger(1)}, pays(bad, 60_000), pays(mine, 50_000))
	c.Mine(batch)
	b.follow(c)
	id := batch.TxHash()
	c.Mine(transaction(2, []wire.OutPoint{*wire.NewOutPoint(&id, 0)}, pays(mine, 59_000)))
	b.follow(c)
	b.wantTold(alerts.TransactionConfirmed, bad.Text+" medium money-in", bad.Text+" severe own-meets-listing,money-out")
	d := b.bodies(alerts.TransactionConfirmed, true)[1]
	if !strings.Contains(d.Summary, "; on its other side is one of our own addresses, "+mine.Text) {
		t.Errorf("it says %q", d.Summary)
	}
}

// Who paid becomes known only after the listed address was told of: the own one
// tells it then, and goes on telling of that payment.
func TestAnOwnSideThatIsSeenLater(t *testing.T) {
	bad, mine := address(1), address(3)
	b, c := started(t, bad)
	b.watchOwn(mine)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(bad, 60_000))
	b.report("alpha", seen(tx))
	b.wantTold(alerts.TransactionSeen, bad.Text+" medium money-in")
	b.report("beta", seen(tx, pays(mine, 61_000)))
	b.wantTold(alerts.TransactionSeen, bad.Text+" medium money-in", mine.Text+" severe own-meets-listing")
	if d := b.bodies(alerts.TransactionSeen, true)[1]; !strings.Contains(d.Summary, "; on its other side is a listed address, "+bad.Text) {
		t.Errorf("it says %q", d.Summary)
	}
	c.Mine(tx)
	b.follow(c)
	b.wantTold(alerts.TransactionConfirmed, bad.Text+" severe own-meets-listing,money-in", mine.Text+" severe own-meets-listing")
}

// A rule of the configuration that names own addresses hears of each payment of
// theirs.
func TestARuleOfOwnAddressesIsHeard(t *testing.T) {
	tell := telling()
	tell.Rules = alerts.Rules{{Name: "hot", Severity: alerts.Low, Basis: []string{"own"}}}
	b, c := newBench(t, tell), chaintest.NewChain()
	c.MineEmpty(3)
	b.begin(c, 3)
	mine := address(3)
	b.watchOwn(mine)
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(mine, 60_000)))
	b.follow(c)
	b.wantTold(alerts.TransactionConfirmed, mine.Text+" low hot")
}

// Own addresses are confidential: explorers are asked about the listed one
// alone, and what they show of it tells of the meeting before any block does.
func TestUnconfirmedMeetingIsSeenAtTheListedAddress(t *testing.T) {
	bad, own := address(1), address(3)
	b, _ := started(t, bad)
	b.watchOwn(own)
	questions, err := b.store.Questions(t.Context())
	b.must(err)
	if len(questions) != 1 || questions[0].Address.Text != bad.Text {
		t.Errorf("asked about %+v", questions)
	}
	b.report("alpha", seen(transaction(2, []wire.OutPoint{stranger(1)}, pays(own, 70_000))))
	b.wantTold(alerts.TransactionSeen)
	b.report("alpha", seen(transaction(3, []wire.OutPoint{stranger(2)}, pays(bad, 60_000)), pays(own, 61_000)))
	b.wantTold(alerts.TransactionSeen, bad.Text+" severe own-meets-listing,money-in")
}
