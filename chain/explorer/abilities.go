package explorer

import (
	"strings"
	"unicode/utf8"
)

// Abilities names what an explorer can be asked for, the most needed first.
func (e *Explorer) Abilities() []string {
	var can []string
	for _, a := range []struct {
		name string
		has  bool
	}{
		{"chain", e.Chain != nil}, {"blocks", e.Blocks != nil}, {"headers", e.Headers != nil}, {"addresses", e.Addresses != nil},
		{"transactions", e.Transactions != nil}, {"spends", e.Spends != nil}, {"proofs", e.Proofs != nil},
		{"hints", e.Hints != nil}, {"prices", e.Prices != nil},
	} {
		if a.has {
			can = append(can, a.name)
		}
	}
	return can
}

// Software is what the explorer calls its own software and version, as far as
// its kind tells and it was asked anything; empty: not known. It is its word.
func (e *Explorer) Software() string {
	if e.client == nil { // one that a test made by hand
		return ""
	}
	if name := e.client.software.Load(); name != nil {
		return *name
	}
	return ""
}

// longestSoftware is how much of a name is kept: it is shown to people.
const longestSoftware = 40

// called keeps what an explorer calls its software, without what could deceive
// who reads it.
func (c *client) called(name string) {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r >= utf8.RuneSelf || r == 0x7f {
			return -1
		}
		return r
	}, name)
	plain = strings.TrimSpace(plain[:min(len(plain), longestSoftware)])
	c.software.Store(&plain)
}
