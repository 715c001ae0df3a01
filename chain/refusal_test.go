package chain

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest/recorded"
)

// The texts are addresses and keys that were published as examples or lists;
// the reasons are what a person should read.
func TestParseAddressSaysWhy(t *testing.T) {
	for _, c := range []struct {
		text    string
		network string
		refusal Refusal
		reason  string
	}{
		{"", "mainnet", RefusedForm, "empty"},
		{" 12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "mainnet", RefusedForm, "blanks around"},
		{"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk\n", "mainnet", RefusedForm, "blanks around"},
		{"12Sxsxvr E8zrtRveSeFJYA6sgbJZbyHDGk", "mainnet", RefusedForm, "blank inside, at character 9"},
		{"12Sxs\u200bxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "mainnet", RefusedForm, "invisible character (U+200B), at character 6"},
		{"12\u0405xsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "mainnet", RefusedForm, "character 3 (U+0405)"},
		{"bitcoin:12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "mainnet", RefusedForm, "bitcoin: link"},
		{"hello", "mainnet", RefusedForm, "form of an address"},
		{strings.Repeat("1", 5000), "mainnet", RefusedForm, "longer than any address"},
		// One character changed, the last one cut off, two exchanged, a misread letter.
		{"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGj", "mainnet", RefusedChecksum, "bad checksum (a typo, or a cut address?)"},
		{"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDG", "mainnet", RefusedChecksum, "bad checksum"},
		{"12SxsvxrE8zrtRveSeFJYA6sgbJZbyHDGk", "mainnet", RefusedChecksum, "bad checksum"},
		{"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDG0", "mainnet", RefusedChecksum, `"0" is in no address of this kind`},
		{"l2SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "mainnet", RefusedChecksum, `"l" is in no address of this kind`},
		{"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "mainnet", RefusedChecksum, "bad checksum"},
		{"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3tb", "mainnet", RefusedChecksum, `"b" is in no address of this kind`},
		{"bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "mainnet", RefusedChecksum, "upper and lower case are mixed"},
		// BIP 350's list of invalid addresses.
		{"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "mainnet", RefusedChecksum, "checksum of older addresses"},
		{"BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KEMEAWH", "mainnet", RefusedChecksum, "checksum of later addresses"},
		{"tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "signet", RefusedChecksum, "checksum of later addresses"},
		{"BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "mainnet", RefusedWitness, "witness version 17 does not exist"},
		{"bc1pw5dgrnzv", "mainnet", RefusedForm, "length"},
		{"BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "mainnet", RefusedForm, "20 or 32 bytes, not of 16"},
		{"bc1gmk9yu", "mainnet", RefusedForm, "holds nothing"},
		// BIP 350's valid addresses that stand for nothing yet.
		{"bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", "mainnet", RefusedWitness, "witness version 1 with a program of 40 bytes"},
		{"BC1SW50QGDZ25J", "mainnet", RefusedWitness, "witness version 16 is not known"},
		{"bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "mainnet", RefusedWitness, "witness version 2 is not known"},
		{"bc1pfeessrawgf", "mainnet", RefusedWitness, "anchor"},
		{"tb1pfees9rn5nz", "testnet4", RefusedWitness, "anchor"},
		{"mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ", "mainnet", RefusedNetwork, "an address of testnet, signet or regtest, not of mainnet"},
		{"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", "regtest", RefusedNetwork, "an address of mainnet, not of regtest"},
		{"tb1qcrh3yqn4nlleplcez2yndq2ry8h9ncg3qh7n54", "mainnet", RefusedNetwork, "an address of testnet or signet, not of mainnet"},
		{"bcrt1qdavt4j2sd7dlhqsavtnfxvzppw6k7qy97tmnu9", "signet", RefusedNetwork, "an address of regtest, not of signet"},
		{"TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq", "mainnet", RefusedChain, "a Tron address"},
		{"LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", "mainnet", RefusedChain, "a Litecoin address"},
		{"ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9", "mainnet", RefusedChain, "a Litecoin address"},
		{"DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", "mainnet", RefusedChain, "a Dogecoin address"},
		{"t1ZmpK4QFcvyQZ3ghTgSboBW8b4HgiZHQF9", "mainnet", RefusedChain, "a Zcash address"},
		{"cosmos1depk54cuajgkzea6zpgkq36tnjwdzv4afc3d27", "mainnet", RefusedChain, "Cosmos"},
		{"0x175d44451403Edf28469dF03A9280c1197ADb92c", "mainnet", RefusedChain, "an Ethereum address"},
		{"bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a", "mainnet", RefusedChain, "Bitcoin Cash"},
		{"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "mainnet", RefusedPublicKey, "a public key, not an address"},
		{"0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8", "mainnet", RefusedPublicKey, "a public key, not an address"},
		{"4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b", "mainnet", RefusedForm, "transaction id"},
		{"xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8", "mainnet", RefusedExtendedKey, "an extended public key (xpub)"},
		{"xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi", "mainnet", RefusedPrivateKey, "a private key: do not paste it anywhere"},
		{"6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg", "mainnet", RefusedPrivateKey, "a private key: do not paste it anywhere"},
	} {
		params, err := Network(c.network)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ParseAddress(c.text, params)
		e := wantRefused(t, c.text, c.network, err)
		if e.Refusal != c.refusal || !strings.Contains(e.Reason, c.reason) {
			t.Errorf("%.50q on %s: refused as %s: %s\nwant %s: …%s…", c.text, c.network, e.Refusal, e.Reason, c.refusal, c.reason)
		}
		if len(err.Error()) > 400 {
			t.Errorf("%.50q: an error of %d characters", c.text, len(err.Error()))
		}
	}
}

func TestAddressErrorReads(t *testing.T) {
	_, err := ParseAddress("12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGj", &chaincfg.MainNetParams)
	want := `"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGj" is not a Bitcoin address of mainnet: bad checksum (a typo, or a cut address?)`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// A checksum that is shown invites people to write it over the typo.
func TestParseAddressNeverShowsTheRightChecksum(t *testing.T) {
	for text, checksum := range map[string]string{
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kqqqqqq": "v8f3t4",
		"12SxsxvrE8zrtRveSeFJYA6sgbJZb111111":        "yHDGk",
	} {
		_, err := ParseAddress(text, &chaincfg.MainNetParams)
		if err == nil || strings.Contains(err.Error(), checksum) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A sanctions list as it is published: of its 435 rows one is no Bitcoin address.
func TestParseAddressOfASanctionsList(t *testing.T) {
	list := recorded.Read(t, "lists", "0xB10C-sanctioned_addresses_XBT.txt")
	kinds := make(map[Kind]int)
	var refused []string
	for lines := bufio.NewScanner(bytes.NewReader(list)); lines.Scan(); {
		a, err := ParseAddress(lines.Text(), &chaincfg.MainNetParams)
		if err != nil {
			refused = append(refused, err.Error())
			continue
		}
		kinds[a.Kind]++
	}
	// 80 are of witness version 0, of either kind.
	if kinds[P2PKH] != 196 || kinds[P2SH] != 158 || kinds[P2WPKH]+kinds[P2WSH] != 80 || kinds[P2TR] != 0 {
		t.Errorf("kinds: %v", kinds)
	}
	want := `"TUCsTq7TofTCJRRoHk6RvhMoS2mJLm5Yzq" is not a Bitcoin address of mainnet: a Tron address`
	if len(refused) != 1 || refused[0] != want {
		t.Errorf("refused %q, want %q", refused, want)
	}
}
