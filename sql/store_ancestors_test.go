package sql_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// below gives n headers of a chain, highest first, down from a height.
func below(c *chaintest.Chain, height int32, n int) (headers []wire.BlockHeader) {
	for i := range int32(n) {
		headers = append(headers, c.BlockAt(height-i).Header)
	}
	return headers
}

// TestAncestors: headers from before the start are taken where they link, and
// only there, and are found again behind the covered ones.
func TestAncestors(t *testing.T) {
	b := newBench(t, sql.Telling{Confirmations: []int32{1}})
	ctx := t.Context()
	c := chaintest.NewChain()
	c.MineEmpty(40)
	if _, begun, err := b.store.Ancestry(ctx); err != nil || begun {
		t.Fatalf("before the start: %v, %v", begun, err)
	}
	b.begin(c, 30) // the first covered block is 31
	check := func(oldest int32) {
		t.Helper()
		want := sql.Ancestry{Begun: 1, Start: 31, Oldest: oldest, Parent: c.BlockAt(oldest).Header.PrevBlock}
		if got, begun, err := b.store.Ancestry(ctx); err != nil || !begun || got != want {
			t.Errorf("known: %+v, %v, %v; want %+v", got, begun, err, want)
		}
	}
	check(31)
	other := chaintest.ChainOf(0, c.BlockAt(0), c.BlockAt(1))
	other.MineEmpty(29)
	for name, headers := range map[string][]wire.BlockHeader{
		"one too low":           below(c, 29, 5),
		"one too high":          below(c, 31, 5),
		"of another chain":      below(other, 30, 5),
		"with a hole":           append(below(c, 30, 3), below(c, 26, 3)...),
		"upside down":           {c.BlockAt(29).Header, c.BlockAt(30).Header},
		"changed on the way":    append(below(c, 30, 3), wire.BlockHeader{Bits: 1}),
		"beyond the first ones": append(below(c, 30, 31), wire.BlockHeader{}),
	} {
		before := b.dump()
		if err := b.writer.AddAncestors(ctx, headers, "one"); !errors.Is(err, sql.ErrNotNext) {
			t.Errorf("%s: %v", name, err)
		}
		if b.dump() != before {
			t.Errorf("%s: something was recorded", name)
		}
	}
	check(31)
	b.must(b.writer.AddAncestors(ctx, below(c, 30, 10), "one"))
	check(21)
	b.must(b.writer.AddAncestors(ctx, below(c, 20, 7), "two"))
	check(14)
	for range 3 {
		if _, err := b.writer.RecordBlock(ctx, b.next(c), "one", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []struct{ height, most, oldest int32 }{{33, 100, 14}, {33, 5, 29}, {33, 3, 31}, {30, 100, 14}, {20, 4, 17}} {
		h, err := b.store.LinkedHeader(ctx, want.height, c.BlockAt(want.height).BlockHash(), want.most)
		if err != nil || h == nil || h.Height != want.height || h.Oldest() != want.oldest || h.Ancestor(want.oldest).Hash != c.BlockAt(want.oldest).BlockHash() {
			t.Errorf("linked to %d, at most %d: %+v, %v", want.height, want.most, h, err)
		}
	}
	if h, err := b.store.LinkedHeader(ctx, 33, chainhash.Hash{1}, 100); h != nil || err != nil {
		t.Errorf("a header that nobody knows: %+v, %v", h, err)
	}

	// The chain is reorganised across the start, and the position knows the
	// difficulty of the block it comes to stand on.
	b.must(b.writer.StepBack(ctx, 25))
	p := b.position()
	if p.Height != 25 || p.Hash != c.BlockAt(25).BlockHash() || p.Bits != c.BlockAt(25).Header.Bits {
		t.Errorf("stepped back to %+v", p)
	}
	branch := chaintest.ChainOf(0, c.BlockAt(0))
	for height := int32(1); height <= 25; height++ {
		branch.Add(c.BlockAt(height))
	}
	branch.CoinbaseScript = []byte{0x51}
	branch.MineEmpty(10)
	for range 8 {
		if _, err := b.writer.RecordBlock(ctx, b.next(branch), "one", nil); err != nil {
			t.Fatal(err)
		}
	}
	h, err := b.store.LinkedHeader(ctx, 33, branch.BlockAt(33).BlockHash(), 100)
	if err != nil || h.Oldest() != 14 || h.Ancestor(26).Hash != branch.BlockAt(26).BlockHash() || h.Ancestor(25).Hash != c.BlockAt(25).BlockHash() {
		t.Errorf("linked on the branch: %+v, %v", h, err)
	}
}

// TestSaidChecked: what was checked is part of what following rests on, also
// after that was raised.
func TestSaidChecked(t *testing.T) {
	b := newBench(t, sql.Telling{Confirmations: []int32{1}})
	ctx := t.Context()
	c := chaintest.NewChain()
	c.MineEmpty(5)
	restsOn := func(want string, proves bool) {
		t.Helper()
		start, ok, err := b.store.LatestStart(ctx)
		if err != nil || !ok || start.RestsOn != want || start.Proves != proves {
			t.Errorf("rests on %q (%v, %v, %v), want %q", start.RestsOn, start.Proves, ok, err, want)
		}
	}
	b.must(b.writer.SetStart(ctx, sql.Start{Height: 5, Parent: c.BlockAt(4).BlockHash(), RestsOn: "one's word"}))
	restsOn("one's word", false)
	b.must(b.writer.SayChecked(ctx, "ten headers checked"))
	restsOn("one's word; ten headers checked", false)
	before := b.dump()
	b.must(b.writer.SayChecked(ctx, "ten headers checked"))
	if b.dump() != before {
		t.Error("said again")
	}
	b.must(b.writer.RaiseStart(ctx, c.BlockAt(4).BlockHash(), "two's word"))
	restsOn("two's word; ten headers checked", true)
	b.must(b.writer.SayChecked(ctx, "all headers checked"))
	restsOn("two's word; all headers checked", true)
	kinds := b.lines(`SELECT kind FROM btcwatch.journal`)
	if !slices.Equal(kinds, []string{"start", "start checked", "start checked", "start raised"}) {
		t.Errorf("journal: %q", kinds)
	}
}
