package explorer

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// cypherBytes makes the bytes of the transactions that BlockCypher recorded in
// full; by txid, in hexadecimal. That explorer shares nothing with the one here.
func cypherBytes(t *testing.T) map[string]string {
	t.Helper()
	type recordedTx struct {
		Hash     string
		Size     int
		Ver      int32
		LockTime uint32 `json:"lock_time"`
		Inputs   []struct {
			PrevHash    string `json:"prev_hash"`
			OutputIndex uint32 `json:"output_index"`
			Script      string
			Sequence    uint32
			Witness     []string
		}
		Outputs []struct {
			Value  int64
			Script string
		}
	}
	all := map[string]string{}
	files := must(filepath.Glob(recorded.Path(t, "recorded", "blockcypher", "*.json")))
	for _, file := range files {
		var one recordedTx
		page := struct{ Txs []recordedTx }{}
		data := recorded.Read(t, "recorded", "blockcypher", filepath.Base(file))
		if err := json.Unmarshal(data, &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Txs) == 0 {
			if err := json.Unmarshal(data, &one); err != nil {
				t.Fatal(err)
			}
			page.Txs = append(page.Txs, one)
		}
		for _, tx := range page.Txs {
			msg := wire.NewMsgTx(tx.Ver)
			msg.LockTime = tx.LockTime
			for _, in := range tx.Inputs {
				var witness wire.TxWitness
				for _, item := range in.Witness {
					witness = append(witness, unhex(item))
				}
				msg.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: txid(t, in.PrevHash), Index: in.OutputIndex},
					SignatureScript: unhex(in.Script), Sequence: in.Sequence, Witness: witness})
			}
			for _, out := range tx.Outputs {
				msg.AddTxOut(wire.NewTxOut(out.Value, unhex(out.Script)))
			}
			var raw bytes.Buffer
			if err := msg.Serialize(&raw); err != nil {
				t.Fatal(err)
			}
			// Else the recording is cut, or lacks the witness of a nested script.
			if msg.TxHash().String() == tx.Hash && msg.SerializeSize() == tx.Size {
				all[tx.Hash] = hex.EncodeToString(raw.Bytes())
			}
		}
	}
	return all
}

// infoObjects are the transactions in a recording of blockchain.info.
func infoObjects(t *testing.T, file string) []json.RawMessage {
	t.Helper()
	data := recorded.Read(t, "recorded", "blockchaininfo", file)
	var page struct{ Txs, Tx []json.RawMessage }
	if err := json.Unmarshal(data, &page); err != nil {
		t.Fatal(err)
	}
	if all := append(page.Txs, page.Tx...); len(all) > 0 {
		return all
	}
	if !strings.HasPrefix(file, "rawtx") {
		return nil
	}
	return []json.RawMessage{data}
}

// What blockchain.info says of a transaction and what BlockCypher says of its
// bytes are one transaction: amounts, scripts and sizes.
func TestRecordedBlockchainInfoIsProvenByTheBytesOfAnotherExplorer(t *testing.T) {
	bytes, proven, read := cypherBytes(t), 0, 0
	for _, file := range must(filepath.Glob(recorded.Path(t, "recorded", "blockchaininfo", "*.json"))) {
		for _, raw := range infoObjects(t, filepath.Base(file)) {
			stated, err := readJSON(raw, readInfoTransaction)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			read++
			body, ok := bytes[stated.id.String()]
			if !ok {
				continue
			}
			tx, err := stated.prove(body)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			var want struct{ Fee int64 }
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			fee := int64(0)
			for _, spent := range tx.Spent {
				fee += spent.Value
			}
			for _, out := range tx.Msg.TxOut {
				fee -= out.Value
			}
			if tx.ID != stated.id || fee != want.Fee {
				t.Errorf("%s: %s, fee %d, recorded %d", file, tx.ID, fee, want.Fee)
			}
			proven++
		}
	}
	if proven != 59 || read != 185 {
		t.Errorf("%d transactions read, %d proven", read, proven)
	}
}

