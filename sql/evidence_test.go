package sql_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// prove gathers the evidence of a transaction, writes it, reads it and checks it.
func (b *bench) prove(tx *wire.MsgTx) *chain.Verdict {
	b.Helper()
	e, err := b.store.Evidence(b.Context(), tx.TxHash())
	b.must(err)
	file, err := e.Encode()
	b.must(err)
	read, err := chain.ReadEvidence(file)
	b.must(err)
	v, err := read.Verify()
	if err != nil {
		b.Fatalf("%v\n%s", err, file)
	}
	return v
}

// moves are the movements of an address by evidence.
func moves(v *chain.Verdict, a chain.Address) string {
	for _, row := range v.Evidence.Stated.Addresses {
		if row.Address == a.Text {
			return fmt.Sprint(row.Movements)
		}
	}
	return "none"
}

func crowd(n int) (txs []*wire.MsgTx) {
	for i := range n {
		txs = append(txs, transaction(uint32(1000+i), []wire.OutPoint{{Hash: chainhash.Hash{0xcc}, Index: uint32(i)}}, wire.NewTxOut(1, []byte{0x51})))
	}
	return txs
}

// TestEvidenceOfPayments: money in and out, in blocks of many sizes.
func TestEvidenceOfPayments(t *testing.T) {
	for _, count := range []int{2, 3, 4, 1000} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			b := newBench(t, telling())
			c := chaintest.NewChain()
			c.MineEmpty(5)
			b.watch(pressed(address(1)))
			b.begin(c, 5)
			c.MineEmpty(2)
			in := transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script), wire.NewTxOut(3, address(9).Script))
			block := c.Mine(append(crowd(count-2), in)...)
			out := transaction(2, []wire.OutPoint{{Hash: in.TxHash()}}, wire.NewTxOut(4_000, address(2).Script))
			c.Mine(append([]*wire.MsgTx{out}, crowd(count-2)...)...)
			c.MineEmpty(3)
			b.follow(c)

			v := b.prove(in)
			p := v.Block
			if p == nil || p.Hash != block.BlockHash() || p.Height != 8 || p.Depth != 5 || p.Index != count-1 || p.Chain.First != 6 || !p.SaysHeight {
				t.Fatalf("proves %+v", p)
			}
			if p.Chain.Start == nil || p.Chain.Start.RestsOn != "a test" || p.Chain.Start.Height != 6 {
				t.Errorf("begins with %+v", p.Chain.Start)
			}
			if got := moves(v, address(1)); got != "[{in 0 5000 true}]" {
				t.Errorf("in: %s", got)
			}
			v = b.prove(out)
			if v.Block == nil || v.Block.Depth != 4 || v.Block.Index != 1 || v.Fee == nil || *v.Fee != 1_000 {
				t.Errorf("proves %+v, fee %v", v.Block, v.Fee)
			}
			if got := moves(v, address(1)); got != "[{out 0 5000 true}]" {
				t.Errorf("out: %s", got)
			}
		})
	}
}

// TestEvidenceOfCoinbases: a block of one transaction, and the first of many.
func TestEvidenceOfCoinbases(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	c.MineEmpty(2)
	b.watch(pressed(address(1)))
	b.begin(c, 2)
	c.CoinbaseScript = address(1).Script
	alone, first := c.Mine(), c.Mine(crowd(4)...)
	b.follow(c)
	for n, block := range []*wire.MsgBlock{alone, first} {
		v := b.prove(block.Transactions[0])
		if v.Block == nil || v.Block.Hash != block.BlockHash() || v.Block.Index != 0 || v.Block.Depth != 2-n {
			t.Errorf("%d: proves %+v", n, v.Block)
		}
	}
}

// TestEvidenceOfStated: a debit that only an explorer's word makes one.
func TestEvidenceOfStated(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	c.MineEmpty(5)
	b.watch(pressed(address(1)))
	b.begin(c, 4)
	out := transaction(1, []wire.OutPoint{stranger(1), stranger(2)}, wire.NewTxOut(100, address(2).Script), wire.NewTxOut(200, address(1).Script))
	b.report("alpha", seen(out, wire.NewTxOut(700, address(1).Script), nil))

	v := b.prove(out)
	if v.Block != nil || v.Fee != nil {
		t.Errorf("proves %+v, fee %v of what is unconfirmed", v.Block, v.Fee)
	}
	if got := moves(v, address(1)); got != "[{out 0 700 false} {in 1 200 true}]" {
		t.Errorf("movements %s", got)
	}
	spent := v.Evidence.Stated.Spent
	if len(spent) != 1 || spent[0].StatedBy != "alpha" || spent[0].Input != 0 {
		t.Errorf("stated %+v", spent)
	}
	if states := v.Evidence.Stated.States; len(states) != 1 || states[0].State != "unconfirmed" || states[0].Grade != "reported" {
		t.Errorf("states %+v", states)
	}
	if r := v.Evidence.Stated.Reports; len(r) != 1 || r[0].Explorer != "alpha" || r[0].Block != nil {
		t.Errorf("reports %+v", r)
	}
	if a := v.Evidence.Stated.Alerts; len(a) != 1 || a[0].Type != "transaction.seen" || a[0].Severity != "high" {
		t.Errorf("alerts %+v", a)
	}

	c.Mine(out) // then the block proves that it is there, and not whose money it spends
	b.follow(c)
	v = b.prove(out)
	if v.Block == nil || moves(v, address(1)) != "[{out 0 700 false} {in 1 200 true}]" {
		t.Errorf("proves %+v, %s", v.Block, moves(v, address(1)))
	}
}

