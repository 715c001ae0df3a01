package sql_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

// bodies gives those of the alerts of a type, oldest first; loud: of those
// that went to a channel.
func (b *bench) bodies(typ alerts.Type, loud bool) []alerts.Data {
	b.Helper()
	found, err := b.conn.Query(b.Context(), `
		SELECT body
		FROM btcwatch.alert
		WHERE type = $1
		  AND NOT (quiet AND $2)
		ORDER BY seq`, string(typ), loud)
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
	return all
}

func (b *bench) one(typ alerts.Type) alerts.Data {
	b.Helper()
	all := b.bodies(typ, true)
	if len(all) != 1 {
		b.Fatalf("%d alerts %s, want 1", len(all), typ)
	}
	return all[0]
}

func (b *bench) toAsk() []sql.Unconfirmed {
	b.Helper()
	all, err := b.store.UnconfirmedToAsk(b.Context(), time.Now().Add(time.Hour), 50)
	b.must(err)
	return all
}

// A payment that was never told as unconfirmed is corrected like any other.
func TestAConfirmedPaymentThatIsDoubleSpentIsCorrected(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5_000_000)))
	b.follow(c)
	c.Reorg(1)
	b.must(b.writer.StepBack(t.Context(), 3))
	c.Mine(transaction(2, []wire.OutPoint{stranger(1)}, pays(address(8), 5_000_000)))
	b.follow(c)
	reorged, told := b.one(alerts.TransactionReorged), b.one(alerts.TransactionReplaced)
	if told.Corrects != reorged.ID || told.Thread != reorged.Thread {
		t.Errorf("replaced corrects %s, want %s", told.Corrects, reorged.ID)
	}
	if strings.Contains(told.Summary, "according to") {
		t.Errorf("a block shows it, and the summary says %q", told.Summary)
	}
}

// A confidential address that is retired is still asked about by nobody.
func TestARetiredConfidentialAddressIsNotAskedAbout(t *testing.T) {
	a, other := address(1), address(2)
	b, c := started(t, other)
	secret := listing(a)
	secret.Confidential = true
	b.watch(secret)
	_, err := b.store.Retire(t.Context(), a, "tester")
	b.must(err)
	_, err = b.store.Retire(t.Context(), other, "tester")
	b.must(err)
	public := transaction(3, []wire.OutPoint{stranger(3)}, pays(other, 1_000_000))
	c.Mine(public, transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5_000_000)), transaction(2, []wire.OutPoint{stranger(2)}, pays(a, 1_000_000), pays(other, 1_000_000)))
	unknown, err := b.writer.Unknown(t.Context(), b.next(c))
	b.must(err)
	if len(unknown) != 1 || unknown[0].ID != public.TxHash() {
		t.Errorf("%d transactions of the block may be asked about, want the public one", len(unknown))
	}
	b.follow(c)
	c.Reorg(1)
	b.must(b.writer.StepBack(t.Context(), 3))
	if all := b.toAsk(); len(all) != 1 || all[0].ID != public.TxHash() {
		t.Errorf("%d unconfirmed transactions may be asked about, want the public one", len(all))
	}
}

// What comes back after it was dropped has been missing for no time.
func TestWhatComesBackIsNotMissing(t *testing.T) {
	a := address(1)
	b, _ := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5_000_000))
	b.report("alpha", seen(tx))
	b.must(b.store.SaveKnown(t.Context(), b.toAsk()[0], false, true))
	u := b.toAsk()[0]
	if u.MissingSince == nil {
		t.Fatal("it is not missing")
	}
	b.must(b.writer.RecordDropped(t.Context(), u, *u.MissingSince))
	b.report("alpha", seen(tx))
	if u := b.toAsk()[0]; u.MissingSince != nil || u.AskedAt != nil {
		t.Errorf("missing since %v, asked at %v", u.MissingSince, u.AskedAt)
	}
}

// A place in the chain that one explorer made up is taken back as such.
func TestAnInventedPlaceIsTakenBackAsWhatItWas(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	c.MineEmpty(1)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 2_000_000))
	b.report("alpha", seen(tx))
	b.report("liar", confirmed(tx, c, 4))
	said := b.one(alerts.TransactionConfirmed)
	if said.Confirmations != nil || strings.Contains(said.Summary, "confirmation") {
		t.Errorf("above the position it has %v confirmations: %s", said.Confirmations, said.Summary)
	}
	b.follow(c)
	told := b.one(alerts.TransactionReorged)
	want := "Correction: block 4 does not hold the transaction that pays 0.02 BTC to " + a.Text + " (of " + a.Text[:6] + "), contrary to what liar said; it is unconfirmed again."
	if told.Summary != want || told.Corrects != said.ID {
		t.Errorf("it says %q", told.Summary)
	}
}

