package explorer

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// bookTransaction is a transaction as a Blockbook answer states it, before it
// is held against its bytes.
type bookTransaction struct {
	id     chainhash.Hash
	raw    string // in hexadecimal; empty: not in this answer
	ins    []bookInput
	outs   []bookOutput
	size   int64 // -1: not stated
	block  *chainhash.Hash
	height int64
	time   uint32

	tx *chain.Transaction // proven by its bytes; nil: they are not in this answer
}

type bookInput struct {
	spends   wire.OutPoint
	coinbase bool
	value    *int64 // of the output it spends; nil: not stated
	address  string // of the output it spends; empty: not stated, or none that is one
}

type bookOutput struct {
	value  int64
	script []byte
	spent  bool
	by     *chainhash.Hash // who spends it, in a block; nil: not stated
	input  uint32
	height int64
}

// readBookTransaction reads a transaction object and proves it by its bytes,
// where it has them.
func readBookTransaction(r *jsonReader, params *chaincfg.Params) *bookTransaction {
	t := &bookTransaction{size: -1, height: -1}
	r.object(func(key string) {
		switch key {
		case "txid":
			t.id = r.hash()
		case "hex":
			t.raw = r.string()
		case "vin":
			r.array(func() { t.ins = append(t.ins, readBookInput(r)) })
		case "vout":
			r.array(func() { t.outs = append(t.outs, readBookOutput(r)) })
		case "size":
			t.size = r.integer(0, math.MaxInt32)
		case "blockHash":
			t.readBlock(r)
		case "blockHeight": // -1, in older versions 0, while unconfirmed
			t.height = r.integer(-1, math.MaxInt32)
		case "blockTime": // while unconfirmed: when this server saw it first
			t.time = readUint32(r)
		default:
			r.skip()
		}
	}, "txid", "vin", "vout")
	if r.err == nil && t.raw != "" {
		t.tx, r.err = t.prove(t.raw, params)
	}
	return t
}

func (t *bookTransaction) readBlock(r *jsonReader) {
	if text := r.string(); text != "" {
		hash, ok := parseHash(text)
		if !ok {
			r.fail("not a block hash")
		}
		t.block = &hash
	}
}

// readBookInput reads an input. What is zero is left out, so is the address of
// an output that has none.
func readBookInput(r *jsonReader) (in bookInput) {
	is := false
	var addresses []string
	r.object(func(key string) {
		switch key {
		case "txid": // absent for a coinbase
			in.spends.Hash = r.hash()
		case "vout":
			in.spends.Index = readUint32(r)
		case "coinbase":
			in.coinbase = r.string() != ""
		case "value":
			value := readDecimal(r, chain.MaxMoney)
			in.value = &value
		case "addresses":
			if !r.null() {
				r.array(func() { addresses = append(addresses, r.string()) })
			}
		case "isAddress": // false for an OP_RETURN's text and for bare multisig
			is = r.boolean()
		default:
			r.skip()
		}
	})
	if is && len(addresses) == 1 {
		in.address = addresses[0]
	}
	return in
}

func readBookOutput(r *jsonReader) (out bookOutput) {
	out.height = -1
	r.object(func(key string) {
		switch key {
		case "value":
			out.value = readDecimal(r, chain.MaxMoney)
		case "hex": // left out for an empty script
			out.script = r.hex()
		case "spent":
			out.spent = r.boolean()
		case "spentTxId":
			by := r.hash()
			out.by = &by
		case "spentIndex": // left out for the first input
			out.input = readUint32(r)
		case "spentHeight":
			out.height = r.integer(0, math.MaxInt32)
		default:
			r.skip()
		}
	}, "value")
	return out
}

