package chaintest

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// renderer writes Esplora's JSON by hand: a history of 10,000 transactions
// through encoding/json would be most of what a benchmark measures. No string
// here needs escaping.
type renderer struct {
	params *chaincfg.Params
	asm    *assembler
	sigops bool // Blockstream's electrs has none
}

const unconfirmedStatus = `{"confirmed":false}`

func renderStatus(height int32, hash chainhash.Hash, at time.Time) []byte {
	b := append([]byte(`{"confirmed":true,"block_height":`), strconv.Itoa(int(height))...)
	b = append(b, `,"block_hash":"`+hash.String()+`","block_time":`...)
	return append(strconv.AppendInt(b, at.Unix(), 10), '}')
}

func (e *entry) appendStatus(b []byte) []byte {
	if e == nil || e.block == nil {
		return append(b, unconfirmedStatus...)
	}
	return append(b, e.block.status...)
}

// transaction writes a transaction. All but its status never changes and is
// kept.
func (r *renderer) transaction(b []byte, e *entry) []byte {
	e.once.Do(func() { e.body = r.body(e) })
	b = append(b, e.body...)
	return append(e.appendStatus(b), '}')
}

func (r *renderer) body(e *entry) []byte {
	b := append(make([]byte, 0, 2048), `{"txid":"`+e.id.String()+`","version":`...)
	b = appendInt(b, int64(uint32(e.tx.Version)))
	b = appendInt(append(b, `,"locktime":`...), int64(e.tx.LockTime))
	b = append(b, `,"vin":[`...)
	for i := range e.tx.TxIn {
		b = r.input(comma(b, i), e.tx.TxIn[i], e.spent[i])
	}
	b = append(b, `],"vout":[`...)
	for i, out := range e.tx.TxOut {
		b = r.output(comma(b, i), out)
	}
	b = appendInt(append(b, `],"size":`...), int64(e.tx.SerializeSize()))
	b = appendInt(append(b, `,"weight":`...), weight(e.tx))
	if r.sigops {
		b = appendInt(append(b, `,"sigops":`...), int64(sigopCost(e.tx, e.spent)))
	}
	b = appendInt(append(b, `,"fee":`...), e.fee())
	return append(b, `,"status":`...)
}

// fee is 0 for a coinbase, and where an input's amount is not known.
func (e *entry) fee() int64 {
	var fee int64
	for _, out := range e.spent {
		if out == nil {
			return 0
		}
		fee += out.Value
	}
	for _, out := range e.tx.TxOut {
		fee -= out.Value
	}
	return fee
}

func (r *renderer) input(b []byte, in *wire.TxIn, spent *wire.TxOut) []byte {
	b = append(b, `{"txid":"`+in.PreviousOutPoint.Hash.String()+`","vout":`...)
	b = appendInt(b, int64(in.PreviousOutPoint.Index))
	b = append(b, `,"prevout":`...)
	if spent == nil {
		b = append(b, "null"...)
	} else {
		b = r.output(b, spent)
	}
	b = hex.AppendEncode(append(b, `,"scriptsig":"`...), in.SignatureScript)
	b = append(b, `","scriptsig_asm":"`+r.asm.text(in.SignatureScript)+`"`...)
	if len(in.Witness) > 0 {
		b = append(b, `,"witness":[`...)
		for i, item := range in.Witness {
			b = append(hex.AppendEncode(append(comma(b, i), '"'), item), '"')
		}
		b = append(b, ']')
	}
	coinbase := in.PreviousOutPoint.Index == wire.MaxPrevOutIndex && in.PreviousOutPoint.Hash == chainhash.Hash{}
	b = strconv.AppendBool(append(b, `,"is_coinbase":`...), coinbase)
	b = appendInt(append(b, `,"sequence":`...), int64(in.Sequence))
	if spent != nil {
		b = r.inner(b, in, spent.PkScript)
	}
	return append(b, '}')
}

