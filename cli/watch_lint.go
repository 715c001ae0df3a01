package cli

import (
	"fmt"

	"btcwatch/watchlist/listfile"
)

type watchLint struct {
	File      string `arg:"" help:"The file, a web address, or - for standard input."`
	JSON      bool   `name:"json" help:"The counts as one JSON object."`
	listFlags `embed:""`
}

type lintRow struct {
	Format  string           `json:"format"`
	Entries int64            `json:"entries"`
	Held    int64            `json:"held"`
	Reasons map[string]int64 `json:"held_for"`
}

// Run reads a list and says what is wrong with it. It needs no database, and
// changes nothing. It fails where an entry cannot be watched.
func (c *watchLint) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	given, err := c.given(s, config)
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	source, err := s.openList(ctx, c.File)
	if err != nil {
		return err
	}
	defer source.text.Close()
	reading, err := listfile.Read(source.text, source.name, source.beside, given)
	if err != nil {
		return fmt.Errorf("%s: %w", source.name, err)
	}
	row := lintRow{Format: reading.Format.Name, Reasons: map[string]int64{}}
	for one, err := range reading.Rows() {
		if err != nil {
			return fmt.Errorf("%s: %w", source.name, err)
		}
		if row.Entries++; one.Held != nil {
			row.Held++
			row.Reasons[string(one.Held.Reason)]++
		}
	}
	if err := c.tell(s, source.name, reading, row); err != nil {
		return err
	}
	if row.Held > 0 || row.Entries == 0 {
		return exitCode(1)
	}
	return nil
}

func (c *watchLint) tell(s *session, name string, reading *listfile.Reading, row lintRow) error {
	if c.JSON {
		return printJSON(s.Out, row)
	}
	fmt.Fprintf(s.Out, "%s is read as %s: %s, of which %s can be watched.\n",
		tame(name), reading.Format.Title, counted(row.Entries, "entry", "entries"), grouped(row.Entries-row.Held))
	tellSource(s, reading)
	return tellHeld(s, reading, row.Held)
}
