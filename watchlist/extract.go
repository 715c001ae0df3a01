package watchlist

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
)

// Finding is a place in a text where a Bitcoin address stands, or something
// that looks like one and is none: a near miss.
type Finding struct {
	Line    int    // from 1
	Column  int    // in characters, from 1
	Text    string // as it stands there; invisible characters written out as <U+200B>; never a private key
	Address chain.Address
	Kind    chain.Kind // of the address; empty for a near miss
	Reason  string     // why a near miss is none, for people; empty for an address

	disguised bool // a near miss that is an address when read past what hides it
}

// NearMiss says that there is no address at this place, only the look of one.
func (f Finding) NearMiss() bool { return f.Reason != "" }

// Extract finds every address of the network in running text, HTML, JSON or
// chat style, in the order of the text, each place anew. What a person would
// take for an address and is none, or is one only after a repair, is a near
// miss with the reason; nothing is repaired silently. The text is held in
// memory whole. An error is one of reading, or wraps ErrNotText.
func Extract(r io.Reader, params *chaincfg.Params) ([]Finding, error) {
	var data strings.Builder
	if _, err := io.Copy(&data, r); err != nil {
		return nil, fmt.Errorf("read the text: %w", err)
	}
	text, err := plainText(data.String())
	if err != nil {
		return nil, err
	}
	s := &search{text: text, params: params, spelling: spellingOf(params)}
	s.run()
	return s.found, nil
}

// search is one passage through a text.
type search struct {
	text     string
	params   *chaincfg.Params
	spelling spelling
	found    []Finding

	// The place last told, from which the next is counted on.
	at, line, column int
}

// run visits every word of ASCII letters and digits, and every other place
// where a disguised address may begin.
func (s *search) run() {
	for at := 0; at < len(s.text); {
		switch c := s.text[at]; {
		case isAlphanumeric(c):
			at = s.word(at)
		case c == '&' || c == '%' || c == '\\' || c >= utf8.RuneSelf:
			at = s.disguised(at)
		default:
			at++
		}
	}
}

// word looks at the word that begins here, and gives where to go on.
func (s *search) word(start int) int {
	end := start
	for end < len(s.text) && isAlphanumeric(s.text[end]) {
		end++
	}
	if s.addresses(start, end) {
		return end
	}
	start = s.afterEscape(start, end)
	if start == end {
		return end
	}
	if !s.spelling.mayBegin(s.text[start:end]) {
		s.nearMiss(start, end)
		return end
	}
	r := s.readOn(start)
	if r.found {
		s.addReading(start, r)
		return r.end
	}
	if r.visibleEnd > end { // the word goes on with what only looks like letters
		end = r.visibleEnd
	}
	s.nearMiss(start, end)
	return end
}

// disguised looks at a place that is not a letter, and may stand for one.
func (s *search) disguised(start int) int {
	_, size := utf8.DecodeRuneInString(s.text[start:])
	if strings.HasPrefix(s.text[start:], "&") && !strings.HasPrefix(s.text[start:], "&#") {
		return start + size // no named entity is a letter or digit
	}
	next := s.step(start)
	if next.letters != "" && s.spelling.mayBegin(next.letters) {
		if r := s.readOn(start); r.found {
			s.addReading(start, r)
			return r.end
		}
	}
	return start + size
}

// addresses records the addresses within a word: usually it is one, but it
// may have the rest of an escape (%3A12Sx…, \n12Sx…) or a neighbour stuck to it.
func (s *search) addresses(start, end int) bool {
	word := s.text[start:end]
	if s.address(start, end) {
		return true
	}
	any := false
	for i := 0; i < len(word); i++ {
		if length := s.within(start+i, end); length > 0 {
			any = true
			i += length - 1
		}
	}
	return any
}

// within records the address that begins at a place inside a longer word, and
// gives its length, or 0.
func (s *search) within(start, end int) int {
	rest := s.text[start:end]
	for _, length := range s.spelling.lengthsAt(rest) {
		if length <= len(rest) && s.spelling.mixed(rest[:length]) && s.address(start, start+length) {
			return length
		}
	}
	if s.spelling.mayBegin(rest) && s.spelling.mixed(rest) && s.address(start, end) {
		return len(rest)
	}
	return 0
}

// address records the text between two places if it is an address.
func (s *search) address(start, end int) bool {
	text := s.text[start:end]
	if !s.spelling.fits(text) {
		return false
	}
	a, ok := chain.DecodeAddress(text, s.params)
	if ok {
		s.add(start, Finding{Text: text, Address: a, Kind: a.Kind})
	}
	return ok
}

// addReading records what is an address only when read past what hides or
// splits it. Letters that are merely encoded, as HTML and links do, hide nothing.
func (s *search) addReading(start int, r reading) {
	text := s.text[start:r.end]
	if r.hidden == encoded {
		s.add(start, Finding{Text: text, Address: r.address, Kind: r.address.Kind})
		return
	}
	reason := fmt.Sprintf("it has %s inside; without, it reads %s, which is an address: compare it with the source and add it by hand",
		r.hidden.words(), r.address.Text)
	s.add(start, Finding{Text: visible(text), Reason: reason, disguised: true})
}

func (s *search) add(at int, f Finding) {
	f.Line, f.Column = s.place(at)
	if f.Text == f.Address.Text {
		f.Text = f.Address.Text
	} else {
		f.Text = strings.Clone(f.Text) // a finding must not hold the whole text
	}
	s.found = append(s.found, f)
}

// place tells line and column of a place at or after the one told last.
func (s *search) place(at int) (line, column int) {
	between := s.text[s.at:at]
	if last := strings.LastIndexByte(between, '\n'); last >= 0 {
		s.line += strings.Count(between, "\n")
		s.column = 0
		between = between[last+1:]
	}
	s.column += utf8.RuneCountInString(between)
	s.at = at
	return s.line + 1, s.column + 1
}
