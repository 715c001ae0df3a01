package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/sql"
)

type alertsCommand struct {
	List alertsList `cmd:"" help:"List alerts, newest first."`
	Show alertsShow `cmd:"" help:"Show an alert in full, whom it reached and who worked on it."`

	Ack    alertsAck    `cmd:"" help:"Say that you look at an alert."`
	Note   alertsNote   `cmd:"" help:"Add a note to an alert."`
	Close  alertsClose  `cmd:"" help:"Close alerts, with what came of them."`
	Reopen alertsReopen `cmd:"" help:"Open a closed alert again."`
}

type alertsList struct {
	All      bool     `help:"Also those for the daily report only: dust, deeper confirmations."`
	State    []string `placeholder:"STATE" enum:"open,acknowledged,closed" help:"Only in these states: open, acknowledged, closed."`
	Address  string   `placeholder:"ADDRESS" help:"Only of this address."`
	Type     string   `placeholder:"TYPE" help:"Only of this type, such as transaction.seen."`
	Severity string   `default:"info" placeholder:"LEVEL" help:"Only those at least so severe: info, low, medium, high, severe."`
	Since    string   `placeholder:"DATE" help:"Only those since then: 2026-03-31, or 2026-03-31T14:00:00Z."`
	Limit    int      `default:"50" placeholder:"N" help:"At most so many (${default})."`
	JSON     bool     `name:"json" help:"One JSON object a line."`
}

// chosen reads the flags.
func (c *alertsList) chosen() (sql.Chosen, error) {
	chosen := sql.Chosen{Quiet: c.All, States: c.State, Address: c.Address, Type: c.Type, Most: c.Limit + 1}
	var err error
	if c.Limit < 1 {
		return chosen, wrongUsef("--limit %d: use 1 or more", c.Limit)
	}
	if chosen.Severity, err = alerts.ParseSeverity(c.Severity); err != nil {
		return chosen, wrongUsef("--severity: %s", err)
	}
	if t := alerts.Type(c.Type); c.Type != "" && !slices.Contains(alerts.Types(), t) && t.Rule() == "" {
		return chosen, wrongUsef("--type %q: there is no such type of alert: use %s", tame(c.Type), typeWords())
	}
	if c.Since != "" {
		chosen.Since, err = readMoment("--since", c.Since)
	}
	return chosen, err
}

func typeWords() string {
	var words []string
	for _, t := range alerts.Types() {
		words = append(words, string(t))
	}
	return strings.Join(words, ", ") + " or rule.NAME"
}

// filtered says whether alerts were left out that the list would else show.
func (c *alertsList) filtered() bool {
	return len(c.State) > 0 || c.Address != "" || c.Type != "" || c.Severity != "info" || c.Since != ""
}

// Run lists alerts.
func (c *alertsList) Run(s *session) error {
	chosen, err := c.chosen()
	if err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	if c.Address != "" {
		address, err := chain.ParseAddress(c.Address, config.Network)
		if err != nil {
			return wrongUsef("--address: %s", err) // an empty list would read as "none"
		}
		chosen.Address = address.Text
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		rows, err := store.Alerts(ctx, chosen)
		if err != nil {
			return err
		}
		more := len(rows) > c.Limit
		if more {
			rows = rows[:c.Limit]
		}
		if err := c.print(s, rows); err != nil {
			return err
		}
		if more {
			s.say("There are older ones: --limit N shows more.")
		}
		return nil
	})
}

func (c *alertsList) print(s *session, rows []sql.AlertRow) error {
	switch {
	case c.JSON:
		return printJSON(s.Out, rows...)
	case len(rows) == 0 && c.filtered():
		s.say("No alert is so%s; without options the list shows more.", c.unseen())
		return nil
	case len(rows) == 0 && c.All:
		s.say("No alert is recorded.")
		return nil
	case len(rows) == 0:
		s.say("No alert is recorded (--all shows also those for the daily report only).")
		return nil
	}
	return alertTable(rows).print(s.Terminal)
}

// unseen says where an empty list did not look.
func (c *alertsList) unseen() string {
	if c.All {
		return ""
	}
	return " (--all looks also at those for the daily report only)"
}

// shownID is how much of an id a table shows: enough to tell a million apart.
const shownID = 12

