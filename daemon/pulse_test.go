package daemon

import (
	"log/slog"
	"testing"
	"time"
)

// TestPulse: a job that moves is well, however long it takes; one that does
// not, or that nobody starts any more, is not.
func TestPulse(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newPulse(func() time.Time { return at })
	wait := func(d time.Duration) { at = at.Add(d) }
	well := func(what string) {
		t.Helper()
		if job, hung := p.hung(); hung {
			t.Errorf("%s: %s is said to hang", what, job)
		}
	}
	ill := func(what, want string) {
		t.Helper()
		if job, hung := p.hung(); !hung || job != want {
			t.Errorf("%s: hung is %q %v, want %q", what, job, hung, want)
		}
	}
	well("nothing has begun")
	wait(time.Hour)
	well("nothing has begun, for long")

	p.begin("blocks")
	for range 10 {
		wait(patience)
		well("a long job that moves")
		p.beat("blocks")
	}
	wait(patience + time.Second)
	ill("a job that hangs", "blocks")
	p.beat("mempool") // which does not run
	ill("a job that hangs, while another is said to move", "blocks")
	p.beat("blocks")
	well("a job that moves again")
	p.end("blocks", at.Add(30*time.Second))
	wait(30*time.Second + patience)
	well("a job that is due")
	wait(time.Second)
	ill("a job that is overdue", "blocks")
	p.begin("blocks")
	well("an overdue job that has begun")
	p.end("blocks", time.Time{})
	wait(24 * time.Hour)
	well("a job that is never due again")

	p.begin("history")
	p.end("history", at.Add(365*24*time.Hour))
	wait(300 * 24 * time.Hour)
	well("a job that is due in a year")
	p.begin("fill")
	wait(patience + time.Second)
	ill("a job that hangs", "fill")
	p.clear()
	well("the lead was given up")
}

// TestWatchdog is fed while the work goes on, and not by a job that hangs.
func TestWatchdog(t *testing.T) {
	fed := make(chan string, 100)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	late := make(chan time.Duration, 1)
	d := &daemon{Program: Program{Watchdog: 30 * time.Millisecond, Notify: func(state string) { fed <- state }, Log: slog.New(slog.DiscardHandler)}}
	d.pulse = newPulse(func() time.Time {
		select {
		case by := <-late:
			at = at.Add(by)
		default:
		}
		return at
	})
	d.pulse.begin("blocks")
	stop := d.feedWatchdog(t.Context())
	for range 3 {
		if state := <-fed; state != "WATCHDOG=1" {
			t.Errorf("notified %q", state)
		}
	}
	late <- patience + time.Minute
	time.Sleep(50 * time.Millisecond) // what is under way may still feed it
	for len(fed) > 0 {
		<-fed
	}
	select {
	case <-fed:
		t.Error("the watchdog is fed although a job hangs")
	case <-time.After(150 * time.Millisecond):
	}
	stop()
}
