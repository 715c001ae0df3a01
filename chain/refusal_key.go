package chain

import (
	"strings"

	"github.com/btcsuite/btcutil/base58"
)

const keyReason = "a private key: do not paste it anywhere, whoever sees it can take the money"

// The version bytes of the wallet import format.
const (
	wifMainnet  = 0x80
	wifTestnets = 0xef
)

// privateKey finds a private key in a text, however it is wrapped. What only
// has the form of one counts too, so that a key with a typo is not shown.
func privateKey(text string) (refusal, bool) {
	if len(text) > 10*longestExplained {
		text = text[:10*longestExplained]
	}
	words := strings.FieldsFunc(text, func(r rune) bool { return !isASCIIAlphanumeric(r) })
	for _, word := range append(words, strings.Join(words, "")) {
		if isPrivateKey(word) {
			return refusal{RefusedPrivateKey, keyReason}, true
		}
	}
	for _, word := range words {
		if reason := mayBePrivateKey(word); reason != "" {
			return refusal{RefusedForm, reason}, true
		}
	}
	return refusal{}, false
}

// isPrivateKey knows the wallet import format, the extended private keys and
// the encrypted ones of BIP 38.
func isPrivateKey(word string) bool {
	switch n := len(word); {
	case n == 51 || n == 52:
		key, version, err := base58.CheckDecode(word)
		return err == nil && (version == wifMainnet || version == wifTestnets) && (len(key) == 32 || len(key) == 33)
	case n >= 105 && n <= 115:
		return word[1:4] == "prv"
	case n >= 57 && n <= 59:
		return strings.HasPrefix(word, "6P") && isBase58(word)
	}
	return false
}

func mayBePrivateKey(word string) string {
	switch n := len(word); {
	case n >= 50 && n <= 60 && strings.ToLower(word) != word && strings.ToUpper(word) != word:
		return "by its length it may be a private key with a typo: do not paste it anywhere"
	case n == 64 && isHex(word):
		return "64 hexadecimal digits: by its form a transaction id, a block hash or a private key, not an address"
	}
	return ""
}

func isASCIIAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}
