package daemon

import (
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/sql"
)

// scheduled gives a ward jobs and channels to judge.
func (w *ward) scheduled() *pulse {
	p := newPulse(func() time.Time { return w.at })
	w.watches(&Config{Schedule: Schedule{Blocks: "@every 30s", Mempool: "@every 1m", Report: "0 8 * * *"}, Channels: []alerts.Settings{{Name: "mail"}, {Name: "log"}}}, p)
	return p
}

// pass lets time go by, with a judgement every ten seconds.
func (w *ward) pass(length time.Duration) {
	for end := w.at.Add(length); w.at.Before(end); w.at = w.at.Add(10 * time.Second) {
		w.verdicts()
	}
}

// TestJobsThatDoNotRun are told, and those that run late by the clock alone are
// not.
func TestJobsThatDoNotRun(t *testing.T) {
	w := newWard(t)
	p := w.scheduled()
	p.expect("blocks", w.at.Add(30*time.Second))
	p.expect("report", w.at.Add(6*time.Hour))
	w.wants("nothing is due", "schedule blocks", "well")
	w.pass(5 * time.Minute)
	w.wants("late for less than what counts", "schedule blocks", "undecided")
	w.pass(time.Minute)
	w.wants("it was due and never began", "schedule blocks", "out")
	w.wants("due in hours", "schedule report", "well")
	w.wants("not known to be due", "schedule mempool", "well")
	w.wants("not on the schedule", "schedule history", "undecided")
	p.begin("blocks")
	w.wants("it began", "schedule blocks", "well")
	p.end("blocks", w.at.Add(30*time.Second))

	w.at = w.at.Add(8 * time.Hour) // the clock was set
	w.wants("the clock jumped", "schedule blocks", "undecided")
	w.wants("the clock jumped", "schedule report", "undecided")
	for range 20 {
		p.begin("blocks")
		p.end("blocks", w.at.Add(30*time.Second))
		w.pass(30 * time.Second)
	}
	w.wants("the clock jumped, and it runs", "schedule blocks", "well")
	w.wants("the clock jumped, and it does not run", "schedule report", "out")

	p.begin("mempool")
	w.pass(14 * time.Minute)
	w.wants("it began and may still move", "schedule mempool", "undecided")
	w.pass(2 * time.Minute)
	w.wants("it hangs", "schedule mempool", "out")
	w.outages["mempool "] = true
	w.wants("it hangs, and blindness is told already", "schedule mempool", "undecided")
}

// TestLateDeliveries are told for the channel that has them, when they stay.
func TestLateDeliveries(t *testing.T) {
	w := newWard(t)
	w.scheduled()
	w.wants("nothing waits", "delivery mail", "well")
	w.late = []sql.LateChannel{{Channel: "mail", Since: w.at.Add(-6 * time.Minute), Reason: "it refused the connection"}, {Channel: "gone"}}
	w.pass(50 * time.Second)
	w.wants("they may go out at once", "delivery mail", "undecided")
	w.pass(20 * time.Second)
	w.wants("they stay", "delivery mail", "out")
	w.wants("they stay", "delivery log", "well")
	w.wants("a channel that left", "delivery gone", "undecided")
	w.late = nil
	w.wants("they went out", "delivery mail", "well")
}
