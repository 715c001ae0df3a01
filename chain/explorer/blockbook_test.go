package explorer

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

func ofBlockbook(params *chaincfg.Params) func(t *testing.T, handler http.Handler) *Explorer {
	return func(t *testing.T, handler http.Handler) *Explorer {
		return openedOn(t, handler, "blockbook", params)
	}
}

// Every recorded Blockbook transaction decodes: its txid recomputed from its
// bytes, its fields those of the bytes.
func TestEveryRecordedBlockbookTransactionIsProvenByItsBytes(t *testing.T) {
	count := 0
	for _, pattern := range []string{"blockbook/tx_*.json", "regtest/*/blockbook_*.json"} {
		files, err := filepath.Glob(recorded.Path(t, "recorded", pattern))
		if err != nil {
			t.Fatal(err)
		}
		params := &chaincfg.MainNetParams
		if strings.HasPrefix(pattern, "regtest") {
			params = &chaincfg.RegressionNetParams
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, raw := range recordedTransactions(data) {
				if !strings.Contains(string(raw), `"isAddress"`) {
					continue // coinSpecificData: the node's own words
				}
				got, err := readJSON(raw, func(r *jsonReader) *bookTransaction { return readBookTransaction(r, params) })
				if err != nil || got.tx == nil {
					t.Errorf("%s: %v", file, err)
					continue
				}
				checkAgainstBook(t, got.tx, raw)
				count++
			}
		}
	}
	if count != 23 {
		t.Errorf("%d transactions", count)
	}
}

// checkAgainstBook holds a decoded transaction against what encoding/json reads
// in the same place.
func checkAgainstBook(t *testing.T, tx *chain.Transaction, raw json.RawMessage) {
	t.Helper()
	var want struct {
		TxID        string
		Fees        string
		BlockHeight int32
		BlockHash   string
		BlockTime   int64
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	var fee int64
	for i, spent := range tx.Spent {
		if spent == nil {
			t.Errorf("%s: input %d has no previous output, though recorded", want.TxID, i)
			return
		}
		fee += spent.Value
	}
	for _, out := range tx.Msg.TxOut {
		fee -= out.Value
	}
	if tx.ID.String() != want.TxID || strconv.FormatInt(fee, 10) != want.Fees {
		t.Errorf("%s: txid %s, fee %d, recorded %s", want.TxID, tx.ID, fee, want.Fees)
	}
	switch {
	case want.BlockHeight == -1 && tx.Place != nil:
		t.Errorf("%s: unconfirmed, at %v", want.TxID, tx.Place)
	case want.BlockHeight > 0 && (tx.Place == nil || tx.Place.Height != want.BlockHeight || tx.Place.Block.String() != want.BlockHash || tx.Place.Time.Unix() != want.BlockTime):
		t.Errorf("%s: at %v", want.TxID, tx.Place)
	}
}

// bookStep serves the recorded answers of Blockbook at one step.
func bookStep(t *testing.T, folder string) http.Handler {
	t.Helper()
	statuses := string(recorded.Read(t, "recorded", "regtest", folder, "_status"))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := "blockbook_tx.json"
		switch {
		case r.URL.Path == "/api/v2":
			file = "blockbook_status.json"
		case strings.HasPrefix(r.URL.Path, "/api/v2/address/") && r.URL.Query().Get("details") == "txids":
			file = "blockbook_address_basic.json"
		case strings.HasPrefix(r.URL.Path, "/api/v2/address/"):
			file = "blockbook_address_txs.json"
		}
		if strings.Contains(statuses, "400 "+file) {
			w.WriteHeader(http.StatusBadRequest)
		}
		body := recorded.Read(t, "recorded", "regtest", folder, file)
		if file == "blockbook_address_basic.json" { // lists of ids were not recorded: those of the transactions
			ids := `{"page":1,"itemsOnPage":25,`
			for _, tx := range recordedTransactions(recorded.Read(t, "recorded", "regtest", folder, "blockbook_address_txs.json")) {
				var id struct{ TxID string }
				if json.Unmarshal(tx, &id) == nil && strings.Contains(string(tx), `"isAddress"`) {
					ids = strings.Replace(ids+`"txids":["`+id.TxID+`"],`, `],"txids":[`, ",", 1)
				}
			}
			body = []byte(strings.Replace(string(body), "{", ids, 1))
		}
		w.Write(body)
	})
}

