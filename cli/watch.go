package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"btcwatch/chain"
	"btcwatch/daemon"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

type watchCommand struct {
	Add    watchAdd    `cmd:"" help:"Watch an address from now on."`
	Import watchImport `cmd:"" help:"Watch the addresses of a list in a file."`
	List   watchList   `cmd:"" help:"List the watched addresses."`
	Show   watchShow   `cmd:"" help:"Tell of any address: who lists it since when, and which listed addresses it dealt with."`
	Diff   watchDiff   `cmd:"" help:"Show what a file would change in a list, or what changed in it since."`
	Lint   watchLint   `cmd:"" help:"Say what is wrong with a list in a file; changes nothing."`
	Export watchExport `cmd:"" help:"Write the listings as CSV, JSON lines or TagPack."`
	Retire watchRetire `cmd:"" help:"Watch an address no more, or a whole list; what is recorded stays."`
}

type watchList struct {
	All   bool `help:"Also those that are retired."`
	Lists bool `help:"The lists instead of the addresses: how many each has, and as of when it was read."`
	JSON  bool `name:"json" help:"One JSON object a line."`
}

// Run lists who is watched.
func (c *watchList) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		if c.Lists {
			return c.lists(ctx, s, store)
		}
		rows, err := store.Watched(ctx, c.All)
		if err != nil {
			return err
		}
		if waiting := notTaken(config, rows); waiting > 0 {
			s.say("%s of %s not recorded yet: btcwatch run takes up what the file lists at its start, a running one when told to reload.",
				counted(waiting, "address", "addresses"), config.File)
		}
		if c.JSON {
			return printJSON(s.Out, rows...)
		}
		if len(rows) == 0 {
			s.say("No address is on the list. Add one: btcwatch watch add ADDRESS, or a [watch.\"ADDRESS\"] table in %s.", config.File)
			return nil
		}
		if err := c.table(rows).print(s.Terminal); err != nil {
			return err
		}
		unread := func(row sql.WatchedRow) bool { return !row.HistoryRead }
		if slices.ContainsFunc(rows, unread) {
			s.say("A number with + may be higher: what was before the watch is not read there.")
		}
		return nil
	})
}

func (c *watchList) lists(ctx context.Context, s *session, store *sql.Store) error {
	all, err := store.Lists(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(s.Out, all...)
	}
	if len(all) == 0 {
		s.say("There is no list yet. Import one: btcwatch watch import FILE.")
		return nil
	}
	if err := listTable(all).print(s.Terminal); err != nil {
		return err
	}
	for _, l := range all {
		if l.Failure != nil {
			s.say("%s could not be taken: %s. What it said before stays in force.", tame(l.List), tame(*l.Failure))
		}
	}
	return nil
}

// notTaken counts the addresses of the configuration that no daemon has
// brought to the database yet.
func notTaken(config *daemon.Config, rows []sql.WatchedRow) int {
	have := map[string]bool{}
	for _, row := range rows {
		have[row.Address] = row.RetiredAt == nil
	}
	waiting := 0
	for _, l := range config.Watch {
		if !have[l.Address.Text] {
			waiting++
		}
	}
	return waiting
}

func (c *watchList) table(rows []sql.WatchedRow) *table {
	t := &table{columns: []column{
		{name: "ADDRESS"}, {name: "LABEL", cut: true, spare: true, below: true, label: "label"},
		{name: "BASIS", spare: true, below: true, label: "basis"}, {name: "LIST", below: true, label: "list"},
		{name: "BALANCE BTC", right: true}, {name: "TXS", right: true}, {name: "LAST ACTIVITY (UTC)"}, {name: "ADDED (UTC)", below: true, label: "added (UTC)"},
	}}
	if c.All {
		t.columns = append(t.columns, column{name: "RETIRED (UTC)"})
	}
	for _, row := range rows {
		txs := grouped(row.TxCount)
		if !row.HistoryRead {
			txs += "+" // those before the watch are not read yet
		}
		cells := []string{
			row.Address, row.Label, row.Basis, row.List, known(row.BalanceSat), txs, minute(row.LastAt), minute(&row.AddedAt),
		}
		if c.All {
			cells = append(cells, minute(row.RetiredAt))
		}
		t.add(cells...)
	}
	return t
}

type watchRetire struct {
	Address string `arg:"" optional:"" help:"The address."`
	List    string `placeholder:"NAME" help:"Every address of this list instead."`
}

// Run retires an address, or a list.
func (c *watchRetire) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	if (c.Address == "") == (c.List == "") {
		return wrongUsef("say what to retire: an address, or --list NAME")
	}
	if c.List != "" {
		return c.retireList(s, config)
	}
	address, err := chain.ParseAddress(c.Address, config.Network)
	if err != nil {
		return wrongUse{err.Error()}
	}
	if line, kept := keptAt(config, address); kept {
		return fmt.Errorf("%s is kept in the configuration, so that no command can retire it. Remove its table at %s:%d, then reload the daemon: systemctl reload btcwatch, or kill -HUP. What is recorded stays",
			address.Text, config.File, line)
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		actor, err := s.actor(ctx, config, store)
		if err != nil {
			return err
		}
		_, err = store.Retire(ctx, address, actor)
		if errors.Is(err, sql.ErrNotWatched) {
			return notOnList(ctx, store, config, address)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Out, "Retired %s: it is watched no more; what is recorded stays.\n", address.Text)
		return err
	})
}

func (c *watchRetire) retireList(s *session, config *daemon.Config) error {
	if c.List == sql.ConfigList {
		return fmt.Errorf("the list %q is kept in %s: remove its [watch] tables there, then reload the daemon", c.List, config.File)
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		actor, err := s.actor(ctx, config, store)
		if err != nil {
			return err
		}
		changed, err := store.RetireList(ctx, c.List, actor)
		if errors.Is(err, sql.ErrNotWatched) {
			return fmt.Errorf("no address is on a list %q: btcwatch watch list --lists shows the lists", c.List)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Out, "Retired %s of the list %q. Those that no other list has are watched no more; what is recorded stays.\n",
			counted(changed.Retired, "address", "addresses"), tame(c.List))
		return err
	})
}

// notOnList says why there is nothing to retire.
func notOnList(ctx context.Context, store *sql.Store, config *daemon.Config, address chain.Address) error {
	left, err := store.Listings(ctx, address)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%s is not in %s any more: the daemon retires it when it reads that file next. Start it, or reload it: systemctl reload btcwatch, or kill -HUP",
			address.Text, config.File)
	}
	return fmt.Errorf("%s is not watched: btcwatch watch list shows who is", address.Text)
}

// keptAt says on which line the configuration keeps an address.
func keptAt(config *daemon.Config, address chain.Address) (line int, kept bool) {
	for _, l := range config.Watch {
		if string(l.Address.Script) != string(address.Script) {
			continue
		}
		for _, spelling := range []string{l.Address.Text, strings.ToUpper(l.Address.Text)} {
			if line := config.Line("watch." + spelling); line > 0 {
				return line, true
			}
		}
		return 0, true
	}
	return 0, false
}

// describe names the lists that an address is on.
func describe(listings []watchlist.Listing) string {
	var parts []string
	for _, l := range listings {
		text := fmt.Sprintf("the list %q", l.List)
		if l.Label != "" {
			text += fmt.Sprintf(" as %q", tame(l.Label))
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " and ")
}
