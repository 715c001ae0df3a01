package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"btcwatch/chain"
	"btcwatch/watchlist"
)

type extractCommand struct {
	File    string `arg:"" name:"file" help:"The text, HTML or exported chat to look in; - for standard input."`
	Network string `default:"mainnet" help:"mainnet, testnet3, testnet4, signet or regtest (${default})."`
	JSON    bool   `name:"json" help:"One JSON object a line."`
}

type findingRow struct {
	Line     int    `json:"line"`
	Column   int    `json:"column"` // in characters, from 1
	Kind     string `json:"kind,omitempty"`
	Address  string `json:"address,omitempty"`
	Text     string `json:"text"` // as it stands there
	NearMiss bool   `json:"near_miss"`
	Reason   string `json:"reason,omitempty"` // why a near miss is no address
}

// Run finds the addresses of a text. It needs neither database nor
// configuration.
func (c *extractCommand) Run(s *session) error {
	params, err := chain.Network(c.Network)
	if err != nil {
		return wrongUse{err.Error()}
	}
	text, name, err := c.open(s)
	if err != nil {
		return err
	}
	defer text.Close()
	findings, err := watchlist.Extract(text, params)
	if err != nil {
		return fmt.Errorf("look for addresses in %s: %w", name, err)
	}
	if err := c.print(s, findings); err != nil {
		return err
	}
	s.say("%s", summary(findings, c.Network))
	return nil
}

func (c *extractCommand) open(s *session) (text io.ReadCloser, name string, err error) {
	if c.File == "-" {
		if s.InIsTerminal {
			s.say("Reading what you type; Ctrl-D ends it.")
		}
		return io.NopCloser(s.In), "standard input", nil
	}
	f, err := os.Open(c.File)
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return nil, "", fmt.Errorf("open %s: %w", c.File, failed.Err)
	}
	return f, c.File, err
}

func (c *extractCommand) print(s *session, findings []watchlist.Finding) error {
	var rows []findingRow
	for _, f := range findings {
		rows = append(rows, findingRow{f.Line, f.Column, string(f.Kind), f.Address.Text, f.Text, f.NearMiss(), f.Reason})
	}
	if c.JSON {
		return printJSON(s.Out, rows...)
	}
	if len(rows) == 0 {
		return nil
	}
	t := &table{columns: []column{
		{name: "LINE", right: true}, {name: "COLUMN", right: true}, {name: "KIND", paint: kindColour}, {name: "ADDRESS"}, {name: "REASON", spare: true, below: true},
	}}
	for _, row := range rows {
		if row.NearMiss {
			row.Kind, row.Address = nearMiss, row.Text
		}
		t.add(strconv.Itoa(row.Line), strconv.Itoa(row.Column), row.Kind, row.Address, row.Reason)
	}
	return t.print(s.Terminal)
}

const nearMiss = "near miss"

func kindColour(text string) colour {
	if text == nearMiss {
		return yellow
	}
	return green
}

func summary(findings []watchlist.Finding, network string) string {
	different := map[string]bool{}
	places, misses := 0, 0
	for _, f := range findings {
		if f.NearMiss() {
			misses++
			continue
		}
		places++
		different[f.Address.Text] = true
	}
	text := counted(len(different), "address", "addresses") + " of " + network
	if places != len(different) {
		text += " in " + counted(places, "place", "places")
	}
	return text + ", " + counted(misses, "near miss", "near misses") + "."
}
