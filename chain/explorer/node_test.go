package explorer

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest"
)

func serveBitcoind(t *testing.T, s *scene, w *badWire) Settings {
	return Settings{Kind: "node", URL: overHTTP(t, w, chaintest.NewBitcoind(s.chain, s.chain.Params()))}
}

// replied is a reply of a node to the only call of a request.
func replied(result string) string { return `{"result":` + result + `,"error":null,"id":1}` }

// coreError is an error of a node, with the status that it has.
func coreError(status int, code int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"result":null,"error":{"code":%d,"message":%q},"id":1}`, code, message)
	}
}

func nodeNotFound() []http.HandlerFunc {
	return []http.HandlerFunc{
		coreError(500, -5, "No such mempool or blockchain transaction. Use gettransaction for wallet transactions."),
		coreError(500, -5, "Block not found"),
		coreError(200, -5, "No information available about transaction"), // btcd, and bitcoind from 28 to calls of JSON-RPC 2.0
	}
}

func nodeEndpoints() []endpoint {
	tx := payment(5000)
	genesis := chaincfg.MainNetParams.GenesisBlock
	var block, raw bytes.Buffer
	if err := genesis.Serialize(&block); err != nil {
		panic(err)
	}
	if err := tx.Msg.Serialize(&raw); err != nil {
		panic(err)
	}
	hash := genesis.BlockHash()
	confirmed := replied(fmt.Sprintf(`{"hex":"%x","blockhash":%q}`, raw.Bytes(), hash))
	place := replied(fmt.Sprintf(`{"hash":%q,"height":700,"time":1600000700,"confirmations":12}`, hash))
	absent := `{"result":null,"error":{"code":-5,"message":"No such mempool or blockchain transaction"},"id":1}`
	ask := func(ctx context.Context, e *Explorer) (any, error) { return e.Transactions.Transaction(ctx, tx.ID) }
	return []endpoint{
		{name: "Tip", good: replied("812345"), json: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.Tip(ctx) }},
		{name: "BlockHash", good: replied(`"` + hash.String() + `"`), json: true, absent: true,
			gone: []http.HandlerFunc{coreError(500, -8, "Block height out of range"), coreError(200, -1, "Block number out of range")},
			ask:  func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.BlockHash(ctx, 0) }},
		{name: "Block", good: replied(`"` + hex.EncodeToString(block.Bytes()) + `"`), json: true, absent: true,
			ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Blocks.Block(ctx, hash) }},
		{name: "Headers", good: replied(`"` + headerHex(genesis.Header) + `"`), json: true, absent: true,
			ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Headers.Headers(ctx, 0, hash) }},
		{name: "Transaction", good: confirmed, after: []string{place, absent}, json: true, absent: true, ask: ask},
		{name: "Transaction's place", before: []string{confirmed}, good: place, after: []string{absent}, json: true, absent: true, ask: ask},
	}
}
