package cli

import (
	"fmt"

	"btcwatch/daemon"
	"btcwatch/sql"
)

// suspect gives the quarantine of an explorer; nil: it is in none.
func (c *checkup) suspect(name string) *sql.Quarantine {
	for i := range c.suspects {
		if c.suspects[i].Explorer == name {
			return &c.suspects[i]
		}
	}
	return nil
}

// believed says whether what an explorer says counts: it answers, and is not in
// quarantine.
func (c *checkup) believed(s daemon.Sight) bool {
	return s.Err == nil && c.suspect(s.Explorer.Name) == nil
}

// doubt adds that an explorer which answers is in quarantine.
func (c *checkup) doubt(f *finding) {
	q := c.suspect(f.Name)
	if q == nil {
		return
	}
	f.State = isWrong
	f.Finding += fmt.Sprintf("; in quarantine since %s UTC, asked about no address: %s", minute(&q.Since), q.Reason)
	f.Do = fmt.Sprintf("it is believed again when probes have seen nothing false for %s, or after btcwatch explorers clear %s", span(c.config.Health.Quarantine), tame(f.Name))
}
