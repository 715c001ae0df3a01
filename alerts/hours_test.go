package alerts

import (
	"testing"
	"time"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestHours: the ends are worked out by hand. In Berlin clocks went from 02:00 to
// 03:00 on 2026-03-29 and from 03:00 back to 02:00 on 2026-10-25.
func TestHours(t *testing.T) {
	for _, c := range []struct{ hours, zone, at, end string }{
		{"22:00-07:00", "UTC", "2026-11-24T21:59:59Z", ""},
		{"22:00-07:00", "UTC", "2026-11-24T22:00:00Z", "2026-11-25T07:00:00Z"},
		{"22:00-07:00", "UTC", "2026-12-31T23:00:00Z", "2027-01-01T07:00:00Z"},
		{"22:00-07:00", "UTC", "2026-11-25T06:59:59Z", "2026-11-25T07:00:00Z"},
		{"22:00-07:00", "UTC", "2026-11-25T07:00:00Z", ""},
		{"12:00-13:30", "UTC", "2026-11-25T13:29:00Z", "2026-11-25T13:30:00Z"},
		{"12:00-13:30", "UTC", "2026-11-25T11:59:00Z", ""},
		{"00:00-06:00", "UTC", "2026-11-25T00:00:00Z", "2026-11-25T06:00:00Z"},
		{"18:00-00:00", "UTC", "2026-11-25T23:59:59Z", "2026-11-26T00:00:00Z"},
		{"22:00-07:00", "Europe/Berlin", "2026-03-28T21:30:00Z", "2026-03-29T05:00:00Z"},
		{"22:00-07:00", "Europe/Berlin", "2026-10-24T20:30:00Z", "2026-10-25T06:00:00Z"},
		{"22:00-02:30", "Europe/Berlin", "2026-03-28T22:00:00Z", "2026-03-29T01:30:00Z"}, // 02:30 is not there: 03:30
		{"22:00-07:00", "Asia/Kolkata", "2026-11-24T16:29:00Z", ""},
		{"22:00-07:00", "Asia/Kolkata", "2026-11-24T16:30:00Z", "2026-11-25T01:30:00Z"},
	} {
		hours, err := ParseHours(c.hours)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		end, within := hours.End(at, zone(t, c.zone))
		got := ""
		if within {
			got = end.UTC().Format(time.RFC3339)
		}
		if got != c.end {
			t.Errorf("%s in %s at %s ends %q, want %q", c.hours, c.zone, c.at, got, c.end)
		}
	}
	if _, within := (Hours{}).End(time.Now(), time.UTC); within {
		t.Error("no hours hold a time")
	}
	for _, wrong := range []string{"", "22:00", "22-07", "22:00-24:00", "22:00-22:00", "8:00-9:00", "22:00-07:00-08:00", "aa:bb-cc:dd", "-"} {
		if h, err := ParseHours(wrong); err == nil {
			t.Errorf("%q is taken as %v", wrong, h)
		}
	}
}
