package explorer

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
)

func wantsLeft(t *testing.T, what string, e *Explorer, hour, day int64) {
	t.Helper()
	if left := e.Pace.Left(); left.Hour == nil || left.Day == nil || *left.Hour != hour || *left.Day != day {
		t.Errorf("%s: left %+v, want %d and %d", what, left, hour, day)
	}
}

// TestBudget: addresses stop where the part of blocks begins, blocks where
// nothing is left, and each goes on when what was sent is an hour ago.
func TestBudget(t *testing.T) {
	e := opened(t, text("5"), func(s *Settings) { s.Budget = Budget{Hour: 100, Day: 150} })
	clock := newFakeClock(e.Pace)
	addresses := func() error { _, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{1}); return err }
	wantsLeft(t, "at first", e, 100, 150)
	for n := range 60 {
		if err := addresses(); errors.Is(err, ErrSpent) {
			t.Fatalf("question %d is not asked: %v", n, err)
		}
	}
	err := addresses()
	if wait, _ := RetryAfter(err); !errors.Is(err, ErrSpent) || !errors.Is(err, ErrRateLimited) || wait < time.Hour-time.Second || wait > time.Hour+SpentStretch {
		t.Errorf("past its part: %v", err)
	}
	for n := range 40 {
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatalf("tip %d: %v", n, err)
		}
	}
	if _, err := e.Chain.Tip(t.Context()); !errors.Is(err, ErrSpent) {
		t.Errorf("with nothing left: %v", err)
	}
	wantsLeft(t, "all spent", e, 0, 50)
	if e.Pace.Requests() != 100 {
		t.Errorf("%d requests sent of 100 allowed", e.Pace.Requests())
	}
	clock.sleep(t.Context(), time.Hour+SpentStretch)
	wantsLeft(t, "an hour later", e, 100, 50)
	for range 100 {
		if _, err = e.Chain.Tip(t.Context()); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrSpent) || e.Pace.Requests() != 150 {
		t.Errorf("the day's budget: %d requests, %v", e.Pace.Requests(), err)
	}
	if n := e.Pace.Failures()["rate limited"]; n != 0 {
		t.Errorf("%d questions that were not sent count as failures", n)
	}

	again := opened(t, text("5"), func(s *Settings) { s.Budget = Budget{Hour: 100, Day: 150} })
	again.Pace.now = clock.now
	for range 2 { // once for each lead
		again.Pace.Resume(e.Pace.Spent())
	}
	wantsLeft(t, "in another life", again, 50, 0)
}

// TestBudgetAfterAWrongClock: what was sent while the clock was years ahead does
// not keep the explorer from being asked until then.
func TestBudgetAfterAWrongClock(t *testing.T) {
	e := opened(t, text("5"), func(s *Settings) { s.Budget = Budget{Hour: 100, Day: 150} })
	clock := newFakeClock(e.Pace)
	ahead := clock.now().AddDate(9, 0, 0).UTC().Truncate(SpentStretch)
	e.Pace.Resume([]Spent{{At: ahead, Requests: 150}})
	wantsLeft(t, "with a clock that was ahead", e, 100, 150)
	if _, err := e.Chain.Tip(t.Context()); err != nil {
		t.Error(err)
	}
	wantsLeft(t, "after a question", e, 99, 149)
	if spent := e.Pace.Spent(); len(spent) != 1 || spent[0].At.Equal(ahead) {
		t.Errorf("kept: %v", spent)
	}
}

// TestNoBudgetCountsNothing: who has none is asked at its pace.
func TestNoBudgetCountsNothing(t *testing.T) {
	e := opened(t, text("5"))
	for range 10 {
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left := e.Pace.Left(); left != (Left{}) || len(e.Pace.Spent()) != 0 || e.Pace.TipPause() != 0 {
		t.Errorf("left %+v, spent %v, pause %v", left, e.Pace.Spent(), e.Pace.TipPause())
	}
}

// TestBudgetsAsPaces: 90 requests an hour are a tip in two minutes, and at most
// 54 questions about addresses.
func TestBudgetsAsPaces(t *testing.T) {
	set := Settings{RequestsPerSecond: 1, Budget: Budget{Hour: 90, Day: 100_000}}
	if got := set.AddressesPerSecond() * 3600; got < 53.9 || got > 54.1 {
		t.Errorf("%v questions an hour", got)
	}
	p := newPace(1)
	p.budget = set.Budget
	if got := p.TipPause().Round(time.Second); got != 2*time.Minute {
		t.Errorf("a tip in %v", got)
	}
	for _, k := range Kinds() {
		if got := HasAddresses(k, &chaincfg.RegressionNetParams); got != (k != "node") {
			t.Errorf("that %s can be asked about addresses is %v", k, got)
		}
	}
}

// TestKindsLeaveAlone: after 429 or 403 no request of any sort goes out before
// the time that was asked for, and then one does.
func TestKindsLeaveAlone(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		if of.endpoints == nil {
			t.Skip("speaks no HTTP")
		}
		for _, status := range []int{http.StatusTooManyRequests, http.StatusForbidden} {
			for asked, want := range map[string]time.Duration{"7200": 2 * time.Hour, "": firstPause} {
				p := of.endpoints()[slices.IndexFunc(of.endpoints(), func(p endpoint) bool { return len(p.before) == 0 })]
				p.subject = of
				sent := 0
				e := p.opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					sent++
					if asked != "" {
						w.Header().Set("Retry-After", asked)
					}
					w.WriteHeader(status)
					io.WriteString(w, "go away")
				}))
				clock := newFakeClock(e.Pace)
				what := fmt.Sprintf("%d with Retry-After %q", status, asked)
				_, err := e.Chain.Tip(t.Context())
				first := 1
				if status == http.StatusForbidden && asked == "" { // once it may be that question
					if wait, _ := RetryAfter(err); err == nil || wait != 0 {
						t.Errorf("%s: the first is %v", what, err)
					}
					_, err = e.Chain.Tip(t.Context())
					first = 2
				}
				if wait, _ := RetryAfter(err); err == nil || wait != want || sent != first {
					t.Errorf("%s: %v after %d requests", what, err, sent)
				}
				clock.sleep(t.Context(), want-time.Second)
				ask := map[string]func() error{
					"tip":         func() error { _, err := e.Chain.Tip(t.Context()); return err },
					"block hash":  func() error { _, err := e.Chain.BlockHash(t.Context(), 1); return err },
					"transaction": func() error { _, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{1}); return err },
				}
				if e.Addresses != nil {
					ask["counters"] = func() error { _, err := e.Addresses.Counters(t.Context(), watched()); return err }
				}
				for question, put := range ask {
					if err := put(); err == nil || sent != first {
						t.Errorf("%s: the %s is asked before the time: %v, %d requests", what, question, err, sent)
					}
				}
				clock.sleep(t.Context(), time.Second)
				if _, err := e.Chain.Tip(t.Context()); err == nil || sent != first+1 {
					t.Errorf("%s: not asked after the time: %v, %d requests", what, err, sent)
				}
			}
		}
	})
}
