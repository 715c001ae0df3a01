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
func CheckExplorers(c *Config, faults *Faults) {
	for _, set := range c.Explorers {
		key := "explorers." + set.Name
		if faults.within("explorers." + quoted(set.Name)) {
			continue
		}
		_, err := explorer.Open(set, c.Network)
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
