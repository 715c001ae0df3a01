package daemon

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// registry holds the metrics of one reading of the configuration: those of the
// watch, and Go's own about the process.
func (w *watch) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(metrics{w}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// metrics makes the watch's metrics anew whenever somebody asks. No address, no
// transaction and no url is in any: their labels are names of the configuration
// and words of ours.
type metrics struct{ *watch }

// Describe names nothing: what there is depends on the configuration and on who
// leads.
func (m metrics) Describe(chan<- *prometheus.Desc) {}

// Collect gives the metrics as they are now.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	out := sheet{ch, m.Now()}
	t := m.truth(context.Background())
	out.gauge("build_info", "Always 1; which program this is, on which network.", 1, "version", m.Version, "network", chain.NetworkName(m.config.Network))
	out.gauge("leading", "1 while this daemon leads, 0 while it stands by or waits for the database.", bit(t.Role == leading))
	out.gauge("ready", "1 while all is well, as /ready says.", bit(t.Ready))
	out.gauge("database_up", "1 while the database answers.", bit(t.Database))
	for _, name := range faultNames() {
		out.gauge("fault", "1 for each reason why not all is well.", bit(slices.Contains(t.Faults, name)), "fault", name)
	}
	m.jobs(out)
	m.heartbeats(out)
	for _, e := range m.explorers {
		m.asked(out, e)
	}
	if t.figures != nil {
		m.recorded(out, t)
	}
}

// asked tells of the questions that this daemon itself put to an explorer.
func (m metrics) asked(out sheet, e *explorer.Explorer) {
	pace := e.Pace
	if pace == nil {
		return
	}
	out.counter("explorer_requests_total", "Requests sent to an explorer by this daemon.", float64(pace.Requests()), "explorer", e.Name)
	failures := pace.Failures()
	for _, kind := range failureKinds() {
		out.counter("explorer_failures_total", "Requests without a usable answer, by what was wrong.", float64(failures[kind.err.Error()]), "explorer", e.Name, "kind", kind.name)
	}
	if interval := pace.Interval(); interval > 0 {
		out.gauge("explorer_pace_requests_per_second", "The most requests that the configuration allows; absent without a limit.", 1/interval.Seconds(), "explorer", e.Name)
	}
	var left float64
	if until := pace.PausedUntil(); !until.IsZero() {
		left = max(0, until.Sub(out.now).Seconds())
	}
	if f, listens := m.heard.of(e.Name); listens {
		out.counter("hints_total", "Hints that an explorer sent to this daemon.", float64(f.hints), "explorer", e.Name)
		out.gauge("hints_connected", "1 while there is a connection for hints.", bit(f.up), "explorer", e.Name)
		out.gauge("hints_addresses", "Addresses of which an explorer hints.", float64(f.wishes), "explorer", e.Name)
	}
	out.gauge("explorer_paused_seconds", "How long an explorer is still left alone because it asked for it.", left, "explorer", e.Name)
	out.moment("explorer_last_success_timestamp_seconds", "When an explorer gave its last usable answer to this daemon; absent: never.", pace.LastSuccess(), "explorer", e.Name)
}

type failureKind struct {
	name string
	err  error
}

// failureKinds gives the kinds of failures their names in metrics.
func failureKinds() []failureKind {
	return []failureKind{
		{"unavailable", explorer.ErrUnavailable}, {"limited", explorer.ErrRateLimited}, {"refused", explorer.ErrRefused},
		{"malformed", explorer.ErrMalformed}, {"lying", explorer.ErrLying},
	}
}

// recorded tells what the database says, whoever leads.
func (m metrics) recorded(out sheet, t truth) {
	f := t.figures
	if t.Position != nil {
		out.gauge("position_height", "The last block that is covered.", float64(*t.Position))
	}
	out.moment("position_moved_timestamp_seconds", "When the position moved last.", f.Position.MovedAt)
	if t.tip > 0 {
		out.gauge("tip_height", "The highest tip that any explorer shows.", float64(t.tip))
	}
	if t.BlocksBehind != nil {
		out.gauge("blocks_behind", "Blocks between the position and the highest tip that any explorer shows.", float64(*t.BlocksBehind))
	}
	out.gauge("watched_addresses", "Addresses that are watched.", float64(f.Watched))
	types := alerts.Types()
	for _, typ := range slices.Sorted(maps.Keys(f.Alerts)) {
		if alerts.Type(typ).Rule() != "" {
			types = append(types, alerts.Type(typ))
		}
	}
	for _, typ := range types {
		out.counter("alerts_total", "Alerts made since the installation began, by type; quiet ones too.", float64(f.Alerts[string(typ)]), "type", string(typ))
	}
	for _, kind := range outageKinds() {
		out.gauge("outages_open", "Outages that are open, by kind.", float64(f.Outages[kind]), "kind", kind)
	}
	var best int32 // as the leader found them all at the same time
	for _, e := range f.Explorers {
		if e.TipHeight != nil {
			best = max(best, *e.TipHeight)
		}
	}
	for _, e := range f.Explorers {
		m.found(out, e, best)
	}
	m.deliveries(out, f.Channels)
	m.canary(out, f.Canary)
}

