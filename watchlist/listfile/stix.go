package listfile

import (
	"encoding/json"
	"iter"
	"regexp"
	"strings"
	"time"

	"btcwatch/watchlist"
)

var stixType = regexp.MustCompile(`"type"\s*:\s*"(bundle|cryptocurrency-wallet|cryptocurrency-transaction)"`)

func isSTIX(beginning []byte) bool {
	text := strings.TrimSpace(string(beginning[:min(len(beginning), 8192)]))
	return (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) && stixType.MatchString(text)
}

var stixBundle = regexp.MustCompile(`"objects"\s*:\s*\[|^\s*\[`)

// stixObject has what is read of any object. The core of STIX 2.1 has no wallets:
// the extension in use has them with value, older feeds with address.
type stixObject struct {
	Type       string   `json:"type"`
	ID         string   `json:"id"`
	Value      string   `json:"value"`
	Address    string   `json:"address"`
	Symbol     string   `json:"symbol"`
	Currency   string   `json:"currency"`
	Holder     string   `json:"holder_ref"`
	Name       string   `json:"name"`
	Pattern    string   `json:"pattern"`
	Kinds      []string `json:"indicator_types"`
	Labels     []string `json:"labels"`
	Confidence *int     `json:"confidence"`
	From       string   `json:"valid_from"`
	Until      string   `json:"valid_until"`
	Created    string   `json:"created"`
	CreatedBy  string   `json:"created_by_ref"`
	Revoked    bool     `json:"revoked"`
}

var stixPattern = regexp.MustCompile(`cryptocurrency-wallet:(?:value|address)\s*=\s*'([^']+)'`)

// readSTIX reads a bundle, a list of objects, or objects that follow each other:
// wallets, and indicators whose pattern names one.
func readSTIX(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		text, head := peek(in.Text)
		name := ""
		if stixBundle.Match(head) {
			name = "objects"
		}
		known := &holders{}
		for one, err := range elements(text, name) {
			if err != nil {
				yield(watchlist.Entry{}, err)
				return
			}
			var o stixObject
			if err := json.Unmarshal(one.raw, &o); err != nil {
				yield(watchlist.Entry{}, &FaultError{Line: one.line, Reason: "an object of another shape than STIX's: " + err.Error()})
				return
			}
			if o.Type == "identity" || o.Type == "threat-actor" || o.Type == "intrusion-set" {
				known.name(o.ID, o.Name)
			}
			for _, e := range o.entries(one.line) {
				if e, ready := known.put(e, o.Holder); ready && !yield(e, nil) {
					return
				}
			}
		}
		known.rest(yield)
	}
}

func (o stixObject) entries(line int) (all []watchlist.Entry) {
	var texts []string
	e := watchlist.Entry{Line: line, Symbol: firstOf(o.Symbol, o.Currency)}
	e.Listing = watchlist.Listing{Label: o.Name, Category: strings.Join(append(o.Kinds, o.Labels...), ", "), Source: watchlist.Source{Locator: o.ID, Date: dateIn(o.Created)}}
	switch o.Type {
	case "cryptocurrency-wallet":
		texts = []string{firstOf(o.Value, o.Address)}
	case "cryptocurrency-transaction":
		e.Fault, texts = "it is a transaction, not an address", []string{o.Value}
	case "indicator":
		for _, match := range stixPattern.FindAllStringSubmatch(o.Pattern, -1) {
			texts = append(texts, match[1])
		}
	}
	if o.Confidence != nil && *o.Confidence >= 0 && *o.Confidence <= 100 {
		e.Listing.Confidence = watchlist.Confidence{Percent: *o.Confidence, Said: true}
	}
	if from, err := time.Parse(time.RFC3339, o.From); err == nil {
		e.Listing.From = from.UTC().Truncate(24 * time.Hour)
	}
	if until, err := time.Parse(time.RFC3339, o.Until); err == nil {
		e.Listing.To = until.UTC().Truncate(24 * time.Hour)
	}
	if o.Revoked && e.Fault == "" {
		e.Fault = "the source has revoked it"
	}
	for _, text := range texts {
		if e.Text = text; text == "" {
			e.Fault = "the wallet names no address"
		}
		all = append(all, e)
	}
	return all
}
