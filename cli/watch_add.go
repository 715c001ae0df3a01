package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"btcwatch/chain"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

type watchAdd struct {
	Address string `arg:"" help:"The address."`

	Label        string `help:"What to call it in messages."`
	Entity       string `help:"Whose it is, according to the source."`
	Category     string `help:"Such as terrorist financing, as the source names it."`
	Basis        string `help:"Ground of the listing: designation (a sanction list), seizure (an authority took it), court (a court document), partner (another institution says so), press (a published report), own (an address of our own); or unknown."`
	Title        string `help:"Source: the title of the report or list."`
	Author       string `help:"Source: its author."`
	Publisher    string `help:"Source: its publisher."`
	Date         string `help:"Source: its date, as YYYY-MM-DD, YYYY-MM or YYYY."`
	URL          string `name:"url" help:"Source: where it can be read."`
	Notify       string `help:"How people are told below the severity high: each (a message for each alert), digest (one a day for all) or record (none)."`
	NoSource     bool   `help:"Watch without saying who named the address."`
	Confidential *bool  `negatable:"" help:"Never ask an explorer about it: follow it by blocks only. So it is for own addresses, unless --no-confidential says otherwise."`
}

// Run adds an address to the list.
func (c *watchAdd) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	address, err := chain.ParseAddress(c.Address, config.Network)
	if err != nil {
		return wrongUse{err.Error()}
	}
	if line, kept := keptAt(config, address); kept {
		return fmt.Errorf("%s is already watched: %s:%d keeps it; change it there and reload", address.Text, config.File, line)
	}
	if err := c.complete(s); err != nil {
		return err
	}
	listing, err := c.listing(address)
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		before, err := store.Listings(ctx, address)
		if err != nil {
			return err
		}
		if len(before) > 0 {
			return fmt.Errorf("%s is already watched, by %s; to change that, retire it first: btcwatch watch retire %[1]s", address.Text, describe(before))
		}
		actor, err := s.actor(ctx, config, store)
		if err != nil {
			return err
		}
		if err := s.warnOfLookAlikes(ctx, store, address); err != nil {
			return err
		}
		if _, err := store.Watch(ctx, listing, actor); err != nil {
			return err
		}
		return s.tellAdded(ctx, store, listing)
	})
}

// complete sees to it that the source and the basis are said, or are left out
// aloud: a person is asked, a program is refused.
func (c *watchAdd) complete(s *session) error {
	named := c.Title != "" || c.Author != "" || c.Publisher != "" || c.URL != ""
	switch {
	case c.NoSource && named:
		return wrongUsef("--no-source contradicts the source that is given: leave one of the two out")
	case c.NoSource || named && c.Basis != "":
		return nil
	case s.InIsTerminal && s.ErrIsTerminal:
		return c.ask(s, named)
	}
	var missing []string
	if !named {
		missing = append(missing, "who named the address (--title, --author, --publisher or --url)")
	}
	if c.Basis == "" {
		missing = append(missing, "on what ground (--basis)")
	}
	return wrongUsef("say %s; or --no-source to watch without", strings.Join(missing, " and "))
}

func (c *watchAdd) ask(s *session, named bool) error {
	in := bufio.NewReader(s.In)
	s.say("Who named this address, and why is it watched? Press Enter where the source does not say; empty beats invented.")
	questions := []question{
		{"Label (what to call it in messages)", &c.Label},
		{"Title of the source", &c.Title}, {"Its author", &c.Author}, {"Its publisher", &c.Publisher},
		{"Its date (YYYY-MM-DD, YYYY-MM or YYYY)", &c.Date}, {"Its web address", &c.URL},
	}
	if named {
		questions = nil
	}
	if c.Basis == "" {
		questions = append(questions, question{"Basis: designation, seizure, court, partner, press, own or unknown", &c.Basis})
	}
	for _, q := range questions {
		if err := q.put(s, in); err != nil {
			return err
		}
	}
	if c.Title == "" && c.Author == "" && c.Publisher == "" && c.URL == "" {
		return wrongUsef("no source was named: name one, or say --no-source")
	}
	return nil
}

// question is one line that a person is asked for, unless a flag said it.
type question struct {
	text   string
	answer *string
}

func (q question) put(s *session, in *bufio.Reader) error {
	if *q.answer != "" {
		return nil
	}
	fmt.Fprintf(s.Err, "%s: ", q.text)
	line, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) {
		s.say("")
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	*q.answer = strings.TrimSpace(line)
	return nil
}

func (c *watchAdd) listing(address chain.Address) (watchlist.Listing, error) {
	l := watchlist.Listing{
		Address: address, List: "command", Label: c.Label, Entity: c.Entity, Category: c.Category,
		Basis:  watchlist.Basis(c.Basis),
		Source: watchlist.Source{Title: c.Title, Author: c.Author, Publisher: c.Publisher, Date: c.Date, URL: c.URL},
	}
	l.Notify = watchlist.Notify(c.Notify)
	if err := checkSaid(&l); err != nil {
		return l, err
	}
	l.Confidential = l.Basis.Confidential()
	if c.Confidential != nil {
		l.Confidential = *c.Confidential
	}
	return l, nil
}

// isDate takes a day, a month or a year, and nothing: sources do not always say.
func isDate(text string) bool {
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}
	return text == ""
}

// warnOfLookAlikes warns of an address that differs only in the middle from a
// watched one: such are made to be mistaken for each other.
func (s *session) warnOfLookAlikes(ctx context.Context, store *sql.Store, address chain.Address) error {
	alike, err := store.LookAlikes(ctx, address)
	if err != nil {
		return err
	}
	for _, other := range alike {
		s.say("Warning: a watched address begins and ends alike and is another one. Compare them in full with the source:\n  %s\n  %s",
			groups(address.Text), groups(other))
	}
	return nil
}

// groups writes an address in groups of four, which can be compared.
func groups(address string) string {
	return strings.Join(slices.Collect(chunks(address, 4)), " ")
}

func chunks(text string, size int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for ; len(text) > size; text = text[size:] {
			if !yield(text[:size]) {
				return
			}
		}
		yield(text)
	}
}

// sourceWords repeats who named the address, for a person to see what was taken.
func sourceWords(l watchlist.Listing) string {
	var parts []string
	for _, part := range []string{l.Source.Author, l.Source.Title, l.Source.Publisher, l.Source.Date, l.Source.URL} {
		if part != "" {
			parts = append(parts, tame(part))
		}
	}
	if len(parts) == 0 {
		return "no source named"
	}
	text := "source: " + strings.Join(parts, ", ")
	if l.Basis != watchlist.Unknown {
		text += " (basis: " + string(l.Basis) + ")"
	}
	return text
}

func (s *session) tellAdded(ctx context.Context, store *sql.Store, l watchlist.Listing) error {
	leads, err := store.Leads(ctx)
	if err != nil {
		return err
	}
	unasked, err := store.Unasked(ctx, l.Address)
	if err != nil {
		return err
	}
	next := "Start the daemon to watch it: btcwatch run."
	switch {
	case leads && unasked != "":
		next = "The daemon follows it by blocks from now on; no explorer is asked about it, so its past stays unknown."
	case leads:
		next = "The daemon follows it from now on and reads its history; an alert sums that up."
	}
	_, err = fmt.Fprintf(s.Out, "Added %s (%s), %s. %s\n", l.Address.Text, l.Address.Kind, sourceWords(l), next)
	return err
}
