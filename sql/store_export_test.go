package sql

import "time"

// SetClock gives a store another clock, for tests.
func SetClock(s *Store, now func() time.Time) { s.now = now }
