package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// ward is a health whose clock the test moves.
type ward struct {
	*health
	t  *testing.T
	at time.Time
}

func newWard(t *testing.T) *ward {
	w := &ward{t: t, at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	settings := HealthSettings{FailingAfter: 10 * time.Minute, BlindAfter: 5 * time.Minute}
	w.health = newHealth(settings, nil, nil, func() time.Time { return w.at }, slog.New(slog.DiscardHandler))
	return w
}

// every notes an answer again and again for a while.
func (w *ward) every(pause, length time.Duration, name, askedFor string, err error) {
	for end := w.at.Add(length); w.at.Before(end); w.at = w.at.Add(pause) {
		w.note(name, askedFor, err)
	}
}

// wants compares what is decided: "explorer one out", or "blocks  well".
func (w *ward) wants(what, key, want string) {
	w.t.Helper()
	got := "undecided"
	verdicts, _ := w.verdicts()
	for _, v := range verdicts {
		if v.kind+" "+v.name == key {
			got = map[bool]string{true: "out", false: "well"}[v.out]
		}
	}
	if got != want {
		w.t.Errorf("%s: %s is %s, want %s", what, key, got, want)
	}
}

func (w *ward) wantsWord(what, want string) {
	w.t.Helper()
	_, states := w.verdicts()
	for _, s := range states {
		if s.Name == "one" && s.State != want {
			w.t.Errorf("%s: one is %s, want %s", what, s.State, want)
		}
	}
}

var (
	errUnavailable = fmt.Errorf("no answer: %w", explorer.ErrUnavailable)
	errRefused     = fmt.Errorf("banned: %w", explorer.ErrRefused)
	errLie         = fmt.Errorf("false: %w", explorer.ErrLying)
	errNotFound    = fmt.Errorf("none: %w", explorer.ErrNotFound)
	errLimited     = fmt.Errorf("slowly: %w", explorer.ErrRateLimited)
)

// TestFailing: an explorer fails when it gives bad answers, and no good ones to
// the same question, for as long as is configured.
func TestFailing(t *testing.T) {
	for _, err := range []error{errUnavailable, errRefused, errLie, errLimited} {
		w := newWard(t)
		w.note("one", forTip, nil)
		w.wants("a good answer", "explorer one", "well")
		w.at = w.at.Add(24 * time.Hour) // nobody asked
		w.note("one", forTip, err)
		w.wants("one bad answer after long silence", "explorer one", "undecided")
		w.wants("one bad answer after long silence", "blocks ", "undecided")
		w.every(30*time.Second, 10*time.Minute, "one", forTip, err)
		w.wants("not long enough", "explorer one", "undecided")
		w.wants("blind sooner than failing", "blocks ", "out")
		w.note("one", forTip, err)
		w.wants("long enough", "explorer one", "out")
		w.note("one", forTip, context.Canceled)
		w.wants("a question that we gave up", "explorer one", "out")
		w.note("one", forMempool, nil)
		w.wants("a good answer to something else", "explorer one", "out")
		w.wants("a good answer to something else", "mempool ", "well")
		w.note("one", forTip, errNotFound)
		w.wants("a proper answer that there is none", "explorer one", "well")
		w.wants("a proper answer that there is none", "blocks ", "well")
	}
}

// TestBackAltogether: whoever failed altogether is well when it answers again what
// it is asked regularly, also where it failed then at what nobody asks it again.
func TestBackAltogether(t *testing.T) {
	w := newWard(t)
	w.note("one", forProofs, errUnavailable) // from before: another matter
	w.at = w.at.Add(time.Minute)
	w.note("one", forTip, nil)
	for range 30 {
		w.at = w.at.Add(30 * time.Second)
		for _, use := range []string{forTip, forBlocks, forTransactions, forProofs} {
			w.note("one", use, errUnavailable)
		}
	}
	w.wants("it fails altogether", "explorer one", "out")
	w.note("one", forTip, nil)
	w.wants("it failed at proofs before, and nobody knows whether it does", "explorer one", "out")
	w.note("one", forProofs, nil)
	w.wants("it is back", "explorer one", "well")

	w.every(30*time.Second, 15*time.Minute, "one", forTip, errUnavailable)
	w.note("one", forBlocks, errLie)
	w.note("one", forTip, nil)
	w.wantsWord("what was false stays so", "lying")

	for range 3 { // tips that come and go heal nothing
		w.note("two", forTip, nil)
		w.every(30*time.Second, 5*time.Minute, "two", forBlocks, errUnavailable)
		w.note("two", forTip, errUnavailable)
	}
	w.note("two", forTip, nil)
	w.wants("blocks fail for long", "explorer two", "out")
}

// TestAnotherSees: as long as one explorer answers the watch is not blind.
func TestAnotherSees(t *testing.T) {
	w := newWard(t)
	for range 60 {
		w.note("two", forTip, nil)
		w.note("one", forTip, errUnavailable)
		w.at = w.at.Add(30 * time.Second)
	}
	w.wants("one of two is down", "explorer one", "out")
	w.wants("one of two is down", "explorer two", "well")
	w.wants("one of two is down, and answered last", "blocks ", "well")
	w.every(30*time.Second, time.Hour, "one", forTip, errUnavailable)
	w.wants("both are down", "blocks ", "out")
	w.note("two", forTip, nil)
	w.note("one", forTip, errUnavailable)
	w.wants("one is back, the other one answered last", "blocks ", "well")
}

// TestBlocksAreAskedForSeldom: whoever is not first in the file may not be
// asked for a block again for days.
func TestBlocksAreAskedForSeldom(t *testing.T) {
	w := newWard(t)
	w.note("one", forTip, nil)
	w.note("one", forBlocks, errUnavailable)
	w.wantsWord("one block that could not be had", "ok")
	w.at = w.at.Add(20 * time.Minute)
	w.wants("one block that could not be had", "explorer one", "undecided")
	w.at = w.at.Add(time.Hour)
	w.wants("one block, long ago", "explorer one", "well")
	w.note("one", forBlocks, errUnavailable)
	w.wants("two blocks, far apart", "explorer one", "undecided")
	w.every(5*time.Minute, 15*time.Minute, "one", forBlocks, errUnavailable)
	w.wants("block after block", "explorer one", "out")
	w.wantsWord("block after block", "failing")
	w.note("one", forBlocks, nil)
	w.wants("a block again", "explorer one", "well")

	w.note("one", forBlocks, errLie)
	w.every(30*time.Second, 30*time.Minute, "one", forTip, nil)
	w.wantsWord("a lie, and good tips since", "lying")
	w.note("one", forBlocks, nil)
	w.wantsWord("a true block", "ok")
	w.sawTip("one", 100)
	w.sawTip("two", 105)
	w.wantsWord("behind what another claims", "ok")
	w.stands(sql.Position{Set: true, Height: 105})
	w.wantsWord("behind the verified chain", "lagging")
}

// TestBehind: tips come, and no block that could be verified.
func TestBehind(t *testing.T) {
	w := newWard(t)
	w.covered(true, nil)
	w.note("one", forTip, nil)
	w.wants("all covered", "blocks ", "well")
	w.covered(false, errUnavailable)
	w.at = w.at.Add(4 * time.Minute)
	w.covered(false, errUnavailable)
	w.note("one", forTip, nil)
	w.wants("behind for a while", "blocks ", "well")
	w.progressed()
	w.at = w.at.Add(4 * time.Minute)
	w.wants("behind, and moving", "blocks ", "well")
	w.at = w.at.Add(time.Minute)
	w.note("one", forTip, nil)
	w.wants("stuck", "blocks ", "out")
	w.outages["blocks "] = true
	w.progressed()
	w.wants("moving again, not there yet", "blocks ", "undecided")
	w.covered(true, nil)
	w.wants("caught up", "blocks ", "well")
}

// A daemon that is started again and again while nobody answers is blind as
// soon as one that runs all the time; one good answer, or none yet, is not.
func TestSilenceOfAnEarlierLife(t *testing.T) {
	w := newWard(t)
	w.resume(w.at.Add(-6 * time.Minute))
	w.wants("before any answer", "blocks ", "undecided")
	w.note("one", forTip, errUnavailable)
	w.wants("nobody answers still", "blocks ", "out")
	w.note("one", forTip, nil)
	w.wants("it answers", "blocks ", "well")
	w.note("one", forTip, errUnavailable)
	w.wants("it fails again", "blocks ", "well")

	w = newWard(t)
	w.resume(w.at.Add(-6 * time.Minute))
	w.note("one", forTip, nil)
	w.note("two", forTip, errUnavailable)
	w.wants("one answers at once", "blocks ", "well")
}

// TestOneFailsBesideAnother: of explorers that are asked the same the last one
// fails, and the next round is far away: nobody is blind for that. When the
// others fail too, or are not believed, or were not asked for long, somebody is.
func TestOneFailsBesideAnother(t *testing.T) {
	beside := func(then func(*ward)) *ward {
		w := newWard(t)
		w.settings.Quarantine = 24 * time.Hour
		w.note("two", forMempool, nil)
		w.note("one", forMempool, errUnavailable)
		then(w)
		w.at = w.at.Add(20 * time.Minute)
		return w
	}
	beside(func(*ward) {}).wants("two answered last", "mempool ", "undecided")
	beside(func(w *ward) { w.note("two", forMempool, errUnavailable) }).wants("both fail", "mempool ", "out")
	beside(func(w *ward) { w.note("two", forProofs, fmt.Errorf("%w: a test", explorer.ErrLying)) }).wants("two is not believed", "mempool ", "out")
	beside(func(w *ward) { w.every(time.Minute, time.Hour, "one", forMempool, errUnavailable) }).wants("two was not asked for an hour", "mempool ", "out")
}