// inner writes the scripts that hide behind a hash and that the input shows.
func (r *renderer) inner(b []byte, in *wire.TxIn, script []byte) []byte {
	if txscript.IsPayToScriptHash(script) {
		redeem, ok := lastPush(in.SignatureScript)
		if !ok {
			return b
		}
		b = append(b, `,"inner_redeemscript_asm":"`+r.asm.text(redeem)+`"`...)
		script = redeem
	}
	from := 0
	switch n := len(in.Witness); {
	case txscript.IsPayToWitnessScriptHash(script):
		from = 1
	case txscript.IsPayToTaproot(script):
		from = 2 // the control block is last
		if n >= 2 && len(in.Witness[n-1]) > 0 && in.Witness[n-1][0] == txscript.TaprootAnnexTag {
			from = 3
		}
	}
	if from == 0 || len(in.Witness) < from {
		return b
	}
	return append(b, `,"inner_witnessscript_asm":"`+r.asm.text(in.Witness[len(in.Witness)-from])+`"`...)
}

func (r *renderer) output(b []byte, out *wire.TxOut) []byte {
	b = hex.AppendEncode(append(b, `{"scriptpubkey":"`...), out.PkScript)
	b = append(b, `","scriptpubkey_asm":"`+r.asm.text(out.PkScript)+`","scriptpubkey_type":"`+scriptType(out.PkScript)+`"`...)
	if address := scriptAddress(out.PkScript, r.params); address != "" {
		b = append(b, `,"scriptpubkey_address":"`+address+`"`...)
	}
	return append(appendInt(append(b, `,"value":`...), out.Value), '}')
}

func (t tally) append(b []byte) []byte {
	b = appendInt(append(b, `{"funded_txo_count":`...), t.fundedCount)
	b = appendInt(append(b, `,"funded_txo_sum":`...), t.fundedSum)
	b = appendInt(append(b, `,"spent_txo_count":`...), t.spentCount)
	b = appendInt(append(b, `,"spent_txo_sum":`...), t.spentSum)
	b = appendInt(append(b, `,"tx_count":`...), t.txs)
	return append(b, '}')
}

func appendSpend(b []byte, s spender, spent bool) []byte {
	if !spent {
		return append(b, `{"spent":false}`...)
	}
	b = append(b, `{"spent":true,"txid":"`+s.by.id.String()+`","vin":`...)
	b = append(appendInt(b, int64(s.vin)), `,"status":`...)
	return append(s.by.appendStatus(b), '}')
}

// block writes the summary of a block. mediantime comes from the caller, who
// knows the ancestors.
func (r *renderer) block(blk *indexedBlock, mediantime int64) []byte {
	h := blk.msg.Header
	b := append([]byte(`{"id":"`), blk.hash.String()+`","height":`...)
	b = appendInt(b, int64(blk.height))
	b = appendInt(append(b, `,"version":`...), int64(uint32(h.Version)))
	b = appendInt(append(b, `,"timestamp":`...), h.Timestamp.Unix())
	b = appendInt(append(b, `,"tx_count":`...), int64(len(blk.entries)))
	size, stripped := blk.msg.SerializeSize(), blk.msg.SerializeSizeStripped()
	b = appendInt(append(b, `,"size":`...), int64(size))
	b = appendInt(append(b, `,"weight":`...), int64(3*stripped+size))
	b = append(b, `,"merkle_root":"`+h.MerkleRoot.String()+`","previousblockhash":`...)
	if h.PrevBlock == (chainhash.Hash{}) {
		b = append(b, "null"...)
	} else {
		b = append(b, `"`+h.PrevBlock.String()+`"`...)
	}
	b = appendInt(append(b, `,"mediantime":`...), mediantime)
	b = appendInt(append(b, `,"nonce":`...), int64(h.Nonce))
	b = appendInt(append(b, `,"bits":`...), int64(h.Bits))
	b = strconv.AppendFloat(append(b, `,"difficulty":`...), difficulty(h.Bits), 'g', -1, 64)
	return append(b, '}')
}

// difficulty compares a target with the easiest one of mainnet.
func difficulty(bits uint32) float64 {
	easiest, _ := blockchain.CompactToBig(0x1d00ffff).Float64()
	target, _ := blockchain.CompactToBig(bits).Float64()
	return easiest / target
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// comma comes before every item but the first.
func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}
