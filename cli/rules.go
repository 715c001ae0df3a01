package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"btcwatch/alerts"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type rulesCommand struct {
	Test rulesTest `cmd:"" help:"Run the configured rules over what is recorded, and say what would have alerted."`
}

type rulesTest struct {
	From string `placeholder:"DATE" help:"Only payments since then: 2026-03-31, or 2026-03-31T14:00:00Z."`
	To   string `placeholder:"DATE" help:"Only payments before then."`
	Rule string `placeholder:"NAME" help:"Only this rule."`
	JSON bool   `name:"json" help:"One JSON object a line."`
}

// Run judges every recorded payment by the rules of the configuration.
func (c *rulesTest) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	t := newTrialOf(config.Rules)
	if c.Rule != "" && !slices.Contains(t.order, c.Rule) {
		return wrongUsef("--rule %q: there is no such rule in %s: there are %s", tame(c.Rule), config.File, strings.Join(t.order, ", "))
	}
	from, to, err := c.times()
	if err != nil {
		return err
	}
	return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, p *progress) error {
		p.now("judging the recorded payments")
		if err := store.Recorded(ctx, config.Telling(), from, to, t.judge); err != nil {
			return err
		}
		p.end()
		return c.print(s, config, t)
	})
}

func (c *rulesTest) times() (from, to time.Time, err error) {
	if c.From != "" {
		if from, err = readMoment("--from", c.From); err != nil {
			return from, to, err
		}
	}
	if c.To != "" {
		to, err = readMoment("--to", c.To)
	}
	if err == nil && !to.IsZero() && !from.Before(to) {
		err = wrongUsef("--to is not after --from: nothing lies between")
	}
	return from, to, err
}

// outcome is what one rule would have done.
type outcome struct {
	Rule     string     `json:"rule"`
	Severity string     `json:"severity"`        // that it gives
	Kind     string     `json:"kind"`            // payment: it decorates their alerts; window: it makes alerts of its own
	Alerts   int64      `json:"alerts"`          // payments that match, or windows
	SumSat   int64      `json:"sum_sat"`         // of those of which the amount is known
	Unknown  int64      `json:"amounts_unknown"` // payments without a known amount
	FirstAt  *time.Time `json:"first_at"`        // null: it never matched
	LastAt   *time.Time `json:"last_at"`
	Address  string     `json:"example_address,omitempty"` // of the last one
	TxID     string     `json:"example_txid,omitempty"`
}

// trialOf is a trial of the rules.
type trialOf struct {
	rules    alerts.Rules
	order    []string // names of the rules: the default ones first
	outcomes map[string]*outcome
	tallies  map[string]*alerts.Tally // by rule, of the address at hand
	address  string
	payments int64
	first    *time.Time
	last     *time.Time
	worst    map[alerts.Severity]int64 // payments by the severity of their alert
	silent   int64                     // of own addresses, of which nothing is told by itself
}

func newTrialOf(rules alerts.Rules) *trialOf {
	t := &trialOf{rules: rules, order: alerts.PresetRules(), outcomes: map[string]*outcome{}, worst: map[alerts.Severity]int64{}}
	for _, name := range t.order {
		t.outcomes[name] = &outcome{Rule: name, Severity: alerts.PresetSeverity(name).String(), Kind: "payment"}
	}
	for _, r := range rules {
		v := t.outcomes[r.Name]
		if v == nil {
			v = &outcome{Rule: r.Name, Kind: "payment"}
			t.outcomes[r.Name], t.order = v, append(t.order, r.Name)
		}
		if r.Given {
			v.Severity = r.Severity.String()
		}
		if r.Over > 0 {
			v.Kind = "window"
		}
	}
	return t
}

