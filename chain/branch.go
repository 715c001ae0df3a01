package chain

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chainhash/v2"
)

// ErrFalseBranch is wrapped by every refusal of Branch.Check.
var ErrFalseBranch = errors.New("false Merkle branch")

// MaxTransactions is more than the transactions that a block can hold: the
// smallest has 60 bytes, each of which weighs four.
const MaxTransactions = MaxBlockSize / 4 / 60

// Branch leads from one transaction of a block to its Merkle root: the hash
// beside each node on the way up, the lowest first.
type Branch struct {
	Index    int // of the transaction in the block
	Siblings []chainhash.Hash
}

// Branches gives the branches of the transactions at some places of a block
// that holds these ids.
func Branches(ids []chainhash.Hash, indexes []int) []Branch {
	branches := make([]Branch, len(indexes))
	for n, index := range indexes {
		branches[n].Index = index
	}
	for level, nodes := 0, ids; len(nodes) > 1; level++ {
		for n, index := range indexes {
			beside := index>>level ^ 1
			if beside == len(nodes) { // an odd end stands beside itself
				beside--
			}
			branches[n].Siblings = append(branches[n].Siblings, nodes[beside])
		}
		nodes = parents(nodes)
	}
	return branches
}

func parents(nodes []chainhash.Hash) []chainhash.Hash {
	var above []chainhash.Hash
	for i := 0; i < len(nodes); i += 2 {
		right := min(i+1, len(nodes)-1)
		above = append(above, blockchain.HashMerkleBranches(&nodes[i], &nodes[right]))
	}
	return above
}

// Depth is how many steps lead from a transaction to the root of a block with
// so many.
func Depth(count int) int { return bits.Len(uint(count - 1)) }

// Most is the most transactions that a block can have in which this is the
// branch of an id. Where no hash on the way stands beside itself, nothing shows
// where a level ends, and none of the numbers that fit is better than another.
func (b Branch) Most(id chainhash.Hash) int {
	last, node := 1<<len(b.Siblings)-1, id
	for level, sibling := range b.Siblings {
		at := b.Index >> level
		if at%2 == 0 && sibling == node { // the odd end: what stands below is the rest of the block
			last = (at+1)<<level - 1
			break
		}
		node = b.above(level, node)
	}
	return min(last+1, MaxTransactions)
}

// above is the hash of a node at a level and the one beside it.
func (b Branch) above(level int, node chainhash.Hash) chainhash.Hash {
	if b.Index>>level%2 == 1 {
		return blockchain.HashMerkleBranches(&b.Siblings[level], &node)
	}
	return blockchain.HashMerkleBranches(&node, &b.Siblings[level])
}

// Check says whether the branch leads from an id to the root of a block with so
// many transactions. A sibling that equals the node beside it is refused but at
// the odd end of a level, where it must: otherwise a block could be read in two
// ways (CVE-2012-2459). The header does not commit to the count: who relies on
// it proves the coinbase at the same depth.
func (b Branch) Check(id chainhash.Hash, count int, root chainhash.Hash) error {
	switch {
	case count < 1 || count > MaxTransactions:
		return fmt.Errorf("%w: no block has %d transactions", ErrFalseBranch, count)
	case b.Index < 0 || b.Index >= count:
		return fmt.Errorf("%w: place %d in a block of %d transactions", ErrFalseBranch, b.Index, count)
	case len(b.Siblings) != Depth(count):
		return fmt.Errorf("%w: %d steps, and a block of %d transactions takes %d", ErrFalseBranch, len(b.Siblings), count, Depth(count))
	}
	node := id
	for level, sibling := range b.Siblings {
		at, last := b.Index>>level, (count-1)>>level
		odd := at == last && at%2 == 0 // nothing stands to the right
		if (sibling == node) != odd {
			return fmt.Errorf("%w: at step %d a hash stands beside itself, or does not where it must", ErrFalseBranch, level+1)
		}
		node = b.above(level, node)
	}
	if node != root {
		return fmt.Errorf("%w: it leads to %s and not to the root %s", ErrFalseBranch, node, root)
	}
	return nil
}
