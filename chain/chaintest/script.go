package chaintest

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/address/v2/bech32"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// instruction is one step of a script: an opcode, or a push and its bytes.
type instruction struct {
	op   byte
	push bool
	data []byte
	cut  cut
}

// cut says that a script ends within a push.
type cut int

const (
	whole cut = iota
	cutInLength
	cutInData
)

func instructions(script []byte) []instruction {
	var list []instruction
	for len(script) > 0 {
		in := instruction{op: script[0], push: script[0] <= txscript.OP_PUSHDATA4}
		script = script[1:]
		size, width := int(in.op), 0
		switch in.op {
		case txscript.OP_PUSHDATA1:
			width = 1
		case txscript.OP_PUSHDATA2:
			width = 2
		case txscript.OP_PUSHDATA4:
			width = 4
		}
		if in.push {
			if width > 0 && len(script) >= width {
				var length [4]byte
				copy(length[:], script[:width])
				size = int(binary.LittleEndian.Uint32(length[:]))
			}
			switch {
			case len(script) < width:
				in.cut, script = cutInLength, nil
			case len(script)-width < size:
				in.cut, script = cutInData, nil
			default:
				in.data, script = script[width:width+size], script[width+size:]
			}
		}
		list = append(list, in)
	}
	return list
}

// lastPush is what the last instruction pushes, and false where it is none.
func lastPush(script []byte) ([]byte, bool) {
	list := instructions(script)
	if len(list) == 0 {
		return nil, false
	}
	last := list[len(list)-1]
	return last.data, last.push && last.cut == whole
}

// assembler writes scripts in rust-bitcoin's words, which Esplora uses.
type assembler struct{ names [256]string }

func newAssembler() *assembler {
	a := new(assembler)
	for name, op := range txscript.OpcodeByName {
		if op > txscript.OP_16 && op <= txscript.OP_CHECKSIGADD {
			a.names[op] = name
		}
	}
	a.names[txscript.OP_0] = "OP_0"
	a.names[txscript.OP_1NEGATE] = "OP_PUSHNUM_NEG1"
	a.names[txscript.OP_RESERVED] = "OP_RESERVED"
	a.names[txscript.OP_INVALIDOPCODE] = "OP_INVALIDOPCODE"
	a.names[txscript.OP_CHECKLOCKTIMEVERIFY] = "OP_CLTV"
	a.names[txscript.OP_CHECKSEQUENCEVERIFY] = "OP_CSV"
	for n := byte(0); n < 16; n++ {
		a.names[txscript.OP_1+n] = fmt.Sprintf("OP_PUSHNUM_%d", n+1)
	}
	for op := 1; op <= txscript.OP_DATA_75; op++ {
		a.names[op] = fmt.Sprintf("OP_PUSHBYTES_%d", op)
	}
	for i := range 3 {
		a.names[txscript.OP_PUSHDATA1+i] = fmt.Sprintf("OP_PUSHDATA%d", 1<<i)
	}
	for op := range a.names {
		if a.names[op] == "" {
			a.names[op] = fmt.Sprintf("OP_RETURN_%d", op)
		}
	}
	return a
}

func (a *assembler) text(script []byte) string {
	var b strings.Builder
	for _, in := range instructions(script) {
		if in.cut == cutInLength {
			b.WriteString("<unexpected end>")
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.names[in.op])
		if in.cut == cutInData {
			b.WriteString(" <push past end>")
		} else if len(in.data) > 0 {
			b.WriteByte(' ')
			b.WriteString(hex.EncodeToString(in.data))
		}
	}
	return b.String()
}

// unspendable is what electrs keeps out of its index.
func unspendable(script []byte) bool {
	return len(script) > 0 && script[0] == txscript.OP_RETURN
}

