package chain_test

import (
	"bytes"
	"errors"
	"math/big"
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

// FuzzHeaders: headers in evidence are taken only where each has its work and
// names the one before it, and within a period asks for the same work.
func FuzzHeaders(f *testing.F) {
	seed := func(first int, headers []wire.BlockHeader) {
		var raw bytes.Buffer
		for i := range headers {
			_ = headers[i].Serialize(&raw)
		}
		f.Add(int32(first), raw.Bytes())
	}
	headers := climbing(45, func(int, *big.Int) {})
	seed(0, headers)
	seed(1, headers[1:])
	seed(15, headers[15:])
	f.Fuzz(func(t *testing.T, first int32, raw []byte) {
		var headers []wire.BlockHeader
		for ; len(raw) >= 80; raw = raw[80:] {
			var h wire.BlockHeader
			if err := h.Deserialize(bytes.NewReader(raw)); err != nil {
				t.Fatal(err)
			}
			headers = append(headers, h)
		}
		if len(headers) == 0 || first < 0 || int64(first)+int64(len(headers)) > 1<<31-1 {
			return // refused before
		}
		if _, err := chain.FollowHeaders(first, headers, first, easy(), someTime()); err != nil {
			if !errors.Is(err, chain.ErrFalseEvidence) {
				t.Fatal(err)
			}
			return
		}
		for i, h := range headers {
			hash := h.BlockHash()
			if target := secondTarget(h.Bits); new(big.Int).SetBytes(reversed(hash[:])).Cmp(target) > 0 || target.Cmp(easy().PowLimit) > 0 {
				t.Errorf("header %d is taken without work", i)
			}
			if i > 0 && (h.PrevBlock != headers[i-1].BlockHash() || (int(first)+i)%20 != 0 && h.Bits != headers[i-1].Bits) {
				t.Errorf("header %d is taken and does not follow", i)
			}
		}
	})
}
