package chain

import (
	"crypto/sha256"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Reveals gives the output scripts that an input may be spending from, by the
// key or script that it shows: P2PKH, P2SH, P2WPKH, P2WSH and their nestings. It
// is a hint and no proof, for anyone may push another's public key; only the
// output that is spent says. A P2TR key path, a bare key and bare multisig
// reveal nothing.
//
// The caller must have checked the witness against its commitment: neither
// txid nor Merkle root covers it.
func Reveals(in *wire.TxIn) [][]byte {
	var scripts [][]byte
	last, pushes := lastPush(in.SignatureScript)
	if len(in.Witness) > 0 && pushes <= 1 {
		scripts = append(scripts, witnessPrograms(in.Witness)...)
	}
	if last != nil {
		scripts = append(scripts, payToScriptHash(last))
		if pushes == 2 && isKey(last) {
			scripts = append(scripts, payToKeyHash(last))
		}
	}
	return scripts
}

// witnessPrograms are the segwit version 0 scripts that a witness fits.
func witnessPrograms(witness wire.TxWitness) [][]byte {
	last := witness[len(witness)-1]
	hash := sha256.Sum256(last)
	scripts := [][]byte{append([]byte{txscript.OP_0, txscript.OP_DATA_32}, hash[:]...)}
	if len(witness) == 2 && isKey(last) {
		scripts = append(scripts, append([]byte{txscript.OP_0, txscript.OP_DATA_20}, address.Hash160(last)...))
	}
	return scripts
}

// lastPush is the last thing that a signature script pushes, and how many
// things it pushes; nil where it does more than push.
func lastPush(script []byte) (last []byte, pushes int) {
	if len(script) == 0 || !txscript.IsPushOnlyScript(script) {
		return nil, 0
	}
	tokens := txscript.MakeScriptTokenizer(0, script)
	for tokens.Next() {
		last = tokens.Data()
		pushes++
	}
	return last, pushes
}

// isKey says whether bytes have the shape of a public key.
func isKey(b []byte) bool {
	switch len(b) {
	case 33:
		return b[0] == 2 || b[0] == 3
	case 65:
		return b[0] == 4
	}
	return false
}

func payToKeyHash(key []byte) []byte {
	script := append([]byte{txscript.OP_DUP, txscript.OP_HASH160, txscript.OP_DATA_20}, address.Hash160(key)...)
	return append(script, txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG)
}

func payToScriptHash(redeem []byte) []byte {
	script := append([]byte{txscript.OP_HASH160, txscript.OP_DATA_20}, address.Hash160(redeem)...)
	return append(script, txscript.OP_EQUAL)
}