// §4: a block's fields are its header; main_chain was false of a block that is
// on the chain.
func TestBlockchainInfoBlockOfTheChainSaysThatItIsNot(t *testing.T) {
	block := recorded.Read(t, "recorded", "blockchaininfo", "rawblock_603966_partial.json")
	mux := http.NewServeMux()
	mux.Handle("/latestblock", text(`{"hash":"%s","time":1,"block_index":700000,"height":700000,"txIndexes":[]}`, strings.Repeat("ab", 32)))
	mux.Handle("/block-height/603966", text(`{"blocks":[%s]}`, block))
	e := openedOn(t, mux, "blockchaininfo", &chaincfg.MainNetParams)
	hash, err := e.Chain.BlockHash(t.Context(), 603966)
	if err != nil || hash.String() != "0000000000000000000efcea1cc1a169955e9cf6f039ddeabfdd1da1ac6d9899" {
		t.Errorf("%s, %v", hash, err)
	}
	for name, change := range map[string][2]string{
		"another nonce":  {`"nonce": 1356485707`, `"nonce": 1356485708`},
		"another height": {`"height": 603966`, `"height": 603967`},
	} {
		changed := strings.Replace(string(block), change[0], change[1], 1)
		mux := http.NewServeMux()
		mux.Handle("/latestblock", text(`{"hash":"%s","height":700000}`, strings.Repeat("ab", 32)))
		mux.Handle("/block-height/603966", text(`{"blocks":[%s]}`, changed))
		if _, err := openedOn(t, mux, "blockchaininfo", &chaincfg.MainNetParams).Chain.BlockHash(t.Context(), 603966); !errors.Is(err, ErrLying) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// §4: a height may come with stale siblings.
func TestBlockchainInfoStaleSiblings(t *testing.T) {
	block := string(recorded.Read(t, "recorded", "blockchaininfo", "rawblock_603966_partial.json"))
	main := strings.Replace(block, `"main_chain": false`, `"main_chain": true`, 1)
	for blocks, want := range map[string]error{
		block + "," + main:  nil,
		main + "," + block:  nil,
		block + "," + block: ErrUnavailable,
		main + "," + main:   ErrUnavailable,
		"":                  ErrMalformed,
	} {
		mux := http.NewServeMux()
		mux.Handle("/latestblock", text(`{"hash":"%s","height":700000}`, strings.Repeat("ab", 32)))
		mux.Handle("/block-height/603966", text(`{"blocks":[%s]}`, blocks))
		_, err := openedOn(t, mux, "blockchaininfo", &chaincfg.MainNetParams).Chain.BlockHash(t.Context(), 603966)
		if !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// The latest block's hash costs no block; beyond it there is none.
func TestBlockchainInfoHashAtAndBeyondTheTip(t *testing.T) {
	asked := 0
	e := openedOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		text(`{"hash":"%s","height":700000}`, strings.Repeat("ab", 32))(w, r)
	}), "blockchaininfo", &chaincfg.MainNetParams)
	if hash, err := e.Chain.BlockHash(t.Context(), 700000); err != nil || hash.String() != strings.Repeat("ab", 32) {
		t.Errorf("%s, %v", hash, err)
	}
	if _, err := e.Chain.BlockHash(t.Context(), 700001); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
	if asked != 2 {
		t.Errorf("%d questions", asked)
	}
}

// §4: what does not exist is 404, as an object or as text, or 500.
func TestBlockchainInfoUnknownIs404Or500(t *testing.T) {
	for _, c := range []struct {
		code int
		body string
		want error
	}{
		{404, `{"error":"not-found-or-invalid-arg","message":"Item not found or argument invalid"}`, ErrNotFound},
		{404, `Item not found or argument invalid`, ErrNotFound},
		{500, `Transaction not found`, ErrNotFound},
		{500, `Internal server error`, ErrUnavailable},
		{500, `<html>Transaction not found</html>`, ErrUnavailable},
		{404, `<html>404 Not Found</html>`, ErrRefused},
		{400, `Invalid Bitcoin Address`, ErrRefused},
		{403, `Transaction not found`, ErrRefused},
		{429, `Transaction not found`, ErrRateLimited},
	} {
		e := openedOn(t, status(c.code, c.body), "blockchaininfo", &chaincfg.MainNetParams)
		if tx, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{1}); tx != nil || !errors.Is(err, c.want) {
			t.Errorf("%d %s: %v, want %v", c.code, c.body, err, c.want)
		}
		e = openedOn(t, status(c.code, c.body), "blockchaininfo", &chaincfg.MainNetParams)
		if _, err := e.Addresses.Counters(t.Context(), watched()); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("an address: %d %s: %v", c.code, c.body, err)
		}
	}
}

