package chain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcutil/base58"
)

// Refusal says in one word, for programs, why a text is no address of the
// network that was asked for.
type Refusal string

// The refusals.
const (
	RefusedForm        Refusal = "form"         // has not the form of an address at all
	RefusedChecksum    Refusal = "checksum"     // has the form of one, and an error in it
	RefusedNetwork     Refusal = "network"      // an address of another Bitcoin network
	RefusedChain       Refusal = "chain"        // an address of another coin
	RefusedWitness     Refusal = "witness"      // a witness version or program without known rules
	RefusedPublicKey   Refusal = "public_key"   // a key, not an address
	RefusedExtendedKey Refusal = "extended_key" // a key that stands for many addresses
	RefusedPrivateKey  Refusal = "private_key"  // what spends the money; never shown again
)

// AddressError is why a text is no address of a network. It wraps ErrNoAddress.
type AddressError struct {
	Text    string // as it was given, shortened in the middle; empty where it is or may be a private key
	Network string // as the configuration names it
	Refusal Refusal
	Reason  string // for people
}

func (e *AddressError) Error() string {
	text := "the text (not shown)"
	if e.Text != "" {
		text = fmt.Sprintf("%q", e.Text)
	}
	return fmt.Sprintf("%s is not a Bitcoin address of %s: %s", text, e.Network, e.Reason)
}

// Unwrap gives ErrNoAddress.
func (e *AddressError) Unwrap() error { return ErrNoAddress }

// refusal is an AddressError in the making.
type refusal struct {
	kind   Refusal
	reason string
}

const badChecksum = "bad checksum (a typo, or a cut address?)"

// The longest text that is looked into: everything named here is shorter, and
// decoding Base58 takes time by the square of the length.
const longestExplained = 200

// explain says why a text that did not decode as an address of the network
// is none. Private keys come first, so that nothing else shows them.
func explain(text string, params *chaincfg.Params) *AddressError {
	e := &AddressError{Network: NetworkName(params)}
	if found, ok := privateKey(text); ok {
		e.Refusal, e.Reason = found.kind, found.reason
		return e
	}
	e.Text = shortened(text)
	for _, look := range []func(string, *chaincfg.Params) (refusal, bool){
		explainCharacters, explainNotation, explainHex, explainBech32, explainBase58,
	} {
		if found, ok := look(text, params); ok {
			e.Refusal, e.Reason = found.kind, found.reason
			return e
		}
	}
	e.Refusal, e.Reason = RefusedForm, "it has not the form of an address"
	return e
}

// shortened keeps an error message readable whatever was given.
func shortened(text string) string {
	const most, end = 120, 12
	if len(text) <= most {
		return text
	}
	head := text[:most-end]
	for len(head) > 0 && !utf8.ValidString(head) && len(head) > most-end-utf8.UTFMax {
		head = head[:len(head)-1]
	}
	tail := text[len(text)-end:]
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	return head + "…" + tail
}

func explainCharacters(text string, _ *chaincfg.Params) (refusal, bool) {
	switch {
	case strings.TrimSpace(text) == "":
		return refusal{RefusedForm, "it is empty"}, true
	case strings.TrimSpace(text) != text:
		return refusal{RefusedForm, "it has blanks around it"}, true
	case len(text) > longestExplained:
		return refusal{RefusedForm, "it is longer than any address"}, true
	}
	for i, r := range []rune(text) {
		switch {
		case unicode.IsSpace(r):
			return refusal{RefusedForm, fmt.Sprintf("it has a blank inside, at character %d", i+1)}, true
		case unicode.Is(unicode.Cf, r) || unicode.IsControl(r):
			return refusal{RefusedForm, fmt.Sprintf("it has an invisible character (%U), at character %d", r, i+1)}, true
		case r > unicode.MaxASCII:
			return refusal{RefusedForm, fmt.Sprintf("character %d (%U) is in no address, whatever it looks like", i+1, r)}, true
		}
	}
	return refusal{}, false
}

// explainNotation knows what is written with a mark of its own.
func explainNotation(text string, _ *chaincfg.Params) (refusal, bool) {
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(lower, "bitcoin:"):
		return refusal{RefusedForm, "a bitcoin: link; give the address in it alone"}, true
	case strings.HasPrefix(lower, "bitcoincash:"):
		return refusal{RefusedChain, "a Bitcoin Cash address"}, true
	case len(text) == 42 && strings.HasPrefix(lower, "0x") && isHex(text[2:]):
		return refusal{RefusedChain, "an Ethereum address (or of a chain that took its form)"}, true
	case (len(text) == 95 || len(text) == 106) && (text[0] == '4' || text[0] == '8') && isBase58(text):
		return refusal{RefusedChain, "by its length and beginning a Monero address"}, true
	}
	return refusal{}, false
}

func explainHex(text string, _ *chaincfg.Params) (refusal, bool) {
	if !isHex(text) || len(text)%2 != 0 {
		return refusal{}, false
	}
	lower := strings.ToLower(text)
	compressed := len(text) == 66 && (strings.HasPrefix(lower, "02") || strings.HasPrefix(lower, "03"))
	switch {
	case compressed, len(text) == 130 && lower[0] == '0' && strings.ContainsRune("467", rune(lower[1])):
		return refusal{RefusedPublicKey, "a public key, not an address"}, true
	case len(text) == 40:
		return refusal{RefusedForm, "40 hexadecimal digits: by its form a hash, not an address"}, true
	}
	return refusal{}, false
}

// explainBase58 tells with a right checksum whose the text is, and otherwise
// that it is wrong.
func explainBase58(text string, params *chaincfg.Params) (refusal, bool) {
	if !isBase58(text) {
		return explainMisread(text)
	}
	payload, version, err := base58.CheckDecode(text)
	if err != nil {
		return refusal{RefusedChecksum, badChecksum}, base58Length(len(text)) || len(text) > 100
	}
	form, known := base58FormOf(append([]byte{version}, payload...))
	switch {
	case !known:
		reason := fmt.Sprintf("its checksum is right, but what it holds (version %#02x, %d bytes) is of no chain known here", version, len(payload))
		return refusal{RefusedChain, reason}, true
	case form.refusal == RefusedNetwork:
		form.what += ", not of " + NetworkName(params)
	}
	return refusal{form.refusal, form.what}, true
}

// explainMisread names the letters that Base58 leaves out because they are
// misread, where the rest looks like an address.
func explainMisread(text string) (refusal, bool) {
	misread := strings.Trim(text, base58Alphabet)
	if !base58Length(len(text)) || !isBase58(strings.NewReplacer("0", "", "O", "", "I", "", "l", "").Replace(text)) {
		return refusal{}, false
	}
	return refusal{RefusedChecksum, fmt.Sprintf("%q is in no address of this kind, as 0, O, I and l are never used (a typo?)", misread[:1])}, true
}

// base58Length is about the length of an address in Base58, cut or doubled
// characters allowed for.
func base58Length(n int) bool { return n >= 20 && n <= 45 }

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

func isBase58(text string) bool { return strings.Trim(text, base58Alphabet) == "" }

func isHex(text string) bool { return strings.Trim(text, "0123456789abcdefABCDEF") == "" }
