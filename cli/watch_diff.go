package cli

import (
	"context"
	"fmt"
	"strings"

	"btcwatch/daemon"
	"btcwatch/sql"
	"btcwatch/watchlist/listfile"
)

type watchDiff struct {
	List string `arg:"" help:"The list."`
	File string `arg:"" optional:"" help:"A file, a web address or -: what it would change in the list. Without it: what changed in the list between --since and --until."`

	Since     string `placeholder:"TIME" help:"As watch show --as-of takes it."`
	Until     string `placeholder:"TIME" help:"Likewise; now, unless told otherwise."`
	Add       bool   `help:"As for watch import --add: what the file has not is no difference."`
	JSON      bool   `name:"json" help:"One JSON object a line."`
	listFlags `embed:""`
}

// Run shows what is different, address by address.
func (c *watchDiff) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	if (c.File == "") == (c.Since == "") {
		return wrongUsef("say what to compare the list with: a file, or itself as it was: --since TIME")
	}
	since, err := instant(c.Since, s.Now())
	if err != nil {
		return err
	}
	until, err := instant(c.Until, s.Now())
	if err != nil {
		return err
	}
	show := &diffShown{s: s, json: c.JSON}
	if c.File == "" {
		err = s.withStore(config, func(ctx context.Context, store *sql.Store) error {
			return store.ListDiff(ctx, c.List, since, until, show.one)
		})
	} else {
		err = c.withFile(s, config, show)
	}
	if err != nil {
		return err
	}
	if !c.JSON {
		show.end()
	}
	return nil
}

// withFile shows what a file would change.
func (c *watchDiff) withFile(s *session, config *daemon.Config, show *diffShown) error {
	if err := notReserved(c.List); err != nil {
		return err
	}
	given, err := c.given(s, config)
	if err != nil {
		return err
	}
	return s.readList(c.File, given, func(source *listSource, reading *listfile.Reading) error {
		return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
			_, err := store.Import(ctx, sql.Import{
				List: c.List, Origin: source.name, Format: reading.Format.Name, SHA256: reading.Sum,
				Rows: reading.Rows(), Add: c.Add, Dry: true, Each: show.one,
			})
			if err != nil {
				return fmt.Errorf("%s: %w", source.name, err)
			}
			return nil
		})
	})
}

// diffShown prints differences as they come, and counts them.
type diffShown struct {
	s                       *session
	json                    bool
	added, changed, retired int64
}

func (d *diffShown) one(change sql.ListingChange) error {
	sign := map[string]string{"added": "+", "changed": "~", "retired": "-"}[change.How]
	switch change.How {
	case "added":
		d.added++
	case "changed":
		d.changed++
	case "retired":
		d.retired++
	}
	if d.json {
		return printJSON(d.s.Out, change)
	}
	var parts []string
	if change.Label != "" {
		parts = append(parts, "("+tame(change.Label)+")")
	}
	fmt.Fprintf(d.s.Out, "%s\n", strings.Join(append([]string{sign, change.Address}, parts...), " "))
	for _, f := range change.Fields {
		fmt.Fprintf(d.s.Out, "    %s: %s -> %s\n", f.Name, quotedOr(f.Before), quotedOr(f.After))
	}
	return nil
}

func quotedOr(text string) string {
	if text == "" {
		return "nothing"
	}
	return fmt.Sprintf("%q", tame(text))
}

func (d *diffShown) end() {
	d.s.say("%s added, %s changed, %s retired.", counted(d.added, "address", "addresses"), grouped(d.changed), grouped(d.retired))
}
