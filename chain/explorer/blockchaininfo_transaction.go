package explorer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// infoTransaction is a transaction as blockchain.info states it, before it is
// held against its bytes.
type infoTransaction struct {
	id      chainhash.Hash
	height  int64 // 0: unconfirmed
	inCount int64 // of the whole transaction: lists may be cut to what an address has to do with
	spent   []*wire.TxOut
	from    []uint32 // for each input the index of the output that it spends
	outs    map[int64]*wire.TxOut
	size    int64 // -1: not stated
	weight  int64 // -1: not stated
}

func readInfoTransaction(r *jsonReader) *infoTransaction {
	t := &infoTransaction{size: -1, weight: -1, outs: map[int64]*wire.TxOut{}}
	r.object(func(key string) {
		switch key {
		case "hash":
			t.id = r.hash()
		case "vin_sz":
			t.inCount = r.integer(0, math.MaxInt32)
		case "size":
			t.size = r.integer(0, math.MaxInt32)
		case "weight":
			t.weight = r.integer(0, math.MaxInt32)
		case "block_height": // null, left out, or in old answers -1, while unconfirmed
			if !r.null() {
				t.height = max(0, r.integer(-1, math.MaxInt32))
			}
		case "inputs":
			r.array(func() { t.readInput(r) })
		case "out":
			r.array(func() { t.readOut(r) })
		default:
			r.skip()
		}
	}, "hash", "vin_sz", "inputs", "out")
	return t
}

func (t *infoTransaction) readInput(r *jsonReader) {
	var spent *wire.TxOut
	var from int64
	r.object(func(key string) {
		switch {
		case key != "prev_out":
			r.skip()
		case !r.null(): // null for a coinbase
			from, spent = readInfoOut(r)
		}
	}, "prev_out")
	t.spent, t.from = append(t.spent, spent), append(t.from, uint32(from))
}

func (t *infoTransaction) readOut(r *jsonReader) {
	n, out := readInfoOut(r)
	if t.outs[n] != nil {
		r.fail("an output comes twice")
	}
	t.outs[n] = out
}

func readInfoOut(r *jsonReader) (n int64, out *wire.TxOut) {
	out = &wire.TxOut{}
	r.object(func(key string) {
		switch key {
		case "n":
			n = r.integer(0, math.MaxUint32)
		case "value":
			out.Value = readAmount(r)
		case "script":
			out.PkScript = r.hex()
		default:
			r.skip()
		}
	}, "n", "value", "script")
	return n, out
}

// prove holds the statement against the transaction's bytes and itself.
func (t *infoTransaction) prove(raw string) (*chain.Transaction, error) {
	msg, err := readRaw(raw)
	if err != nil {
		return nil, err
	}
	s := &statement{id: t.id, msg: msg, size: t.size, weight: t.weight, spent: t.spent}
	if len(s.spent) != len(msg.TxIn) { // cut off: nobody said
		s.spent = make([]*wire.TxOut, len(msg.TxIn))
	} else if err := t.compareInputs(msg); err != nil {
		return nil, err
	}
	if err := t.compareOuts(msg); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return &chain.Transaction{ID: t.id, Msg: msg, Spent: s.spent}, nil
}

func (t *infoTransaction) compareInputs(msg *wire.MsgTx) error {
	for i, in := range msg.TxIn {
		if t.spent[i] != nil && t.from[i] != in.PreviousOutPoint.Index {
			return lying("transaction %s is stated otherwise than its bytes are", t.id)
		}
	}
	return nil
}

// compareOuts goes by each output's own number: where a list is cut to those of
// one address, their order says nothing.
func (t *infoTransaction) compareOuts(msg *wire.MsgTx) error {
	for n, out := range t.outs {
		if n >= int64(len(msg.TxOut)) || out.Value != msg.TxOut[n].Value || !bytes.Equal(out.PkScript, msg.TxOut[n].PkScript) {
			return lying("transaction %s is stated otherwise than its bytes are", t.id)
		}
	}
	return nil
}

// whole asks for the bytes of a transaction that was stated. It does not say
// where the transaction stands.
func (b blockchainInfo) whole(ctx context.Context, t *infoTransaction) (*chain.Transaction, error) {
	if int64(len(t.spent)) != t.inCount {
		var err error
		if t, err = b.object(ctx, t.id); err != nil {
			return nil, err
		}
	}
	q := question{words: fmt.Sprintf("bytes of transaction %s", t.id),
		path: fmt.Sprintf("/rawtx/%s?format=hex", t.id), limit: 2*blockLimit + textLimit, absent: true}
	return askInfoHex(ctx, b.client, q, t.prove)
}

// object asks for a transaction as it is stated.
func (b blockchainInfo) object(ctx context.Context, id chainhash.Hash) (*infoTransaction, error) {
	q := question{words: fmt.Sprintf("transaction %s", id), path: fmt.Sprintf("/rawtx/%s", id), limit: jsonLimit, absent: true}
	return askInfo(ctx, b.client, q, func(r *jsonReader) *infoTransaction {
		t := readInfoTransaction(r)
		if r.err == nil && t.id != id {
			r.err = lying("another transaction came: %s", t.id)
		}
		return t
	})
}

// Transaction asks for one transaction.
func (b blockchainInfo) Transaction(ctx context.Context, id chainhash.Hash) (*chain.Transaction, error) {
	for range historyPasses {
		t, err := b.object(ctx, id)
		if err != nil {
			return nil, err
		}
		tx, err := b.whole(ctx, t)
		if err != nil || t.height == 0 {
			return tx, err
		}
		at, err := b.blockAt(ctx, int32(t.height), false)
		if err != nil {
			return nil, err
		}
		if tx, err = b.placed(ctx, tx, at); !errors.Is(err, errMoved) {
			return tx, err
		}
	}
	moving := &Error{Kind: ErrUnavailable, Detail: "its chain moves while it is asked"}
	return nil, b.client.about(question{words: fmt.Sprintf("transaction %s", id)}, b.client.count(moving))
}

// placed puts a transaction into the block where it was said to stand. The block
// is asked for by its height, after the transaction was: when it does not hold it,
// one may have taken the place of another between. Only a place that is stated
// again, and not borne out again, is false.
func (b blockchainInfo) placed(ctx context.Context, tx *chain.Transaction, at infoBlock) (*chain.Transaction, error) {
	place, err := at.place(tx.ID)
	if err != nil {
		if place, err = b.placeAgain(ctx, tx.ID, at.height); err != nil {
			return nil, err
		}
	}
	placed := *tx
	placed.Place = place
	return &placed, nil
}

// placeAgain asks again for a transaction that its block did not hold, and for
// the block; errMoved where the transaction stands elsewhere by now.
func (b blockchainInfo) placeAgain(ctx context.Context, id chainhash.Hash, height int64) (*chain.Place, error) {
	before, err := b.blockAt(ctx, int32(height), false)
	if err != nil {
		return nil, err
	}
	t, err := b.object(ctx, id)
	if err != nil {
		return nil, err
	}
	after, err := b.blockAt(ctx, int32(height), false)
	if err != nil {
		return nil, err
	}
	if t.height != height || after.hash != before.hash {
		return nil, errMoved
	}
	place, err := after.place(id)
	if err != nil {
		q := question{words: fmt.Sprintf("block of transaction %s", id)}
		return nil, b.client.about(q, b.client.count(err))
	}
	return place, nil
}
