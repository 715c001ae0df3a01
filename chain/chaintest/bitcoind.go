package chaintest

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// Bitcoind is an HTTP server in the shape of Bitcoin Core's JSON-RPC, over a
// Node or a Chain: what reads the chain, and nothing else. Every request first
// brings it up to date, unless it is frozen. Set the fields before the first
// request.
type Bitcoind struct {
	// Faults changes answers on order and counts requests, all to the path "/".
	Faults *Faults
	// User and Password are demanded of every request; empty: nothing is.
	User, Password string
	// NoIndex is a node without txindex: it gives unconfirmed transactions only.
	NoIndex bool
	// Pruned is the height of the first block that it still has.
	Pruned int32

	esplora *Esplora // follows the source
	routes  http.Handler
	once    sync.Once
}

// NewBitcoind makes a server over a source.
func NewBitcoind(source Source, params *chaincfg.Params) *Bitcoind {
	return &Bitcoind{Faults: NewFaults(), esplora: NewEsplora(source, params)}
}

// Serve listens on a free port of 127.0.0.1. stop ends all connections.
func (b *Bitcoind) Serve() (url string, stop func()) { return Serve(b) }

// Freeze keeps the server at what the source shows now.
func (b *Bitcoind) Freeze() { b.esplora.Freeze() }

// Thaw ends Freeze.
func (b *Bitcoind) Thaw() { b.esplora.Thaw() }

// ServeHTTP answers a request, through the faults.
func (b *Bitcoind) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.once.Do(func() { b.routes = b.Faults.Wrap(http.HandlerFunc(b.serve)) })
	b.routes.ServeHTTP(w, r)
}

func (b *Bitcoind) serve(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != b.User || password != b.Password {
		w.Header().Set("WWW-Authenticate", `Basic realm="jsonrpc"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		write(w, http.StatusMethodNotAllowed, typeText, []byte("JSONRPC server handles only POST requests"))
		return
	}
	b.esplora.refresh(r.Context())
	b.esplora.index.mu.RLock()
	defer b.esplora.index.mu.RUnlock()
	if strings.HasPrefix(string(text), "[") {
		var calls []lineCall
		if json.Unmarshal(text, &calls) != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		replies := []any{}
		for _, asked := range calls {
			reply, _ := b.reply(asked)
			replies = append(replies, reply)
		}
		b.write(w, http.StatusOK, replies)
		return
	}
	var asked lineCall
	if json.Unmarshal(text, &asked) != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	reply, status := b.reply(asked)
	b.write(w, status, reply)
}

func (b *Bitcoind) write(w http.ResponseWriter, status int, reply any) {
	text, err := json.Marshal(reply)
	if err != nil {
		panic(err) // replies are made of strings and numbers
	}
	write(w, status, typeJSON, append(text, '\n'))
}

// reply answers one call, with the status that an error has.
func (b *Bitcoind) reply(asked lineCall) (reply map[string]any, status int) {
	result, err := b.result(asked)
	var refused *electrumError
	if !errors.As(err, &refused) {
		return map[string]any{"result": result, "error": nil, "id": asked.ID}, http.StatusOK
	}
	status = http.StatusInternalServerError
	if refused == errMethodNotFound {
		status = http.StatusNotFound
	}
	return map[string]any{"result": nil, "error": refused, "id": asked.ID}, status
}

// What Bitcoin Core 27 says.
var (
	errMethodNotFound = &electrumError{-32601, "Method not found"}
	errHeightRange    = &electrumError{-8, "Block height out of range"}
	errCoreNoBlock    = &electrumError{-5, "Block not found"}
	errPruned         = &electrumError{-1, "Block not available (pruned data)"}
	errCoreNoTx       = &electrumError{-5, "No such mempool or blockchain transaction. Use gettransaction for wallet transactions."}
	errNoIndex        = &electrumError{-5, "No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries. Use gettransaction for wallet transactions."}
	errBadParameter   = &electrumError{-8, "parameter cannot be read"}
)

func (b *Bitcoind) result(asked lineCall) (any, error) {
	var params []json.RawMessage
	if json.Unmarshal(asked.Params, &params) != nil {
		return nil, errBadParameter
	}
	if b.esplora.tip() == nil {
		return nil, &electrumError{-28, "Loading block index…"}
	}
	switch asked.Method {
	case "getblockcount":
		return b.esplora.tip().height, nil
	case "getbestblockhash":
		return b.esplora.tip().hash.String(), nil
	case "getblockhash":
		var height int64 = -1
		if err := param(params, 0, &height); err != nil {
			return nil, err
		}
		if at := b.esplora.at(height); at != nil {
			return at.hash.String(), nil
		}
		return nil, errHeightRange
	case "getblock":
		return b.block(params)
	case "getblockheader":
		return b.header(params)
	case "getrawtransaction":
		return b.transaction(params)
	}
	return nil, errMethodNotFound
}

// find gives the block of the first parameter, also one that left the chain.
func (b *Bitcoind) find(params []json.RawMessage) (*indexedBlock, error) {
	var text string
	if err := param(params, 0, &text); err != nil {
		return nil, err
	}
	hash, err := parseHash(text)
	if err != nil {
		return nil, errBadParameter
	}
	if at := b.esplora.index.byHash[hash]; at != nil {
		return at, nil
	}
	return nil, errCoreNoBlock
}

// block gives a raw block: no other verbosity is served.
func (b *Bitcoind) block(params []json.RawMessage) (any, error) {
	verbosity := 1
	at, err := b.find(params)
	if err := cmp.Or(err, param(params, 1, &verbosity)); err != nil || verbosity != 0 {
		return nil, cmp.Or(err, error(errBadParameter))
	}
	if at.height < b.Pruned {
		return nil, errPruned
	}
	var raw strings.Builder
	if err := at.msg.Serialize(hex.NewEncoder(&raw)); err != nil {
		return nil, err
	}
	return raw.String(), nil
}

func (b *Bitcoind) header(params []json.RawMessage) (any, error) {
	verbose := true
	at, err := b.find(params)
	if err := cmp.Or(err, param(params, 1, &verbose)); err != nil {
		return nil, err
	}
	if !verbose {
		return at.rawHeader(), nil
	}
	confirmations := int32(-1)
	if b.esplora.onChain(at) {
		confirmations = b.esplora.tip().height - at.height + 1
	}
	return map[string]any{"hash": at.hash.String(), "confirmations": confirmations, "height": at.height, "time": at.msg.Header.Timestamp.Unix()}, nil
}

func (b *Bitcoind) transaction(params []json.RawMessage) (any, error) {
	var text string
	var verbosity int
	if err := cmp.Or(param(params, 0, &text), param(params, 1, &verbosity)); err != nil {
		return nil, err
	}
	id, err := parseHash(text)
	if err != nil || verbosity != 1 {
		return nil, errBadParameter
	}
	found := b.esplora.index.find(id)
	switch {
	case found != nil && (found.block == nil || !b.NoIndex):
		return verboseTransaction(found, b.esplora.tip().height), nil
	case b.NoIndex:
		return nil, errNoIndex
	}
	return nil, errCoreNoTx
}
