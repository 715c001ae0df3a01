// Package alerts knows what people are told: which alert a fact makes, how
// severe it is, how it reads, and how each channel carries it. It does not
// know when to send, whether something was sent, or where facts are stored.
package alerts

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// Type names what an alert is about. The names are scripted against.
type Type string

// The alert types.
const (
	TransactionSeen      Type = "transaction.seen"
	TransactionConfirmed Type = "transaction.confirmed"
	TransactionReorged   Type = "transaction.reorged"
	TransactionReplaced  Type = "transaction.replaced"
	TransactionDropped   Type = "transaction.dropped"
	TransactionRefuted   Type = "transaction.refuted" // a debit that was none: the money spent is another address's
	ChainReorged         Type = "chain.reorged"       // deep; whether or not it touches a watched address
	ChainStuck           Type = "chain.stuck"         // following waits for a person's word
	ExplorerFailing      Type = "explorer.failing"
	ExplorerRecovered    Type = "explorer.recovered"
	ExplorerDisagreed    Type = "explorer.disagreed"
	ChainQuiet           Type = "chain.quiet" // no new block is shown for long, and nobody knows yet why
	WatchBlind           Type = "watch.blind"
	WatchRestored        Type = "watch.restored"
	ListChanged          Type = "list.changed"
	ListFailing          Type = "list.failing"    // a list could not be read, or was refused; what it said before stays in force
	ListRecovered        Type = "list.recovered"  // it was read and taken again
	ChannelFailing       Type = "channel.failing" // deliveries of a channel died
	ReportDaily          Type = "report.daily"
	ChannelTest          Type = "channel.test"    // a person asked whether a channel works; no alert
	MessagesSummed       Type = "messages.summed" // one message for many, to one channel for people; no alert
)

// ofRules begins the types of what rules of the configuration say of payments over
// time; the name of the rule follows.
const ofRules = "rule."

// OfRule is the type of what a rule over time says.
func OfRule(name string) Type { return Type(ofRules + name) }

// Rule gives the name of the rule over time whose type it is; empty: of none.
func (t Type) Rule() string {
	name, ok := strings.CutPrefix(string(t), ofRules)
	if !ok {
		return ""
	}
	return name
}

// Types lists all types.
func Types() []Type {
	return []Type{
		TransactionSeen, TransactionConfirmed, TransactionReorged, TransactionReplaced, TransactionDropped, TransactionRefuted,
		ChainReorged, ChainStuck,
		ExplorerFailing, ExplorerRecovered, ExplorerDisagreed, ChainQuiet, WatchBlind, WatchRestored, ListChanged, ListFailing, ListRecovered, ChannelFailing, ReportDaily, ChannelTest, MessagesSummed,
	}
}

// Severity orders alerts; a channel may refuse those below its own.
type Severity int

// The severities, mildest first.
const (
	Info Severity = iota
	Low
	Medium
	High
	Severe
)

// Alert is one thing to tell, exactly once, with the bytes that every channel
// and every repeat carries.
type Alert struct {
	ID       ID
	Type     Type
	Severity Severity
	About    string // "payment", "list", "service" or "blind": what a channel's about names
	Quiet    bool   // recorded and reported daily, but sent to no channel: dust, deeper confirmations
	Thread   string
	At       time.Time
	Body     []byte // JSON of Body
}

