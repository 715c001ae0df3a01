package explorer

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// regtestAddress is W of the recorded scenario, a P2WPKH address; the script is
// the one that the recordings show with it.
func regtestAddress() chain.Address {
	return chain.Address{Text: "bcrt1qd6ymjn33ls29fxkz6emmlvw4letekxp94ad0ek", Kind: chain.P2WPKH,
		Script: unhex("00146e89b94e31fc14549ac2d677bfb1d5fe579b1825")}
}

// pagingAddress is P of the recorded scenario, with 60 payments.
func pagingAddress() chain.Address {
	return chain.Address{Text: "bcrt1qkv57ler5e3l4x5drayk422gyms0at2kart0ej3", Kind: chain.P2WPKH,
		Script: unhex("0014b329efe474cc7f5351a3e92d552904dc1fd5aadd")}
}

// recordedTransactions finds every transaction object in a recording, however
// deep, by encoding/json and not by our reader.
func recordedTransactions(raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		if json.Unmarshal(raw, &object) != nil {
			return nil
		}
		if object["vin"] != nil && object["vout"] != nil {
			return []json.RawMessage{raw}
		}
		for _, item := range object {
			list = append(list, item)
		}
	}
	var found []json.RawMessage
	for _, item := range list {
		found = append(found, recordedTransactions(item)...)
	}
	return found
}

