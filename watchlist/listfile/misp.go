package listfile

import (
	"encoding/json"
	"iter"
	"regexp"

	"btcwatch/watchlist"
)

var mispBegins = regexp.MustCompile(`^\s*(\{\s*"response"\s*:\s*\[\s*|\[\s*)?\{\s*"Event"\s*:`)

func isMISP(beginning []byte) bool { return mispBegins.Match(beginning) }

var mispResponse = regexp.MustCompile(`^\s*\{\s*"response"`)

type mispEvent struct {
	Event struct {
		Info string `json:"info"`
		Date string `json:"date"`
		UUID string `json:"uuid"`
		Orgc struct {
			Name string `json:"name"`
		} `json:"Orgc"`
		Attribute []mispAttribute `json:"Attribute"`
		Object    []struct {
			Name      string          `json:"name"`
			Comment   string          `json:"comment"`
			Deleted   any             `json:"deleted"`
			Attribute []mispAttribute `json:"Attribute"`
		} `json:"Object"`
	} `json:"Event"`
}

type mispAttribute struct {
	Type     string `json:"type"`
	Relation string `json:"object_relation"`
	Value    string `json:"value"`
	Comment  string `json:"comment"`
	UUID     string `json:"uuid"`
	Deleted  any    `json:"deleted"` // true, "1" or 1, by the age of the server
}

// readMISP reads events, one after the other: attributes of type btc, and the
// objects coin-address and btc-wallet.
func readMISP(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		text, head := peek(in.Text)
		name := ""
		if mispResponse.Match(head) || isList(head) {
			name = "response"
		}
		for one, err := range elements(text, name) {
			if err != nil {
				yield(watchlist.Entry{}, err)
				return
			}
			var event mispEvent
			if err := json.Unmarshal(one.raw, &event); err != nil {
				yield(watchlist.Entry{}, &FaultError{Line: one.line, Reason: "an event of another shape than MISP's: " + err.Error()})
				return
			}
			for _, e := range event.entries(one.line) {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func isList(head []byte) bool {
	for _, c := range head {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c == '['
		}
	}
	return false
}

func (m mispEvent) entries(line int) (all []watchlist.Entry) {
	event := m.Event
	put := func(a mispAttribute, symbol, comment string, deleted any) {
		e := watchlist.Entry{Line: line, Text: a.Value, Symbol: symbol}
		e.Listing.Source = watchlist.Source{
			Title: event.Info, Author: event.Orgc.Name, Date: dateIn(event.Date), Locator: firstOf(a.UUID, event.UUID), Quote: firstOf(a.Comment, comment),
		}
		if isSet(deleted) || isSet(a.Deleted) {
			e.Fault = "it is deleted from the event"
		}
		all = append(all, e)
	}
	for _, a := range event.Attribute {
		switch a.Type {
		case "btc":
			put(a, "", "", nil)
		case "xmr", "dash":
			put(a, a.Type, "", nil)
		}
	}
	for _, o := range event.Object {
		symbol := ""
		for _, a := range o.Attribute {
			if a.Relation == "symbol" {
				symbol = a.Value
			}
		}
		for _, a := range o.Attribute {
			switch {
			case a.Type == "btc" || a.Relation == "address-crypto":
				put(a, symbol, o.Comment, o.Deleted)
			case a.Type == "xmr":
				put(a, "XMR", o.Comment, o.Deleted)
			}
		}
	}
	return all
}

func isSet(flag any) bool {
	switch v := flag.(type) {
	case bool:
		return v
	case string:
		return v != "" && v != "0"
	case float64:
		return v != 0
	}
	return false
}
