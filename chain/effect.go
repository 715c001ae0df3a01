package chain

import (
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Held is an output that is known, from the bytes of the transaction that
// made it, to belong to a watched script.
type Held struct {
	Script int64 // the caller's number of the script
	Amount int64 // satoshis
}

// Watched is the set to match against: scripts, by the caller's number for
// each, and the outputs that are known to belong to them. It is not safe for
// use by several goroutines while it changes.
type Watched struct {
	scripts map[string]int64
	held    map[wire.OutPoint]Held
	reveals bool
	canary  string // its script; empty: there is none
}

// NewWatched makes an empty set.
func NewWatched() *Watched {
	return &Watched{scripts: map[string]int64{}, held: map[wire.OutPoint]Held{}}
}

// Watch adds a script under the caller's number.
func (w *Watched) Watch(script []byte, number int64) { w.scripts[string(script)] = number }

// Hold adds an output that belongs to a watched script.
func (w *Watched) Hold(out wire.OutPoint, held Held) { w.held[out] = held }

// Holds says whether an output is known to belong to a watched script.
func (w *Watched) Holds(out wire.OutPoint) bool {
	_, ok := w.held[out]
	return ok
}

// Reveal lets inputs count by the key or script that they show, too. It is
// needed while not all outputs that belong to the scripts are known.
func (w *Watched) Reveal() { w.reveals = true }

// Scripts is how many scripts are watched.
func (w *Watched) Scripts() int {
	if w.canaried() {
		return len(w.scripts) - 1
	}
	return len(w.scripts)
}

// Number gives the caller's number of a watched script.
func (w *Watched) Number(script []byte) (int64, bool) {
	n, ok := w.scripts[string(script)]
	return n, ok && n != canary
}

// Movement is one credit or debit of a watched script.
type Movement struct {
	Index   int   // of the output (credit) or input (debit)
	Amount  int64 // satoshis
	Stated  bool  // a debit that rests on an explorer's word for the output it spends
	Unknown bool  // a debit that only the key or script it reveals points to: no amount is known
}

// Effect is what one transaction does to one watched script.
type Effect struct {
	Script  int64
	Credits []Movement
	Debits  []Movement
	Alone   bool // every output that carries money pays the script itself
}

// Received is the sum of the credits in satoshis, change included.
func (e Effect) Received() int64 { return sum(e.Credits) }

// Sent is the sum of the debits in satoshis.
func (e Effect) Sent() int64 { return sum(e.Debits) }

// Net is what the script gains, in satoshis; negative for a loss.
func (e Effect) Net() int64 { return e.Received() - e.Sent() }

// Unknown says whether the amount of any of it is not known.
func (e Effect) Unknown() bool {
	for _, d := range e.Debits {
		if d.Unknown {
			return true
		}
	}
	return false
}

// Stated says whether any of it rests on an explorer's word alone, or on a hint.
func (e Effect) Stated() bool {
	for _, d := range e.Debits {
		if d.Stated || d.Unknown {
			return true
		}
	}
	return false
}

func sum(movements []Movement) (total int64) {
	for _, m := range movements {
		total += m.Amount
	}
	return total
}

// Effects gives what a transaction does to the watched scripts, one effect a
// script, in the order in which they first appear. A spent output counts when
// it is held, or when tx.Spent states a watched script for it.
func (w *Watched) Effects(tx *Transaction) []Effect {
	var found effects
	for i, in := range tx.Msg.TxIn {
		if held, ok := w.held[in.PreviousOutPoint]; ok {
			e := found.of(held.Script)
			e.Debits = append(e.Debits, Movement{Index: i, Amount: held.Amount})
		} else if i < len(tx.Spent) && tx.Spent[i] != nil {
			if n, ok := w.Number(tx.Spent[i].PkScript); ok {
				e := found.of(n)
				e.Debits = append(e.Debits, Movement{Index: i, Amount: tx.Spent[i].Value, Stated: true})
			}
		} else if n, ok := w.revealed(in); ok {
			e := found.of(n)
			e.Debits = append(e.Debits, Movement{Index: i, Unknown: true})
		}
	}
	for i, out := range tx.Msg.TxOut {
		if n, ok := w.Number(out.PkScript); ok {
			e := found.of(n)
			e.Credits = append(e.Credits, Movement{Index: i, Amount: out.Value})
		}
	}
	for i := range found {
		found[i].Alone = w.alone(tx.Msg, found[i].Script)
	}
	return found
}

// revealed gives the watched script that an input shows the key or script of.
func (w *Watched) revealed(in *wire.TxIn) (int64, bool) {
	if !w.reveals {
		return 0, false
	}
	for _, script := range Reveals(in) {
		if n, ok := w.Number(script); ok {
			return n, true
		}
	}
	return 0, false
}

func (w *Watched) alone(msg *wire.MsgTx, script int64) bool {
	for _, out := range msg.TxOut {
		if n, ok := w.scripts[string(out.PkScript)]; out.Value > 0 && (!ok || n != script) {
			return false
		}
	}
	return true
}

type effects []Effect

func (es *effects) of(script int64) *Effect {
	for i := range *es {
		if (*es)[i].Script == script {
			return &(*es)[i]
		}
	}
	*es = append(*es, Effect{Script: script})
	return &(*es)[len(*es)-1]
}

// Match gives the transactions of a block that touch the watched set, in block
// order. Outputs that it finds are held from then on, so that a payment spent
// within the same block is seen as spent.
func (w *Watched) Match(b *Block) []*Transaction {
	hits, _ := w.MatchApart(b)
	return hits
}

// MatchApart is Match, which gives those that pay the canary besides, in the
// same pass over the block. One that pays a watched script too is in both.
func (w *Watched) MatchApart(b *Block) (hits, canaries []*Transaction) {
	for i, msg := range b.Transactions {
		touches, tests := w.touches(msg)
		if !touches && !tests {
			continue
		}
		tx := &Transaction{
			ID:    b.IDs[i],
			Msg:   msg,
			Spent: make([]*wire.TxOut, len(msg.TxIn)),
			Place: &Place{Height: b.Height, Block: b.Hash, Time: b.Time(), Index: i},
		}
		if tests {
			canaries = append(canaries, tx)
		}
		if touches {
			w.HoldOutputs(tx)
			hits = append(hits, tx)
		}
	}
	return hits, canaries
}

// HoldOutputs adds the outputs of a transaction that pay watched scripts. The
// txid commits to its outputs, so nobody's word is needed for them.
func (w *Watched) HoldOutputs(tx *Transaction) {
	for i, out := range tx.Msg.TxOut {
		if n, ok := w.Number(out.PkScript); ok {
			w.Hold(wire.OutPoint{Hash: tx.ID, Index: uint32(i)}, Held{Script: n, Amount: out.Value})
		}
	}
}

// touches says whether a transaction touches the watched set, and whether it
// pays the canary.
func (w *Watched) touches(msg *wire.MsgTx) (watched, tests bool) {
	for _, in := range msg.TxIn {
		if _, watched = w.held[in.PreviousOutPoint]; watched {
			break
		}
		if _, watched = w.revealed(in); watched {
			break
		}
	}
	for _, out := range msg.TxOut {
		if n, ok := w.scripts[string(out.PkScript)]; ok {
			watched, tests = watched || n != canary, tests || n == canary
		}
	}
	return watched, tests
}

// Fee is what a transaction pays to the miner, in satoshis; nil while an
// output that it spends is not known, and for a coinbase.
func (tx *Transaction) Fee() *int64 {
	var fee int64
	if len(tx.Spent) != len(tx.Msg.TxIn) {
		return nil
	}
	for _, out := range tx.Spent {
		if out == nil {
			return nil
		}
		fee += out.Value
	}
	for _, out := range tx.Msg.TxOut {
		fee -= out.Value
	}
	if fee < 0 {
		return nil
	}
	return &fee
}

// Coinbase says whether the transaction makes new money and spends nothing.
func (tx *Transaction) Coinbase() bool {
	return len(tx.Msg.TxIn) == 1 && tx.Msg.TxIn[0].PreviousOutPoint.Index == wire.MaxPrevOutIndex &&
		tx.Msg.TxIn[0].PreviousOutPoint.Hash == (chainhash.Hash{})
}
