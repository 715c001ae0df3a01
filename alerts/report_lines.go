package alerts

import (
	"cmp"
	"strings"
	"time"
)

const (
	maxGaps = 20
	// tardy is how long a delivery may wait before the day was not a good one.
	tardy = time.Hour
)

// Alert is the daily report. It is told when all is well too: one message a
// day says that the watch lives.
func (r Report) Alert(key Key) Alert {
	r.GapCount = max(r.GapCount, len(r.Gaps))
	r.Gaps = r.Gaps[:min(len(r.Gaps), maxGaps)]
	faults := r.faults()
	severity, verdict := Info, "all is well"
	if len(faults) > 0 {
		severity, verdict = Low, "not all is well: "+strings.Join(faults, "; ")
	}
	return seal(Alert{
		ID:       key.ID(r.Network, ReportDaily, r.Date),
		Type:     ReportDaily,
		Severity: severity,
		About:    "service",
		Thread:   key.thread(r.Network, "report"),
		At:       r.At,
	}, Data{
		Network:    r.Network,
		ObservedAt: moment(r.At),
		Summary:    "Daily report " + r.Date + ": " + verdict + ".",
		Report:     &r,
		Lines:      append([]string{capital(verdict) + "."}, r.lines()...),
	})
}

// faults are the reasons why not all is well. An explorer that only limits the
// pace makes the rounds longer and is no fault.
func (r Report) faults() []string {
	var faults []string
	if r.Blocks == nil {
		faults = append(faults, "no block was covered")
	}
	if r.GapCount > 0 {
		faults = append(faults, count(r.GapCount, "gap", "gaps"))
	}
	if r.Late > 0 {
		faults = append(faults, count(r.Late, "payment was found late", "payments were found late"))
	}
	if len(r.Explorers) == 0 {
		faults = append(faults, "no explorer is configured")
	}
	for _, e := range r.Explorers {
		if e.State != "ok" && e.State != "limited" {
			faults = append(faults, "explorer "+clean(e.Name)+" is "+clean(e.State))
		}
	}
	if r.Canary != nil && (r.Canary.Overdue || r.Canary.Watched) {
		faults = append(faults, "no payment of the canary comes through")
	}
	if fault := r.Fiat.fault(); fault != "" {
		faults = append(faults, fault)
	}
	if r.Dead > 0 {
		faults = append(faults, count(r.Dead, "alert was given up", "alerts were given up")+" by a channel")
	}
	if r.WaitingFor != nil && r.To.Sub(*r.WaitingFor) > tardy {
		faults = append(faults, "a delivery has waited for "+span(r.To.Sub(*r.WaitingFor)))
	}
	return faults
}

func (r Report) lines() []string {
	lines := append(r.opening(), r.privacy()...)
	lines = append(lines, r.payments()...)
	lines = append(lines, r.activity()...)
	for _, g := range r.Gaps {
		lines = append(lines, g.line())
	}
	lines = append(lines, r.moreGaps()...)
	for _, e := range r.Explorers {
		lines = append(lines, e.line())
	}
	if r.Disagree != nil {
		lines = append(lines, r.Disagree.line())
	}
	if r.Canary != nil {
		lines = append(lines, r.Canary.line())
	}
	lines = append(lines, r.deliveries(), r.open())
	if r.Ages != nil {
		lines = append(lines, r.Ages.line())
	}
	return append(append(lines, r.more()...), r.versions()...)
}

func (r Report) opening() []string {
	return []string{
		"From " + clock(r.From, nil) + " to " + clock(r.To, nil) + ".",
		count(r.Addresses, "address", "addresses") + " watched.",
		r.coverage(),
	}
}

func (r Report) moreGaps() []string {
	if more := r.GapCount - len(r.Gaps); more > 0 {
		return []string{count(more, "more gap", "more gaps") + ": see report.gaps."}
	}
	return nil
}

func (r Report) coverage() string {
	if r.Blocks == nil {
		return "Blocks: none was covered in this time."
	}
	heights := "block " + grouped(r.Blocks.To)
	if r.Blocks.From != r.Blocks.To {
		heights = "blocks " + grouped(r.Blocks.From) + " to " + grouped(r.Blocks.To)
	}
	return capital(heights) + " covered, " + string(r.Blocks.Proof) + "."
}

