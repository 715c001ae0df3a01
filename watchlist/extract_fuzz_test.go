package watchlist

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
)

var plainWord = regexp.MustCompile("[0-9A-Za-z]+")

// FuzzExtract holds against every text: nothing panics; each address found is
// one; each word that is an address is found, where it stands; what is shown
// has no invisible character.
func FuzzExtract(f *testing.F) {
	for _, seed := range []string{
		p2pkh, p2sh + "\n" + p2wpkh, "bitcoin:" + p2tr + "?amount=1", strings.ToUpper(p2wpkh),
		"12Sxs\u200bxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "12\u0405xsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", wide(p2pkh),
		"12Sxs<wbr>xvrE8zrtRveSeFJYA6sgbJZbyHDGk", "12Sxsxvr-\n> E8zrtRveSeFJYA6sgbJZbyHDGk", "12Sxs&#8203;xvrE8zrtRveSeFJYA6sgbJZbyHDGk",
		"%3A" + p2pkh, `\n` + p2pkh + `\u200b` + p2sh, "%E2%80%8B1%", "&#x110000;1&", `\u12`, "<1<", "1<", "bc1", "\xff1\xfe", "=\n-\n\\",
		"TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq", "5JuW2AMDYu4xVwRG9DZW18VbzQrGcd5RCgb99sS6ehJsNQXu5b9", "mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, params := range []*chaincfg.Params{&chaincfg.MainNetParams, &chaincfg.RegressionNetParams} {
			checkExtract(t, text, params)
		}
	})
}

func checkExtract(t *testing.T, text string, params *chaincfg.Params) {
	findings, err := Extract(strings.NewReader(text), params)
	if err != nil {
		if !errors.Is(err, ErrNotText) {
			t.Fatal(err)
		}
		return
	}
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		return // the places are those of the text decoded
	}
	text = strings.TrimPrefix(text, "\ufeff")
	found := make(map[string]string)
	for _, f := range findings {
		at := fmt.Sprintf("%d:%d", f.Line, f.Column)
		if f.NearMiss() {
			if f.Address.Text != "" || strings.ContainsFunc(f.Text, invisible) {
				t.Errorf("a near miss with an address or with invisible characters: %+v", f)
			}
			continue
		}
		a, err := chain.ParseAddress(f.Address.Text, params)
		if err != nil || !bytes.Equal(a.Script, f.Address.Script) || a.Text != f.Address.Text || a.Kind != f.Kind {
			t.Errorf("found %+v: parsed %+v, %v", f, a, err)
		}
		found[at] = f.Text
	}
	for _, word := range plainWord.FindAllStringIndex(text, -1) {
		if _, err := chain.ParseAddress(text[word[0]:word[1]], params); err != nil {
			continue
		}
		before := text[:word[0]]
		line := before[strings.LastIndexByte(before, '\n')+1:]
		at := fmt.Sprintf("%d:%d", strings.Count(before, "\n")+1, utf8.RuneCountInString(line)+1)
		if found[at] != text[word[0]:word[1]] {
			t.Errorf("%s at %s is not found: %q", text[word[0]:word[1]], at, found[at])
		}
	}
}

// Texts of the size that a chat's export has: of prose, of addresses, and of
// what looks most like addresses and is none.
func BenchmarkExtract(b *testing.B) {
	for name, unit := range map[string]string{
		"prose":     "The group asked on 3 May for 12 cameras and 1 radio, and named an account.\n",
		"Cyrillic":  "Группа просила 3 мая 12 камер и 1 рацию и назвала счёт, в банке и в чате.\n",
		"addresses": p2pkh + "\n" + p2wpkh + "\n",
		"HTML":      "<tr><td>1</td><td>3</td><td class=\"x\">12</td><td>&nbsp;</td></tr>\n",
		"hex":       "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b",
		"base64":    "MIIEvQIBADANBgkqhkiG9w0BAQ3FAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
		"base58":    "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvH12SxsxvrE8zrtRveSeFJYA6sgbJZbyH",
		"digits":    "1 3 1 3 1\n3 ",
	} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(unit, 5_000_000/len(unit))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Extract(strings.NewReader(text), &chaincfg.MainNetParams); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