// An explorer can make up any number of blocks above the covered chain for one
// transaction: people hear of the first, of its correction, and of the true one.
func TestInventedBlocksAreToldOnce(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 2_000_000))
	b.report("alpha", seen(tx))
	invent := func(n byte) {
		height, _ := c.Tip()
		told := seen(tx)
		told.Place = &chain.Place{Height: height + 1, Block: chainhash.Hash{n}, Time: time.Unix(1_700_000_000, 0), Index: -1}
		b.report("liar", told)
	}
	invent(1)
	invent(2) // another block at the same height
	c.MineEmpty(1)
	b.follow(c) // which shows that there was none
	invent(3)
	c.MineEmpty(1)
	b.follow(c)
	if all := b.bodies(alerts.TransactionConfirmed, false); len(all) != 1 || len(b.bodies(alerts.TransactionReorged, false)) != 1 {
		t.Fatalf("%d confirmations and %d corrections are told, want 1 and 1", len(all), len(b.bodies(alerts.TransactionReorged, false)))
	}

	// The true block is told, though the explorer named it before.
	block := c.Mine(tx)
	height, _ := c.Tip()
	b.report("liar", confirmed(tx, c, height))
	if all := b.bodies(alerts.TransactionConfirmed, false); len(all) != 1 {
		t.Errorf("%d confirmations are told before the block is covered", len(all))
	}
	b.follow(c)
	all := b.bodies(alerts.TransactionConfirmed, true)
	if len(all) != 2 || all[1].BlockHash != block.BlockHash().String() || all[1].Proof != alerts.Proven {
		t.Errorf("the true block is told as %+v", all)
	}
}

// An explorer that stays on a branch that left has no news, not even while the
// other branch is not covered yet.
func TestABlockThatLeftIsNoNews(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 2_000_000))
	c.Mine(tx)
	b.follow(c)
	height, _ := c.Tip()
	behind := confirmed(tx, c, height)
	c.Reorg(1)
	b.must(b.writer.StepBack(t.Context(), height-1))
	if r := b.report("beta", behind); r.News != 0 || r.Astray != 1 {
		t.Errorf("recorded as %+v", r)
	}
	if all := b.bodies(alerts.TransactionConfirmed, false); len(all) != 1 {
		t.Errorf("%d confirmations are told", len(all))
	}
	c.Mine(tx)
	b.follow(c)
	if all := b.bodies(alerts.TransactionConfirmed, true); len(all) != 2 || all[1].BlockHash == behind.Place.Block.String() {
		t.Errorf("where it stands now is told as %+v", all)
	}
}

// A debit that one explorer states is that explorer's word alone.
func TestAStatedDebitNamesWhoStatedIt(t *testing.T) {
	a := address(1)
	b, _ := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(address(8), 2_000_000))
	b.report("liar", seen(tx, wire.NewTxOut(2_000_500, a.Script)))
	b.report("alpha", seen(tx))
	b.expect(`SELECT e.name FROM btcwatch.observation JOIN btcwatch.explorer e ON e.id = explorer_id`, "alpha liar")
	b.must(b.writer.RecordDropped(t.Context(), b.toAsk()[0], time.Now()))
	told := b.one(alerts.TransactionDropped)
	if told.Proof != alerts.Reported || !slices.Equal(told.ReportedBy, []string{"liar"}) {
		t.Errorf("%s by %v", told.Proof, told.ReportedBy)
	}
}

