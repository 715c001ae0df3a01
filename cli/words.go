package cli

import (
	"fmt"
	"strconv"
	"time"
)

// counted writes a number with its noun.
func counted[N int | int32 | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(int64(n)) + " " + many
}

// grouped writes a number with commas between the thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// btc writes satoshis as bitcoins with all eight places, to stand in a column.
func btc(sat int64) string {
	sign, abs := "", uint64(sat)
	if sat < 0 {
		sign, abs = "-", -uint64(sat)
	}
	return fmt.Sprintf("%s%d.%08d", sign, abs/1e8, abs%1e8)
}

// known writes what may not be known.
func known(sat *int64) string {
	if sat == nil {
		return "not known"
	}
	return btc(*sat)
}

// minute writes a time in UTC, to the minute; a column's name says the zone.
func minute(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// span writes how long something takes, to a tenth below ten seconds.
func span(d time.Duration) string {
	if d < 10*time.Second {
		return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + " s"
	}
	d = d.Round(time.Second)
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if d >= unit.length {
			text := fmt.Sprintf("%d %s", d/unit.length, unit.name)
			if rest := d % unit.length; rest > 0 {
				text += " " + smaller(rest)
			}
			return text
		}
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// smaller writes what is left over in its largest unit.
func smaller(d time.Duration) string {
	switch {
	case d >= time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}
