package sql_test

import (
	"testing"

	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// TestBeginAgain: another start at the first one's height takes all covered
// blocks off the chain. It is taken once, and nowhere else.
func TestBeginAgain(t *testing.T) {
	a := address(1)
	b := newBench(t, telling())
	b.watch(listing(a))
	c := chaintest.NewChain()
	c.MineEmpty(5)
	b.begin(c, 3)
	b.follow(c)
	old := c.BlockAt(3).BlockHash()
	b.must(b.writer.BeginAgain(t.Context(), sql.Start{Height: 4, Parent: old, RestsOn: "nothing new"}))
	if n := b.count(`SELECT count(*) FROM btcwatch.start`); n != 1 {
		t.Errorf("the same start is recorded %d times", n)
	}
	if b.writer.BeginAgain(t.Context(), sql.Start{Height: 5, Parent: c.BlockAt(2).BlockHash()}) == nil {
		t.Error("following begins again at another height")
	}
	c.Reorg(4) // blocks 2 to 5
	again := sql.Start{Height: 4, Parent: c.BlockAt(3).BlockHash(), RestsOn: "another word", Proves: true}
	for range 2 {
		b.must(b.writer.BeginAgain(t.Context(), again))
	}
	if p := b.position(); p.Height != 3 || p.Hash != again.Parent || p.Bits != 0 {
		t.Errorf("the position is %+v", p)
	}
	if hash, known, err := b.store.ChainHash(t.Context(), 3); err != nil || !known || hash != again.Parent {
		t.Errorf("block 3 is %s, %v, %v", hash, known, err)
	}
	if n := b.count(`SELECT count(*) FROM btcwatch.chain_now`); n != 0 {
		t.Errorf("%d blocks are still covered", n)
	}
	if n := b.count(`SELECT count(*) FROM btcwatch.gap WHERE kind = 'blocks' AND to_height = 3`); n != 1 {
		t.Errorf("%d gaps are recorded, want 1", n)
	}
	b.follow(c)
	if p := b.position(); p.Height != 6 {
		t.Errorf("followed up to %d, want 6", p.Height)
	}
}

// Blocks that a reorganisation across the start covered below it leave the chain
// as well when following begins again.
func TestBeginAgainAfterAReorgAcrossTheStart(t *testing.T) {
	b, c, _, payments := past(t, true) // started with block 31
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 11), "one"))
	b.must(b.writer.StepBack(t.Context(), 24))
	branch := chaintest.ChainOf(0, blocksOf(c, 24)...)
	branch.MineEmpty(2)
	branch.Mine(payments[33]) // 27
	branch.MineEmpty(8)
	b.follow(branch)
	third := chaintest.ChainOf(0, blocksOf(c, 12)...)
	third.MineEmpty(30)
	b.must(b.writer.BeginAgain(t.Context(), sql.Start{Height: 31, Parent: third.BlockAt(30).BlockHash(), RestsOn: "another", Proves: true}))
	b.expect(`SELECT count(*)::text FROM btcwatch.chain_now`, "0")
	b.follow(third)
	b.expect(`SELECT min(height)::text FROM btcwatch.chain_now`, "31")
	if n := b.count(`SELECT count(*) FROM report.transactions WHERE block_height BETWEEN 25 AND 30 AND proof = 'proven'`); n != 0 {
		t.Errorf("%d payments of blocks that left are proven", n)
	}
}
