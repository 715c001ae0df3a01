package alerts

import (
	"strings"
	"testing"
	"time"
)

func bodyOf(t *testing.T, a Alert) Body {
	t.Helper()
	b, err := Decode(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What an amount was worth stands beside the amount that it belongs to, and
// nowhere else.
func TestFiatStandsBesideItsAmount(t *testing.T) {
	p := inFiat()
	d := bodyOf(t, told(t)(p.Replaced(testKey(), Replacement{TxID: someBlock, Known: true, Direction: In, AmountSat: ptr[int64](2_000_000), State: Unconfirmed}))).Data
	if d.AmountFiat == nil || d.AmountFiat.Value != "1234.56" || strings.Count(d.Summary, "EUR") != 1 || !strings.Contains(d.Summary, "pays 0.02 BTC to ") {
		t.Errorf("replaced: %+v, %s", d.AmountFiat, d.Summary)
	}
	d = bodyOf(t, told(t)(p.Refuted(testKey(), false))).Data
	if d.AmountFiat != nil || d.NoRate != "" || d.AmountSat != nil || strings.Contains(d.Summary, "EUR") {
		t.Errorf("refuted: %+v, %q, %s", d.AmountFiat, d.NoRate, d.Summary)
	}
	p.AmountSat = nil
	b := bodyOf(t, told(t)(p.Seen(testKey())))
	if d := b.Data; d.AmountFiat != nil || d.NoRate != "" || strings.Contains(Text(b, nil), "worth") {
		t.Errorf("of an amount that is not known: %+v, %q", d.AmountFiat, d.NoRate)
	}
}

// Without a currency a body is what it was, to the byte.
func TestBodiesWithoutFiatAreAsBefore(t *testing.T) {
	for _, p := range []Payment{incoming(), confirmed(), historic()} {
		a := told(t)(p.Seen(testKey()))
		if strings.Contains(string(a.Body), "fiat") || strings.Contains(Text(bodyOf(t, a), nil), "worth") {
			t.Errorf("%s", a.Body)
		}
	}
	p := incoming()
	p.FiatCurrency = "EUR"
	with, without := string(told(t)(p.Seen(testKey())).Body), string(told(t)(incoming().Seen(testKey())).Body)
	if strings.Replace(with, `"fiat_not_known":"EUR",`, "", 1) != without || with == without {
		t.Errorf("one field is not all that differs:\n%s\n%s", with, without)
	}
}

// A source is foreign text; a currency that nobody knows makes no amount.
func TestFiatOfForeignText(t *testing.T) {
	p := inFiat()
	p.Fiat.Source = "evil\x1b[31m\u202ename <b>"
	b := bodyOf(t, told(t)(p.Seen(testKey())))
	for name, text := range map[string]string{"text": Text(b, nil), "subject": Subject(b), "html": HTML(b, nil), "cef": cef(b, "1")} {
		if strings.ContainsAny(text, "\x1b\u202e") || name == "html" && strings.Contains(text, "<b>") {
			t.Errorf("%s: %q", name, text)
		}
	}
	p.Fiat.Currency = "XXX"
	if d := bodyOf(t, told(t)(p.Seen(testKey()))).Data; d.AmountFiat != nil || d.NoRate != "EUR" {
		t.Errorf("%+v, %q", d.AmountFiat, d.NoRate)
	}
	for text, want := range map[string]string{"0.05": "0.05", "123.45": "123.45", "1234.50": "1,234.50", "1234567": "1,234,567", "-1234.5": "-1,234.5", "-123.5": "-123.5", "": "", "1000.123": "1,000.123"} {
		if got := groupedDecimal(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// Columns of a table are under each other, whatever letters are in them, and an
// old report without the newer figures still reads.
func TestTables(t *testing.T) {
	r := fullReport()
	r.Explorers[0].Name, r.Explorers[1].Name = "Ünïcode Ёж", "b"
	lines := strings.Split(r.explorerTable().text(), "\n")
	state := func(line, word string) int { return len([]rune(line[:strings.Index(line, word)])) }
	if a, b := state(lines[2], "ok"), state(lines[3], "failing"); a != b || a != state(lines[1], "state") {
		t.Errorf("columns stand at %d and %d\n%s", a, b, strings.Join(lines, "\n"))
	}
	ages := strings.Split(r.ageTable().text(), "\n")
	if len(ages[2]) != len(ages[6]) {
		t.Errorf("numbers do not end under each other\n%s", strings.Join(ages, "\n"))
	}
	old := Body{Type: ReportDaily, Timestamp: time.Now(), Data: Data{Severity: "info", Summary: "Daily report.", Lines: []string{"All is well.", "From here."}, Report: &Report{}}}
	if text := Text(old, nil); !strings.Contains(text, "All is well.\nFrom here.\n") || strings.Contains(text, "Payments\n") {
		t.Errorf("an old report:\n%s", text)
	}
}
