package alerts

import (
	"fmt"
	"strconv"
	"time"
)

// Disagreement is that an explorer says something else than another one, or than
// the chain followed. Which of them is wrong is never decided by vote.
type Disagreement struct {
	Network   string
	Kind      string // transaction, mempool, amount, counters or block
	Explorer  string
	Other     string // empty: the chain followed
	Said      string // what the explorer says, in our own words
	OtherSaid string
	Address   string // the watched address; empty: none in particular
	Label     string
	TxID      string // the payment; empty: none in particular
	Proof     Proof  // of that payment
	Episode   int64
	Since     time.Time
	At        time.Time
	Told      bool // false: it goes to the daily report only
	Last      bool // there are so many that further ones of that day go to the daily report only
}

// Disagreed is how two answers differ, in the body of an alert.
type Disagreed struct {
	Kind      string `json:"kind"`            // transaction, mempool, amount, counters or block
	Other     string `json:"other,omitempty"` // the other explorer; absent: the chain followed
	Said      string `json:"said"`
	OtherSaid string `json:"other_said"`
	Episode   int64  `json:"episode"` // id in report.disagreements
}

// Alert says it: of medium severity where it is about a payment.
func (d Disagreement) Alert(key Key) Alert {
	severity := Low
	if d.TxID != "" {
		severity = Medium
	}
	other := clean(d.Other)
	if other == "" {
		other = "the chain that is followed"
	}
	summary := fmt.Sprintf("The explorer %s and %s disagree%s: %s %s; %s %s.",
		clean(d.Explorer), other, d.about(), clean(d.Explorer), clean(d.Said), other, clean(d.OtherSaid))
	episode := strconv.FormatInt(d.Episode, 10)
	return seal(Alert{
		ID:       key.ID(d.Network, ExplorerDisagreed, d.Explorer, episode),
		Type:     ExplorerDisagreed,
		Severity: severity,
		About:    d.reader(),
		Quiet:    !d.Told,
		Thread:   key.thread(d.Network, "disagreement "+episode),
		At:       d.At,
	}, Data{
		Network: d.Network, Explorer: d.Explorer, Address: d.Address, Label: d.Label, TxID: d.TxID, Proof: d.Proof,
		Since: moment(d.Since), ObservedAt: moment(d.At), Summary: summary, Next: d.next(),
		Disagreement: &Disagreed{Kind: d.Kind, Other: d.Other, Said: clean(d.Said), OtherSaid: clean(d.OtherSaid), Episode: d.Episode},
	})
}

// reader is whose channels hear of it: those who work on payments where what is
// recorded of one rests on it. Which unconfirmed payments a node keeps does not.
func (d Disagreement) reader() string {
	if d.TxID != "" && d.Kind != "mempool" {
		return "payment"
	}
	return "service"
}

func (d Disagreement) about() string {
	switch {
	case d.TxID != "" && d.Address != "":
		return " about the payment " + clean(d.TxID) + " at " + clean(d.Address)
	case d.TxID != "":
		return " about the payment " + clean(d.TxID)
	case d.Address != "":
		return " about the address " + clean(d.Address)
	}
	return ""
}

func (d Disagreement) next() string {
	next := "Look at both, and at a third one if there is: " + d.advice() + " Nothing is decided by vote; what blocks show is recorded as proven, whoever said otherwise. Once they agree, the daily report says so."
	if d.Last {
		next += " There are many of these two today: further ones are in the daily report and in report.disagreements only."
	}
	return next
}

func (d Disagreement) advice() string {
	switch d.Kind {
	case "mempool":
		return "each node decides by itself which unconfirmed transactions it keeps, so both may be honest; one that leaves out payments again and again is not to be relied on."
	case "transaction":
		return "one of them lags, has lost part of its index, or leaves out or invents a payment."
	case "amount":
		return "the amount is not to be relied on until the transaction that made the output shows it."
	case "counters":
		return "one of them has counted wrongly, as some do after a reorganisation, or leaves payments out."
	}
	return "it follows another branch, or a chain that is none; do not rely on what it says of recent payments."
}
