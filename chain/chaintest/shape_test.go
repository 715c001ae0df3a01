package chaintest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain/chaintest/recorded"
)

// recordedTx is what a recording says of a transaction, as far as it takes to
// build it again.
type recordedTx struct {
	TxID     string
	Version  uint32
	Locktime uint32
	Vin      []struct {
		TxID      string
		Vout      uint32
		Prevout   *recordedOut
		ScriptSig string
		Witness   []string
		Sequence  uint32
	}
	Vout   []recordedOut
	Status struct {
		Confirmed bool
		Height    int32  `json:"block_height"`
		Hash      string `json:"block_hash"`
		Time      int64  `json:"block_time"`
	}
}

type recordedOut struct {
	ScriptPubKey string
	Value        int64
}

// rebuild makes the index entry that should render as the recording.
func (r recordedTx) rebuild(t *testing.T) *entry {
	t.Helper()
	tx := wire.NewMsgTx(int32(r.Version))
	tx.LockTime = r.Locktime
	var spent []*wire.TxOut
	for _, in := range r.Vin {
		var witness wire.TxWitness
		for _, item := range in.Witness {
			witness = append(witness, unhex(t, item))
		}
		tx.AddTxIn(&wire.TxIn{
			PreviousOutPoint: wire.OutPoint{Hash: hash(t, in.TxID), Index: in.Vout},
			SignatureScript:  unhex(t, in.ScriptSig), Witness: witness, Sequence: in.Sequence,
		})
		var out *wire.TxOut
		if in.Prevout != nil {
			out = wire.NewTxOut(in.Prevout.Value, unhex(t, in.Prevout.ScriptPubKey))
		}
		spent = append(spent, out)
	}
	for _, out := range r.Vout {
		tx.AddTxOut(wire.NewTxOut(out.Value, unhex(t, out.ScriptPubKey)))
	}
	e := &entry{tx: tx, id: tx.TxHash(), spent: spent}
	if e.id.String() != r.TxID {
		t.Fatalf("the recording of %s does not rebuild it: %s", r.TxID, e.id)
	}
	if s := r.Status; s.Confirmed {
		e.block = &indexedBlock{status: renderStatus(s.Height, hash(t, s.Hash), time.Unix(s.Time, 0))}
	}
	return e
}

// Real servers' transactions must come out as they were recorded: every key,
// type and value, of every kind of script.
func TestTransactionsRenderAsRecorded(t *testing.T) {
	regtest, err := filepath.Glob(recorded.Path(t, "recorded", "regtest", "s*", "electrs_*tx*.json"))
	if err != nil || len(regtest) < 20 {
		t.Fatalf("%d recordings: %v", len(regtest), err)
	}
	paging, _ := filepath.Glob(recorded.Path(t, "recorded", "regtest", "paging", "electrs_*.json"))
	for _, c := range []struct {
		params *chaincfg.Params
		sigops bool
		files  []string
	}{
		{&chaincfg.RegressionNetParams, true, append(regtest, paging...)},
		{&chaincfg.MainNetParams, false, []string{
			recorded.Path(t, "recorded/esplora/address_txs_breez_5e0668bf.json"),
			recorded.Path(t, "recorded/esplora/address_txs_breez_a418e856.json"),
			recorded.Path(t, "recorded/esplora/tx_00000a2d_p2tr_keypath_with_hex.json"),
		}},
		{&chaincfg.MainNetParams, true, []string{
			recorded.Path(t, "recorded/mempool/tx_b6a53d8a_unconfirmed.json"),
			recorded.Path(t, "recorded/mempool/txs_random_mixed.json"),
			recorded.Path(t, "recorded/mempool/txs_rbf_replaced.json"),
			recorded.Path(t, "recorded/mempool/txs_rbf_replacements.json"),
		}},
	} {
		r := &renderer{params: c.params, asm: newAssembler(), sigops: c.sigops}
		for _, file := range c.files {
			t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
				for _, want := range recordedTxs(t, file) {
					var tx recordedTx
					remarshal(t, want, &tx)
					var got map[string]any
					decode(t, r.transaction(nil, tx.rebuild(t)), &got)
					strip(want, got)
					if !reflect.DeepEqual(got, want) {
						t.Errorf("%s:\n got %s\nwant %s", tx.TxID, encode(t, got), encode(t, want))
					}
				}
			})
		}
	}
}

// The order of the keys and the lack of blanks are electrs' own too.
func TestTransactionsRenderByteForByte(t *testing.T) {
	r := &renderer{params: &chaincfg.RegressionNetParams, asm: newAssembler(), sigops: true}
	for _, step := range []string{"s1-unconfirmed", "s2-replaced-new", "s3-confirmed", "s7-reconfirmed"} {
		want := recorded.Read(t, "recorded", "regtest", step, "electrs_tx.json")
		var tx recordedTx
		decode(t, want, &tx)
		if got := r.transaction(nil, tx.rebuild(t)); string(got) != string(want) {
			t.Errorf("%s:\n got %s\nwant %s", step, got, want)
		}
	}
}

// strip takes out what the recorders added to Esplora's transactions: the
// mempool backend's fields, its empty inner scripts and the author's hex.
func strip(want, got map[string]any) {
	esplora := []string{"txid", "version", "locktime", "vin", "vout", "size", "weight", "sigops", "fee", "status"}
	maps.DeleteFunc(want, func(key string, _ any) bool { return !slices.Contains(esplora, key) })
	if _, recorded := want["sigops"]; !recorded {
		delete(got, "sigops")
	}
	for _, side := range []map[string]any{want, got} {
		for _, in := range side["vin"].([]any) {
			maps.DeleteFunc(in.(map[string]any), func(key string, v any) bool {
				return strings.HasPrefix(key, "inner_") && v == ""
			})
		}
	}
}

// recordedTxs reads a file that holds a transaction or a list of them; other
// answers (status, outspends, an error's text) hold none.
func recordedTxs(t *testing.T, file string) []map[string]any {
	t.Helper()
	rel, _ := filepath.Rel(recorded.Path(t), file)
	data := recorded.Read(t, rel)
	var list []map[string]any
	if json.Unmarshal(data, &list) != nil {
		var one map[string]any
		if json.Unmarshal(data, &one) != nil {
			return nil
		}
		list = []map[string]any{one}
	}
	var txs []map[string]any
	for _, item := range list {
		if _, ok := item["vout"].([]any); ok {
			txs = append(txs, item)
		}
	}
	return txs
}

// shape gives the JSON types by path; the items of a list are one path. An
// absent key has no path.
func shape(v any) map[string]string {
	found := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			found[at] = "object"
			for key, item := range v {
				walk(at+"."+key, item)
			}
		case []any:
			found[at] = "list"
			for _, item := range v {
				walk(at+"[]", item)
			}
		default:
			found[at] = fmt.Sprintf("%T", v)
		}
	}
	walk("", v)
	return found
}

func wantShape(t *testing.T, what string, got, want []byte) {
	t.Helper()
	var g, w any
	decode(t, got, &g)
	decode(t, want, &w)
	if gs, ws := shape(g), shape(w); !reflect.DeepEqual(gs, ws) {
		t.Errorf("%s:\n got %v\nwant %v", what, gs, ws)
	}
}

func remarshal(t *testing.T, from, to any) {
	t.Helper()
	decode(t, encode(t, from), to)
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func hash(t *testing.T, text string) chainhash.Hash {
	t.Helper()
	h, err := chainhash.NewHashFromStr(text)
	if err != nil {
		t.Fatal(err)
	}
	return *h
}
