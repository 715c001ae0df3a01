package alerts

import (
	"fmt"
	"strconv"
	"time"
)

// DeadDeliveries are alerts that a channel did not take until the tries ran
// out, or that it refused for good.
type DeadDeliveries struct {
	Network string
	Channel string // its name in the configuration
	Episode int64
	Count   int64 // alerts that this channel has not delivered
	Since   time.Time
	Reason  string // the last error, in our own words
	At      time.Time
}

// Alert tells the other channels that this one has not told what it should
// have: as severe as a payment that goes out, for one may be among them.
func (d DeadDeliveries) Alert(key Key) Alert {
	episode := strconv.FormatInt(d.Episode, 10)
	reason := clean(d.Reason)
	return seal(Alert{
		ID:       key.ID(d.Network, ChannelFailing, d.Channel, episode),
		Type:     ChannelFailing,
		Severity: High,
		About:    "service",
		Thread:   key.thread(d.Network, "channel "+d.Channel+" "+episode),
		At:       d.At,
	}, Data{
		Network: d.Network, Channel: d.Channel, Since: moment(d.Since), ObservedAt: moment(d.At), Reason: reason,
		Summary: fmt.Sprintf("The channel %s has not delivered %s%s; whoever reads only that channel has not been told.",
			clean(d.Channel), count(d.Count, "alert", "alerts"), bracketed(reason)),
		Next: "Nothing is sent again by itself: btcwatch deliveries list shows what was to be told, and deliveries retry sends it again.",
	})
}
