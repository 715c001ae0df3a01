package chain

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"

	"btcwatch/chain/chaintest/recorded"
)

type scriptTemplate struct {
	kind           Kind
	before, after  []byte
	length         int
	firstCharacter map[string]string // by network, of the spelling
}

// templates are the five kinds of script as the protocol lays them out, around
// a hash or key of the length given.
var templates = []scriptTemplate{
	{P2PKH, []byte{0x76, 0xa9, 0x14}, []byte{0x88, 0xac}, 20, map[string]string{"mainnet": "1", "regtest": "mn"}},
	{P2SH, []byte{0xa9, 0x14}, []byte{0x87}, 20, map[string]string{"mainnet": "3", "regtest": "2"}},
	{P2WPKH, []byte{0x00, 0x14}, nil, 20, map[string]string{"mainnet": "b", "signet": "t"}},
	{P2WSH, []byte{0x00, 0x20}, nil, 32, map[string]string{"mainnet": "b", "testnet4": "t"}},
	{P2TR, []byte{0x51, 0x20}, nil, 32, map[string]string{"mainnet": "b", "regtest": "b"}},
}

func TestAddressOfIsTheReverseOfParseAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template := rapid.SampledFrom(templates).Draw(t, "template")
		n := rapid.SampledFrom(networks()).Draw(t, "network")
		hash := rapid.SliceOfN(rapid.Byte(), template.length, template.length).Draw(t, "hash")
		script := slices.Concat(template.before, hash, template.after)

		a, ok := AddressOf(script, n.params)
		if !ok || a.Kind != template.kind || !bytes.Equal(a.Script, script) {
			t.Fatalf("AddressOf(%x) = %+v, %v", script, a, ok)
		}
		if first := template.firstCharacter[n.name]; first != "" && !bytes.ContainsRune([]byte(first), rune(a.Text[0])) {
			t.Fatalf("%s on %s is spelled %s", template.kind, n.name, a.Text)
		}
		parsed, err := ParseAddress(a.Text, n.params)
		if err != nil || parsed.Text != a.Text || parsed.Kind != a.Kind || !bytes.Equal(parsed.Script, script) {
			t.Fatalf("ParseAddress(%s) = %+v, %v", a.Text, parsed, err)
		}
		a.Script[0] ^= 0xff
		if script[0] != template.before[0] {
			t.Fatal("the address shares its script with the caller")
		}
	})
}

// Whatever is not byte for byte one of the five templates has no address.
func TestAddressOfIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		template := rapid.SampledFrom(templates).Draw(t, "template")
		hash := rapid.SliceOfN(rapid.Byte(), template.length-1, template.length+1).Draw(t, "hash")
		script := slices.Concat(template.before, hash, template.after)
		at := rapid.IntRange(0, len(script)-1).Draw(t, "at")
		script[at] = rapid.Byte().Draw(t, "byte")

		want := slices.ContainsFunc(templates, func(m scriptTemplate) bool {
			return len(script) == len(m.before)+m.length+len(m.after) &&
				bytes.HasPrefix(script, m.before) && bytes.HasSuffix(script, m.after)
		})
		if _, ok := AddressOf(script, &chaincfg.MainNetParams); ok != want {
			t.Fatalf("AddressOf(%x) is %v, want %v", script, ok, want)
		}
	})
}

func TestAddressOfHasNoneFor(t *testing.T) {
	key := bytes.Repeat([]byte{2}, 33)
	for name, script := range map[string][]byte{
		"nothing":         nil,
		"a bare key":      slices.Concat([]byte{0x21}, key, []byte{0xac}),
		"bare multisig":   slices.Concat([]byte{0x51, 0x21}, key, []byte{0x51, 0xae}),
		"OP_RETURN":       {0x6a, 0x02, 1, 2},
		"the anchor":      {0x51, 0x02, 0x4e, 0x73},
		"witness 2":       slices.Concat([]byte{0x52, 0x20}, key[:32]),
		"witness 1 of 20": slices.Concat([]byte{0x51, 0x14}, key[:20]),
		"witness 0 of 33": slices.Concat([]byte{0x00, 0x21}, key),
	} {
		if a, ok := AddressOf(script, &chaincfg.MainNetParams); ok {
			t.Errorf("%s has the address %s", name, a.Text)
		}
	}
}

// On every output of real blocks the answer is that of btcd's own reading.
func TestAddressOfOnRealBlocks(t *testing.T) {
	kinds := make(map[Kind]int)
	for _, name := range []string{"block300025.raw", "block413567.raw", "block482683.raw", "block702861.raw"} {
		for _, script := range outputScripts(t, name) {
			a, ok := AddressOf(script, &chaincfg.MainNetParams)
			class, addresses, _, _ := txscript.ExtractPkScriptAddrs(script, &chaincfg.MainNetParams)
			wanted := class != txscript.PubKeyTy && class != txscript.MultiSigTy && len(addresses) == 1
			if ok != wanted || ok && a.Text != addresses[0].EncodeAddress() {
				t.Fatalf("%s: AddressOf(%x) = %s %v, btcd says %s %v", name, script, a.Text, ok, class, addresses)
			}
			kinds[a.Kind]++
		}
	}
	if kinds[P2PKH] == 0 || kinds[P2SH] == 0 || kinds[P2WPKH] == 0 || kinds[P2WSH] == 0 || kinds[""] == 0 {
		t.Errorf("the blocks hold %v", kinds)
	}
}

func outputScripts(t testing.TB, name string) [][]byte {
	t.Helper()
	var block wire.MsgBlock
	if err := block.Deserialize(bytes.NewReader(recorded.Read(t, "vectors", name))); err != nil {
		t.Fatal(err)
	}
	var scripts [][]byte
	for _, tx := range block.Transactions {
		for _, out := range tx.TxOut {
			scripts = append(scripts, out.PkScript)
		}
	}
	return scripts
}

func BenchmarkAddressOf(b *testing.B) {
	scripts := outputScripts(b, "block702861.raw")
	for i := 0; b.Loop(); i++ {
		AddressOf(scripts[i%len(scripts)], &chaincfg.MainNetParams)
	}
}

func BenchmarkParseAddress(b *testing.B) {
	for b.Loop() {
		if _, err := ParseAddress("12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", &chaincfg.MainNetParams); err != nil {
			b.Fatal(err)
		}
	}
}
