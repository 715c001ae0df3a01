package cli

import (
	"context"
	"fmt"

	"btcwatch/sql"
)

// lists says of the lists that are read by schedule which could not be taken, or
// never was.
func (c *checkup) lists(ctx context.Context, store *sql.Store) {
	all, err := store.Lists(ctx)
	if c.unread("lists", err) {
		return
	}
	known := map[string]sql.ListRow{}
	for _, l := range all {
		known[l.List] = l
	}
	for _, set := range c.config.Lists {
		l := known[set.Name]
		f := finding{Check: "list", Name: set.Name, State: isFine}
		switch {
		case l.Failure != nil:
			f.State, f.Finding, f.Do = isWrong, "could not be taken: "+tame(*l.Failure), "see docs/lists.md; what it said before stays in force"
		case l.ReadAt == nil:
			f.State, f.Finding = isNote, "never read yet; the daemon reads it when it starts"
		default:
			f.Finding = fmt.Sprintf("%s, read %s", counted(l.Addresses, "address", "addresses"), c.ago(*l.ReadAt))
		}
		if l.Held > 0 {
			f.Finding += fmt.Sprintf("; %s not watched", counted(l.Held, "entry is", "entries are"))
		}
		c.add(f)
	}
}

// histories says how many addresses have their past read: the others are being
// read, which is no gap, and nothing is blind for it.
func (c *checkup) histories(ctx context.Context, store *sql.Store) {
	if c.offline {
		return // it is said with what is watched
	}
	unread, err := store.Unread(ctx)
	if c.unread("history", err) || len(unread) == 0 {
		return
	}
	all := int64(len(c.addresses))
	c.add(finding{Check: "history", State: isNote, Finding: fmt.Sprintf(
		"the past of %s of %s is read; the daemon reads the others one by one, and blocks are covered for all meanwhile",
		grouped(all-int64(len(unread))), counted(all, "address", "addresses"))})
}
