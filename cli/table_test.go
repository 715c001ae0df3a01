package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func show(t *testing.T, tab *table, to Terminal) string {
	t.Helper()
	var out bytes.Buffer
	to.Out = &out
	if to.Getenv == nil {
		to.Getenv = func(string) string { return "" }
	}
	if err := tab.print(to); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func example() *table {
	tab := &table{columns: []column{
		{name: "ADDRESS"}, {name: "LABEL", cut: true, spare: true}, {name: "BTC", right: true}, {name: "STATE", paint: stateColour},
	}}
	tab.add("12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "Адрес номер один из двух, в статье", "0.00000001", isFine)
	tab.add("3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG", "b\x1b[2J\n\u202ec", "12.50000000", isWrong)
	return tab
}

func TestTableAligns(t *testing.T) {
	want := `ADDRESS                             LABEL                                       BTC  STATE
12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk  Адрес номер один из двух, в статье   0.00000001  ok
3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG  b [2J c                             12.50000000  wrong
`
	if got := show(t, example(), Terminal{}); got != want {
		t.Errorf("got\n%s", got)
	}
}

// TestTableFits cuts the label alone: an address is never cut.
func TestTableFits(t *testing.T) {
	got := show(t, example(), Terminal{Width: 80})
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(got, "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk") || !strings.Contains(got, "…") {
		t.Errorf("got\n%s", got)
	}
	if narrow := show(t, example(), Terminal{Width: 30}); !strings.Contains(narrow, "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG") {
		t.Errorf("got\n%s", narrow)
	}
}

// TestTableFolds: what does not fit stands below, whole where it may not be cut;
// where all fits, or nobody looks, a row is a line.
func TestTableFolds(t *testing.T) {
	txid := strings.Repeat("0123456789abcdef", 4)
	folding := func() *table {
		tab := &table{columns: []column{{name: "ALERT", below: true}, {name: "TIME"}, {name: "BTC", right: true}, {name: "SUMMARY", cut: true, below: true}}}
		tab.add(txid, "2026-01-02 03:04", "1.5", strings.Repeat("many words ", 20))
		tab.add(txid, "2026-01-02 03:05", "10.25", "")
		return tab
	}
	want := `TIME                BTC
  ALERT
  SUMMARY
2026-01-02 03:04    1.5
  ` + txid + `
  many words many words many words many words many words many words many words…
2026-01-02 03:05  10.25
  ` + txid + `
`
	if got := show(t, folding(), Terminal{Width: 79}); got != want {
		t.Errorf("got\n%s", got)
	}
	for _, width := range []int{0, 120} {
		if got := show(t, folding(), Terminal{Width: width}); strings.Count(got, "\n") != 3 {
			t.Errorf("%d columns: got\n%s", width, got)
		}
	}
}

// TestTableWraps: what may be wrapped goes on below itself, or below the line
// where there is no room beside the others; words stay whole, and what is folded
// away says what it is.
func TestTableWraps(t *testing.T) {
	wrapping := func() *table {
		tab := &table{columns: []column{{name: "CHECK"}, {name: "LIST", below: true, label: "list"}, {name: "FINDING", below: true, wrap: true}}}
		tab.add("position", "command", "block 900,000, at the tip, resting on 3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG")
		tab.add("gaps", "", "none")
		return tab
	}
	beside := `CHECK     LIST     FINDING
position  command  block 900,000, at the tip, resting on
                   3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG
gaps               none
`
	if got := show(t, wrapping(), Terminal{Width: 60}); got != beside {
		t.Errorf("got\n%s", got)
	}
	below := `CHECK
  LIST
  FINDING
position
  list: command
  block 900,000, at the tip,
  resting on
  3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG
gaps
  none
`
	if got := show(t, wrapping(), Terminal{Width: 30}); got != below {
		t.Errorf("got\n%s", got)
	}
}

// TestTableLeavesNoEscapes: what has no colour has no escape either.
func TestTableLeavesNoEscapes(t *testing.T) {
	tab := &table{columns: []column{{name: "STATE", paint: severityColour}, {name: "B"}}}
	tab.add("info", "x")
	if got := show(t, tab, Terminal{IsTerminal: true}); got != "STATE  B\ninfo   x\n" {
		t.Errorf("got %q", got)
	}
}

func TestTableColours(t *testing.T) {
	plain := show(t, example(), Terminal{})
	coloured := show(t, example(), Terminal{IsTerminal: true})
	if !strings.Contains(coloured, "\x1b[31mwrong\x1b[0m") {
		t.Errorf("got\n%q", coloured)
	}
	for _, code := range []colour{red, green, ordinary, endPaint} {
		coloured = strings.ReplaceAll(coloured, string(code), "")
	}
	if coloured != plain {
		t.Errorf("the colours moved columns:\n%s", coloured)
	}
	never := func(name string) string { return map[string]string{"NO_COLOR": "1"}[name] }
	if got := show(t, example(), Terminal{IsTerminal: true, Getenv: never}); got != plain {
		t.Errorf("NO_COLOR is not heeded: %q", got)
	}
}

func TestTableLeavesOut(t *testing.T) {
	tab := &table{columns: []column{{name: "A"}, {name: "B", spare: true}, {name: "C"}}}
	tab.add("1", "", "3")
	tab.add("4", "", "6")
	if got := show(t, tab, Terminal{}); got != "A  C\n1  3\n4  6\n" {
		t.Errorf("got %q", got)
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{btc(0), "0.00000000"}, {btc(1), "0.00000001"}, {btc(-150_000_000), "-1.50000000"}, {btc(2_100_000_000_000_000), "21000000.00000000"},
		{known(nil), "not known"},
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(-1234567), "-1,234,567"},
		{counted(1, "block", "blocks"), "1 block"}, {counted(2000, "block", "blocks"), "2,000 blocks"},
		{span(0), "0 s"}, {span(340 * time.Millisecond), "0.3 s"}, {span(59600 * time.Millisecond), "1 min"}, {span(90 * time.Second), "1 min 30 s"},
		{span(time.Hour), "1 h"}, {span(26*time.Hour + 5*time.Minute), "1 d 2 h"}, {span(9990 * time.Millisecond), "10 s"},
		{minute(nil), ""},
		{groups("12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk"), "12Sx sxvr E8zr tRve SeFJ YA6s gbJZ byHD Gk"}, {groups("1234"), "1234"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestProgress(t *testing.T) {
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var err bytes.Buffer
	to := Terminal{Err: &err, ErrIsTerminal: true, Now: func() time.Time { return clock }}
	p := to.progress("counting")
	p.end()
	if err.Len() > 0 {
		t.Errorf("what is done at once wrote %q", &err)
	}
	p = to.progress("counting")
	clock = clock.Add(3 * time.Second)
	p.show()
	p.now("adding")
	p.show()
	p.end()
	p.show() // a timer that fires late
	if want := "\r\x1b[Kcounting … 3s\r\x1b[Kadding … 3s\r\x1b[K"; err.String() != want {
		t.Errorf("a terminal got %q", &err)
	}
	err.Reset()
	to.ErrIsTerminal = false
	p = to.progress("counting")
	p.show()
	p.end()
	if want := "counting … 0s\n"; err.String() != want {
		t.Errorf("a file got %q", &err)
	}
}
