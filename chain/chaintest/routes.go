package chaintest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// What electrs says, and with which status.
var (
	errInvalidAddress = refusal(http.StatusBadRequest, "Invalid Bitcoin address")
	errOtherNetwork   = refusal(http.StatusBadRequest, "Address on invalid network")
	errInvalidHex     = refusal(http.StatusBadRequest, "Invalid hex string")
	errInvalidNumber  = refusal(http.StatusBadRequest, "Invalid number")
	errTooManyOutputs = refusal(http.StatusBadRequest, "Too many unspent transaction outputs (>500). Contact support to raise limits.")
	errTxNotFound     = refusal(http.StatusNotFound, "Transaction not found")
	errTxUnconfirmed  = refusal(http.StatusNotFound, "Transaction not found or is unconfirmed")
	errBlockNotFound  = refusal(http.StatusNotFound, "Block not found")
)

type answerError struct {
	status int
	text   string
}

func (e *answerError) Error() string { return e.text }

func refusal(status int, text string) error { return &answerError{status, text} }

const (
	chainPage   = 25
	mempoolPage = 50
	sharedPage  = 50 // of mempool/electrs' /txs
	maxUTXOs    = 500
	blocksPage  = 10

	typeJSON  = "application/json"
	typeText  = "text/plain"
	typeBytes = "application/octet-stream"
)

// answer makes the body of an answer while the index holds still.
type answer func(r *http.Request) ([]byte, error)

func (e *Esplora) handler() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []struct {
		path, contentType string
		answer            answer
	}{
		{"/blocks/tip/height", typeText, e.tipHeight},
		{"/blocks/tip/hash", typeText, e.tipHash},
		{"/blocks", typeJSON, e.blockList},
		{"/blocks/{start}", typeJSON, e.blockList},
		{"/block-height/{height}", typeText, e.blockHeight},
		{"/block/{hash}", typeJSON, e.blockSummary},
		{"/block/{hash}/status", typeJSON, e.blockStatus},
		{"/block/{hash}/header", typeText, e.blockHeader},
		{"/block/{hash}/raw", typeBytes, e.blockRaw},
		{"/block/{hash}/txids", typeJSON, e.blockTxids},
		{"/block/{hash}/txid/{index}", typeText, e.blockTxid},
		{"/tx/{id}", typeJSON, e.tx},
		{"/tx/{id}/status", typeJSON, e.txStatus},
		{"/tx/{id}/hex", typeText, e.txHex},
		{"/tx/{id}/raw", typeBytes, e.txRaw},
		{"/tx/{id}/outspend/{vout}", typeJSON, e.outspend},
		{"/tx/{id}/outspends", typeJSON, e.outspends},
		{"/tx/{id}/merkle-proof", typeJSON, e.merkleProof},
		{"/v1/prices", typeJSON, e.Prices.now},
		{"/v1/historical-price", typeJSON, e.Prices.then},
	} {
		mux.HandleFunc("GET "+route.path, e.serve(route.contentType, route.answer))
	}
	for _, route := range []struct {
		path   string
		answer func(*http.Request, *scriptHistory) ([]byte, error)
	}{
		{"", e.address},
		{"/txs", e.addressTxs},
		{"/txs/chain", e.addressChain},
		{"/txs/chain/{last}", e.addressChain},
		{"/txs/mempool", e.addressMempool},
		{"/utxo", e.addressUTXO},
	} {
		mux.HandleFunc("GET /address/{address}"+route.path, e.serve(typeJSON, e.withHistory(route.answer)))
		mux.HandleFunc("GET /scripthash/{scripthash}"+route.path, e.serve(typeJSON, e.withHistory(route.answer)))
	}
	mux.HandleFunc("/", e.serve(typeText, func(r *http.Request) ([]byte, error) {
		return nil, refusal(http.StatusNotFound, fmt.Sprintf("endpoint does not exist %q", r.URL.Path))
	}))
	return mux
}

func (e *Esplora) serve(contentType string, a answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e.refresh(r.Context())
		e.index.mu.RLock()
		body, err := a(r)
		e.index.mu.RUnlock()
		var refused *answerError
		switch {
		case errors.As(err, &refused):
			write(w, refused.status, typeText, []byte(refused.text))
		case err != nil:
			write(w, http.StatusInternalServerError, typeText, []byte(err.Error()))
		default:
			write(w, http.StatusOK, contentType, body)
		}
	}
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if status == http.StatusOK {
		w.Header().Set("Cache-Control", "public, max-age=10")
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have left
}

func parseHash(text string) (hash chainhash.Hash, err error) {
	if len(text) != 2*chainhash.HashSize {
		return hash, errInvalidHex
	}
	if _, err := hex.DecodeString(text); err != nil {
		return hash, errInvalidHex
	}
	return hash, chainhash.Decode(&hash, text)
}

// withHistory finds the script of an address or script hash. One that never
// was used has an empty history.
func (e *Esplora) withHistory(a func(*http.Request, *scriptHistory) ([]byte, error)) answer {
	return func(r *http.Request) ([]byte, error) {
		var key scriptHash
		if text := r.PathValue("scripthash"); text != "" {
			raw, err := hex.DecodeString(text)
			if err != nil || len(raw) != len(key) {
				return nil, errInvalidHex
			}
			copy(key[:], raw)
		} else {
			script, err := addressScript(r.PathValue("address"), e.params)
			if err != nil {
				return nil, err
			}
			key = sha256.Sum256(script)
		}
		h := e.index.scripts[key]
		if h == nil {
			h = &scriptHistory{script: key}
		}
		return a(r, h)
	}
}
