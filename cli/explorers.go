package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"btcwatch/chain/explorer"
	"btcwatch/daemon"
	"btcwatch/sql"
)

type explorersCommand struct {
	List  explorersList  `cmd:"" help:"List the explorers and how each was found last."`
	Clear explorersClear `cmd:"" help:"Trust an explorer again that was caught in something false."`
}

type explorersList struct {
	JSON bool `name:"json" help:"One JSON object a line."`
}

// Run lists the configured explorers.
func (c *explorersList) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		list, err := store.Explorers(ctx)
		if err != nil {
			return err
		}
		s.sayNew(config, list)
		if c.JSON {
			return printJSON(s.Out, list...)
		}
		if len(list) == 0 {
			return nil
		}
		leads, err := store.Leads(ctx)
		if err != nil {
			return err
		}
		if !leads {
			s.say("No daemon leads now: this is how the last one found them.")
		}
		return explorerTable(list).print(s.Terminal)
	})
}

// sayNew says which explorers of the configuration no daemon has taken up yet.
func (s *session) sayNew(config *daemon.Config, list []sql.ExplorerListed) {
	known := map[string]bool{}
	for _, e := range list {
		known[e.Name] = true
	}
	for _, e := range config.Explorers {
		if !known[e.Name] {
			s.say("%s of %s was never asked yet: btcwatch run takes it up at its start, a running one when told to reload.", e.Name, config.File)
		}
	}
}

func explorerTable(list []sql.ExplorerListed) *table {
	t := &table{columns: []column{
		{name: "NAME"}, {name: "STATE"}, {name: "SINCE (UTC)"}, {name: "TIP", right: true}, {name: "LAST GOOD ANSWER (UTC)"},
		{name: "FAILOVERS", right: true}, {name: "LEFT/HOUR", right: true, spare: true}, {name: "LEFT/DAY", right: true, spare: true}, {name: "WHY", below: true},
	}}
	for _, e := range list {
		since, why := e.StateSince, ""
		if e.State != "ok" && e.LastError != nil {
			why = *e.LastError
		}
		if e.QuarantinedSince != nil {
			since, why = e.QuarantinedSince, "in quarantine: "+*e.QuarantineReason
		}
		tip := ""
		if e.TipHeight != nil {
			tip = grouped(int64(*e.TipHeight))
		}
		t.add(e.Name, e.State, minute(since), tip, minute(e.LastSuccess), grouped(e.Failovers), leftOf(e.LeftThisHour), leftOf(e.LeftThisDay), tame(why))
	}
	return t
}

// leftOf is what is left of a budget; nothing where there is none.
func leftOf(n *int64) string {
	if n == nil {
		return ""
	}
	return grouped(*n)
}

type explorersClear struct {
	Name   string `arg:"" help:"The explorer, as [explorers.NAME] names it."`
	Reason string `placeholder:"TEXT" help:"Why it is trusted again. It is kept."`
}

// Run ends the quarantine of an explorer, on the word of whoever types it.
func (c *explorersClear) Run(s *session) error {
	reason := strings.TrimSpace(c.Reason)
	switch {
	case strings.ContainsFunc(reason, unicode.IsControl):
		return wrongUsef("--reason has a line break or another control character: write it in one line")
	case len(reason) > longestReason:
		return wrongUsef("--reason has %d bytes, and may have %d: name a ticket or a document instead", len(reason), longestReason)
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		actor, err := s.actor(ctx, config, store)
		if err != nil {
			return err
		}
		err = store.ClearQuarantine(ctx, c.Name, actor, reason)
		if errors.Is(err, sql.ErrNotQuarantined) {
			if !slices.ContainsFunc(config.Explorers, func(e explorer.Settings) bool { return e.Name == c.Name }) {
				return fmt.Errorf("no explorer of %s is named %q, and none of that name is in quarantine: btcwatch explorers list shows them", config.File, tame(c.Name))
			}
			return fmt.Errorf("%s is in no quarantine, so nothing is changed: btcwatch explorers list shows how each is found", tame(c.Name))
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.Out, "Cleared %s: it is trusted again, by a daemon that runs within ten seconds. What it says next that is false puts it back.\n", tame(c.Name))
		return err
	})
}
