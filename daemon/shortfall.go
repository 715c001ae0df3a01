package daemon

import (
	"sync"
	"time"
)

// shortfall remembers the histories that could not be read whole, so that they
// are tried again after a while that grows. An explorer's counters may be wrong
// for ever (a reorganisation counted twice), so a history that is shorter than
// counted is taken when a second reading gives as many.
type shortfall struct {
	mu   sync.Mutex
	read map[int64]int64 // by script, what the last reading gave
	next map[int64]time.Time
	wait map[int64]time.Duration
}

func newShortfall() *shortfall {
	return &shortfall{read: map[int64]int64{}, next: map[int64]time.Time{}, wait: map[int64]time.Duration{}}
}

// Pauses between readings of a history that failed.
const (
	firstWait = 5 * time.Second
	mostWait  = 10 * time.Minute
)

// due says whether a history may be tried.
func (s *shortfall) due(script int64, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !now.Before(s.next[script])
}

// failed puts the next try off.
func (s *shortfall) failed(script int64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wait := min(max(2*s.wait[script], firstWait), mostWait)
	s.wait[script], s.next[script] = wait, now.Add(wait)
}

// accept says whether a history shorter than counted is to be taken: when the
// reading before it gave as many.
func (s *shortfall) accept(script, read int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.read[script]
	s.read[script] = read
	return known && before == read
}
