package chaintest

import (
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// without gives the transactions less the ones given, the ones that conflict
// with those, and the ones that spend from such.
func without(txs []*wire.MsgTx, given ...*wire.MsgTx) []*wire.MsgTx {
	if len(txs) == 0 || len(given) == 0 {
		return txs
	}
	spent := map[wire.OutPoint]chainhash.Hash{}
	confirmed := map[chainhash.Hash]bool{}
	for _, tx := range given {
		id := tx.TxHash()
		confirmed[id] = true
		for _, in := range tx.TxIn {
			spent[in.PreviousOutPoint] = id
		}
	}
	gone := map[chainhash.Hash]bool{}
	return slices.DeleteFunc(slices.Clone(txs), func(tx *wire.MsgTx) bool {
		return confirmed[tx.TxHash()] || leaves(tx, spent, gone)
	})
}

// leaves says whether a transaction conflicts with what is spent or spends
// from (or is) one that is gone; it is then gone too.
func leaves(tx *wire.MsgTx, spent map[wire.OutPoint]chainhash.Hash, gone map[chainhash.Hash]bool) bool {
	id := tx.TxHash()
	out := gone[id]
	for _, in := range tx.TxIn {
		_, conflict := spent[in.PreviousOutPoint]
		out = out || conflict || gone[in.PreviousOutPoint.Hash]
	}
	if out {
		gone[id] = true
	}
	return out
}