// scriptType is Esplora's name of a script.
func scriptType(s []byte) string {
	switch {
	case len(s) == 0:
		return "empty"
	case s[0] == txscript.OP_RETURN:
		return "op_return"
	case txscript.IsPayToPubKey(s):
		return "p2pk"
	case txscript.IsPayToPubKeyHash(s):
		return "p2pkh"
	case txscript.IsPayToScriptHash(s):
		return "p2sh"
	case txscript.IsPayToWitnessPubKeyHash(s):
		return "v0_p2wpkh"
	case txscript.IsPayToWitnessScriptHash(s):
		return "v0_p2wsh"
	case txscript.IsPayToTaproot(s):
		return "v1_p2tr"
	case isBareMultisig(s):
		return "multisig"
	}
	return "unknown"
}

// isBareMultisig looks at the shape alone, as electrs does.
func isBareMultisig(s []byte) bool {
	n := len(s)
	return n >= 37 && s[n-1] == txscript.OP_CHECKMULTISIG &&
		s[n-2] >= txscript.OP_1 && s[n-2] <= txscript.OP_15 &&
		s[0] >= txscript.OP_1 && s[0] <= s[n-2]
}

// scriptAddress is the address of a script, empty where there is none. Unlike
// btcd, Esplora has addresses for witness programs of the future and none for
// public keys.
func scriptAddress(script []byte, params *chaincfg.Params) string {
	if version, program, err := txscript.ExtractWitnessProgramInfo(script); err == nil && version > 0 {
		words, err := bech32.ConvertBits(program, 8, 5, true)
		if err != nil {
			return ""
		}
		text, _ := bech32.EncodeM(params.Bech32HRPSegwit, append([]byte{byte(version)}, words...))
		return text
	}
	class, found, _, err := txscript.ExtractPkScriptAddrs(script, params)
	if err != nil || len(found) != 1 || class == txscript.PubKeyTy || class == txscript.MultiSigTy {
		return ""
	}
	return found[0].EncodeAddress()
}

// addressScript reads an address as electrs does; the error is its text.
func addressScript(text string, params *chaincfg.Params) ([]byte, error) {
	wrong := errInvalidAddress
	for _, p := range []*chaincfg.Params{params, &chaincfg.MainNetParams, &chaincfg.TestNet3Params, &chaincfg.RegressionNetParams} {
		to, err := address.DecodeAddress(text, p)
		if err != nil || !to.IsForNet(p) {
			continue
		}
		if _, bare := to.(*address.AddressPubKey); bare {
			continue
		}
		if p == params {
			return txscript.PayToAddrScript(to)
		}
		wrong = errOtherNetwork
	}
	return nil, wrong
}

// sigopCost counts as electrs does: legacy and P2SH fourfold, witness once.
func sigopCost(tx *wire.MsgTx, spent []*wire.TxOut) int {
	cost := 0
	for _, out := range tx.TxOut {
		cost += 4 * countSigops(out.PkScript, false)
	}
	for i, in := range tx.TxIn {
		cost += 4 * countSigops(in.SignatureScript, false)
		if spent[i] == nil {
			continue
		}
		script := spent[i].PkScript
		if txscript.IsPayToScriptHash(script) {
			script, _ = lastPush(in.SignatureScript)
			cost += 4 * countSigops(script, true)
		}
		switch {
		case txscript.IsPayToWitnessPubKeyHash(script):
			cost++
		case txscript.IsPayToWitnessScriptHash(script) && len(in.Witness) > 0:
			cost += countSigops(in.Witness[len(in.Witness)-1], true)
		}
	}
	return cost
}

func countSigops(script []byte, accurate bool) int {
	n, keys := 0, 0
	for _, in := range instructions(script) {
		switch in.op {
		case txscript.OP_CHECKSIG, txscript.OP_CHECKSIGVERIFY:
			n++
		case txscript.OP_CHECKMULTISIG, txscript.OP_CHECKMULTISIGVERIFY:
			if accurate && keys > 0 {
				n += keys
			} else {
				n += 20
			}
		}
		keys = 0
		if in.op >= txscript.OP_1 && in.op <= txscript.OP_16 {
			keys = int(in.op) - txscript.OP_1 + 1
		}
	}
	return n
}
