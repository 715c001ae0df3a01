package chain

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest/recorded"
)

// The two addresses of the article, with the kinds and hash160s of the design.
func TestParseAddressOfTheArticle(t *testing.T) {
	for _, c := range []struct {
		text   string
		kind   Kind
		script string
	}{
		{"3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG", P2SH, "a914b0bcc6231eb0f3085e515b417baec77639120c6c87"},
		{"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", P2PKH, "76a9140fe12b8604250a155ee986a29c2955352c720e6488ac"},
	} {
		a, err := ParseAddress(c.text, &chaincfg.MainNetParams)
		if err != nil {
			t.Fatal(err)
		}
		if a.Text != c.text || a.Kind != c.kind || hex.EncodeToString(a.Script) != c.script {
			t.Errorf("%s: got %s %s %x", c.text, a.Text, a.Kind, a.Script)
		}
	}
}

// The kinds of Bitcoin Core's vectors, by the length of their scripts; all
// five occur in its list.
var kindByScriptPrefix = map[string]Kind{"76a914": P2PKH, "a914": P2SH, "0014": P2WPKH, "0020": P2WSH, "5120": P2TR}

// notDecodable are the valid addresses of Bitcoin Core's list that btcd does
// not decode: witness versions without rules yet. One that starts to pass
// fails the test, so that the list stays true.
var notDecodable = map[string]string{
	"bc1z2rksukkjr8":                       "witness version 2",
	"bc1zmjtqxkzs89":                       "witness version 2",
	"tb1rgv5m6uvdk3kc7qsuz0c79v88ycr5w4wa": "witness version 3",
	"tb1r0ecpfxg2udhtc556gqrpwwhk4sw3f0kc": "witness version 3",
	"tb1rx9n9g37az8mu236e5jpxdt0m67y4fuq8rhs0ss3djnm0kscfrwvq0ntlyg":               "witness version 3",
	"tb1r3ss76jtsuxe8c8c8lxsehnpak55ylrgr345pww076l536ahjr6jsydamx3":               "witness version 3",
	"bcrt1sx6p8njlx7h9mc2agz4yg82dzne23050ncq72cneeecez2pst8mahn8xecsf8g6hzx94420": "witness version 16",
	"bcrt1s489d9fhmyel0vzfqsrmew4x7r80asuqesm5hgqacy35daflcyufh3j8cgdtflvt99ph05m": "witness version 16",
}

// networksOf says on which networks an address of a Bitcoin Core chain is
// valid: all test networks share Base58, all but regtest share Bech32.
func networksOf(chain, text string) []string {
	switch {
	case chain == "main":
		return []string{"mainnet"}
	case strings.HasPrefix(strings.ToLower(text), "bcrt1"):
		return []string{"regtest"}
	case strings.HasPrefix(strings.ToLower(text), "tb1"):
		return []string{"testnet3", "testnet4", "signet"}
	}
	return []string{"testnet3", "testnet4", "signet", "regtest"}
}

type coreVector struct {
	text, script, chain string
	isPrivateKey        bool
	flipCase            bool
}

func coreValid(t *testing.T) []coreVector {
	t.Helper()
	var rows [][3]json.RawMessage
	decode(t, recorded.Read(t, "vectors", "core28-key_io_valid.json"), &rows)
	vectors := make([]coreVector, len(rows))
	for i, row := range rows {
		var about struct {
			Chain                  string
			IsPrivkey, TryCaseFlip bool
		}
		decode(t, row[0], &vectors[i].text)
		decode(t, row[1], &vectors[i].script)
		decode(t, row[2], &about)
		vectors[i].chain, vectors[i].isPrivateKey, vectors[i].flipCase = about.Chain, about.IsPrivkey, about.TryCaseFlip
	}
	return vectors
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

func TestParseAddressAsBitcoinCoreDoes(t *testing.T) {
	unseen := make(map[string]bool)
	for text := range notDecodable {
		unseen[text] = true
	}
	counted := make(map[Kind]int)
	for _, v := range coreValid(t) {
		if v.isPrivateKey {
			continue
		}
		delete(unseen, v.text)
		spellings := []string{v.text}
		if v.flipCase {
			spellings = append(spellings, strings.ToUpper(v.text))
		}
		for _, text := range spellings {
			for _, n := range networks() {
				a, err := ParseAddress(text, n.params)
				if reason := notDecodable[v.text]; reason != "" {
					wantRefused(t, text, n.name, err)
					continue
				}
				if !slices.Contains(networksOf(v.chain, v.text), n.name) {
					wantRefusal(t, text, n.name, err, RefusedNetwork)
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", n.name, err)
					continue
				}
				if a.Text != v.text || hex.EncodeToString(a.Script) != v.script || a.Kind != kindOfScript(v.script) {
					t.Errorf("%s on %s: got %s %s %x, want %s", text, n.name, a.Text, a.Kind, a.Script, v.script)
				}
				counted[a.Kind]++
			}
		}
	}
	for text := range unseen {
		t.Errorf("%s is listed as not decodable, and is not in Bitcoin Core's list", text)
	}
	if len(counted) != 5 {
		t.Errorf("kinds seen: %v, want all five", counted)
	}
}

func kindOfScript(script string) Kind {
	for prefix, kind := range kindByScriptPrefix {
		if strings.HasPrefix(script, prefix) {
			return kind
		}
	}
	return ""
}

func TestParseAddressRefusesWhatBitcoinCoreRefuses(t *testing.T) {
	var rows [][]string
	decode(t, recorded.Read(t, "vectors", "core28-key_io_invalid.json"), &rows)
	if len(rows) < 70 {
		t.Fatalf("only %d vectors", len(rows))
	}
	for _, row := range rows {
		for _, n := range networks() {
			_, err := ParseAddress(row[0], n.params)
			wantRefused(t, row[0], n.name, err)
		}
	}
}

func TestParseAddressNeverShowsAPrivateKey(t *testing.T) {
	for _, v := range coreValid(t) {
		if !v.isPrivateKey {
			continue
		}
		typo := v.text[:20] + "0" + v.text[21:]
		for _, text := range []string{v.text, " " + v.text + "\n", "p2wpkh:" + v.text, v.text[:9] + "\u200b" + v.text[9:], typo} {
			for _, n := range networks() {
				_, err := ParseAddress(text, n.params)
				e := wantRefused(t, "a private key", n.name, err)
				if text != typo && e.Refusal != RefusedPrivateKey {
					t.Errorf("refusal %s: %s", e.Refusal, e.Reason)
				}
				if e.Text != "" || strings.Contains(err.Error(), v.text[:8]) || strings.Contains(err.Error(), v.text[25:]) {
					t.Errorf("a private key is shown: %v", err)
				}
			}
		}
	}
}

func wantRefused(t *testing.T, text, network string, err error) *AddressError {
	t.Helper()
	e := new(AddressError)
	if !errors.As(err, &e) || !errors.Is(err, ErrNoAddress) {
		t.Errorf("%s on %s: error %v, want an AddressError", text, network, err)
		return e
	}
	if e.Reason == "" || e.Refusal == "" || e.Network != network {
		t.Errorf("%s on %s: an error without reason or network: %+v", text, network, e)
	}
	return e
}

func wantRefusal(t *testing.T, text, network string, err error, want Refusal) {
	t.Helper()
	if e := wantRefused(t, text, network, err); e.Refusal != want {
		t.Errorf("%s on %s: refused as %s (%s), want %s", text, network, e.Refusal, e.Reason, want)
	}
}
