package explorer

import (
	"slices"
	"strings"
)

// Families of explorer software, as [explorers.NAME] software takes them and as
// the record keeps them. Those of one family share code: what fools one may
// fool all of them.
const (
	familyEsplora        = "esplora" // the electrs of Blockstream and of mempool.space, whichever of its two doors is asked
	familyElectrs        = "electrs" // of romanz
	familyElectrumX      = "electrumx"
	familyFulcrum        = "fulcrum"
	familyBlockbook      = "blockbook"
	familyBlockchainInfo = "blockchaininfo"
	familyNode           = "node" // Bitcoin Core or btcd itself
)

// Families names every family of software that is known, for messages. An
// operator may name another one.
func Families() []string {
	return []string{familyEsplora, familyElectrs, familyElectrumX, familyFulcrum, familyBlockbook, familyBlockchainInfo, familyNode}
}

// FamilyOf is the software of a kind; empty for a kind that is a protocol which
// several speak, where each one has to be asked what it is.
func FamilyOf(kind string) string {
	if family := kind; kind != "electrum" && slices.Contains(Families(), family) {
		return family
	}
	return ""
}

// electrumFamily is the software that an answer to server.version names; empty
// where that is none we know.
func electrumFamily(said string) string {
	said = strings.ToLower(said)
	for _, known := range []struct{ sign, family string }{
		{"esplora", familyEsplora}, // electrs-esplora
		{"mempool-electrs", familyEsplora},
		{"electrumx", familyElectrumX},
		{"fulcrum", familyFulcrum},
		{"electrs/", familyElectrs},
		{"electrs ", familyElectrs},
	} {
		if strings.Contains(said, known.sign) {
			return known.family
		}
	}
	return ""
}

// Witness is what decides whether two explorers bear each other out.
type Witness struct {
	Operator string // who runs it; empty: not known
	Software string // the family of its software; empty: not known
}

// Independent says whether two explorers are two witnesses: run by different
// people, and with different software. One of which either is not known is
// independent of nobody, for it may be the other one again.
func Independent(a, b Witness) bool {
	return differ(a.Operator, b.Operator) && differ(a.Software, b.Software)
}

func differ(a, b string) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	return a != "" && b != "" && !strings.EqualFold(a, b)
}

// Corroborated says whether two of the witnesses are independent of each other.
func Corroborated(all []Witness) bool {
	for i, a := range all {
		for _, b := range all[i+1:] {
			if Independent(a, b) {
				return true
			}
		}
	}
	return false
}

// Witness is what is known of the explorer as one: its software may be known
// only once it has answered, and may change.
func (e *Explorer) Witness() Witness {
	w := Witness{Operator: e.Operator, Software: e.software}
	if w.Software == "" {
		w.Software = electrumFamily(e.Software())
	}
	return w
}
