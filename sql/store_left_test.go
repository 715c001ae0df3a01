package sql_test

import (
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// TestLeftAt: which blocks left the chain, and which of them last.
func TestLeftAt(t *testing.T) {
	b, c := started(t)
	c.MineEmpty(2)
	b.follow(c)
	left := func() (hashes []chainhash.Hash) { // the one that left first comes first
		order, err := b.store.LeftAt(t.Context(), 4)
		b.must(err)
		for hash := range order {
			hashes = append(hashes, hash)
		}
		slices.SortFunc(hashes, func(x, y chainhash.Hash) int { return int(order[x] - order[y]) })
		return hashes
	}
	first := c.BlockAt(4).BlockHash()
	if all := left(); len(all) != 0 {
		t.Errorf("%v left the chain that nothing left", all)
	}
	_, old := c.Tip()
	c.Reorg(2)
	b.must(b.writer.StepBack(t.Context(), 3))
	b.follow(c)
	second := c.BlockAt(4).BlockHash()
	if all := left(); !slices.Equal(all, []chainhash.Hash{first}) {
		t.Errorf("%v left, want %s", all, first)
	}
	b.must(b.writer.StepBack(t.Context(), 3))
	if all := left(); !slices.Equal(all, []chainhash.Hash{first, second}) {
		t.Errorf("%v left, want %s and then %s", all, first, second)
	}
	c.Switch(old.BlockHash())
	b.follow(c)
	if all := left(); !slices.Equal(all, []chainhash.Hash{second}) {
		t.Errorf("%v left, want %s", all, second)
	}
}
