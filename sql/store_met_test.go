package sql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

func metWords(d alerts.Data) (all []string) {
	if d.List == nil || d.List.Met == nil {
		return nil
	}
	for _, m := range d.List.Met.Some {
		all = append(all, fmt.Sprintf("%s>%s %d in %d %s %v%v %v", m.Payer.Address, m.Payee.Address, m.AmountSat, m.TxCount, m.Proof, m.Payer.Added, m.Payee.Added, m.Historic))
	}
	return all
}

// TestDealingsOfBeforeComeWithTheImport: a new address paid a watched one and was
// paid by it, and was paid by an own one, before it was listed: the alert of its
// import says so, once; what happens later is told by itself.
func TestDealingsOfBeforeComeWithTheImport(t *testing.T) {
	listed434, _ := ofac(t)
	watched, fresh, own, stranger := listed434[0], listed434[1], listed434[2], listed434[3]
	f := newFlooded(t, watched)
	f.watchOwn(own)
	start := payOf(1, fresh, 100_000)
	out := func(tx *wire.MsgTx, n uint32) []wire.OutPoint { return []wire.OutPoint{{Hash: tx.TxHash(), Index: n}} }
	there := transaction(2, out(start, 0), pays(watched, 60_000), pays(fresh, 39_000)) // change of its own
	back := transaction(3, out(there, 0), pays(fresh, 20_000), pays(stranger, 5_000), pays(watched, 30_000))
	again := transaction(4, out(there, 1), pays(watched, 7_000), pays(stranger, 30_000))
	ownMoney := payOf(5, own, 50_000)
	fromOwn := transaction(6, out(ownMoney, 0), pays(fresh, 49_000), pays(own, 900))
	f.ledger.Mine(start)
	f.ledger.Mine(there, ownMoney)
	f.ledger.Mine(back, fromOwn)
	f.ledger.Mine(again)
	f.follow(f.ledger)
	tip, _ := f.ledger.Tip()
	listed := func(list string, a chain.Address, basis watchlist.Basis) {
		t.Helper()
		_, err := f.store.Import(t.Context(), sql.Import{List: list, Origin: "list.csv", Rows: rowsOf(watchlist.Row{Listing: watchlist.Listing{Address: a, Basis: basis}})})
		f.must(err)
	}
	f.clock = f.clock.Add(time.Minute)
	listed("fresh", fresh, watchlist.Designation)
	questions, err := f.store.Unread(t.Context())
	f.must(err)
	for _, q := range questions {
		if q.Address.Text == fresh.Text {
			f.report("alpha", confirmed(start, f.ledger, tip-3), confirmed(there, f.ledger, tip-2, start.TxOut[0]),
				confirmed(back, f.ledger, tip-1, there.TxOut[0]), confirmed(fromOwn, f.ledger, tip-1, ownMoney.TxOut[0]),
				confirmed(again, f.ledger, tip, there.TxOut[1]))
			f.must(f.writer.HistoryRead(t.Context(), q, "alpha"))
		}
	}
	f.clock = f.clock.Add(time.Minute)
	f.ledger.Mine(transaction(7, out(back, 2), pays(fresh, 29_000)))
	f.follow(f.ledger)
	_, err = f.writer.TellImports(t.Context(), time.Nanosecond, 0)
	f.must(err)
	all := f.bodies(alerts.ListChanged, true)
	last := all[len(all)-1]
	want := []string{
		own.Text + ">" + fresh.Text + " 49000 in 1 proven falsetrue true",
		fresh.Text + ">" + watched.Text + " 67000 in 2 proven truefalse true",
		watched.Text + ">" + fresh.Text + " 20000 in 1 proven falsetrue true",
	}
	if got := metWords(last); fmt.Sprint(got) != fmt.Sprint(want) || last.Severity != "high" || last.List.Met.Count != 3 {
		t.Errorf("met %v (%s), want %v", got, last.Severity, want)
	}
	for _, d := range all[:len(all)-1] {
		if d.List.Met != nil {
			t.Errorf("a change before tells of %v", metWords(d))
		}
	}
	// Own addresses that pay each other are no news, whatever list brings them.
	f.clock = f.clock.Add(time.Minute)
	another := listed434[4]
	f.ledger.Mine(transaction(8, out(fromOwn, 1), pays(another, 800)))
	f.follow(f.ledger)
	f.clock = f.clock.Add(time.Minute)
	listed("wallets", another, watchlist.Own)
	f.clock = f.clock.Add(time.Minute)
	_, err = f.writer.TellImports(t.Context(), time.Nanosecond, 0)
	f.must(err)
	all = f.bodies(alerts.ListChanged, true)
	if last = all[len(all)-1]; last.List.Origin != "list.csv" || last.List.Met != nil || last.Severity != "low" {
		t.Errorf("own addresses among themselves: %v (%s)", metWords(last), last.Severity)
	}
	// A stranger that both dealt with is listed afterwards: only who paid it is named, not the co-outputs.
	f.clock = f.clock.Add(time.Minute)
	listed("strangers", stranger, watchlist.Press)
	f.clock = f.clock.Add(time.Minute)
	_, err = f.writer.TellImports(t.Context(), time.Nanosecond, 0)
	f.must(err)
	all = f.bodies(alerts.ListChanged, true)
	last = all[len(all)-1]
	want = []string{
		fresh.Text + ">" + stranger.Text + " 30000 in 1 proven falsetrue true",
		watched.Text + ">" + stranger.Text + " 5000 in 1 proven falsetrue true",
	}
	if got := metWords(last); fmt.Sprint(got) != fmt.Sprint(want) || last.Severity != "medium" {
		t.Errorf("met %v (%s), want %v", got, last.Severity, want)
	}
}

