package sql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

// ofac gives the addresses of OFAC's list as they are spelled on regtest, and the
// rows that are none.
func ofac(t *testing.T) (all []chain.Address, held []watchlist.Row) {
	t.Helper()
	judge := watchlist.Judge{Params: &chaincfg.MainNetParams}
	line := 0
	for text := range strings.Lines(string(recorded.Read(t, "lists/0xB10C-sanctioned_addresses_XBT.txt"))) {
		line++
		row := judge.Judge(watchlist.Entry{Line: line, Text: strings.TrimSpace(text), Symbol: "XBT"})
		if row.Held != nil {
			held = append(held, row)
			continue
		}
		a, ok := chain.AddressOf(row.Listing.Address.Script, regtest())
		if !ok {
			t.Fatal(row.Text)
		}
		all = append(all, a)
	}
	return all, held
}

// TestImportOf434WithHistory: OFAC's list is imported while the watch runs. The
// 312 that were paid before make one alert, with their sums, when all is read; a
// payment to one of them meanwhile is told at once; programs get no more.
func TestImportOf434WithHistory(t *testing.T) {
	all, held := ofac(t)
	if len(all) != 434 || len(held) != 1 {
		t.Fatalf("%d addresses and %d held", len(all), len(held))
	}
	f := newFlooded(t)
	const paid, again = 312, 50
	var received int64
	past := map[int][]*chain.Transaction{}
	var txs []*wire.MsgTx
	for i := range paid + again {
		txs = append(txs, payOf(i, all[i%paid], int64(1_000*(i+1))))
		received += int64(1_000 * (i + 1))
	}
	f.ledger.Mine(txs...)
	height, _ := f.ledger.Tip()
	for i, tx := range txs {
		past[i%paid] = append(past[i%paid], confirmed(tx, f.ledger, height))
	}
	f.follow(f.ledger)
	f.wantTold(alerts.TransactionConfirmed) // nobody watched them
	var rows []watchlist.Row
	for _, a := range all {
		rows = append(rows, watchlist.Row{Listing: watchlist.Listing{Address: a, Basis: watchlist.Designation}})
	}
	changed, err := f.store.Import(t.Context(), sql.Import{List: "ofac", Origin: "xbt.txt", Actor: "tester", Rows: rowsOf(append(rows, held...)...)})
	f.must(err)
	if changed.Added != 434 || changed.Held != 1 || changed.Entries != 435 {
		t.Errorf("%+v", changed)
	}
	questions, err := f.store.Questions(t.Context())
	f.must(err)
	if len(questions) != 434 {
		t.Fatalf("%d are asked about", len(questions))
	}
	number := map[string]int{}
	for i, a := range all {
		number[a.Text] = i
	}
	tell := func(waiting, told int) {
		t.Helper()
		left, err := f.writer.TellImports(t.Context(), time.Hour, 0)
		if err != nil || left != waiting {
			t.Errorf("%d changes wait, want %d (%v)", left, waiting, err)
		}
		if n := len(f.bodies(alerts.ListChanged, true)); n != told {
			t.Errorf("%d changes are told, want %d", n, told)
		}
	}
	live := all[7]
	for n, q := range questions {
		if payments := past[number[q.Address.Text]]; len(payments) > 0 {
			f.report("alpha", payments...)
		}
		if n == 200 {
			tell(1, 0)
			f.ledger.Mine(payOf(50_000, live, 77_000))
			f.follow(f.ledger)
		}
		f.must(f.writer.HistoryRead(t.Context(), q, "alpha"))
	}
	tell(0, 1)
	tell(0, 1)
	f.wantTold(alerts.TransactionConfirmed, live.Text+" severe money-in,designation")
	change := f.one(alerts.ListChanged).List
	switch {
	case change.Added.Count != 434, change.HistoricPayments != paid+again, change.HistoricAddresses != paid,
		change.HistoricReceivedSat == nil, *change.HistoricReceivedSat != received,
		len(change.Held) != 1, change.Held[0] != alerts.HeldCount{Reason: "chain", Count: 1}:
		t.Errorf("told is %+v, want %d sat", change, received)
	}
	for _, channel := range []string{"mail", "hook"} {
		kinds := kindsOf(f.deliverAll(channel))
		if kinds[alerts.ListChanged] != 1 || kinds[alerts.TransactionConfirmed] != 1 || len(kinds) != 2 {
			t.Errorf("%s got %v", channel, kinds)
		}
	}
	if n := f.count(`SELECT max(octet_length(body)) FROM btcwatch.alert`); n > 20_000 {
		t.Errorf("a body has %d bytes", n)
	}
}
