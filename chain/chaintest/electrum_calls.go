package chaintest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// What the servers say, each in its own words.
var (
	errBadRequest    = &electrumError{1, "bad request"}
	errUnknownMethod = &electrumError{-32601, "unknown method"}
	errNoVerbose     = &electrumError{2, "verbose transactions are currently unsupported"}
	errLongHistory   = &electrumError{1, "Too many history transactions (>500). Contact support to raise limits."}
	errMissingHeader = &electrumError{1, "missing header"}
	errMissingTx     = &electrumError{2, "missing transaction"}
	errDaemonNoTx    = &electrumError{2, "daemon error: DaemonError({'code': -5, 'message': 'No such mempool or blockchain transaction. Use gettransaction for wallet transactions.'})"}
)

// mostHistory is what Esplora's electrs lists at most.
const mostHistory = 500

// result gives the result of a call.
func (e *Electrum) result(ctx context.Context, asked lineCall) (any, error) {
	var params []json.RawMessage
	if json.Unmarshal(asked.Params, &params) != nil {
		return nil, errBadRequest
	}
	if e.esplora.tip() == nil {
		return nil, &electrumError{2, "daemon is not ready"}
	}
	switch asked.Method {
	case "server.version":
		return e.version(), nil
	case "server.ping":
		return nil, nil
	case "blockchain.headers.subscribe":
		if w := wishesOf(ctx); w != nil {
			w.blocks, w.tip = true, e.esplora.tip().hash
		}
		return e.best(), nil
	case "blockchain.scripthash.subscribe":
		return e.wish(wishesOf(ctx), params)
	case "blockchain.scripthash.unsubscribe":
		if e.Flavour != EsploraElectrum {
			return e.unwish(wishesOf(ctx), params)
		}
	case "blockchain.block.header":
		return e.header(params)
	case "blockchain.block.headers":
		return e.headers(params)
	case "blockchain.transaction.get":
		return e.transaction(params)
	case "blockchain.transaction.get_merkle":
		return e.merkle(params)
	case "blockchain.transaction.id_from_pos":
		return e.idAt(params)
	case "blockchain.scripthash.get_history":
		return e.history(params)
	case "blockchain.scripthash.get_mempool":
		if e.Flavour != EsploraElectrum {
			return e.mempool(params)
		}
	}
	return nil, errUnknownMethod
}

func (e *Electrum) version() []string {
	switch e.Flavour {
	case EsploraElectrum:
		return []string{"mempool-electrs 3.1.0-dev", "1.4"}
	case Fulcrum:
		return []string{"Fulcrum 2.1.0", "1.6"}
	}
	return []string{"ElectrumX 1.18.0", "1.4.3"}
}

// param reads the parameter at a place; one that is not given is left as it is.
func param(params []json.RawMessage, i int, into any) error {
	if i < len(params) && json.Unmarshal(params[i], into) != nil {
		return errBadRequest
	}
	return nil
}

func (b *indexedBlock) rawHeader() string {
	var raw bytes.Buffer
	if err := b.msg.Header.Serialize(&raw); err != nil {
		panic(err) // a buffer takes everything
	}
	return hex.EncodeToString(raw.Bytes())
}

func (e *Electrum) header(params []json.RawMessage) (any, error) {
	var height int64 = -1
	if err := param(params, 0, &height); err != nil {
		return nil, err
	}
	b := e.esplora.at(height)
	switch {
	case b != nil:
		return b.rawHeader(), nil
	case e.Flavour == EsploraElectrum:
		return nil, errMissingHeader
	}
	return nil, &electrumError{1, fmt.Sprintf("height %d out of range", height)}
}

func (e *Electrum) headers(params []json.RawMessage) (any, error) {
	var start, count int64
	if err := cmp.Or(param(params, 0, &start), param(params, 1, &count)); err != nil {
		return nil, err
	}
	list := []string{}
	for height := start; height < start+min(count, 2016); height++ {
		if b := e.esplora.at(height); b != nil {
			list = append(list, b.rawHeader())
		}
	}
	answer := map[string]any{"count": len(list), "max": 2016}
	if e.Flavour == Fulcrum {
		answer["headers"] = list
	} else {
		answer["hex"] = strings.Join(list, "")
	}
	return answer, nil
}

// entry finds the transaction of the first parameter.
func (e *Electrum) entry(params []json.RawMessage) (*entry, error) {
	var text string
	if err := param(params, 0, &text); err != nil {
		return nil, err
	}
	id, err := parseHash(text)
	if err != nil {
		return nil, errBadRequest
	}
	if found := e.esplora.index.find(id); found != nil {
		return found, nil
	}
	if e.Flavour == EsploraElectrum {
		return nil, errMissingTx
	}
	return nil, errDaemonNoTx
}

