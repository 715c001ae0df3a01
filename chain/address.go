package chain

import (
	"bytes"
	"errors"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
)

// Kind is the kind of an output script that has an address.
type Kind string

// The kinds of address that can be watched.
const (
	P2PKH  Kind = "P2PKH"
	P2SH   Kind = "P2SH"
	P2WPKH Kind = "P2WPKH"
	P2WSH  Kind = "P2WSH"
	P2TR   Kind = "P2TR"
)

// Address is a Bitcoin address in its canonical spelling, with the output
// script that it stands for. The script is the identity: two spellings with
// one script are one address.
type Address struct {
	Text   string
	Kind   Kind
	Script []byte
}

// ErrNoAddress is wrapped by every refusal of ParseAddress.
var ErrNoAddress = errors.New("not a Bitcoin address of this network")

// ParseAddress reads an address of the given network. testnet3, testnet4 and
// signet spell their addresses alike, and regtest shares the older kinds with
// them, so an address of one is an address of the others. Nothing is trimmed
// or repaired. The error is an *AddressError that says why.
func ParseAddress(text string, params *chaincfg.Params) (Address, error) {
	a, ok := DecodeAddress(text, params)
	if !ok {
		return Address{}, explain(text, params)
	}
	return a, nil
}

// DecodeAddress is ParseAddress for who tries many texts and does not ask why
// one is refused.
func DecodeAddress(text string, params *chaincfg.Params) (Address, bool) {
	if len(text) > longestBech32 {
		return Address{}, false
	}
	decoded, err := address.DecodeAddress(text, params)
	// It decodes addresses of other networks too, and public keys in hexadecimal.
	if err != nil || !decoded.IsForNet(params) {
		return Address{}, false
	}
	kind, ok := kindOf(decoded)
	if !ok {
		return Address{}, false
	}
	script, err := txscript.PayToAddrScript(decoded)
	if err != nil {
		return Address{}, false
	}
	return Address{Text: decoded.EncodeAddress(), Kind: kind, Script: script}, true
}

func kindOf(decoded address.Address) (Kind, bool) {
	switch decoded.(type) {
	case *address.AddressPubKeyHash:
		return P2PKH, true
	case *address.AddressScriptHash:
		return P2SH, true
	case *address.AddressWitnessPubKeyHash:
		return P2WPKH, true
	case *address.AddressWitnessScriptHash:
		return P2WSH, true
	case *address.AddressTaproot:
		return P2TR, true
	}
	return "", false
}

// AddressOf gives the address of an output script, and false where the script
// has none (a bare public key, bare multisig, OP_RETURN, an unknown program).
// The script is matched byte by byte against the five templates, as a node
// does; no key in it is looked into.
func AddressOf(script []byte, params *chaincfg.Params) (Address, bool) {
	var kind Kind
	var text string
	var err error
	switch {
	case txscript.IsPayToPubKeyHash(script):
		kind, text = P2PKH, base58.CheckEncode(script[3:23], params.PubKeyHashAddrID)
	case txscript.IsPayToScriptHash(script):
		kind, text = P2SH, base58.CheckEncode(script[2:22], params.ScriptHashAddrID)
	case txscript.IsPayToWitnessPubKeyHash(script):
		kind = P2WPKH
		text, err = encodeWitness(params.Bech32HRPSegwit, 0, script[2:])
	case txscript.IsPayToWitnessScriptHash(script):
		kind = P2WSH
		text, err = encodeWitness(params.Bech32HRPSegwit, 0, script[2:])
	case txscript.IsPayToTaproot(script):
		kind = P2TR
		text, err = encodeWitness(params.Bech32HRPSegwit, 1, script[2:])
	default:
		return Address{}, false
	}
	if err != nil {
		return Address{}, false
	}
	return Address{Text: text, Kind: kind, Script: bytes.Clone(script)}, true
}
