package daemon

import (
	"maps"
	"sync"
	"time"
)

// rounds counts the rounds of each job and what they took.
type rounds struct {
	now func() time.Time

	mu   sync.Mutex
	jobs map[string]round
}

// round is what is known of one job's rounds since the program began.
type round struct {
	count, failed int64
	seconds, last float64 // all together, and the last one
}

// time does one round of a job.
func (r *rounds) time(job string, do func() error) error {
	began := r.now()
	ended := false
	defer func() { r.note(job, r.now().Sub(began).Seconds(), !ended) }() // also of one that panics
	err := do()
	ended = err == nil
	return err
}

func (r *rounds) note(job string, took float64, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.jobs == nil {
		r.jobs = map[string]round{}
	}
	j := r.jobs[job]
	j.count++
	if failed {
		j.failed++
	}
	j.last = max(0, took)
	j.seconds += j.last
	r.jobs[job] = j
}

func (r *rounds) all() map[string]round {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.jobs)
}
