package alerts

import (
	"fmt"
	"time"
)

// DeepReorg is a reorganisation deeper than the one or two blocks that happen
// by themselves.
type DeepReorg struct {
	Network string
	Fork    int32  // the last block that both branches share
	Depth   int32  // how many blocks left the chain
	OldTip  string // the hash of the last of them
	At      time.Time
}

// Depths from which a reorganisation is told, and from which it wakes people:
// one or two blocks are natural, six are what most of the world waits for.
const (
	reorgTold  = 3
	reorgPages = 7
)

// Alert tells of the reorganisation, whether or not it touches a watched
// address; the payments that it touches have their own. It is false for one
// that is too shallow to tell.
func (r DeepReorg) Alert(key Key) (Alert, bool) {
	if r.Depth < reorgTold {
		return Alert{}, false
	}
	severity := Medium
	if r.Depth >= reorgPages {
		severity = Severe
	}
	return seal(Alert{
		ID:       key.ID(r.Network, ChainReorged, r.OldTip),
		Type:     ChainReorged,
		Severity: severity,
		About:    "service",
		Thread:   key.thread(r.Network, "reorg "+r.OldTip),
		At:       r.At,
	}, Data{
		Network:     r.Network,
		ObservedAt:  moment(r.At),
		BlockHeight: &r.Fork,
		BlockHash:   r.OldTip,
		Summary: fmt.Sprintf("%s have left the chain: it was reorganised above block %s. Payments in them that were told are corrected one by one.",
			count(int(r.Depth), "block", "blocks"), grouped(r.Fork)),
		Next: "Treat recent confirmations with care until the chain has settled.",
	}), true
}
