package explorer

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How long an explorer is left alone that says "too many requests": as long
// as it asks, up to longestPause; where it does not say, doubling from
// firstPause to lastPause. Who denies access is left alone for as long as it asks;
// where it does not say, in the same way from its second denial in a row on: the
// first may be of that one question.
const (
	longestPause = 24 * time.Hour
	firstPause   = 5 * time.Second
	lastPause    = 30 * time.Second // whoever fails is asked after at least so often
	pauseJitter  = 0.2              // of a pause of our own choosing, so that restarts do not march in step
)

// How long after attempts at a connection that failed the next one waits:
// doubling, and never longer than what is asked after at least so often.
const (
	firstRecovery = time.Second
	lastRecovery  = 30 * time.Second
)

// Pace is how often one explorer is asked, and how that goes. Its methods are
// safe for concurrent use.
type Pace struct {
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error
	chance func() float64 // in [0, 1)

	limiter *rate.Limiter // nil: no pace of our own
	budget  Budget

	mu          sync.Mutex
	requests    int64
	failures    map[string]int64
	lastSuccess time.Time
	pausedUntil time.Time
	denied      bool    // the pause is for access that was denied
	spent       []Spent // of the budget, oldest first
	strikes     int     // pauses since the last success
	denials     int     // of access since the last success
	attempts    int     // at a connection, since the last that succeeded
	recoversAt  time.Time
}

func newPace(perSecond float64) *Pace {
	p := &Pace{now: time.Now, sleep: sleep, chance: rand.Float64, failures: map[string]int64{}}
	if perSecond > 0 {
		p.limiter = rate.NewLimiter(rate.Limit(perSecond), 1)
	}
	return p
}

// Interval is the time between two requests; 0 where there is no pace.
func (p *Pace) Interval() time.Duration {
	if p.limiter == nil {
		return 0
	}
	return time.Duration(float64(time.Second) / float64(p.limiter.Limit()))
}

// Requests is how many requests were sent.
func (p *Pace) Requests() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Failures counts the requests that got no usable answer, under the names of
// their kinds. Being told properly that something does not exist is no failure.
func (p *Pace) Failures() map[string]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.failures)
}

// LastSuccess is when the last usable answer came, in UTC; zero: never.
func (p *Pace) LastSuccess() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastSuccess
}

// PausedUntil is when the explorer may be asked again, in UTC; zero: now.
func (p *Pace) PausedUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.pausedUntil.After(p.now()) {
		return time.Time{}
	}
	return p.pausedUntil
}

// wait waits for the turn of the next request.
func (p *Pace) wait(ctx context.Context) error {
	if p.limiter == nil {
		return ctx.Err()
	}
	turn := p.limiter.ReserveN(p.now(), 1)
	if err := p.sleep(ctx, turn.DelayFrom(p.now())); err != nil {
		turn.CancelAt(p.now())
		return err
	}
	return nil
}

// pausing is why the explorer is still to be left alone; nil: it may be asked.
func (p *Pace) pausing() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.pausedUntil.Sub(p.now())
	switch {
	case left <= 0:
		return nil
	case p.denied:
		return &Error{Kind: ErrUnavailable, RetryAfter: left, Detail: "not asked: it denied access"}
	}
	return &Error{Kind: ErrRateLimited, RetryAfter: left, Detail: "not asked: it wants to be left alone"}
}

// deny is pause for an explorer that denied access; 0: it is not left alone yet.
func (p *Pace) deny(asked time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.denials++
	if asked <= 0 && p.denials < 2 {
		return 0
	}
	pause := p.leaveAlone(asked)
	p.denied = true
	return pause
}

// pause leaves the explorer alone for as long as it asked, or for a time of
// our own choosing where asked is 0, and says for how long.
func (p *Pace) pause(asked time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaveAlone(asked)
}

func (p *Pace) leaveAlone(asked time.Duration) time.Duration {
	pause := min(asked, longestPause)
	if asked <= 0 {
		pause = p.chosenPause()
	}
	p.strikes++
	p.denied = false
	p.pausedUntil = p.now().Add(pause).UTC()
	return pause
}

func (p *Pace) chosenPause() time.Duration {
	pause := firstPause
	for range p.strikes {
		pause = min(2*pause, lastPause)
	}
	return min(lastPause, pause+time.Duration(pauseJitter*p.chance()*float64(pause)))
}

// recovering says how long until the next attempt at a connection.
func (p *Pace) recovering() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, p.recoversAt.Sub(p.now()))
}

// connected notes whether an attempt at a connection succeeded.
func (p *Pace) connected(ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok {
		p.attempts, p.recoversAt = 0, time.Time{}
		return
	}
	pause := firstRecovery
	for range p.attempts {
		pause = min(2*pause, lastRecovery)
	}
	p.attempts++
	p.recoversAt = p.now().Add(pause)
}

func (p *Pace) sent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	p.spend()
}

func (p *Pace) succeeded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.strikes, p.denials = 0, 0
	p.lastSuccess = p.now().UTC()
}

// failed counts what went wrong. The caller's giving up is not the explorer's
// failure.
func (p *Pace) failed(err error) {
	var e *Error
	if !errors.As(err, &e) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures[e.Kind.Error()]++
}

// Refuted counts an answer that read well and was found false afterwards.
func (p *Pace) Refuted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures[ErrLying.Error()]++
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
