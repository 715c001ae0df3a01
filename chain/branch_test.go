package chain_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// rootOf is the Merkle root by the book: pairs, and an odd end with itself.
func rootOf(ids []chainhash.Hash) chainhash.Hash {
	for len(ids) > 1 {
		if len(ids)%2 == 1 {
			ids = append(ids[:len(ids):len(ids)], ids[len(ids)-1])
		}
		var above []chainhash.Hash
		for i := 0; i < len(ids); i += 2 {
			above = append(above, chainhash.DoubleHashH(append(ids[i].CloneBytes(), ids[i+1][:]...)))
		}
		ids = above
	}
	return ids[0]
}

func idsOf(n int) (ids []chainhash.Hash) {
	for i := range n {
		ids = append(ids, chainhash.HashH([]byte{byte(i), byte(i >> 8)}))
	}
	return ids
}

func TestBranches(t *testing.T) {
	for _, count := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 100, 255, 256, 257, 1000, 4001} {
		ids := idsOf(count)
		root := rootOf(ids)
		var places []int
		for i := 0; i < count; i += 1 + count/40 {
			places = append(places, i)
		}
		places = append(places, count-1)
		for n, b := range chain.Branches(ids, places) {
			if b.Index != places[n] {
				t.Fatalf("branch %d is of place %d", n, b.Index)
			}
			if err := b.Check(ids[b.Index], count, root); err != nil {
				t.Errorf("%d of %d: %v", b.Index, count, err)
			}
			lies(t, b, ids[b.Index], count, root)
		}
	}
}

// lies changes each part of a true branch.
func lies(t *testing.T, b chain.Branch, id chainhash.Hash, count int, root chainhash.Hash) {
	t.Helper()
	refused := func(what string, b chain.Branch, id chainhash.Hash, count int, root chainhash.Hash) {
		t.Helper()
		if err := b.Check(id, count, root); !errors.Is(err, chain.ErrFalseBranch) {
			t.Errorf("%s at %d of %d: %v", what, b.Index, count, err)
		}
	}
	other := chainhash.Hash{1}
	refused("another root", b, id, count, other)
	refused("another id", b, other, count, root)
	refused("a negative place", chain.Branch{Index: -1, Siblings: b.Siblings}, id, count, root)
	refused("a place behind the end", chain.Branch{Index: count, Siblings: b.Siblings}, id, count, root)
	refused("no transactions", b, id, 0, root)
	refused("more than a block has", b, id, 1<<40, root)
	refused("a step more", chain.Branch{Index: b.Index, Siblings: append(b.Siblings[:len(b.Siblings):len(b.Siblings)], other)}, id, count, root)
	refused("twice as many", b, id, 2*count, root)
	if count == 1 {
		return
	}
	refused("a step less", chain.Branch{Index: b.Index, Siblings: b.Siblings[1:]}, id, count, root)
	refused("another place", chain.Branch{Index: b.Index ^ 1, Siblings: b.Siblings}, id, count, root)
	for i := range b.Siblings {
		changed := append([]chainhash.Hash{}, b.Siblings...)
		changed[i][7] ^= 1
		refused("another sibling", chain.Branch{Index: b.Index, Siblings: changed}, id, count, root)
	}
}

// A block that repeats its last transactions has the same root (CVE-2012-2459).
// The repeated ones are no transactions of it.
func TestBranchOfRepeatedTransaction(t *testing.T) {
	for _, count := range []int{1, 3, 5, 6, 7, 11} {
		ids := idsOf(count)
		root := rootOf(ids)
		repeated := append(ids[:count:count], ids[count-1])
		if count == 6 {
			repeated = append(ids[:count:count], ids[4], ids[5])
		}
		if count != 1 && rootOf(repeated) != root {
			t.Fatalf("%d: the roots differ", count)
		}
		for _, b := range chain.Branches(repeated, []int{len(repeated) - 1, len(repeated) - 2}) {
			if err := b.Check(repeated[b.Index], len(repeated), root); !errors.Is(err, chain.ErrFalseBranch) {
				t.Errorf("%d of %d repeated: %v", b.Index, len(repeated), err)
			}
		}
	}
}

