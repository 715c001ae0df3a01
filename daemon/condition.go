package daemon

import (
	"errors"
	"time"

	"btcwatch/chain/explorer"
)

// condition is how questions of one sort went lately.
type condition struct {
	good  time.Time // last good answer
	first time.Time // first bad one since then; zero: the last answer was good
	bad   time.Time // last bad one
	count int       // of bad ones since the last good one
	err   error
}

func (c *condition) note(now time.Time, err error) {
	if err == nil {
		*c = condition{good: now}
		return
	}
	if c.first.IsZero() {
		c.first = now
	}
	c.bad, c.err = now, err
	c.count++
}

// ailing says that the last answer was bad.
func (c *condition) ailing() bool { return !c.first.IsZero() }

// memory is how long a bad answer counts where nobody may ask again: a block is
// taken from the first explorer that has it, so others may not be asked for days.
const memory = time.Hour

// old says that a bad answer no longer tells how an explorer does.
func (c *condition) old(askedFor string, now time.Time) bool {
	return !regular(askedFor) && c.ailing() && now.Sub(c.bad) > memory
}

// regular says whether an explorer is asked for it again and again, so that it is
// seen when it answers again.
func regular(askedFor string) bool { return askedFor == forTip || askedFor == forMempool }

// healed lets go of bad answers to what may not be asked for again, where an
// explorer that had failed altogether answers again what it is asked regularly:
// those from that time are explained, and nobody else would ever take them back.
// What was false stays so.
func (s *sight) healed(askedFor string, after time.Duration) {
	c := ofKind(s.uses, askedFor)
	if !regular(askedFor) || !c.ailing() || c.bad.Sub(c.first) < after {
		return
	}
	for other, o := range s.uses {
		if !regular(other) && o.ailing() && !o.first.Before(c.good) && !errors.Is(o.err, explorer.ErrLying) {
			*o = condition{good: o.good}
		}
	}
}

// since is the last time that it worked; the first time that it did not where
// it never worked.
func (c *condition) since() time.Time {
	if c.good.IsZero() {
		return c.first
	}
	return c.good
}
