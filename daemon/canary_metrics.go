package daemon

import "btcwatch/sql"

// canary tells how the canary does, and never who it is.
func (m metrics) canary(out sheet, c *sql.Canary) {
	if c == nil {
		return
	}
	if c.Arrived != nil {
		out.moment("canary_arrived_timestamp_seconds", "When a payment of the canary last came through the whole watch; absent: never.", *c.Arrived)
	}
	if c.Last != nil {
		out.gauge("canary_took_seconds", "What the last payment of the canary took from the verified block to the end of the road; absent: none has come.", c.Last.Took)
	}
	out.gauge("canary_on_their_way", "Payments of the canary that are recorded and have not come through.", float64(c.OnTheirWay))
	for sight, count := range map[string]int64{"seen": c.Seen, "missed": c.Missed, "unknown": c.Unsighted} {
		out.gauge("canary_unconfirmed", "Payments of the canary that are kept, by whether an explorer listed them while they were unconfirmed.", float64(count), "sight", sight)
	}
}
