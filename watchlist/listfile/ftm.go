package listfile

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"regexp"
	"strings"

	"btcwatch/watchlist"
)

var ftmBegins = regexp.MustCompile(`"schema"\s*:\s*"[A-Za-z]+"`)

func isFTM(beginning []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimSpace(beginning), []byte("\n"))
	return bytes.HasPrefix(line, []byte("{")) && ftmBegins.Match(line) && bytes.Contains(line, []byte(`"properties"`))
}

// ftmEntity is an entity of FollowTheMoney; every property has several values.
type ftmEntity struct {
	ID         string              `json:"id"`
	Caption    string              `json:"caption"`
	Schema     string              `json:"schema"`
	Datasets   []string            `json:"datasets"`
	Properties map[string][]string `json:"properties"`
}

func (f ftmEntity) first(names ...string) string {
	for _, name := range names {
		if values := f.Properties[name]; len(values) > 0 {
			return values[0]
		}
	}
	return ""
}

// readFTM reads the entities of OpenSanctions, one a line: wallets, and the names
// of those who hold them, which may come before or after.
func readFTM(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		known := &holders{}
		for one, err := range elements(in.Text, "") {
			if err != nil {
				yield(watchlist.Entry{}, err)
				return
			}
			var f ftmEntity
			if err := json.Unmarshal(one.raw, &f); err != nil {
				yield(watchlist.Entry{}, &FaultError{Line: one.line, Reason: "an entity of another shape than FollowTheMoney's: " + err.Error()})
				return
			}
			if f.Schema != "CryptoWallet" {
				known.name(f.ID, firstOf(f.Caption, f.first("name")))
				continue
			}
			for _, e := range f.entries(one.line) {
				if e, ready := known.put(e, f.first("holder")); ready && !yield(e, nil) {
					return
				}
			}
		}
		known.rest(yield)
	}
}

func (f ftmEntity) entries(line int) (all []watchlist.Entry) {
	e := watchlist.Entry{Line: line, Symbol: f.first("currencySymbol", "currency")}
	l := &e.Listing
	l.Category = strings.Join(f.Properties["topics"], ", ")
	l.Source = watchlist.Source{
		Title: strings.Join(f.Datasets, ", "), Publisher: f.first("publisher"), Date: dateIn(f.first("createdAt", "creationDate")),
		URL: f.first("sourceUrl"), Locator: f.ID, Quote: f.first("notes", "summary", "description"),
	}
	if exchange := f.first("managingExchange", "mangingExchange"); exchange != "" { // older exports misspell it
		l.Label = "managed by " + exchange
	}
	keys := f.Properties["publicKey"]
	if len(keys) == 0 {
		e.Fault, keys = "the wallet names no address", []string{f.Caption}
	}
	for _, key := range keys {
		e.Text = key
		all = append(all, e)
	}
	return all
}

func isTargets(beginning []byte) bool {
	return bytes.HasPrefix(beginning, []byte("id,schema,name,aliases,")) || bytes.HasPrefix(beginning, []byte(`"id","schema","name","aliases",`))
}

// readTargets reads targets.simple.csv of OpenSanctions. It says of a wallet its
// address as the name or an identifier, and not whose it is.
func readTargets(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		table := csv.NewReader(limitLines(in.Text))
		column := map[string]int{}
		for first := true; ; first = false {
			record, err := table.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(watchlist.Entry{}, csvFault("", err))
				return
			}
			line, _ := table.FieldPos(0)
			if first {
				for i, name := range record {
					column[name] = i
				}
				continue
			}
			of := func(name string) string {
				if i, ok := column[name]; ok {
					return record[i]
				}
				return ""
			}
			if of("schema") != "CryptoWallet" {
				continue
			}
			for _, e := range targetEntries(of, line) {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

func targetEntries(of func(string) string, line int) (all []watchlist.Entry) {
	texts := []string{}
	for _, text := range append([]string{of("name")}, strings.Split(of("identifiers"), ";")...) {
		text = strings.TrimSpace(text)
		if looksLikeAddress(text) && (len(texts) == 0 || texts[0] != text) {
			texts = append(texts, text)
		}
	}
	e := watchlist.Entry{Line: line}
	e.Listing.Source = watchlist.Source{Title: of("dataset"), Locator: of("id"), Quote: of("sanctions")}
	if len(texts) == 0 {
		e.Fault, texts = "the wallet names no address", []string{of("name")}
	}
	for _, text := range texts {
		e.Text = text
		all = append(all, e)
	}
	return all
}
