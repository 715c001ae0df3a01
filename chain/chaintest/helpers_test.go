package chaintest

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// browser asks a served Esplora.
type browser struct {
	*testing.T
	url string
}

func serve(t *testing.T, e *Esplora) browser {
	t.Helper()
	url, stop := e.Serve()
	t.Cleanup(stop)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return browser{t, url}
}

func (b browser) get(path string) (int, string) {
	b.Helper()
	resp, err := http.Get(b.url + path)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (b browser) want(path string, status int, body string) {
	b.Helper()
	if gotStatus, got := b.get(path); gotStatus != status || got != body {
		b.Errorf("%s: got %d %s, want %d %s", path, gotStatus, got, status, body)
	}
}

func (b browser) ok(path string) []byte {
	b.Helper()
	status, body := b.get(path)
	if status != http.StatusOK {
		b.Fatalf("%s: %d %s", path, status, body)
	}
	return []byte(body)
}

// seen is what a test looks at in a list of transactions.
type seen struct {
	TxID   chainhash.Hash
	Fee    int64
	Vin    []struct{ Prevout *struct{ Value int64 } }
	Status struct {
		Confirmed bool
		Height    int32          `json:"block_height"`
		Hash      chainhash.Hash `json:"block_hash"`
	}
}

func (b browser) txs(path string) []seen {
	b.Helper()
	var list []seen
	if err := json.Unmarshal(b.ok(path), &list); err != nil {
		b.Fatal(err)
	}
	return list
}

// stats are the ten counters of an address: chain, then mempool.
func (b browser) stats(address string) [2][5]int64 {
	b.Helper()
	type five struct {
		FundedTxoCount int64 `json:"funded_txo_count"`
		FundedTxoSum   int64 `json:"funded_txo_sum"`
		SpentTxoCount  int64 `json:"spent_txo_count"`
		SpentTxoSum    int64 `json:"spent_txo_sum"`
		TxCount        int64 `json:"tx_count"`
	}
	var s struct {
		Chain   five `json:"chain_stats"`
		Mempool five `json:"mempool_stats"`
	}
	if err := json.Unmarshal(b.ok("/address/"+address), &s); err != nil {
		b.Fatal(err)
	}
	list := func(f five) [5]int64 {
		return [5]int64{f.FundedTxoCount, f.FundedTxoSum, f.SpentTxoCount, f.SpentTxoSum, f.TxCount}
	}
	return [2][5]int64{list(s.Chain), list(s.Mempool)}
}

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

func idsOf(list []seen) []chainhash.Hash {
	ids := []chainhash.Hash{}
	for _, tx := range list {
		ids = append(ids, tx.TxID)
	}
	return ids
}

func ids(txs ...*wire.MsgTx) []chainhash.Hash {
	ids := []chainhash.Hash{}
	for _, tx := range txs {
		ids = append(ids, tx.TxHash())
	}
	return ids
}

// funded is a chain with a wallet that can pay.
func funded(t testing.TB) (*Chain, *Wallet) {
	t.Helper()
	c := NewChain()
	c.MineEmpty(120)
	return c, NewWallet(c, "")
}

var kinds = []chain.Kind{chain.P2PKH, chain.P2SH, chain.P2WPKH, chain.P2WSH, chain.P2TR}