// Body is what is sent everywhere, in the shape of Standard Webhooks.
type Body struct {
	Type      Type      `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data says what happened. What does not apply is absent; amounts are
// satoshis. New fields may come; none changes its meaning.
type Data struct {
	ID            string     `json:"id"`
	Thread        string     `json:"thread,omitempty"`
	Network       string     `json:"network,omitempty"`
	Severity      string     `json:"severity"`
	Rules         []string   `json:"rules,omitempty"`
	Address       string     `json:"address,omitempty"`
	Label         string     `json:"label,omitempty"`
	Entity        string     `json:"entity,omitempty"`
	Listings      []Listing  `json:"listings,omitempty"`
	TxID          string     `json:"txid,omitempty"`
	Revealed      bool       `json:"revealed,omitempty"` // the address is known only by the key or script that an input shows
	Direction     Direction  `json:"direction,omitempty"`
	AmountSat     *int64     `json:"amount_sat,omitempty"` // absolute net effect; absent when not known
	FeeSat        *int64     `json:"fee_sat,omitempty"`
	State         State      `json:"state,omitempty"`
	Proof         Proof      `json:"proof,omitempty"`
	RestsOn       string     `json:"rests_on,omitempty"` // what a proven grade rests on
	BlockHeight   *int32     `json:"block_height,omitempty"`
	BlockHash     string     `json:"block_hash,omitempty"`
	Confirmations *int32     `json:"confirmations,omitempty"`
	ReportedBy    []string   `json:"reported_by,omitempty"`
	OccurredAt    *time.Time `json:"occurred_at,omitempty"` // block time, or first sight
	ObservedAt    *time.Time `json:"observed_at,omitempty"`
	Historic      bool       `json:"historic,omitempty"`
	// LateSeconds is how long after the time of its block a payment was found, where
	// that was late: more than two hours, or more than ten minutes while the watch had
	// not been at the tip of the chain for as long. Absent: in time.
	LateSeconds      int64      `json:"late_seconds,omitempty"`
	LateConfirmation bool       `json:"late_confirmation,omitempty"` // only that it is in a block: it had been seen unconfirmed
	BehindSince      *time.Time `json:"behind_since,omitempty"`      // when the watch had last been at the tip before, where that is why

	Corrects   string   `json:"corrects,omitempty"`    // id of the alert that this one corrects
	ReplacedBy string   `json:"replaced_by,omitempty"` // txid that spends the same money instead
	Links      []string `json:"links,omitempty"`
	Summary    string   `json:"summary"`

	AmountFiat *AmountFiat `json:"amount_fiat,omitempty"`    // what amount_sat was worth; absent when no rate is known
	NoRate     string      `json:"fiat_not_known,omitempty"` // the currency in which no rate is known, where one was looked for

	BalanceSat      *int64         `json:"balance_sat,omitempty"`       // of the address, confirmed, after this; absent when not known
	FirstActivityAt *time.Time     `json:"first_activity_at,omitempty"` // earliest payment recorded at the address
	Counterparties  []Counterparty `json:"counterparties,omitempty"`    // at most ten, largest first
	MoreParties     int            `json:"more_counterparties,omitempty"`
	OwnParties      int            `json:"own_counterparties,omitempty"` // own addresses on the other side of a listed one, shown or not

	Next string `json:"next,omitempty"` // which message, if any, follows this one

	Explorer string     `json:"explorer,omitempty"` // explorer.*: its name in the configuration
	Channel  string     `json:"channel,omitempty"`  // channel.failing, and watch.* of kind "delivery": its name in the configuration
	Kind     string     `json:"kind,omitempty"`     // watch.*: what does not work: "blocks", "mempool", "tip", "backlog", "schedule", "delivery" or "canary"; "chain" after a stop
	Job      string     `json:"job,omitempty"`      // watch.* of kind "schedule": "blocks", "mempool", "history" or "report"
	Closed   *bool      `json:"closed,omitempty"`   // watch.restored: whether all that was missed has been made up for; absent: not known yet
	Since    *time.Time `json:"since,omitempty"`    // when the outage began
	Until    *time.Time `json:"until,omitempty"`    // when it ended; absent while it lasts
	Reason   string     `json:"reason,omitempty"`

	Disagreement *Disagreed `json:"disagreement,omitempty"` // explorer.disagreed
	Window       *Window    `json:"window,omitempty"`       // rule.NAME
	Summed       *Summed    `json:"summed,omitempty"`       // messages.summed

	ListName string      `json:"list,omitempty"`        // list.failing and list.recovered: its name
	List     *ListChange `json:"list_change,omitempty"` // list.changed
	Report   *Report     `json:"report,omitempty"`      // report.daily
	Lines    []string    `json:"lines,omitempty"`       // further sentences: the daily report, a list change
}

// Direction is where the money went, seen from the watched address.
type Direction string

// The directions.
const (
	In     Direction = "in"
	Out    Direction = "out"
	Within Direction = "self" // everything it spent came back to it, less the fee
)

// State is what a transaction is at the time of the alert.
type State string

// The states.
const (
	Unconfirmed State = "unconfirmed"
	Confirmed   State = "confirmed"
	Replaced    State = "replaced"
	Dropped     State = "dropped"
)

// Proof grades a fact.
type Proof string

// The grades, weakest first.
const (
	Reported     Proof = "reported"
	Corroborated Proof = "corroborated"
	Proven       Proof = "proven"
)

// Listing is why an address is watched, as an alert says it.
type Listing struct {
	List     string `json:"list,omitempty"`
	Basis    string `json:"basis,omitempty"`
	Category string `json:"category,omitempty"`
	Source   string `json:"source,omitempty"` // one line: author, title, publisher, date
	URL      string `json:"url,omitempty"`

	EndedAt *time.Time `json:"ended_at,omitempty"` // when it was taken off the list; absent: it is on it
}

// Counterparty is the other side of a payment.
type Counterparty struct {
	Address   string    `json:"address"`
	AmountSat *int64    `json:"amount_sat,omitempty"`
	Listings  []Listing `json:"listings,omitempty"`        // when it is watched too
	Former    []Listing `json:"former_listings,omitempty"` // when it was, and is no more
	StatedBy  []string  `json:"stated_by,omitempty"`       // the explorers on whose word alone it is the other side
	Revealed  bool      `json:"revealed,omitempty"`        // only the key or script that an input shows points to it
}

// Channel carries messages to one configured place. Send returns nil only when
// the other side has taken the message; an error that Permanent recognises
// will not go away by trying again.
type Channel interface {
	Send(ctx context.Context, m Message) error
}

// Message is an alert on its way to one channel.
type Message struct {
	ID      ID
	Body    []byte // sent as they are by channels for machines
	Decoded Body   // Body, decoded, for channels for people
	Attempt int    // 1 for the first try
	Zone    *time.Location
	ReplyTo *ID // the first alert of the thread that went to this channel, when it is another one
}

// Decode reads a body back.
func Decode(body []byte) (Body, error) {
	var b Body
	err := json.Unmarshal(body, &b)
	return b, err
}