// §4: unconfirmed is a block_height that is null, absent or, of old, -1.
func TestBlockchainInfoUnconfirmedForms(t *testing.T) {
	recording := string(recorded.Read(t, "recorded", "blockchaininfo", "rawtx_eb4d2def_opreturn.json"))
	for form, want := range map[string]int64{
		`"block_height":866983`: 866983, `"block_height":null`: 0, `"block_height":-1`: 0, `"x":0`: 0, `"block_height":0`: 0,
	} {
		stated, err := readJSON([]byte(strings.Replace(recording, `"block_height":866983`, form, 1)), readInfoTransaction)
		if err != nil || stated.height != want {
			t.Errorf("%s: %+v, %v", form, stated, err)
		}
	}
	for _, form := range []string{`"block_height":-2`, `"block_height":"866983"`, `"block_height":false`, `"block_height":1e3`} {
		if _, err := readJSON([]byte(strings.Replace(recording, `"block_height":866983`, form, 1)), readInfoTransaction); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// §4: a list is cut to the outputs that pay the address; n keeps the true index.
func TestBlockchainInfoTrimmedOutputs(t *testing.T) {
	trimmed := 0
	bytes := cypherBytes(t)
	for _, raw := range infoObjects(t, "multiaddr_bc1qw508d_n100.json") {
		stated := must(readJSON(raw, readInfoTransaction))
		body, ok := bytes[stated.id.String()]
		if !ok {
			continue
		}
		tx := must(stated.prove(body))
		if len(stated.outs) == len(tx.Msg.TxOut) {
			continue
		}
		trimmed++
		for n, out := range stated.outs {
			delete(stated.outs, n)
			stated.outs[n+1] = out // under another number it is another output
			if _, err := stated.prove(body); n+1 >= int64(len(tx.Msg.TxOut)) && !errors.Is(err, ErrLying) {
				t.Errorf("%s: an output that does not exist: %v", stated.id, err)
			}
			out.Value++
			if _, err := stated.prove(body); !errors.Is(err, ErrLying) {
				t.Errorf("%s: another amount: %v", stated.id, err)
			}
			break
		}
	}
	if trimmed < 20 {
		t.Errorf("%d trimmed", trimmed)
	}
}

// What a transaction's object says must be what its bytes say.
func TestBlockchainInfoContradictions(t *testing.T) {
	const id = "eb4d2def800c4993928a6f8cc3dd350933a1fb71e6706902025f29a061e5547f"
	recording, body := string(recorded.Read(t, "recorded", "blockchaininfo", "rawtx_eb4d2def_opreturn.json")), cypherBytes(t)[id]
	for name, c := range map[string]struct {
		from, to string
		want     error
	}{
		"nothing":                     {"", "", nil},
		"another output spent":        {`"n":1,"tx_index":6296896701487409`, `"n":2,"tx_index":6296896701487409`, ErrLying},
		"less spent than paid":        {`"value":1000`, `"value":-1`, ErrMalformed},
		"more than there can be":      {`"value":1000`, `"value":2100000000000001`, ErrLying},
		"another amount paid":         {`"value":0`, `"value":1`, ErrLying},
		"another script":              {`"script":"6a0d23`, `"script":"6a0d24`, ErrLying},
		"another weight":              {`"weight":409`, `"weight":408`, ErrMalformed},
		"an amount that is no number": {`"value":1000`, `"value":1000.0`, ErrMalformed},
		"an output twice":             {`"out":[`, `"out":[{"n":0,"value":0,"script":"6a"},`, ErrMalformed},
		"a key twice":                 {`"ver":1`, `"hash":"` + id + `"`, ErrMalformed},
	} {
		stated, err := readJSON([]byte(strings.Replace(recording, c.from, c.to, 1)), readInfoTransaction)
		if err == nil {
			_, err = stated.prove(body)
		}
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// P2PK under P2PKH is a difference between kinds: 1PJJygLB… is the address of
// the key that the recorded transaction pays and spends bare. It is listed, it
// moves nothing of the address's script, and it is no lie.
func TestBareKeysAreListedUnderTheirAddress(t *testing.T) {
	a := must(chain.ParseAddress("1PJJygLB42VsaTgo2twFPgRT8CNz1bpGNE", &chaincfg.MainNetParams))
	const id = "1db6251a9afce7025a2061a19e63c700dffc3bec368bd1883decfac353357a9d"
	recording := recorded.Read(t, "recorded", "blockchaininfo", "rawtx_1db6251a_p2pk.json")
	open := strings.Replace(string(recording), `"block_height":140496`, `"block_height":null`, 1)
	mux := http.NewServeMux()
	mux.Handle("/rawaddr/", text(`{"address":"%s","n_tx":1,"total_received":25000000000,"total_sent":30000000000,"final_balance":0,"txs":[%s]}`, a.Text, open))
	mux.Handle("/rawtx/", text("%s", cypherBytes(t)[id]))
	e := openedOn(t, mux, "blockchaininfo", &chaincfg.MainNetParams)
	txs, whole, err := e.Addresses.Mempool(t.Context(), a)
	if err != nil || !whole || len(txs) != 1 {
		t.Fatal(txs, whole, err)
	}
	set := chain.NewWatched()
	set.Watch(a.Script, 1)
	if effects := set.Effects(txs[0]); len(effects) != 0 {
		t.Errorf("a bare key moves the address's script: %+v", effects)
	}
	if err := checkTouches(txs[0], a); !errors.Is(err, ErrLying) {
		t.Errorf("an Esplora that lists it under the address: %v", err)
	}
	if err := checkMentions(txs[0], chain.Address{Text: a.Text, Script: a.Script}); err != nil {
		t.Errorf("asked by the script, without a kind: %v", err)
	}
	if err := checkMentions(txs[0], watched()); !errors.Is(err, ErrLying) {
		t.Errorf("under an address of another key: %v", err)
	}
}

// The same transaction as Blockbook would show it: input and output under the
// key's address. The input shows no key, so that no script is concluded.
func TestBlockbookShowsABareKeyAsItsAddress(t *testing.T) {
	const id = "1db6251a9afce7025a2061a19e63c700dffc3bec368bd1883decfac353357a9d"
	body := cypherBytes(t)[id]
	msg := must(readRaw(body))
	stated := fmt.Sprintf(`{"txid":"%s","version":1,"vin":[{"txid":"%s","vout":1,"sequence":4294967295,"n":0,"addresses":["1PJJygLB42VsaTgo2twFPgRT8CNz1bpGNE"],"isAddress":true,"value":"30000000000"}],
		"vout":[{"value":"5000000000","n":0,"hex":"%x","addresses":["15WvMGm9qG1wDb54TMcvgzZsfvz9KdxzoN"],"isAddress":true},
		{"value":"25000000000","n":1,"hex":"%x","addresses":["1PJJygLB42VsaTgo2twFPgRT8CNz1bpGNE"],"isAddress":true}],"blockHeight":-1,"confirmations":0,"hex":"%s"}`,
		id, msg.TxIn[0].PreviousOutPoint.Hash, msg.TxOut[0].PkScript, msg.TxOut[1].PkScript, body)
	e := openedOn(t, text("%s", stated), "blockbook", &chaincfg.MainNetParams)
	tx, err := e.Transactions.Transaction(t.Context(), txid(t, id))
	if err != nil || tx.Spent[0] != nil {
		t.Errorf("%+v, %v", tx, err)
	}
	a := must(chain.ParseAddress("1PJJygLB42VsaTgo2twFPgRT8CNz1bpGNE", &chaincfg.MainNetParams))
	if err := checkMentions(tx, a); err != nil {
		t.Error(err)
	}
}