// judge takes a payment in.
func (t *trialOf) judge(p alerts.Payment) error {
	if p.Address != t.address {
		t.address, t.tallies = p.Address, map[string]*alerts.Tally{}
	}
	t.payments++
	widen(&t.first, &t.last, p.OccurredAt)
	if alerts.IsOwn(p.Listings) && !t.rules.NameOwn() {
		t.silent++ // when it meets a listed one, the alert is that one's
		return nil
	}
	worst, names, told := p.Judge()
	if told {
		t.worst[worst]++
	} else {
		t.silent++
	}
	for _, name := range names {
		v := t.outcomes[name]
		v.take(p.OccurredAt, p.AmountSat)
		v.Address, v.TxID = p.Address, p.TxID
	}
	for _, r := range t.rules.OverTime(p) {
		if t.tallies[r.Name] == nil {
			t.tallies[r.Name] = alerts.NewTally(r)
		}
		if w := t.tallies[r.Name].Add(p); w != nil {
			v := t.outcomes[r.Name]
			v.take(w.To, &w.SumSat)
			v.Unknown += w.Unknown
			v.Address, v.TxID = p.Address, p.TxID
		}
	}
	return nil
}

// widen makes a time between two others.
func widen(first, last **time.Time, at time.Time) {
	if *first == nil || at.Before(**first) {
		*first = &at
	}
	if *last == nil || at.After(**last) {
		*last = &at
	}
}

func (v *outcome) take(at time.Time, amount *int64) {
	v.Alerts++
	widen(&v.FirstAt, &v.LastAt, at)
	if amount == nil {
		v.Unknown++
		return
	}
	v.SumSat += *amount
}

func (c *rulesTest) print(s *session, config *daemon.Config, t *trialOf) error {
	var list []*outcome
	for _, name := range t.order {
		if c.Rule == "" || c.Rule == name {
			list = append(list, t.outcomes[name])
		}
	}
	if c.JSON {
		return printJSON(s.Out, list...)
	}
	if len(config.Rules) == 0 {
		s.say("%s has no [rules.NAME]: these are the default rules.", config.File)
	}
	if t.payments == 0 {
		s.say("No payment of that time is recorded, so nothing can be tried.")
		return nil
	}
	if err := outcomeTable(list).print(s.Terminal); err != nil {
		return err
	}
	s.say("%s", t.sum())
	return nil
}

func outcomeTable(list []*outcome) *table {
	t := &table{columns: []column{
		{name: "RULE"}, {name: "SEVERITY", paint: severityColour}, {name: "MATCHES", right: true}, {name: "SUM (BTC)", right: true},
		{name: "FIRST (UTC)"}, {name: "LAST (UTC)"}, {name: "LAST AT", cut: true, below: true}, {name: "NOTE", spare: true, below: true},
	}}
	for _, v := range list {
		sum, note := "", ""
		if v.Alerts > 0 {
			sum = btc(v.SumSat)
		}
		if v.Kind == "window" {
			note = "alerts of its own"
		}
		if v.Unknown > 0 {
			note = strings.TrimPrefix(note+"; ", "; ") + counted(v.Unknown, "amount", "amounts") + " not known"
		}
		t.add(v.Rule, v.Severity, grouped(v.Alerts), sum, minute(v.FirstAt), minute(v.LastAt), v.Address, note)
	}
	return t
}

// sum says what all rules together would have done.
func (t *trialOf) sum() string {
	var words []string
	for severity := alerts.Severe; severity > alerts.Info; severity-- {
		if n := t.worst[severity]; n > 0 {
			words = append(words, grouped(n)+" "+severity.String())
		}
	}
	sent := "none of them would have been told"
	if len(words) > 0 {
		sent = "told: " + strings.Join(words, ", ")
	}
	text := counted(t.payments, "payment", "payments") + " from " + minute(t.first) + " to " + minute(t.last) + " UTC; " + sent +
		"; in the daily report only: " + grouped(t.worst[alerts.Info])
	if t.silent > 0 {
		text += "; of own addresses, told only by the listed ones that they met: " + grouped(t.silent)
	}
	return text + ". Judged as they stand now, those from before the watch too, by the listings of now."
}
