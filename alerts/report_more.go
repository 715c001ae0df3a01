package alerts

import (
	"strings"
	"time"
)

// SeverityCount is how many alerts of a severity were made.
type SeverityCount struct {
	Severity Severity `json:"severity"`
	Payments int64    `json:"payments"` // about payments, but for those in the report only
	Other    int64    `json:"other"`    // about the list and the watch itself
}

// AlertAges is how long alerts about payments have been open at the end of the
// time, and what was done to others.
type AlertAges struct {
	Day          int64 `json:"open_up_to_1_day"`
	Week         int64 `json:"open_1_to_7_days"`
	Older        int64 `json:"open_over_7_days"`
	Acknowledged int64 `json:"acknowledged"` // and not closed, at the end
	Closed       int64 `json:"closed"`       // in that time
}

// ListDay is how the list of watched addresses changed in that time.
type ListDay struct {
	Changes int64 `json:"changes"` // imports, configurations taken up, commands
	Added   int64 `json:"added"`   // listings
	Changed int64 `json:"changed"`
	Retired int64 `json:"retired"`
}

// RecordDay is how far the record had come when the report was gathered: with it
// a later copy can be seen to hold what this one held.
type RecordDay struct {
	Height  *int32 `json:"height,omitempty"` // the chain is covered up to it; absent: following has no start yet
	Hash    string `json:"hash,omitempty"`
	Commits int64  `json:"journal_length"`
	Head    string `json:"journal_head,omitempty"` // digest of the newest commit, in hexadecimal; absent: there is none
}

// FiatDay is what is known about the rates by which amounts are told.
type FiatDay struct {
	Currency string     `json:"currency"`
	Rate     string     `json:"rate,omitempty"` // for one bitcoin, the newest; absent: none is known
	Source   string     `json:"source,omitempty"`
	Time     *time.Time `json:"time,omitempty"`        // of when it is
	Aged     bool       `json:"aged,omitempty"`        // it is older than a rate may be
	Disputed []string   `json:"disputed_by,omitempty"` // sources that differed by more than three percent in that time
}

// activity says how many alerts were made, the most severe first.
func (r Report) activity() []string {
	var lines []string
	for _, c := range r.NewAlerts {
		lines = append(lines, "New alerts, "+c.Severity.String()+": "+grouped(c.Payments)+" about payments, "+grouped(c.Other)+" about the list and the watch.")
	}
	return lines
}

func (a AlertAges) line() string {
	return "Open by age: " + grouped(a.Day) + " up to 1 day, " + grouped(a.Week) + " of 1 to 7 days, " + grouped(a.Older) + " over 7 days; acknowledged: " +
		grouped(a.Acknowledged) + "; closed in this time: " + grouped(a.Closed) + "."
}

// more says what is said in one sentence each.
func (r Report) more() (lines []string) {
	if l := r.Lists; l != nil {
		lines = append(lines, "List: "+count(l.Changes, "change", "changes")+"; "+grouped(l.Added)+" added, "+grouped(l.Changed)+" changed, "+grouped(l.Retired)+" retired.")
	}
	if r.Fiat != nil {
		lines = append(lines, r.Fiat.line(r.To))
	}
	if r.Record != nil {
		lines = append(lines, r.Record.line())
	}
	return lines
}

func (p RecordDay) line() string {
	text := "Record: no block yet"
	if p.Height != nil {
		text = "Record: block " + grouped(*p.Height) + " " + clean(p.Hash)
	}
	text += "; journal of " + count(p.Commits, "commit", "commits")
	if p.Head != "" {
		text += ", the last " + clean(p.Head)
	}
	return text + "."
}

func (f FiatDay) line(now time.Time) string {
	if f.Rate == "" || f.Time == nil {
		return "Amounts in " + clean(f.Currency) + ": no rate known."
	}
	text := "Amounts in " + clean(f.Currency) + ": newest rate " + groupedDecimal(clean(f.Rate)) + " by " + clean(f.Source) + " of " + clock(*f.Time, nil)
	if age := now.Sub(*f.Time); age > 0 {
		text += ", " + span(age) + " old"
	}
	if len(f.Disputed) > 0 {
		text += "; these differed by more than 3 %: " + list(cleanAll(f.Disputed))
	}
	return text + "."
}

// fault is why amounts are not told as configured; empty: they are.
func (f *FiatDay) fault() string {
	switch {
	case f == nil:
		return ""
	case f.Rate == "":
		return "no rate in " + clean(f.Currency) + " is known"
	case f.Aged:
		return "no newer rate in " + clean(f.Currency) + " is known"
	}
	return ""
}

// beside are the sentences that stand above the tables of a report.
func (r Report) beside() []string {
	lines := append(r.opening(), r.privacy()...)
	lines = append(lines, r.payments()[len(r.Payments):]...)
	lines = append(lines, r.moreGaps()...)
	if r.Disagree != nil {
		lines = append(lines, r.Disagree.line())
	}
	if r.Canary != nil {
		lines = append(lines, r.Canary.line())
	}
	lines = append(lines, r.deliveries(), r.open())
	return append(append(lines, r.more()...), r.versions()...)
}

func (r Report) versions() []string {
	if len(r.Versions) == 0 {
		return nil
	}
	return []string{"Versions: " + strings.Join(cleanAll(r.Versions), ", ") + "."}
}