// That a listed address is the other side of what a block proves is not proven
// by it where one explorer alone says so.
func TestAStatedOtherSideNamesWhoStatedIt(t *testing.T) {
	a, bad, known := address(1), address(2), address(3)
	b, c := started(t, a, bad, known)
	earlier := transaction(1, []wire.OutPoint{stranger(1)}, pays(known, 50_000))
	c.Mine(earlier)
	b.follow(c)
	tx := transaction(2, []wire.OutPoint{stranger(2), output(earlier, 0)}, pays(a, 2_000_000))
	b.report("alpha", seen(tx))
	b.report("liar", seen(tx, wire.NewTxOut(2_000_500, bad.Script), nil))
	c.Mine(tx)
	b.follow(c)
	for _, d := range b.bodies(alerts.TransactionConfirmed, true) {
		if d.Address != a.Text || d.Direction != alerts.In {
			continue
		}
		by := map[string][]string{}
		for _, p := range d.Counterparties {
			by[p.Address] = p.StatedBy
		}
		if d.Proof != alerts.Proven || len(by) != 2 || !slices.Equal(by[bad.Text], []string{"liar"}) || by[known.Text] != nil {
			t.Errorf("%s, and the other side: %+v", d.Proof, d.Counterparties)
		}
		return
	}
	t.Error("nothing was told")
}

// A replacement is as severe as what it does; that an explorer alone shows it
// is said.
func TestAReplacementThatIsMoreSevereIsTold(t *testing.T) {
	a, bad := address(1), address(2)
	b, _ := started(t, a)
	l := listing(bad)
	l.Basis = watchlist.Designation
	b.watch(l)
	b.report("alpha", seen(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 2000))))
	big := transaction(2, []wire.OutPoint{stranger(1), stranger(2)}, pays(a, 1_000_000_000))
	b.report("beta", seen(big, wire.NewTxOut(3000, address(8).Script), wire.NewTxOut(1_000_000_100, bad.Script)))
	var of []string
	for _, d := range b.bodies(alerts.TransactionSeen, true) {
		if d.Address == a.Text {
			of = append(of, d.Severity)
		}
	}
	if !slices.Equal(of, []string{"medium", "severe"}) {
		t.Errorf("told as %v", of)
	}
	if told := b.one(alerts.TransactionReplaced); !strings.HasPrefix(told.Summary, "Correction: according to beta, the unconfirmed transaction") {
		t.Errorf("it says %q", told.Summary)
	}
}

// What an address received while no list had it is told in sum when one has it
// again.
func TestAReturnToTheListTellsWhatWasMissed(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	b.must(b.writer.HistoryRead(t.Context(), b.question(a), "alpha"))
	pay := func(n byte, amount int64) {
		c.Mine(transaction(uint32(n), []wire.OutPoint{stranger(n)}, pays(a, amount)))
		b.follow(c)
	}
	tellImports := func() {
		_, err := b.writer.TellImports(t.Context(), 0, 0)
		b.must(err)
	}
	pay(1, 1_000_000) // told
	tellImports()
	_, err := b.store.Retire(t.Context(), a, "tester")
	b.must(err)
	pay(2, 900_000_000)
	tellImports()
	b.watch(listing(a))
	pay(3, 2_000_000) // told
	tellImports()
	all := b.bodies(alerts.ListChanged, true)
	for i, want := range []int64{0, 0, 1} {
		if got := all[i].List.HistoricPayments; got != want {
			t.Errorf("change %d brought %d payments, want %d", i, got, want)
		}
	}
	if sum := all[2].List.HistoricReceivedSat; sum == nil || *sum != 900_000_000 {
		t.Errorf("the sum of them is %v", sum)
	}
}

// A delivery is due by the clock of the database, whatever the daemon's says.
func TestADeliveryIsDueAtOnce(t *testing.T) {
	b, _ := started(t)
	sql.SetClock(b.store, func() time.Time { return time.Now().Add(time.Hour) })
	b.must(b.writer.BeginOutage(t.Context(), "explorer", "alpha", "a reason", time.Now()))
	if n := len(b.claim("desk", 5, time.Minute)); n != 1 {
		t.Errorf("%d deliveries are due, want 1", n)
	}
}

// A block that comes back and leaves again is confirmed twice, and corrected
// twice: each correction names its own confirmation.
func TestEachCorrectionNamesItsConfirmation(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	height, _ := c.Tip()
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5_000_000)))
	for range 2 {
		b.follow(c)
		b.must(b.writer.StepBack(t.Context(), height))
	}
	confirmed, reorged := b.bodies(alerts.TransactionConfirmed, true), b.bodies(alerts.TransactionReorged, true)
	if len(confirmed) != 2 || len(reorged) != 2 {
		t.Fatalf("%d confirmations and %d corrections are told", len(confirmed), len(reorged))
	}
	for i := range reorged {
		if reorged[i].Corrects != confirmed[i].ID {
			t.Errorf("correction %d corrects %s, want %s", i+1, reorged[i].Corrects, confirmed[i].ID)
		}
	}
}
