package chaintest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain/chaintest/recorded"
)

// recordedBook is what a Blockbook recording says of a transaction, as far as
// it takes to build it again.
type recordedBook struct {
	TxID        string
	Hex         string
	BlockHash   string
	BlockHeight int32
	BlockTime   int64
	Vin         []struct {
		Value     string
		Addresses []string
	}
}

func (r recordedBook) rebuild(t *testing.T, params *chaincfg.Params) *entry {
	t.Helper()
	tx := wire.NewMsgTx(0)
	if err := tx.Deserialize(bytes.NewReader(unhex(t, r.Hex))); err != nil {
		t.Fatal(err)
	}
	e := &entry{tx: tx, id: tx.TxHash()}
	for _, in := range r.Vin {
		value, err := strconv.ParseInt(in.Value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		script, err := addressScript(in.Addresses[0], params)
		if err != nil {
			t.Fatal(err)
		}
		e.spent = append(e.spent, wire.NewTxOut(value, script))
	}
	if r.BlockHeight > 0 {
		e.block = &indexedBlock{hash: hash(t, r.BlockHash), height: r.BlockHeight, msg: &wire.MsgBlock{Header: wire.BlockHeader{Timestamp: time.Unix(r.BlockTime, 0)}}}
	}
	return e
}

// Real servers' transactions must come out as they were recorded, but for what
// changes with time and for what another transaction spends.
func TestBlockbookTransactionsRenderAsRecorded(t *testing.T) {
	count := 0
	for _, c := range []struct {
		pattern string
		params  *chaincfg.Params
	}{
		{"recorded/regtest/s*/blockbook_*.json", &chaincfg.RegressionNetParams},
		{"recorded/blockbook/tx_*.json", &chaincfg.MainNetParams},
	} {
		files, err := filepath.Glob(recorded.Path(t, c.pattern))
		if err != nil {
			t.Fatal(err)
		}
		b := NewBlockbook(NewChain(), c.params)
		for _, file := range files {
			for _, want := range bookTxs(t, file) {
				var tx recordedBook
				remarshal(t, want, &tx)
				var got map[string]any
				remarshal(t, b.render(tx.rebuild(t, c.params), false), &got)
				stripBook(want, got)
				if !reflect.DeepEqual(got, want) {
					t.Errorf("%s, %s:\n got %s\nwant %s", file, tx.TxID, encode(t, got), encode(t, want))
				}
				count++
			}
		}
	}
	if count < 20 {
		t.Errorf("%d transactions", count)
	}
}

func bookTxs(t *testing.T, file string) []map[string]any {
	t.Helper()
	rel, _ := filepath.Rel(recorded.Path(t), file)
	var one map[string]any
	if json.Unmarshal(recorded.Read(t, rel), &one) != nil {
		return nil // a list of outputs
	}
	list, _ := one["transactions"].([]any)
	if one["vout"] != nil {
		list = []any{one}
	}
	var txs []map[string]any
	for _, item := range list {
		txs = append(txs, item.(map[string]any))
	}
	return txs
}

func stripBook(want, got map[string]any) {
	passing := []string{"confirmations", "confirmationETABlocks", "confirmationETASeconds", "coinSpecificData", "rbf", "size", "vsize"}
	for _, tx := range []map[string]any{want, got} {
		unconfirmed := tx["blockHash"] == nil
		maps.DeleteFunc(tx, func(key string, _ any) bool {
			return slices.Contains(passing, key) || unconfirmed && key == "blockTime"
		})
		for _, side := range []string{"vin", "vout"} {
			for _, item := range tx[side].([]any) {
				maps.DeleteFunc(item.(map[string]any), func(key string, _ any) bool {
					return key == "isOwn" || strings.HasPrefix(key, "spent")
				})
			}
		}
	}
}

// The other answers have the keys and types that were recorded.
func TestBlockbookAnswersHaveTheRecordedShape(t *testing.T) {
	ledger := NewChain()
	ledger.MineEmpty(110)
	a := MiningAddress("")
	b := NewBlockbook(ledger, ledger.Params())
	ask := func(path string) []byte {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Body.Bytes()
	}
	wantShape(t, "status", ask("/api/v2"), recorded.Read(t, "recorded", "regtest", "s3-confirmed", "blockbook_status.json"))
	wantShape(t, "page", ask("/api/v2/address/"+a.Text+"?page=2&pageSize=25&details=txids"), recorded.Read(t, "recorded", "regtest", "paging", "blockbook_p2.json"))
	wantShape(t, "basic", ask("/api/v2/address/"+a.Text+"?details=basic"), recorded.Read(t, "recorded", "regtest", "s3-confirmed", "blockbook_address_basic.json"))
	wantShape(t, "bad address", ask("/api/v2/address/x"), recorded.Read(t, "recorded", "regtest", "errors", "blockbook_badaddr"))
	unused := "bcrt1qd6ymjn33ls29fxkz6emmlvw4letekxp94ad0ek"
	wantShape(t, "empty", ask("/api/v2/address/"+unused+"?details=txs"), recorded.Read(t, "recorded", "regtest", "s0-empty", "blockbook_address_txs.json"))
	unknown := hex.EncodeToString(make([]byte, 32))
	if got, want := string(ask("/api/v2/tx/"+unknown)), `{"error":"Transaction '`+unknown+`' not found"}`; got != want {
		t.Errorf("unknown transaction: %s", got)
	}
}
