package alerts

import (
	"slices"
	"time"
)

// Rule is what [rules.NAME] says: conditions that must all hold of a payment,
// and how severe it is then. A condition that is absent holds of all.
//
// An amount that nobody knows is not small: it meets every least amount and no
// greatest one. Whatever else is not known meets no condition.
type Rule struct {
	Name     string
	Severity Severity
	Given    bool // the severity is given; a default rule keeps its own else

	Direction    []Direction
	MinSat       *int64 // of the net effect on the address
	MaxSat       *int64
	MinFiat      *int64 // of what it was worth, in minor units of the configured currency; never met where no rate is known
	MaxFiat      *int64
	Basis        []string // of a listing of the address: any of them
	Category     []string
	List         []string
	Entity       []string // of the newest listing
	Grade        []Proof
	Counterparty []string // bases on which the other side is listed; Anybody: on any but own
	RestDays     int      // first activity after so many days without; 0: no condition
	Dates        []Span   // the payment's time is in one of them

	// Over time: an alert of its own when the payments that meet the conditions
	// come, within so long at one address, to a sum or a count. 0: not over time.
	Over   time.Duration
	SumSat *int64 // nil: no condition
	Count  int64  // 0: no condition
}

// Anybody, as the basis of a counterparty, is any list but one of own addresses.
const Anybody = "any"

// Span is a time from one moment up to, but without, another.
type Span struct{ From, To time.Time }

// Rules are those of the configuration, in the order of their names. Beside them
// the default rules are in force; one that is named like a default takes its place.
type Rules []Rule

// The default rules, as a body's rules names them. A rule of the configuration
// that takes the place of one keeps what it is about, and may say for whom, from
// which amount on and how severe.
const (
	ruleOwn   = "own-meets-listing"
	ruleDust  = "dust"
	ruleIn    = "money-in"
	ruleOut   = "money-out"
	basisOwn  = "own"
	basisList = "designation"
	basisSeiz = "seizure"
)

// preset is a default rule.
type preset struct {
	name     string
	severity Severity
	about    func(Payment) bool // what it is about, whatever takes its place
}

func presets() []preset {
	spends := func(p Payment) bool { return p.Direction != In || p.Spends }
	return []preset{
		{ruleIn, Medium, func(p Payment) bool { return !spends(p) }},
		{ruleOut, High, spends},
		{basisList, Severe, func(p Payment) bool { return p.meets(basisList) }},
		{basisSeiz, Severe, func(p Payment) bool { return p.meets(basisSeiz) }},
	}
}

// PresetRules are the names of the default rules.
func PresetRules() []string {
	names := []string{ruleOwn, ruleDust}
	for _, p := range presets() {
		names = append(names, p.name)
	}
	return names
}

// PresetSeverity is that of a default rule without configuration.
func PresetSeverity(name string) Severity {
	switch name {
	case ruleOwn:
		return Severe
	case ruleDust:
		return Info
	}
	all := presets()
	return all[slices.IndexFunc(all, func(p preset) bool { return p.name == name })].severity
}

// judge decides how severe a payment is, and which rules say so. ok is false
// where nothing is to be told: one of our own addresses that met no listing. A
// listed address that met an own one is as severe, however little it was.
//
// Only money that comes in can be dust. Whatever leaves, however little, was
// signed by whoever holds the key; and an amount nobody knows is not small.
func (rs Rules) judge(p Payment) (worst Severity, names []string, ok bool) {
	matched := func(name string, severity Severity) {
		worst, names, ok = max(worst, severity), append(names, name), true
	}
	mine, dust := own(p.Listings), rs.DustSat()
	if mine && slices.ContainsFunc(p.Counterparties, listed) || p.meetsOwn() {
		if severity, holds := rs.preset(ruleOwn, PresetSeverity(ruleOwn), p, dust); holds {
			matched(ruleOwn, severity)
		}
	}
	switch {
	case mine: // silent but for that
	case rs.dust(p, dust):
		severity, _ := rs.preset(ruleDust, PresetSeverity(ruleDust), p, dust)
		matched(ruleDust, severity)
	default:
		ok = true // recorded, and in the daily report where no rule makes more of it
		for _, d := range presets() {
			if severity, holds := rs.preset(d.name, d.severity, p, dust); holds && d.about(p) {
				matched(d.name, severity)
			}
		}
	}
	for i := range rs {
		if r := &rs[i]; r.Over == 0 && !r.takesPlace() && (!mine || slices.Contains(r.Basis, basisOwn)) && r.holds(&p, dust) {
			matched(r.Name, r.Severity)
		}
	}
	return worst, names, ok
}

// Judge says how severe a payment is, and which rules say so; told is false where
// nothing is, not even in the daily report.
func (p Payment) Judge() (worst Severity, rules []string, told bool) { return p.Rules.judge(p) }

