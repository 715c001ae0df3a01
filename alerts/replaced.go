package alerts

import (
	"fmt"
	"strconv"
	"time"
)

// Replacement is the transaction that spends the money of an unconfirmed
// payment instead, so that the payment cannot confirm beside it.
type Replacement struct {
	TxID  string
	Known bool // what it does to the address is known
	// What it does to the address, as in Payment; no direction: nothing.
	Direction Direction
	AmountSat *int64
	State     State
	// ReportedBy are the explorers on whose word all this rests; none: a
	// followed block shows it.
	ReportedBy []string
}

// Replaced says that an unconfirmed payment was replaced. It is quiet where the
// replacement does the same to the address: a fee that was raised is no news.
// It is false where nothing is to be told.
func (p Payment) Replaced(key Key, by Replacement) (Alert, bool) {
	p.State = Replaced
	d := p.data()
	d.ReplacedBy = by.TxID
	d.Summary = fmt.Sprintf("Correction: %sthe unconfirmed transaction that %s was replaced by %s, which %s.", by.saidBy(), deed(d), clean(by.TxID), by.deed(d))
	d.Next = by.next()
	a, ok := p.alert(key, TransactionReplaced, d, strconv.Itoa(p.Turn))
	a.Quiet = a.Quiet || by.same(p)
	return a, ok
}

func (r Replacement) same(p Payment) bool {
	return r.Direction == p.Direction && r.AmountSat != nil && p.AmountSat != nil && *r.AmountSat == *p.AmountSat
}

func (r Replacement) saidBy() string {
	if len(r.ReportedBy) == 0 {
		return ""
	}
	return "according to " + list(cleanAll(r.ReportedBy)) + ", "
}

func (r Replacement) deed(d Data) string {
	switch {
	case !r.Known:
		return "spends the same money; what it does to the address is not known"
	case r.Direction == "":
		return "does nothing to the address"
	}
	d.Direction, d.AmountSat, d.AmountFiat = r.Direction, r.AmountSat, nil
	return deed(d)
}

func (r Replacement) next() string {
	switch {
	case r.Direction == "":
		return "No further message is due, unless the replaced transaction comes back."
	case r.State == Confirmed:
		return "The replacement is confirmed."
	}
	return "A message follows when the replacement is confirmed."
}

// Dropped says that no explorer has known an unconfirmed payment since a time.
// It is false where nothing is to be told.
func (p Payment) Dropped(key Key, since time.Time) (Alert, bool) {
	p.State = Dropped
	d := p.data()
	d.Since = moment(since)
	d.Summary = fmt.Sprintf("Correction: no explorer that was asked has known the unconfirmed transaction that %s since %s.", deed(d), clock(since, nil))
	d.Next = "It can still come back: whoever has it may send it again. A message follows if it does."
	return p.alert(key, TransactionDropped, d, strconv.Itoa(p.Turn))
}
