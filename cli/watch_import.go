package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"btcwatch/daemon"
	"btcwatch/sql"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

type watchImport struct {
	File string `arg:"" help:"The file."`

	List         string   `placeholder:"NAME" help:"What the list is called here: the name of the file without its ending, unless told otherwise."`
	Format       string   `placeholder:"NAME" help:"How it is spelled, where that is not recognised: ofac-csv, tagpack, json, plain, html or text."`
	Symbol       []string `placeholder:"COIN" help:"Watch Bitcoin addresses that the list has under this coin too, such as USDT."`
	Add          bool     `help:"Keep what the list has and the file has not; it is retired otherwise."`
	MaxChange    int      `default:"20" placeholder:"PERCENT" help:"Refuse a file that adds and retires more than this part of the list (${default}); 0: any. The first file of a list is taken whole."`
	DryRun       bool     `help:"Say what would change, and change nothing."`
	JSON         bool     `name:"json" help:"The counts as one JSON object."`
	Basis        string   `help:"Ground of the listings, where the file names none: designation, seizure, court, partner, press, own; or unknown."`
	Entity       string   `help:"Whose they are, where the file does not say."`
	Category     string   `help:"Such as terrorist financing, where the file does not say."`
	Title        string   `help:"Source: its title, where the file does not say."`
	Author       string   `help:"Source: its author, likewise."`
	Publisher    string   `help:"Source: its publisher, likewise."`
	Date         string   `help:"Source: its date, likewise, as YYYY-MM-DD, YYYY-MM or YYYY."`
	URL          string   `name:"url" help:"Source: where it can be read, likewise."`
	Notify       string   `help:"How people are told below the severity high: each, digest or record."`
	Confidential *bool    `negatable:"" help:"Never ask an explorer about them. So it is for own addresses, unless --no-confidential says otherwise."`
}

// shownHeld is how many entries that are not watched are shown one by one.
const shownHeld = 20

// Run imports a list.
func (c *watchImport) Run(s *session) error {
	if err := c.check(); err != nil {
		return err
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	sum, err := hashOf(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.File, err)
	}
	format, text, err := listfile.Open(file, c.Format)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	reading := &listReading{judge: watchlist.Judge{Params: config.Network, Symbols: c.Symbol, Today: s.Now()}, reasons: map[watchlist.HeldReason]int64{}}
	entries := format.Read(listfile.Input{Text: text, Name: c.File, Beside: os.DirFS(filepath.Dir(c.File)), Params: config.Network})
	return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, p *progress) error {
		actor, err := s.actor(ctx, config, store)
		if err != nil {
			return err
		}
		changed, err := store.Import(ctx, sql.Import{
			List: c.List, Origin: c.File, Actor: actor, Format: format.Name, SHA256: func() [32]byte { return sum },
			Rows: reading.rows(c, entries), Add: c.Add, MaxChange: c.MaxChange, Dry: c.DryRun,
		})
		p.end()
		if err != nil {
			return c.refused(err)
		}
		return c.tell(s, config, format, reading, changed)
	})
}

// check completes what was said, and refuses what cannot be meant.
func (c *watchImport) check() error {
	if c.List == "" {
		base := filepath.Base(c.File)
		c.List = strings.TrimSuffix(base, filepath.Ext(base))
	}
	basis := watchlist.Basis(c.Basis)
	if c.Basis == "unknown" {
		basis = watchlist.Unknown
	}
	switch {
	case c.List == sql.ConfigList || c.List == sql.CommandList:
		return wrongUsef("a list cannot be called %q here: name another with --list", c.List)
	case !slices.Contains(watchlist.Bases(), basis):
		return wrongUsef("unknown basis %q: use designation, seizure, court, partner, press, own or unknown", c.Basis)
	case c.Notify != "" && !slices.Contains(watchlist.Notifications(), watchlist.Notify(c.Notify)):
		return wrongUsef("--notify %q is unknown: use each, digest or record", c.Notify)
	case c.MaxChange < 0:
		return wrongUsef("--max-change %d: use a number of percent, or 0 for any", c.MaxChange)
	case !isDate(c.Date):
		return wrongUsef("--date %q is no date: write YYYY-MM-DD, or YYYY-MM or YYYY where the source says no more", c.Date)
	}
	c.Basis = string(basis)
	return nil
}

