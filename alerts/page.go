package alerts

import (
	"slices"
	"strings"
	"time"
)

// page is an alert laid out for people, before any medium: everything in it is
// clean text, and it comes from the body alone, so that every repeat reads the
// same.
type page struct {
	severity string
	headline string // one sentence
	facts    []fact
	notes    []string // sentences
	id       string

	// A report is shown in tables where there is room for them, and otherwise in
	// its notes alone.
	tables []table
	beside []string // the notes, without what the tables show
}

// fact is a named line; further lines are under the same name.
type fact struct {
	name   string
	values []string
}

// compose lays a body out. The zone is the second clock; nil: UTC alone.
func compose(b Body, zone *time.Location) page {
	d := b.Data
	p := page{severity: clean(d.Severity), headline: sentence(d.Summary), id: clean(d.ID)}
	p.add("when", d.when(b.Timestamp, zone)...)
	p.add("network", d.testNetwork())
	if d.TxID != "" {
		p.payment(d, zone)
	}
	p.window(d, zone)
	p.summed(d, zone)
	p.outage(d, zone)
	p.add("corrects", clean(d.Corrects))
	for _, link := range d.Links {
		p.add("link", sentence(link))
	}
	for _, line := range d.Lines {
		p.note(sentence(line))
	}
	p.note(gradeMeans(d))
	p.note(sentence(d.Next))
	if d.Report != nil && len(d.Lines) > 0 {
		p.tables = d.Report.tables()
		p.beside = append([]string{sentence(d.Lines[0])}, d.Report.beside()...)
	}
	if d.List != nil && d.List.Met != nil {
		p.tables = []table{d.List.Met.table()}
		for _, line := range d.List.beside() {
			p.beside = append(p.beside, sentence(line))
		}
	}
	return p
}

func (p *page) add(name string, values ...string) {
	var full []string
	for _, value := range values {
		if value != "" {
			full = append(full, value)
		}
	}
	if len(full) > 0 {
		p.facts = append(p.facts, fact{name, full})
	}
}

func (p *page) note(text string) {
	if text != "" {
		p.notes = append(p.notes, text)
	}
}

func (p *page) payment(d Data, zone *time.Location) {
	p.add("address", named(d))
	p.add("entity", d.entity())
	p.add("listed", namings(d.Listings)...)
	p.add("transaction", clean(d.TxID))
	p.add("net effect", d.effect())
	p.add("worth", d.worth())
	p.add("balance", d.balance())
	p.add("state", d.standing())
	p.add("grade", d.grade())
	p.add("rules", strings.Join(cleanAll(d.Rules), ", "))
	p.add("other side", d.parties()...)
	if d.FirstActivityAt != nil {
		p.add("active since", clock(*d.FirstActivityAt, zone)+", the earliest payment recorded here")
	}
}

func (p *page) outage(d Data, zone *time.Location) {
	if d.Since != nil {
		p.add("since", clock(*d.Since, zone))
	}
	if d.Until != nil {
		p.add("until", clock(*d.Until, zone))
	}
	p.add("reason", clean(d.Reason))
}

// when gives the time of the fact, and that of the alert where it is another.
func (d Data) when(alerted time.Time, zone *time.Location) []string {
	if d.OccurredAt == nil {
		return []string{clock(alerted, zone)}
	}
	name := "first seen "
	if d.BlockHash != "" {
		name = "block time " // set by its miner, and up to two hours off
	}
	return []string{name + clock(*d.OccurredAt, zone), "noticed " + clock(alerted, zone)}
}

func (d Data) testNetwork() string {
	if d.Network == "" || d.Network == "mainnet" {
		return ""
	}
	return clean(d.Network) + ", where coins have no value"
}

func (d Data) entity() string {
	if entity := clean(d.Entity); entity != "" {
		return entity + ", according to the list"
	}
	return ""
}

func namings(listings []Listing) []string {
	var all []string
	for _, l := range listings {
		text := capital(naming(l))
		if l.URL != "" {
			text += " " + sentence(l.URL)
		}
		all = append(all, text)
	}
	return all
}

func (d Data) effect() string {
	text := "not known yet"
	if d.AmountSat != nil {
		text = map[Direction]string{In: "+", Out: "-", Within: "-"}[d.Direction] + btc(*d.AmountSat)
	}
	if d.FeeSat != nil {
		text += "; fee of the transaction " + btc(*d.FeeSat)
	}
	return text
}

func (d Data) balance() string {
	if d.BalanceSat == nil {
		return "not known: not all of the address's past has been read"
	}
	return btc(*d.BalanceSat) + ", confirmed"
}

func (d Data) standing() string {
	text := string(d.State)
	if d.State == Confirmed && d.Confirmations != nil {
		text = confirmations(*d.Confirmations)
	}
	if d.BlockHash == "" {
		return text
	}
	if d.Corrects != "" {
		return text + "; was in block" + blockNumber(d) + " " + clean(d.BlockHash)
	}
	return text + "; block" + blockNumber(d) + " " + clean(d.BlockHash)
}

func (d Data) grade() string {
	text := clean(string(d.Proof))
	if len(d.ReportedBy) > 0 {
		text += ", by " + list(cleanAll(d.ReportedBy))
	}
	return text
}

func (d Data) parties() []string {
	var all []string
	for _, c := range d.Counterparties {
		text := clean(c.Address)
		if c.AmountSat != nil {
			text += "  " + btc(*c.AmountSat)
		}
		for _, l := range slices.Concat(c.Listings, c.Former) {
			text += "; " + naming(l)
		}
		if len(c.StatedBy) > 0 {
			text += "; according to " + list(cleanAll(c.StatedBy))
		}
		if c.Revealed {
			text += "; by the key or script that an input shows"
		}
		all = append(all, text)
	}
	if d.MoreParties > 0 {
		all = append(all, "and "+count(d.MoreParties, "more", "more"))
	}
	return all
}
