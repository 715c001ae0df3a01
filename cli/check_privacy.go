package cli

import (
	"fmt"
	"strings"

	"btcwatch/daemon"
)

// privacy says who hears of watched addresses, and what it costs that others do
// not.
func (c *checkup) privacy() {
	f := finding{Check: "privacy", State: isFine}
	secret := 0
	for _, l := range c.config.Watch {
		if l.Confidential {
			secret++
		}
	}
	var hear []string
	for _, e := range c.config.Explorers {
		if c.config.Hears(e) {
			hear = append(hear, e.Name)
		}
	}
	switch c.config.Privacy.Mode {
	case daemon.PrivacyBlocks:
		f.State = isNote
		f.Finding = "no address is sent to any explorer (mode blocks): unconfirmed payments are not seen, the time before the watch is not known, " +
			"so that spends of money from then may be missed and balances are not known"
	case daemon.PrivacyOwn:
		f.Finding = "only explorers of your own hear of addresses (mode own): " + strings.Join(hear, ", ")
	default:
		f.Finding = fmt.Sprintf("every explorer may hear of addresses (mode ask), %d in all", len(hear))
	}
	if secret > 0 && c.config.Privacy.Mode != daemon.PrivacyBlocks {
		f.Finding += "; nobody hears of " + counted(secret, "confidential address", "confidential addresses") + " of the configuration, whose unconfirmed payments are not seen"
	}
	c.add(f)
}
