package watchlist

import (
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest/recorded"
)

// TestJudge holds each thing that lists do to addresses against the reason that
// is said for it. The addresses are those of the article, of BIP 173, and of the
// lists named beside them.
func TestJudge(t *testing.T) {
	today := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, text, symbol string
		to                 time.Time
		want               HeldReason
		words              string
	}{
		{"an address", p2pkh, "XBT", time.Time{}, "", ""},
		{"without a symbol", p2sh, "", time.Time{}, "", ""},
		{"bech32 in upper case", strings.ToUpper(p2wpkh), "btc", time.Time{}, "", ""},
		{"Tron, among OFAC's XBT", "TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq", "XBT", time.Time{}, HeldChain, "Tron"},
		{"Ethereum", "0x2f389ce8bd8ff92de3402ffce4691d17fc4f6535", "ETH", time.Time{}, HeldChain, "Ethereum"},
		{"of a coin nobody knows here", "r9s0me-thing", "XRP", time.Time{}, HeldChain, "listed as XRP"},
		{"the first half of OFAC's 33151", "1B64QRxf", "XBT", time.Time{}, HeldCut, "8 characters"},
		{"its second half", "aa35MVkf7sDjuGUYAP5izQt7Qi", "XBT", time.Time{}, HeldChecksum, "checksum"},
		{"bech32 cut", p2wpkh[:30], "", time.Time{}, HeldCut, "30 characters"},
		{"Base58 in lower case", strings.ToLower(p2pkh), "", time.Time{}, HeldCase, "upper case"},
		{"a typo", strings.Replace(p2pkh, "xvr", "xvR", 1), "", time.Time{}, HeldChecksum, "checksum"},
		{"a typo in bech32", p2wpkh[:41] + "5", "", time.Time{}, HeldChecksum, "checksum"},
		{"on Omni", p2pkh, "USDT", time.Time{}, HeldSymbol, "Omni"},
		{"as Bitcoin Cash", p2pkh, "BCH", time.Time{}, HeldSymbol, "both"},
		{"expired", p2pkh, "", today.AddDate(0, 0, -1), HeldExpired, "2026-11-23"},
		{"the last day", p2pkh, "", today, "", ""},
		{"testnet", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "", time.Time{}, HeldNetwork, "testnet"},
		{"a zero-width space inside", p2pkh[:9] + "\u200b" + p2pkh[9:], "", time.Time{}, HeldDisguise, p2pkh},
		{"a Cyrillic letter", strings.Replace(p2pkh, "x", "х", 1), "", time.Time{}, HeldDisguise, p2pkh},
		{"two of them", p2pkh + " " + p2sh, "", time.Time{}, HeldForm, ""},
		{"with a word", "BTC: " + p2pkh, "", time.Time{}, HeldForm, p2pkh},
		{"nothing", "", "", time.Time{}, HeldForm, "empty"},
		{"a name", "Suex OTC", "", time.Time{}, HeldForm, ""},
	} {
		judge := Judge{Params: &chaincfg.MainNetParams, Today: today}
		row := judge.Judge(Entry{Line: 7, Text: c.text, Symbol: c.symbol, Listing: Listing{To: c.to}})
		switch {
		case c.want == "" && row.Held != nil:
			t.Errorf("%s: held, %s: %s", c.name, row.Held.Reason, row.Held.Words)
		case c.want == "" && (row.Listing.Address.Script == nil || row.Line != 7):
			t.Errorf("%s: taken as %+v", c.name, row)
		case c.want != "" && (row.Held == nil || row.Held.Reason != c.want || !strings.Contains(row.Held.Words, c.words)):
			t.Errorf("%s: %+v, want %s with %q", c.name, row.Held, c.want, c.words)
		}
	}
}

// TestJudgeRealLists counts by what is known of the lists: of OFAC's 435 rows
// under XBT one is Tron's; of those under USDT seven are Bitcoin's, which Tether
// on Omni used.
func TestJudgeRealLists(t *testing.T) {
	for _, c := range []struct {
		file, symbol string
		symbols      []string
		want         map[HeldReason]int
	}{
		{"lists/0xB10C-sanctioned_addresses_XBT.txt", "XBT", nil, map[HeldReason]int{"": 434, HeldChain: 1}},
		{"lists/0xB10C-other-coins-sanctioned_addresses_USDT.txt", "USDT", nil, map[HeldReason]int{HeldSymbol: 7, HeldChain: 19}},
		{"lists/0xB10C-other-coins-sanctioned_addresses_USDT.txt", "USDT", []string{"usdt"}, map[HeldReason]int{"": 7, HeldChain: 19}},
	} {
		judge := Judge{Params: &chaincfg.MainNetParams, Symbols: c.symbols}
		got := map[HeldReason]int{}
		for line := range strings.Lines(string(recorded.Read(t, c.file))) {
			row := judge.Judge(Entry{Text: strings.TrimSpace(line), Symbol: c.symbol})
			if row.Held == nil {
				got[""]++
				continue
			}
			got[row.Held.Reason]++
		}
		for reason, n := range got {
			if c.want[reason] != n {
				t.Errorf("%s: %d %q, want %d", c.file, n, reason, c.want[reason])
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.file, got, c.want)
		}
	}
}

func TestJudgeHoldsDuplicates(t *testing.T) {
	judge := Judge{Params: &chaincfg.MainNetParams}
	for i, c := range []struct{ text, want string }{
		{p2wpkh, ""}, {p2pkh, ""}, {strings.ToUpper(p2wpkh), "line 1, in another spelling"}, {p2pkh, "line 2"}, {p2sh, ""},
	} {
		row := judge.Judge(Entry{Line: i + 1, Text: c.text})
		if (row.Held == nil) != (c.want == "") || row.Held != nil && (row.Held.Reason != HeldDuplicate || !strings.HasSuffix(row.Held.Words, c.want)) {
			t.Errorf("line %d: %+v, want %q", i+1, row.Held, c.want)
		}
	}
}

// TestJudgeNeverShowsAKey: lists of leaked keys are passed around. These two are
// of the documentation of Bitcoin's wallet format.
func TestJudgeNeverShowsAKey(t *testing.T) {
	const key = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
	for _, text := range []string{key, "key: " + key, key + "," + p2pkh} {
		for _, fault := range []string{"", "a row with too few fields"} {
			judge := Judge{Params: &chaincfg.MainNetParams}
			row := judge.Judge(Entry{Text: text, Fault: fault})
			want := HeldKey
			if fault != "" {
				want = HeldFault
			}
			if row.Held == nil || row.Held.Reason != want || strings.Contains(row.Text+row.Held.Words, key) {
				t.Errorf("%q: %+v", text, row)
			}
		}
	}
}

// TestJudgeMakesTextReadable: a list may say anything, of any length.
func TestJudgeMakesTextReadable(t *testing.T) {
	judge := Judge{Params: &chaincfg.MainNetParams}
	row := judge.Judge(Entry{Text: p2pkh, Listing: Listing{
		Label: " two\r\nlines\x1b[31m ", Entity: strings.Repeat("é", 600), Category: "a  b", Source: Source{Title: "ends \xff", Quote: strings.Repeat("x", 500)},
	}})
	l := row.Listing
	if l.Label != "two lines [31m" || l.Entity != strings.Repeat("é", 499)+"…" || l.Category != "a  b" || l.Source.Title != "ends \ufffd" || l.Source.Quote != strings.Repeat("x", 500) {
		t.Errorf("%+v %q", l, l.Source.Title)
	}
}
