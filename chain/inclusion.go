package chain

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Inclusion shows that a transaction stands in a block to whoever has the
// block's header. The coinbase is part of it, since the header does not say at
// which depth transactions stand.
type Inclusion struct {
	Branch           Branch
	Coinbase         *wire.MsgTx // the block's first transaction
	CoinbaseSiblings []chainhash.Hash
}

// Check says whether a transaction stands in the block with this header, by the
// rules by which evidence is checked. count is how many transactions the block
// has; 0: not known. The error wraps ErrFalseBranch. Witnesses are not proven
// by it.
func (in *Inclusion) Check(tx *wire.MsgTx, header *wire.BlockHeader, height int32, count int, params *chaincfg.Params) error {
	id := tx.TxHash()
	if tx.SerializeSizeStripped() == 64 {
		return fmt.Errorf("%w: %s has 64 bytes and could stand for a Merkle node", ErrFalseBranch, id)
	}
	var said *int
	if count > 0 {
		said = &count
	}
	v := &Verdict{Params: params, Tx: tx}
	_, err := v.inclusion(&EvidenceBlock{
		Height: height, Index: in.Branch.Index, TxCount: said, Siblings: texts(in.Branch.Siblings),
		Coinbase: in.CoinbaseBytes(), CoinbaseSiblings: texts(in.CoinbaseSiblings),
	}, *header)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFalseBranch, err)
	}
	return nil
}

// CoinbaseBytes are those of the coinbase that its txid covers: no witness.
func (in *Inclusion) CoinbaseBytes() []byte {
	var raw bytes.Buffer
	_ = in.Coinbase.SerializeNoWitness(&raw) // a bytes.Buffer takes everything
	return raw.Bytes()
}

func texts(hashes []chainhash.Hash) []HashText {
	var all []HashText
	for _, h := range hashes {
		all = append(all, HashText(h))
	}
	return all
}

// Inclusion shows where a transaction stands in the block; nil where the block
// does not hold it.
func (b *Block) Inclusion(id chainhash.Hash) *Inclusion {
	at := slices.Index(b.IDs, id)
	if at < 0 {
		return nil
	}
	branches := Branches(b.IDs, []int{0, at})
	return &Inclusion{Branch: branches[1], Coinbase: b.Transactions[0], CoinbaseSiblings: branches[0].Siblings}
}
