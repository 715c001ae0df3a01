package listfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest/recorded"
	"btcwatch/watchlist"
)

// read gives what a list says, as it is judged on mainnet.
func read(t *testing.T, name, text string, beside fs.FS) (format string, rows []watchlist.Row, err error) {
	t.Helper()
	f, rest, err := Open(strings.NewReader(text), "")
	if err != nil {
		return "", nil, err
	}
	judge := watchlist.Judge{Params: &chaincfg.MainNetParams}
	for e, err := range f.Read(Input{Text: rest, Name: name, Beside: beside}) {
		if err != nil {
			return f.Name, rows, err
		}
		rows = append(rows, judge.Judge(e))
	}
	return f.Name, rows, nil
}

func tally(rows []watchlist.Row) map[watchlist.HeldReason]int {
	all := map[watchlist.HeldReason]int{}
	for _, row := range rows {
		if row.Held == nil {
			all[""]++
			continue
		}
		all[row.Held.Reason]++
	}
	return all
}

// TestRealLists counts what is known of the lists by other means: OFAC's extract
// has 435 rows of which one is Tron's, the forfeiture pack 155 tags, GraphSense's
// pack of OFAC 572 tags, 385 of them under BTC, and five of Bitcoin's addresses
// under USDT, BCH and BSV.
func TestRealLists(t *testing.T) {
	for _, c := range []struct {
		file, format string
		want         map[watchlist.HeldReason]int
	}{
		{"lists/0xB10C-sanctioned_addresses_XBT.txt", "plain", map[watchlist.HeldReason]int{"": 434, watchlist.HeldChain: 1}},
		{"lists/tagpack/aft-alqaeda-forfeit_vc.yaml", "tagpack", map[watchlist.HeldReason]int{"": 155}},
		{"lists/0xB10C-other-coins-sanctioned_addresses_USDT.txt", "plain", nil},
		{"lists/tagpack/ofac.yaml", "tagpack", map[watchlist.HeldReason]int{
			"": 384, watchlist.HeldChain: 182, watchlist.HeldSymbol: 5, watchlist.HeldForm: 1, // one is Tron's under BTC, one Monero's 64 digits
		}},
		{"lists/tagpack/demo.yaml", "tagpack", nil},
		{"lists/watchman/sdn.csv", "ofac-csv", nil},
	} {
		format, rows, err := read(t, c.file, string(recorded.Read(t, c.file)), nil)
		if err != nil || format != c.format {
			t.Errorf("%s is read as %q: %v", c.file, format, err)
			continue
		}
		if got := tally(rows); c.want != nil && !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.file, got, c.want)
		}
		for _, row := range rows {
			if row.Held != nil && row.Held.Words == "" {
				t.Errorf("%s: held without a word: %+v", c.file, row)
			}
		}
	}
}

func TestNoLists(t *testing.T) {
	for _, file := range []string{
		"lists/dwva/abuses.csv", "lists/dwva/entities.yaml", "lists/dwva/entities.csv", "lists/dwva/abuses.yaml",
		"lists/ftm/CryptoWallet.yaml", "lists/tagpack/tagpack_schema.yaml", "lists/tagpack/confidence.csv",
	} {
		if format, _, err := read(t, file, string(recorded.Read(t, file)), nil); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s is read as %q (%v)", file, format, err)
		}
	}
}