// A node of the tree that is passed off as a transaction stands less deep, and
// what is hidden below a transaction deeper, than the coinbase (CVE-2017-12842).
func TestBranchOfInnerNode(t *testing.T) {
	ids := idsOf(8)
	root := rootOf(ids)
	node := rootOf(ids[:2])
	inner := chain.Branch{Index: 0, Siblings: chain.Branches(ids, []int{0})[0].Siblings[1:]}
	if err := inner.Check(node, 8, root); err == nil {
		t.Error("the node is taken for a transaction")
	}
	if err := inner.Check(node, 4, root); err != nil {
		t.Fatalf("by itself nothing tells: %v", err)
	}
	coinbase := chain.Branches(ids, []int{0})[0]
	if err := coinbase.Check(ids[0], 4, root); err == nil {
		t.Error("the coinbase's depth does not tell")
	}

	// A transaction of 64 bytes whose second half is the id of one that is in no
	// block.
	invented, half := chainhash.HashH([]byte("invented")), chainhash.HashH([]byte("half"))
	ids = idsOf(4)
	ids[3] = rootOf([]chainhash.Hash{half, invented})
	root = rootOf(ids)
	below := chain.Branch{Index: 7, Siblings: append([]chainhash.Hash{half}, chain.Branches(ids, []int{3})[0].Siblings...)}
	if err := below.Check(invented, 8, root); err != nil {
		t.Fatalf("by itself nothing tells: %v", err)
	}
	for count := 1; count <= 16; count++ {
		coinbase := chain.Branches(ids, []int{0})[0]
		if below.Check(invented, count, root) == nil && coinbase.Check(ids[0], count, root) == nil {
			t.Errorf("with %d transactions the coinbase's depth does not tell", count)
		}
	}
}

// The recorded proofs were made by other code.
func TestRecordedBranches(t *testing.T) {
	for _, height := range []int{169482, 227835, 227836, 481815, 481829} {
		var derived struct {
			Header string `json:"header_hex"`
			Count  int    `json:"tx_count"`
			Proofs []struct {
				TxID  string
				Proof struct {
					Merkle []string
					Pos    int
				} `json:"merkle_proof"`
			}
		}
		if err := json.Unmarshal(recorded.Read(t, "recorded", "derived", fmt.Sprintf("merkle_%d.json", height)), &derived); err != nil {
			t.Fatal(err)
		}
		raw := recorded.Read(t, "recorded", "raw", fmt.Sprintf("block%d.dat", height))
		block, err := chain.CheckBlock(raw, mainnet(), someTime())
		if err != nil {
			t.Fatal(err)
		}
		if len(derived.Proofs) == 0 || derived.Count != len(block.IDs) {
			t.Fatalf("%d proofs, %d transactions", len(derived.Proofs), derived.Count)
		}
		for _, p := range derived.Proofs {
			theirs := chain.Branch{Index: p.Proof.Pos}
			for _, text := range p.Proof.Merkle {
				theirs.Siblings = append(theirs.Siblings, hashOf(t, text))
			}
			if err := theirs.Check(hashOf(t, p.TxID), derived.Count, block.Header.MerkleRoot); err != nil {
				t.Errorf("block %d, %s: %v", height, p.TxID, err)
			}
			if ours := chain.Branches(block.IDs, []int{p.Proof.Pos})[0]; !slices.Equal(ours.Siblings, theirs.Siblings) {
				t.Errorf("block %d, %s: another branch", height, p.TxID)
			}
		}
	}
}

func hashOf(t *testing.T, text string) chainhash.Hash {
	t.Helper()
	hash, err := chainhash.NewHashFromStr(text)
	if err != nil {
		t.Fatal(err)
	}
	return *hash
}

// FuzzBranch: a branch that is taken leads to the root by the book.
func FuzzBranch(f *testing.F) {
	ids := idsOf(7)
	root := rootOf(ids)
	for _, b := range chain.Branches(ids, []int{0, 3, 6}) {
		var siblings []byte
		for _, s := range b.Siblings {
			siblings = append(siblings, s[:]...)
		}
		f.Add(b.Index, 7, ids[b.Index][:], root[:], siblings)
		f.Add(b.Index, 0, ids[b.Index][:], root[:], siblings) // nobody says how many
	}
	f.Fuzz(func(t *testing.T, index, count int, id, root, siblings []byte) {
		b := chain.Branch{Index: index}
		for ; len(siblings) >= 32; siblings = siblings[32:] {
			b.Siblings = append(b.Siblings, chainhash.Hash(siblings[:32]))
		}
		var from, to chainhash.Hash
		copy(from[:], id)
		copy(to[:], root)
		if count == 0 {
			count = b.Most(from)
		}
		if b.Check(from, count, to) != nil {
			return
		}
		at := from[:]
		for i, s := range b.Siblings {
			pair := append(bytes.Clone(at), s[:]...)
			if index>>i&1 == 1 {
				pair = append(s.CloneBytes(), at...)
			}
			h := chainhash.DoubleHashH(pair)
			at = h[:]
		}
		if !bytes.Equal(at, to[:]) {
			t.Errorf("leads to %s", hex.EncodeToString(at))
		}
		if index < 0 || index >= count {
			t.Errorf("place %d of %d", index, count)
		}
	})
}
