package sql_test

import (
	"testing"
	"time"

	"btcwatch/alerts"
)

// What waits for a channel that was renamed or removed is given up and told to
// the others, once.
func TestChannelThatIsNotConfiguredAnyMore(t *testing.T) {
	b := told(t, 3)
	first := b.claim("desk", 1, time.Hour)[0]
	b.must(b.writer.DeliveryDied(t.Context(), first, "gone")) // an outage begins, and the alert of it waits too
	renamed := telling()
	renamed.Channels = []alerts.Settings{{Name: "office"}, {Name: "log"}}
	writer := b.store.Writer(b.lead, renamed, nil)
	for range 2 {
		b.must(writer.GiveUpUnconfigured(t.Context()))
	}
	b.expect(`SELECT channel || ' ' || state || ' ' || count(*) 
		FROM report.deliveries GROUP BY channel, state`, "desk dead 4 log waiting 5 office waiting 1")
	b.expect(`SELECT summary FROM (SELECT DISTINCT ON (type) summary, seq FROM report.alerts WHERE type = 'channel.failing' ORDER BY type, seq DESC) x`,
		"The channel desk has not delivered 3 alerts (the channel is not configured any more); whoever reads only that channel has not been told.")
	b.expect(`SELECT type || ' ' || count(*) FROM report.alerts GROUP BY type`, "channel.failing 2 explorer.failing 3")
	open, err := b.store.OpenOutages(t.Context())
	b.must(err)
	for _, o := range open {
		if o.Kind == "channel" {
			t.Errorf("still open: %+v", o)
		}
	}
}
