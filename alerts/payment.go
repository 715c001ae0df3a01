package alerts

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

// Payment is all that is known about one address in one transaction at the
// time of an alert. Amounts are satoshis; nil is not known.
type Payment struct {
	Network  string
	Address  string
	Label    string
	Entity   string
	Listings []Listing // why the address is watched

	TxID          string
	Direction     Direction
	Spends        bool   // money of the address is spent in it, though more may come back
	Revealed      bool   // only the key or script that an input shows points to the address
	AmountSat     *int64 // absolute net effect on the address, change not counted
	FeeSat        *int64
	Fiat          *Fiat  // what the amount was worth; nil: not known, or not looked for
	FiatCurrency  string // in which it was looked for; empty: it was not
	State         State
	Proof         Proof
	RestsOn       string // what a proven grade rests on, in words
	BlockHeight   *int32
	BlockHash     string
	Confirmations int32
	Ahead         bool      // in a block above those that are followed: its confirmations are not known
	ReportedBy    []string  // the explorers that say so
	OccurredAt    time.Time // block time, or first sight; zero: not known
	ObservedAt    time.Time // when this was noticed here: the time of the alert
	Historic      bool      // at or below the height at which the watch began

	FoundAt    time.Time // when it was first known here that the block holds it; zero: not known
	CoveredAt  time.Time // when the chain had last been covered to its tip before that; zero: never
	SeenBefore bool      // it was seen unconfirmed before that

	// PlacedBy are the explorers that said the payment was in a block that does
	// not hold it; a correction then says so. None: its block left the chain.
	PlacedBy []string

	Turn   int     // how often the payment has left its state before
	Depths []int32 // confirmations configured, ascending: the first is told, the rest go to the report

	// Corrected is the severity of the alert that a correction corrects, which
	// the correction takes over. Nil: decided from the payment.
	Corrected *Severity

	// Corrects is the alert that this one takes back or amends, if any.
	Corrects *ID
	// Root is the txid with which the payment's thread began, where the payment
	// came to replace an earlier one. Empty: its own.
	Root string

	Rules        Rules      // of the configuration, beside the default ones
	RestingSince *time.Time // last activity before it but dust; where there was none, since when it is watched; nil: not known

	Counterparties  []Counterparty // in any order, all of them; the body shows ten
	BalanceSat      *int64         // of the address, confirmed, after this
	FirstActivityAt *time.Time
	Links           []string
}

// maxParties is how many counterparties a body shows.
const maxParties = 10

// Seen is the first word about a payment that has reached no configured depth.
// It is false where nothing is to be told.
func (p Payment) Seen(key Key) (Alert, bool) {
	d := p.data()
	d.Summary = summarizePayment(d)
	d.Next = nextAfterSeen(p)
	return p.alert(key, TransactionSeen, d, strconv.Itoa(p.Turn))
}

// Confirmed says that a payment has reached a configured depth. The depth that
// is told goes to the channels; a deeper one is quiet. It is false where
// nothing is to be told.
func (p Payment) Confirmed(key Key, depth int32, told bool) (Alert, bool) {
	p.State, p.Confirmations = Confirmed, max(p.Confirmations, depth)
	d := p.data()
	d.Summary = summarizePayment(d)
	d.Next = nextAfterConfirmed(p, depth)
	a, ok := p.alert(key, TransactionConfirmed, d, p.BlockHash, strconv.Itoa(int(depth)), strconv.Itoa(p.Turn))
	a.Quiet = a.Quiet || !told
	return a, ok
}

// Reorged takes back what was said before: the block that held the payment has
// left the chain, or does not hold it, contrary to what was said. The payment carries that block, and the state it is in now.
// It is false where nothing is to be told.
func (p Payment) Reorged(key Key, corrects ID) (Alert, bool) {
	p.Corrects = &corrects
	d := p.data()
	d.Confirmations = nil
	d.Summary = summarizeReorg(d)
	if len(p.PlacedBy) > 0 {
		d.Summary, d.BlockHash = summarizeMisplaced(d, p.PlacedBy), ""
	}
	d.Next = "A message follows when it is confirmed again."
	return p.alert(key, TransactionReorged, d, strconv.Itoa(p.Turn))
}