// Every recorded Esplora and mempool.space transaction decodes, its txid
// recomputed, its size and weight those stated.
func TestEveryRecordedTransactionIsProvenByItsTxid(t *testing.T) {
	counts, distinct := map[string]int{}, map[chainhash.Hash]bool{}
	for _, pattern := range []string{"esplora/*.json", "mempool/*.json", "regtest/*/electrs_*", "regtest/*/mempool_*"} {
		files, err := filepath.Glob(recorded.Path(t, "recorded", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, raw := range recordedTransactions(data) {
				if filepath.Base(file) == "tx_summary.json" {
					// Its inputs and outputs were cut out for a documentation page.
					if _, err := readJSON(raw, readTransaction); !errors.Is(err, ErrMalformed) {
						t.Errorf("%s: a transaction without inputs gave %v", file, err)
					}
					continue
				}
				tx, err := readJSON(raw, readTransaction)
				if err != nil {
					t.Errorf("%s: %v", file, err)
					continue
				}
				checkAgainstStated(t, tx, raw)
				counts[pattern]++
				distinct[tx.ID] = true
			}
		}
	}
	t.Logf("transactions decoded: %v, distinct: %d", counts, len(distinct))
	want := map[string]int{"esplora/*.json": 5, "mempool/*.json": 12, "regtest/*/electrs_*": 90, "regtest/*/mempool_*": 28}
	for pattern, n := range want {
		if counts[pattern] != n {
			t.Errorf("%s: %d transactions, want %d", pattern, counts[pattern], n)
		}
	}
}

// checkAgainstStated holds a decoded transaction against what encoding/json
// reads in the same place.
func checkAgainstStated(t *testing.T, tx *chain.Transaction, raw json.RawMessage) {
	t.Helper()
	var want struct {
		TxID string
		Fee  int64
		Vout []struct{ Value int64 }
		Vin  []struct{ Witness []string }
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	fee := int64(0)
	for i, spent := range tx.Spent {
		if spent == nil {
			t.Errorf("%s: input %d has no previous output, though recorded", want.TxID, i)
			return
		}
		fee += spent.Value
		if len(tx.Msg.TxIn[i].Witness) != len(want.Vin[i].Witness) {
			t.Errorf("%s: witness of input %d differs", want.TxID, i)
		}
	}
	for i, out := range tx.Msg.TxOut {
		fee -= out.Value
		if out.Value != want.Vout[i].Value {
			t.Errorf("%s: output %d is %d, recorded %d", want.TxID, i, out.Value, want.Vout[i].Value)
		}
	}
	if tx.Msg.TxHash().String() != want.TxID || fee != want.Fee {
		t.Errorf("%s: txid %s, fee %d, recorded %d", want.TxID, tx.ID, fee, want.Fee)
	}
}

// step serves the recorded answers of one server at one step, with their
// recorded status codes, under the paths of the API.
func step(t *testing.T, folder, server string) http.Handler {
	t.Helper()
	statuses := map[string]int{}
	for _, line := range strings.Split(string(recorded.Read(t, "recorded", "regtest", folder, "_status")), "\n") {
		if code, file, ok := strings.Cut(line, " "); ok {
			statuses[file] = map[string]int{"200": 200, "404": 404}[code]
		}
	}
	files := map[string]string{"/blocks/tip/height": "_tip.txt", "/address/W": "_address.json", "/address/W/txs": "_address_txs.json",
		"/address/W/txs/mempool": "_address_txs_mempool.json"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.Replace(r.URL.Path, regtestAddress().Text, "W", 1)
		file, ok := files[path]
		switch {
		case strings.HasSuffix(path, "/status"):
			file = "_tx_status.json"
		case strings.HasSuffix(path, "/outspends"):
			file = "_tx_outspends.json"
		case !ok:
			file = "_tx.json"
		}
		file = server + file
		if status := statuses[file]; status != 0 {
			w.WriteHeader(status)
		}
		w.Write(recorded.Read(t, "recorded", "regtest", folder, file))
	})
}

func txid(t *testing.T, text string) chainhash.Hash {
	t.Helper()
	hash, ok := parseHash(text)
	if !ok {
		t.Fatalf("not a txid: %s", text)
	}
	return hash
}

// The scenario's own log, scenario.txt, says what happened; the answers of
// electrs must tell the same through the adapter.
func TestRecordedScenarioOfElectrs(t *testing.T) {
	const t1, t2, t3 = "16f705e36c6814011469f8f7bb66b57f953eccbdc609733d2deaa760406d5197",
		"76f7d5834e4fc90966fcdd3758b3f5044c58841d9151711c2fc40d2bf179de59", "ce008f18f4658b64008dd85751c5410c5688a5c9681594a7611757522d4f9383"
	for _, c := range []struct {
		folder  string
		mempool []string
		known   string // a transaction that is there, at the height
		height  int32
		gone    string // one that is not
	}{
		{folder: "s0-empty"},
		{folder: "s1-unconfirmed", mempool: []string{t1}, known: t1},
		{folder: "s2-replaced-new", mempool: []string{t2}, known: t2},
		{folder: "s2-replaced-old", mempool: []string{t2}, gone: t1},
		{folder: "s3-confirmed", known: t2, height: 114},
		{folder: "s4-second-unconfirmed", mempool: []string{t3}, known: t3},
		{folder: "s5-doublespent-away", gone: t3},
		{folder: "s6-reorged", mempool: []string{t2}, known: t2},
		{folder: "s7-reconfirmed", known: t2, height: 116},
	} {
		t.Run(c.folder, func(t *testing.T) {
			e := opened(t, step(t, c.folder, "electrs"))
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
			if err != nil || counters.Unconfirmed != int64(len(c.mempool)) {
				t.Errorf("counters: %+v, %v; want %d unconfirmed", counters, err, len(c.mempool))
			}
			if c.known != "" {
				checkKnown(t, e, c.known, c.height)
			}
			if c.gone != "" {
				tx, err := e.Transactions.Transaction(t.Context(), txid(t, c.gone))
				if tx != nil || !errors.Is(err, ErrNotFound) {
					t.Errorf("a replaced transaction: %v, %v", tx, err)
				}
				spends, err := e.Spends.Spends(t.Context(), txid(t, c.gone))
				if spends != nil || !errors.Is(err, ErrNotFound) {
					t.Errorf("its spends: %v, %v", spends, err)
				}
			}
			if height, err := e.Chain.Tip(t.Context()); err != nil || height < 113 || height > 116 {
				t.Errorf("tip: %d, %v", height, err)
			}
		})
	}
}

func checkKnown(t *testing.T, e *Explorer, id string, height int32) {
	t.Helper()
	tx, err := e.Transactions.Transaction(t.Context(), txid(t, id))
	if err != nil {
		t.Error(err)
		return
	}
	if (tx.Place == nil) != (height == 0) || (tx.Place != nil && (tx.Place.Height != height || tx.Place.Index != -1)) {
		t.Errorf("transaction stands at %v, want height %d", tx.Place, height)
	}
	spends, err := e.Spends.Spends(t.Context(), txid(t, id))
	if err != nil || len(spends) != len(tx.Msg.TxOut) || spends[0] != nil {
		t.Errorf("spends: %v, %v", spends, err)
	}
}

// regtest/README.md, 1: electrs' /address/:a/txs lists every unconfirmed
// transaction twice; served as a mempool list it must count once.
func TestUnconfirmedListedTwiceCountsOnce(t *testing.T) {
	body := recorded.Read(t, "recorded", "regtest", "s1-unconfirmed", "electrs_address_txs.json")
	if n := len(recordedTransactions(body)); n != 2 {
		t.Fatalf("the recording lists %d", n)
	}
	txs, complete, err := opened(t, text("%s", body)).Addresses.Mempool(t.Context(), regtestAddress())
	if err != nil || len(txs) != 1 || !complete {
		t.Errorf("%d transactions, complete %v, %v", len(txs), complete, err)
	}
}

// regtest/README.md, 2: the status of a transaction never seen is 200
// unconfirmed on electrs and 404 on the mempool backend, in words of its own.
func TestUnknownTransactionOfTheMempoolBackend(t *testing.T) {
	e := opened(t, step(t, "s2-replaced-old", "mempool"))
	tx, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{1})
	if tx != nil || !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, %v", tx, err)
	}
}

