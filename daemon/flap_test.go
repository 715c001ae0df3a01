package daemon

import (
	"strings"
	"testing"
	"time"

	"btcwatch/sql"
)

// carried carries out what a ward decides about the explorer one, and gives the
// words of what people would be told.
func (w *ward) carried(told *[]verdict) {
	verdicts, _ := w.verdicts()
	for _, v := range verdicts {
		if key := v.kind + " " + v.name; v.kind == "explorer" && v.out != w.outages[key] {
			w.outages[key] = v.out
			if !v.out {
				w.each[v.name].over = w.at
			}
			*told = append(*told, v)
		}
	}
}

// TestFlapping: an explorer that comes and goes makes two pairs of messages and
// not one every few minutes; the last says how often it failed.
func TestFlapping(t *testing.T) {
	w := newWard(t)
	var told []verdict
	answers := func(length time.Duration, err error) {
		for end := w.at.Add(length); w.at.Before(end); w.at = w.at.Add(30 * time.Second) {
			w.note("one", forTip, err)
			w.carried(&told)
		}
	}
	for range 10 {
		answers(15*time.Minute, errUnavailable)
		answers(5*time.Minute, nil)
	}
	if len(told) != 3 || !told[0].out || told[1].out || !told[2].out {
		t.Fatalf("told while it flaps: %+v", told)
	}
	if strings.Contains(told[0].reason, "comes and goes") || !strings.Contains(told[2].reason, "comes and goes") {
		t.Errorf("the reasons are %q and %q", told[0].reason, told[2].reason)
	}
	answers(54*time.Minute, nil) // with the five minutes before, not an hour yet
	if len(told) != 3 {
		t.Fatalf("told before it was well for an hour: %+v", told[3:])
	}
	answers(2*time.Minute, nil)
	if len(told) != 4 || told[3].out || told[3].times != 9 {
		t.Fatalf("told in the end: %+v", told[3:])
	}
	answers(2*time.Hour, nil)
	answers(15*time.Minute, errUnavailable)
	answers(time.Minute, nil)
	if len(told) != 6 || told[5].times != 0 {
		t.Errorf("after hours it is an outage like the first: %+v", told[4:])
	}
}

// TestFlappingOutlivesADaemon: one that is started again goes on where it was,
// and says no number that it has not counted.
func TestFlappingOutlivesADaemon(t *testing.T) {
	w := newWard(t)
	w.past["one"] = flaps{over: w.at.Add(-30 * time.Minute), relapse: true}
	w.outages["explorer one"] = true
	var told []verdict
	for range 121 {
		w.note("one", forTip, nil)
		w.carried(&told)
		w.at = w.at.Add(30 * time.Second)
	}
	if len(told) != 1 || told[0].out || told[0].times != 0 || w.at.Sub(w.each["one"].well) < time.Hour {
		t.Errorf("told %+v", told)
	}
	if open := (sql.Outage{Kind: noBlock}); !w.unwatched(open) {
		t.Error("an outage that is no longer judged stays open")
	}
}
