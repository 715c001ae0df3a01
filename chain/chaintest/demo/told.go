package main

import (
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// The alerts that have to come.
const (
	seen      = "transaction.seen"
	confirmed = "transaction.confirmed"
	reorged   = "transaction.reorged"
	replaced  = "transaction.replaced"
	listed    = "list.changed"
)

// told is an alert that has to come, once on every channel.
type told struct {
	kind  string // its type
	about *effect
	block chainhash.Hash // that confirms the payment, or did until it left the chain
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
	held := t.block == chainhash.Hash{} || b.Data.BlockHash == t.block.String()
	return b.Type == t.kind && b.Data.Address == t.about.to.text && b.Data.TxID == t.about.txid.String() && held
}

// takesBack is the alert that this one corrects.
func (t told) takesBack() (told, bool) {
	switch t.kind {
	case reorged:
		return told{kind: confirmed, about: t.about, block: t.block}, true
	case replaced:
		return told{kind: seen, about: t.about}, true
	}
	return told{}, false
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
	differs("the state", d.State, map[string]string{seen: "unconfirmed", confirmed: "confirmed", reorged: "unconfirmed", replaced: "replaced"}[t.kind])
	if t.kind == confirmed {
		differs("the grade", d.Proof, "proven")
	} else {
		differs("a grade of proven, which nothing can prove now,", d.Proof == "proven", false)
	}
	if (t.block != chainhash.Hash{}) {
		differs("the block", d.BlockHash, t.block.String())
	}
	if t.kind == replaced {
		differs("the replacement", d.ReplacedBy, e.replacedBy.String())
	}
	return faults
}

// faults compares an alert with the chain, and with the one that it corrects.
func (w *world) faults(t told, b body) []string {
	faults, want := t.faults(b), ""
	if before, corrects := t.takesBack(); corrects {
		taken, _ := w.find(w.record.inbox, before)
		want = taken.Data.ID
	}
	if b.Data.Corrects != want {
		faults = append(faults, fmt.Sprintf("what it corrects is %q and the alert says %q", want, b.Data.Corrects))
	}
	return faults
}
