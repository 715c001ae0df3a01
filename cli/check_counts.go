package cli

import (
	"fmt"
	"strings"

	"btcwatch/daemon"
)

const (
	mostCompared    = 20 // addresses whose counts are compared
	mostDifferences = 10 // findings about them
)

// addressCount is what one explorer counts at an address.
type addressCount struct {
	Explorer    string `json:"explorer"`
	Confirmed   int64  `json:"confirmed"`
	Unconfirmed int64  `json:"unconfirmed"`
}

// counts says where explorers count differently.
func (c *checkup) counts() {
	differ, compared := daemon.Compare(c.sights, c.addresses[:min(len(c.addresses), mostCompared)])
	if len(c.addresses) == 0 {
		return
	}
	unlike := 0
	for _, d := range differ {
		if !d.Allowed {
			unlike++
		}
	}
	f := finding{Check: "counts", State: isFine}
	switch {
	case compared == 0:
		f.State = isNote
		f.Finding = "no address compared: that takes two explorers that answer about addresses"
	case unlike == 0:
		f.Finding = counted(compared, "address", "addresses") + " compared: explorers count alike"
	default:
		f.State = isNote
		f.Finding = fmt.Sprintf("%s compared: explorers count differently at %s of them", counted(compared, "address", "addresses"), grouped(int64(unlike)))
	}
	if left := len(c.addresses) - compared; left > 0 && compared > 0 {
		f.Finding += fmt.Sprintf("; %s not compared", grouped(int64(left)))
	}
	c.add(f)
	for i, d := range differ {
		if i == mostDifferences {
			c.add(finding{Check: "counts", State: isNote, Finding: fmt.Sprintf("and %d more", len(differ)-i)})
			return
		}
		c.add(difference(d))
	}
}

func difference(d daemon.Difference) finding {
	f := finding{Check: "counts", Name: d.Address.Text, State: isNote}
	var counts, keyed []string
	sameTip := true
	for _, n := range d.Counts {
		f.Counts = append(f.Counts, addressCount{n.Explorer, n.Transactions, n.Unconfirmed})
		counts = append(counts, fmt.Sprintf("%s %s and %s unconfirmed", n.Explorer, grouped(n.Transactions), grouped(n.Unconfirmed)))
		sameTip = sameTip && n.Tip == d.Counts[0].Tip
		if n.BareKeys {
			keyed = append(keyed, n.Explorer)
		}
	}
	f.Finding = d.Address.Text + ": " + strings.Join(counts, "; ")
	switch {
	case d.Allowed:
		f.State = isFine
		f.Finding += ". That may be: " + strings.Join(keyed, " and ") + " also counts what was paid to the bare key (P2PK), which is not this address"
	case !sameTip:
		f.Finding += ". Their tips differ, which may be why"
	default:
		f.Finding += ". A payment that is only spreading explains it for a short while; if it stays, one of them is wrong"
	}
	return f
}

// corroboration says whether anything can be borne out by two explorers that
// have neither operator nor software in common.
func (c *checkup) corroboration() {
	var answering []daemon.Sight
	for _, s := range c.sights {
		if c.believed(s) {
			answering = append(answering, s)
		}
	}
	f := finding{Check: "corroboration", State: isFine}
	if pair := daemon.Pair(answering); pair != nil {
		f.Finding = fmt.Sprintf("%s and %s share neither operator nor software: what both say of an address is corroborated", named(pair[0]), named(pair[1]))
	} else {
		f.State = isNote
		f.Finding = "what explorers alone say of addresses stays reported, by nobody borne out: " + missingWitness(answering)
	}
	c.add(f)
}

func named(s daemon.Sight) string {
	return fmt.Sprintf("%s (%s, %s)", s.Explorer.Name, s.Explorer.Operator, s.Family)
}

// missingWitness says which sort of explorer would bear the others out.
func missingWitness(answering []daemon.Sight) string {
	operators, families := map[string]bool{}, map[string]bool{}
	var operator, software string
	unknown := ""
	for _, s := range answering {
		switch {
		case !s.Hears:
			continue
		case s.Family == "":
			unknown = s.Explorer.Name
		}
		operator, software = s.Explorer.Operator, s.Family
		operators[operator], families[software] = true, true
	}
	switch {
	case len(operators) == 0:
		return "none that answers can be asked about addresses; add two of different kinds and operators, such as esplora and electrum"
	case unknown != "":
		return unknown + " does not say what software it runs; add one of another kind and operator"
	case len(families) == 1:
		return fmt.Sprintf("all run the same software (%s); add %s of another operator", software, otherKind(software))
	}
	return fmt.Sprintf("all with other software are run by %s; add %s of another operator", operator, otherKind(software))
}

// otherKind proposes what shares no software with a family.
func otherKind(family string) string {
	if family == "esplora" {
		return "an electrum server that runs ElectrumX or Fulcrum, or a blockbook,"
	}
	return "an esplora"
}
