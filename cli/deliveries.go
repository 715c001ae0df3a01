package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"btcwatch/alerts"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type deliveriesCommand struct {
	List  deliveriesList  `cmd:"" help:"List deliveries that wait or were given up, newest alert first."`
	Retry deliveriesRetry `cmd:"" help:"Deliver again what was given up, and what waits for its next try."`
}

type deliveriesList struct {
	State   []string `placeholder:"STATE" enum:"waiting,delivered,dead" default:"waiting,dead" help:"waiting, delivered, dead (given up); ${default} unless told otherwise."`
	Channel string   `placeholder:"NAME" help:"Only to this channel."`
	Limit   int      `default:"50" placeholder:"N" help:"At most so many (${default})."`
	JSON    bool     `name:"json" help:"One JSON object a line."`
}

// Run lists deliveries.
func (c *deliveriesList) Run(s *session) error {
	if c.Limit < 1 {
		return wrongUsef("--limit %d: use 1 or more", c.Limit)
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		rows, err := store.Deliveries(ctx, sql.Queued{Channel: c.Channel, States: c.State, Most: c.Limit + 1})
		if err != nil {
			return err
		}
		more := len(rows) > c.Limit
		rows = rows[:min(len(rows), c.Limit)]
		switch {
		case c.JSON:
			err = printJSON(s.Out, rows...)
		case len(rows) == 0:
			s.say("No delivery is %s.", strings.Join(c.State, " or "))
		default:
			err = queueTable(rows).print(s.Terminal)
		}
		if more {
			s.say("There are more: --limit N shows them.")
		}
		return err
	})
}

func queueTable(list []sql.QueuedRow) *table {
	t := &table{columns: []column{
		{name: "ALERT"}, {name: "CHANNEL"}, {name: "DELIVERY", paint: deliveryColour}, {name: "TRIES", right: true}, {name: "NEXT TRY (UTC)"},
		{name: "SEVERITY", paint: severityColour}, {name: "SUMMARY", cut: true, below: true}, {name: "LAST ERROR", cut: true, below: true},
	}}
	for _, row := range list {
		last := ""
		if row.LastError != nil {
			last = *row.LastError
		}
		state := row.State
		if row.State == "waiting" && row.HeldFor != nil {
			state += ", " + *row.HeldFor
		}
		t.add(row.Alert[:min(shownID, len(row.Alert))], row.Channel, state, grouped(int64(row.Attempts)), minute(row.NextAt), row.Severity, row.Summary, last)
	}
	return t
}

type deliveriesRetry struct {
	ID      string `arg:"" optional:"" name:"id" help:"The alert's id, or its first four digits or more."`
	All     bool   `help:"In the place of an id: all alerts."`
	Channel string `placeholder:"NAME" help:"Only to this channel."`
}

// Run makes deliveries due.
func (c *deliveriesRetry) Run(s *session) error {
	if (c.ID == "") != c.All {
		return wrongUsef("which alert? Give its id, or --all")
	}
	if c.ID != "" {
		if err := checkID(c.ID); err != nil {
			return err
		}
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	channels, err := c.channels(config)
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error { return c.retry(ctx, s, config, store, channels) })
}

// channels are those that somebody would deliver to.
func (c *deliveriesRetry) channels(config *daemon.Config) ([]string, error) {
	var names []string
	for _, channel := range config.Channels {
		names = append(names, channel.Name)
	}
	if c.Channel == "" {
		return names, nil
	}
	if !slices.Contains(names, c.Channel) {
		return nil, wrongUsef("no channel %q is configured in %s: there are %s", tame(c.Channel), config.File, strings.Join(names, ", "))
	}
	return []string{c.Channel}, nil
}

func (c *deliveriesRetry) retry(ctx context.Context, s *session, config *daemon.Config, store *sql.Store, channels []string) error {
	var id *alerts.ID
	if c.ID != "" {
		found, err := findAlert(ctx, store, c.ID)
		if err != nil {
			return err
		}
		id = &found
	}
	actor, err := s.actor(ctx, config, store)
	if err != nil {
		return err
	}
	counts, err := store.Retry(ctx, id, channels, actor)
	if err != nil {
		return err
	}
	for _, name := range channels {
		if n := counts[name]; n > 0 {
			fmt.Fprintf(s.Out, "%s: %s due now.\n", name, counted(n, "delivery is", "deliveries are"))
		}
	}
	if len(counts) == 0 {
		s.say("Nothing of it waits or was given up; nothing is changed.")
		return nil
	}
	leads, err := store.Leads(ctx)
	if err == nil && !leads {
		s.say("No daemon is running now: they go out when btcwatch run starts.")
	}
	return err
}