func (e *Electrum) transaction(params []json.RawMessage) (any, error) {
	verbose := false
	if err := param(params, 1, &verbose); err != nil {
		return nil, err
	}
	if verbose && e.Flavour == EsploraElectrum {
		return nil, errNoVerbose
	}
	found, err := e.entry(params)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	if err := found.tx.Serialize(&raw); err != nil {
		return nil, err
	}
	if !verbose {
		return hex.EncodeToString(raw.Bytes()), nil
	}
	return verboseTransaction(found, e.esplora.tip().height), nil
}

// verboseTransaction is a transaction as bitcoind tells it, with what of that is
// read: no amounts, which bitcoind gives as numbers of bitcoin.
func verboseTransaction(found *entry, tip int32) map[string]any {
	var raw bytes.Buffer
	if err := found.tx.Serialize(&raw); err != nil {
		panic(err) // a buffer takes everything
	}
	answer := map[string]any{"txid": found.id.String(), "hash": found.tx.WitnessHash().String(), "version": uint32(found.tx.Version),
		"size": found.tx.SerializeSize(), "weight": weight(found.tx), "locktime": found.tx.LockTime, "hex": hex.EncodeToString(raw.Bytes())}
	if b := found.block; b != nil {
		at := b.msg.Header.Timestamp.Unix()
		answer["blockhash"], answer["confirmations"], answer["time"], answer["blocktime"] = b.hash.String(), tip-b.height+1, at, at
	}
	return answer
}

func (e *Electrum) merkle(params []json.RawMessage) (any, error) {
	var height int32
	if err := param(params, 1, &height); err != nil {
		return nil, err
	}
	found, err := e.entry(params)
	if err != nil || found.block == nil || found.block.height != height {
		return nil, &electrumError{1, fmt.Sprintf("no tx at height %d", height)}
	}
	siblings := []string{}
	for _, hash := range branch(found.block.entries, found.pos) {
		siblings = append(siblings, hash.String())
	}
	return map[string]any{"block_height": height, "merkle": siblings, "pos": found.pos}, nil
}

// idAt gives the id of the transaction at a place of the block at a height.
func (e *Electrum) idAt(params []json.RawMessage) (any, error) {
	height, pos := int64(-1), -1
	if err := cmp.Or(param(params, 0, &height), param(params, 1, &pos)); err != nil {
		return nil, err
	}
	b := e.esplora.at(height)
	if b == nil || pos < 0 || pos >= len(b.entries) {
		return nil, &electrumError{1, fmt.Sprintf("no tx at position %d in block at height %d", pos, height)}
	}
	return b.entries[pos].id.String(), nil
}

// script finds the history of the first parameter, a script's hash reversed.
func (e *Electrum) script(params []json.RawMessage) (*scriptHistory, error) {
	var text string
	if err := param(params, 0, &text); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return nil, errBadRequest
	}
	slices.Reverse(raw)
	if h := e.esplora.index.scripts[scriptHash(raw)]; h != nil {
		return h, nil
	}
	return &scriptHistory{}, nil
}

func (e *Electrum) history(params []json.RawMessage) (any, error) {
	h, err := e.script(params)
	if err != nil {
		return nil, err
	}
	if e.Flavour == EsploraElectrum && len(h.confirmed)+len(h.pool) > mostHistory {
		return nil, errLongHistory
	}
	list := []any{}
	for _, found := range h.confirmed {
		list = append(list, map[string]any{"tx_hash": found.id.String(), "height": found.block.height})
	}
	return append(list, e.unconfirmed(h)...), nil
}

func (e *Electrum) mempool(params []json.RawMessage) (any, error) {
	h, err := e.script(params)
	if err != nil {
		return nil, err
	}
	return e.unconfirmed(h), nil
}

// unconfirmed lists a mempool: the height is -1 where an input is unconfirmed
// too.
func (e *Electrum) unconfirmed(h *scriptHistory) []any {
	list := []any{}
	for _, found := range h.pool {
		height := 0
		for _, in := range found.tx.TxIn {
			if e.esplora.index.pool[chainhash.Hash(in.PreviousOutPoint.Hash)] != nil {
				height = -1
			}
		}
		list = append(list, map[string]any{"tx_hash": found.id.String(), "height": height, "fee": found.fee()})
	}
	return list
}
