package alerts

import (
	"slices"
	"time"
)

// Met are the recorded payments between addresses that a change of the list
// added and watched ones, from before the change: nobody was told of them as
// such, for nobody knew that both were listed.
type Met struct {
	Count int64     `json:"count"` // of pairs
	Some  []Meeting `json:"some,omitempty"`
}

// Meeting is what one watched address paid another.
type Meeting struct {
	Payer     Party      `json:"payer"`
	Payee     Party      `json:"payee"`
	AmountSat int64      `json:"amount_sat"` // what the payee received in transactions that the payer funded, alone or with others
	TxCount   int64      `json:"tx_count"`
	FirstAt   *time.Time `json:"first_at,omitempty"` // of the blocks, or when it was first seen; absent when not known
	LastAt    *time.Time `json:"last_at,omitempty"`
	Proof     Proof      `json:"proof"`    // the weakest grade among them
	Historic  bool       `json:"historic"` // always: what comes later is told by itself
}

// Party is one side of a meeting.
type Party struct {
	Address string   `json:"address"`
	Label   string   `json:"label,omitempty"`
	Lists   []string `json:"lists"`
	Bases   []string `json:"bases,omitempty"` // grounds of its listings, as far as they are known
	Added   bool     `json:"added"`           // by this change
}

// severity of a change: one that shows that watched addresses had dealings is not
// for the file, the less so where one of them is the house's own.
func (c ListChange) severity() Severity {
	if c.Met == nil {
		return Low
	}
	for _, m := range c.Met.Some { // own ones come first
		if m.Payer.own() || m.Payee.own() {
			return High
		}
	}
	return Medium
}

func (p Party) own() bool { return slices.Contains(p.Bases, basisOwn) }

// lines are the table of meetings for people.
func (m *Met) lines() []string {
	if m == nil {
		return nil
	}
	lines := []string{"Recorded before, between watched addresses (their lists in brackets; an amount is what the payee received in transactions that the payer funded, alone or with others):"}
	for _, one := range m.Some {
		lines = append(lines, one.line())
	}
	if more := m.Count - int64(len(m.Some)); more > 0 {
		lines = append(lines, count(more, "more pair", "more pairs")+": btcwatch watch show ADDRESS shows those of an address.")
	}
	return lines
}

// table are the meetings where there is room for a table.
func (m *Met) table() table {
	t := table{
		title: "Recorded before, between watched addresses",
		head:  []string{"payer", "payee", "amount that the payee received", "transactions", "first", "last", "grade at least"},
		right: []bool{false, false, true, true, false, false, false},
	}
	day := func(at *time.Time) string {
		if at == nil {
			return "not known"
		}
		return at.UTC().Format(time.DateOnly)
	}
	for _, one := range m.Some {
		t.rows = append(t.rows, []string{
			one.Payer.words(), one.Payee.words(), btc(one.AmountSat), grouped(one.TxCount), day(one.FirstAt), day(one.LastAt), string(one.Proof),
		})
	}
	return t
}

// beside are the sentences that stand above the table of meetings.
func (c ListChange) beside() []string {
	met := c.Met
	c.Met = nil
	lines := append(c.lines(), "The table shows payments of before between watched addresses, their lists in brackets; all are historic. "+
		"An amount is what the payee received in transactions that the payer funded, alone or with others.")
	if more := met.Count - int64(len(met.Some)); more > 0 {
		lines = append(lines, count(more, "more pair", "more pairs")+": btcwatch watch show ADDRESS shows those of an address.")
	}
	return lines
}

func (m Meeting) line() string {
	text := m.Payer.words() + " paid " + m.Payee.words() + ": " + btc(m.AmountSat) + " in " + count(m.TxCount, "transaction", "transactions")
	if m.FirstAt != nil && m.LastAt != nil {
		first, last := m.FirstAt.UTC().Format(time.DateOnly), m.LastAt.UTC().Format(time.DateOnly)
		if text += ", " + first; last != first {
			text += " to " + last
		}
	}
	return text + "; grade at least " + string(m.Proof) + "; historic"
}

func (p Party) words() string {
	text := named(Data{Address: p.Address, Label: shorten(p.Label, 80)})
	for i, name := range p.Lists {
		switch {
		case i == 0:
			text += " [" + clean(name)
		case i < 3:
			text += ", " + clean(name)
		}
	}
	if len(p.Lists) > 3 {
		text += ", …"
	}
	if len(p.Lists) > 0 {
		text += "]"
	}
	return text
}
