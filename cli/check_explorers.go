package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/daemon"
	"btcwatch/sql"
)

// lagging is how many blocks behind the others an explorer is out of date:
// one may be a block that is only just spreading.
const lagging = 2

// explorers asks all of them at once.
func (c *checkup) explorers(ctx context.Context, store *sql.Store) {
	c.progress.now("asking the explorers")
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	c.look(ctx, store)
	for _, sight := range c.sights {
		if sight.Err == nil && (c.best == nil || sight.Tip > *c.best) {
			c.best = &sight.Tip
		}
	}
	for _, sight := range c.sights {
		c.add(c.sight(sight))
	}
	c.operators()
	c.corroboration()
	c.counts()
}

// look asks about addresses only where it can be recorded who hears of them.
func (c *checkup) look(ctx context.Context, store *sql.Store) {
	if store == nil {
		c.sights = daemon.Look(ctx, c.config, c.version, nil, nil)
		return
	}
	var err error
	if c.suspects, err = store.Quarantines(ctx); c.unread("explorer", err) {
		c.sights = daemon.Look(ctx, c.config, c.version, nil, nil)
		return
	}
	record, done := daemon.Guarding(c.config, store)
	guard := func(e *explorer.Explorer) *explorer.Explorer {
		if c.suspect(e.Name) != nil {
			return nil // in quarantine nobody is asked about addresses
		}
		return record(e)
	}
	c.sights = daemon.Look(ctx, c.config, c.version, guard, c.addresses[:min(len(c.addresses), mostCompared)])
	settling, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if err := done(settling); err != nil {
		c.add(finding{Check: "privacy", State: isNote, Finding: "who was asked about which address just now stays on record as unsure: " + err.Error()})
	}
}

func (c *checkup) sight(s daemon.Sight) finding {
	f := finding{Check: "explorer", Name: s.Explorer.Name, State: isFine}
	if s.Err != nil {
		f.State = isWrong
		f.Finding = failure(s.Err)
		f.Do = remedy(s, chain.NetworkName(c.config.Network))
		c.facts(&f, s)
		return f
	}
	delay, behind := s.Took.Seconds(), *c.best-s.Tip
	f.TipHeight, f.DelaySeconds, f.Behind = &s.Tip, &delay, &behind
	f.Finding = fmt.Sprintf("tip %s, answered in %s", grouped(int64(s.Tip)), span(s.Took))
	if behind > 0 {
		f.Finding += fmt.Sprintf(", %s behind", counted(behind, "block", "blocks"))
	}
	if behind >= lagging {
		f.State = isWrong
		f.Do = "it shows an old chain; if that lasts, take another explorer in its place"
	}
	c.facts(&f, s)
	c.doubt(&f)
	return f
}

// failure says why an explorer gave no usable answer, in words of ours.
func failure(err error) string {
	var asked *explorer.Error
	if !errors.As(err, &asked) {
		return err.Error()
	}
	text := asked.Kind.Error()
	if asked.Detail != "" {
		text += ": " + asked.Detail
	}
	if asked.Status != 0 {
		text += fmt.Sprintf(" (HTTP %d)", asked.Status)
	}
	return text
}

func remedy(s daemon.Sight, network string) string {
	host := s.Explorer.URL
	if u, err := url.Parse(host); err == nil {
		host = u.Host
	}
	switch err := s.Err; {
	case errors.Is(err, explorer.ErrRateLimited):
		return "wait, and lower its requests_per_second"
	case errors.Is(err, explorer.ErrRefused):
		return "check its url, and whether " + host + " has banned this machine"
	case errors.Is(err, explorer.ErrLying), errors.Is(err, explorer.ErrMalformed), errors.Is(err, explorer.ErrNotFound):
		return fmt.Sprintf("check that its url leads to an explorer of kind %s for %s", s.Explorer.Kind, network)
	case s.Explorer.Proxy != "":
		return fmt.Sprintf("check that the proxy of its configuration works, and that it reaches %s", host)
	}
	return fmt.Sprintf("check that this machine reaches %s (network, DNS, firewall; proxy = \"…\" if it needs one)", host)
}

// operators says on how many independent witnesses the watch rests.
func (c *checkup) operators() {
	f := finding{Check: "operators", State: isFine}
	answered, reached := map[string]bool{}, 0
	for _, s := range c.sights {
		if s.Err == nil {
			reached++
		}
		if c.believed(s) {
			answered[s.Explorer.Operator] = true
		}
	}
	switch all := daemon.Operators(c.config); {
	case all < 2:
		f.State = isNote
		f.Finding = "one operator runs all explorers: nobody can check it, so nothing is proven; add an explorer of another"
	case len(answered) == 0 && reached > 0:
		f.State = isWrong
		f.Finding = fmt.Sprintf("none of %d answers and is believed: nobody is asked about addresses, only blocks are still read and verified", all)
		f.Do = "see the explorers above, and add one that can be believed"
	case len(answered) == 0:
		f.State = isWrong
		f.Finding = fmt.Sprintf("none of %d answers: the watch is blind", all)
		f.Do = "see the explorers above; if all fail, it is the network of this machine"
	case len(answered) == 1:
		f.State = isNote
		f.Finding = fmt.Sprintf("one of %d answers: it is believed for want of another", all)
	default:
		f.Finding = fmt.Sprintf("%d answer, and can check each other", len(answered))
	}
	c.add(f)
}