// outageKinds are those of the table btcwatch.outage.
func outageKinds() []string {
	return []string{"explorer", "channel", "chain", forBlocks, forMempool, noBlock, quietTip, backlog, lateJob, lateDelivery, forCanary}
}

// found tells how the leader found an explorer last.
func (m metrics) found(out sheet, e sql.ExplorerRow, best int32) {
	for _, state := range []string{"ok", "lagging", "stale", "failing", "limited", "lying"} {
		out.gauge("explorer_state", "1 for the state that the leader found an explorer in.", bit(e.State == state), "explorer", e.Name, "state", state)
	}
	out.gauge("explorer_quarantined", "1 while an explorer is in quarantine, because it was caught in something false.", bit(e.Quarantined), "explorer", e.Name)
	for window, left := range map[string]*int64{"hour": e.LeftHour, "day": e.LeftDay} {
		if left != nil {
			out.gauge("explorer_budget_left", "Requests that the budget of an explorer leaves; absent without such a limit.", float64(*left), "explorer", e.Name, "window", window)
		}
	}
	out.counter("explorer_failovers_total", "How often another explorer was asked because this one did not answer.", float64(e.Failovers), "explorer", e.Name)
	if e.TipHeight == nil {
		return
	}
	out.gauge("explorer_tip_height", "The height that an explorer shows.", float64(*e.TipHeight), "explorer", e.Name)
	out.gauge("explorer_lag_blocks", "How many blocks an explorer is behind the highest tip that any shows.", float64(max(0, best-*e.TipHeight)), "explorer", e.Name)
}

// deliveries tells of every configured channel, also of one for which nothing
// ever waited.
func (m metrics) deliveries(out sheet, found []sql.ChannelRow) {
	rows := map[string]sql.ChannelRow{}
	for _, row := range found {
		rows[row.Channel] = row
	}
	for _, c := range m.channels {
		row := rows[c.settings.Name]
		out.gauge("deliveries_waiting", "Alerts that wait for a channel.", float64(row.Waiting), "channel", c.settings.Name)
		out.gauge("deliveries_dead", "Alerts that were given up by a channel.", float64(row.Dead), "channel", c.settings.Name)
		if row.Oldest != nil {
			out.moment("delivery_oldest_waiting_timestamp_seconds", "When the oldest alert was made that waits for a channel; absent: none waits.", *row.Oldest, "channel", c.settings.Name)
		}
	}
}

// jobs tells of the work's rounds.
func (m metrics) jobs(out sheet) {
	for job, r := range m.rounds.all() {
		out.summary("round_duration_seconds", "Rounds of a job that have ended, and what they took.", r.count, r.seconds, "job", job)
		out.gauge("round_last_duration_seconds", "What the last round of a job took.", r.last, "job", job)
		out.counter("rounds_failed_total", "Rounds of a job that ended in an error.", float64(r.failed), "job", job)
	}
}

func (m metrics) heartbeats(out sheet) {
	if m.config.Heartbeat.URL == "" {
		return
	}
	sent, failed := m.beats.get()
	out.moment("heartbeat_sent_timestamp_seconds", "When the dead-man's switch last took a heartbeat of this daemon; absent: never.", sent)
	out.counter("heartbeat_failures_total", "Heartbeats that the dead-man's switch did not take.", float64(failed))
}

// sheet is what metrics are written on. Labels are pairs of name and value.
type sheet struct {
	ch  chan<- prometheus.Metric
	now time.Time
}

func (s sheet) gauge(name, help string, value float64, labels ...string) {
	desc, values := describe(name, help, labels)
	s.ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
}

func (s sheet) counter(name, help string, value float64, labels ...string) {
	desc, values := describe(name, help, labels)
	s.ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, values...)
}

func (s sheet) summary(name, help string, count int64, sum float64, labels ...string) {
	desc, values := describe(name, help, labels)
	s.ch <- prometheus.MustNewConstSummary(desc, uint64(count), sum, nil, values...)
}

// moment is a time as metrics give it: how long ago it is, whoever reads them
// works out, so that a daemon that hangs does not look fresh.
func (s sheet) moment(name, help string, at time.Time, labels ...string) {
	if !at.IsZero() {
		s.gauge(name, help, float64(at.UnixMilli())/1000, labels...)
	}
}

func describe(name, help string, labels []string) (desc *prometheus.Desc, values []string) {
	var names []string
	for i := 0; i < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return prometheus.NewDesc("btcwatch_"+name, help, names, nil), values
}

func bit(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
