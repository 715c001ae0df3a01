package daemon

import (
	"sync"
	"time"
)

// pulse knows whether the work goes on: each job says when it begins, moves
// and ends, and when it is due next. The systemd watchdog is fed from it. A
// round that ended in an error is finished work; a job that hangs, or that the
// schedule no longer starts, is not.
type pulse struct {
	now func() time.Time

	mu      sync.Mutex
	running map[string]time.Time // job to its last sign of life
	due     map[string]time.Time // job to when it begins next
}

func newPulse(now func() time.Time) *pulse {
	return &pulse{now: now, running: map[string]time.Time{}, due: map[string]time.Time{}}
}

// begin says that a job works from now on.
func (p *pulse) begin(job string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[job] = p.now()
	delete(p.due, job)
}

// beat says that a job has done a piece of its work.
func (p *pulse) beat(job string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.running[job]; ok {
		p.running[job] = p.now()
	}
}

// end says that a job has finished, well or not, and when it is due again; the
// zero time is never.
func (p *pulse) end(job string, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, job)
	if !next.IsZero() {
		p.due[job] = next
	}
}

// expect says when a job is due that has not begun yet.
func (p *pulse) expect(job string, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, running := p.running[job]; !running && !next.IsZero() {
		p.due[job] = next
	}
}

// late says since when a job gives no sign of life, or should have begun, and
// which of the two; empty where it is in time.
func (p *pulse) late(job string) (since time.Time, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if last, running := p.running[job]; running {
		if now.Sub(last) > patience/3*2 {
			return last, "it began and gives no sign of life"
		}
		return time.Time{}, ""
	}
	if due, ok := p.due[job]; ok && now.Sub(due) > time.Second {
		return due, "it was due and did not begin"
	}
	return time.Time{}, ""
}

// patience is how long a job may go without a sign of life. A single question
// to an explorer that asks for patience itself (Retry-After, a slow pace) may
// take minutes.
const patience = 15 * time.Minute

// hung names a job that gives no sign of life, or that is long overdue.
func (p *pulse) hung() (job string, hung bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for job, last := range p.running {
		if now.Sub(last) > patience {
			return job, true
		}
	}
	for job, due := range p.due {
		if now.Sub(due) > patience {
			return job, true
		}
	}
	return "", false
}

// clear forgets all jobs, when the lead is given up.
func (p *pulse) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.due = map[string]time.Time{}, map[string]time.Time{}
}
