package daemon

import (
	"errors"
	"strings"

	"btcwatch/alerts"
	"btcwatch/chain/explorer"
)

// CheckChannels is a Check that makes every channel, so that what only its
// kind knows to be wrong is told with the rest. Nothing is sent.
func CheckChannels(env alerts.Env) Check {
	return func(c *Config, faults *Faults) {
		for _, set := range c.Channels {
			key := "channels." + set.Name
			_, err := alerts.Open(set, env)
			faults.Include(c.Line(key), key, withoutPrefix(err, "channel "+set.Name+": "))
		}
	}
}

// CheckExplorers is a Check that makes every explorer in which no fault is
// known yet. Nothing is asked.
//
// Blocks are the authority, so that a configuration in which nobody gives any
// would be blind from the first moment.
func CheckExplorers(c *Config, faults *Faults) {
	var opened []*explorer.Explorer
	blocks := false
	defer func() {
		checkOwn(c, faults, opened)
		checkFiat(c, faults, opened)
		if len(opened) > 0 && len(opened) == len(c.Explorers) && !blocks {
			faults.Add(c.Line("explorers"), "explorers", "none of them gives blocks, which everything is proven by; add one of kind esplora or node")
		}
	}()
	for _, set := range c.Explorers {
		key := "explorers." + set.Name
		if faults.within("explorers." + quoted(set.Name)) {
			continue
		}
		e, err := explorer.Open(set, c.Network)
		if err == nil {
			opened = append(opened, e)
			blocks = blocks || e.Blocks != nil
		}
		faults.Include(c.Line(key), key, withoutPrefix(err, "explorer "+set.Name+": "))
	}
}

// withoutPrefix drops what the line and the key of a fault say already.
func withoutPrefix(err error, prefix string) error {
	var faults *Faults
	if err == nil || errors.As(err, &faults) {
		return err
	}
	if text, found := strings.CutPrefix(err.Error(), prefix); found {
		return errors.New(text)
	}
	return err
}