// The scenario's own log, scenario.txt, says what happened; the answers of
// Blockbook must tell the same through the adapter.
func TestRecordedScenarioOfBlockbook(t *testing.T) {
	const t1, t2, t3 = "16f705e36c6814011469f8f7bb66b57f953eccbdc609733d2deaa760406d5197",
		"76f7d5834e4fc90966fcdd3758b3f5044c58841d9151711c2fc40d2bf179de59", "ce008f18f4658b64008dd85751c5410c5688a5c9681594a7611757522d4f9383"
	for _, c := range []struct {
		folder  string
		mempool []string
		known   string // a transaction that is there, at the height
		height  int32
		gone    string // one that is not
		history int
		tip     int32
	}{
		{folder: "s0-empty", tip: 113},
		{folder: "s1-unconfirmed", mempool: []string{t1}, known: t1, tip: 113},
		{folder: "s2-replaced-new", mempool: []string{t2}, known: t2, tip: 113},
		{folder: "s2-replaced-old", mempool: []string{t2}, gone: t1, tip: 113},
		{folder: "s3-confirmed", known: t2, height: 114, history: 1, tip: 114},
		{folder: "s4-second-unconfirmed", mempool: []string{t3}, known: t3, history: 1, tip: 114},
		{folder: "s5-doublespent-away", gone: t3, history: 1, tip: 114},
		{folder: "s6-reorged", mempool: []string{t2}, known: t2, tip: 115},
		{folder: "s7-reconfirmed", known: t2, height: 116, history: 1, tip: 116},
		{folder: "s8-after-restart", known: t2, height: 116, history: 2, tip: 122},
	} {
		t.Run(c.folder, func(t *testing.T) {
			e := ofBlockbook(&chaincfg.RegressionNetParams)(t, bookStep(t, c.folder))
			if tip, err := e.Chain.Tip(t.Context()); err != nil || tip != c.tip {
				t.Errorf("tip: %d, %v; want %d", tip, err, c.tip)
			}
			txs, complete, err := e.Addresses.Mempool(t.Context(), regtestAddress())
			if err != nil || !complete || len(txs) != len(c.mempool) {
				t.Fatalf("mempool: %d transactions, complete %v, %v; want %d", len(txs), complete, err, len(c.mempool))
			}
			for i, tx := range txs {
				if tx.ID.String() != c.mempool[i] || tx.Place != nil {
					t.Errorf("mempool: %s at %v, want %s", tx.ID, tx.Place, c.mempool[i])
				}
			}
			counters, err := e.Addresses.Counters(t.Context(), regtestAddress())
			if err != nil || counters.Unconfirmed != int64(len(c.mempool)) || counters.Transactions != int64(c.history) {
				t.Errorf("counters: %+v, %v; want %d confirmed, %d not", counters, err, c.history, len(c.mempool))
			}
			if len(c.mempool) == 0 { // with a height, which was not recorded, unconfirmed ones do not come
				n := 0
				for page, err := range e.Addresses.History(t.Context(), regtestAddress()) {
					if n += len(page); err != nil {
						t.Errorf("history: %v", err)
					}
				}
				if n != c.history {
					t.Errorf("history: %d transactions, want %d", n, c.history)
				}
			}
			if c.known != "" {
				tx, err := e.Transactions.Transaction(t.Context(), txid(t, c.known))
				if err != nil || (tx.Place == nil) != (c.height == 0) || tx.Place != nil && tx.Place.Height != c.height {
					t.Errorf("%+v, %v; want height %d", tx, err, c.height)
				}
			}
			if c.gone != "" {
				tx, err := e.Transactions.Transaction(t.Context(), txid(t, c.gone))
				if tx != nil || !errors.Is(err, ErrNotFound) {
					t.Errorf("a replaced transaction: %v, %v", tx, err)
				}
				if spends, err := e.Spends.Spends(t.Context(), txid(t, c.gone)); spends != nil || !errors.Is(err, ErrNotFound) {
					t.Errorf("its spends: %v, %v", spends, err)
				}
			}
		})
	}
}