// TestMetThatTakesTooLong: what was not looked for to the end is not known, and
// never none.
func TestMetThatTakesTooLong(t *testing.T) {
	all, _ := ofac(t)
	f := newFlooded(t)
	sql.SetMetPatience(f.store, time.Nanosecond)
	_, err := f.store.Import(t.Context(), sql.Import{List: "one", Origin: "one.csv", Rows: rowsOf(watchlist.Row{Listing: watchlist.Listing{Address: all[0]}})})
	f.must(err)
	f.clock = f.clock.Add(time.Minute)
	_, err = f.writer.TellImports(t.Context(), time.Nanosecond, 0)
	f.must(err)
	d := f.one(alerts.ListChanged)
	if d.List.Met != nil || !d.List.MetUnknown || !strings.Contains(strings.Join(d.Lines, " "), "is not known") {
		t.Errorf("%+v %q", d.List, d.Lines)
	}
}

// TestPastThatComesLate: a change is told while a history is missing; what that
// one shows is told when it is read, once, and nothing where it shows nothing.
func TestPastThatComesLate(t *testing.T) {
	all, _ := ofac(t)
	f := newFlooded(t, all[0])
	start := payOf(1, all[1], 100_000)
	there := transaction(2, []wire.OutPoint{{Hash: start.TxHash()}}, pays(all[0], 60_000))
	f.ledger.Mine(start)
	f.ledger.Mine(there)
	f.follow(f.ledger)
	tip, _ := f.ledger.Tip()
	f.clock = f.clock.Add(time.Minute)
	var rows []watchlist.Row
	for _, a := range all[1:3] {
		rows = append(rows, watchlist.Row{Listing: watchlist.Listing{Address: a}})
	}
	for i, list := range []string{"one", "two"} {
		_, err := f.store.Import(t.Context(), sql.Import{List: list, Origin: list + ".csv", Rows: rowsOf(rows[i])})
		f.must(err)
	}
	told := func() int { return len(f.bodies(alerts.ListChanged, true)) }
	before := told()
	tell := func(each time.Duration) int {
		t.Helper()
		waiting, err := f.writer.TellImports(t.Context(), time.Nanosecond, each)
		f.must(err)
		return waiting
	}
	f.clock = f.clock.Add(time.Minute)
	if waiting := tell(10 * time.Minute); waiting != 3 || told() != before { // that of newFlooded waits too
		t.Errorf("%d wait, %d are told", waiting, told()-before)
	}
	tell(0)
	early := told()
	for _, d := range f.bodies(alerts.ListChanged, true) {
		if d.List.Met != nil || d.List.HistoryMissing != 1 {
			t.Errorf("%+v", d.List)
		}
	}
	questions, err := f.store.Unread(t.Context())
	f.must(err)
	for _, q := range questions {
		if q.Address.Text == all[1].Text {
			f.report("alpha", confirmed(start, f.ledger, tip-1), confirmed(there, f.ledger, tip, start.TxOut[0]))
		}
		f.must(f.writer.HistoryRead(t.Context(), q, "alpha"))
	}
	for range 2 {
		if waiting := tell(0); waiting != 0 {
			t.Errorf("%d wait", waiting)
		}
	}
	var late []alerts.Data
	for _, d := range f.bodies(alerts.ListChanged, true) {
		if d.List.Past {
			late = append(late, d)
		}
	}
	if told() != early+len(late) || len(late) == 0 {
		t.Fatalf("%d are told late, %d in all", len(late), told())
	}
	met := 0
	for _, d := range late {
		if d.List.Origin == "two.csv" {
			t.Errorf("an empty past is told: %s", d.Summary)
		}
		for _, words := range metWords(d) {
			if met++; words != all[1].Text+">"+all[0].Text+" 60000 in 1 proven truefalse true" {
				t.Error(words)
			}
		}
	}
	if met != 1 {
		t.Errorf("%d meetings are told", met)
	}
}

// TestDelistedIsSaidOtherwise: a payment to an address that was taken off its list
// is recorded there and told there no more; the alert of the other side says that
// it was listed, and no rule takes it for listed.
func TestDelistedIsSaidOtherwise(t *testing.T) {
	all, _ := ofac(t)
	watched, former := all[0], all[1]
	f := newFlooded(t, watched)
	list := func(rows ...watchlist.Row) {
		t.Helper()
		_, err := f.store.Import(t.Context(), sql.Import{List: "ofac", Origin: "ofac.csv", Rows: rowsOf(rows...)})
		f.must(err)
	}
	other := watchlist.Row{Listing: watchlist.Listing{Address: all[2], Basis: watchlist.Designation}}
	list(other, watchlist.Row{Listing: watchlist.Listing{Address: former, Basis: watchlist.Designation, Category: "SDGT"}})
	f.clock = f.clock.Add(time.Hour)
	list(other)
	in := payOf(1, watched, 100_000)
	f.ledger.Mine(in)
	f.ledger.Mine(transaction(2, []wire.OutPoint{{Hash: in.TxHash()}}, pays(former, 60_000)))
	f.follow(f.ledger)
	told := f.bodies(alerts.TransactionConfirmed, true)
	if len(told) != 2 {
		t.Fatalf("%d are told", len(told))
	}
	d := told[1]
	if d.Address != watched.Text || d.Severity != "high" || len(d.Counterparties) != 1 {
		t.Fatalf("%+v", d)
	}
	c := d.Counterparties[0]
	if c.Address != former.Text || len(c.Listings) != 0 || len(c.Former) != 1 || c.Former[0].Category != "SDGT" || c.Former[0].EndedAt == nil || !c.Former[0].EndedAt.Equal(f.clock) {
		t.Errorf("%+v", c)
	}
	f.expect(`SELECT count(*)::text FROM report.transactions WHERE address = $1`, "1", former.Text)
}
