package alerts

import (
	"time"
)

// Report is what one day looked like, and whether all is well. Amounts are
// satoshis, times UTC.
type Report struct {
	Network string    `json:"-"`
	Date    string    `json:"date"` // 2006-01-02, in the zone of the schedule: one report a date
	At      time.Time `json:"-"`
	From    time.Time `json:"from"` // what happened since then
	To      time.Time `json:"to"`

	Addresses  int64         `json:"addresses"`          // watched at the end
	Blocks     *BlockRange   `json:"blocks,omitempty"`   // heights covered; absent: none were
	Payments   []PaymentSum  `json:"payments,omitempty"` // without the dust
	DustCount  int64         `json:"dust_count"`
	DustSat    int64         `json:"dust_sat"`
	DustMost   int64         `json:"dust_most_sat,omitempty"` // the most satoshis of a payment that are dust
	Deeper     int64         `json:"deeper_confirmations"`    // payments that reached a depth beyond the first
	Late       int64         `json:"found_late,omitempty"`    // payments of which one alert says so (late_seconds)
	LateMost   int64         `json:"found_late_most_seconds,omitempty"`
	Gaps       []Gap         `json:"gaps,omitempty"` // opened, or still open, in that time; the body shows twenty
	GapCount   int           `json:"gap_count"`
	Explorers  []ExplorerDay `json:"explorers,omitempty"`
	Disagree   *Disagreeing  `json:"disagreements,omitempty"` // absent: none began, ended or is open
	Waiting    int64         `json:"deliveries_waiting"`
	WaitingFor *time.Time    `json:"oldest_waiting,omitempty"` // when the one that waits longest was made
	Dead       int64         `json:"deliveries_dead"`
	OldestOpen *OpenAlert    `json:"oldest_open,omitempty"`
	Open       int64         `json:"alerts_open"`
	Canary     *CanaryDay    `json:"canary,omitempty"`   // absent: none is configured
	Privacy    string        `json:"privacy,omitempty"`  // own or blocks: who may be asked about addresses; absent: every explorer
	Versions   []string      `json:"versions,omitempty"` // "btcwatch 1.0.0", "PostgreSQL 16.4"

	DustAddresses int64           `json:"dust_addresses,omitempty"` // to how many addresses the dust went
	NewAlerts     []SeverityCount `json:"new_alerts,omitempty"`     // the most severe first
	Ages          *AlertAges      `json:"alerts_by_age,omitempty"`
	Lists         *ListDay        `json:"list_changes,omitempty"`
	Record        *RecordDay      `json:"record,omitempty"`
	Fiat          *FiatDay        `json:"fiat,omitempty"` // absent: no currency is configured
}

// BlockRange is a stretch of heights that were covered, both ends included.
type BlockRange struct {
	From  int32 `json:"from_height"`
	To    int32 `json:"to_height"`
	Proof Proof `json:"proof"`
}

// PaymentSum adds up the payments of one severity and direction.
type PaymentSum struct {
	Severity  Severity  `json:"severity"`
	Direction Direction `json:"direction"`
	Count     int64     `json:"count"`
	AmountSat int64     `json:"amount_sat"`        // of those whose amount is known
	Unknown   int64     `json:"unknown,omitempty"` // how many have an amount that is not
}

// Gap is something that was not covered.
type Gap struct {
	Kind       string     `json:"kind"`              // blocks, mempool, schedule, delivery
	Address    string     `json:"address,omitempty"` // empty: all
	FromHeight *int32     `json:"from_height,omitempty"`
	ToHeight   *int32     `json:"to_height,omitempty"`
	From       *time.Time `json:"from_time,omitempty"`
	To         *time.Time `json:"to_time,omitempty"` // absent: still open
	Reason     string     `json:"reason,omitempty"`
}

// ExplorerDay is how one explorer did.
type ExplorerDay struct {
	Name         string     `json:"name"`
	State        string     `json:"state"` // ok, lagging, stale, failing, limited, lying
	TipHeight    *int32     `json:"tip_height,omitempty"`
	LastSuccess  *time.Time `json:"last_success_at,omitempty"`
	RoundSeconds int64      `json:"round_seconds,omitempty"` // what a mempool round over all addresses really takes at its pace
}

// CanaryDay is how the address did that is watched only to test the watch.
type CanaryDay struct {
	Arrived     *time.Time `json:"arrived_at,omitempty"`   // when a payment of it last came through; absent: none has yet
	TookSeconds *float64   `json:"took_seconds,omitempty"` // from when its block was verified; absent: not known
	Seen        int64      `json:"seen_unconfirmed"`       // of those kept
	Missed      int64      `json:"missed_unconfirmed"`     // not listed while they were unconfirmed
	Unsighted   int64      `json:"unsighted"`              // nobody knows whether they were
	Overdue     bool       `json:"overdue,omitempty"`      // an outage of kind canary is open
	Watched     bool       `json:"watched,omitempty"`      // it cannot be used: it is watched for its own sake
}

// OpenAlert is one that nobody has dealt with.
type OpenAlert struct {
	ID       string    `json:"id"`
	OpenedAt time.Time `json:"opened_at"`
	Severity Severity  `json:"severity"`
	Summary  string    `json:"summary"`
}

// Disagreeing is how often explorers disagreed in that time.
type Disagreeing struct {
	Began   int64    `json:"began"`
	Ended   int64    `json:"ended"`           // they agree again, or blocks have shown who was right
	Open    int64    `json:"open"`            // at the end
	NotKept int64    `json:"not_kept"`        // on the days that it touches: more of the same two than are kept
	Wrong   []string `json:"wrong,omitempty"` // explorers that were shown to have been wrong
}
