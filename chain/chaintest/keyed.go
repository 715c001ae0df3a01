package chaintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/txscript/v2"
)

// keyed is what the servers share that file a transaction under the addresses
// of its keys: a bare key (P2PK) is under the P2PKH address of the key.
type keyed struct {
	*Esplora // for its index only; it is not served
}

func newKeyed(source Source, params *chaincfg.Params) keyed {
	return keyed{NewEsplora(source, params)}
}

// keyScript is the script under which an output is filed.
func keyScript(script []byte) []byte {
	if !txscript.IsPayToPubKey(script) {
		return script
	}
	key := script[1 : len(script)-1]
	filed := append([]byte{txscript.OP_DUP, txscript.OP_HASH160, txscript.OP_DATA_20}, address.Hash160(key)...)
	return append(filed, txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG)
}

// keyAddress is the address that is shown of a script; empty: none.
func (k keyed) keyAddress(script []byte) string { return scriptAddress(keyScript(script), k.params) }

// mentions says whether a transaction pays or spends what is filed under a script.
func (e *entry) mentions(script []byte) bool {
	for _, out := range e.spent {
		if out != nil && bytes.Equal(keyScript(out.PkScript), script) {
			return true
		}
	}
	for _, out := range e.tx.TxOut {
		if bytes.Equal(keyScript(out.PkScript), script) {
			return true
		}
	}
	return false
}

// of gives the transactions filed under a script: the unconfirmed, in the order
// of the mempool, and those in blocks, newest first.
func (k keyed) of(script []byte) (pool, confirmed []*entry) {
	for _, tx := range k.index.poolSource {
		if e := k.index.pool[tx.TxHash()]; e != nil && e.mentions(script) {
			pool = append(pool, e)
		}
	}
	for _, block := range slices.Backward(k.index.blocks) {
		for _, e := range slices.Backward(block.entries) {
			if e.mentions(script) {
				confirmed = append(confirmed, e)
			}
		}
	}
	return pool, confirmed
}

// sums are satoshis received and sent at a script by transactions.
func sums(script []byte, txs []*entry) (received, sent int64) {
	for _, e := range txs {
		for _, out := range e.spent {
			if out != nil && bytes.Equal(keyScript(out.PkScript), script) {
				sent += out.Value
			}
		}
		for _, out := range e.tx.TxOut {
			if bytes.Equal(keyScript(out.PkScript), script) {
				received += out.Value
			}
		}
	}
	return received, sent
}

// serveJSON brings the index up to date, answers while it holds still, and words
// errors as a JSON object; plain text is sent as it is.
func (k keyed) serveJSON(a func(r *http.Request) (any, error), refuse func(text string) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		k.refresh(r.Context())
		k.index.mu.RLock()
		answer, err := a(r)
		k.index.mu.RUnlock()
		status := http.StatusOK
		if err != nil {
			status, answer = http.StatusInternalServerError, refuse(err.Error())
			var refused *answerError
			if errors.As(err, &refused) {
				status = refused.status
			}
		}
		if plain, ok := answer.(string); ok {
			write(w, status, typeText, []byte(plain))
			return
		}
		body, err := json.Marshal(answer)
		if err != nil {
			panic(err) // every answer is of our own making
		}
		write(w, status, typeJSON, body)
	}
}
