package explorer

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

func infoSubject() subject {
	return subject{kind: "blockchaininfo", can: "Chain Blocks Addresses Transactions", endpoints: infoEndpoints, bareKeys: true,
		serve: func(t *testing.T, s *scene, w *badWire) Settings {
			server := chaintest.NewBlockchainInfo(s.chain, s.chain.Params())
			server.Trims = true
			return Settings{Kind: "blockchaininfo", URL: overHTTP(t, w, server)}
		},
		notFound: []http.HandlerFunc{
			status(404, `{"error":"not-found-or-invalid-arg","message":"Item not found or argument invalid"}`, "Content-Type", "application/json"),
			status(404, "Item not found or argument invalid", "Content-Type", "text/plain"),
		},
		optional: []string{"blocks.n_tx", "blocks.tx", "size", "weight", "fee", "block_height"},
		nullable: []string{"fee", "block_height", "prev_out"},
	}
}

// informed writes a transaction as blockchain.info does.
func informed(tx *chain.Transaction) map[string]any {
	out := func(n uint32, o *wire.TxOut) map[string]any {
		return map[string]any{"n": n, "value": o.Value, "script": hex.EncodeToString(o.PkScript)}
	}
	object := map[string]any{"hash": tx.ID.String(), "vin_sz": 1, "size": tx.Msg.SerializeSize(), "weight": 4 * tx.Msg.SerializeSize(), "fee": 1000,
		"inputs": []any{map[string]any{"prev_out": out(tx.Msg.TxIn[0].PreviousOutPoint.Index, tx.Spent[0])}}, "out": []any{out(0, tx.Msg.TxOut[0])}}
	if tx.Place != nil {
		object["block_height"] = tx.Place.Height
	}
	return object
}

func informedPage(txs ...any) string {
	return string(asJSON(map[string]any{"address": watched().Text, "n_tx": len(txs), "total_received": 5000, "total_sent": 0, "final_balance": 5000, "txs": append([]any{}, txs...)}))
}

// infoEndpoints are about a transaction in a block of one height, whose header
// is the first block's: nothing here checks that the root is of its list.
func infoEndpoints() []endpoint {
	tx := confirmed(payment(5000), 700)
	genesis := chaincfg.MainNetParams.GenesisBlock
	hash, h := genesis.BlockHash(), genesis.Header
	latest := `{"hash":"` + hash.String() + `","height":812345}`
	block := fmt.Sprintf(`{"blocks":[{"hash":"%s","height":700,"ver":1,"prev_block":"%s","mrkl_root":"%s","time":%d,"bits":%d,"nonce":%d,"n_tx":1,"tx":[{"hash":"%s"}]}]}`,
		hash, h.PrevBlock, h.MerkleRoot, h.Timestamp.Unix(), h.Bits, h.Nonce, tx.ID)
	bytes := hex.EncodeToString(rawOf(tx.Msg))
	object, open := string(asJSON(informed(tx))), string(asJSON(informed(payment(5000))))
	transaction := func(ctx context.Context, e *Explorer) (any, error) { return e.Transactions.Transaction(ctx, tx.ID) }
	return []endpoint{
		{name: "Tip", good: latest, json: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.Tip(ctx) }},
		{name: "BlockHash", before: []string{latest}, good: block, json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.BlockHash(ctx, 700) }},
		{name: "Block", good: hex.EncodeToString(rawOf(genesis)), absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Blocks.Block(ctx, hash) }},
		{name: "Counters", good: informedPage(informed(tx)), json: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Addresses.Counters(ctx, watched()) }},
		{name: "History", good: informedPage(informed(confirmed(payment(5000), 700))), after: []string{block, bytes}, json: true, none: informedPage(), ask: firstPage},
		{name: "Mempool", good: informedPage(informed(payment(5000))), after: []string{bytes}, json: true, none: informedPage(), ask: mempoolOf},
		{name: "Transaction", good: open, after: []string{bytes}, json: true, absent: true, ask: transaction},
		{name: "Transaction's bytes", before: []string{open}, good: bytes, absent: true, ask: transaction},
		{name: "Transaction's block", before: []string{object, bytes}, good: block, json: true, absent: true, ask: transaction},
	}
}