// spentTxId and spentHeight of the recording; spentIndex is left out where it
// is 0.
func TestBlockbookSpendsKnowHeightOnly(t *testing.T) {
	e := ofBlockbook(&chaincfg.RegressionNetParams)(t, bookStep(t, "s8-after-restart"))
	id := txid(t, "76f7d5834e4fc90966fcdd3758b3f5044c58841d9151711c2fc40d2bf179de59")
	spends, err := e.Spends.Spends(t.Context(), id)
	if err != nil || len(spends) != 2 {
		t.Fatal(spends, err)
	}
	for i, want := range []string{"135b3a702c577b9726062810fdaf8d1f62ef6b02ddc663b40d034f7025bf6cef 0 117", "70fc53e2cd6ff5a7046078a40012decd32ef845ba57e97a7e832b78e2aed8078 0 116"} {
		if got := fmt.Sprint(spends[i].TxID, spends[i].Input, spends[i].Place.Height); got != strings.Replace(want, " ", "", 1) && got != want {
			t.Errorf("output %d: %s, want %s", i, got, want)
		}
	}
}

// regtest/README.md, 10: a Blockbook of another network answers for the
// namesake of an address.
func TestBlockbookAnswersForAnAddressOfAnotherNetwork(t *testing.T) {
	e := ofBlockbook(&chaincfg.MainNetParams)(t, text("%s", recorded.Read(t, "recorded", "regtest", "errors", "blockbook_mainnet")))
	a := must(chain.ParseAddress("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", &chaincfg.MainNetParams))
	if _, err := e.Addresses.Counters(t.Context(), a); !errors.Is(err, ErrLying) || !strings.Contains(err.Error(), "about another address") {
		t.Errorf("%v", err)
	}
	state := recorded.Read(t, "recorded", "regtest", "s0-empty", "blockbook_status.json")
	e = ofBlockbook(&chaincfg.MainNetParams)(t, text("%s", state))
	if _, err := e.Chain.Tip(t.Context()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "follows another network") {
		t.Errorf("%v", err)
	}
}

func TestBlockbookRefusesAnAddress(t *testing.T) {
	e := ofBlockbook(&chaincfg.MainNetParams)(t, status(400, string(recorded.Read(t, "recorded", "regtest", "errors", "blockbook_badaddr"))))
	if _, err := e.Addresses.Counters(t.Context(), watched()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "does not take the address") {
		t.Errorf("%v", err)
	}
}

// §3.7: what does not exist is 400, and so is what its node could not say.
func TestBlockbookTellsAbsentFromTrouble(t *testing.T) {
	id := chainhash.Hash{7}
	for body, want := range map[string]error{
		`{"error":"Transaction '` + id.String() + `' not found"}`:                            ErrNotFound,
		`{"error":"Transaction '` + id.String() + `' not found (Post http://127: refused)"}`: ErrUnavailable,
		`{"error":"Block not found"}`:                                                        ErrNotFound,
		`{"error":"Block not found, timed out"}`:                                             ErrUnavailable,
		`{"error":"Missing txid"}`:                                                           ErrRefused,
		`not found`:                                                                          ErrRefused,
		``:                                                                                   ErrRefused,
	} {
		e := ofBlockbook(&chaincfg.MainNetParams)(t, status(400, body))
		if tx, err := e.Transactions.Transaction(t.Context(), id); tx != nil || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", body, err, want)
		}
	}
	e := ofBlockbook(&chaincfg.MainNetParams)(t, status(400, `{"error":"Block not found"}`))
	if _, err := e.Addresses.Counters(t.Context(), watched()); errors.Is(err, ErrNotFound) {
		t.Errorf("an address that is not found: %v", err)
	}
}

