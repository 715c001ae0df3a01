package listfile

import (
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"btcwatch/watchlist"
)

// mostTagPack is how large a TagPack may be: the library holds it in memory whole.
const mostTagPack = 32 << 20

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

// readTagPack reads a TagPack: each tag says what the header says, unless it says otherwise.
func readTagPack(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		pack, err := parseTagPack(in.Text)
		if err != nil {
			yield(watchlist.Entry{}, err)
			return
		}
		for _, tag := range pack.tags {
			e, err := pack.entry(tag)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

type tagPack struct {
	title, creator string
	header         *yaml.Node
	tags           []*yaml.Node
}

func parseTagPack(r io.Reader) (*tagPack, error) {
	raw, err := io.ReadAll(io.LimitReader(r, mostTagPack+1))
	if err != nil {
		return nil, fmt.Errorf("read the TagPack: %w", err)
	}
	if len(raw) > mostTagPack {
		return nil, &FaultError{Reason: fmt.Sprintf("the TagPack is larger than %d MB; split it", mostTagPack>>20)}
	}
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return nil, &FaultError{Reason: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if fault := plainYAML(&document); fault != nil {
		return nil, fault
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, &FaultError{Line: 1, Reason: "no TagPack: it has no keys"}
	}
	pack := &tagPack{header: document.Content[0]}
	for i := 0; i+1 < len(pack.header.Content); i += 2 {
		key, value := pack.header.Content[i], pack.header.Content[i+1]
		switch key.Value {
		case "title":
			pack.title = value.Value
		case "creator":
			pack.creator = value.Value
		case "tags":
			if value.Kind != yaml.SequenceNode {
				return nil, &FaultError{Line: value.Line, Reason: "tags is no list"}
			}
			pack.tags = value.Content
		}
	}
	if pack.tags == nil {
		return nil, &FaultError{Line: 1, Reason: "no TagPack: it has no tags"}
	}
	return pack, nil
}

// plainYAML refuses anchors and aliases, by which a short file grows without
// bounds, and keys that are said twice.
func plainYAML(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return &FaultError{Line: n.Line, Reason: "an anchor or alias of YAML: no TagPack needs one"}
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if seen[child.Value] {
				return &FaultError{Line: child.Line, Reason: fmt.Sprintf("the key %q stands here twice", child.Value)}
			}
			seen[child.Value] = true
		}
		if err := plainYAML(child); err != nil {
			return err
		}
	}
	return nil
}

func (p *tagPack) entry(tag *yaml.Node) (watchlist.Entry, error) {
	var f tagFields
	for _, node := range []*yaml.Node{p.header, tag} {
		if err := node.Decode(&f); err != nil {
			return watchlist.Entry{}, &FaultError{Line: tag.Line, Reason: strings.TrimPrefix(err.Error(), "yaml: ")}
		}
	}
	e := watchlist.Entry{Line: tag.Line, Text: f.Address, Symbol: f.Currency}
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
		whole, err := own.entry(tag.Line)
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
