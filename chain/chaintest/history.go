package chaintest

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/btcsuite/btcd/wire/v2"
)

// historyBlock is how many synthetic transactions go into one block.
const historyBlock = 500

// History mines n made-up transactions that touch a script, and gives them,
// oldest first. Each pays 1,000 satoshis and its position to the script as
// output 0; each fourth also spends what the one before it paid there. Fees
// are 200 satoshis. Signatures are made up, as nothing here checks them.
func (c *Chain) History(script []byte, n int) []*wire.MsgTx {
	funding := c.Mine().Transactions[0]
	change := wire.OutPoint{Hash: funding.TxHash()}
	left := funding.TxOut[0].Value
	txs := make([]*wire.MsgTx, n)
	for i := range txs {
		tx := wire.NewMsgTx(2)
		addSyntheticInput(tx, change, i)
		left -= 200
		if i%4 == 3 {
			addSyntheticInput(tx, wire.OutPoint{Hash: txs[i-1].TxHash()}, -i)
			left += txs[i-1].TxOut[0].Value
		}
		paid := int64(1000 + i)
		left -= paid
		tx.AddTxOut(wire.NewTxOut(paid, script))
		tx.AddTxOut(wire.NewTxOut(left, c.CoinbaseScript))
		txs[i], change = tx, wire.OutPoint{Hash: tx.TxHash(), Index: 1}
	}
	if left < 0 {
		panic("chaintest: the subsidy is too small for so long a history")
	}
	for start := 0; start < n; start += historyBlock {
		c.Mine(txs[start:min(n, start+historyBlock)]...)
	}
	return txs
}

// addSyntheticInput gives an input the witness of a P2WPKH spend, in size.
func addSyntheticInput(tx *wire.MsgTx, spends wire.OutPoint, salt int) {
	seed := sha256.Sum256(binary.LittleEndian.AppendUint64(spends.Hash[:], uint64(salt)))
	again := sha256.Sum256(seed[:])
	signature := append(append(seed[:], again[:]...), seed[:7]...)
	tx.AddTxIn(wire.NewTxIn(&spends, nil, wire.TxWitness{signature, append([]byte{2}, again[:]...)}))
}
