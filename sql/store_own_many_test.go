package sql_test

import (
	"encoding/binary"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

// numberedOwn is the address of a script hash that nobody has a script for.
func numberedOwn(n int) chain.Address {
	hash := make([]byte, 20)
	binary.BigEndian.PutUint32(hash, uint32(n)+1)
	a, ok := chain.AddressOf(slices.Concat([]byte{0x00, 0x14}, hash), regtest())
	if !ok {
		panic("no address")
	}
	return a
}

// A hundred thousand own addresses: a block that pays 2,000 of them tells
// nothing, and one of them that pays a listed address is told once. What it
// takes is logged.
func TestAHundredThousandOwnAddresses(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	const many = 100_000
	bad := address(1)
	b, c := started(t)
	b.watch(listing(bad))
	timed := func(what string, do func()) {
		start := time.Now()
		do()
		t.Logf("%s: %s", what, time.Since(start).Round(time.Millisecond))
	}
	list := func() (changed sql.Changed) {
		changed, err := b.store.Import(t.Context(), sql.Import{List: "hot wallets", Rows: func(yield func(watchlist.Row, error) bool) {
			for n := range many {
				if !yield(watchlist.Row{Listing: watchlist.Listing{Address: numberedOwn(n), Basis: watchlist.Own}}, nil) {
					return
				}
			}
		}})
		b.must(err)
		return changed
	}
	timed("listing them", func() {
		if got := list(); got.Added != many {
			t.Errorf("%+v", got)
		}
	})
	timed("the same list again", func() {
		if got := list(); got.Import != 0 {
			t.Errorf("%+v", got)
		}
	})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	timed("first block, which loads the list", func() { c.MineEmpty(1); b.follow(c) })
	t.Logf("memory of the list: %d MB", (heap()-before)>>20)
	timed("an empty block", func() { c.MineEmpty(1); b.follow(c) })
	var outs []*wire.TxOut
	for n := range 2000 {
		outs = append(outs, pays(numberedOwn(n), 10_000))
	}
	fund := transaction(1, []wire.OutPoint{stranger(1)}, outs...)
	timed("a block that pays 2,000 of them in one transaction", func() { c.Mine(fund); b.follow(c) })
	b.wantTold(alerts.TransactionConfirmed)
	id := fund.TxHash()
	timed("a block in which one pays a listed address", func() {
		c.Mine(transaction(2, []wire.OutPoint{*wire.NewOutPoint(&id, 7)}, pays(bad, 9_000)))
		b.follow(c)
	})
	b.wantTold(alerts.TransactionConfirmed, bad.Text+" severe own-meets-listing,money-in")
}
