package alerts

import (
	"strconv"
	"strings"
	"time"
)

// ListChange is what one import, one reload or one command did to the watch
// list, and what history it brought with it.
type ListChange struct {
	Network string    `json:"-"`
	Import  int64     `json:"import"` // its row in the database
	At      time.Time `json:"-"`
	Origin  string    `json:"origin,omitempty"` // where the listings come from: a file, or a command

	Added   ListPart `json:"added"`
	Retired ListPart `json:"retired"`
	Changed ListPart `json:"changed"`

	// Held are the entries of the file that are not watched, by the reason.
	Held []HeldCount `json:"held,omitempty"`

	// Historic payments are those from before the watch began. They make no
	// alerts of their own.
	HistoricPayments    int64  `json:"historic_payments"`
	HistoricAddresses   int64  `json:"historic_addresses"`              // how many of the added have any
	HistoricReceivedSat *int64 `json:"historic_received_sat,omitempty"` // absent when not known
	HistoricSentSat     *int64 `json:"historic_sent_sat,omitempty"`
	HistoryProof        Proof  `json:"history_proof,omitempty"`   // the weakest grade among them
	HistoryMissing      int64  `json:"history_missing,omitempty"` // addresses whose history could not be read in full yet
	HistoryUnasked      int64  `json:"history_unasked,omitempty"` // addresses whose past nobody is asked about: confidential, off the list again, or all in privacy mode blocks

	// Past says that the change was told before, without the part of the past that
	// was not read then: it is all here.
	Past bool `json:"past,omitempty"`

	Met *Met `json:"met,omitempty"` // payments of before between the added addresses and watched ones; absent where none is recorded
	// MetUnknown says that such payments were not looked for to the end, as there is too much to look through.
	MetUnknown bool `json:"met_unknown,omitempty"`
}

// ListPart counts addresses and names some of them.
type ListPart struct {
	Count int             `json:"count"`
	Some  []ListedAddress `json:"some,omitempty"` // the body shows ten
}

// ListedAddress is one address of a list change.
type ListedAddress struct {
	Address  string    `json:"address"`
	Label    string    `json:"label,omitempty"`
	Listings []Listing `json:"listings,omitempty"`
}

