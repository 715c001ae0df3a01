package watchlist

import (
	"fmt"
	"strings"
	"unicode"
)

// lookAlike gives the ASCII letter or digit that a character of another script
// is taken for. Whether that was meant is decided by the checksum, so it may be
// generous.
func lookAlike(r rune) (byte, bool) {
	switch {
	case r < 0x370: // before Greek nothing is taken for ASCII
		return 0, false
	case r >= 0xff01 && r <= 0xff5e: // full width
		letter := byte(r - 0xff01 + '!')
		return letter, isAlphanumeric(letter)
	case r >= 0x1d400 && r <= 0x1d6a3: // bold, italic, script, as mathematics has them
		return letterOfAlphabet(int(r-0x1d400) % 52), true
	case r >= 0x1d7ce && r <= 0x1d7ff: // their digits
		return '0' + byte(r-0x1d7ce)%10, true
	case r >= 0x24b6 && r <= 0x24e9: // in circles
		return letterOfAlphabet(int(r - 0x24b6)), true
	}
	return homoglyph(r)
}

// letterOfAlphabet counts upper case, then lower case.
func letterOfAlphabet(n int) byte {
	if n < 26 {
		return 'A' + byte(n)
	}
	return 'a' + byte(n-26)
}

// homoglyph knows Cyrillic, Greek and Armenian letters.
func homoglyph(r rune) (byte, bool) {
	switch r {
	case 'З':
		return '3', true
	case 'А', 'Α':
		return 'A', true
	case 'В', 'Β':
		return 'B', true
	case 'С':
		return 'C', true
	case 'Е', 'Ε':
		return 'E', true
	case 'Ԍ':
		return 'G', true
	case 'Н', 'Η':
		return 'H', true
	case 'Ј':
		return 'J', true
	case 'К', 'Κ':
		return 'K', true
	case 'М', 'Μ':
		return 'M', true
	case 'Ν':
		return 'N', true
	case 'Р', 'Ρ':
		return 'P', true
	case 'Ԛ':
		return 'Q', true
	case 'Ѕ':
		return 'S', true
	case 'Т', 'Τ':
		return 'T', true
	case 'Ԝ':
		return 'W', true
	case 'Х', 'Χ':
		return 'X', true
	case 'У', 'Ү', 'Υ':
		return 'Y', true
	case 'Ζ':
		return 'Z', true
	case 'а', 'α':
		return 'a', true
	case 'Ь', 'в':
		return 'b', true
	case 'с', 'ϲ':
		return 'c', true
	case 'ԁ':
		return 'd', true
	case 'е':
		return 'e', true
	case 'ց':
		return 'g', true
	case 'һ', 'հ':
		return 'h', true
	case 'і':
		return 'i', true
	case 'ј', 'ϳ':
		return 'j', true
	case 'к', 'κ':
		return 'k', true
	case 'м':
		return 'm', true
	case 'п', 'η', 'ո':
		return 'n', true
	case 'о', 'ο', 'օ':
		return 'o', true
	case 'р', 'ρ':
		return 'p', true
	case 'ԛ', 'զ':
		return 'q', true
	case 'г':
		return 'r', true
	case 'ѕ':
		return 's', true
	case 'т':
		return 't', true
	case 'υ', 'ս':
		return 'u', true
	case 'ѵ', 'ν':
		return 'v', true
	case 'ԝ', 'ω':
		return 'w', true
	case 'х':
		return 'x', true
	case 'у', 'γ':
		return 'y', true
	}
	return 0, false
}

// invisible are characters without a shape of their own: joiners, direction
// marks, soft hyphens, variation selectors, and control characters.
func invisible(r rune) bool {
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || r == '\u034f' || r == '\u115f' || r == '\u3164' || blindControl(r)
}

func blindControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
}

// visible writes out what a person would not see, and shortens what is long.
func visible(text string) string {
	const most = 300
	var b strings.Builder
	for _, r := range text {
		if b.Len() > most {
			b.WriteString("…")
			break
		}
		if invisible(r) || r != ' ' && unicode.IsSpace(r) {
			fmt.Fprintf(&b, "<%U>", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