// TestRelatives: what comes with lists and is none is said by name, with what to
// take instead.
func TestRelatives(t *testing.T) {
	for file, want := range map[string]string{
		"lists/watchman/add.csv": "ADD.CSV", "lists/watchman/alt.csv": "ALT.CSV", "lists/watchman/sdn_comments.csv": "SDN_COMMENTS.CSV",
		"lists/tagpack/graphsense.actorpack.head80.yaml": "ActorPack", "lists/misp/coin-address.json": "template", "lists/misp/btc-wallet.json": "template",
	} {
		_, _, err := read(t, file, string(recorded.Read(t, file)), nil)
		if fault := new(FaultError); !errors.As(err, &fault) || !strings.Contains(fault.Reason, want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSDNJoinsRemarks: the remarks of UID 33151 are cut amid an address.
func TestSDNJoinsRemarks(t *testing.T) {
	text := string(recorded.Read(t, "lists/watchman/sdn.csv"))
	beside := fstest.MapFS{"SDN_Comments.csv": {Data: recorded.Read(t, "lists/watchman/sdn_comments.csv")}}
	find := func(rows []watchlist.Row, text string) *watchlist.Row {
		for i := range rows {
			if rows[i].Text == text {
				return &rows[i]
			}
		}
		return nil
	}
	const first, second = "1B64QRxf", "aa35MVkf7sDjuGUYAP5izQt7Qi"
	_, rows, err := read(t, "sdn.csv", text, beside)
	if err != nil {
		t.Fatal(err)
	}
	whole := find(rows, first+second)
	if whole == nil || whole.Held != nil || find(rows, first) != nil || find(rows, second) != nil {
		t.Fatalf("joined: %+v, and halves %v %v", whole, find(rows, first), find(rows, second))
	}
	l := whole.Listing
	if l.Source.Locator != "UID 33151" || !strings.HasPrefix(l.Entity, "SUEX") || l.Basis != watchlist.Designation || l.Category == "" || whole.Symbol != "XBT" {
		t.Errorf("%+v", whole)
	}
	if two := find(rows, "12udabs2TkX7NXCSj6KpqXfakjE52ZPLhz"); two == nil || two.Listing.Category != "CYBER2, ELECTION-EO13848" {
		t.Errorf("two programmes: %+v", two)
	}
	_, rows, err = read(t, "sdn.csv", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	cut := find(rows, first)
	if cut == nil || cut.Held == nil || cut.Held.Reason != watchlist.HeldFault || !strings.Contains(cut.Held.Words, "SDN_COMMENTS.CSV") {
		t.Errorf("without the comments: %+v", cut)
	}
	if find(rows, second) != nil || find(rows, first+second) != nil {
		t.Error("what is not there is read")
	}
}

// TestSDNCutShort: remarks that end without a full stop are said, wherever they
// are cut: what was to come may be an address.
func TestSDNCutShort(t *testing.T) {
	text := func(remarks string) string {
		return "1,\"A\",-0- ,\"P\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,\"" + remarks + "\"\n"
	}
	const whole = "Digital Currency Address - XBT 12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk"
	for name, c := range map[string]struct {
		remarks, comments string
		watched, held     int
	}{
		"whole":                   {whole + ".", "", 1, 0},
		"amid an address":         {whole[:len(whole)-5], "", 0, 1},
		"after one":               {whole + "; alt. Digital Curr", "", 1, 1},
		"amid words":              {whole + "; Company Num", "", 1, 1},
		"goes on":                 {whole[:len(whole)-5], whole[len(whole)-5:] + ".", 1, 0},
		"cut in the comments too": {whole[:len(whole)-5], whole[len(whole)-5:] + "; alt. Dig", 1, 1},
		"no address":              {"DOB 1 May 1970", "", 0, 0},
	} {
		beside := fstest.MapFS{}
		if c.comments != "" {
			beside["sdn_comments.csv"] = &fstest.MapFile{Data: []byte("1,\"" + c.comments + "\"\n")}
		}
		_, rows, err := read(t, "sdn.csv", text(c.remarks), beside)
		got := tally(rows)
		if err != nil || got[""] != c.watched || len(rows)-got[""] != c.held {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

// TestTagsInherit: what the header says holds for each tag that says nothing else.
func TestTagsInherit(t *testing.T) {
	const pack = "title: T\ncreator: C\nlabel: L\nsource: https://s.example/a\ncurrency: BTC\nconfidence: authority_data\nabuse: terrorism\ncategory: user\nlastmod: 2024-02-26\n" +
		"tags:\n- address: 12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk\n- address: 3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG\n  label: other\n  confidence: nobody knows\n  abuse: ''\n" +
		"- tx_hash: 1638cb19804b4b32240087ddcf6e7c31da0d4a2299bacdd7e6c6c8286aa0bc7e\n- address: '0x2f389ce8bd8ff92de3402ffce4691d17fc4f6535'\n  currency: ETH\n"
	_, rows, err := read(t, "p.yaml", pack, nil)
	if err != nil || len(rows) != 4 {
		t.Fatalf("%+v %v", rows, err)
	}
	one, two := rows[0].Listing, rows[1].Listing
	if one.Label != "L" || one.Category != "terrorism" || one.Confidence != (watchlist.Confidence{Percent: 60, Said: true}) || one.Source.URL != "https://s.example/a" ||
		one.Source.Author != "C" || one.Source.Title != "T" || one.Source.Date != "2024-02-26" || rows[0].Line != 11 {
		t.Errorf("%+v", rows[0])
	}
	if two.Label != "other" || two.Confidence.Said || two.Category != "user" || two.Source.URL != one.Source.URL || rows[1].Line != 12 {
		t.Errorf("%+v", rows[1])
	}
	if rows[2].Held == nil || !strings.Contains(rows[2].Held.Words, "transaction") || rows[3].Held == nil || rows[3].Held.Reason != watchlist.HeldChain {
		t.Errorf("%+v %+v", rows[2].Held, rows[3].Held)
	}
}

func TestPlainLines(t *testing.T) {
	const text = "\ufeff# a comment\r\n\r\n12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk , Botobekov, one\r\n// another\n3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG # two\n"
	format, rows, err := read(t, "x.txt", text, nil)
	if err != nil || format != "plain" || len(rows) != 2 || rows[0].Line != 3 || rows[0].Listing.Label != "Botobekov, one" || rows[1].Line != 5 || rows[1].Listing.Label != "two" {
		t.Errorf("%s %+v %v", format, rows, err)
	}
	if rows[0].Held != nil || rows[1].Held != nil {
		t.Errorf("held: %+v", rows)
	}
}

// TestFaultsOfLists: each fault is named with its line, and nothing panics.
func TestFaultsOfLists(t *testing.T) {
	const head = "title: T\ncreator: C\n"
	const address = "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk"
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {" \n", "the list is empty"},
		"PDF":              {"%PDF-1.7 x", "pdftotext"},
		"zip":              {"PK\x03\x04", "ZIP"},
		"UTF-16":           {"\xff\xfe1\x002\x00", "UTF-16"},
		"zero byte":        {"a\nb\x00c", "line 2: a zero byte"},
		"prose":            {"Nothing here is a list.\n", "no known format"},
		"alias":            {head + "tags:\n- &a {address: x}\n- *a\n", "line 4: an anchor or alias"},
		"bomb":             {head + "a: &a [1,1]\nb: &b [*a,*a]\nc: [*b,*b]\ntags: []\n", "anchor or alias"},
		"key twice":        {head + "tags:\n- address: " + address + "\n  address: x\n", "line 5:"},
		"header below":     {head + "tags:\n- address: " + address + "\ncurrency: BTC\n", "line 5: something other than a tag"},
		"dashes askew":     {head + "tags:\n  - address: " + address + "\n- address: " + address + "\n", "line 5: something other than a tag"},
		"a tag of words":   {head + "tags:\n- address: " + address + "\n- words\n", "line 5: a tag without keys"},
		"a broken tag":     {head + "tags:\n- address: " + address + "\n\n# x\n- address: [\n", "line 7:"},
		"tags no list":     {head + "tags: x\n", "line 3: tags is no list"},
		"YAML broken":      {head + "tags:\n- address: [\n", "line"},
		"JSON cut":         {`["` + address + `", "3Ho`, "cannot be read"},
		"JSON mixed":       {`["` + address + `", {"a": 1}]`, "other than an address"},
		"JSON goes on":     {`["` + address + `"] []`, "something follows"},
		"a line too long":  {address + "\n" + strings.Repeat("x", longestLine+1), "line 2: the line is longer"},
		"SDN row too long": {"1,\"A\",-0- ,\"P\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,\"x\"\n1,2\n", "line 2: the row has 2 fields"},
		"SDN quotes":       {"1,\"A\",-0- ,\"P\",-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,-0- ,\"x\"\n1,\"2\n", "line"},
	} {
		_, rows, err := read(t, "x", c.text, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		_ = rows
	}
}

// TestFirstFormatFits: every format has a name of its own, and of a real file no
// other format thinks that it is one, but the general ones at the end.
func TestFirstFormatFits(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Formats() {
		if f.Name == "" || f.Title == "" || f.Read == nil || seen[f.Name] {
			t.Errorf("%+v", f.Name)
		}
		seen[f.Name] = true
	}
	for file, want := range map[string]string{
		"lists/watchman/sdn.csv": "ofac-csv", "lists/tagpack/ofac.yaml": "tagpack", "lists/tagpack/aft-alqaeda-forfeit_vc.yaml": "tagpack",
		"lists/0xB10C-sanctioned_addresses_XBT.txt": "plain", "article.txt": "text",
		"lists/stix/cryptocurrency-wallet--b6ae6083-875f-5fe9-84b9-89e168f89406.json": "stix",
	} {
		text := recorded.Read(t, file)
		for _, f := range Formats() {
			if f.Recognises(text[:min(len(text), beginning)]) != (f.Name == want) {
				t.Errorf("%s: %s says %v", file, f.Name, f.Name != want)
			}
		}
	}
}

func FuzzLists(f *testing.F) {
	for _, file := range []string{"lists/watchman/sdn.csv", "lists/tagpack/demo.yaml", "lists/0xB10C-sanctioned_addresses_XBT.txt"} {
		f.Add(path.Base(file), recorded.Read(f, file))
	}
	f.Add("a.json", []byte(`["x"]`))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		for _, format := range Formats() {
			format.Recognises(text)
			n := 0
			for _, err := range format.Read(Input{Text: bytes.NewReader(text), Name: name}) {
				if n++; err != nil || n > len(text)+1 {
					break
				}
			}
			if n > len(text)+1 {
				t.Errorf("%s gives %s", format.Name, fmt.Sprint(n, " entries of ", len(text), " bytes"))
			}
		}
	})
}
