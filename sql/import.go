package sql

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"btcwatch/watchlist"
)

// Import is one list as a file has it.
type Import struct {
	List   string // its name here
	Origin string // the file or the web address
	Actor  string // who did it; empty: the daemon
	Format string
	SHA256 func() [32]byte // of the file; asked for when all rows were read

	Rows      iter.Seq2[watchlist.Row, error]
	Add       bool // what the list has and the file has not stays; otherwise it is retired
	MaxChange int  // percent of the list that may be added and retired at once; 0: any
	Dry       bool // say what would change, and change nothing

	// Each is called with every listing that the file adds, changes or retires; nil: not.
	Each func(ListingChange) error
}

// ErrReserved says that a list may not be called so.
var ErrReserved = errors.New("a list of another kind is called so")

// SizeError says that a file would change a list by more than it may, or that
// nothing in it can be watched. Nothing of it is taken.
type SizeError struct {
	List           string
	Before         int64 // addresses on the list
	Added, Retired int64
	Entries, Held  int64
	MaxChange      int // percent
}

func (e *SizeError) Error() string {
	if e.Entries == 0 {
		return fmt.Sprintf("the list %q has no entry; it has %d addresses now", e.List, e.Before)
	}
	if e.Entries == e.Held {
		return fmt.Sprintf("none of the %d entries of the list %q can be watched, and it has %d addresses now", e.Entries, e.List, e.Before)
	}
	return fmt.Sprintf("the list %q has %d addresses; the file adds %d and retires %d, more than the %d percent that one change may",
		e.List, e.Before, e.Added, e.Retired, e.MaxChange)
}

// Import takes a list from a file, all of it or nothing. A *SizeError refuses
// one that changes too much.
func (s *Store) Import(ctx context.Context, i Import) (Changed, error) {
	if i.List == "" || i.List == ConfigList || i.List == CommandList {
		return Changed{}, fmt.Errorf("import a list as %q: %w", i.List, ErrReserved)
	}
	return s.changeList(ctx, &listChange{
		list: i.List, origin: i.Origin, actor: i.Actor, whole: !i.Add, rows: i.Rows, file: &i, dry: i.Dry,
	})
}

// checkSize refuses a file that changes its list by more than it may.
func (c *listChange) checkSize(ctx context.Context) error {
	if c.file == nil {
		return nil
	}
	e := &SizeError{
		List: c.list, Added: c.changed.Added, Retired: c.changed.Retired,
		Entries: c.changed.Entries, Held: c.changed.Held, MaxChange: c.file.MaxChange,
	}
	err := c.tx.QueryRow(ctx, `
		SELECT count(*)
		FROM btcwatch.listing l
		WHERE l.list = $1
		  AND NOT l.retired
		  AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)`, c.list).Scan(&e.Before)
	switch {
	case err != nil:
		return fmt.Errorf("count the list %s: %w", c.list, err)
	case e.Entries == 0 && c.whole:
		return e // a list that says nothing is broken, the first time too
	case e.Before == 0:
		return nil
	case e.Entries == e.Held && c.whole:
		return e
	case c.file.MaxChange > 0 && (e.Added+e.Retired)*100 > e.Before*int64(c.file.MaxChange):
		return e
	}
	return nil
}
