package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"btcwatch/chain"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type watchShow struct {
	Address string `arg:"" help:"Any address, watched or not."`
	AsOf    string `placeholder:"TIME" help:"As it was known here then: 2026-03-03, 2026-03-03 14:00 (UTC) or 2026-03-03T14:00:00+01:00. A day is its end."`
	JSON    bool   `name:"json" help:"One JSON object."`
}

// shown is all that is known of an address and the lists.
type shown struct {
	Address  string            `json:"address"`
	AsOf     time.Time         `json:"as_of"`
	Listed   []sql.ListedRow   `json:"listed"`   // known_to null: in force then
	Held     []sql.HeldAs      `json:"held"`     // entries that name it and are not watched
	Contacts []sql.Contact     `json:"contacts"` // listed addresses that it dealt with
	Coverage []sql.CoverageRow `json:"coverage"` // as of now; empty: it was never watched
	Lists    []sql.ListRow     `json:"lists"`    // from which the answer comes, as they are now
}

// Run tells of an address: by whom it is listed, whom of the listed it dealt
// with, how it is covered, and as of when the lists are.
func (c *watchShow) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	asOf, err := instant(c.AsOf, s.Now())
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		all, err := c.gather(ctx, store, config, asOf)
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.Out, all)
		}
		return all.print(s, c.AsOf != "")
	})
}

func (c *watchShow) gather(ctx context.Context, store *sql.Store, config *daemon.Config, asOf time.Time) (shown, error) {
	all := shown{Address: strings.TrimSpace(c.Address), AsOf: asOf.UTC()}
	address, wrong := chain.ParseAddress(c.Address, config.Network)
	var err error
	if wrong == nil {
		all.Address = address.Text
		for _, step := range []func() error{
			func() error { all.Listed, err = store.ListedAs(ctx, address, asOf); return err },
			func() error { all.Contacts, err = store.Contacts(ctx, address, asOf); return err },
			func() error { all.Coverage, err = store.Coverage(ctx, address); return err },
		} {
			if err := step(); err != nil {
				return all, err
			}
		}
	}
	if all.Held, err = store.HeldFor(ctx, all.Address, asOf); err != nil {
		return all, err
	}
	if wrong != nil && len(all.Held) == 0 {
		return all, wrongUse{wrong.Error()} // no list has it so either
	}
	all.Lists, err = store.Lists(ctx)
	return all, err
}

// instant reads a time that a person gives; empty is now.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Microsecond), nil // what Postgres can tell apart
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, wrongUsef("%q is no time: write 2026-03-03, 2026-03-03 14:00 (UTC) or 2026-03-03T14:00:00+01:00", text)
}

func (a shown) print(s *session, asked bool) error {
	fmt.Fprintf(s.Out, "%s\n", tame(a.Address))
	when := "now"
	if asked {
		when = "at " + second(a.AsOf)
		fmt.Fprintf(s.Out, "As it was known here %s.\n", when)
	}
	a.printListings(s, when)
	a.printHeld(s)
	if err := a.printContacts(s); err != nil {
		return err
	}
	a.printCoverage(s)
	return a.printLists(s)
}

func (a shown) printListings(s *session, when string) {
	var inForce, ended []sql.ListedRow
	for _, l := range a.Listed {
		if l.KnownTo == nil {
			inForce = append(inForce, l)
			continue
		}
		ended = append(ended, l)
	}
	if len(inForce) == 0 {
		fmt.Fprintf(s.Out, "\nOn none of the %s kept here %s. Other lists may name it.\n", counted(len(a.Lists), "list", "lists"), when)
	}
	for _, l := range inForce {
		fmt.Fprintf(s.Out, "\nOn the list %q since %s (%s)\n", tame(l.List), second(l.KnownFrom), broughtBy(l))
		printListing(s, l)
	}
	if len(ended) > 0 {
		fmt.Fprintf(s.Out, "\nBefore that:\n")
	}
	for _, l := range ended {
		fmt.Fprintf(s.Out, "  from %s to %s on the list %q (%s)%s\n", second(l.KnownFrom), second(*l.KnownTo), tame(l.List), broughtBy(l), inBrief(l))
	}
}

func broughtBy(l sql.ListedRow) string {
	text := "from " + tame(l.Origin)
	if l.Actor != "" {
		text += ", by " + tame(l.Actor)
	}
	return text
}

func inBrief(l sql.ListedRow) (text string) {
	for _, part := range []string{l.Label, l.Basis} {
		if part != "" {
			text += ", " + tame(part)
		}
	}
	return text
}

