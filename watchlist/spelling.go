package watchlist

import (
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// spelling is how addresses of one network look, to tell cheaply what is worth
// decoding.
type spelling struct {
	first  string // the first letters of addresses in Base58
	prefix string // of addresses in Bech32, "1" included

	// The lengths worth trying inside a longer word. In Base58 all but one in a
	// thousand have 33 or 34 letters (P2SH of the test networks 35); in Bech32
	// the length follows from the kind.
	base58Lengths, bech32Lengths []int
}

const (
	shortestBase58 = 26
	longestBase58  = 35
	shortestBech32 = 14
	longestBech32  = 90
)

func spellingOf(params *chaincfg.Params) spelling {
	prefix := params.Bech32HRPSegwit + "1"
	s := spelling{
		first:         "mn2",
		prefix:        prefix,
		base58Lengths: []int{34, 35},
		bech32Lengths: []int{len(prefix) + 39, len(prefix) + 59},
	}
	if params.PubKeyHashAddrID == chaincfg.MainNetParams.PubKeyHashAddrID {
		s.first, s.base58Lengths = "13", []int{34, 33}
	}
	return s
}

// mayBegin says whether an address can begin with the letters.
func (s spelling) mayBegin(letters string) bool {
	if strings.IndexByte(s.first, letters[0]) >= 0 {
		return len(letters) <= longestBase58
	}
	n := min(len(letters), len(s.prefix))
	return len(letters) <= longestBech32 && strings.EqualFold(letters[:n], s.prefix[:n])
}

// fits says whether the letters may be an address, for all that is seen
// without a checksum.
func (s spelling) fits(letters string) bool {
	switch n := len(letters); {
	case n < shortestBech32 || n > longestBech32:
		return false
	case s.hasPrefix(letters):
		return true
	case n < shortestBase58 || n > longestBase58 || strings.IndexByte(s.first, letters[0]) < 0:
		return false
	}
	return count(letters, isBase58) == len(letters)
}

func (s spelling) hasPrefix(letters string) bool {
	return len(letters) >= len(s.prefix) && strings.EqualFold(letters[:len(s.prefix)], s.prefix)
}

// lengthsAt gives the lengths of address worth trying where a longer word has
// this rest.
func (s spelling) lengthsAt(rest string) []int {
	switch {
	case strings.IndexByte(s.first, rest[0]) >= 0:
		return s.base58Lengths
	case s.hasPrefix(rest):
		return s.bech32Lengths
	}
	return nil
}

// mixed says that upper and lower case are mixed as a hash in Base58
// practically always mixes them, and numbers and hexadecimal never do.
func (s spelling) mixed(letters string) bool {
	return s.hasPrefix(letters) || count(letters, isLower) > 0 && count(letters, isUpper) > 0
}

func count(letters string, is func(byte) bool) int {
	n := 0
	for i := 0; i < len(letters); i++ {
		if is(letters[i]) {
			n++
		}
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

func isLetter(c byte) bool { return isLower(c) || isUpper(c) }

func isAlphanumeric(c byte) bool { return isDigit(c) || isLetter(c) }

func isBase58(c byte) bool {
	return isAlphanumeric(c) && c != '0' && c != 'O' && c != 'I' && c != 'l'
}

func isBech32(c byte) bool {
	return isAlphanumeric(c) && strings.IndexByte("1bio", c|0x20) < 0
}

// mayGoOn says whether letters read so far are, with more of them, still the
// beginning of an address. Eight digits in a row are a table of numbers: of
// addresses in Base58 fewer than three in a million begin so.
func (s spelling) mayGoOn(letters []byte, more string) bool {
	const digitsOnly = 8
	switch n := len(letters) + len(more); {
	case more == "":
		return true
	case len(letters) == 0:
		return s.mayBegin(more)
	case strings.IndexByte(s.first, letters[0]) >= 0:
		return n <= longestBase58 && count(more, isBase58) == len(more) &&
			(n < digitsOnly || count(more, isDigit) < len(more) || slices.ContainsFunc(letters, isLetter))
	}
	joined := string(letters) + more
	data := joined[min(len(joined), len(s.prefix)):]
	return s.mayBegin(joined) && count(data, isBech32) == len(data)
}