// prove holds the statement against the transaction's bytes and itself.
func (t *bookTransaction) prove(raw string, params *chaincfg.Params) (*chain.Transaction, error) {
	msg, err := readRaw(raw)
	if err != nil {
		return nil, err
	}
	s := &statement{id: t.id, msg: msg, size: t.size, weight: -1, spent: make([]*wire.TxOut, len(msg.TxIn))}
	if err := t.compare(msg); err != nil {
		return nil, err
	}
	// First with every amount, also where the script is not known.
	for i, in := range t.ins {
		if in.value != nil && !in.coinbase {
			s.spent[i] = &wire.TxOut{Value: *in.value}
		}
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	for i, in := range t.ins {
		s.spent[i] = in.output(msg.TxIn[i], params)
	}
	place, err := t.place()
	return &chain.Transaction{ID: t.id, Msg: msg, Spent: s.spent, Place: place}, err
}

// compare finds fields that contradict the bytes.
func (t *bookTransaction) compare(msg *wire.MsgTx) error {
	same := len(t.ins) == len(msg.TxIn) && len(t.outs) == len(msg.TxOut)
	for i := 0; same && i < len(t.ins); i++ {
		stated := t.ins[i]
		same = stated.coinbase == isCoinbase(msg.TxIn[i]) && (stated.coinbase || stated.spends == msg.TxIn[i].PreviousOutPoint)
	}
	for i := 0; same && i < len(t.outs); i++ {
		same = t.outs[i].value == msg.TxOut[i].Value && bytes.Equal(t.outs[i].script, msg.TxOut[i].PkScript)
	}
	if !same {
		return lying("transaction %s is stated otherwise than its bytes are", t.id)
	}
	return nil
}

// output is the output that an input spends: its script goes by the address
// stated. A bare key is shown as the P2PKH address of the key, so such an address
// counts only where the input shows the key, as it must to spend from it.
func (in bookInput) output(spender *wire.TxIn, params *chaincfg.Params) *wire.TxOut {
	if in.value == nil || in.address == "" {
		return nil
	}
	a, ok := chain.DecodeAddress(in.address, params)
	if !ok {
		return nil
	}
	shown := func(script []byte) bool { return bytes.Equal(script, a.Script) }
	if a.Kind == chain.P2PKH && !slices.ContainsFunc(chain.Reveals(spender), shown) {
		return nil
	}
	return &wire.TxOut{Value: *in.value, PkScript: a.Script}
}

// place is where the transaction is said to stand; nil while unconfirmed.
func (t *bookTransaction) place() (*chain.Place, error) {
	switch {
	case t.block == nil && t.height <= 0:
		return nil, nil
	case t.block == nil:
		return nil, malformed("transaction %s is confirmed, without the hash of its block", t.id)
	case t.height < 0 || t.time == 0:
		return nil, malformed("transaction %s is in a block, without its height and time", t.id)
	}
	return &chain.Place{Height: int32(t.height), Block: *t.block, Time: time.Unix(int64(t.time), 0).UTC(), Index: -1}, nil
}

// whole gives a transaction proven by its bytes, which are asked for where the
// answer did not hold them.
func (b blockbook) whole(ctx context.Context, t *bookTransaction) (*chain.Transaction, error) {
	if t.tx != nil {
		return t.tx, nil
	}
	q := question{words: fmt.Sprintf("bytes of transaction %s", t.id),
		path: fmt.Sprintf("/tx-specific/%s", t.id), limit: jsonLimit, absent: true}
	return askBlockbook(ctx, b.client, q, func(r *jsonReader) (tx *chain.Transaction) {
		raw := ""
		r.object(func(key string) {
			if key == "hex" {
				raw = r.string()
			} else {
				r.skip()
			}
		}, "hex")
		if r.err == nil {
			tx, r.err = t.prove(raw, b.params)
		}
		return tx
	})
}

// Transaction asks for one transaction.
func (b blockbook) Transaction(ctx context.Context, id chainhash.Hash) (*chain.Transaction, error) {
	q := question{words: fmt.Sprintf("transaction %s", id), path: fmt.Sprintf("/tx/%s", id), limit: jsonLimit, absent: true}
	t, err := askBlockbook(ctx, b.client, q, func(r *jsonReader) *bookTransaction { return b.readThis(r, id) })
	if err != nil {
		return nil, err
	}
	return b.whole(ctx, t)
}

func (b blockbook) readThis(r *jsonReader, id chainhash.Hash) *bookTransaction {
	t := readBookTransaction(r, b.params)
	if r.err == nil && t.id != id {
		r.err = lying("another transaction came: %s", t.id)
	}
	return t
}

// Spends asks who spends the outputs of a transaction. Blockbook knows spenders
// in blocks only, and their height but not their block.
func (b blockbook) Spends(ctx context.Context, id chainhash.Hash) ([]*Spend, error) {
	q := question{words: fmt.Sprintf("spends of %s", id), path: fmt.Sprintf("/tx/%s?spending=true", id), limit: jsonLimit, absent: true}
	return askBlockbook(ctx, b.client, q, func(r *jsonReader) (spends []*Spend) {
		t := b.readThis(r, id)
		if r.err == nil && t.tx == nil {
			r.fail("a transaction without its bytes")
		}
		if r.err != nil {
			return nil
		}
		spends, r.err = t.spends()
		return spends
	})
}

func (t *bookTransaction) spends() ([]*Spend, error) {
	if len(t.outs) == 0 { // every transaction has an output
		return nil, malformed("no outputs")
	}
	spends := make([]*Spend, len(t.outs))
	for i, out := range t.outs {
		switch {
		case !out.spent && out.by != nil:
			return nil, malformed("unspent, with a spender")
		case !out.spent:
		case out.by == nil || out.height < 0:
			return nil, &Error{Kind: ErrUnavailable, Detail: "it knows that an output is spent, and not by whom"}
		default:
			spends[i] = &Spend{TxID: *out.by, Input: out.input, Place: &chain.Place{Height: int32(out.height), Index: -1}}
		}
	}
	return spends, nil
}
