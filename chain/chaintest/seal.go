package chaintest

import (
	"bytes"
	"slices"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// coinbase pays the subsidy to a script. The height comes first in its input
// (BIP34) and the nonce makes its id unique among branches.
func coinbase(height int32, nonce, subsidy int64, script []byte) *wire.MsgTx {
	input, err := txscript.NewScriptBuilder().AddInt64(int64(height)).AddInt64(nonce).AddData([]byte("chaintest")).Script()
	if err != nil {
		panic(err) // far below the limits of a script
	}
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Index: wire.MaxPrevOutIndex}, input, nil))
	tx.AddTxOut(wire.NewTxOut(subsidy, script))
	return tx
}

// Seal makes a block whole after any change to it: the witness commitment
// where a transaction has a witness, the Merkle root and the proof of work.
// The first transaction must be its coinbase.
func Seal(block *wire.MsgBlock) {
	commitWitnesses(block)
	block.Header.MerkleRoot = blockchain.CalcMerkleRoot(txsOf(block), false)
	Solve(&block.Header)
}

// Solve finds a nonce for which the header's hash meets its own bits. With
// regtest's bits that takes about two tries; with real ones, for ever.
func Solve(header *wire.BlockHeader) {
	target := blockchain.CompactToBig(header.Bits)
	for header.Nonce = 0; ; header.Nonce++ {
		hash := header.BlockHash()
		if blockchain.HashToBig(&hash).Cmp(target) <= 0 {
			return
		}
	}
}

// commitWitnesses puts the commitment of BIP141 into the coinbase, in the
// place of an older one.
func commitWitnesses(block *wire.MsgBlock) {
	first := block.Transactions[0]
	first.TxOut = slices.DeleteFunc(first.TxOut, isCommitment)
	first.TxIn[0].Witness = nil
	if !slices.ContainsFunc(block.Transactions[1:], (*wire.MsgTx).HasWitness) {
		return
	}
	reserved := make([]byte, 32)
	root := blockchain.CalcMerkleRoot(txsOf(block), true)
	commitment := chainhash.DoubleHashB(append(root.CloneBytes(), reserved...))
	first.TxIn[0].Witness = wire.TxWitness{reserved}
	first.AddTxOut(wire.NewTxOut(0, slices.Concat(blockchain.WitnessMagicBytes, commitment)))
}

func isCommitment(out *wire.TxOut) bool {
	return bytes.HasPrefix(out.PkScript, blockchain.WitnessMagicBytes)
}

func txsOf(block *wire.MsgBlock) []*btcutil.Tx {
	txs := make([]*btcutil.Tx, len(block.Transactions))
	for i, tx := range block.Transactions {
		txs[i] = btcutil.NewTx(tx)
	}
	return txs
}
