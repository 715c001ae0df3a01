package chain_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// The most transactions that a branch allows are at least those that there are,
// and a branch holds with them.
func TestMost(t *testing.T) {
	for count := 1; count <= 70; count++ {
		ids := idsOf(count)
		root := rootOf(ids)
		for place := range count {
			b := chain.Branches(ids, []int{place})[0]
			most := b.Most(ids[place])
			if err := b.Check(ids[place], most, root); err != nil || most < count || chain.Depth(most) != chain.Depth(count) {
				t.Fatalf("%d of %d: most %d, %v", place, count, most, err)
			}
		}
	}
}

// filled is a chain whose tip holds so many payments beside the coinbase.
func filled(t *testing.T, payments int) *wire.MsgBlock {
	t.Helper()
	c := chaintest.NewChain()
	c.MineEmpty(130)
	w := chaintest.NewWallet(c, "")
	for range payments {
		if _, err := w.Pay(t.Context(), chaintest.Output{Script: w.Address(chain.P2WPKH, 1).Script, Value: 20_000}); err != nil {
			t.Fatal(err)
		}
	}
	c.MineMempool()
	_, tip := c.Tip()
	return tip
}

// inclusion is what the raw block shows of a transaction.
func inclusion(t *testing.T, block *wire.MsgBlock, id chainhash.Hash) *chain.Inclusion {
	t.Helper()
	var raw bytes.Buffer
	_ = block.Serialize(&raw)
	checked, err := chain.CheckBlock(raw.Bytes(), &chaincfg.RegressionNetParams, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return checked.Inclusion(id)
}

// TestInclusion: what a raw block shows holds against its header, with and
// without the count, and nothing that is changed in it does.
func TestInclusion(t *testing.T) {
	params := &chaincfg.RegressionNetParams
	for _, payments := range []int{0, 1, 2, 5, 12} {
		block := filled(t, payments)
		count := len(block.Transactions)
		for place, tx := range block.Transactions {
			in := inclusion(t, block, tx.TxHash())
			if in == nil || in.Branch.Index != place {
				t.Fatalf("%d of %d: %+v", place, count, in)
			}
			holds := func(in chain.Inclusion, tx *wire.MsgTx, header wire.BlockHeader, height int32, count int) error {
				return in.Check(tx, &header, height, count, params)
			}
			for _, known := range []int{0, count} {
				if err := holds(*in, tx, block.Header, 131, known); err != nil {
					t.Errorf("%d of %d: %v", place, known, err)
				}
			}
			header := block.Header
			header.MerkleRoot[5] ^= 1
			moved, deeper, bare := *in, *in, *in
			moved.Branch.Index = count
			deeper.CoinbaseSiblings = append(append([]chainhash.Hash{}, in.CoinbaseSiblings...), chainhash.Hash{1})
			bare.Coinbase = block.Transactions[count-1]
			for name, err := range map[string]error{
				"another header":            holds(*in, tx, header, 131, 0),
				"another place":             holds(moved, tx, block.Header, 131, 0),
				"a coinbase deeper":         holds(deeper, tx, block.Header, 131, 0),
				"another height":            holds(*in, tx, block.Header, 130, 0),
				"more than there are":       holds(*in, tx, block.Header, 131, 2*count),
				"a coinbase that is none":   holds(bare, tx, block.Header, 131, 0),
				"an input with another sum": holds(*in, cheaper(tx), block.Header, 131, 0),
			} {
				if name == "a coinbase that is none" && count == 1 {
					continue
				}
				if !errors.Is(err, chain.ErrFalseBranch) {
					t.Errorf("%d of %d, %s: %v", place, count, name, err)
				}
			}
		}
		if in := inclusion(t, block, chainhash.Hash{1}); in != nil {
			t.Errorf("what is not in the block: %+v", in)
		}
	}
}

func cheaper(tx *wire.MsgTx) *wire.MsgTx {
	other := tx.Copy()
	other.TxOut[0].Value--
	return other
}

// TestSixtyFourBytes: an inner node of a Merkle tree is two hashes, and so may
// be read as a transaction of 64 bytes (CVE-2017-12842). None is taken.
func TestSixtyFourBytes(t *testing.T) {
	small := wire.NewMsgTx(1)
	small.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{1}}, nil, nil))
	small.AddTxOut(wire.NewTxOut(1, []byte{0x51, 0x51, 0x51, 0x51}))
	if small.SerializeSizeStripped() != 64 {
		t.Fatalf("it has %d bytes", small.SerializeSizeStripped())
	}
	block := filled(t, 1)
	block.Transactions = append(block.Transactions, small)
	var ids []chainhash.Hash
	for _, tx := range block.Transactions {
		ids = append(ids, tx.TxHash())
	}
	block.Header.MerkleRoot = rootOf(ids)
	in := (&chain.Block{IDs: ids, Transactions: block.Transactions}).Inclusion(small.TxHash())
	if err := in.Check(small, &block.Header, 131, 0, &chaincfg.RegressionNetParams); !errors.Is(err, chain.ErrFalseBranch) {
		t.Errorf("64 bytes: %v", err)
	}
	if err := in.Check(small, &block.Header, 131, 3, &chaincfg.RegressionNetParams); !errors.Is(err, chain.ErrFalseBranch) {
		t.Errorf("64 bytes of three: %v", err)
	}
}
