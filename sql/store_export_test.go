package sql

import "time"

// SetClock gives a store another clock, for tests.
func SetClock(s *Store, now func() time.Time) { s.now = now }

// SetMetPatience sets how long payments between watched addresses are looked for.
func SetMetPatience(s *Store, patience time.Duration) { s.metPatience = patience }