func alertTable(rows []sql.AlertRow) *table {
	t := &table{columns: []column{
		{name: "ALERT", below: true}, {name: "TIME (UTC)"}, {name: "SEVERITY", paint: severityColour}, {name: "TYPE"}, {name: "STATE"},
		{name: "SUMMARY", below: true, wrap: true},
	}}
	for _, row := range rows {
		state := row.State
		if row.Quiet {
			state = "report only"
		}
		t.add(row.ID[:min(shownID, len(row.ID))], minute(&row.OpenedAt), row.Severity, row.Type, state, row.Summary)
	}
	return t
}

func severityColour(text string) colour {
	switch text {
	case "severe", "high":
		return red
	case "medium":
		return yellow
	case "low":
		return cyan
	}
	return ordinary
}

type alertsShow struct {
	ID   string `arg:"" name:"id" help:"The alert's id, or its first four digits or more."`
	JSON bool   `name:"json" help:"The body exactly as it is sent."`
}

// Run shows one alert.
func (c *alertsShow) Run(s *session) error {
	if err := checkID(c.ID); err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		id, err := findAlert(ctx, store, c.ID)
		if err != nil {
			return err
		}
		body, deliveries, err := store.Alert(ctx, id)
		if err != nil {
			return err
		}
		if c.JSON {
			_, err := s.Out.Write(append(body, '\n'))
			return err
		}
		decoded, err := alerts.Decode(body)
		if err != nil {
			return fmt.Errorf("read the alert %s: %w", id, err)
		}
		if _, err := io.WriteString(s.Out, alerts.Terminal(decoded, config.Zone, s.coloured())+"\n"); err != nil {
			return err
		}
		done, err := store.Actions(ctx, id)
		if err != nil {
			return err
		}
		if len(done) > 0 {
			if err := actionTable(done).print(s.Terminal); err != nil {
				return err
			}
			fmt.Fprintln(s.Out)
		}
		if len(deliveries) == 0 {
			_, err := fmt.Fprintln(s.Out, "It is sent to no channel: no channel takes alerts of its kind and severity, or it is for the daily report only.")
			return err
		}
		return deliveryTable(deliveries).print(s.Terminal)
	})
}

func checkID(id string) error {
	if len(id) < 4 || len(id) > 32 || strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
		return wrongUsef("%q is no alert id: give 4 to 32 hexadecimal digits, as btcwatch alerts list shows them", tame(id))
	}
	return nil
}

func findAlert(ctx context.Context, store *sql.Store, prefix string) (alerts.ID, error) {
	const some = 5
	ids, err := store.AlertsLike(ctx, prefix, some)
	switch {
	case err != nil:
		return alerts.ID{}, err
	case len(ids) == 0:
		return alerts.ID{}, whichAlert("no alert has an id that begins with " + prefix + ": btcwatch alerts list --all shows them")
	case len(ids) > 1:
		var text []string
		for _, id := range ids {
			text = append(text, "  "+id.String())
		}
		return alerts.ID{}, whichAlert("several alerts begin with " + prefix + "; give more digits:\n" + strings.Join(text, "\n"))
	}
	return ids[0], nil
}

func deliveryTable(rows []sql.DeliveryRow) *table {
	t := &table{columns: []column{
		{name: "CHANNEL"}, {name: "DELIVERY", paint: deliveryColour}, {name: "TRIES", right: true},
		{name: "DELIVERED (UTC)"}, {name: "NEXT TRY (UTC)", spare: true}, {name: "SUMMED UP", spare: true}, {name: "LAST ERROR", cut: true, spare: true},
	}}
	for _, row := range rows {
		next, last, summed := "", "", ""
		switch {
		case row.CarriedBy != nil:
			summed = "by " + (*row.CarriedBy)[:min(shownID, len(*row.CarriedBy))]
		case row.Summed:
			summed = "within the hour"
		}
		if row.State == "waiting" && (!row.Summed || row.CarriedBy != nil) {
			next = minute(&row.NextAt)
		}
		if row.LastError != nil {
			last = *row.LastError
		}
		t.add(row.Channel, row.State, grouped(int64(row.Attempts)), minute(row.DeliveredAt), next, summed, last)
	}
	return t
}

func deliveryColour(text string) colour {
	switch text {
	case "delivered":
		return green
	case "dead":
		return red
	}
	return yellow
}
