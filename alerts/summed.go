package alerts

import (
	"fmt"
	"time"
)

// Summed is one message for many, to one channel for people: about one address
// that had too many of them, or about all that waited for a time of the day.
// The alerts stand, each by itself; only their messages are summed up.
type Summed struct {
	Channel string     `json:"channel"`
	Reason  string     `json:"reason"` // burst: there were too many of one address; digest: its listings say so; quiet: the channel had quiet hours
	From    time.Time  `json:"from"`   // when the first of them was told
	To      time.Time  `json:"to"`     // and the last
	Count   int64      `json:"count"`
	Of      []SummedOf `json:"of"`                        // the most severe first
	InSat   int64      `json:"in_sat"`                    // of payments, each counted once; what is not known is not in it
	OutSat  int64      `json:"out_sat"`                   // likewise
	Unknown int64      `json:"amounts_unknown,omitempty"` // payments of which the amount is not known
	IDs     []string   `json:"ids"`                       // of the first alerts, the most severe first
	More    int64      `json:"more_ids,omitempty"`

	Addresses     []SummedAddress `json:"addresses,omitempty"` // where it is about several, those with the most severe alerts first
	MoreAddresses int64           `json:"more_addresses,omitempty"`
}

// SummedAddress is what a sum says of one address of several.
type SummedAddress struct {
	Address  string `json:"address"`
	Label    string `json:"label,omitempty"`
	Count    int64  `json:"count"`
	Severity string `json:"severity"` // the highest
	InSat    int64  `json:"in_sat"`
	OutSat   int64  `json:"out_sat"`
}

// SummedOf is how many alerts of one type and severity are in it.
type SummedOf struct {
	Type     Type   `json:"type"`
	Severity string `json:"severity"`
	Count    int64  `json:"count"`
}

// How many alerts and how many addresses a sum names.
const (
	MostSummedIDs       = 50
	MostSummedAddresses = 25
)

// Summary is a message that sums others up.
type Summary struct {
	Network  string
	Address  string
	Label    string
	Entity   string
	Listings []Listing
	Severity Severity // the highest of them
	First    ID       // the first alert in it: no other sum to this channel has it
	Burst    int
	Summed   Summed
	At       time.Time
}

// Alert makes the message. It is recorded like an alert, and is none.
func (s Summary) Alert(key Key) Alert {
	sum := s.Summed
	sum.From, sum.To = instant(sum.From), instant(sum.To)
	id := key.ID(s.Network, MessagesSummed, s.Address, sum.Channel, s.First.String())
	d := Data{
		Network: s.Network, Address: s.Address, Label: s.Label, Entity: s.Entity, Listings: s.Listings, ObservedAt: moment(s.At), Channel: sum.Channel, Summed: &sum,
	}
	d.Summary = s.sentence(d)
	d.Next = "Each is an alert of its own, to be worked on like others: btcwatch alerts list"
	if s.Address != "" {
		d.Next += " --address " + clean(s.Address)
	}
	return seal(Alert{
		ID: id, Type: MessagesSummed, Severity: s.Severity, About: "payment", Quiet: true,
		Thread: key.thread(s.Network, "summed "+id.String()), At: s.At,
	}, d)
}

func (s Summary) sentence(d Data) string {
	sum := d.Summed
	messages, from, to := capital(count(sum.Count, "message", "messages")), shortClock(sum.From), shortClock(sum.To)
	addresses := count(int64(len(sum.Addresses))+sum.MoreAddresses, "address", "addresses")
	switch sum.Reason {
	case "digest":
		return fmt.Sprintf("%s about %s, from %s to %s: the digest of what is listed to be told once a day.", messages, addresses, from, to)
	case "quiet":
		return fmt.Sprintf("%s about %s, from %s to %s, which waited for the end of the quiet hours.", messages, addresses, from, to)
	}
	return fmt.Sprintf("%s about %s, from %s to %s, summed up: there were more than %s within an hour.", messages, named(d), from, to, grouped(s.Burst))
}

func shortClock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// summed lays a sum out for people.
func (p *page) summed(d Data, zone *time.Location) {
	s := d.Summed
	if s == nil {
		return
	}
	if d.Address != "" {
		p.add("address", named(d))
	}
	p.add("entity", d.entity())
	p.add("listed", namings(d.Listings)...)
	p.add("from", clock(s.From, zone))
	p.add("to", clock(s.To, zone))
	var of []string
	for _, one := range s.Of {
		of = append(of, grouped(one.Count)+" "+clean(string(one.Type))+", "+clean(one.Severity))
	}
	p.add("messages", of...)
	p.add("addresses", s.addresses()...)
	p.add("paid in", btc(s.InSat))
	p.add("paid out", btc(s.OutSat))
	if s.Unknown > 0 {
		p.add("not known", "the amount of "+count(s.Unknown, "payment", "payments"))
	}
	ids := cleanAll(s.IDs[:min(len(s.IDs), maxParties)])
	if more := s.Count - int64(len(ids)); more > 0 {
		ids = append(ids, "and "+grouped(more)+" more")
	}
	p.add("alerts", ids...)
}

// addresses says of each address of several what there was.
func (s *Summed) addresses() (lines []string) {
	for _, a := range s.Addresses {
		line := named(Data{Address: a.Address, Label: a.Label}) + ": " + count(a.Count, "message", "messages") + ", up to " + clean(a.Severity)
		if a.InSat > 0 {
			line += ", in " + btc(a.InSat)
		}
		if a.OutSat > 0 {
			line += ", out " + btc(a.OutSat)
		}
		lines = append(lines, line)
	}
	if s.MoreAddresses > 0 {
		lines = append(lines, "and "+count(s.MoreAddresses, "more address", "more addresses"))
	}
	return lines
}
