package listfile

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"go.yaml.in/yaml/v3"

	"btcwatch/watchlist"
)

// Form is one way in which listings are written, so that reading them back gives
// the same listings.
type Form struct {
	Name  string
	Title string // in words, for help
	Write func(to io.Writer, listings iter.Seq2[watchlist.Listing, error]) error
}

// Forms are all in which listings are written.
func Forms() []Form {
	return []Form{
		{"csv", "a table for spreadsheets", writeTable},
		{"jsonl", "a JSON object a line", writeLines},
		{"tagpack", "a TagPack of GraphSense", writeTagPack},
	}
}

// writeTable writes a table. What a spreadsheet would take for a formula gets an
// apostrophe before it, and so does what begins with one.
func writeTable(to io.Writer, listings iter.Seq2[watchlist.Listing, error]) error {
	table := csv.NewWriter(to)
	if err := table.Write(ownNames()); err != nil {
		return err
	}
	for l, err := range listings {
		if err != nil {
			return err
		}
		r := rowOf(l)
		var record []string
		for _, c := range cells() {
			record = append(record, harmless(*c.at(&r)))
		}
		if err := table.Write(record); err != nil {
			return err
		}
	}
	table.Flush()
	return table.Error()
}

func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r'", rune(text[0])) {
		return "'" + text
	}
	return text
}

func writeLines(to io.Writer, listings iter.Seq2[watchlist.Listing, error]) error {
	text := bufio.NewWriter(to)
	lines := json.NewEncoder(text)
	lines.SetEscapeHTML(false)
	for l, err := range listings {
		if err != nil {
			return err
		}
		if err := lines.Encode(rowOf(l)); err != nil {
			return err
		}
	}
	return text.Flush()
}

// tag is an entry of a TagPack, by its schema.
type tag struct {
	Address    string `yaml:"address"`
	Label      string `yaml:"label"`
	Source     string `yaml:"source"`
	Currency   string `yaml:"currency"`
	Network    string `yaml:"network"`
	Confidence string `yaml:"confidence,omitempty"`
	Actor      string `yaml:"actor,omitempty"`
	Category   string `yaml:"category,omitempty"`
	Lastmod    string `yaml:"lastmod,omitempty"`
	Context    string `yaml:"context"`
}

// ownKey names, in the context of a tag, what a TagPack has no fields for.
const ownKey = "btcwatch"

// writeTagPack writes a TagPack: what its fields can say stands there for other
// programs, and all of it in the context, which is free.
func writeTagPack(to io.Writer, listings iter.Seq2[watchlist.Listing, error]) error {
	text := bufio.NewWriter(to)
	fmt.Fprint(text, "title: Watched addresses\ncreator: btcwatch\ntags:")
	none := true
	for l, err := range listings {
		if err != nil {
			return err
		}
		none = false
		context, err := json.Marshal(map[string]row{ownKey: rowOf(l)})
		if err != nil {
			return err
		}
		item, err := yaml.Marshal([]tag{{
			Address: l.Address.Text, Label: firstOf(l.Label, l.Entity, l.List, "watched"), Source: firstOf(l.Source.URL, l.Source.String(), l.List, "not named"),
			Currency: "BTC", Network: "BTC", Confidence: confidenceWord(l.Confidence), Actor: l.Entity, Category: l.Category, Context: string(context),
		}})
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "\n%s", strings.TrimSuffix(string(item), "\n"))
	}
	if none {
		fmt.Fprint(text, " []")
	}
	fmt.Fprintln(text)
	return text.Flush()
}

// ownContext reads what was written here into the context of a tag.
func ownContext(text string) (row, bool) {
	if !strings.HasPrefix(text, `{"`+ownKey+`":`) {
		return row{}, false
	}
	var whole map[string]row
	err := json.Unmarshal([]byte(text), &whole)
	r, ok := whole[ownKey]
	return r, err == nil && ok
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// confidenceWord is the word of GraphSense's scale that says no more than the
// source did; empty where it says nothing.
func confidenceWord(c watchlist.Confidence) string {
	if !c.Said {
		return ""
	}
	for _, step := range []struct {
		percent int
		word    string
	}{{100, "ownership"}, {90, "manual_transaction"}, {70, "service_api"}, {60, "authority_data"}, {50, "trusted_provider"}, {40, "untrusted_transaction"}, {20, "web_crawl"}, {10, "heuristic"}} {
		if c.Percent >= step.percent {
			return step.word
		}
	}
	return "unknown"
}
