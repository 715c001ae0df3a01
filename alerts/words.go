package alerts

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxText is how many characters of a foreign text are shown to people.
const maxText = 200

// clean makes foreign text fit to stand in a sentence of ours: safe, and no
// more than maxText characters.
func clean(text string) string {
	return shorten(safe(text), maxText)
}

// sentence makes a whole line safe; it is longer than any line made here.
func sentence(text string) string {
	return shorten(safe(text), 10*maxText)
}

// safe leaves out what could deceive whoever reads it: control characters,
// what turns the direction of writing, what is invisible. Between words
// there is one space.
func safe(text string) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(strings.Map(visible, strings.ToValidUTF8(text, "\uFFFD"))) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}

func visible(r rune) rune {
	switch {
	case r == '\u200c', r == '\u200d': // joiners, which Persian and Indic names need
		return r
	case unicode.IsSpace(r), unicode.Is(unicode.Cc, r):
		return ' '
	case unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
		return -1
	}
	return r
}

func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// btc writes satoshis for people: bitcoins to the last digit that counts, and
// satoshis beside them where the bitcoins have too many noughts to be read.
func btc(sat int64) string {
	sign, abs := "", uint64(sat)
	if sat < 0 {
		sign, abs = "-", uint64(-sat)
	}
	text := sign + grouped(abs/1e8)
	if rest := abs % 1e8; rest > 0 {
		digits := strconv.FormatUint(1e8+rest, 10)[1:]
		text += "." + strings.TrimRight(digits, "0")
	}
	text += " BTC"
	if abs > 0 && abs < 100_000 {
		text += " (" + sign + grouped(abs) + " sat)"
	}
	return text
}

// grouped writes a number with commas between the thousands.
func grouped[N int | int32 | int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// count writes a number with its noun in the right form.
func count[N int | int32 | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

func confirmations(n int32) string {
	return count(n, "confirmation", "confirmations")
}

func depths(all []int32) string {
	var words []string
	for _, d := range all {
		words = append(words, grouped(d))
	}
	return strings.Join(words, ", ")
}

// list joins words as a sentence does.
func list(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

// clock writes a time in UTC and, where it differs, in the configured zone.
func clock(t time.Time, zone *time.Location) string {
	text := t.UTC().Format("2006-01-02 15:04:05 UTC")
	if zone == nil {
		return text
	}
	local := t.In(zone)
	if _, offset := local.Zone(); offset == 0 {
		return text
	}
	return text + " (" + local.Format("2006-01-02 15:04:05 -07:00 ") + zone.String() + ")"
}

// span writes how long something took, in its two largest units.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return count(int64(d/time.Second), "second", "seconds")
	case d < time.Hour:
		return two(int64(d/time.Minute), "minute", int64(d%time.Minute/time.Second), "second")
	case d < 24*time.Hour:
		return two(int64(d/time.Hour), "hour", int64(d%time.Hour/time.Minute), "minute")
	}
	return two(int64(d/(24*time.Hour)), "day", int64(d%(24*time.Hour)/time.Hour), "hour")
}

func two(n int64, unit string, rest int64, smaller string) string {
	text := count(n, unit, unit+"s")
	if rest > 0 {
		text += " " + count(rest, smaller, smaller+"s")
	}
	return text
}

// capital begins a sentence. Its own words begin with ASCII letters.
func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