func (p Payment) alert(key Key, typ Type, d Data, occasion ...string) (Alert, bool) {
	worst, rules, ok := p.Rules.judge(p)
	if p.Corrected != nil {
		worst, ok = *p.Corrected, true
	}
	if !ok {
		return Alert{}, false
	}
	subject := p.Address + " " + p.TxID
	d.Rules = rules
	if worst == Info {
		d.Next = "No message is sent: so little goes to the daily report only."
		if len(p.Rules) > 0 && !slices.Equal(rules, []string{ruleDust}) {
			d.Next = "No message is sent: no rule makes more of it than a line in the daily report."
		}
	}
	return seal(Alert{
		ID:       key.ID(p.Network, typ, subject, occasion...),
		Type:     typ,
		Severity: worst,
		About:    "payment",
		Quiet:    worst == Info,
		Thread:   key.thread(p.Network, p.Address+" "+cmp.Or(p.Root, p.TxID)),
		At:       p.ObservedAt,
	}, d), true
}

// data is what every alert about the payment says.
func (p Payment) data() Data {
	parties, more := largest(p.Counterparties)
	worth, noRate := p.fiat()
	return Data{
		Network: p.Network, Address: p.Address, Label: p.Label, Entity: p.Entity, Listings: p.Listings,
		TxID: p.TxID, Revealed: p.Revealed, Direction: p.Direction, AmountSat: p.AmountSat, FeeSat: p.FeeSat,
		AmountFiat: worth, NoRate: noRate,
		State: p.State, Proof: p.Proof, RestsOn: p.RestsOn,
		BlockHeight: p.BlockHeight, BlockHash: p.BlockHash, Confirmations: p.confirmations(),
		ReportedBy: p.ReportedBy, OccurredAt: moment(p.OccurredAt), ObservedAt: moment(p.ObservedAt),
		Historic: p.Historic, Corrects: p.corrects(), Links: p.Links,
		LateSeconds: int64(p.late() / time.Second), LateConfirmation: p.late() > 0 && p.SeenBefore, BehindSince: p.behindSince(),
		BalanceSat: p.BalanceSat, FirstActivityAt: momentOf(p.FirstActivityAt),
		Counterparties: parties, MoreParties: more, OwnParties: p.ownParties(),
	}
}

func (p Payment) confirmations() *int32 {
	if p.State != Confirmed || p.Ahead {
		return nil
	}
	return &p.Confirmations
}

func (p Payment) corrects() string {
	if p.Corrects == nil {
		return ""
	}
	return p.Corrects.String()
}

// largest picks the counterparties to show: those on a list first, then our own,
// so that none of them is ever cut off by larger strangers, then by amount.
func largest(all []Counterparty) (shown []Counterparty, more int) {
	shown = slices.Clone(all)
	slices.SortStableFunc(shown, byWeight)
	if len(shown) > maxParties {
		more = len(shown) - maxParties
		shown = shown[:maxParties]
	}
	slices.SortStableFunc(shown, byAmount)
	return shown, more
}

func byWeight(a, b Counterparty) int {
	return cmp.Or(-boolCompare(listed(a), listed(b)), -boolCompare(ours(a), ours(b)), byAmount(a, b))
}

// byAmount puts the largest first and unknown amounts last; equal ones are in
// the order of their address, so that the same facts give the same bytes.
func byAmount(a, b Counterparty) int {
	return cmp.Or(-cmp.Compare(amountOr(a.AmountSat, -1), amountOr(b.AmountSat, -1)), cmp.Compare(a.Address, b.Address))
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func amountOr(amount *int64, unknown int64) int64 {
	if amount == nil {
		return unknown
	}
	return *amount
}

func nextAfterSeen(p Payment) string {
	if len(p.Depths) == 0 {
		return "No further message is due: no confirmations are configured."
	}
	next := "The next message comes at " + confirmations(p.Depths[0])
	if len(p.Depths) > 1 {
		return next + "; deeper ones (" + depths(p.Depths[1:]) + ") are in the daily report."
	}
	return next + "."
}

func nextAfterConfirmed(p Payment, depth int32) string {
	deeper := slices.DeleteFunc(slices.Clone(p.Depths), func(d int32) bool { return d <= depth })
	next := "No further message is due"
	if len(deeper) > 0 {
		next += "; deeper confirmations (" + depths(deeper) + ") are in the daily report"
	}
	return next + ". Should its block leave the chain, a correction follows."
}
