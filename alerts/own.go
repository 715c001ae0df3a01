package alerts

import "slices"

// own says whether an address is ours and on nobody's list.
func own(listings []Listing) bool {
	return len(listings) > 0 && !slices.ContainsFunc(listings, func(l Listing) bool { return l.Basis != basisOwn })
}

// IsOwn says whether listings are only those of one's own addresses.
func IsOwn(listings []Listing) bool { return own(listings) }

// OwnMeetsListing names the rule of the alert that tells that an own address and
// a listed one are the two sides of a payment.
const OwnMeetsListing = ruleOwn

// onAList says whether an address is on a list, and not merely ours.
func onAList(listings []Listing) bool { return len(listings) > 0 && !own(listings) }

// listed says whether the other side is on a list, and not merely ours too.
func listed(c Counterparty) bool { return onAList(c.Listings) }

// ours says whether the other side is ours, and on nobody's list.
func ours(c Counterparty) bool { return own(c.Listings) }

// meetsOwn says whether the address is listed and its other side is ours.
func (p Payment) meetsOwn() bool {
	return onAList(p.Listings) && slices.ContainsFunc(p.Counterparties, ours)
}

// ownParties counts the own addresses on the other side of a listed one.
func (p Payment) ownParties() (n int) {
	if !p.meetsOwn() {
		return 0
	}
	for _, c := range p.Counterparties {
		if ours(c) {
			n++
		}
	}
	return n
}

// meeting names the other side where an own address and a listed one meet.
func meeting(d Data) string {
	switch {
	case d.OwnParties > 0:
		return otherSide(d, d.OwnParties, ours, "one of our own addresses", "of our own addresses")
	case own(d.Listings):
		n := len(slices.DeleteFunc(slices.Clone(d.Counterparties), func(c Counterparty) bool { return !listed(c) }))
		return otherSide(d, n, listed, "a listed address", "listed addresses")
	}
	return ""
}

func otherSide(d Data, n int, is func(Counterparty) bool, one, many string) string {
	i := slices.IndexFunc(d.Counterparties, is)
	if i < 0 {
		return ""
	}
	c := d.Counterparties[i]
	name := clean(c.Address)
	if len(c.StatedBy) > 0 {
		name += " (according to " + list(cleanAll(c.StatedBy)) + ")"
	}
	if c.Revealed {
		name += " (by the key or script that an input shows)"
	}
	if n > 1 {
		return "; on its other side are " + count(n, many, many) + ", among them " + name
	}
	return "; on its other side is " + one + ", " + name
}

// NameOwn says whether any rule of the configuration is about own addresses, which
// then may tell of themselves.
func (rs Rules) NameOwn() bool {
	return slices.ContainsFunc(rs, func(r Rule) bool { return slices.Contains(r.Basis, basisOwn) })
}
