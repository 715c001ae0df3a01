package chain

import (
	"bytes"
	"strings"
)

// base58Form is something that people write in Base58Check, told by the bytes
// it begins with and by how many follow before the checksum.
type base58Form struct {
	version []byte
	payload int
	refusal Refusal
	what    string
}

const (
	hash160Bytes     = 20
	extendedKeyBytes = 74
)

// base58Forms are the forms met in reports and lists beside the addresses of
// the network asked for. Coins that copied Bitcoin's version bytes (Bitcoin
// Cash in its old spelling, Omni, Litecoin's first P2SH) cannot be told apart.
func base58Forms() []base58Form {
	coin := func(what string, version ...byte) base58Form {
		return base58Form{version, hash160Bytes, RefusedChain, what}
	}
	extended := func(what string, version ...byte) base58Form {
		reason := "an extended public key (" + what + "): it stands for many addresses; list them one by one"
		return base58Form{version, extendedKeyBytes, RefusedExtendedKey, reason}
	}
	const testnets = "an address of testnet, signet or regtest"
	return []base58Form{
		{[]byte{0x00}, hash160Bytes, RefusedNetwork, "an address of mainnet"},
		{[]byte{0x05}, hash160Bytes, RefusedNetwork, "an address of mainnet"},
		{[]byte{0x6f}, hash160Bytes, RefusedNetwork, testnets},
		{[]byte{0xc4}, hash160Bytes, RefusedNetwork, testnets},
		{[]byte{0x3f}, hash160Bytes, RefusedNetwork, "an address of simnet"},
		{[]byte{0x7b}, hash160Bytes, RefusedNetwork, "an address of simnet"},
		coin("a Tron address", 0x41),
		coin("a Litecoin address", 0x30),
		coin("a Litecoin address", 0x32),
		coin("an address of Litecoin's testnet", 0x3a),
		coin("a Dogecoin address", 0x1e),
		coin("a Dogecoin address", 0x16),
		coin("an address of Dogecoin's testnet", 0x71),
		coin("a Dash address", 0x4c),
		coin("a Dash address", 0x10),
		coin("an address of Dash's testnet", 0x8c),
		coin("an address of Dash's testnet", 0x13),
		coin("a Zcash address", 0x1c, 0xb8),
		coin("a Zcash address", 0x1c, 0xbd),
		coin("an address of Zcash's testnet", 0x1d, 0x25),
		coin("an address of Zcash's testnet", 0x1c, 0xba),
		coin("a Bitcoin Gold address", 0x26),
		coin("a Bitcoin Gold address", 0x17),
		extended("xpub", 0x04, 0x88, 0xb2, 0x1e),
		extended("ypub", 0x04, 0x9d, 0x7c, 0xb2),
		extended("zpub", 0x04, 0xb2, 0x47, 0x46),
		extended("Ypub", 0x02, 0x95, 0xb4, 0x3f),
		extended("Zpub", 0x02, 0xaa, 0x7e, 0xd3),
		extended("tpub", 0x04, 0x35, 0x87, 0xcf),
		extended("upub", 0x04, 0x4a, 0x52, 0x62),
		extended("vpub", 0x04, 0x5f, 0x1c, 0xf6),
		extended("Upub", 0x02, 0x42, 0x89, 0xef),
		extended("Vpub", 0x02, 0x57, 0x54, 0x83),
		{[]byte{0x47}, 80, RefusedExtendedKey, "a payment code (BIP 47): it stands for many addresses"},
	}
}

// base58FormOf finds the form of decoded Base58Check data.
func base58FormOf(data []byte) (base58Form, bool) {
	for _, form := range base58Forms() {
		if len(data) == len(form.version)+form.payload && bytes.HasPrefix(data, form.version) {
			return form, true
		}
	}
	return base58Form{}, false
}

// bech32Prefix is what stands before the "1" of a Bech32 text, and what such a
// text is.
type bech32Prefix struct {
	prefix  string
	refusal Refusal
	what    string
}

// bech32Prefixes are those with a name; any other with a right checksum is
// said to be of another chain.
func bech32Prefixes() []bech32Prefix {
	return []bech32Prefix{
		{"bc", RefusedNetwork, "an address of mainnet"},
		{"tb", RefusedNetwork, "an address of testnet or signet"},
		{"bcrt", RefusedNetwork, "an address of regtest"},
		{"sb", RefusedNetwork, "an address of simnet"},
		{"ltc", RefusedChain, "a Litecoin address"},
		{"tltc", RefusedChain, "an address of Litecoin's testnet"},
		{"ex", RefusedChain, "an address of the Liquid sidechain"},
		{"lq", RefusedChain, "an address of the Liquid sidechain"},
		{"zs", RefusedChain, "a shielded Zcash address"},
		{"u", RefusedChain, "a unified Zcash address"},
		{"addr", RefusedChain, "a Cardano address"},
		{"stake", RefusedChain, "a Cardano address"},
		{"bnb", RefusedChain, "an address of the BNB Beacon Chain"},
		{"cosmos", RefusedChain, "a Cosmos address"},
		{"osmo", RefusedChain, "an Osmosis address"},
		{"lnbc", RefusedForm, "a Lightning invoice, not an address"},
		{"lnurl", RefusedForm, "a Lightning link, not an address"},
		{"npub", RefusedForm, "a Nostr name, not an address"},
		{"sp", RefusedForm, "a silent payment address: what it receives cannot be seen on the chain"},
		{"tsp", RefusedForm, "a silent payment address: what it receives cannot be seen on the chain"},
	}
}

func bech32PrefixOf(prefix string) (bech32Prefix, bool) {
	for _, p := range bech32Prefixes() {
		if p.prefix == strings.ToLower(prefix) {
			return p, true
		}
	}
	return bech32Prefix{}, false
}
