package daemon

import (
	"slices"

	"btcwatch/chain/explorer"
)

// PrivacySettings is the [privacy] table.
type PrivacySettings struct {
	Mode string // PrivacyAsk, PrivacyOwn or PrivacyBlocks
}

// Hears says whether an explorer may be asked about watched addresses that are
// not confidential.
func (c *Config) Hears(e explorer.Settings) bool {
	return c.Privacy.Mode == PrivacyAsk || c.Privacy.Mode == PrivacyOwn && e.Own
}

// privacy comes after the schedule. Where no address may leave, nobody is asked
// about the mempool and histories, whatever the schedule says.
func (l *loader) privacy(s *section) {
	defer s.finish()
	known := []string{PrivacyAsk, PrivacyOwn, PrivacyBlocks}
	mode := s.text("mode", PrivacyAsk)
	if !slices.Contains(known, mode) {
		s.fault("mode", "%s", unknownWord("mode", mode, known))
	}
	l.config.Privacy.Mode = mode
	if mode != PrivacyBlocks {
		return
	}
	if l.config.Schedule.Blocks == "" {
		s.fault("mode", `with "blocks" payments are found in blocks only, and [schedule] blocks is empty, so that nothing would ever be watched; set it, such as "@every 30s"`)
	}
	l.config.Schedule.Mempool, l.config.Schedule.History = "", ""
}

// checkOwn finds that nobody is left to ask, which whoever chose the mode own
// does not mean.
func checkOwn(c *Config, faults *Faults, opened []*explorer.Explorer) {
	if c.Privacy.Mode != PrivacyOwn || len(opened) < len(c.Explorers) {
		return
	}
	for i, e := range opened { // all of them, in the order of the file
		if c.Hears(c.Explorers[i]) && e.Addresses != nil {
			return
		}
	}
	faults.Add(c.Line("privacy.mode"), "privacy.mode", `with "own" nobody could be asked: no explorer marked own = true answers about addresses (kind node does not); `+
		`mark one that you run yourself, such as an electrum or esplora server over your node, or write mode = "blocks", with which unconfirmed payments and histories are not seen`)
}
