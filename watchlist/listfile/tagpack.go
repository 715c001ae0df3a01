package listfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"btcwatch/watchlist"
)

var (
	tagPackTags   = regexp.MustCompile(`(?m)^tags:`)
	tagPackHeader = regexp.MustCompile(`(?m)^(title|creator):`)
)

func isTagPack(beginning []byte) bool {
	return tagPackTags.Match(beginning) && tagPackHeader.Match(beginning)
}

// tagFields are what a tag may say, and the header for all of them.
type tagFields struct {
	Label      string `yaml:"label"`
	Source     string `yaml:"source"`
	Currency   string `yaml:"currency"`
	Network    string `yaml:"network"`
	Confidence string `yaml:"confidence"`
	Address    string `yaml:"address"`
	TxHash     string `yaml:"tx_hash"`
	Category   string `yaml:"category"`
	Abuse      string `yaml:"abuse"`
	Actor      string `yaml:"actor"`
	Lastmod    string `yaml:"lastmod"`
	Context    string `yaml:"context"`
}

// readTagPack reads a TagPack: each tag says what the header says, unless it says
// otherwise. The library reads YAML whole, so that the file is cut into its header
// and its tags first, which begin with a dash.
func readTagPack(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		parts := newTagParts(in.Text)
		header, err := parts.header()
		var pack *tagPack
		if err == nil {
			pack, err = parseHeader(header)
		}
		if err != nil {
			yield(watchlist.Entry{}, err)
			return
		}
		for part, err := range parts.tags() {
			var e watchlist.Entry
			if err == nil {
				e, err = pack.tag(part)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// tagPart is a piece of a TagPack and the line on which it begins.
type tagPart struct {
	text string
	line int
}

// tagParts cuts a TagPack.
type tagParts struct {
	lines *bufio.Scanner
	n     int // of the line last read
}

func newTagParts(r io.Reader) *tagParts {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longestLine)
	return &tagParts{lines: lines}
}

func (p *tagParts) next() (string, bool, error) {
	if p.lines.Scan() {
		p.n++
		return p.lines.Text(), true, nil
	}
	if err := p.lines.Err(); err != nil {
		return "", false, lineFault(err, p.n)
	}
	return "", false, nil
}

var tagsBegin = regexp.MustCompile(`^tags:\s*(.*?)\s*(#.*)?$`)

// header reads up to the tags.
func (p *tagParts) header() (tagPart, error) {
	var text strings.Builder
	for {
		line, more, err := p.next()
		if err != nil {
			return tagPart{}, err
		}
		if !more {
			return tagPart{}, &FaultError{Line: 1, Reason: "no TagPack: it has no tags"}
		}
		if begins := tagsBegin.FindStringSubmatch(line); begins != nil {
			switch begins[1] {
			case "", "[]":
				return tagPart{text.String(), 1}, nil
			}
			return tagPart{}, &FaultError{Line: p.n, Reason: "tags is no list; each tag is meant to begin on a line of its own, with a dash"}
		}
		if text.Len()+len(line) > longestLine {
			return tagPart{}, &FaultError{Line: p.n, Reason: "the header is too long; is it a TagPack?"}
		}
		text.WriteString(line + "\n")
	}
}

// tags gives each tag, as a list of one. The dashes of all stand in one column.
func (p *tagParts) tags() iter.Seq2[tagPart, error] {
	return func(yield func(tagPart, error) bool) {
		var tag strings.Builder
		begins, column := 0, -1
		give := func() bool {
			return tag.Len() == 0 || yield(tagPart{tag.String(), begins}, nil)
		}
		for {
			line, more, err := p.next()
			if err != nil {
				yield(tagPart{}, err)
				return
			}
			if !more {
				give()
				return
			}
			text := strings.TrimLeft(line, " ")
			at := len(line) - len(text)
			dash := text == "-" || strings.HasPrefix(text, "- ")
			switch {
			case text == "" || strings.HasPrefix(text, "#"):
				line = "" // keeps the count of lines
			case dash && (column < 0 || at == column):
				if !give() {
					return
				}
				tag.Reset()
				begins, column = p.n, at
			case column < 0 || at <= column:
				yield(tagPart{}, &FaultError{Line: p.n, Reason: "something other than a tag stands here: the header comes before the tags, and each tag begins with a dash, below that of the others"})
				return
			}
			if tag.Len()+len(line) > longestLine {
				yield(tagPart{}, &FaultError{Line: begins, Reason: fmt.Sprintf("the tag has more than %d bytes", longestLine)})
				return
			}
			if begins > 0 {
				tag.WriteString(line + "\n")
			}
		}
	}
}

type tagPack struct {
	title, creator string
	all            tagFields // what the header says for all
}

func parseHeader(part tagPart) (*tagPack, error) {
	header, err := part.parse(yaml.MappingNode)
	if err != nil {
		return nil, err
	}
	pack := &tagPack{}
	if err := header.Decode(&pack.all); err != nil {
		return nil, part.fault(err)
	}
	for i := 0; i+1 < len(header.Content); i += 2 {
		switch value := header.Content[i+1]; header.Content[i].Value {
		case "title":
			pack.title = value.Value
		case "creator":
			pack.creator = value.Value
		}
	}
	return pack, nil
}

// parse reads a part of the file as the library does, with lines as the file has
// them.
func (p tagPart) parse(kind yaml.Kind) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(p.text), &document); err != nil {
		return nil, p.fault(err)
	}
	if fault := plainYAML(&document, p.line-1); fault != nil {
		return nil, fault
	}
	if len(document.Content) != 1 || document.Content[0].Kind != kind {
		return nil, &FaultError{Line: p.line, Reason: "no TagPack: this is neither keys with values nor a tag"}
	}
	return document.Content[0], nil
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// fault is what the library says, with the line that it means.
func (p tagPart) fault(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := yamlLine.FindStringSubmatchIndex(text)
	if at == nil {
		return &FaultError{Line: p.line, Reason: text}
	}
	line, _ := strconv.Atoi(text[at[2]:at[3]])
	return &FaultError{Line: line + p.line - 1, Reason: text[at[1]:]}
}

func (p *tagPack) tag(part tagPart) (watchlist.Entry, error) {
	list, err := part.parse(yaml.SequenceNode)
	if err != nil {
		return watchlist.Entry{}, err
	}
	if len(list.Content) != 1 || list.Content[0].Kind != yaml.MappingNode {
		return watchlist.Entry{}, &FaultError{Line: part.line, Reason: "a tag without keys"}
	}
	e, err := p.entry(list.Content[0], part.line+list.Content[0].Line-1)
	if fault := new(FaultError); err != nil && !errors.As(err, &fault) {
		return e, part.fault(err)
	}
	return e, err
}

// plainYAML refuses anchors and aliases, by which a short file grows without
// bounds, and keys that are said twice. above is how many lines the file has
// before this part.
func plainYAML(n *yaml.Node, above int) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return &FaultError{Line: above + n.Line, Reason: "an anchor or alias of YAML: no TagPack needs one"}
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if seen[child.Value] {
				return &FaultError{Line: above + child.Line, Reason: fmt.Sprintf("the key %q stands here twice", child.Value)}
			}
			seen[child.Value] = true
		}
		if err := plainYAML(child, above); err != nil {
			return err
		}
	}
	return nil
}

