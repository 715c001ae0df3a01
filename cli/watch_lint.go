package cli

import (
	"fmt"

	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

type watchLint struct {
	File      string `arg:"" help:"The file, a web address, or - for standard input."`
	JSON      bool   `name:"json" help:"The counts as one JSON object."`
	listFlags `embed:""`
}

type lintRow struct {
	Format  string                         `json:"format"`
	Entries int64                          `json:"entries"`
	Held    int64                          `json:"held"`
	Reasons map[watchlist.HeldReason]int64 `json:"held_for"`
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
	return s.readList(c.File, given, func(source *listSource, reading *listfile.Reading) error {
		var held int64
		for row, err := range reading.Rows() {
			if err != nil {
				return fmt.Errorf("%s: %w", source.name, err)
			}
			if row.Held != nil {
				held++
			}
		}
		if c.JSON {
			err = printJSON(s.Out, lintRow{reading.Format.Name, reading.Entries, held, reading.Reasons})
		} else {
			err = tellReading(s, source.name, reading, held)
		}
		if err == nil && (held > 0 || reading.Entries == 0) {
			err = exitCode(1)
		}
		return err
	})
}
