package daemon

import (
	"testing"
	"time"

	"btcwatch/sql"
)

// position moves the ward's position to a height, now.
func (w *ward) position(height int32) {
	w.stands(sql.Position{Set: true, Height: height, MovedAt: w.at})
}

// shows lets explorers show tips, and a round end that has covered as many
// blocks as are known.
func (w *ward) shows(reached bool, tips map[string]int32) {
	for name, tip := range tips {
		w.note(name, forTip, nil)
		w.sawTip(name, tip)
	}
	w.covered(reached, nil)
}

// TestNoNewBlock: an hour without a block is chance, an hour and a half is told
// to operations, two hours are blindness, until a block comes.
func TestNoNewBlock(t *testing.T) {
	w := newWard(t)
	w.settings.NoBlockAfter = 2 * time.Hour
	w.position(60)
	stands := func(length time.Duration, quiet, tip string) {
		t.Helper()
		for end := w.at.Add(length); w.at.Before(end); w.at = w.at.Add(30 * time.Second) {
			w.shows(true, map[string]int32{"one": 60, "two": 60})
		}
		w.wants("after so long", "quiet ", quiet)
		w.wants("after so long", "tip ", tip)
		w.wants("tips are shown", "blocks ", "well")
	}
	stands(89*time.Minute, "well", "well")
	stands(90*time.Second, "out", "well") // the last answer is half a minute old
	stands(29*time.Minute, "out", "well")
	stands(90*time.Second, "out", "out")
	w.outages["tip "] = true
	w.shows(false, map[string]int32{"one": 61, "two": 60})
	w.wants("a block is shown, and not read yet", "tip ", "undecided")
	w.position(61)
	w.covered(true, nil)
	w.wants("it is read", "tip ", "well")
	w.wants("it is read", "quiet ", "well")

	w.outages["tip "] = false
	w.at = w.at.Add(24 * time.Hour) // by the schedule
	w.wants("nobody looked for a day", "tip ", "well")

	w = newWard(t) // regtest, or never
	w.position(60)
	stands(10*time.Hour, "undecided", "undecided")
}

// TestSilenceIsNotTwoThings: where nobody answers, or no block can be had, that
// is told, and not besides that no block comes.
func TestSilenceIsNotTwoThings(t *testing.T) {
	w := newWard(t)
	w.settings.NoBlockAfter = 2 * time.Hour
	w.position(60)
	w.shows(true, map[string]int32{"one": 60})
	w.every(time.Minute, 3*time.Hour, "one", forTip, errUnavailable)
	w.wants("nobody answers", "blocks ", "out")
	w.wants("nobody answers", "tip ", "undecided")
	w.wants("nobody answers", "quiet ", "undecided")

	w = newWard(t)
	w.settings.NoBlockAfter = 2 * time.Hour
	w.position(60)
	for range 180 {
		w.shows(false, map[string]int32{"one": 61})
		w.at = w.at.Add(time.Minute)
	}
	w.wants("a block is withheld", "blocks ", "out")
	w.wants("a block is withheld", "tip ", "undecided")

	w = newWard(t) // one of two is down: the other's word counts
	w.settings.NoBlockAfter = 2 * time.Hour
	w.position(60)
	for range 121 {
		w.shows(true, map[string]int32{"one": 60})
		w.note("two", forTip, errUnavailable)
		w.at = w.at.Add(time.Minute)
	}
	w.wants("one answers, the other never does", "tip ", "out")
}

// TestBacklog: what is not read yet and becomes more is told; what becomes less,
// or rests on a single explorer's word, is not.
func TestBacklog(t *testing.T) {
	for _, c := range []struct {
		what   string
		behind func(minute int) (one, two int32)
		height func(minute int) int32
		after  int
		want   string
	}{
		{"catching up", func(int) (int32, int32) { return 1000, 1000 }, func(m int) int32 { return int32(m) }, 60, "undecided"},
		{"at the tip", func(m int) (int32, int32) { return int32(m), int32(m) }, func(m int) int32 { return int32(m) }, 60, "well"},
		{"slower than the chain", func(m int) (int32, int32) { return 10 + int32(m), 10 + int32(m) }, func(m int) int32 { return int32(m) / 2 }, 31, "out"},
		{"not for half an hour", func(m int) (int32, int32) { return 10 + int32(m), 10 + int32(m) }, func(m int) int32 { return int32(m) / 2 }, 29, "undecided"},
		{"a boaster alone", func(m int) (int32, int32) { return int32(m / 10), 1000 + int32(m) }, func(m int) int32 { return int32(m / 10) }, 60, "well"},
		{"a few blocks in a row", func(m int) (int32, int32) { return 5, 5 }, func(int) int32 { return 0 }, 60, "undecided"},
	} {
		w := newWard(t)
		for m := range c.after {
			one, two := c.behind(m + 1)
			w.stands(sql.Position{Set: true, Height: c.height(m + 1), MovedAt: w.at})
			w.shows(false, map[string]int32{"one": one, "two": two})
			w.progressed()
			w.verdicts()
			w.at = w.at.Add(time.Minute)
		}
		w.wants(c.what, "backlog ", c.want)
	}
}
