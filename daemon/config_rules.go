package daemon

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"btcwatch/alerts"
	"btcwatch/watchlist"
)

// rules reads [rules.NAME]. What can never match is a fault: whoever wrote it
// waits for an alert that will not come.
func (l *loader) rules(s *section) {
	for _, one := range s.each() {
		l.config.Rules = append(l.config.Rules, l.rule(one))
	}
	slices.SortFunc(l.config.Rules, func(a, b alerts.Rule) int { return cmp.Compare(a.Name, b.Name) })
}

func (l *loader) rule(s *section) alerts.Rule {
	defer s.finish()
	r := alerts.Rule{Name: goodName(s)}
	if quoted(r.Name) != r.Name {
		s.fault("", "%q is no good name for a rule, for it becomes part of a type of alert; use letters, digits, - and _", r.Name)
	}
	takesPlace := slices.Contains(alerts.PresetRules(), r.Name)
	l.ruleSeverity(s, &r, takesPlace)
	r.Direction = oneOfWords(s, "direction", []alerts.Direction{alerts.In, alerts.Out, alerts.Within})
	r.MinSat, r.MaxSat = satoshis(s, "min_sat"), satoshis(s, "max_sat")
	if r.MinSat != nil && r.MaxSat != nil && *r.MinSat > *r.MaxSat {
		s.fault("max_sat", "less than min_sat, so the rule can never match; swap the two")
	}
	r.MinFiat, r.MaxFiat = l.worth(s, "min_fiat"), l.worth(s, "max_fiat")
	if r.MinFiat != nil && r.MaxFiat != nil && *r.MinFiat > *r.MaxFiat {
		s.fault("max_fiat", "less than min_fiat, so the rule can never match; swap the two")
	}
	r.Basis = oneOfWords(s, "basis", basisWords())
	r.Category = filled(s, "category")
	r.List = oneOfWords(s, "list", []string{"config", "command"})
	r.Entity = filled(s, "entity")
	r.Grade = oneOfWords(s, "grade", []alerts.Proof{alerts.Reported, alerts.Corroborated, alerts.Proven})
	r.Counterparty = oneOfWords(s, "counterparty_basis", append(basisWords(), alerts.Anybody))
	r.RestDays = int(bounded(s, "after_rest_days", 1, 36_500))
	r.Dates = l.spans(s)
	l.overTime(s, &r, takesPlace)
	return r
}

func (l *loader) ruleSeverity(s *section, r *alerts.Rule, takesPlace bool) {
	text := s.text("severity", "")
	if text == "" {
		if !takesPlace {
			s.fault("severity", "is missing; use info, low, medium, high or severe")
		}
		return
	}
	severity, err := alerts.ParseSeverity(text)
	if err != nil {
		s.fault("severity", "%s", err)
	}
	r.Severity, r.Given = severity, true
}

// longestOver bounds a rule over time: what lies further back is for questions to
// the record.
const longestOver = 366 * 24 * time.Hour

// overTime reads what makes a rule one of sums and counts.
func (l *loader) overTime(s *section, r *alerts.Rule, takesPlace bool) {
	r.Over = s.duration("over", 0, time.Minute, longestOver)
	r.SumSat, r.Count = satoshis(s, "sum_sat"), bounded(s, "count", 2, 1_000_000)
	switch {
	case r.SumSat != nil && *r.SumSat == 0:
		s.fault("sum_sat", "0 is what nothing comes to; use 1 or more")
	case r.Over > 0 && takesPlace:
		s.fault("over", "a rule that takes the place of a default one is about single payments; give the rule another name")
	case s.has("over") && r.SumSat == nil && r.Count == 0:
		s.fault("over", "needs sum_sat or count: what the payments of that time must come to")
	case !s.has("over") && s.has("sum_sat"):
		s.fault("sum_sat", `needs over, the time within which payments add up, such as over = "24h"; for a single payment use min_sat`)
	case !s.has("over") && s.has("count"):
		s.fault("count", `needs over, the time within which payments count, such as over = "24h"`)
	}
}

// oneOfWords reads a list of words of which each must be known.
func oneOfWords[T ~string](s *section, key string, known []T) []T {
	var list []T
	for _, word := range filled(s, key) {
		if !slices.Contains(known, T(word)) {
			var names []string
			for _, name := range known {
				names = append(names, string(name))
			}
			s.fault(key, "%s", unknownWord("word", word, names))
			continue
		}
		list = append(list, T(word))
	}
	return list
}

// filled reads a list that, where it is there, holds something.
func filled(s *section, key string) []string {
	list := s.texts(key)
	if child := s.node.children[key]; child != nil && child.kind == unstable.Array && len(child.items) == 0 {
		s.fault(key, "an empty list, so the rule can never match; name what it is to match, or leave the key out")
	}
	return list
}

func basisWords() []string {
	var all []string
	for _, b := range watchlist.Bases() {
		if b != watchlist.Unknown {
			all = append(all, string(b))
		}
	}
	return all
}

// mostSatoshis is more than there will ever be.
const mostSatoshis = 2_100_000_000_000_000

func satoshis(s *section, key string) *int64 {
	if !s.has(key) {
		s.ask(key)
		return nil
	}
	n := s.integer(key, 0)
	if n < 0 || n > mostSatoshis {
		s.fault(key, "%d is no amount in satoshis; use 0 to %d (a bitcoin has 100000000)", n, int64(mostSatoshis))
		return nil
	}
	return &n
}

// mostWorth is a thousand times what all money of any currency comes to.
const mostWorth = 1_000_000_000_000_000

// worth reads whole units of the configured currency, and gives its minor units.
func (l *loader) worth(s *section, key string) *int64 {
	n := s.integer(key, 0)
	switch {
	case !s.has(key):
		return nil
	case l.config.Fiat.Currency.Code == "":
		s.fault(key, "needs a currency, and the rates to go by: set currency under [fiat]")
		return nil
	case n < 0 || n > mostWorth:
		s.fault(key, "%d is no amount of money; use 0 to %d, in whole %s", n, int64(mostWorth), l.config.Fiat.Currency.Code)
		return nil
	}
	for range l.config.Fiat.Currency.Digits {
		n *= 10
	}
	return &n
}

func bounded(s *section, key string, least, most int64) int64 {
	n := s.integer(key, 0)
	if s.has(key) && (n < least || n > most) {
		s.fault(key, "%d is out of bounds; use %d to %d", n, least, most)
		return 0
	}
	return n
}

// spans reads dates such as "2026-03-01/2026-03-31": from the beginning of one
// day to the end of another, in the zone of the configuration.
func (l *loader) spans(s *section) []alerts.Span {
	var all []alerts.Span
	for _, text := range filled(s, "dates") {
		first, last, two := strings.Cut(text, "/")
		if !two {
			last = first
		}
		from, err := time.ParseInLocation(time.DateOnly, first, l.config.Zone)
		to, err2 := time.ParseInLocation(time.DateOnly, last, l.config.Zone)
		switch {
		case err != nil || err2 != nil:
			s.fault("dates", `%q is no date and no two dates; write "2026-03-01" or "2026-03-01/2026-03-31", first and last day`, text)
		case to.Before(from):
			s.fault("dates", "%q ends before it begins, so the rule can never match; swap the two dates", text)
		default:
			all = append(all, alerts.Span{From: from, To: to.AddDate(0, 0, 1)})
		}
	}
	return all
}
