package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"btcwatch/daemon"
	"btcwatch/sql"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

type watchImport struct {
	File string `arg:"" help:"The file, a web address, or - for standard input."`

	List      string `placeholder:"NAME" help:"What the list is called here: the name of the file without its ending, unless told otherwise."`
	Add       bool   `help:"Keep what the list has and the file has not; it is retired otherwise."`
	MaxChange int    `default:"20" placeholder:"PERCENT" help:"Refuse a file that adds and retires more than this part of the list (${default}); 0: any. The first file of a list is taken whole."`
	DryRun    bool   `help:"Say what would change, and change nothing."`
	JSON      bool   `name:"json" help:"The counts as one JSON object."`
	listFlags `embed:""`
}

// Run imports a list.
func (c *watchImport) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	given, err := c.check(s, config)
	if err != nil {
		return err
	}
	return s.readList(c.File, given, func(source *listSource, reading *listfile.Reading) error {
		return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, p *progress) error {
			actor, err := s.actor(ctx, config, store)
			if err != nil {
				return err
			}
			changed, err := store.Import(ctx, sql.Import{
				List: c.List, Origin: source.name, Actor: actor, Format: reading.Format.Name, SHA256: reading.Sum,
				Rows: reading.Rows(), Add: c.Add, MaxChange: c.MaxChange, Dry: c.DryRun,
			})
			p.end()
			if err != nil {
				return c.refused(err)
			}
			return c.tell(s, config, reading, changed)
		})
	})
}

// check completes what was said, and refuses what cannot be meant.
func (c *watchImport) check(s *session, config *daemon.Config) (listfile.Given, error) {
	if c.List == "" {
		c.List = listName(c.File)
	}
	if err := notReserved(c.List); err != nil {
		return listfile.Given{}, err
	}
	if c.MaxChange < 0 {
		return listfile.Given{}, wrongUsef("--max-change %d: use a number of percent, or 0 for any", c.MaxChange)
	}
	return c.given(s, config)
}

// refused says of an error what became of the list.
func (c *watchImport) refused(err error) error {
	fault, size := new(listfile.FaultError), new(sql.SizeError)
	switch {
	case errors.As(err, &fault):
		return fmt.Errorf("%s: %s. Nothing of it is taken", c.File, fault)
	case errors.As(err, &size) && size.Entries == size.Held:
		return fmt.Errorf("%s: %s. Nothing is changed; to end the list: btcwatch watch retire --list %s", c.File, size, c.List)
	case errors.As(err, &size):
		return fmt.Errorf("%s: %s. Nothing is changed; look with --dry-run --max-change 0, and give a larger --max-change if it is right", c.File, size)
	}
	return err
}

type importRow struct {
	List    string                         `json:"list"`
	Format  string                         `json:"format"`
	DryRun  bool                           `json:"dry_run"`
	Entries int64                          `json:"entries"`
	Held    int64                          `json:"held"`
	Reasons map[watchlist.HeldReason]int64 `json:"held_for"`
	Added   int64                          `json:"added"`
	Changed int64                          `json:"changed"`
	Retired int64                          `json:"retired"`
}

// tell says what the import did.
func (c *watchImport) tell(s *session, config *daemon.Config, r *listfile.Reading, changed sql.Changed) error {
	if c.JSON {
		return printJSON(s.Out, importRow{
			c.List, r.Format.Name, c.DryRun, changed.Entries, changed.Held, r.Reasons, changed.Added, changed.Changed, changed.Retired,
		})
	}
	if err := tellReading(s, c.File, r, changed.Held); err != nil {
		return err
	}
	verb := "has"
	if c.DryRun {
		verb = "would have"
	}
	fmt.Fprintf(s.Out, "The list %q %s %s added, %s changed, %s retired.\n", c.List, verb,
		counted(changed.Added, "address", "addresses"), grouped(changed.Changed), grouped(changed.Retired))
	switch {
	case c.DryRun:
		s.say("This was a trial: nothing is changed.")
	case changed.Import == 0:
		s.say("The list says what it said before: nothing is changed.")
	case config.Privacy.Mode == daemon.PrivacyBlocks:
		s.say("The daemon follows them by blocks from now on; their past stays unknown.")
	default:
		s.say("The daemon follows them from now on, reads the past of those that explorers may be asked about, and tells its sum in one alert.")
	}
	return nil
}

// tellReading says how a list is read, and what of it is not watched.
func tellReading(s *session, name string, r *listfile.Reading, held int64) error {
	fmt.Fprintf(s.Out, "%s is read as %s: %s, of which %s can be watched.\n",
		tame(name), r.Format.Title, counted(r.Entries, "entry", "entries"), grouped(r.Entries-held))
	tellSource(s, r)
	return tellHeld(s, r, held)
}

// tellSource repeats what a page says of itself, for a person to see what was
// taken, and what it does not say.
func tellSource(s *session, r *listfile.Reading) {
	if r.Format.Name != "text" && r.Format.Name != "html" {
		return
	}
	var says, silent []string
	for _, one := range []struct{ what, text string }{
		{"author", r.First.Author}, {"title", r.First.Title}, {"publisher", r.First.Publisher}, {"date", r.First.Date}, {"url", r.First.URL},
	} {
		if one.text == "" {
			silent = append(silent, one.what)
			continue
		}
		says = append(says, one.what+" "+strconv.Quote(tame(one.text)))
	}
	if len(says) > 0 {
		fmt.Fprintf(s.Out, "The page says: %s.\n", strings.Join(says, ", "))
	}
	if len(silent) > 0 {
		fmt.Fprintf(s.Out, "It does not say: %s. Flags such as --title say it where you know it; empty beats invented.\n", strings.Join(silent, ", "))
	}
}

// tellHeld shows the entries that are not watched.
func tellHeld(s *session, r *listfile.Reading, held int64) error {
	if held == 0 {
		return nil
	}
	t := &table{columns: []column{
		{name: "LINE", right: true}, {name: "NOT WATCHED", cut: true}, {name: "LISTED AS", spare: true}, {name: "REASON"}, {name: "", wrap: true},
	}}
	for _, row := range r.Held {
		line := ""
		if row.Line > 0 {
			line = grouped(int64(row.Line))
		}
		t.add(line, tame(row.Text), tame(row.Symbol), string(row.Held.Reason), tame(row.Held.Words))
	}
	if err := t.print(s.Terminal); err != nil {
		return err
	}
	if r.Reasons[watchlist.HeldSymbol] > 0 {
		s.say("To watch what is listed under another coin too, name that coin: --symbol USDT.")
	}
	if more := held - int64(len(r.Held)); more > 0 {
		s.say("and %s more: once imported, btcwatch sql -- -c 'SELECT * FROM report.held' shows all.", grouped(more))
	}
	return nil
}
