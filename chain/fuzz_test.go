package chain_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// FuzzTransaction: a transaction has one spelling, and its effects add up.
func FuzzTransaction(f *testing.F) {
	for _, tx := range newCase(4).block.Transactions {
		f.Add(rawTx(tx))
	}
	f.Add(rawTx(sixtyFour()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tx, err := chain.ParseTransaction(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(rawTx(tx), raw) {
			t.Error("other bytes than it was read from")
		}
		watched := chain.NewWatched()
		watched.Watch(tx.TxOut[0].PkScript, 1)
		var out int64
		for _, o := range tx.TxOut {
			out += o.Value
		}
		effects := watched.Effects(&chain.Transaction{ID: tx.TxHash(), Msg: tx})
		if len(effects) != 1 || effects[0].Received() > out || effects[0].Received() < tx.TxOut[0].Value || out > chain.MaxMoney {
			t.Errorf("effects %+v of %d satoshis", effects, out)
		}
	})
}

// FuzzHeader: a header in evidence is taken with its work and its hash, or not.
func FuzzHeader(f *testing.F) {
	e := newCase(3).evidence()
	f.Add([]byte(e.Proof.Block.Headers[3]))
	f.Add([]byte(e.Proof.Block.Headers[4]))
	f.Add(serialized(mainnet().GenesisBlock)[:80])
	f.Fuzz(func(t *testing.T, raw []byte) {
		e := newCase(3).evidence()
		last := len(e.Proof.Block.Headers) - 1
		e.Proof.Block.Headers[last] = raw
		v, err := e.Verify()
		if err != nil {
			if !errors.Is(err, chain.ErrFalseEvidence) {
				t.Fatal(err)
			}
			return
		}
		var h wire.BlockHeader
		if err := h.Deserialize(bytes.NewReader(raw)); err != nil || len(raw) != 80 || v.Block.Depth != 3 {
			t.Errorf("taken: %v", err)
		}
		hash := chainhash.DoubleHashH(raw)
		if h.PrevBlock != chainhash.DoubleHashH(e.Proof.Block.Headers[last-1]) || hash[31] > 0x7f {
			t.Error("without a link, or without work")
		}
	})
}
