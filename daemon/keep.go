package daemon

import (
	"slices"
	"time"

	"btcwatch/sql"
)

// longestBreak is how long nobody may have looked for what was seen before to
// count: reading the configuration again takes seconds.
const longestBreak = time.Minute

// resumeHealth gives a new lead what the last one saw, so that reading the
// configuration again hides no failure. After a longer break, or where other
// things are asked for, it begins anew.
func (w *watch) resumeHealth(writer *sql.Writer) *health {
	h := newHealth(w.config.Health, writer, w.store, w.Now, w.Log)
	if before := w.seen; before != nil && w.Now().Sub(before.judged) <= longestBreak && sameJobs(w.seenFor, w.config.Schedule) {
		h.takeOver(before)
	}
	for _, e := range w.explorers {
		h.asked[e.Name] = e.Pace
	}
	w.seen, w.seenFor = h, w.config.Schedule
	return h
}

// takeOver copies what another health saw: whoever asks that one still, for
// metrics, must not read what this one writes.
func (h *health) takeOver(before *health) {
	before.mu.Lock()
	defer before.mu.Unlock()
	for name, s := range before.each {
		seen := *s
		seen.uses = copied(s.uses)
		h.each[name] = &seen
	}
	h.kinds = copied(before.kinds)
	h.depths = slices.Clone(before.depths)
	h.behind, h.why, h.open = before.behind, before.why, before.open
	for name, s := range before.suspects {
		same := *s
		h.suspects[name] = &same
	}
}

func copied(conditions map[string]*condition) map[string]*condition {
	all := make(map[string]*condition, len(conditions))
	for what, c := range conditions {
		same := *c
		all[what] = &same
	}
	return all
}

// sameJobs says whether two schedules ask explorers for the same things.
func sameJobs(a, b Schedule) bool {
	return (a.Blocks == "") == (b.Blocks == "") && (a.Mempool == "") == (b.Mempool == "") && (a.History == "") == (b.History == "")
}

// keepOnly forgets explorers that left the configuration.
func (h *health) keepOnly(names map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.each {
		if !names[name] {
			delete(h.each, name)
		}
	}
	for name := range h.suspects {
		if !names[name] {
			delete(h.suspects, name)
		}
	}
}
