package alerts

import (
	"fmt"
	"strconv"
	"time"
)

// Trial is a message by which a person finds out whether a channel works.
type Trial struct {
	Network string
	Channel string // its name in the configuration
	Actor   string // who asked for it
	At      time.Time
}

// Alert goes to that channel alone, whatever the channel wants otherwise; it is
// recorded, and counted nowhere.
func (t Trial) Alert(key Key) Alert {
	return seal(Alert{
		ID:       key.ID(t.Network, ChannelTest, t.Channel, strconv.FormatInt(t.At.UnixNano(), 10)),
		Type:     ChannelTest,
		Severity: Info,
		About:    "service",
		Quiet:    true,
		At:       t.At,
	}, Data{
		Network: t.Network, Channel: t.Channel, ObservedAt: moment(t.At),
		Summary: fmt.Sprintf("This is a test of the channel %s, asked for by %s. Nothing has happened.", clean(t.Channel), clean(t.Actor)),
		Next:    "Nothing is to be done. If you can read this, alerts reach you here.",
	})
}