func (p *tagPack) entry(tag *yaml.Node, line int) (watchlist.Entry, error) {
	f := p.all
	if err := tag.Decode(&f); err != nil {
		return watchlist.Entry{}, err
	}
	e := watchlist.Entry{Line: line, Text: f.Address, Symbol: f.Currency}
	if e.Symbol == "" {
		e.Symbol = f.Network
	}
	if f.Address == "" {
		e.Fault = "the tag names no address"
		if f.TxHash != "" {
			e.Text, e.Fault = f.TxHash, "the tag is of a transaction, not of an address"
		}
	}
	e.Listing = watchlist.Listing{
		Label: f.Label, Entity: f.Actor, Category: f.Category, Version: f.Lastmod, Confidence: tagConfidence(f.Confidence),
		Source: watchlist.Source{Title: p.title, Author: p.creator},
	}
	if f.Abuse != "" { // what the address is said to have been used for says more
		e.Listing.Category = f.Abuse
	}
	if strings.HasPrefix(f.Source, "http://") || strings.HasPrefix(f.Source, "https://") {
		e.Listing.Source.URL = f.Source
	} else {
		e.Listing.Source.Locator = f.Source
	}
	if _, err := time.Parse(time.DateOnly, f.Lastmod); err == nil {
		e.Listing.Source.Date = f.Lastmod
	}
	if own, ok := ownContext(f.Context); ok { // written here: it says all, also what a TagPack has no field for
		whole, err := own.entry(line)
		whole.Text, whole.Symbol = e.Text, e.Symbol
		return whole, err
	}
	return e, nil
}

// tagConfidence is GraphSense's scale. An unknown word says nothing.
func tagConfidence(word string) watchlist.Confidence {
	percent, ok := map[string]int{
		"override": 100, "ownership": 100, "ledger_immanent": 100, "manual_transaction": 90, "service_api": 70, "forensic_investigation": 70,
		"authority_data": 60, "trusted_provider": 50, "service_data": 50, "forensic": 50, "untrusted_transaction": 40, "web_crawl": 20,
		"heuristic": 10, "unknown": 5,
	}[word]
	return watchlist.Confidence{Percent: percent, Said: ok}
}
