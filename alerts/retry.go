package alerts

import (
	"errors"
	"time"
)

// ErrGone is what a receiver means by 410: it wants no more messages, so the
// channel is to be switched off until the configuration is read again.
var ErrGone = errors.New("the receiver has gone for good")

type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// PermanentError marks an error that trying again will not mend.
func PermanentError(err error) error { return permanentError{err} }

// Permanent says whether trying again is of no use.
func Permanent(err error) bool {
	var p permanentError
	return errors.As(err, &p)
}

type laterError struct {
	error
	after time.Duration
}

func (e laterError) Unwrap() error { return e.error }

// RetryAfter gives how long the other side asked not to be tried, if it did.
func RetryAfter(err error) (time.Duration, bool) {
	var later laterError
	if !errors.As(err, &later) {
		return 0, false
	}
	return later.after, true
}

// delays follow one try each: the example schedule of Standard Webhooks, ten
// tries in all over three days and four hours.
var delays = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// NextTry says how long after the given number of tries the next one comes;
// false when there is none and the delivery is dead. Before the first try it
// is no time at all.
func NextTry(tries int) (time.Duration, bool) {
	switch {
	case tries <= 0:
		return 0, true
	case tries > len(delays):
		return 0, false
	}
	return delays[tries-1], true
}
