package daemon

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// verdict says whether all explorers together give no good answer of a kind.
// While answers are bad, but not for long enough to begin an outage, nothing is
// decided; one that is open from before goes on. A good answer ends it, though a
// bad one of another explorer may have come since.
func (c *condition) verdict(kind string, now time.Time, after time.Duration) (v verdict, decided bool) {
	v = verdict{kind: kind, since: c.since()}
	if !c.ailing() {
		return v, true
	}
	v.out, v.reason = now.Sub(c.first) >= after, words(c.err)
	return v, v.out || now.Sub(c.good) < after
}

// answers says whether the last answer of any explorer that is believed was
// good, to one sort of question, and not long ago.
func (h *health) answers(askedFor string, now time.Time) bool {
	for name, e := range h.each {
		if c := e.uses[askedFor]; c != nil && !c.ailing() && now.Sub(c.good) < memory && h.suspects[name] == nil {
			return true
		}
	}
	return false
}

// verdict says whether an explorer fails at anything that it is asked for. A
// sort of question that was not asked again is no proof of it.
func (s *sight) verdict(name string, now time.Time, after time.Duration) (v verdict, decided bool) {
	v, decided = verdict{kind: "explorer", name: name}, true
	for askedFor, c := range s.uses {
		if !c.ailing() || c.old(askedFor, now) {
			continue
		}
		decided = false
		if errors.Is(c.err, explorer.ErrSpent) {
			continue // we may not ask, which says nothing of it
		}
		if c.bad.Sub(c.first) >= after {
			return verdict{kind: "explorer", name: name, out: true, since: c.since(), reason: words(c.err)}, true
		}
	}
	return v, decided
}

func (h *health) stateOf(name string, s *sight, now time.Time) sql.ExplorerState {
	state := sql.ExplorerState{Name: name, State: h.word(name, s, now), Failovers: s.failed}
	if s.tip > 0 {
		tip := s.tip
		state.TipHeight = &tip
	}
	if !s.good.IsZero() {
		good := s.good
		state.LastSuccess = &good
	}
	if s.err != nil {
		bad := s.bad
		state.LastError, state.LastErrorAt = words(s.err), &bad
	}
	return state
}

// word is the worst that can be said of an explorer. Who was caught is a liar
// until the quarantine is over, and who said something that may be false until
// the next good answer to the same sort of question; a single block that could
// not be had says nothing yet.
func (h *health) word(name string, s *sight, now time.Time) string {
	word := "ok"
	switch {
	case h.suspects[name] != nil:
		return "lying"
	case h.stale(s, now):
		word = "stale"
	case h.lagging(s, now):
		word = "lagging"
	}
	for askedFor, c := range s.uses {
		switch {
		case !c.ailing() || c.old(askedFor, now):
		case errors.Is(c.err, explorer.ErrLying):
			return "lying"
		case errors.Is(c.err, explorer.ErrRateLimited):
			word = "limited"
		case word != "limited" && (askedFor == forTip || askedFor == forMempool || c.count > 1):
			word = "failing"
		}
	}
	return word
}

// words gives an error as people may read it in an alert. Explorers' own text
// is never in it: their errors are made of ours.
func words(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	return text
}

// badAnswer says that an explorer gave something that cannot be true.
func badAnswer(name, question string, err error) error {
	return fmt.Errorf("%w: %s of %s: %w", explorer.ErrLying, question, name, err)
}