// §3.5: refuse data while it is not in sync.
func TestBlockbookThatIsNotInSyncIsNotAsked(t *testing.T) {
	const state = `{"blockbook":{"inSync":%t,"initialSync":%t,"bestHeight":100},"backend":{"chain":"main","blocks":%d}}`
	for _, c := range []struct {
		synced, building bool
		blocks           int
		want             error
	}{
		{true, false, 100, nil},
		{false, false, 101, nil}, // a block is being read
		{false, false, 102, ErrUnavailable},
		{false, true, 100, ErrUnavailable},
		{true, false, 102, nil}, // its node got a block this moment
	} {
		e := ofBlockbook(&chaincfg.MainNetParams)(t, text(state, c.synced, c.building, c.blocks))
		tip, err := e.Chain.Tip(t.Context())
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || err == nil && tip != 100 {
			t.Errorf("%+v: %d, %v", c, tip, err)
		}
		for _, err := range e.Addresses.History(t.Context(), watched()) {
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%+v: history: %v", c, err)
			}
		}
	}
}

// An endpoint that a version lacks is answered with the server's own state.
func TestBlockbookWithoutRawBlocks(t *testing.T) {
	e := ofBlockbook(&chaincfg.MainNetParams)(t, text("%s", recorded.Read(t, "recorded", "blockbook", "openapi_status.json")))
	if _, err := e.Blocks.Block(t.Context(), chainhash.Hash{1}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "its version does not serve this question") {
		t.Errorf("%v", err)
	}
	if tip, err := e.Chain.Tip(t.Context()); err != nil || tip != 860730 {
		t.Errorf("%d, %v", tip, err)
	}
}

// The hash of a height beyond the tip comes empty, with 200.
func TestBlockbookHashBeyondTheTipIsEmpty(t *testing.T) {
	e := ofBlockbook(&chaincfg.MainNetParams)(t, text(`{"blockHash":""}`))
	if _, err := e.Chain.BlockHash(t.Context(), 9_999_999); !errors.Is(err, ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestBlockbookRealBlock(t *testing.T) {
	block, other := recorded.Read(t, "recorded", "raw", "block169482.dat"), recorded.Read(t, "recorded", "raw", "block227835.dat")
	hash := txid(t, "0000000000000756935f1ee9d5987857b604046f846d3df56d024cdb5f368665")
	for want, body := range map[error][]byte{nil: block, ErrLying: other, ErrMalformed: block[:len(block)-1]} {
		e := ofBlockbook(&chaincfg.MainNetParams)(t, text(`{"hex":"%s"}`, hex.EncodeToString(body)))
		got, err := e.Blocks.Block(t.Context(), hash)
		if !errors.Is(err, want) || want == nil && string(got) != string(block) {
			t.Errorf("%d bytes, %v; want %v", len(got), err, want)
		}
	}
}

// A header is made of a block's fields: those of block 604,000 less one, as
// blockchain.info recorded it.
func TestBlockbookHeaderIsRebuilt(t *testing.T) {
	const block = `{"page":4,"totalPages":4,"itemsOnPage":1000,"hash":"%[1]s","previousBlockHash":"0000000000000000000ee40dc80e8ddd28d6389ba8dd59bb147b48d8f7a87f13",
		"height":603966,"time":1573858343,"version":1073733632,"merkleRoot":"f503db03fae73bac6d49155b7dc29e2be72d00d9e1265435c541c40aec301a12",
		"nonce":"%[2]d","bits":"171619fe","difficulty":"12720005267390.5","txCount":3503,"txs":[]}`
	const id = "0000000000000000000efcea1cc1a169955e9cf6f039ddeabfdd1da1ac6d9899"
	bits := fmt.Sprintf("%08x", 387326161)
	good := strings.Replace(fmt.Sprintf(block, id, 1356485707), "171619fe", bits, 1)
	e := ofBlockbook(&chaincfg.MainNetParams)(t, text("%s", good))
	headers, err := e.Headers.Headers(t.Context(), 603966, txid(t, id))
	if err != nil || len(headers) != 1 || headers[0].BlockHash().String() != id {
		t.Errorf("%v, %v", headers, err)
	}
	bad := strings.Replace(fmt.Sprintf(block, id, 1356485708), "171619fe", bits, 1)
	e = ofBlockbook(&chaincfg.MainNetParams)(t, text("%s", bad))
	if _, err := e.Headers.Headers(t.Context(), 603966, txid(t, id)); !errors.Is(err, ErrLying) {
		t.Errorf("%v", err)
	}
}