// TestEvidenceAfterReorg: what left the chain is proven no more, and again in
// another block.
func TestEvidenceAfterReorg(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	c.MineEmpty(5)
	b.watch(pressed(address(1)))
	b.begin(c, 5)
	in := transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script))
	first := c.Mine(in)
	b.follow(c)
	if v := b.prove(in); v.Block == nil || v.Block.Hash != first.BlockHash() {
		t.Fatalf("proves %+v", v.Block)
	}
	b.must(b.writer.StepBack(b.Context(), 5))
	v := b.prove(in)
	states := v.Evidence.Stated.States
	if v.Block != nil || len(states) != 2 || states[0].Grade != "proven" || states[1].State != "unconfirmed" {
		t.Errorf("after the reorg: %+v, %+v", v.Block, states)
	}
	c.Fork(5)
	c.MineEmpty(1)
	again := c.Mine(in)
	b.follow(c)
	if v := b.prove(in); v.Block == nil || v.Block.Hash != again.BlockHash() || v.Block.Height != 7 || len(v.Evidence.Stated.States) != 3 {
		t.Errorf("confirmed elsewhere: %+v", v.Block)
	}
	b.must(b.writer.StepBack(b.Context(), 5)) // and the first branch wins after all
	c.Switch(first.BlockHash())
	b.follow(c)
	if v := b.prove(in); v.Block == nil || v.Block.Hash != first.BlockHash() {
		t.Errorf("confirmed in the first block again: %+v", v.Block)
	}
}

// TestEvidenceOfHistory: what an explorer alone says of the past.
func TestEvidenceOfHistory(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	in := transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script))
	c.Mine(in)
	c.MineEmpty(4)
	b.watch(pressed(address(1)))
	b.begin(c, 4)
	b.follow(c)
	b.report("alpha", confirmed(in, c, 1))
	v := b.prove(in)
	states := v.Evidence.Stated.States
	if v.Block != nil || len(states) != 1 || states[0].State != "confirmed" || states[0].Grade != "reported" {
		t.Errorf("proves %+v, %+v", v.Block, states)
	}
	if tip := v.Evidence.Stated.Tip; tip == nil || tip.Height != 5 {
		t.Errorf("followed to %+v", tip)
	}
}

// TestEvidenceOfListings: every listing that there was, with its source.
func TestEvidenceOfListings(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	c.MineEmpty(1)
	l := pressed(address(1))
	l.Source.Author, l.Source.URL, l.Entity = "an author", "https://a.example/", `"<&> `+"\u202e"
	b.watch(l)
	l.Confidential = true
	b.watch(l)
	b.begin(c, 1)
	in := transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script), wire.NewTxOut(6_000, address(2).Script))
	c.Mine(in)
	b.follow(c)
	b.watch(pressed(address(2))) // after the fact: the transaction does not concern it in the record
	v := b.prove(in)
	a := v.Evidence.Stated.Addresses
	if len(a) != 1 || len(a[0].Listings) != 2 {
		t.Fatalf("addresses %+v", a)
	}
	if first := a[0].Listings[0]; first.Title != "a title" || first.Author != "an author" || first.URL != "https://a.example/" ||
		first.Basis != "press" || first.Entity != l.Entity || first.Secret || !a[0].Listings[1].Secret {
		t.Errorf("listings %+v", a[0].Listings)
	}
	if v.Evidence.Stated.Starts[0].RestsOn != "a test" || !slices.ContainsFunc(v.Evidence.Stated.Reports, func(r chain.EvidenceReport) bool {
		return r.Explorer == "alpha" && r.Block != nil
	}) {
		t.Errorf("starts %+v, reports %+v", v.Evidence.Stated.Starts, v.Evidence.Stated.Reports)
	}
}

