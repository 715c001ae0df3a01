package alerts

import (
	"fmt"
	"time"
)

// Window is that payments at one address, within the time that a rule names, come
// to a sum or a count. Each payment counts in one window of a rule at most.
type Window struct {
	Rule    string    `json:"rule"`
	From    time.Time `json:"from"` // time of the first payment in it
	To      time.Time `json:"to"`   // and of the last
	Count   int64     `json:"count"`
	SumSat  int64     `json:"sum_sat"`                   // of the net effects that are known, whichever way the money went
	Unknown int64     `json:"amounts_unknown,omitempty"` // payments of which the amount is not known, not in the sum
	TxIDs   []string  `json:"txids"`                     // the first of them, oldest first
	More    int64     `json:"more_txids,omitempty"`      // further ones
}

// MostWindowIDs is how many transactions of a window are named.
const MostWindowIDs = 50

// Accumulated is a window that a rule over time tells.
type Accumulated struct {
	Network  string
	Address  string
	Label    string
	Entity   string
	Listings []Listing
	Rule     Rule
	Window   Window
	Proof    Proof // the weakest of the payments in it
	At       time.Time
}

// Alert says it. The window's start and first payment tell it from others of the
// same rule and address.
func (a Accumulated) Alert(key Key) Alert {
	w := a.Window
	w.From, w.To = instant(w.From), instant(w.To)
	occasion := []string{w.From.Format(time.RFC3339Nano)}
	if len(w.TxIDs) > 0 {
		occasion = append(occasion, w.TxIDs[0])
	}
	d := Data{
		Network: a.Network, Address: a.Address, Label: a.Label, Entity: a.Entity, Listings: a.Listings, Rules: []string{a.Rule.Name},
		Proof: a.Proof, ObservedAt: moment(a.At), Window: &w,
	}
	d.Summary = a.summary(d)
	d.Next = "Each of these payments was told by itself, or is in the daily report, and so is what corrects one; this sum is not corrected. The next one counts later payments only."
	id := key.ID(a.Network, OfRule(a.Rule.Name), a.Address, occasion...)
	return seal(Alert{
		ID:       id,
		Type:     OfRule(a.Rule.Name),
		Severity: a.Rule.Severity,
		About:    "payment",
		Quiet:    a.Rule.Severity == Info,
		Thread:   key.thread(a.Network, "window "+id.String()),
		At:       a.At,
	}, d)
}

func (a Accumulated) summary(d Data) string {
	what := fmt.Sprintf("%s of together %s", count(int(a.Window.Count), "payment", "payments"), btc(a.Window.SumSat))
	if a.Window.Unknown > 0 {
		what += fmt.Sprintf(" (%s of them of an amount that is not known, and not in the sum)", grouped(a.Window.Unknown))
	}
	text := fmt.Sprintf("%s at %s within %s: the rule %s", what, named(d), days(a.Rule.Over), clean(a.Rule.Name))
	if a.Proof != Proven {
		text += "; not each of them is proven"
	}
	return text + "."
}

// days writes a time as people plan: in days, hours or minutes.
func days(d time.Duration) string {
	switch {
	case d >= 48*time.Hour && d%(24*time.Hour) == 0:
		return count(int(d/(24*time.Hour)), "day", "days")
	case d%time.Hour == 0:
		return count(int(d/time.Hour), "hour", "hours")
	}
	return d.String()
}

// window lays a sum over time out for people.
func (p *page) window(d Data, zone *time.Location) {
	w := d.Window
	if w == nil {
		return
	}
	p.add("address", named(d))
	p.add("entity", d.entity())
	p.add("listed", namings(d.Listings)...)
	p.add("rule", clean(w.Rule))
	p.add("from", clock(w.From, zone))
	p.add("to", clock(w.To, zone))
	p.add("payments", grouped(w.Count))
	p.add("sum", btc(w.SumSat))
	p.add("grade", clean(string(d.Proof))+", the weakest among them")
	ids := cleanAll(w.TxIDs[:min(len(w.TxIDs), maxParties)])
	if more := w.Count - int64(len(ids)); more > 0 {
		ids = append(ids, "and "+count(int(more), "more", "more"))
	}
	p.add("transactions", ids...)
}