// privacy says what the configuration leaves out, which is no fault.
func (r Report) privacy() []string {
	switch r.Privacy {
	case "blocks":
		return []string{"No explorer is asked about addresses (privacy mode blocks): unconfirmed payments are not seen in this mode, " +
			"nothing is asked of the time before the watch, and spends of money from then may be missed."}
	case "own":
		return []string{"Only explorers of your own are asked about addresses (privacy mode own)."}
	}
	return nil
}

// payments says what was seen; what was not covered may hold more.
func (r Report) payments() []string {
	var lines []string
	for _, s := range r.Payments {
		lines = append(lines, s.line())
	}
	if len(r.Payments) == 0 {
		lines = append(lines, "Payments: none was seen in what was covered.")
	}
	if r.DustCount > 0 {
		dust := "Dust (up to " + grouped(cmp.Or(r.DustMost, Dust)) + " sat, told here only): " + count(r.DustCount, "payment", "payments") + ", " + btc(r.DustSat)
		if r.DustAddresses > 0 {
			dust += ", to " + count(r.DustAddresses, "address", "addresses")
		}
		lines = append(lines, dust+".")
	}
	if r.Late > 0 {
		lines = append(lines, "Found late: "+count(r.Late, "payment", "payments")+", up to "+
			span(time.Duration(r.LateMost)*time.Second)+" after the time of the block.")
	}
	if r.Deeper > 0 {
		lines = append(lines, "Confirmations beyond the first: "+count(r.Deeper, "payment", "payments")+".")
	}
	return lines
}

func (s PaymentSum) line() string {
	text := "Payments " + directionWord(s.Direction) + ", " + s.Severity.String() + ": " + grouped(s.Count)
	if s.Unknown == 0 {
		return text + ", " + btc(s.AmountSat) + "."
	}
	if s.Unknown == s.Count {
		return text + ", amount not known."
	}
	return text + ", " + btc(s.AmountSat) + " and " + grouped(s.Unknown) + " of an amount not known."
}

func (r Report) deliveries() string {
	text := "Deliveries: " + grouped(r.Waiting) + " waiting"
	if r.WaitingFor != nil {
		text += " (the oldest since " + clock(*r.WaitingFor, nil) + ")"
	}
	text += ", " + grouped(r.Dead) + " given up"
	if r.Dead > 0 {
		text += "; report.deliveries names them"
	}
	return text + "."
}

func (r Report) open() string {
	if r.OldestOpen == nil {
		return "Open alerts: " + grouped(r.Open) + "."
	}
	o := r.OldestOpen
	return "Open alerts: " + grouped(r.Open) + "; the oldest, " + clean(o.ID) + " (" + o.Severity.String() + "), since " +
		clock(o.OpenedAt, nil) + ": " + clean(o.Summary)
}

func (g Gap) line() string {
	text := "Gap in " + clean(g.Kind)
	if g.Address != "" {
		text += " of " + clean(g.Address)
	}
	if g.FromHeight != nil {
		text += ", heights " + grouped(*g.FromHeight) + " to "
		if g.ToHeight != nil {
			text += grouped(*g.ToHeight)
		} else {
			text += "now"
		}
	}
	if g.From != nil {
		text += ", from " + clock(*g.From, nil) + " to "
		if g.To != nil {
			text += clock(*g.To, nil)
		} else {
			text += "now (still open)"
		}
	}
	if reason := clean(g.Reason); reason != "" {
		text += ": " + reason
	}
	return text + "."
}

func (e ExplorerDay) line() string {
	text := "Explorer " + clean(e.Name) + ": " + clean(e.State)
	if e.TipHeight != nil {
		text += ", tip " + grouped(*e.TipHeight)
	}
	if e.LastSuccess != nil {
		text += ", last good answer " + clock(*e.LastSuccess, nil)
	}
	if e.RoundSeconds > 0 {
		text += ", a mempool round over all addresses takes " + span(time.Duration(e.RoundSeconds)*time.Second)
	}
	return text + "."
}

func directionWord(d Direction) string {
	if d == Within {
		return "to itself"
	}
	return string(d)
}
