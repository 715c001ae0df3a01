package main

import (
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// ledger is what the demo knows by itself: the watched scripts and every
// transaction that it made. What has to be told and recorded comes from here.
type ledger struct {
	watched []watched
	coins   map[wire.OutPoint]*wire.TxOut // that were paid to watched scripts
	effects []*effect
}

// watched is an address on the list.
type watched struct {
	text, label string
	script      []byte
	original    string // its mainnet spelling; empty: it has none
}

// effect is what a transaction does to one watched address.
type effect struct {
	to        watched
	txid      chainhash.Hash
	direction string
	amount    int64 // satoshis, net: change is not counted
	net       int64 // the same with its sign
	historic  bool
	block     chainhash.Hash
	height    int32
	confirmed bool

	replaces   *effect        // whose coins it spends instead
	replacedBy chainhash.Hash // zero: by nothing
}

// state is how the payment stands.
func (e *effect) state() string {
	switch {
	case e.confirmed:
		return "confirmed"
	case e.replacedBy != chainhash.Hash{}:
		return "replaced"
	}
	return "unconfirmed"
}

// first is the payment with which a row of replacements began.
func (e *effect) first() *effect {
	for e.replaces != nil {
		e = e.replaces
	}
	return e
}

func newLedger(list []watched) *ledger {
	return &ledger{watched: list, coins: map[wire.OutPoint]*wire.TxOut{}}
}

// add takes a transaction in, and gives what it does.
func (l *ledger) add(tx *wire.MsgTx) []*effect {
	var made []*effect
	for _, w := range l.watched {
		received, gotAny := l.received(tx, w)
		sent, spentAny := l.sent(tx, w)
		if !gotAny && !spentAny {
			continue
		}
		e := &effect{to: w, txid: tx.TxHash(), direction: "in", net: received - sent}
		e.amount = e.net
		if spentAny && e.net < 0 {
			e.direction, e.amount = "out", -e.net
		}
		made = append(made, e)
	}
	l.effects = append(l.effects, made...)
	return made
}

func (l *ledger) received(tx *wire.MsgTx, w watched) (sum int64, any bool) {
	for i, out := range tx.TxOut {
		if string(out.PkScript) == string(w.script) {
			l.coins[wire.OutPoint{Hash: tx.TxHash(), Index: uint32(i)}] = out
			sum, any = sum+out.Value, true
		}
	}
	return sum, any
}

func (l *ledger) sent(tx *wire.MsgTx, w watched) (sum int64, any bool) {
	for _, in := range tx.TxIn {
		if out := l.coins[in.PreviousOutPoint]; out != nil && string(out.PkScript) == string(w.script) {
			sum, any = sum+out.Value, true
		}
	}
	return sum, any
}

// confirm says which block holds what was made and not yet in one.
func (l *ledger) confirm(height int32, block *wire.MsgBlock) {
	held := map[chainhash.Hash]bool{}
	for _, tx := range block.Transactions {
		held[tx.TxHash()] = true
	}
	for _, e := range l.effects {
		if held[e.txid] {
			e.block, e.height, e.confirmed = block.BlockHash(), height, true
		}
	}
}

// leave says that a block is not on the chain any more.
func (l *ledger) leave(block chainhash.Hash) {
	for _, e := range l.effects {
		if e.confirmed && e.block == block {
			e.block, e.height, e.confirmed = chainhash.Hash{}, 0, false
		}
	}
}

// replace takes in a transaction that spends the coins of an unconfirmed
// payment, so that the payment can never be in a block beside it.
func (l *ledger) replace(old *effect, tx *wire.MsgTx) []*effect {
	old.replacedBy = tx.TxHash()
	for at := range l.coins {
		if at.Hash == old.txid {
			delete(l.coins, at)
		}
	}
	made := l.add(tx)
	for _, e := range made {
		e.replaces = old
	}
	return made
}

func (l *ledger) balance(w watched) int64 {
	var sum int64
	for _, e := range l.effects {
		if e.to.text == w.text && e.confirmed {
			sum += e.net
		}
	}
	return sum
}
