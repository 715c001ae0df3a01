package explorer

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

func blockbookSubject() subject {
	return subject{kind: "blockbook", can: "Chain Blocks Headers Addresses Transactions Spends Prices", endpoints: bookEndpoints,
		bareKeys: true, lightSpends: true, oneHeader: true,
		serve: func(t *testing.T, s *scene, w *badWire) Settings {
			server := chaintest.NewBlockbook(s.chain, s.chain.Params())
			server.Prices = scenePrices()
			return Settings{Kind: "blockbook", URL: overHTTP(t, w, server) + "/api/v2"}
		},
		notFound: []http.HandlerFunc{
			status(400, `{"error":"Block not found"}`+"\n", "Content-Type", "application/json"),
			status(400, `{"error":"Transaction '`+payment(5000).ID.String()+`' not found"}`, "Content-Type", "application/json"),
		},
		optional: []string{"chain", "blocks", "bestBlockHash", "initialSync", "n", "size", "fees", "isAddress", "addresses", "totalPages", "unconfirmedBalance", "vin.value"},
		nullable: []string{"n", "fees", "addresses", "totalPages", "vout.isAddress"},
		zero:     []string{"vin.txid", "vin.vout", "vout.hex"},
	}
}

// booked writes a transaction as a Blockbook does.
func booked(tx *chain.Transaction) map[string]any {
	in, out := tx.Msg.TxIn[0], tx.Msg.TxOut[0]
	object := map[string]any{"txid": tx.ID.String(), "hex": hex.EncodeToString(rawOf(tx.Msg)), "size": tx.Msg.SerializeSize(), "fees": "1000",
		"vin":  []any{map[string]any{"n": 0, "txid": in.PreviousOutPoint.Hash.String(), "vout": in.PreviousOutPoint.Index, "value": fmt.Sprint(tx.Spent[0].Value), "addresses": nil, "isAddress": false}},
		"vout": []any{map[string]any{"n": 0, "value": fmt.Sprint(out.Value), "hex": hex.EncodeToString(out.PkScript), "addresses": []string{watched().Text}, "isAddress": true}},
	}
	if tx.Place != nil {
		object["blockHash"], object["blockHeight"], object["blockTime"] = tx.Place.Block.String(), tx.Place.Height, tx.Place.Time.Unix()
	}
	return object
}

func bookedPage(confirmed, unconfirmed int, rest map[string]any) string {
	page := map[string]any{"page": 1, "totalPages": 1, "itemsOnPage": 50, "address": watched().Text, "balance": "5000", "totalReceived": "5000", "totalSent": "0",
		"unconfirmedBalance": "0", "unconfirmedTxs": unconfirmed, "txs": confirmed}
	for key, value := range rest {
		page[key] = value
	}
	return string(asJSON(page))
}

func bookEndpoints() []endpoint {
	tx := confirmed(payment(5000), 700)
	genesis := chaincfg.MainNetParams.GenesisBlock
	hash := genesis.BlockHash()
	state := `{"blockbook":{"inSync":true,"initialSync":false,"bestHeight":812345},"backend":{"chain":"main","blocks":812345,"bestBlockHash":"` + hash.String() + `"}}`
	block := fmt.Sprintf(`{"version":1,"time":%d,"merkleRoot":"%s","nonce":"%d","bits":"%08x"}`, genesis.Header.Timestamp.Unix(), genesis.Header.MerkleRoot, genesis.Header.Nonce, genesis.Header.Bits)
	bytes := fmt.Sprintf(`{"hex":"%x"}`, rawOf(tx.Msg))
	noBytes := booked(tx)
	delete(noBytes, "hex")
	return []endpoint{
		{name: "Tip", good: state, json: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.Tip(ctx) }},
		{name: "BlockHash", good: `{"blockHash":"` + hash.String() + `"}`, json: true, absent: true, empty: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.BlockHash(ctx, 0) }},
		{name: "Block", good: fmt.Sprintf(`{"hex":"%x"}`, rawOf(genesis)), json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Blocks.Block(ctx, hash) }},
		{name: "Headers", good: block, json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Headers.Headers(ctx, 0, hash) }},
		{name: "Counters", good: bookedPage(1, 0, map[string]any{"txids": []string{tx.ID.String()}}), json: true,
			ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Addresses.Counters(ctx, watched()) }},
		{name: "History", before: []string{state}, good: bookedPage(1, 0, map[string]any{"transactions": []any{booked(tx)}}), json: true, none: bookedPage(0, 0, nil), ask: firstPage},
		{name: "Mempool", good: bookedPage(0, 1, map[string]any{"transactions": []any{booked(payment(5000))}}), json: true, none: bookedPage(0, 0, nil), ask: mempoolOf},
		{name: "Transaction", good: string(asJSON(booked(tx))), json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Transactions.Transaction(ctx, tx.ID) }},
		{name: "Transaction's bytes", before: []string{string(asJSON(noBytes))}, good: bytes, json: true, absent: true,
			ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Transactions.Transaction(ctx, tx.ID) }},
		{name: "Spends", good: string(asJSON(booked(tx))), json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Spends.Spends(ctx, tx.ID) }},
		{name: "Price", good: `{"ts":1700000000,"rates":{"eur":34567}}`, json: true, ask: priceAt(time.Time{})},
		{name: "Price of then", good: `{"ts":1500000000,"rates":{"eur":1964}}`, json: true, ask: priceAt(time.Unix(1_499_999_000, 0))},
	}
}

func mempoolOf(ctx context.Context, e *Explorer) (any, error) {
	txs, complete, err := e.Addresses.Mempool(ctx, watched())
	if err != nil && complete {
		return "complete", err
	}
	return txs, err
}
