package main

import (
	"fmt"

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

func (l *ledger) balance(w watched) int64 {
	var sum int64
	for _, e := range l.effects {
		if e.to.text == w.text && e.confirmed {
			sum += e.net
		}
	}
	return sum
}

// told is an alert that has to come, once on every channel.
type told struct {
	kind  string // its type
	about *effect
}

func (t told) String() string {
	if t.about == nil {
		return t.kind
	}
	return fmt.Sprintf("%s of %s at %s (transaction %s)", t.kind, btc(t.about.amount), t.about.to.label, t.about.txid)
}

// meant says whether an alert is the one that has to come.
func (t told) meant(b body) bool {
	if t.about == nil {
		return b.Type == t.kind
	}
	return b.Type == t.kind && b.Data.Address == t.about.to.text && b.Data.TxID == t.about.txid.String()
}

// faults compares an alert with the chain.
func (t told) faults(b body) (faults []string) {
	e, d := t.about, b.Data
	if e == nil {
		return nil
	}
	differs := func(what string, says, is any) {
		if says != is {
			faults = append(faults, fmt.Sprintf("%s is %v and the alert says %v", what, is, says))
		}
	}
	var amount any
	if d.AmountSat != nil {
		amount = *d.AmountSat
	}
	differs("the network", d.Network, "regtest")
	differs("the label", d.Label, e.to.label)
	differs("the direction", d.Direction, e.direction)
	differs("the amount in satoshis", amount, any(e.amount))
	differs("the severity", d.Severity, map[string]string{"in": "medium", "out": "high"}[e.direction])
	if t.kind == seen {
		differs("the state", d.State, "unconfirmed")
		differs("a grade of proven, which nothing can prove yet,", d.Proof == "proven", false)
		return faults
	}
	differs("the state", d.State, "confirmed")
	differs("the grade", d.Proof, "proven")
	differs("the block", d.BlockHash, e.block.String())
	return faults
}

// The alerts that have to come.
const (
	seen      = "transaction.seen"
	confirmed = "transaction.confirmed"
	listed    = "list.changed"
)
