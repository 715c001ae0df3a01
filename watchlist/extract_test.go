package watchlist

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// The article's addresses, and two of BIP 173 and BIP 350.
const (
	p2pkh  = "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk"
	p2sh   = "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG"
	p2wpkh = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
	p2tr   = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
)

// place is where something is found, and what.
type place struct {
	line, column int
	text         string
}

func extract(t testing.TB, text string, params *chaincfg.Params) (found []place, missed []Finding) {
	t.Helper()
	findings, err := Extract(strings.NewReader(text), params)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.NearMiss() {
			missed = append(missed, f)
			continue
		}
		if f.Kind != f.Address.Kind || f.Kind == "" || f.Address.Script == nil {
			t.Errorf("an address without kind or script: %+v", f)
		}
		found = append(found, place{f.Line, f.Column, f.Address.Text})
	}
	return found, missed
}

func TestExtractFromTheArticle(t *testing.T) {
	found, missed := extract(t, string(recorded.Read(t, "article.txt")), &chaincfg.MainNetParams)
	want := []place{{250, 3, p2sh}, {252, 3, p2pkh}}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("found %v, want %v", found, want)
	}
	if len(missed) != 0 {
		t.Errorf("near misses: %+v", missed)
	}
}

func TestExtractFinds(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []place
	}{
		"alone":              {p2pkh, []place{{1, 1, p2pkh}}},
		"both cases":         {"BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4 " + p2wpkh, []place{{1, 1, p2wpkh}, {1, 44, p2wpkh}}},
		"punctuation":        {"(" + p2pkh + "),\n„" + p2sh + "“;" + p2tr + ".", []place{{1, 2, p2pkh}, {2, 2, p2sh}, {2, 38, p2tr}}},
		"label":              {"BTC:" + p2pkh + " Биткойн—" + p2sh, []place{{1, 5, p2pkh}, {1, 48, p2sh}}},
		"twice":              {p2pkh + "\r\n" + p2pkh, []place{{1, 1, p2pkh}, {2, 1, p2pkh}}},
		"numbered":           {"1 " + p2pkh + "\n3. " + p2sh, []place{{1, 3, p2pkh}, {2, 4, p2sh}}},
		"link":               {"bitcoin:" + p2pkh + "?amount=0.1&label=x", []place{{1, 9, p2pkh}}},
		"link in upper case": {"BITCOIN:BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4?AMOUNT=1", []place{{1, 9, p2wpkh}}},
		"percent-encoded":    {"https://t.me/share?url=bitcoin%3A" + p2pkh + "%3Famount%3D1", []place{{1, 34, p2pkh}}},
		"every letter percent-encoded": {
			"%31%32%53xsxvrE8zrtRveSeFJYA6sgbJZbyHDG%6b", []place{{1, 1, p2pkh}}},
		"entities":            {"&nbsp;" + p2pkh + "&nbsp;&quot;" + p2sh + "&quot;", []place{{1, 7, p2pkh}, {1, 53, p2sh}}},
		"letters as entities": {"&#49;2Sxsx&#x76;rE8zrtRveSeFJYA6sgbJZbyHDGk", []place{{1, 1, p2pkh}}},
		"tag and attribute":   {`<a href="https://x.example/address/` + p2pkh + `">` + p2pkh + `</a>`, []place{{1, 36, p2pkh}, {1, 72, p2pkh}}},
		"markdown":            {"`" + p2pkh + "` **" + p2sh + "** _" + p2wpkh + "_", []place{{1, 2, p2pkh}, {1, 40, p2sh}, {1, 78, p2wpkh}}},
		"JSON":                {`{"text":"send\n` + p2pkh + `\n\u200b` + p2sh + `"}`, []place{{1, 16, p2pkh}, {1, 58, p2sh}}},
		"stuck to a word":     {"BTC" + p2pkh + "Donate to" + p2wpkh + "now", []place{{1, 4, p2pkh}, {1, 47, p2wpkh}}},
		"invisible around":    {"\u200b" + p2pkh + "\u200b\u2060" + p2sh + "\ufe0f", []place{{1, 2, p2pkh}, {1, 38, p2sh}}},
		"Cyrillic around":     {"адрес" + p2pkh + "спасибо", []place{{1, 6, p2pkh}}},
		"byte order mark":     {"\ufeff" + p2pkh, []place{{1, 1, p2pkh}}},
		"short":               {"burnt: 1111111111111111111114oLvT2", []place{{1, 8, "1111111111111111111114oLvT2"}}},
		"not UTF-8":           {"\xe0\xe4\xf0\xe5\xf1 " + p2pkh + "\xff", []place{{1, 7, p2pkh}}},
		"CSV":                 {"1,\"" + p2pkh + "\"," + p2sh + ";" + p2tr, []place{{1, 4, p2pkh}, {1, 40, p2sh}, {1, 75, p2tr}}},
	} {
		t.Run(name, func(t *testing.T) {
			found, missed := extract(t, c.text, &chaincfg.MainNetParams)
			if fmt.Sprint(found) != fmt.Sprint(c.want) {
				t.Errorf("found %v, want %v", found, c.want)
			}
			if len(missed) != 0 {
				t.Errorf("near misses: %+v", missed)
			}
		})
	}
}

