package daemon

import (
	"fmt"
	"sync"
	"time"

	"btcwatch/chain/explorer"
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
	open map[askedOf]unlisted // unconfirmed
	gone map[askedOf]unlisted // confirmed
}

// askedOf is an address and who was asked about it.
type askedOf struct {
	script   int64
	explorer string
}

// unlisted is how many transactions are counted and not listed, and in how many
// readings in a row there were as many.
type unlisted struct {
	missing int64
	seen    int
}

// again takes another reading in.
func (u unlisted) again(missing int64) unlisted {
	if u.missing != missing {
		return unlisted{missing: missing, seen: 1}
	}
	return unlisted{missing: missing, seen: u.seen + 1}
}

func newShortfall() *shortfall {
	return &shortfall{read: map[int64]int64{}, next: map[int64]time.Time{}, wait: map[int64]time.Duration{}, open: map[askedOf]unlisted{}, gone: map[askedOf]unlisted{}}
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

// patientReadings is how often the same number must be missing from an
// explorer's list before its counters are taken as wrong.
const patientReadings = 3

// settled says whether an explorer's counters may be taken, when so many that
// they count are missing from its list.
func (s *shortfall) settled(script int64, explorer string, missing int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := askedOf{script, explorer}
	now := s.open[key].again(missing)
	if missing <= 0 || now.seen >= patientReadings {
		delete(s.open, key)
		return true
	}
	s.open[key] = now
	return false
}

// explained says whether so many transactions that an explorer counts, and that
// are not on record, are no reason to read on: there are none, or as many as its
// whole history lacked time and again.
func (s *shortfall) explained(script int64, explorer string, missing int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.gone[askedOf{script, explorer}]
	return missing <= 0 || known.missing == missing && known.seen >= patientReadings
}

// readToEnd takes down how many transactions a history lacked that was read to
// its end.
func (s *shortfall) readToEnd(script int64, explorer string, missing int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := askedOf{script, explorer}
	s.gone[key] = s.gone[key].again(missing)
}

// endless says whether a history goes on so far beyond what is counted that it
// may have no end. Counters lag by a few.
func endless(read int, counted int64) bool {
	return int64(read) > counted+max(1000, counted/10)
}

func neverEnding(e *explorer.Explorer, read int, counted int64) error {
	return fmt.Errorf("%w: %s shows more than %d transactions where it counts %d", explorer.ErrLying, e.Name, read-1, counted)
}
