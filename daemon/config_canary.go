package daemon

import (
	"time"

	"btcwatch/chain"
)

// CanarySettings is the [canary] table.
type CanarySettings struct {
	Address *chain.Address // watched only to test the watch; nil: there is none
	Every   time.Duration  // a payment is expected to come through at least so often
	Kept    time.Duration  // its payments are deleted then
}

// canaryKept is how long its payments are kept where nothing else is configured.
const canaryKept = 7 * 24 * time.Hour

func (l *loader) canary(s *section) {
	defer s.finish()
	set := &l.config.Canary
	set.Every = s.duration("every", 24*time.Hour, 2*time.Hour, 30*24*time.Hour)
	set.Kept = s.duration("kept", canaryKept, 24*time.Hour, 90*24*time.Hour)
	text := s.text("address", "")
	if text == "" {
		return
	}
	address, err := chain.ParseAddress(text, l.config.Network)
	if err != nil {
		s.fault("address", "%s", err)
		return
	}
	for _, listing := range l.config.Watch {
		if string(listing.Address.Script) == string(address.Script) {
			s.fault("address", "is watched too, in [watch.%q] on line %d; the canary must be an address that is watched for nothing else: choose another one",
				listing.Address.Text, l.config.Line("watch."+listing.Address.Text))
			return
		}
	}
	if l.config.Schedule.Blocks == "" {
		s.fault("address", "tests how blocks are followed, and [schedule] blocks is empty; set one, or leave the address empty")
		return
	}
	set.Address = &address
}
