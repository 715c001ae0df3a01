package chaintest

import (
	"encoding/hex"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// render makes the object of a transaction. What is zero or empty is left out.
func (b *Blockbook) render(e *entry, spending bool) map[string]any {
	var valueIn, value int64
	ins, outs := []any{}, []any{}
	for i, in := range e.tx.TxIn {
		ins = append(ins, b.renderInput(i, in, e.spent[i]))
		if e.spent[i] != nil {
			valueIn += e.spent[i].Value
		}
	}
	for i, out := range e.tx.TxOut {
		outs = append(outs, b.renderOutput(e, i, out, spending))
		value += out.Value
	}
	tx := map[string]any{"txid": e.id.String(), "vin": ins, "vout": outs, "blockHeight": -1, "confirmations": 0, "blockTime": 1_700_000_000,
		"size": e.tx.SerializeSize(), "vsize": virtualSize(e.tx), "value": fmt.Sprint(value), "valueIn": fmt.Sprint(valueIn),
		"fees": fmt.Sprint(max(0, valueIn-value)), "hex": rawHex(e)}
	if b.NoHex {
		delete(tx, "hex")
	}
	put(tx, "version", int64(e.tx.Version))
	put(tx, "lockTime", int64(e.tx.LockTime))
	if e.block != nil {
		tx["blockHash"], tx["blockHeight"] = e.block.hash.String(), e.block.height
		tx["blockTime"], tx["confirmations"] = e.block.msg.Header.Timestamp.Unix(), b.confirmations(e.block)
		return tx
	}
	for _, in := range e.tx.TxIn {
		if in.Sequence < wire.MaxTxInSequenceNum-1 {
			tx["rbf"] = true
		}
	}
	return tx
}

// put leaves a zero out.
func put(object map[string]any, key string, n int64) {
	if n != 0 {
		object[key] = n
	}
}

func (b *Blockbook) renderInput(i int, in *wire.TxIn, spent *wire.TxOut) map[string]any {
	object := map[string]any{"n": i, "isAddress": false}
	put(object, "sequence", int64(in.Sequence))
	if in.PreviousOutPoint.Hash == (chainhash.Hash{}) {
		object["coinbase"] = hex.EncodeToString(in.SignatureScript)
		return object
	}
	object["txid"] = in.PreviousOutPoint.Hash.String()
	put(object, "vout", int64(in.PreviousOutPoint.Index))
	if len(in.SignatureScript) > 0 {
		object["hex"] = hex.EncodeToString(in.SignatureScript)
	}
	if spent == nil {
		return object
	}
	object["value"] = fmt.Sprint(spent.Value)
	if address := b.keyAddress(spent.PkScript); address != "" {
		object["addresses"], object["isAddress"] = []string{address}, true
	}
	return object
}

// renderOutput writes who spends an output where that is asked for, and knows
// it of confirmed transactions only.
func (b *Blockbook) renderOutput(e *entry, i int, out *wire.TxOut, spending bool) map[string]any {
	object := map[string]any{"value": fmt.Sprint(out.Value), "n": i, "addresses": nil, "isAddress": false}
	if len(out.PkScript) > 0 {
		object["hex"] = hex.EncodeToString(out.PkScript)
	}
	address := b.keyAddress(out.PkScript)
	switch {
	case address != "":
		object["addresses"], object["isAddress"] = []string{address}, true
	case txscript.IsNullData(out.PkScript):
		object["addresses"] = []string{"OP_RETURN (text)"}
	}
	s, spent := b.index.spends[wire.OutPoint{Hash: e.id, Index: uint32(i)}]
	if e.block == nil || !spent {
		return object
	}
	object["spent"] = true
	if spending {
		object["spentTxId"], object["spentHeight"] = s.by.id.String(), s.by.block.height
		put(object, "spentIndex", int64(s.vin))
	}
	return object
}
