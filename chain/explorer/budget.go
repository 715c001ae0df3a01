package explorer

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrSpent says that what an explorer may be asked in an hour or a day is used
// up. That is no failure of the explorer.
var ErrSpent = errors.New("the budget is used up")

// Budget is how often an explorer may be asked in any hour and in any day; 0:
// as often as its pace allows.
type Budget struct {
	Hour, Day int64
}

// Spent is how many requests were sent in the stretch that begins at At.
type Spent struct {
	At       time.Time // UTC, a multiple of SpentStretch
	Requests int64
}

// SpentStretch is how exactly it is kept when requests were sent. A stretch
// counts until its last moment is an hour, or a day, ago: so never more than the
// budget is sent in any hour, and sometimes a little less.
const SpentStretch = 5 * time.Minute

// Parts of the budget. Addresses are not asked about once blocksShare is all
// that is left, and hints are not wished for once it is blocksShare and pollShare;
// and tips are not asked for so often that they take more than tipsShare, while
// another explorer shows them.
const (
	blocksShare = 0.4
	pollShare   = 0.3
	tipsShare   = 1.0 / 3
)

// Left is what may still be asked; nil: there is no such limit.
type Left struct {
	Hour, Day *int64
}

// Of gives what is left of a budget at a time, after what was sent before.
func (b Budget) Of(spent []Spent, now time.Time) Left {
	left := func(limit int64, length time.Duration) *int64 {
		if limit == 0 {
			return nil
		}
		for _, s := range spent {
			if s.counts(now, length) {
				limit -= s.Requests
			}
		}
		limit = max(0, limit)
		return &limit
	}
	return Left{Hour: left(b.Hour, time.Hour), Day: left(b.Day, 24*time.Hour)}
}

// counts says whether a stretch touches a time of some length that ends now. One
// that lies further ahead than that was kept while the clock was wrong: it would
// count until the clock is there, which may be years.
func (s Spent) counts(now time.Time, length time.Duration) bool {
	return s.At.Add(SpentStretch).After(now.Add(-length)) && !s.At.After(now.Add(length))
}

// perSecond is how many requests a second the budget bears for ever; 0: any.
func (b Budget) perSecond() float64 {
	rate := float64(0)
	for limit, length := range map[int64]time.Duration{b.Hour: time.Hour, b.Day: 24 * time.Hour} {
		if of := float64(limit) / length.Seconds(); limit > 0 && (rate == 0 || of < rate) {
			rate = of
		}
	}
	return rate
}

// AddressesPerSecond is how many questions a second an explorer of such settings
// can be asked about addresses for ever; 0: any. The rest is left to blocks.
func (s Settings) AddressesPerSecond() float64 {
	rate := s.Budget.perSecond() * (1 - blocksShare)
	if rate == 0 || s.RequestsPerSecond > 0 && s.RequestsPerSecond < rate {
		rate = s.RequestsPerSecond
	}
	return rate
}

// TipPause is how long to leave between two questions for the tip, for them to
// take no more than their part of the budget; 0 where there is none.
func (p *Pace) TipPause() time.Duration {
	rate := p.budget.perSecond() * tipsShare
	if rate == 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / rate)
}

// Left is what is left of the budget now.
func (p *Pace) Left() Left {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.budget.Of(p.spent, p.now())
}

// Spent gives what was sent in the last day, oldest first.
func (p *Pace) Spent() []Spent {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget()
	return slices.Clone(p.spent)
}

// Resume takes up what was sent in an earlier life, oldest first. Of a stretch in
// both, the greater number counts: it may be our own that was saved.
func (p *Pace) Resume(before []Spent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := map[time.Time]int64{}
	for _, s := range slices.Concat(before, p.spent) {
		sent[s.At.UTC()] = max(sent[s.At.UTC()], s.Requests)
	}
	p.spent = nil
	for at, requests := range sent {
		p.spent = append(p.spent, Spent{At: at, Requests: requests})
	}
	slices.SortFunc(p.spent, func(a, b Spent) int { return a.At.Compare(b.At) })
}

// spend counts a request that is sent. Without a budget nobody needs to know.
func (p *Pace) spend() {
	if p.budget == (Budget{}) {
		return
	}
	p.forget()
	at := p.now().UTC().Truncate(SpentStretch)
	if last := len(p.spent) - 1; last >= 0 && p.spent[last].At.Equal(at) {
		p.spent[last].Requests++
		return
	}
	p.spent = append(p.spent, Spent{At: at, Requests: 1})
}

// forget lets go of what counts no more.
func (p *Pace) forget() {
	p.spent = slices.DeleteFunc(p.spent, func(s Spent) bool { return !s.counts(p.now(), 24*time.Hour) })
}

// afford says why a question may not be asked within the budget; nil: it may.
// It leaves what matters more its share. Each may take some requests: a
// connection that broke off is made anew.
func (p *Pace) afford(leaves float64, requests int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.budget.Of(p.spent, p.now())
	for _, one := range []struct {
		left   *int64
		limit  int64
		length time.Duration
		key    string
	}{{left.Hour, p.budget.Hour, time.Hour, "requests_per_hour"}, {left.Day, p.budget.Day, 24 * time.Hour, "requests_per_day"}} {
		if one.left == nil {
			continue
		}
		needed, what := requests, fmt.Sprintf("not asked: its %s (%d) are used up", one.key, one.limit)
		if leaves > 0 && *one.left >= requests {
			needed += int64(leaves * float64(one.limit))
			what = fmt.Sprintf("not asked: what is left of its %s (%d) is kept for what matters more", one.key, one.limit)
		}
		if *one.left < needed {
			return &Error{Kind: ErrRateLimited, RetryAfter: p.until(one.limit-needed, one.length), Detail: what, cause: ErrSpent}
		}
	}
	return nil
}

// until is how long it takes until no more than so many requests count.
func (p *Pace) until(most int64, length time.Duration) time.Duration {
	sum := int64(0)
	for i := len(p.spent) - 1; i >= 0; i-- {
		if !p.spent[i].counts(p.now(), length) {
			continue
		}
		if sum += p.spent[i].Requests; sum > most {
			return p.spent[i].At.Add(SpentStretch + length).Sub(p.now())
		}
	}
	return SpentStretch
}
