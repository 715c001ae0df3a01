package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain/chaintest"
)

// falseBlocks makes a false block of a raw one.
func falseBlocks(change func(*wire.MsgBlock)) func(string, []byte) []byte {
	return func(_ string, body []byte) []byte {
		var block wire.MsgBlock
		if block.Deserialize(bytes.NewReader(body)) != nil {
			return body
		}
		change(&block)
		var raw bytes.Buffer
		if block.Serialize(&raw) != nil {
			return body
		}
		return raw.Bytes()
	}
}

// leaveOut leaves everything out but the coinbase; a coinbase that is alone
// claims a satoshi more.
func leaveOut(block *wire.MsgBlock) {
	if len(block.Transactions) == 1 {
		block.Transactions[0].TxOut[0].Value++
	}
	block.Transactions = block.Transactions[:1]
}

func leaveOutAndSeal(block *wire.MsgBlock) {
	leaveOut(block)
	chaintest.Seal(block)
}

// otherAmount changes an amount wherever an answer states it.
func otherAmount(body []byte, truth, lie int64) []byte {
	return bytes.ReplaceAll(body, fmt.Appendf(nil, `"value":%d}`, truth), fmt.Appendf(nil, `"value":%d}`, lie))
}

// countOneMore adds a payment to the counters of an address.
func countOneMore(body []byte, amount int64) []byte {
	var all map[string]any
	if json.Unmarshal(body, &all) != nil {
		return body
	}
	counters, ok := all["chain_stats"].(map[string]any)
	if !ok {
		return body
	}
	for name, more := range map[string]int64{"tx_count": 1, "funded_txo_count": 1, "funded_txo_sum": amount} {
		if n, ok := counters[name].(float64); ok {
			counters[name] = int64(n) + more
		}
	}
	return encoded(all, body)
}

// putFirst puts an item before the others of a list.
func putFirst(body []byte, item any) []byte {
	var list []any
	if json.Unmarshal(body, &list) != nil {
		return body
	}
	return encoded(append([]any{item}, list...), body)
}

func encoded(value any, otherwise []byte) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		return otherwise
	}
	return text
}

// statement is a transaction as Esplora states it, said to be in a block.
func statement(tx *wire.MsgTx, height int32, block chainhash.Hash, at time.Time) any {
	type object = map[string]any
	var inputs, outputs []any
	for _, in := range tx.TxIn {
		var witness []string
		for _, item := range in.Witness {
			witness = append(witness, hex.EncodeToString(item))
		}
		inputs = append(inputs, object{
			"txid": in.PreviousOutPoint.Hash.String(), "vout": in.PreviousOutPoint.Index, "prevout": nil,
			"scriptsig": hex.EncodeToString(in.SignatureScript), "witness": witness, "is_coinbase": false, "sequence": in.Sequence,
		})
	}
	for _, out := range tx.TxOut {
		outputs = append(outputs, object{"scriptpubkey": hex.EncodeToString(out.PkScript), "value": out.Value})
	}
	return object{
		"txid": tx.TxHash().String(), "version": tx.Version, "locktime": tx.LockTime, "vin": inputs, "vout": outputs,
		"status": object{"confirmed": true, "block_height": height, "block_hash": block.String(), "block_time": at.Unix()},
	}
}
