package cli

import (
	"strings"
	"testing"
	"time"

	"btcwatch/sql"
)

// TestCanaryFinding: what check says of the canary, and when that is wrong.
func TestCanaryFinding(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	came := sql.Canary{Since: at, Arrived: &at, Last: &sql.CanaryPayment{Arrived: at, Took: 2.31}, Seen: 3, Missed: 1, Unsighted: 7}
	late := came
	late.Told = &at
	for _, c := range []struct {
		state *sql.Canary
		word  string
		says  string
	}{
		{nil, isNote, "not watched yet"},
		{&sql.Canary{Since: at}, isNote, "no payment of it has come through since 2026-03-01 12:00 UTC"},
		{&sql.Canary{Since: at, Told: &at}, isWrong, "too long ago"},
		{&came, isFine, "came through at 2026-03-01 12:00 UTC, 2.3 s after its block was verified; 3 of 4 were seen unconfirmed first"},
		{&late, isWrong, "too long ago"},
		{&sql.Canary{Since: at, Watched: true}, isWrong, "cannot be used"},
	} {
		f := canaryFinding(c.state)
		if f.State != c.word || !strings.Contains(f.Finding, c.says) || (f.State == isWrong) != (f.Do != "") {
			t.Errorf("%+v: %+v, want %s with %q", c.state, f, c.word, c.says)
		}
	}
}