// printListing shows what a list says, and nothing of what it does not.
func printListing(s *session, l sql.ListedRow) {
	day := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.DateOnly)
	}
	confidence, confidential := "", ""
	if l.Confidence != nil {
		confidence = fmt.Sprintf("%d of 100, by the source", *l.Confidence)
	}
	if l.Confidential {
		confidential = "yes: no explorer is asked about it"
	}
	for _, line := range []struct{ name, text string }{
		{"label", l.Label}, {"entity", l.Entity}, {"category", l.Category}, {"basis", l.Basis}, {"confidence", confidence}, {"version", l.Version},
		{"title", l.SourceTitle}, {"author", l.SourceAuthor}, {"publisher", l.SourcePublisher}, {"date", l.SourceDate}, {"url", l.SourceURL},
		{"where", l.SourceLocator}, {"quote", l.SourceQuote}, {"in force from", day(l.InForceFrom)}, {"in force to", day(l.InForceTo)},
		{"notify", l.Notify}, {"confidential", confidential},
	} {
		if line.text == "" {
			continue
		}
		lines := []string{tame(line.text)}
		if s.Width > 0 { // otherwise a program reads it
			lines = breakLines(lines[0], max(40, s.Width-16))
		}
		fmt.Fprintf(s.Out, "  %-13s %s\n", line.name, strings.Join(lines, "\n                "))
	}
}

func (a shown) printHeld(s *session) {
	for _, h := range a.Held {
		fmt.Fprintf(s.Out, "\nThe list %q has it on line %s and it is not watched there: %s.\n", tame(h.List), grouped(h.Line), tame(h.Words))
	}
}

func (a shown) printContacts(s *session) error {
	if len(a.Contacts) == 0 {
		fmt.Fprintf(s.Out, "\nNo payment between it and a listed address is recorded. What is recorded reaches as far as those were watched.\n")
		return nil
	}
	fmt.Fprintf(s.Out, "\nDirect payments with listed addresses, as recorded (an amount is what the payee received):\n")
	t := &table{columns: []column{
		{name: "DIRECTION"}, {name: "LISTED ADDRESS"}, {name: "LABEL", cut: true, spare: true, below: true, label: "label"}, {name: "LISTS", below: true, label: "lists"},
		{name: "BTC", right: true}, {name: "TXS", right: true}, {name: "LAST (UTC)"}, {name: "GRADE"},
	}}
	for _, c := range a.Contacts {
		lists := strings.Join(c.Lists, ", ")
		if !c.InForce {
			lists += " (ended)"
		}
		direction := "paid to"
		if c.Direction == "in" {
			direction = "paid by"
		}
		t.add(direction, c.Address, tame(c.Label), tame(lists), btc(c.AmountSat), grouped(c.TxCount), minute(c.LastAt), c.Proof)
	}
	return t.print(s.Terminal)
}

func (a shown) printCoverage(s *session) {
	if len(a.Coverage) == 0 {
		fmt.Fprintf(s.Out, "\nBy itself it is not covered: it was never watched, or the watch has not begun.\n")
		return
	}
	fmt.Fprintf(s.Out, "\nCovered:\n")
	for _, c := range a.Coverage {
		fmt.Fprintf(s.Out, "  blocks %s to %s: %s, %s\n", grouped(int64(c.FromHeight)), grouped(int64(c.ToHeight)), tame(c.How), c.Grade)
	}
	if last := a.Coverage[len(a.Coverage)-1]; last.NotSeen != nil {
		fmt.Fprintf(s.Out, "  %s\n", *last.NotSeen)
	}
}

func (a shown) printLists(s *session) error {
	if len(a.Lists) == 0 {
		return nil
	}
	fmt.Fprintf(s.Out, "\nThe answer rests on these lists:\n")
	return listTable(a.Lists).print(s.Terminal)
}

func listTable(lists []sql.ListRow) *table {
	t := &table{columns: []column{
		{name: "LIST"}, {name: "ADDRESSES", right: true}, {name: "NOT WATCHED", right: true}, {name: "READ (UTC)"}, {name: "CHANGED (UTC)"},
		{name: "FROM", cut: true, spare: true, below: true, label: "from"}, {name: "FAILED (UTC)", below: true, label: "failed (UTC)"},
	}}
	for _, l := range lists {
		t.add(tame(l.List), grouped(l.Addresses), grouped(l.Held), minute(l.ReadAt), minute(l.ChangedAt), tame(l.Origin), minute(l.FailedAt))
	}
	return t
}