// regtest/README.md, 5: the mempool backend in electrum mode counts no outputs;
// its counters still change when something happens.
func TestCountersOfTheMempoolBackendInElectrumMode(t *testing.T) {
	signals := map[string]bool{}
	for _, folder := range []string{"s0-empty", "s1-unconfirmed", "s3-confirmed"} {
		counters, err := opened(t, step(t, folder, "mempool")).Addresses.Counters(t.Context(), regtestAddress())
		if err != nil {
			t.Fatal(err)
		}
		signals[counters.Signal] = true
	}
	if len(signals) != 3 {
		t.Errorf("three states, signals %v", signals)
	}
}

// regtest/README.md, 10: a malformed address and one of another network are
// refused in plain text, with 400.
func TestRecordedRefusalsOfAddresses(t *testing.T) {
	for _, file := range []string{"electrs_badaddr", "electrs_mainnetaddr", "electrs_mainnet_txs", "mempool_badaddr", "mempool_mainnetaddr", "mempool_mainnet_txs"} {
		body := recorded.Read(t, "recorded", "regtest", "errors", file)
		e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			w.Write(body)
		}))
		_, err := e.Addresses.Counters(t.Context(), regtestAddress())
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "it does not take the address") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// regtest/README.md, 4: the two recorded pages of electrs hold all 60 payments.
func TestRecordedPagesOfElectrs(t *testing.T) {
	first, second := recorded.Read(t, "recorded", "regtest", "paging", "electrs_p1.json"), recorded.Read(t, "recorded", "regtest", "paging", "electrs_p2.json")
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := strings.TrimPrefix(r.URL.Path, "/address/"+pagingAddress().Text+"/txs/chain"); {
		case path == "":
			w.Write(first)
		case strings.Contains(string(second), `{"txid":"`+strings.TrimPrefix(path, "/")+`"`):
			w.Write([]byte("[]"))
		case strings.HasSuffix(r.URL.Path, "/status"):
			id := strings.Split(r.URL.Path, "/")[2]
			for _, raw := range recordedTransactions(second) {
				if strings.HasPrefix(string(raw), `{"txid":"`+id) {
					var tx struct{ Status json.RawMessage }
					if err := json.Unmarshal(raw, &tx); err != nil {
						t.Error(err)
					}
					w.Write(tx.Status)
				}
			}
		default:
			w.Write(second)
		}
	}))
	seen := map[chainhash.Hash]bool{}
	for page, err := range e.Addresses.History(t.Context(), pagingAddress()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, tx := range page {
			seen[tx.ID] = true
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d payments of 60", len(seen))
	}
}

// esplora/outspends_breez_4da22eff.json, both outputs spent and confirmed.
func TestRecordedSpends(t *testing.T) {
	e := opened(t, text("%s", recorded.Read(t, "recorded", "esplora", "outspends_breez_4da22eff.json")))
	spends, err := e.Spends.Spends(t.Context(), chainhash.Hash{1})
	if err != nil || len(spends) != 2 || spends[0].Input != 1 || spends[1].Input != 0 ||
		spends[0].Place.Height != 674365 || spends[1].Place.Height != 797168 || spends[1].Place.Time.Unix() != 1688489603 ||
		spends[0].TxID.String() != "4da22eff957b855c8bde2d8b61bdb9e10add799a04c709dd7142cc796cee0b65" {
		t.Errorf("%+v, %v", spends, err)
	}
}

// mempool/address_1wiz.json, an address of seven transactions.
func TestRecordedCounters(t *testing.T) {
	e := opened(t, text("%s", recorded.Read(t, "recorded", "mempool", "address_1wiz.json")))
	counters, err := e.Addresses.Counters(t.Context(), chain.Address{Text: "1wiz18xYmhRX6xStj2b9t1rwWX4GKUgpv"})
	if err != nil || counters.Transactions != 7 || counters.Unconfirmed != 0 {
		t.Errorf("%+v, %v", counters, err)
	}
}

// A real block comes through whole; another real one is a lie, a cut one is not
// taken.
func TestRealBlocks(t *testing.T) {
	block, other := recorded.Read(t, "recorded", "raw", "block169482.dat"), recorded.Read(t, "recorded", "raw", "block227835.dat")
	hash := txid(t, "0000000000000756935f1ee9d5987857b604046f846d3df56d024cdb5f368665")
	for _, c := range []struct {
		name string
		body []byte
		kind error
	}{
		{"itself", block, nil},
		{"another", other, ErrLying},
		{"cut", block[:len(block)-100], ErrMalformed},
		{"cut in the header", block[:79], ErrMalformed},
		{"header only", block[:80], ErrMalformed},
		{"with more behind", append(append([]byte{}, block...), 0), ErrMalformed},
		{"empty", nil, ErrMalformed},
	} {
		got, err := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/block/"+hash.String()+"/raw" {
				t.Errorf("asked %s", r.URL.Path)
			}
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(c.body)
		})).Blocks.Block(t.Context(), hash)
		if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) || (c.kind == nil) != (string(got) == string(block)) {
			t.Errorf("%s: %d bytes, %v; want %v", c.name, len(got), err, c.kind)
		}
	}
}