// preset says how severe a default rule is for a payment, and whether it holds
// of it, where a rule of the configuration has taken its place or none has.
func (rs Rules) preset(name string, severity Severity, p Payment, dust int64) (Severity, bool) {
	r := rs.named(name)
	if r == nil {
		return severity, true
	}
	if r.Given {
		severity = r.Severity
	}
	return severity, r.holds(&p, dust)
}

func (rs Rules) named(name string) *Rule {
	for i := range rs {
		if rs[i].Name == name {
			return &rs[i]
		}
	}
	return nil
}

func (r *Rule) takesPlace() bool {
	switch r.Name {
	case ruleOwn, ruleDust, ruleIn, ruleOut, basisList, basisSeiz:
		return true
	}
	return false
}

// dust says whether a payment is only worth a line in the daily report.
func (rs Rules) dust(p Payment, dust int64) bool {
	if !p.little(dust) {
		return false
	}
	r := rs.named(ruleDust)
	return r == nil || r.holds(&p, dust)
}

// DustSat is the most satoshis of incoming money that are dust.
func (rs Rules) DustSat() int64 {
	if r := rs.named(ruleDust); r != nil && r.MaxSat != nil {
		return *r.MaxSat
	}
	return Dust
}

// InFiat says whether any rule asks what a payment was worth.
func (rs Rules) InFiat() bool {
	return slices.ContainsFunc(rs, func(r Rule) bool { return r.MinFiat != nil || r.MaxFiat != nil })
}

// Rests says whether any rule asks for how long an address was at rest.
func (rs Rules) Rests() bool {
	return slices.ContainsFunc(rs, func(r Rule) bool { return r.RestDays > 0 })
}

// OverTime gives the rules over time of which the conditions hold of a payment.
// Own addresses count for none that does not name them.
func (rs Rules) OverTime(p Payment) []Rule {
	var all []Rule
	dust := rs.DustSat()
	for i := range rs {
		if r := &rs[i]; r.Over > 0 && (!own(p.Listings) || slices.Contains(r.Basis, basisOwn)) && r.holds(&p, dust) {
			all = append(all, *r)
		}
	}
	return all
}

// holds says whether all conditions of a rule hold of a payment. dust is the most
// satoshis that are.
func (r *Rule) holds(p *Payment, dust int64) bool {
	return oneOf(r.Direction, p.Direction) &&
		(r.MinSat == nil || p.AmountSat == nil || *p.AmountSat >= *r.MinSat) &&
		(r.MaxSat == nil || p.AmountSat != nil && *p.AmountSat <= *r.MaxSat) &&
		(r.MinFiat == nil || p.Fiat != nil && p.Fiat.Minor >= *r.MinFiat) &&
		(r.MaxFiat == nil || p.Fiat != nil && p.Fiat.Minor <= *r.MaxFiat) &&
		anyListing(r.Basis, p.Listings, func(l Listing) string { return l.Basis }) &&
		anyListing(r.Category, p.Listings, func(l Listing) string { return l.Category }) &&
		anyListing(r.List, p.Listings, func(l Listing) string { return l.List }) &&
		oneOf(r.Entity, p.Entity) &&
		oneOf(r.Grade, p.Proof) &&
		(len(r.Counterparty) == 0 || slices.ContainsFunc(p.Counterparties, r.meets)) &&
		(r.RestDays == 0 || r.wakes(p, dust)) &&
		(len(r.Dates) == 0 || slices.ContainsFunc(r.Dates, func(s Span) bool { return s.has(p.OccurredAt) }))
}

// Little says whether a payment is so little that it neither ends a rest nor
// follows on one.
func (rs Rules) Little(p Payment) bool { return p.little(rs.DustSat()) }

// wakes says whether a payment is the first activity after a rest. Dust neither
// ends a rest nor wakes: anybody can send it.
func (r *Rule) wakes(p *Payment, dust int64) bool {
	if p.RestingSince == nil || p.OccurredAt.IsZero() || p.little(dust) {
		return false
	}
	return p.OccurredAt.Sub(*p.RestingSince) >= time.Duration(r.RestDays)*24*time.Hour
}

// meets says whether a counterparty is listed on a basis that the rule names.
func (r *Rule) meets(c Counterparty) bool {
	if slices.Contains(r.Counterparty, Anybody) && listed(c) {
		return true
	}
	return slices.ContainsFunc(c.Listings, func(l Listing) bool { return slices.Contains(r.Counterparty, l.Basis) })
}

func (s Span) has(t time.Time) bool {
	return !t.IsZero() && !t.Before(s.From) && t.Before(s.To)
}

func oneOf[T comparable](allowed []T, got T) bool {
	return len(allowed) == 0 || slices.Contains(allowed, got)
}

func anyListing(allowed []string, listings []Listing, word func(Listing) string) bool {
	return len(allowed) == 0 || slices.ContainsFunc(listings, func(l Listing) bool { return slices.Contains(allowed, word(l)) })
}
