package explorer

import (
	"bytes"
	"encoding/hex"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// readRaw reads a transaction in hexadecimal, with nothing behind it.
func readRaw(text string) (*wire.MsgTx, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, malformed("a transaction that is not hexadecimal")
	}
	msg, rest := wire.NewMsgTx(0), bytes.NewReader(raw)
	if err := msg.Deserialize(rest); err != nil || rest.Len() > 0 {
		return nil, malformed("not a whole transaction")
	}
	return msg, nil
}

// checkMentions refuses a transaction that has nothing to do with an address.
// Explorers that go by keys list what pays or spends a bare key, or several,
// under the P2PKH address of the key: that is a difference between kinds and no
// lie, but no payment to the address's script either.
func checkMentions(tx *chain.Transaction, a chain.Address) error {
	if txscript.IsPayToPubKeyHash(a.Script) {
		for _, out := range tx.Msg.TxOut {
			if holdsKey(out.PkScript, a) {
				return nil
			}
		}
		for _, spent := range tx.Spent {
			if spent != nil && holdsKey(spent.PkScript, a) {
				return nil
			}
		}
	}
	return checkTouches(tx, a)
}

// holdsKey says whether a script pushes a key that a P2PKH address is of.
func holdsKey(script []byte, a chain.Address) bool {
	tokens := txscript.MakeScriptTokenizer(0, script)
	for tokens.Next() {
		key := tokens.Data()
		if (len(key) == 33 || len(key) == 65) && bytes.Equal(address.Hash160(key), a.Script[3:23]) {
			return true
		}
	}
	return false
}
