package alerts

import "slices"

// Weaker gives the weaker of two grades.
func Weaker(a, b Proof) Proof {
	grades := []Proof{Reported, Corroborated, Proven}
	return grades[max(0, min(slices.Index(grades, a), slices.Index(grades, b)))]
}

// gradeMeans says what the grade means for this payment, and what it does not.
func gradeMeans(d Data) string {
	if d.TxID == "" {
		return ""
	}
	switch d.Proof {
	case Proven:
		return provenMeans(d)
	case Corroborated:
		return "Corroborated: independent explorers (" + list(cleanAll(d.ReportedBy)) +
			") say the same. It is not proven from the chain." + unconfirmedMeans(d)
	}
	return "Reported: " + reporters(d) + ". Nothing here has proven it." + unconfirmedMeans(d)
}

func reporters(d Data) string {
	switch who := cleanAll(d.ReportedBy); len(who) {
	case 0:
		return "an explorer says so"
	case 1:
		return "only " + who[0] + " says so"
	default:
		return list(who) + " say so, and do not count as independent witnesses"
	}
}

func provenMeans(d Data) string {
	text := "Proven: btcwatch itself found the transaction in a block with proof of work"
	if d.Confirmations != nil {
		text += ", " + confirmations(*d.Confirmations) + " deep, on the chain that it follows"
	}
	if rests := clean(d.RestsOn); rests != "" {
		text += "; that chain rests on " + rests
	}
	return text + ". Scripts and signatures are not validated."
}

func unconfirmedMeans(d Data) string {
	if d.State == Unconfirmed {
		return " An unconfirmed transaction can still be replaced or never be confirmed."
	}
	return ""
}
