package listfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
	"btcwatch/watchlist"
)

// hostile are texts that notations trip over.
func hostile() []string {
	return []string{
		"", "no", "~", "1e3", "null", "0x10", "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "'quoted", "''", `"`, `a "b", c`, "a;b|c", "- x: y", "# no comment",
		"{\"btcwatch\":{}}", "<b>&amp;</b>", "Ж漢字😀", "2020-08-13", "true", "[x]", "!!binary x", "&a *a", "%", "`", "x: |", `\n`, strings.Repeat("long ", 90) + "end",
	}
}

func listings(t *testing.T, seed uint64) (all []watchlist.Listing) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 6))
	text := func() string { return hostile()[random.IntN(len(hostile()))] }
	day := func() time.Time {
		if random.IntN(3) == 0 {
			return time.Time{}
		}
		return time.Date(2020+random.IntN(30), time.Month(1+random.IntN(12)), 1+random.IntN(28), 0, 0, 0, 0, time.UTC)
	}
	for line := range strings.Lines(string(recorded.Read(t, "lists/0xB10C-sanctioned_addresses_XBT.txt"))) {
		a, err := chain.ParseAddress(strings.TrimSpace(line), &chaincfg.MainNetParams)
		if err != nil {
			continue
		}
		l := watchlist.Listing{
			Address: a, Label: text(), Entity: text(), Category: text(), Version: text(), Confidential: random.IntN(2) == 0,
			Basis: watchlist.Bases()[random.IntN(7)], Notify: []watchlist.Notify{"", "digest", "record"}[random.IntN(3)],
			Confidence: watchlist.Confidence{Percent: random.IntN(101), Said: true},
			Source: watchlist.Source{
				Title: text(), Author: text(), Publisher: text(), URL: text(), Locator: text(), Quote: text(),
				Date: []string{"", "2020", "2020-08", "2020-08-13"}[random.IntN(4)],
			},
		}
		if l.From, l.To = day(), day(); l.To.Before(l.From) {
			l.To = time.Time{}
		}
		if random.IntN(3) == 0 {
			l.Confidence = watchlist.Confidence{}
		}
		all = append(all, l)
	}
	return all
}

// TestWhatIsWrittenReadsBack: each form, read back as any list is, gives the same
// listings, whatever is in their texts.
func TestWhatIsWrittenReadsBack(t *testing.T) {
	for seed := range uint64(5) {
		all := listings(t, seed)
		for _, form := range Forms() {
			var file bytes.Buffer
			if err := form.Write(&file, func(yield func(watchlist.Listing, error) bool) {
				for _, l := range all {
					if !yield(l, nil) {
						return
					}
				}
			}); err != nil {
				t.Fatal(err)
			}
			format, rest, err := Open(&file, "")
			if err != nil || format.Name != form.Name {
				t.Fatalf("%s is read as %s: %v", form.Name, format.Name, err)
			}
			judge := watchlist.Judge{Params: &chaincfg.MainNetParams, Today: time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)}
			n := 0
			for e, err := range format.Read(Input{Text: rest}) {
				if err != nil {
					t.Fatalf("%s: %v", form.Name, err)
				}
				row := judge.Judge(e)
				if row.Held != nil || !reflect.DeepEqual(row.Listing, all[n]) || e.Confidential == nil || *e.Confidential != all[n].Confidential {
					t.Fatalf("%s gives\n%+v (%v), wrote\n%+v", form.Name, row.Listing, row.Held, all[n])
				}
				n++
			}
			if n != len(all) {
				t.Errorf("%s: %d of %d", form.Name, n, len(all))
			}
		}
	}
}

// TestNoFormulaLeaves: no field of the table begins as a formula does.
func TestNoFormulaLeaves(t *testing.T) {
	var file bytes.Buffer
	if err := writeTable(&file, func(yield func(watchlist.Listing, error) bool) {
		for _, l := range listings(t, 9) {
			if !yield(l, nil) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{",=", ",+", ",-", ",@", `,"=`, `,"+`, `,"-`, `,"@`} {
		if strings.Contains(strings.ReplaceAll(file.String(), "\n", ","), start) {
			t.Errorf("a field begins with %q", start)
		}
	}
}

func TestTables(t *testing.T) {
	text := "Wallet;Owner;Crime;Published;Ignored\r\n" + malhama + ";\"A; B\";terrorism;13 August 2020;x\r\n" + katibat + ";;;;\r\n"
	f, rest, err := Open(strings.NewReader(text), "")
	if err != nil || f.Name != "csv" {
		t.Fatal(f.Name, err)
	}
	var told []string
	var all []watchlist.Entry
	for e, err := range f.Read(Input{Text: rest, Told: func(line string) { told = append(told, line) }}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) != 2 || all[0].Listing.Entity != "A; B" || all[0].Listing.Source.Date != "2020-08-13" || all[1].Line != 3 || all[1].Listing.Entity != "" {
		t.Errorf("%+v", all)
	}
	if got := fmt.Sprint(told); !strings.Contains(got, `Column 1, "Wallet", is read as address.`) || !strings.Contains(got, `Left out: "Ignored".`) {
		t.Error(got)
	}
	const head = "address,label,date,confidence,basis\n" + malhama + ",a,,,\n"
	for text, want := range map[string]string{
		head + katibat + ",b,2020-02-31,,\n":                             `line 3: "2020-02-31" is no date`,
		head + katibat + ",b,,101,\n":                                    "line 3: the confidence",
		head + katibat + ",b,,,rumour\n":                                 `line 3: the basis "rumour"`,
		head + katibat + ",b\n":                                          "line 3: wrong number of fields",
		head + "\"x\ny\",b,,,\n" + katibat + ",\"b":                      "line 5",
		head + strings.Repeat("x", 2*longestLine):                        "line 3: the line is longer",
		`{"address":"` + malhama + `","label":"a","label":"b"}` + "\n":   "no known format",
		`{"address":"` + malhama + `"}` + "\n" + `{"address":"x","y":1}`: `line 2: unknown field "y"`,
	} {
		if _, _, err := read(t, "x", text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}