// HeldCount is how many entries of a file are not watched for one reason.
type HeldCount struct {
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// MostListed is how many addresses of each part a body shows: it is to stay
// under the 20 kB that receivers of Standard Webhooks expect.
const MostListed = 10

// Alert tells of the change.
func (c ListChange) Alert(key Key) Alert {
	c.Added, c.Retired, c.Changed = c.Added.cut(), c.Retired.cut(), c.Changed.cut()
	subject := strconv.FormatInt(c.Import, 10)
	var occasion []string
	if c.Past {
		occasion = []string{"past"}
	}
	return seal(Alert{
		ID:       key.ID(c.Network, ListChanged, subject, occasion...),
		Type:     ListChanged,
		Severity: c.severity(),
		About:    "list",
		Thread:   key.thread(c.Network, "list "+subject),
		At:       c.At,
	}, Data{
		Network:    c.Network,
		ObservedAt: moment(c.At),
		Summary:    c.summary(),
		List:       &c,
		Lines:      c.lines(),
	})
}

func (p ListPart) cut() ListPart {
	p.Count = max(p.Count, len(p.Some))
	if len(p.Some) > MostListed {
		p.Some = p.Some[:MostListed]
	}
	return p
}

func (c ListChange) summary() string {
	var parts []string
	for _, part := range []struct {
		count int
		verb  string
	}{{c.Added.Count, "added"}, {c.Retired.Count, "retired"}, {c.Changed.Count, "changed"}} {
		if part.count > 0 {
			parts = append(parts, count(part.count, "address", "addresses")+" "+part.verb)
		}
	}
	text := "The watch list has changed"
	if c.Past {
		text = "The past of the addresses of a change of the watch list is read"
	}
	if origin := clean(c.Origin); origin != "" {
		text += " (" + origin + ")"
	}
	if len(parts) > 0 {
		text += ": " + list(parts)
	}
	if n := c.heldCount(); n > 0 {
		text += "; " + count(n, "entry is", "entries are") + " not watched"
	}
	if c.HistoricPayments > 0 {
		text += "; " + count(int(c.HistoricPayments), "payment is", "payments are") + " recorded from before the watch"
	}
	if c.Met != nil {
		text += "; payments between " + count(c.Met.Count, "pair", "pairs") + " of watched addresses are recorded from before"
	}
	if c.HistoryMissing > 0 {
		text += "; the past of " + count(int(c.HistoryMissing), "address", "addresses") + " is not read in full yet"
	}
	return text + "."
}

func (c ListChange) lines() []string {
	var lines []string
	lines = append(lines, c.Added.lines("Added")...)
	lines = append(lines, c.Retired.lines("Retired")...)
	lines = append(lines, c.Changed.lines("Changed")...)
	if len(c.Held) > 0 {
		lines = append(lines, "Not watched: "+c.heldWords()+". "+
			"btcwatch sql -- -c \"SELECT * FROM report.held\" shows each with its line and the reason.")
	}
	lines = append(lines, c.Met.lines()...)
	if c.MetUnknown {
		lines = append(lines, "Whether watched addresses paid each other before is not known: looking for it took too long. btcwatch watch show ADDRESS looks for one of them.")
	}
	return append(lines, c.history()...)
}

func (c ListChange) heldCount() (n int64) {
	for _, h := range c.Held {
		n += h.Count
	}
	return n
}

// heldWords says for people why entries are not watched.
func (c ListChange) heldWords() string {
	words := map[string]string{
		"chain": "of another coin", "network": "of another Bitcoin network", "symbol": "Bitcoin addresses that the list has under another coin",
		"checksum": "with a wrong checksum", "cut": "cut in half", "case": "with their upper case lost", "disguised": "with characters that are in no address",
		"key": "keys", "form": "no addresses", "duplicate": "on the list twice", "expired": "no longer in force", "fault": "unreadable",
	}
	var parts []string
	for _, h := range c.Held {
		word := words[h.Reason]
		if word == "" {
			word = clean(h.Reason)
		}
		parts = append(parts, grouped(h.Count)+" "+word)
	}
	return list(parts)
}

func (p ListPart) lines(verb string) []string {
	var lines []string
	for _, a := range p.Some {
		lines = append(lines, verb+": "+a.line())
	}
	if more := p.Count - len(p.Some); more > 0 {
		lines = append(lines, verb+": "+count(more, "more address", "more addresses")+"; btcwatch watch list shows them.")
	}
	return lines
}

func (a ListedAddress) line() string {
	text := named(Data{Address: a.Address, Label: a.Label})
	for _, l := range a.Listings {
		text += "; " + naming(l)
	}
	return text
}

// history says what the past of the added addresses holds. It never says that
// there is none while some of it has not been read.
func (c ListChange) history() []string {
	var lines []string
	if c.HistoricPayments > 0 {
		text := "From before the watch: " + count(c.HistoricPayments, "payment", "payments") +
			" at " + count(c.HistoricAddresses, "address", "addresses") + c.sums()
		if c.HistoryProof != "" {
			text += "; grade at least " + string(c.HistoryProof)
		}
		lines = append(lines, text+". They are recorded as historic and make no alerts of their own.")
	} else if c.Added.Count > 0 && c.HistoryMissing == 0 && c.HistoryUnasked == 0 {
		lines = append(lines, "From before the watch: the explorers that were asked show no payments.")
	}
	if c.HistoryMissing > 0 {
		lines = append(lines, "The history of "+count(c.HistoryMissing, "address", "addresses")+
			" has not been read in full yet; it is asked for again.")
	}
	if c.HistoryUnasked > 0 {
		lines = append(lines, "The past of "+count(c.HistoryUnasked, "address", "addresses")+
			" is not known: no explorer is asked about what is confidential or off the list again, nor about any address in privacy mode blocks.")
	}
	return lines
}

func (c ListChange) sums() string {
	var sums []string
	if c.HistoricReceivedSat != nil {
		sums = append(sums, btc(*c.HistoricReceivedSat)+" in")
	}
	if c.HistoricSentSat != nil {
		sums = append(sums, btc(*c.HistoricSentSat)+" out")
	}
	if len(sums) == 0 {
		return ""
	}
	return ", " + strings.Join(sums, ", ")
}
