package watchlist

import "strings"

// look is what a word looks like, to people who have seen addresses.
type look int

const (
	nothing         look = iota
	likeBase58           // 1…, 3… and the like
	likeBech32           // bc1…, tb1…, ltc1…
	likeCheckedOnly      // short for its kind: only its checksum can tell
	likeKey              // a private or an extended key
)

// look judges a word that is no address. Words of a language, hexadecimal,
// numbers and identifiers look like nothing.
func (s spelling) look(word string) look {
	plain := plainLetters(word)
	switch {
	case looksLikeKey(plain):
		return likeKey
	case bech32Prefix(plain) != "":
		return lookOfBech32(plain)
	case s.lengthOfBase58(plain) && scrambled(plain):
		return likeBase58
	}
	return nothing
}

// plainLetters gives the ASCII letters that a word seems to have.
func plainLetters(word string) string {
	if count(word, isAlphanumeric) == len(word) {
		return word
	}
	var plain strings.Builder
	for _, r := range word {
		if letter := runeStep(r, 1); letter.letters != "" {
			plain.WriteString(letter.letters)
		}
	}
	return plain.String()
}

// lengthOfBase58 tells by beginning and length: the network's own addresses
// with some letters lost, doubled or misread, others only as they are.
func (s spelling) lengthOfBase58(word string) bool {
	if word == "" {
		return false
	}
	n, first := len(word), word[0]
	switch {
	case strings.IndexByte(s.first, first) >= 0:
		return n >= shortestBase58 && n <= longestBase58
	case count(word, isBase58) < n:
		return false
	case strings.IndexByte("1mn3TLMD", first) >= 0:
		return n == 34 || n == 33 && first == '1'
	case first == '2', strings.HasPrefix(word, "t1"), strings.HasPrefix(word, "t3"):
		return n == 35
	}
	return false
}

// scrambled tells the hash in Base58 from words run together: both cases and
// digits, changing all the time (in a hash at six of ten places), and at most
// two of the letters that Base58 leaves out.
func scrambled(word string) bool {
	if len(word)-count(word, isBase58) > 2 || count(word, isUpper) < 2 || count(word, isLower) < 2 || count(word[1:], isDigit) < 1 {
		return false
	}
	changes := 0
	for i := 1; i < len(word); i++ {
		if classOf(word[i]) != classOf(word[i-1]) {
			changes++
		}
	}
	return changes*10 >= 4*(len(word)-1)
}

func classOf(c byte) int {
	switch {
	case isDigit(c):
		return 0
	case isLower(c):
		return 1
	}
	return 2
}

func bech32Prefix(word string) string {
	for _, prefix := range []string{"bc1", "tb1", "bcrt1", "ltc1"} {
		if len(word) > len(prefix) && strings.EqualFold(word[:len(prefix)], prefix) {
			return prefix
		}
	}
	return ""
}

// lookOfBech32 allows for a typo or two. Random letters of both cases that
// begin with bc1 by chance have more wrong letters, and mix the cases evenly.
func lookOfBech32(word string) look {
	data := word[len(bech32Prefix(word)):]
	wrong := len(data) - count(data, isBech32)
	fewer := min(count(word, isUpper), count(word, isLower))
	switch {
	case len(word) > 2*longestBech32 || wrong > 2 || fewer > 3:
		return nothing
	case len(word) < shortestBase58:
		return likeCheckedOnly
	case count(data, isDigit) == 0:
		return nothing
	}
	return likeBech32
}

// looksLikeKey knows the lengths and beginnings of keys; whether it is one the
// checksum decides.
func looksLikeKey(word string) bool {
	switch len(word) {
	case 51, 52:
		return strings.IndexByte("5KL9c", word[0]) >= 0
	case 58:
		return strings.HasPrefix(word, "6P")
	case 111, 112:
		return word[1:4] == "pub" || word[1:4] == "prv"
	}
	return false
}
