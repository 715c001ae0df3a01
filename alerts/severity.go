package alerts

import (
	"fmt"
	"slices"
	"strings"
)

// String gives the name that configurations and bodies use.
func (s Severity) String() string {
	if s < Info || s > Severe {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames()[s]
}

func severityNames() []string {
	return []string{"info", "low", "medium", "high", "severe"}
}

// ParseSeverity reads a severity by its name.
func ParseSeverity(name string) (Severity, error) {
	if i := slices.Index(severityNames(), name); i >= 0 {
		return Severity(i), nil
	}
	return Info, fmt.Errorf("unknown severity %q: use %s", name, strings.Join(severityNames(), ", "))
}

// MarshalText gives the name.
func (s Severity) MarshalText() ([]byte, error) {
	if s < Info || s > Severe {
		return nil, fmt.Errorf("no severity: %d", int(s))
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads the name.
func (s *Severity) UnmarshalText(text []byte) error {
	read, err := ParseSeverity(string(text))
	if err != nil {
		return err
	}
	*s = read
	return nil
}

// Dust is the most satoshis of incoming money that are only worth a line in
// the daily report: whoever wants attention can send that much to anybody.
const Dust int64 = 1000

// little says whether money came in, and no more than so many satoshis.
func (p Payment) little(most int64) bool {
	return p.Direction == In && !p.Spends && p.AmountSat != nil && *p.AmountSat <= most
}

// meets says whether the address or its other side is on a list of that basis.
func (p Payment) meets(basis string) bool {
	if hasBasis(p.Listings, basis) {
		return true
	}
	return slices.ContainsFunc(p.Counterparties, func(c Counterparty) bool { return hasBasis(c.Listings, basis) })
}

func hasBasis(listings []Listing, basis string) bool {
	return slices.ContainsFunc(listings, func(l Listing) bool { return l.Basis == basis })
}
