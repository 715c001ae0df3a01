package chaintest

import (
	"net/http/httptest"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// Transactions and blocks have the keys and types that were recorded.
func TestBlockchainInfoAnswersHaveTheRecordedShape(t *testing.T) {
	ledger := NewChain()
	ledger.MineEmpty(110)
	wallet := NewWallet(ledger, "")
	a := wallet.Address(chain.P2WPKH, 1)
	paid, err := wallet.Send(t.Context(), Payment{Outputs: []Output{{Script: a.Script, Value: 90_000}}})
	if err != nil {
		t.Fatal(err)
	}
	block := ledger.MineMempool()
	spending, err := wallet.Send(t.Context(), Payment{Spend: []wire.OutPoint{{Hash: paid.TxHash()}, {Hash: paid.TxHash(), Index: 1}}, Outputs: []Output{{Script: a.Script, Value: 50_000}}})
	if err != nil {
		t.Fatal(err)
	}
	ledger.MineMempool()
	b := NewBlockchainInfo(ledger, ledger.Params())
	ask := func(path string) []byte {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w.Body.Bytes()
	}
	// Both outputs of the first are spent, as all those of the recording are.
	wantShape(t, "transaction", ask("/rawtx/"+paid.TxHash().String()), recorded.Read(t, "recorded", "blockchaininfo", "rawtx_450c309b.json"))
	wantShape(t, "block", withoutList(t, ask("/rawblock/"+block.BlockHash().String())), withoutList(t, recorded.Read(t, "recorded", "blockchaininfo", "rawblock_603966_partial.json")))
	if len(spending.TxIn) != 2 {
		t.Fatal("the second payment spends something else")
	}
}

// withoutList takes the transactions out of a block.
func withoutList(t *testing.T, body []byte) []byte {
	t.Helper()
	var block map[string]any
	decode(t, body, &block)
	delete(block, "tx")
	return encode(t, block)
}
