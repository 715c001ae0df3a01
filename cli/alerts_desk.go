package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"btcwatch/chain"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type alertsAck struct {
	IDs  []string `arg:"" name:"id" help:"Alert ids, or their first four digits or more."`
	Note string   `placeholder:"TEXT" help:"What you want to add."`
}

// Run says that a person looks at alerts.
func (c *alertsAck) Run(s *session) error {
	return s.act(c.IDs, sql.Action{Kind: "acknowledge", Note: c.Note})
}

type alertsNote struct {
	ID   string `arg:"" name:"id" help:"The alert's id, or its first four digits or more."`
	Text string `arg:"" help:"The note."`
}

// Run adds a note.
func (c *alertsNote) Run(s *session) error {
	return s.act([]string{c.ID}, sql.Action{Kind: "note", Note: c.Text})
}

type alertsReopen struct {
	IDs  []string `arg:"" name:"id" help:"Alert ids, or their first four digits or more."`
	Note string   `required:"" placeholder:"TEXT" help:"Why."`
}

// Run opens closed alerts again.
func (c *alertsReopen) Run(s *session) error {
	return s.act(c.IDs, sql.Action{Kind: "reopen", Note: c.Note})
}

type alertsClose struct {
	IDs         []string `arg:"" optional:"" name:"id" help:"Alert ids, or their first four digits or more."`
	Address     string   `placeholder:"ADDRESS" help:"In the place of ids: all alerts of this address; goes with --before."`
	Before      string   `placeholder:"DATE" help:"Only those opened before: 2026-03-31, or 2026-03-31T14:00:00Z."`
	Disposition string   `required:"" placeholder:"WORD" enum:"reported,false_positive,duplicate,no_action" help:"What came of it: reported, false_positive, duplicate or no_action."`
	Note        string   `required:"" placeholder:"TEXT" help:"Why. It is kept with your name and never changed."`
	Yes         bool     `help:"Do not ask whether it is meant."`
	DryRun      bool     `help:"With --address: show what would be closed, and close nothing."`
}

// Run closes alerts.
func (c *alertsClose) Run(s *session) error {
	action := sql.Action{Kind: "close", Disposition: c.Disposition, Note: c.Note}
	switch {
	case len(c.IDs) > 0 && (c.Address != "" || c.Before != ""):
		return wrongUsef("give either alert ids or --address with --before")
	case len(c.IDs) > 0 && c.DryRun:
		return wrongUsef("--dry-run is for --address with --before; btcwatch alerts show ID shows one")
	case len(c.IDs) > 0:
		return s.act(c.IDs, action)
	case c.Address == "" || c.Before == "":
		return wrongUsef("which alerts? Give their ids, or --address ADDRESS --before DATE")
	case !c.Yes && !c.DryRun && !(s.InIsTerminal && s.ErrIsTerminal):
		return wrongUsef("nobody can be asked here whether this is meant: type it at a terminal, or say --yes")
	}
	before, err := readMoment("--before", c.Before)
	if err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	address, err := chain.ParseAddress(c.Address, config.Network)
	if err != nil {
		return wrongUse{err.Error()}
	}
	return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, p *progress) error {
		return c.closeAll(ctx, s, store, config, address.Text, before, action, p)
	})
}

func (c *alertsClose) closeAll(ctx context.Context, s *session, store *sql.Store, config *daemon.Config, address string, before time.Time, action sql.Action, p *progress) error {
	closable, err := store.Closable(ctx, address, before)
	if err != nil {
		return err
	}
	count := int64(0)
	for _, row := range closable {
		count += row.Count
	}
	if count == 0 {
		s.say("No alert of %s from before %s UTC is open; nothing is changed.", address, minute(&before))
		return nil
	}
	if c.DryRun || !c.Yes {
		p.end()
		if err := closableTable(closable).print(s.Terminal); err != nil {
			return err
		}
	}
	if c.DryRun {
		s.say("%s of %s from before %s UTC would be closed as %s. Nothing is changed.", counted(count, "alert", "alerts"), address, minute(&before), c.Disposition)
		return nil
	}
	if !c.Yes {
		s.say("%s of %s from before %s UTC will be closed as %s.", counted(count, "alert", "alerts"), address, minute(&before), c.Disposition)
		if err := s.confirm(); err != nil {
			return err
		}
	}
	if action.Actor, err = s.namedActor(ctx, config, store); err != nil {
		return err
	}
	closed, err := store.CloseAll(ctx, address, before, action)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "%s closed as %s.\n", counted(closed, "alert is", "alerts are"), c.Disposition)
	return err
}

func closableTable(list []sql.ClosableRow) *table {
	t := &table{columns: []column{
		{name: "SEVERITY", paint: severityColour}, {name: "TYPE"}, {name: "ALERTS", right: true}, {name: "OLDEST (UTC)"}, {name: "NEWEST (UTC)"},
	}}
	for _, row := range list {
		t.add(row.Severity, row.Type, grouped(row.Count), minute(&row.Oldest), minute(&row.Newest))
	}
	return t
}

// act does the same with each of some alerts, and goes on where one is refused.
func (s *session) act(ids []string, action sql.Action) error {
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return err
		}
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		if action.Actor, err = s.namedActor(ctx, config, store); err != nil {
			return err
		}
		refused := 0
		for _, prefix := range ids {
			var which whichAlert
			switch err := s.actOn(ctx, store, prefix, action); {
			case errors.As(err, &which):
				refused++
				s.say("btcwatch: %s", err)
			case errors.Is(err, sql.ErrNotDone):
				refused++
				s.say("btcwatch: %s: %s", prefix, err)
			case err != nil:
				return err
			}
		}
		if refused > 0 {
			return exitCode(1)
		}
		return nil
	})
}

func (s *session) actOn(ctx context.Context, store *sql.Store, prefix string, action sql.Action) error {
	id, err := findAlert(ctx, store, prefix)
	if err != nil {
		return err
	}
	state, err := store.Act(ctx, id, action)
	if err != nil {
		return err
	}
	text := state
	if action.Kind == "note" {
		text = "noted (" + state + ")"
	}
	_, err = fmt.Fprintf(s.Out, "%s  %s\n", id.String()[:shownID], text)
	return err
}

// namedActor is who acts, in words; empty on a server, where the database
// itself knows whose session it is and takes nobody's word for it.
func (s *session) namedActor(ctx context.Context, config *daemon.Config, store *sql.Store) (string, error) {
	if config.DatabaseURL != "" {
		return "", nil
	}
	return s.actor(ctx, config, store)
}

// whichAlert says that an id names no alert, or several.
type whichAlert string

func (e whichAlert) Error() string { return string(e) }

// readMoment reads a date, which begins at midnight UTC, or a time.
func readMoment(flag, text string) (time.Time, error) {
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, wrongUsef("%s %q is no date: write it like 2026-03-31, or 2026-03-31T14:00:00Z", flag, tame(text))
}

func actionTable(list []sql.ActionRow) *table {
	t := &table{columns: []column{{name: "DONE (UTC)"}, {name: "BY"}, {name: "WHAT"}, {name: "NOTE", below: true}}}
	for _, row := range list {
		what := pastOf(row.Action)
		if row.Disposition != nil {
			what += " as " + *row.Disposition
		}
		t.add(minute(&row.At), row.Actor, what, row.Note)
	}
	return t
}

func pastOf(action string) string {
	past := map[string]string{"acknowledge": "acknowledged", "note": "noted", "close": "closed", "reopen": "reopened"}
	return past[action]
}
