package alerts

import (
	"fmt"
	"strings"
	"time"
)

// Clock is a time of day, in minutes from midnight, of a time zone said elsewhere.
type Clock int

// ParseClock reads a time of day such as "08:00".
func ParseClock(text string) (Clock, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf(`%q is no time of day; write it like "08:00"`, text)
	}
	return Clock(t.Hour()*60 + t.Minute()), nil
}

// Next is when the clocks of the zone show it next after t. A time that a change
// of the clocks skips comes an hour later that day.
func (c Clock) Next(t time.Time, zone *time.Location) time.Time {
	local := t.In(zone)
	for day := 0; ; day++ {
		at := time.Date(local.Year(), local.Month(), local.Day()+day, int(c)/60, int(c)%60, 0, 0, zone)
		if at.After(t) {
			return at
		}
	}
}

// Hours are a stretch of every day, over midnight where it ends before it
// begins. The zero value is none.
type Hours struct {
	From, To Clock
}

// ParseHours reads a stretch such as "22:00-07:00".
func ParseHours(text string) (Hours, error) {
	from, to, found := strings.Cut(text, "-")
	if !found {
		return Hours{}, fmt.Errorf(`%q are no hours; write them like "22:00-07:00"`, text)
	}
	var h Hours
	var err error
	if h.From, err = ParseClock(strings.TrimSpace(from)); err != nil {
		return Hours{}, err
	}
	if h.To, err = ParseClock(strings.TrimSpace(to)); err != nil {
		return Hours{}, err
	}
	if h.From == h.To {
		return Hours{}, fmt.Errorf("%q begin when they end: that is all day, or never; leave the key out, or take the channel away", text)
	}
	return h, nil
}

// End says whether a time lies within, and when the stretch ends then.
func (h Hours) End(t time.Time, zone *time.Location) (end time.Time, within bool) {
	local := t.In(zone)
	now := Clock(local.Hour()*60 + local.Minute())
	if h.From < h.To {
		within = h.From <= now && now < h.To
	} else if h.From > h.To {
		within = now >= h.From || now < h.To
	}
	if !within {
		return time.Time{}, false
	}
	return h.To.Next(t, zone), true
}
