package alerts

import (
	"fmt"
	"time"
)

// Summed is one message for many about one address, to one channel for people.
// The alerts stand, each by itself; only their messages are summed up.
type Summed struct {
	Channel string     `json:"channel"`
	From    time.Time  `json:"from"` // when the first of them was told
	To      time.Time  `json:"to"`   // and the last
	Count   int64      `json:"count"`
	Of      []SummedOf `json:"of"`                        // the most severe first
	InSat   int64      `json:"in_sat"`                    // of payments, each counted once; what is not known is not in it
	OutSat  int64      `json:"out_sat"`                   // likewise
	Unknown int64      `json:"amounts_unknown,omitempty"` // payments of which the amount is not known
	IDs     []string   `json:"ids"`                       // of the first alerts, the most severe first
	More    int64      `json:"more_ids,omitempty"`
}

// SummedOf is how many alerts of one type and severity are in it.
type SummedOf struct {
	Type     Type   `json:"type"`
	Severity string `json:"severity"`
	Count    int64  `json:"count"`
}

// MostSummedIDs is how many alerts a sum names.
const MostSummedIDs = 50

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
	d.Summary = fmt.Sprintf("%s about %s, from %s to %s, summed up: there were more than %s within an hour.",
		capital(count(sum.Count, "message", "messages")), named(d), shortClock(sum.From), shortClock(sum.To), grouped(s.Burst))
	d.Next = "Each is an alert of its own, to be worked on like others: btcwatch alerts list --address " + clean(s.Address)
	return seal(Alert{
		ID: id, Type: MessagesSummed, Severity: s.Severity, About: "payment", Quiet: true,
		Thread: key.thread(s.Network, "summed "+id.String()), At: s.At,
	}, d)
}

func shortClock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// summed lays a sum out for people.
func (p *page) summed(d Data, zone *time.Location) {
	s := d.Summed
	if s == nil {
		return
	}
	p.add("address", named(d))
	p.add("entity", d.entity())
	p.add("listed", namings(d.Listings)...)
	p.add("from", clock(s.From, zone))
	p.add("to", clock(s.To, zone))
	var of []string
	for _, one := range s.Of {
		of = append(of, grouped(one.Count)+" "+clean(string(one.Type))+", "+clean(one.Severity))
	}
	p.add("messages", of...)
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
