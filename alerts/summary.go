package alerts

import (
	"fmt"
)

// summarizePayment says in one sentence what happened, and no more than the
// grade bears: what explorers say begins with who says it.
func summarizePayment(d Data) string {
	return capital(saidBy(d) + what(d) + meeting(d) + standing(d) + ".")
}

// summarizeReorg takes back a place in the chain.
func summarizeReorg(d Data) string {
	return fmt.Sprintf("Correction: %s, which held a transaction that %s, has left the chain; %s.", block(d), deed(d), afterwards(d))
}

// summarizeMisplaced takes back a place in the chain that was never true.
func summarizeMisplaced(d Data, placedBy []string) string {
	return fmt.Sprintf("Correction: %s does not hold the transaction that %s, contrary to what %s said; %s.",
		block(d), deed(d), list(cleanAll(placedBy)), afterwards(d))
}

func block(d Data) string {
	if d.BlockHeight == nil {
		return "the block"
	}
	return "block" + blockNumber(d)
}

func afterwards(d Data) string {
	if d.State == Unconfirmed {
		return "it is unconfirmed again"
	}
	return "it is not on the chain that is followed now"
}

func saidBy(d Data) string {
	if d.Proof == Proven {
		return ""
	}
	if len(d.ReportedBy) == 0 {
		return "as reported, "
	}
	return "according to " + list(cleanAll(d.ReportedBy)) + ", "
}

func what(d Data) string {
	if d.State == Confirmed {
		return "a transaction in block" + blockNumber(d) + " " + deed(d)
	}
	return "an unconfirmed transaction " + deed(d)
}

// deed is what the transaction does to the address.
func deed(d Data) string {
	amount := "an amount not yet known"
	if d.AmountSat != nil {
		amount = d.amountSaid()
	}
	switch {
	case d.Revealed:
		return "seems to spend from " + named(d) + ", whose key or script one of its inputs shows; the amount is not known"
	case d.Direction == Out:
		return "takes " + amount + " out of " + named(d)
	case d.Direction == Within:
		return "moves money of " + named(d) + " back to the same address, less the fee"
	}
	return "pays " + amount + " to " + named(d)
}

// named gives the address in full, for look-alikes differ in the middle.
func named(d Data) string {
	name := clean(d.Address)
	if label := clean(d.Label); label != "" {
		name += " (" + label + ")"
	}
	return name
}

func standing(d Data) string {
	text := ""
	if d.State == Confirmed && d.Confirmations != nil {
		text = ", with " + confirmations(*d.Confirmations)
	}
	if d.Historic {
		text += "; it is older than the watch"
	}
	if d.Proof == Proven {
		text += "; proven"
	}
	return text + lateness(d)
}

func blockNumber(d Data) string {
	if d.BlockHeight == nil {
		return ""
	}
	return " " + grouped(*d.BlockHeight)
}

func cleanAll(texts []string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, clean(text))
	}
	return all
}
