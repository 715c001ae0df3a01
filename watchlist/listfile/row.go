package listfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"btcwatch/watchlist"
)

// row is a listing with everything in words: as a table, a JSON line or the
// context of a tag has it. The names are those of report.listings.
type row struct {
	Address      string `json:"address"`
	Symbol       string `json:"symbol,omitempty"`
	List         string `json:"list,omitempty"` // for the reader: the one who imports says what a list is called there
	Label        string `json:"label,omitempty"`
	Entity       string `json:"entity,omitempty"`
	Category     string `json:"category,omitempty"`
	Basis        string `json:"basis,omitempty"`
	Confidence   string `json:"confidence,omitempty"`
	Version      string `json:"version,omitempty"`
	Title        string `json:"source_title,omitempty"`
	Author       string `json:"source_author,omitempty"`
	Publisher    string `json:"source_publisher,omitempty"`
	Date         string `json:"source_date,omitempty"`
	URL          string `json:"source_url,omitempty"`
	Locator      string `json:"source_locator,omitempty"`
	Quote        string `json:"source_quote,omitempty"`
	From         string `json:"in_force_from,omitempty"`
	To           string `json:"in_force_to,omitempty"`
	Notify       string `json:"notify,omitempty"`
	Confidential string `json:"confidential,omitempty"`
}

// cell is one field of a row and what tables call it: first the name that is
// written here, then others in use, without capitals, spaces and signs.
type cell struct {
	name string
	also string
	at   func(*row) *string
}

// cells are all fields, in the order in which they are written.
func cells() []cell {
	return []cell{
		{"address", "addr wallet walletaddress bitcoinaddress btcaddress cryptoaddress cryptocurrencyaddress virtualcurrencyaddress publickey btc", func(r *row) *string { return &r.Address }},
		{"symbol", "currency coin asset blockchain chain cryptocurrency ticker", func(r *row) *string { return &r.Symbol }},
		{"list", "", func(r *row) *string { return &r.List }},
		{"label", "name alias tag", func(r *row) *string { return &r.Label }},
		{"entity", "owner holder actor organization organisation subject", func(r *row) *string { return &r.Entity }},
		{"category", "abuse type topic topics crime", func(r *row) *string { return &r.Category }},
		{"basis", "", func(r *row) *string { return &r.Basis }},
		{"confidence", "", func(r *row) *string { return &r.Confidence }},
		{"version", "", func(r *row) *string { return &r.Version }},
		{"source_title", "source title report", func(r *row) *string { return &r.Title }},
		{"source_author", "author", func(r *row) *string { return &r.Author }},
		{"source_publisher", "publisher issuer authority", func(r *row) *string { return &r.Publisher }},
		{"source_date", "date published publicationdate", func(r *row) *string { return &r.Date }},
		{"source_url", "url link reference", func(r *row) *string { return &r.URL }},
		{"source_locator", "locator page caseno casenumber ordernumber", func(r *row) *string { return &r.Locator }},
		{"source_quote", "quote context note notes description remarks comment", func(r *row) *string { return &r.Quote }},
		{"in_force_from", "from validfrom effective effectivedate", func(r *row) *string { return &r.From }},
		{"in_force_to", "to validto validuntil expires expiry enddate", func(r *row) *string { return &r.To }},
		{"notify", "", func(r *row) *string { return &r.Notify }},
		{"confidential", "", func(r *row) *string { return &r.Confidential }},
	}
}

// entry reads a row. What is spelled wrongly is a fault of the file: half of
// what a list says of an address is not what it says.
func (r row) entry(line int) (watchlist.Entry, error) {
	e := watchlist.Entry{Line: line, Text: strings.TrimSpace(r.Address), Symbol: r.Symbol}
	fault := func(format string, args ...any) (watchlist.Entry, error) {
		return watchlist.Entry{}, &FaultError{Line: line, Reason: fmt.Sprintf(format, args...)}
	}
	if e.Text == "" {
		e.Fault = "no address stands there"
	}
	l := watchlist.Listing{
		Label: r.Label, Entity: r.Entity, Category: r.Category, Version: r.Version, Basis: watchlist.Basis(strings.ToLower(r.Basis)), Notify: watchlist.Notify(r.Notify),
		Source: watchlist.Source{Title: r.Title, Author: r.Author, Publisher: r.Publisher, Date: dateIn(r.Date), URL: r.URL, Locator: r.Locator, Quote: r.Quote},
	}
	if l.Basis == "unknown" {
		l.Basis = watchlist.Unknown
	}
	switch {
	case !slices.Contains(watchlist.Bases(), l.Basis):
		return fault("the basis %q is unknown: designation, seizure, court, partner, press, own and unknown are known", inShort(r.Basis))
	case l.Notify != "" && !slices.Contains(watchlist.Notifications(), l.Notify):
		return fault("notify %q is unknown: each, digest and record are known", inShort(r.Notify))
	case l.Source.Date == "" && strings.TrimSpace(r.Date) != "":
		return fault("%q is no date: YYYY-MM-DD, YYYY-MM or YYYY is one", inShort(r.Date))
	}
	var ok bool
	if l.Confidence, ok = confidenceIn(r.Confidence); !ok {
		return fault("the confidence %q is none: a number from 0 to 100 is one", inShort(r.Confidence))
	}
	for _, day := range []struct {
		text string
		at   *time.Time
	}{{r.From, &l.From}, {r.To, &l.To}} {
		if text := strings.TrimSpace(day.text); text != "" {
			at, err := time.Parse(time.DateOnly, text)
			if err != nil {
				return fault("%q is no day: YYYY-MM-DD is one", inShort(text))
			}
			*day.at = at
		}
	}
	if !l.To.IsZero() && l.To.Before(l.From) {
		return fault("it is in force to %s, before it begins, on %s", r.To, r.From)
	}
	if r.Confidential != "" {
		confidential, err := strconv.ParseBool(strings.ToLower(r.Confidential))
		if err != nil {
			return fault("confidential is %q: true or false is meant", inShort(r.Confidential))
		}
		e.Confidential, l.Confidential = &confidential, confidential
	}
	e.Listing = l
	return e, nil
}

// confidenceIn reads a percentage, or a word of GraphSense's scale.
func confidenceIn(text string) (watchlist.Confidence, bool) {
	if text = strings.TrimSuffix(strings.TrimSpace(text), "%"); text == "" {
		return watchlist.Confidence{}, true
	}
	if percent, err := strconv.Atoi(text); err == nil {
		return watchlist.Confidence{Percent: percent, Said: true}, percent >= 0 && percent <= 100
	}
	word := tagConfidence(text)
	return word, word.Said
}

// rowOf is a listing in words.
func rowOf(l watchlist.Listing) row {
	r := row{
		Address: l.Address.Text, List: l.List, Label: l.Label, Entity: l.Entity, Category: l.Category, Basis: string(l.Basis), Version: l.Version,
		Title: l.Source.Title, Author: l.Source.Author, Publisher: l.Source.Publisher, Date: l.Source.Date, URL: l.Source.URL,
		Locator: l.Source.Locator, Quote: l.Source.Quote, Notify: string(l.Notify), Confidential: strconv.FormatBool(l.Confidential),
	}
	if l.Confidence.Said {
		r.Confidence = strconv.Itoa(l.Confidence.Percent)
	}
	for _, day := range []struct {
		at   time.Time
		text *string
	}{{l.From, &r.From}, {l.To, &r.To}} {
		if !day.at.IsZero() {
			*day.text = day.at.UTC().Format(time.DateOnly)
		}
	}
	return r
}

// inShort is a piece of a list for a message.
func inShort(text string) string {
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	return text
}
