package cli

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"

	"btcwatch/sql"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

type watchExport struct {
	Lists []string `arg:"" optional:"" help:"The lists; all, unless some are named."`
	Form  string   `default:"csv" help:"How they are written: ${forms} (${default}). Each reads back with watch import."`
	AsOf  string   `placeholder:"TIME" help:"As they were known here then, as watch show --as-of takes it."`
	Out   string   `placeholder:"FILE" help:"Write there, whole or not at all, instead of to standard output."`
}

func formNames() string {
	var names []string
	for _, form := range listfile.Forms() {
		names = append(names, form.Name)
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// Run writes the listings in force.
func (c *watchExport) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	var form *listfile.Form
	for _, one := range listfile.Forms() {
		if one.Name == c.Form {
			form = &one
		}
	}
	if form == nil {
		return wrongUsef("--form %q is unknown: use %s", c.Form, formNames())
	}
	asOf, err := instant(c.AsOf, s.Now())
	if err != nil {
		return err
	}
	return s.withStoreTelling(config, func(ctx context.Context, store *sql.Store, p *progress) error {
		if err := thereAre(ctx, store, c.Lists); err != nil {
			return err
		}
		var n int64
		listings := countedSeq(store.EachListing(ctx, c.Lists, asOf), &n)
		err := c.write(s, func(to io.Writer) error { return form.Write(to, listings) })
		p.end()
		if err == nil {
			s.say("%s written.", counted(n, "listing", "listings"))
		}
		return err
	})
}

// thereAre refuses the names of lists that are none: an empty file would say that
// nobody is on them.
func thereAre(ctx context.Context, store *sql.Store, names []string) error {
	lists, err := store.Lists(ctx)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	var all []string
	for _, l := range lists {
		have[l.List], all = true, append(all, l.List)
	}
	for _, name := range names {
		if !have[name] {
			return fmt.Errorf("there is no list %q; there are: %s", name, tame(strings.Join(all, ", ")))
		}
	}
	return nil
}

func countedSeq(all iter.Seq2[watchlist.Listing, error], n *int64) iter.Seq2[watchlist.Listing, error] {
	return func(yield func(watchlist.Listing, error) bool) {
		for l, err := range all {
			*n++
			if !yield(l, err) {
				return
			}
		}
	}
}

func (c *watchExport) write(s *session, write func(io.Writer) error) error {
	if c.Out == "" {
		return write(s.Out)
	}
	if err := writeWhole(c.Out, write); err != nil {
		return fmt.Errorf("write %s: %w", c.Out, err)
	}
	return nil
}
