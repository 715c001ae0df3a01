package alerts

import (
	"strings"
	"testing"
	"time"
)

func TestAmountsAreExactAndReadable(t *testing.T) {
	for sat, want := range map[int64]string{
		0:                     "0 BTC",
		1:                     "0.00000001 BTC (1 sat)",
		1_000:                 "0.00001 BTC (1,000 sat)",
		99_999:                "0.00099999 BTC (99,999 sat)",
		100_000:               "0.001 BTC",
		1_500_000:             "0.015 BTC",
		100_000_000:           "1 BTC",
		123_456_789_000:       "1,234.56789 BTC",
		2_100_000_000_000_000: "21,000,000 BTC",
		-1:                    "-0.00000001 BTC (-1 sat)",
		-9223372036854775808:  "-92,233,720,368.54775808 BTC",
	} {
		if got := btc(sat); got != want {
			t.Errorf("%d satoshis read %q, not %q", sat, got, want)
		}
	}
}

func TestForeignTextIsMadeSafe(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                             "plain",
		"a\r\nBcc: x@example.org":           "a Bcc: x@example.org",
		"\x1b[31mred\x1b[0m":                "[31mred [0m",
		"c1 \u009b31m":                      "c1 31m",
		"abc\u202edcba\u2066x\u2069":        "abcdcbax",
		"zero\u200bwidth\ufeff\u2060\u00ad": "zerowidth",
		"می\u200cخواهم":                     "می\u200cخواهم",
		"line\u2028separator\u2029":         "line separator",
		"tag\U000E0041\uE000":               "tag",
		"bad\xff":                           "bad\uFFFD",
		"  many \t spaces ":                 "many spaces",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q becomes %q, not %q", text, got, want)
		}
	}
	if got := []rune(clean(strings.Repeat("ы", 500))); len(got) != 200 || got[199] != '…' {
		t.Errorf("500 characters become %d", len(got))
	}
}

func TestClockShowsUTCAndTheZone(t *testing.T) {
	winter := time.FixedZone("Kolkata", 5*3600+1800)
	for _, c := range []struct {
		zone *time.Location
		want string
	}{
		{nil, "2026-03-01 12:00:05 UTC"},
		{time.UTC, "2026-03-01 12:00:05 UTC"},
		{winter, "2026-03-01 12:00:05 UTC (2026-03-01 17:30:05 +05:30 Kolkata)"},
	} {
		if got := clock(at("2026-03-01T12:00:05.9Z"), c.zone); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestSpansReadNaturally(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second:                  "1 second",
		59 * time.Second:             "59 seconds",
		time.Minute:                  "1 minute",
		165 * time.Second:            "2 minutes 45 seconds",
		90 * time.Minute:             "1 hour 30 minutes",
		49 * time.Hour:               "2 days 1 hour",
		5*time.Hour + 10*time.Second: "5 hours",
	} {
		if got := span(d); got != want {
			t.Errorf("%v reads %q, not %q", d, got, want)
		}
	}
}
