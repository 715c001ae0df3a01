package alerts

import (
	"strings"
	"testing"
	"time"
)

// What is found late says so and by how much. The time of a block is off by up
// to two hours, so that alone it says nothing before those have gone by.
func TestFoundLate(t *testing.T) {
	block := at("2026-03-01T12:10:00Z")
	for name, c := range map[string]struct {
		found, covered string // clock of the day; covered empty: never
		seen, historic bool
		seconds        int64
		behind         bool
		says           string
	}{
		"in time":                             {found: "12:10:40", covered: "12:10:10"},
		"behind for less than a block takes":  {found: "12:19:00", covered: "12:09:30"},
		"an old block, with the tip in sight": {found: "14:10:00", covered: "14:09:30"},
		"older than a clock can be wrong": {found: "14:10:01", covered: "14:09:30", seconds: 7201,
			says: "; found late, 2 hours after the time of its block."},
		"after an outage": {found: "15:22:00", covered: "09:00:00", seconds: 11520, behind: true,
			says: "; found late, 3 hours 12 minutes after the time of its block, as the chain had last been covered to its tip at 2026-03-01 09:00:00 UTC."},
		"seen unconfirmed before the outage": {found: "12:25:30", covered: "12:05:00", seen: true, seconds: 930, behind: true,
			says: "; found in its block late, 15 minutes 30 seconds after the time of its block, as the chain had last been covered to its tip at 2026-03-01 12:05:00 UTC."},
		"mined after an outage":           {found: "12:15:00", covered: "09:00:00"},
		"on the way from the start":       {found: "13:10:00", seconds: 3600, says: "; found late, 1 hour after the time of its block."},
		"from before the watch":           {found: "15:22:00", covered: "09:00:00", historic: true},
		"of a block from a clock that is": {found: "11:30:00", covered: "09:00:00"}, // ahead of ours
	} {
		t.Run(name, func(t *testing.T) {
			p := confirmed()
			p.OccurredAt, p.SeenBefore, p.Historic = block, c.seen, c.historic
			p.FoundAt = at("2026-03-01T" + c.found + ".5Z")
			if c.covered != "" {
				p.CoveredAt = at("2026-03-01T" + c.covered + "Z")
			}
			p.ObservedAt = p.FoundAt.Add(time.Hour) // a deeper confirmation is told later, and was found then all the same
			a := told(t)(p.Confirmed(testKey(), 1, true))
			body, err := Decode(a.Body)
			if err != nil {
				t.Fatal(err)
			}
			d := body.Data
			if d.LateSeconds != c.seconds || d.LateConfirmation != (c.seen && c.seconds > 0) {
				t.Errorf("late by %d seconds, confirmation %v", d.LateSeconds, d.LateConfirmation)
			}
			if (d.BehindSince != nil) != c.behind || c.behind && !d.BehindSince.Equal(p.CoveredAt) {
				t.Errorf("behind since %v", d.BehindSince)
			}
			if strings.Contains(d.Summary, "late") != (c.says != "") || !strings.HasSuffix(d.Summary, c.says) {
				t.Errorf("it says %q", d.Summary)
			}
		})
	}
}

// The report of a day on which payments were found late is not one of a good
// day.
func TestReportOfWhatWasFoundLate(t *testing.T) {
	r := dailyReport()
	r.Late, r.LateMost = 2, 11520
	body, err := Decode(r.Alert(testKey()).Body)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(body.Data.Lines, "\n")
	if !strings.HasPrefix(text, "Not all is well: 2 payments were found late.") ||
		!strings.Contains(text, "Found late: 2 payments, up to 3 hours 12 minutes after the time of the block.") {
		t.Errorf("it says %s", text)
	}
}