// complete says of a listing what the file does not.
func (c *watchImport) complete(l watchlist.Listing) watchlist.Listing {
	for _, field := range []struct {
		at    *string
		value string
	}{
		{&l.Entity, c.Entity}, {&l.Category, c.Category}, {&l.Source.Title, c.Title}, {&l.Source.Author, c.Author},
		{&l.Source.Publisher, c.Publisher}, {&l.Source.Date, c.Date}, {&l.Source.URL, c.URL},
	} {
		if *field.at == "" {
			*field.at = field.value
		}
	}
	if l.Basis == watchlist.Unknown {
		l.Basis = watchlist.Basis(c.Basis)
	}
	if l.Notify = watchlist.Notify(c.Notify); l.Notify == watchlist.NotifyEach {
		l.Notify = "" // as where nothing is said
	}
	l.Confidential = l.Basis.Confidential()
	if c.Confidential != nil {
		l.Confidential = *c.Confidential
	}
	return l
}

// refused says of an error what became of the list.
func (c *watchImport) refused(err error) error {
	fault, size := new(listfile.FaultError), new(sql.SizeError)
	switch {
	case errors.As(err, &fault):
		return fmt.Errorf("%s: %s. Nothing of it is taken", c.File, fault)
	case errors.As(err, &size) && size.Entries == size.Held:
		return fmt.Errorf("%s: %s. Nothing is changed; to end the list, retire its addresses", c.File, size)
	case errors.As(err, &size):
		return fmt.Errorf("%s: %s. Nothing is changed; look with --dry-run --max-change 0, and give a larger --max-change if it is right", c.File, size)
	}
	return err
}

// listReading judges the entries of a list, and remembers for the person who reads it
// what is not watched.
type listReading struct {
	judge   watchlist.Judge
	held    []watchlist.Row
	reasons map[watchlist.HeldReason]int64
}

func (r *listReading) rows(c *watchImport, entries iter.Seq2[watchlist.Entry, error]) iter.Seq2[watchlist.Row, error] {
	return func(yield func(watchlist.Row, error) bool) {
		for e, err := range entries {
			if err != nil {
				yield(watchlist.Row{}, err)
				return
			}
			e.Listing = c.complete(e.Listing)
			row := r.judge.Judge(e)
			if row.Held != nil {
				r.reasons[row.Held.Reason]++
				if len(r.held) < shownHeld {
					r.held = append(r.held, row)
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func hashOf(file io.ReadSeeker) (sum [32]byte, err error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return sum, err
	}
	copy(sum[:], hash.Sum(nil))
	_, err = file.Seek(0, io.SeekStart)
	return sum, err
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
func (c *watchImport) tell(s *session, config *daemon.Config, format listfile.Format, r *listReading, changed sql.Changed) error {
	if c.JSON {
		return printJSON(s.Out, importRow{
			c.List, format.Name, c.DryRun, changed.Entries, changed.Held, r.reasons, changed.Added, changed.Changed, changed.Retired,
		})
	}
	fmt.Fprintf(s.Out, "%s is read as %s: %s, of which %s can be watched.\n",
		tame(c.File), format.Title, counted(changed.Entries, "entry", "entries"), grouped(changed.Entries-changed.Held))
	if err := c.tellHeld(s, r, changed.Held); err != nil {
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

func (c *watchImport) tellHeld(s *session, r *listReading, held int64) error {
	if held == 0 {
		return nil
	}
	t := &table{columns: []column{
		{name: "LINE", right: true}, {name: "NOT WATCHED", cut: true}, {name: "LISTED AS", spare: true}, {name: "REASON"}, {name: "", wrap: true},
	}}
	for _, row := range r.held {
		line := ""
		if row.Line > 0 {
			line = grouped(int64(row.Line))
		}
		t.add(line, tame(row.Text), tame(row.Symbol), string(row.Held.Reason), tame(row.Held.Words))
	}
	if err := t.print(s.Terminal); err != nil {
		return err
	}
	if r.reasons[watchlist.HeldSymbol] > 0 {
		s.say("To watch what is listed under another coin too, name that coin: --symbol USDT.")
	}
	if more := held - int64(len(r.held)); more > 0 {
		s.say("and %s more: once imported, btcwatch sql -- -c 'SELECT * FROM report.held' shows all.", grouped(more))
	}
	return nil
}
