package chaintest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

func (e *Esplora) entry(r *http.Request) (*entry, error) {
	id, err := parseHash(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	tx := e.index.find(id)
	if tx == nil {
		return nil, errTxNotFound
	}
	return tx, nil
}

func (e *Esplora) tx(r *http.Request) ([]byte, error) {
	tx, err := e.entry(r)
	if err != nil {
		return nil, err
	}
	return e.render.transaction(nil, tx), nil
}

// txStatus answers 200 and "unconfirmed" for a transaction that never was.
func (e *Esplora) txStatus(r *http.Request) ([]byte, error) {
	tx, err := e.entry(r)
	if err != nil && !errors.Is(err, errTxNotFound) {
		return nil, err
	}
	return tx.appendStatus(nil), nil
}

func (e *Esplora) txRaw(r *http.Request) ([]byte, error) {
	tx, err := e.entry(r)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	err = tx.tx.Serialize(&raw)
	return raw.Bytes(), err
}

func (e *Esplora) txHex(r *http.Request) ([]byte, error) {
	raw, err := e.txRaw(r)
	return hex.AppendEncode(nil, raw), err
}

// outspend answers "unspent" for an output that never was.
func (e *Esplora) outspend(r *http.Request) ([]byte, error) {
	id, err := parseHash(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	vout, err := strconv.ParseUint(r.PathValue("vout"), 10, 32)
	if err != nil {
		return nil, errInvalidNumber
	}
	s, spent := e.index.spent(wire.OutPoint{Hash: id, Index: uint32(vout)})
	return appendSpend(nil, s, spent), nil
}

func (e *Esplora) outspends(r *http.Request) ([]byte, error) {
	tx, err := e.entry(r)
	if err != nil {
		return nil, err
	}
	body := []byte{'['}
	for i := range tx.tx.TxOut {
		s, spent := e.index.spent(wire.OutPoint{Hash: tx.id, Index: uint32(i)})
		body = appendSpend(comma(body, i), s, spent)
	}
	return append(body, ']'), nil
}

func (e *Esplora) merkleProof(r *http.Request) ([]byte, error) {
	tx, err := e.entry(r)
	if errors.Is(err, errTxNotFound) || err == nil && tx.block == nil {
		return nil, errTxUnconfirmed
	}
	if err != nil {
		return nil, err
	}
	body := fmt.Appendf(nil, `{"block_height":%d,"merkle":[`, tx.block.height)
	for i, sibling := range branch(tx.block.entries, tx.pos) {
		body = append(comma(body, i), `"`+sibling.String()+`"`...)
	}
	return fmt.Appendf(body, `],"pos":%d}`, tx.pos), nil
}

// branch are the siblings on the way from a transaction to the Merkle root. A
// level with an odd number of nodes pairs its last one with itself.
func branch(entries []*entry, pos int) []chainhash.Hash {
	level := make([]chainhash.Hash, len(entries))
	for i, tx := range entries {
		level[i] = tx.id
	}
	var siblings []chainhash.Hash
	for len(level) > 1 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		siblings = append(siblings, level[pos^1])
		for i := range len(level) / 2 {
			level[i] = blockchain.HashMerkleBranches(&level[2*i], &level[2*i+1])
		}
		level, pos = level[:len(level)/2], pos/2
	}
	return siblings
}
