package watchlist

import (
	"html"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"btcwatch/chain"
)

// obstacle is what stands between the letters of an address and its reader.
type obstacle uint

const (
	encoded   obstacle = 1 << iota // a letter as an HTML entity, %31 or \u0031
	unseen                         // invisible characters
	foreign                        // letters that only look like Latin ones
	lineBreak                      // also with a hyphen before or a quote mark after it
	blank                          // between groups of letters
	tag                            // of HTML
	markup                         // of chats: *, _, ~, `, |
)

// insideOfWord is what leaves a word one word to the eye.
const insideOfWord = encoded | unseen | foreign

// words names the obstacles for people; encoded letters are none to them.
func (o obstacle) words() string {
	var names []string
	for _, known := range []struct {
		obstacle obstacle
		name     string
	}{
		{unseen, "invisible characters"},
		{foreign, "letters that only look like Latin ones"},
		{lineBreak, "a line break"},
		{blank, "blanks"},
		{tag, "a tag"},
		{markup, "markup"},
	} {
		if o&known.obstacle != 0 {
			names = append(names, known.name)
		}
	}
	return strings.Join(names, " and ")
}

// step is one thing read: letters, an obstacle, both (a letter in disguise), or
// neither, where reading ends.
type step struct {
	letters  string
	obstacle obstacle
	size     int // in the text
}

// reading is a text read past obstacles.
type reading struct {
	found   bool
	address chain.Address
	hidden  obstacle
	end     int // of the address

	// visibleEnd is where the first word ends that a person sees as one.
	visibleEnd int
}

// Far enough for an address of which every letter has a tag of its own.
const longestReading = 4096

// readOn reads letters from a place on, past obstacles, until they are an
// address or cannot become one.
func (s *search) readOn(start int) reading {
	letters := make([]byte, 0, longestBech32)
	var passed, pending obstacle // before the last letters, and since
	r := reading{end: start, visibleEnd: start}
	oneWord := true
	for at := start; at-start < longestReading; {
		next := s.step(at)
		if passed != 0 && r.end == at && (next.letters == "" || next.obstacle != 0) && s.decode(letters, &r) {
			r.hidden = passed
			break
		}
		oneWord = oneWord && next.obstacle&^insideOfWord == 0
		if next.size == 0 || !s.spelling.mayGoOn(letters, next.letters) {
			break
		}
		at += next.size
		pending |= next.obstacle
		if next.letters == "" {
			continue
		}
		letters = append(letters, next.letters...)
		passed, pending = passed|pending, 0
		r.end = at
		if oneWord {
			r.visibleEnd = at
		}
	}
	return r
}

func (s *search) decode(letters []byte, r *reading) bool {
	if len(letters) < shortestBech32 {
		return false
	}
	text := string(letters)
	if !s.spelling.fits(text) || !s.spelling.mixed(text) {
		return false
	}
	r.address, r.found = chain.DecodeAddress(text, s.params)
	return r.found
}

// step reads one thing.
func (s *search) step(at int) step {
	if at >= len(s.text) {
		return step{}
	}
	rest := s.text[at:min(len(s.text), at+longestReading)]
	switch c := rest[0]; {
	case isAlphanumeric(c):
		n := 1
		for n < len(rest) && isAlphanumeric(rest[n]) {
			n++
		}
		return step{letters: rest[:n], size: n}
	case c == '&' || c == '%' || c == '\\':
		return encodedStep(rest)
	case c == '<':
		return tagStep(rest)
	case strings.IndexByte("*_~`|", c) >= 0:
		return step{obstacle: markup, size: 1}
	}
	if size := lineBreakSize(rest); size > 0 {
		return step{obstacle: lineBreak, size: size}
	}
	r, size := utf8.DecodeRuneInString(rest)
	return runeStep(r, size)
}

// runeStep reads one character that is not ASCII, or was encoded.
func runeStep(r rune, size int) step {
	if r < utf8.RuneSelf && isAlphanumeric(byte(r)) {
		return step{letters: string(r), size: size}
	}
	if letter, ok := lookAlike(r); ok {
		return step{letters: string(letter), obstacle: foreign, size: size}
	}
	switch {
	case invisible(r):
		return step{obstacle: unseen, size: size}
	case r == '\n' || r == '\r':
		return step{obstacle: lineBreak, size: size}
	case unicode.IsSpace(r):
		return step{obstacle: blank, size: size}
	}
	return step{}
}

// encodedStep reads an HTML entity, a percent escape or a JSON escape.
func encodedStep(rest string) step {
	var r rune
	var size int
	switch rest[0] {
	case '&':
		r, size = entity(rest)
	case '%':
		r, size = percent(rest)
	case '\\':
		if lineBreakSize(rest) > 0 {
			return step{obstacle: lineBreak, size: lineBreakSize(rest)}
		}
		r, size = jsonEscape(rest)
	}
	if size == 0 {
		return step{}
	}
	decoded := runeStep(r, size)
	if decoded.letters != "" {
		decoded.obstacle |= encoded
	}
	return decoded
}

func entity(rest string) (rune, int) {
	const longest = 24 // &ZeroWidthSpace; and the like
	end := strings.IndexByte(rest[:min(len(rest), longest)], ';')
	if end < 0 {
		return 0, 0
	}
	decoded := html.UnescapeString(rest[:end+1])
	r, size := utf8.DecodeRuneInString(decoded)
	if size != len(decoded) || r == '&' {
		return 0, 0
	}
	return r, end + 1
}

// percent reads as many %XX as make one character of UTF-8.
func percent(rest string) (rune, int) {
	var raw []byte
	for at := 0; len(raw) < utf8.UTFMax && at+3 <= len(rest) && rest[at] == '%'; at += 3 {
		b, err := strconv.ParseUint(rest[at+1:at+3], 16, 8)
		if err != nil {
			break
		}
		raw = append(raw, byte(b))
		if utf8.FullRune(raw) {
			break
		}
	}
	r, size := utf8.DecodeRune(raw)
	if r == utf8.RuneError {
		return 0, 0
	}
	return r, 3 * size
}

func jsonEscape(rest string) (rune, int) {
	if len(rest) < 2 {
		return 0, 0
	}
	switch rest[1] {
	case 'n', 'r':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'u':
		if len(rest) >= 6 {
			if r, err := strconv.ParseUint(rest[2:6], 16, 16); err == nil {
				return rune(r), 6
			}
		}
	}
	return 0, 0
}

// tagStep reads one HTML tag or comment.
func tagStep(rest string) step {
	const longest = 500
	end := strings.IndexByte(rest[:min(len(rest), longest)], '>')
	if end < 2 || !(rest[1] == '/' || rest[1] == '!' || isLower(rest[1]|0x20)) || strings.IndexByte(rest[1:end], '<') >= 0 {
		return step{}
	}
	return step{obstacle: tag, size: end + 1}
}

// lineBreakSize measures a line break with the hyphen, "=" or "\" that may
// announce it and the blanks and quote marks that may follow.
func lineBreakSize(rest string) int {
	at := 0
	if strings.IndexByte("-=\\", rest[0]) >= 0 {
		at = 1
	}
	for at < len(rest) && strings.IndexByte(" \t\r", rest[at]) >= 0 {
		at++
	}
	if at == len(rest) || rest[at] != '\n' {
		return 0
	}
	for at < len(rest) && strings.IndexByte(" \t\r\n>", rest[at]) >= 0 {
		at++
	}
	return at
}
