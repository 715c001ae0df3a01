package chain

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/btcsuite/btcd/chaincfg/v2"
)

const (
	bech32Alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	longestBech32  = 90
)

// explainBech32 looks at a text that has, or nearly has, the form of Bech32:
// a prefix, "1", and data with a checksum.
func explainBech32(text string, params *chaincfg.Params) (refusal, bool) {
	lower := strings.ToLower(text)
	known, isKnown := knownBech32(lower)
	// The prefixes of other chains begin too many other things, so without a
	// right checksum they say nothing.
	ours := isKnown && (known.refusal == RefusedNetwork || strings.HasSuffix(known.prefix, "ltc"))
	if found, ok := explainBech32Form(text, known, ours); isKnown && ok {
		return found, true
	}
	prefix, data, checksum, err := bech32.DecodeNoLimitWithVersion(text)
	switch {
	case err != nil:
		return refusal{RefusedChecksum, badChecksum}, ours
	case !isKnown:
		return refusal{RefusedChain, fmt.Sprintf("an address of another chain (it begins with %q)", prefix+"1")}, true
	case known.refusal == RefusedNetwork && known.prefix != params.Bech32HRPSegwit:
		return refusal{RefusedNetwork, known.what + ", not of " + NetworkName(params)}, true
	case known.refusal != RefusedNetwork:
		return refusal{known.refusal, known.what}, true
	}
	return explainWitness(data, checksum), true
}

// knownBech32 finds the named prefix that a text begins with.
func knownBech32(lower string) (bech32Prefix, bool) {
	before, after, found := strings.Cut(lower, "1")
	if !found || len(after) < 6 {
		return bech32Prefix{}, false
	}
	if strings.HasPrefix(before, "lnbc") {
		before = "lnbc" // the amount follows in the prefix
	}
	return bech32PrefixOf(before)
}

// explainBech32Form finds what is wrong before a checksum says anything. Ours
// are the prefixes that nothing else begins with.
func explainBech32Form(text string, known bech32Prefix, ours bool) (refusal, bool) {
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(known.prefix, "ln"), len(text) > longestBech32 && !ours:
		return refusal{known.refusal, known.what}, true
	case !ours:
		return refusal{}, false
	case len(text) > longestBech32:
		return refusal{RefusedChecksum, "it is longer than any address (is something stuck to its end?)"}, true
	case lower != text && strings.ToUpper(text) != text:
		return refusal{RefusedChecksum, "upper and lower case are mixed; such an address is written in one of them"}, true
	}
	if stray := strings.Trim(lower[len(known.prefix)+1:], bech32Alphabet); stray != "" {
		return refusal{RefusedChecksum, fmt.Sprintf("%q is in no address of this kind, as 1, b, i and o are never used after the prefix (a typo?)", stray[:1])}, true
	}
	return refusal{}, false
}

// explainWitness says why a right Bech32 text of the right network stands for
// no script with known rules. The data begins with the witness version.
func explainWitness(data []byte, checksum bech32.Version) refusal {
	if len(data) == 0 {
		return refusal{RefusedForm, "it holds nothing"}
	}
	version := data[0]
	program, err := bech32.ConvertBits(data[1:], 5, 8, false)
	switch {
	case version > 16:
		return refusal{RefusedWitness, fmt.Sprintf("witness version %d does not exist", version)}
	case err != nil || len(program) < 2 || len(program) > 40:
		return refusal{RefusedForm, "its checksum is right, but its length is not one that an address can have"}
	case version == 0 && checksum != bech32.Version0:
		return refusal{RefusedChecksum, "it has the checksum of later addresses (Bech32m): made by faulty software?"}
	case version > 0 && checksum != bech32.VersionM:
		return refusal{RefusedChecksum, "it has the checksum of older addresses (Bech32): made by outdated software?"}
	case version == 0:
		return refusal{RefusedForm, fmt.Sprintf("witness version 0 has programs of 20 or 32 bytes, not of %d", len(program))}
	case version == 1 && bytes.Equal(program, []byte{0x4e, 0x73}):
		return refusal{RefusedWitness, "the anchor (P2A) that anyone can spend from: it is nobody's, so it cannot be watched"}
	case version == 1:
		return refusal{RefusedWitness, fmt.Sprintf("witness version 1 with a program of %d bytes is not known", len(program))}
	}
	return refusal{RefusedWitness, fmt.Sprintf("witness version %d is not known", version)}
}

// encodeWitness spells a witness program of version 0 or 1.
func encodeWitness(prefix string, version byte, program []byte) (string, error) {
	data, err := bech32.ConvertBits(program, 8, 5, true)
	if err != nil {
		return "", err
	}
	data = append([]byte{version}, data...)
	switch version {
	case 0:
		return bech32.Encode(prefix, data)
	case 1:
		return bech32.EncodeM(prefix, data)
	}
	return "", errors.New("unknown witness version")
}