// TestEvidenceOfRaisedStart: what the start rests on is what it came to rest on.
func TestEvidenceOfRaisedStart(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	c.MineEmpty(3)
	b.watch(pressed(address(1)))
	b.must(b.writer.SetStart(b.Context(), sql.Start{Height: 3, Parent: c.BlockAt(2).BlockHash(), RestsOn: "one operator"}))
	b.follow(c)
	in := transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script))
	c.Mine(in)
	b.must(b.writer.RaiseStart(b.Context(), c.BlockAt(3).BlockHash(), "two operators"))
	b.follow(c)
	v := b.prove(in)
	if v.Block == nil || v.Block.Chain.First != 3 || v.Block.Chain.Start == nil || v.Block.Chain.Start.RestsOn != "two operators" || v.Block.Chain.Start.Height != 4 {
		t.Errorf("begins with %+v", v.Block.Chain.Start)
	}
	if starts := v.Evidence.Stated.Starts; len(starts) != 2 || starts[1].Height != 4 || !starts[1].Proves {
		t.Errorf("starts %+v", starts)
	}
}

// TestEvidenceOfMisdated: an explorer that told a wrong time of the block first
// is no obstacle.
func TestEvidenceOfMisdated(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	c.MineEmpty(5)
	b.watch(pressed(address(1)))
	b.begin(c, 5)
	in := transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script))
	block := c.Mine(in)
	said := confirmed(in, c, 6)
	said.Place.Time = said.Place.Time.Add(-42 * time.Minute)
	b.report("alpha", said)
	b.follow(c)
	if v := b.prove(in); v.Block == nil || !v.Block.Time.Equal(block.Header.Timestamp) {
		t.Errorf("proves %+v", v.Block)
	}
}

// TestEvidenceOfRevealed: a spend of money from before the watch shows the key,
// which hints at the address and proves no debit.
func TestEvidenceOfRevealed(t *testing.T) {
	for _, kind := range []chain.Kind{chain.P2PKH, chain.P2WPKH, chain.P2SH, chain.P2WSH} {
		b := newBench(t, telling())
		c := chaintest.NewChain()
		w := chaintest.NewWallet(c, "")
		c.MineEmpty(105)
		a := w.Address(kind, 3)
		in, err := w.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 70_000})
		b.must(err)
		c.MineMempool()
		b.watch(pressed(a))
		b.begin(c, 106)
		out, err := w.Send(t.Context(), chaintest.Payment{
			Spend: []wire.OutPoint{{Hash: in.TxHash()}}, Outputs: []chaintest.Output{{Script: address(2).Script, Value: 60_000}},
		})
		b.must(err)
		c.MineMempool()
		b.follow(c)
		v := b.prove(out)
		rows := v.Evidence.Stated.Addresses
		if v.Block == nil || len(rows) != 1 || rows[0].Address != a.Text || len(rows[0].Movements) != 0 || !slices.Equal(rows[0].Revealed, []int{0}) {
			t.Errorf("%s: proves %+v, %+v", kind, v.Block, rows)
		}
		b.report("alpha", confirmed(in, c, 106)) // its past is read
		v = b.prove(out)
		rows = v.Evidence.Stated.Addresses
		if len(rows[0].Revealed) != 0 || moves(v, a) != "[{out 0 70000 true}]" {
			t.Errorf("%s: with its past it says %+v", kind, rows)
		}
	}
}

// TestEvidenceOfReplaced: by what it was, and that nothing is proven of it.
func TestEvidenceOfReplaced(t *testing.T) {
	b := newBench(t, telling())
	c := chaintest.NewChain()
	c.MineEmpty(5)
	b.watch(pressed(address(1)))
	b.begin(c, 5)
	old := transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script))
	newer := transaction(2, []wire.OutPoint{stranger(1)}, wire.NewTxOut(4_000, address(1).Script))
	b.report("alpha", seen(old))
	c.Mine(newer)
	b.follow(c)
	v := b.prove(old)
	states := v.Evidence.Stated.States
	last := states[len(states)-1]
	if v.Block != nil || last.State != "replaced" || last.By == nil || chainhash.Hash(*last.By) != newer.TxHash() {
		t.Errorf("proves %+v, %+v", v.Block, states)
	}
	if v := b.prove(newer); v.Block == nil {
		t.Error("the one that took its place is not proven")
	}
}

func TestEvidenceOfNothing(t *testing.T) {
	b := newBench(t, telling())
	if _, err := b.store.Evidence(t.Context(), chainhash.Hash{1}); !errors.Is(err, sql.ErrNoTransaction) || !strings.Contains(err.Error(), "01") {
		t.Errorf("%v", err)
	}
}
