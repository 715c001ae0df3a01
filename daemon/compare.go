package daemon

import (
	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// Difference is an address of which explorers count differently.
type Difference struct {
	Address chain.Address
	Counts  []Count // in the order of the configuration
	// Allowed: who counts payments to bare keys has more, and otherwise they
	// agree, so that nobody need be wrong.
	Allowed bool
}

// Count is what one explorer counts.
type Count struct {
	Explorer string
	Tip      int32 // who is behind counts less
	BareKeys bool
	explorer.Counters
}

// Compare holds the counts of explorers against each other, and says of how
// many addresses two or more could be compared.
func Compare(sights []Sight, addresses []chain.Address) (differ []Difference, compared int) {
	for _, a := range addresses {
		d := Difference{Address: a}
		for _, s := range sights {
			if c, asked := s.Counts[a.Text]; asked {
				d.Counts = append(d.Counts, Count{s.Explorer.Name, s.Tip, s.BareKeys, c})
			}
		}
		if len(d.Counts) < 2 {
			continue
		}
		compared++
		if d.equal(func(Count) bool { return true }) {
			continue
		}
		d.Allowed = d.byBareKeys()
		differ = append(differ, d)
	}
	return differ, compared
}

// equal says whether those chosen count alike.
func (d Difference) equal(chosen func(Count) bool) bool {
	var first *Count
	for _, c := range d.Counts {
		switch {
		case !chosen(c):
		case first == nil:
			first = &c
		case c.Transactions != first.Transactions || c.Unconfirmed != first.Unconfirmed:
			return false
		}
	}
	return true
}

// byBareKeys says whether nothing but the counting of bare keys makes the
// difference.
func (d Difference) byBareKeys() bool {
	keyed := func(c Count) bool { return c.BareKeys }
	plain := func(c Count) bool { return !c.BareKeys }
	if d.Address.Kind != chain.P2PKH || !d.equal(keyed) || !d.equal(plain) {
		return false
	}
	for _, with := range d.Counts {
		for _, without := range d.Counts {
			if with.BareKeys && !without.BareKeys && (with.Transactions < without.Transactions || with.Unconfirmed < without.Unconfirmed) {
				return false
			}
		}
	}
	return true
}

// Pair gives the first two explorers that bear each other out about addresses:
// run by different operators, with software of different families. nil: there
// are none.
func Pair(sights []Sight) *[2]Sight {
	for i, a := range sights {
		for _, b := range sights[i+1:] {
			if a.Hears && b.Hears && explorer.Independent(a.witness(), b.witness()) {
				return &[2]Sight{a, b}
			}
		}
	}
	return nil
}

func (s Sight) witness() explorer.Witness {
	return explorer.Witness{Operator: s.Explorer.Operator, Software: s.Family}
}