// What stands there is shown as it stands, the address in its canonical form.
func TestExtractShowsTheTextAsItStands(t *testing.T) {
	for _, text := range []string{"BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "&#49;2SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk"} {
		findings, err := Extract(strings.NewReader(text), &chaincfg.MainNetParams)
		if err != nil || len(findings) != 1 || findings[0].Text != text {
			t.Errorf("%s: %+v, %v", text, findings, err)
		}
	}
}

func TestExtractReportsNearMisses(t *testing.T) {
	const typo = "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGj"
	reads := "it reads " + p2pkh
	for name, c := range map[string]struct {
		text         string
		line, column int
		shown        string
		reason       string
	}{
		"typo":                     {"to " + typo + ".", 1, 4, typo, "bad checksum"},
		"cut":                      {"12SxsxvrE8zrtRveSeFJYA6sgbJZ...", 1, 1, typo[:28], "bad checksum"},
		"misread letter":           {"3HoWzYwaBbTg7sKGtHz3pAZxdHZ0XUJRvG", 1, 1, "3HoWzYwaBbTg7sKGtHz3pAZxdHZ0XUJRvG", `"0" is in no address`},
		"typo after an escape":     {`"text":"pay\n` + typo, 1, 14, typo, "bad checksum"},
		"typo in a link":           {"https://mempool.space/address/" + typo, 1, 31, typo, "bad checksum"},
		"typo in a payment link":   {"bitcoin:" + typo + "?amount=1", 1, 9, typo, "bad checksum"},
		"typo after a sentence":    {"Pay here." + typo + " now", 1, 10, typo, "bad checksum"},
		"typo in a list":           {"- #" + typo, 1, 4, typo, "bad checksum"},
		"typo after its name":      {"кошелёк=" + typo + "; BTC_address=x", 1, 9, typo, "bad checksum"},
		"typo in bech32":           {"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", 1, 1, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "bad checksum"},
		"capital at the beginning": {"Bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1, 1, "Bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "upper and lower case are mixed"},
		"testnet":                  {"tb1qcrh3yqn4nlleplcez2yndq2ry8h9ncg3qh7n54", 1, 1, "tb1qcrh3yqn4nlleplcez2yndq2ry8h9ncg3qh7n54", "testnet"},
		"testnet, Base58":          {"mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ", 1, 1, "mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ", "testnet"},
		"Tron":                     {"TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq", 1, 1, "TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq", "a Tron address"},
		"Litecoin":                 {"LTC: LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", 1, 6, "LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", "a Litecoin address"},
		"Dogecoin":                 {"DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", 1, 1, "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", "a Dogecoin address"},
		"Zcash":                    {"t1ZmpK4QFcvyQZ3ghTgSboBW8b4HgiZHQF9", 1, 1, "t1ZmpK4QFcvyQZ3ghTgSboBW8b4HgiZHQF9", "a Zcash address"},
		"anchor":                   {"bc1pfeessrawgf", 1, 1, "bc1pfeessrawgf", "anchor"},
		"witness version":          {"BC1SW50QGDZ25J", 1, 1, "BC1SW50QGDZ25J", "witness version 16 is not known"},
		"extended key": {"key xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8", 1, 5,
			"xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8", "extended public key"},
		"private key": {"key 5JuW2AMDYu4xVwRG9DZW18VbzQrGcd5RCgb99sS6ehJsNQXu5b9", 1, 5, "(not shown)", "a private key"},

		"invisible inside":           {"x 12Sxs\u200bxvrE8zrtRveSeFJYA6sgbJZbyHDGk", 1, 3, "12Sxs<U+200B>xvrE8zrtRveSeFJYA6sgbJZbyHDGk", reads},
		"invisible entity inside":    {"12Sxs&shy;xvrE8zrtRveSeFJYA6sgbJZbyHDGk", 1, 1, "12Sxs&shy;xvrE8zrtRveSeFJYA6sgbJZbyHDGk", reads},
		"invisible inside JSON":      {`12Sxs\u2060xvrE8zrtRveSeFJYA6sgbJZbyHDGk`, 1, 1, `12Sxs\u2060xvrE8zrtRveSeFJYA6sgbJZbyHDGk`, reads},
		"split after an escape":      {`pay\n12Sxs\u2060xvrE8zrtRveSeFJYA6sgbJZbyHDGk`, 1, 6, `12Sxs\u2060xvrE8zrtRveSeFJYA6sgbJZbyHDGk`, reads},
		"invisible inside a link":    {"12Sxs%E2%80%8BxvrE8zrtRveSeFJYA6sgbJZbyHDGk", 1, 1, "12Sxs%E2%80%8BxvrE8zrtRveSeFJYA6sgbJZbyHDGk", reads},
		"invisible, and a typo":      {"12Sxs\u200bxvrE8zrtRveSeFJYA6sgbJZbyHDGj", 1, 1, "12Sxs<U+200B>xvrE8zrtRveSeFJYA6sgbJZbyHDGj", "invisible character (U+200B)"},
		"invisible in bech32":        {"bc1q\u00adw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1, 1, "bc1q<U+00AD>w508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "it reads " + p2wpkh},
		"Cyrillic letter":            {"12\u0405xsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", 1, 1, "12\u0405xsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "only look like Latin ones inside; without, " + reads},
		"Cyrillic letter first":      {"к \u0417HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG", 1, 3, "\u0417HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG", "it reads " + p2sh},
		"Cyrillic letter, and typo":  {"12\u0405xsxvrE8zrtRveSeFJYA6sgbJZbyHDGj", 1, 1, "12\u0405xsxvrE8zrtRveSeFJYA6sgbJZbyHDGj", "character 3 (U+0405) is in no address"},
		"Cyrillic letter last":       {"bc1qw508d6qejxtdg4y5r3z\u0430rvary0c5xw7kv8f3t4", 1, 1, "bc1qw508d6qejxtdg4y5r3z\u0430rvary0c5xw7kv8f3t4", "it reads " + p2wpkh},
		"full width":                 {wide(p2pkh), 1, 1, wide(p2pkh), reads},
		"line break":                 {"pay\n12SxsxvrE8zrt\n  RveSeFJYA6sgbJZbyHDGk now", 2, 1, "12SxsxvrE8zrt<U+000A>  RveSeFJYA6sgbJZbyHDGk", "a line break inside; without, " + reads},
		"line break in a mail":       {"> 12SxsxvrE8zrt\r\n> RveSeFJYA6sgbJZbyHDGk", 1, 3, "12SxsxvrE8zrt<U+000D><U+000A>> RveSeFJYA6sgbJZbyHDGk", reads},
		"soft break in a mail":       {"12SxsxvrE8zrt=\nRveSeFJYA6sgbJZbyHDGk", 1, 1, "12SxsxvrE8zrt=<U+000A>RveSeFJYA6sgbJZbyHDGk", reads},
		"hyphen and line break":      {"bc1qw508d6qejxtdg4y5r3-\nzarvary0c5xw7kv8f3t4", 1, 1, "bc1qw508d6qejxtdg4y5r3-<U+000A>zarvary0c5xw7kv8f3t4", "it reads " + p2wpkh},
		"tag":                        {"12Sxs<wbr>xvrE8zrtRveSeFJYA6sgbJZbyHDGk", 1, 1, "12Sxs<wbr>xvrE8zrtRveSeFJYA6sgbJZbyHDGk", "a tag inside; without, " + reads},
		"tags":                       {"<p><b>12Sxs</b><span class=x>xvrE8zrtRveSeFJYA6sgb</span><i>JZbyHDGk</i></p>", 1, 7, "12Sxs</b><span class=x>xvrE8zrtRveSeFJYA6sgb</span><i>JZbyHDGk", reads},
		"groups of four":             {"bc1q w508 d6qe jxtd g4y5 r3za rvar y0c5 xw7k v8f3 t4", 1, 1, "bc1q w508 d6qe jxtd g4y5 r3za rvar y0c5 xw7k v8f3 t4", "blanks inside; without, it reads " + p2wpkh},
		"bold in the middle":         {"12Sxs**xvrE8zrtRveSeFJ**YA6sgbJZbyHDGk", 1, 1, "12Sxs**xvrE8zrtRveSeFJ**YA6sgbJZbyHDGk", reads},
		"first part long as address": {"12SxsxvrE8zrtRveSeFJYA6sgbJZbyH\nDGk", 1, 1, "12SxsxvrE8zrtRveSeFJYA6sgbJZbyH<U+000A>DGk", reads},
	} {
		t.Run(name, func(t *testing.T) {
			found, missed := extract(t, c.text, &chaincfg.MainNetParams)
			if len(found) != 0 {
				t.Errorf("found %v, want none", found)
			}
			if len(missed) != 1 {
				t.Fatalf("near misses: %+v, want one", missed)
			}
			f := missed[0]
			if f.Line != c.line || f.Column != c.column || f.Text != c.shown || !strings.Contains(f.Reason, c.reason) {
				t.Errorf("got  %d:%d %q: %s\nwant %d:%d %q: …%s…", f.Line, f.Column, f.Text, f.Reason, c.line, c.column, c.shown, c.reason)
			}
			if f.Address.Text != "" || f.Kind != "" {
				t.Errorf("a near miss has the address %v", f.Address)
			}
		})
	}
}

// wide spells a text in the full-width letters of East Asian type.
func wide(text string) string {
	return strings.Map(func(r rune) rune { return r + 0xff01 - '!' }, text)
}

func TestExtractPassesOver(t *testing.T) {
	for name, text := range map[string]string{
		"transaction id":  "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
		"MD5":             "3b5d5c3712955042212316173ccf37be 1B5D5C3712955042212316173CCF37BE",
		"UUID":            "123e4567-e89b-12d3-a456-426614174000 be1009d2-1f46-4e46-b0f4-be8fba067dba",
		"numbers":         "1234567890123456789012345678 3.14159265358979323846264338327950288",
		"identifiers":     "3dTransformMatrixMultiplicationTest TransactionConfirmationListener12 1stBattalionOfTheRoyalRegimentXY",
		"names of tests":  "TestScanPlanBinaryInt32ScanScanner MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr",
		"document link":   "https://docs.google.com/document/d/1BxiMVs7XRA5nFMdKvBdBZjgmUUqptbs74/edit https://drive.google.com/open?id=1FMDWBzZ7a4nCzXyzQ5oPvEmKXHZaXvbw",
		"picture":         "<img src='/photos/3KhAHDfTuVnHUfRgQfVP4LcV8SHXpN51u8.jpg'> 3KhAHDfTuVnHUfRgQfVP4LcV8SHXpN51u8.png",
		"base64":          "data:image/png;base64,iVBORw/3KhAHDfTuVnHUfRgQfVP4LcV8SHXpN51u8/1FMDWBzZ7a4nCzXyzQ5oPvEmKXHZaXvb8+3KhAHDfTuVnHUfRgQfVP4LcV8SHXpN51u9==",
		"a mail address":  "1FMDWBzZ7a4nCzXyzQ5oPvEmKXHZaXvb8@example.com",
		"Ethereum":        "0x175d44451403Edf28469dF03A9280c1197ADb92c",
		"public key":      "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
		"bc1 in a word":   "bc1 BC1000 bc1q tb1 bc12 abc1def bc1thequickbrownfoxjumpsoverthelazydog",
		"prose":           "3 men and 12 others; bought 1 rifle for $300.In total 31 December 2020",
		"Cyrillic prose":  "Вторник, в 3 часа; З дня; тысяча — в банке",
		"a 43-letter key": "1FMDWBzZ7a4nCzXyzQ5oPvEmKXHZaXvbwK9vZhYbq3x",
		"nothing":         "",
	} {
		t.Run(name, func(t *testing.T) {
			found, missed := extract(t, text, &chaincfg.MainNetParams)
			if len(found)+len(missed) != 0 {
				t.Errorf("found %v, near misses %+v", found, missed)
			}
		})
	}
}

func TestExtractOnTestNetworks(t *testing.T) {
	const text = "mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ 2NC2hEhe28ULKAJkW5MjZ3jtTMJdvXmByvK tb1qcrh3yqn4nlleplcez2yndq2ry8h9ncg3qh7n54 bcrt1qdavt4j2sd7dlhqsavtnfxvzppw6k7qy97tmnu9 " + p2pkh
	for network, want := range map[string]int{"mainnet": 1, "testnet3": 3, "testnet4": 3, "signet": 3, "regtest": 3} {
		params, err := chain.Network(network)
		if err != nil {
			t.Fatal(err)
		}
		found, missed := extract(t, text, params)
		if len(found) != want || len(missed) != 5-want {
			t.Errorf("%s: found %v, near misses %+v", network, found, missed)
		}
	}
}

func TestExtractFromTheLists(t *testing.T) {
	for _, c := range []struct {
		file          []string
		found, missed int
	}{
		// One row of 435 is a Tron address.
		{[]string{"0xB10C-sanctioned_addresses_XBT.txt"}, 434, 1},
		// Seven Bitcoin, eight Ethereum and eleven Tron addresses.
		{[]string{"0xB10C-other-coins-sanctioned_addresses_USDT.txt"}, 7, 11},
		{[]string{"tagpack", "aft-alqaeda-forfeit_vc.yaml"}, 155, 0},
		// One row more is of Bitcoin Cash, spelled as Bitcoin spells it; one is of Zcash.
		{[]string{"tagpack", "demo.yaml"}, 2, 1},
	} {
		path := append([]string{"lists"}, c.file...)
		found, missed := extract(t, string(recorded.Read(t, path...)), &chaincfg.MainNetParams)
		if len(found) != c.found || len(missed) != c.missed {
			t.Errorf("%v: found %d, want %d; near misses %+v", c.file, len(found), c.found, missed)
		}
	}
}

func TestExtractReadsUTF16(t *testing.T) {
	text := "адрес 🙂 " + p2pkh
	little, big := []byte{0xff, 0xfe}, []byte{0xfe, 0xff}
	for _, unit := range utf16.Encode([]rune(text)) {
		little = append(little, byte(unit), byte(unit>>8))
		big = append(big, byte(unit>>8), byte(unit))
	}
	for _, data := range [][]byte{little, big} {
		found, _ := extract(t, string(data), &chaincfg.MainNetParams)
		if len(found) != 1 || found[0] != (place{1, 9, p2pkh}) {
			t.Errorf("found %v", found)
		}
	}
}

func TestExtractRefusesWhatIsNoText(t *testing.T) {
	for start, advice := range map[string]string{
		"%PDF-1.4\n":       "pdftotext",
		"PK\x03\x04\x14":   "unpack",
		"\x1f\x8b\x08":     "zcat",
		"\xd0\xcf\x11\x00": "save it as text",
	} {
		_, err := Extract(strings.NewReader(start+p2pkh), &chaincfg.MainNetParams)
		if !errors.Is(err, ErrNotText) || !strings.Contains(err.Error(), advice) {
			t.Errorf("%q: error %v, want …%s…", start, err, advice)
		}
	}
}

func TestExtractReportsAReadError(t *testing.T) {
	r := io.MultiReader(strings.NewReader(p2pkh), iotest.ErrReader(errors.New("the disk is gone")))
	found, err := Extract(r, &chaincfg.MainNetParams)
	if err == nil || !strings.Contains(err.Error(), "the disk is gone") || found != nil {
		t.Errorf("found %v, error %v", found, err)
	}
}
