package watchlist

import (
	"errors"
	"strings"
	"unicode/utf8"

	"btcwatch/chain"
)

// nearMiss records the word if a person would take it for an address. The word
// is none, that is known.
func (s *search) nearMiss(start, end int) {
	word := s.text[start:end]
	if len(word) < shortestBech32 {
		return
	}
	look := s.spelling.look(word)
	if look == nothing || look == likeBase58 && s.partOfAName(start, end) {
		return
	}
	_, err := chain.ParseAddress(word, s.params)
	refused := new(chain.AddressError)
	if !errors.As(err, &refused) || !certain(look, refused.Refusal) {
		return
	}
	text := visible(word)
	if refused.Text == "" {
		text = "(not shown)"
	}
	s.add(start, Finding{Text: text, Reason: refused.Reason})
}

// certain says whether a refusal makes a near miss of a word with this look.
func certain(look look, refusal chain.Refusal) bool {
	switch look {
	case likeKey:
		return refusal == chain.RefusedPrivateKey || refusal == chain.RefusedExtendedKey
	case likeCheckedOnly:
		return refusal != chain.RefusedChecksum && refusal != chain.RefusedForm
	}
	return true
}

// afterEscape skips what an escape in front of the word left in it: the n of
// \n, the 3A of %3A, the u200b of \u200b.
func (s *search) afterEscape(start, end int) int {
	if start == 0 {
		return start
	}
	size := 0
	switch s.text[start-1] {
	case '\\':
		_, size = jsonEscape(s.text[start-1 : end])
	case '%':
		_, size = percent(s.text[start-1 : end])
	}
	return min(end, start+max(size-1, 0))
}

// partOfAName says whether the word is a piece of a link, a file name or a
// block of base64 rather than something of its own. A link that names what it
// leads to (…/address/1Ab…, ?wallet=1Ab…) does not count as one.
func (s *search) partOfAName(start, end int) bool {
	if end < len(s.text) {
		after := s.text[end:min(len(s.text), end+6)]
		if after[0] == '=' || after[0] == '@' || isFileExtension(after) {
			return true
		}
		if strings.IndexByte("+/-_~", after[0]) >= 0 && len(after) > 1 && isAlphanumeric(after[1]) {
			return true
		}
	}
	if start < 2 || strings.IndexByte("+/-_~=&?#@$%", s.text[start-1]) < 0 {
		return false
	}
	before := s.text[max(0, start-20) : start-1]
	name := before[len(strings.TrimRightFunc(before, func(r rune) bool { return r < utf8.RuneSelf && isAlphanumeric(byte(r)) })):]
	if name == "" { // a mark of markup or of a list, or a link without a name
		markOfLink := s.text[start-1] == '/' || s.text[start-1] == '='
		return markOfLink && before[len(before)-1] < utf8.RuneSelf
	}
	return !namesAddresses(name)
}

func isFileExtension(after string) bool {
	letters := strings.TrimPrefix(after, ".")
	if len(letters) == len(after) {
		return false
	}
	n := 0
	for n < len(letters) && isLower(letters[n]) {
		n++
	}
	return n >= 2 && n <= 4 && (n == len(letters) || !isAlphanumeric(letters[n]))
}

func namesAddresses(name string) bool {
	switch strings.ToLower(name) {
	case "a", "addr", "address", "addresses", "adress", "btc", "bitcoin", "xbt", "wallet", "search", "q", "to":
		return true
	}
	return false
}
