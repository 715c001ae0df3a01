package daemon

import (
	"context"
	"slices"
	"time"

	"btcwatch/sql"
)

// The outages of the watch's own work.
const (
	lateJob      = "schedule" // a job does not run
	lateDelivery = "delivery" // alerts wait for a channel
)

// firstSeen remembers since when something is late. What is late by the clock
// alone may be so because the clock was set, or because the machine slept: it is
// told when it stays late.
type firstSeen map[string]time.Time

func (f firstSeen) note(name string, now time.Time) (since time.Time) {
	if f[name].IsZero() {
		f[name] = now
	}
	return f[name]
}

// overdue is the least time for which a job must stay late.
const overdue = 10 * time.Second

// jobVerdicts say which jobs of the schedule do not run. What nobody answers
// about is told as such, however long its job takes.
func (h *health) jobVerdicts(now time.Time) (verdicts []verdict) {
	for _, job := range h.jobs {
		since, why := h.pulse.late(job)
		key := lateJob + " " + job
		if why == "" {
			delete(h.lateSince, key)
			verdicts = append(verdicts, verdict{kind: lateJob, name: job})
			continue
		}
		if now.Sub(h.lateSince.note(key, now)) >= max(overdue, h.settings.BlindAfter) && !h.outages[job+" "] {
			verdicts = append(verdicts, verdict{kind: lateJob, name: job, out: true, since: since, reason: why})
		}
	}
	return verdicts
}

// briefly is how long deliveries may be late while they are being made up for:
// those that waited for the daemon itself go out in its first seconds.
const briefly = time.Minute

// deliveryVerdicts say for which channels alerts wait too long.
func (h *health) deliveryVerdicts(now time.Time) (verdicts []verdict) {
	waits := map[string]sql.LateChannel{}
	for _, late := range h.late {
		waits[late.Channel] = late
	}
	for _, channel := range h.channels {
		key := lateDelivery + " " + channel
		late, waits := waits[channel]
		if !waits {
			delete(h.lateSince, key)
			verdicts = append(verdicts, verdict{kind: lateDelivery, name: channel})
			continue
		}
		if now.Sub(h.lateSince.note(key, now)) >= min(briefly, h.settings.BlindAfter) {
			verdicts = append(verdicts, verdict{kind: lateDelivery, name: channel, out: true, since: late.Since, reason: late.Reason})
		}
	}
	return verdicts
}

// readLate asks which alerts wait too long.
func (h *health) readLate(ctx context.Context) error {
	late, err := h.store.LateDeliveries(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = late
	return nil
}

// watches names what is judged besides the explorers.
func (h *health) watches(config *Config, pulse *pulse) {
	h.pulse, h.canary.settings = pulse, config.Canary
	s := config.Schedule
	for _, job := range []struct{ name, expr string }{{"blocks", s.Blocks}, {"mempool", s.Mempool}, {"history", s.History}, {"report", s.Report}} {
		if job.expr != "" {
			h.jobs = append(h.jobs, job.name)
		}
	}
	for _, channel := range config.Channels {
		h.channels = append(h.channels, channel.Name)
	}
}

// unwatched says that an outage is of something that is not judged any more.
func (h *health) unwatched(o sql.Outage) bool {
	switch o.Kind {
	case lateJob:
		return !slices.Contains(h.jobs, o.Name)
	case lateDelivery:
		return !slices.Contains(h.channels, o.Name)
	case noBlock, quietTip:
		return h.settings.NoBlockAfter == 0 || !slices.Contains(h.jobs, forBlocks)
	case forBlocks, backlog:
		return !slices.Contains(h.jobs, forBlocks)
	case forCanary:
		return h.canary.settings.Address == nil
	case forMempool:
		return !slices.Contains(h.jobs, forMempool)
	}
	return false
}
