package explorer

import (
	"math"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// statement is a transaction as an Esplora answer states it, before it is held
// against itself.
type statement struct {
	id     chainhash.Hash
	msg    *wire.MsgTx
	spent  []*wire.TxOut
	size   int64 // -1: not stated
	weight int64 // -1: not stated
	place  *chain.Place
}

// readTransaction reads a transaction object and proves what can be proved of
// it: its txid is recomputed from the fields, which every Esplora gives in full.
func readTransaction(r *jsonReader) *chain.Transaction {
	s := &statement{msg: wire.NewMsgTx(0), size: -1, weight: -1}
	r.object(func(key string) { s.read(r, key) }, "txid", "version", "locktime", "vin", "vout", "status")
	if r.err == nil {
		r.err = s.check()
	}
	if r.err != nil {
		return nil
	}
	return &chain.Transaction{ID: s.id, Msg: s.msg, Spent: s.spent, Place: s.place}
}

func (s *statement) read(r *jsonReader, key string) {
	switch key {
	case "txid":
		s.id = r.hash()
	case "version": // printed signed by some, unsigned by others
		s.msg.Version = int32(r.integer(math.MinInt32, math.MaxUint32))
	case "locktime":
		s.msg.LockTime = readUint32(r)
	case "vin":
		r.array(func() { s.readInput(r) })
	case "vout":
		r.array(func() { s.msg.AddTxOut(readOutput(r)) })
	case "size":
		s.size = r.integer(0, math.MaxInt32)
	case "weight":
		s.weight = r.integer(0, math.MaxInt32)
	case "status":
		s.place = readPlace(r)
	default:
		r.skip()
	}
}

func (s *statement) readInput(r *jsonReader) {
	in, spent, coinbase, said := &wire.TxIn{}, (*wire.TxOut)(nil), false, false
	r.object(func(key string) {
		switch key {
		case "txid":
			in.PreviousOutPoint.Hash = r.hash()
		case "vout":
			in.PreviousOutPoint.Index = readUint32(r)
		case "prevout": // null for a coinbase, and where the server could not resolve it
			if !r.null() {
				spent = readOutput(r)
			}
		case "scriptsig":
			in.SignatureScript = r.hex()
		case "witness": // absent when empty
			r.array(func() { in.Witness = append(in.Witness, r.hex()) })
		case "is_coinbase":
			coinbase, said = r.boolean(), true
		case "sequence":
			in.Sequence = readUint32(r)
		default:
			r.skip()
		}
	}, "txid", "vout", "scriptsig", "sequence")
	if said && r.err == nil && coinbase != isCoinbase(in) {
		r.fail("an input that is and is not a coinbase")
	}
	s.msg.AddTxIn(in)
	s.spent = append(s.spent, spent)
}

func isCoinbase(in *wire.TxIn) bool {
	return in.PreviousOutPoint.Index == wire.MaxPrevOutIndex && in.PreviousOutPoint.Hash == chainhash.Hash{}
}

func readOutput(r *jsonReader) *wire.TxOut {
	out := &wire.TxOut{}
	r.object(func(key string) {
		switch key {
		case "scriptpubkey":
			out.PkScript = r.hex()
		case "value":
			out.Value = readAmount(r)
		default:
			r.skip()
		}
	}, "scriptpubkey", "value")
	return out
}

func readAmount(r *jsonReader) int64 {
	amount := r.integer(0, math.MaxInt64)
	if amount > chain.MaxMoney {
		r.lies("an amount of more than 21 million bitcoin")
		return 0
	}
	return amount
}

func readUint32(r *jsonReader) uint32 { return uint32(r.integer(0, math.MaxUint32)) }

// readPlace reads a status object; nil is unconfirmed. What is unconfirmed has
// no block: servers leave those keys out, their documentation says null.
func readPlace(r *jsonReader) *chain.Place {
	confirmed, stated, place := false, 0, &chain.Place{Index: -1}
	block := func(read func()) {
		if !r.null() {
			stated++
			read()
		}
	}
	r.object(func(key string) {
		switch key {
		case "confirmed":
			confirmed = r.boolean()
		case "block_height":
			block(func() { place.Height = int32(r.integer(0, math.MaxInt32)) })
		case "block_hash":
			block(func() { place.Block = r.hash() })
		case "block_time":
			block(func() { place.Time = time.Unix(int64(readUint32(r)), 0).UTC() })
		default:
			r.skip()
		}
	}, "confirmed")
	switch {
	case confirmed && stated < 3:
		r.fail("confirmed, without height, hash and time of the block")
	case !confirmed && stated > 0:
		r.fail("unconfirmed, with a block")
	}
	if r.err != nil || !confirmed {
		return nil
	}
	return place
}

// check holds the statement against itself.
func (s *statement) check() error {
	if len(s.msg.TxIn) == 0 || len(s.msg.TxOut) == 0 {
		return malformed("transaction %s comes without inputs or outputs", s.id)
	}
	if got := s.msg.TxHash(); got != s.id {
		return lying("a transaction stated as %s has the txid %s", s.id, got)
	}
	// Beyond the txid: a transaction that no node would take was made up.
	if err := blockchain.CheckTransactionSanity(btcutil.NewTx(s.msg)); err != nil {
		return lying("transaction %s breaks the consensus rules", s.id)
	}
	if isCoinbase(s.msg.TxIn[0]) && s.spent[0] != nil {
		return malformed("coinbase %s spends an output", s.id)
	}
	if err := s.checkSize(); err != nil {
		return err
	}
	return s.checkSums()
}

// checkSize finds a witness that is not whole: the txid does not cover it.
func (s *statement) checkSize() error {
	size := int64(s.msg.SerializeSize())
	weight := size + 3*int64(s.msg.SerializeSizeStripped())
	if (s.size >= 0 && s.size != size) || (s.weight >= 0 && s.weight != weight) {
		return malformed("transaction %s has not the size stated: its witness is not whole", s.id)
	}
	return nil
}

// checkSums finds amounts of spent outputs that cannot be: the txid does not
// cover them either. The outputs' own sum is a consensus rule, checked before.
func (s *statement) checkSums() error {
	var in, out int64
	known := true
	for _, spent := range s.spent {
		if spent == nil { // a coinbase, or nobody knows
			known = false
		} else if in += spent.Value; in > chain.MaxMoney {
			return lying("transaction %s spends more than 21 million bitcoin", s.id)
		}
	}
	for _, paid := range s.msg.TxOut {
		out += paid.Value
	}
	if known && in < out {
		return lying("transaction %s pays more than it spends", s.id)
	}
	return nil
}
