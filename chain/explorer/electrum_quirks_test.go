package explorer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
)

func openedElectrum(t *testing.T, url string, change ...func(*Settings)) *Explorer {
	t.Helper()
	s := Settings{Name: "witness", Kind: "electrum", URL: url, Timeout: 20 * time.Second}
	for _, c := range change {
		c(&s)
	}
	e, err := Open(s, &chaincfg.RegressionNetParams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// recordedReply gives a recorded reply, for another id.
func recordedReply(t *testing.T, elem ...string) string {
	t.Helper()
	var reply map[string]json.RawMessage
	if err := json.Unmarshal(recorded.Read(t, elem...), &reply); err != nil {
		t.Fatal(err)
	}
	if reply["response"] != nil {
		if err := json.Unmarshal(reply["response"], &reply); err != nil {
			t.Fatal(err)
		}
	}
	reply["id"] = json.RawMessage(`"ID"`)
	return strings.ReplaceAll(string(asJSON(reply)), `"ID"`, "ID")
}

// The recorded scenario of ElectrumX through the adapter; scenario.txt says what
// happened.
func TestRecordedScenarioOfElectrumX(t *testing.T) {
	const t1, t2, t3 = "16f705e36c6814011469f8f7bb66b57f953eccbdc609733d2deaa760406d5197",
		"76f7d5834e4fc90966fcdd3758b3f5044c58841d9151711c2fc40d2bf179de59", "ce008f18f4658b64008dd85751c5410c5688a5c9681594a7611757522d4f9383"
	for _, c := range []struct {
		folder                 string
		confirmed, unconfirmed int64
		known, gone            string
	}{
		{folder: "s0-empty"},
		{folder: "s1-unconfirmed", unconfirmed: 1, known: t1},
		{folder: "s2-replaced-new", unconfirmed: 1, known: t2},
		{folder: "s2-replaced-old", unconfirmed: 1, gone: t1},
		{folder: "s3-confirmed", confirmed: 1, known: t2},
		{folder: "s4-second-unconfirmed", confirmed: 1, unconfirmed: 1, known: t3},
		{folder: "s5-doublespent-away", confirmed: 1, gone: t3},
		{folder: "s6-reorged", unconfirmed: 1, known: t2},
		{folder: "s7-reconfirmed", confirmed: 1, known: t2},
		{folder: "s8-after-restart", confirmed: 2, known: t2},
	} {
		url, _ := onLines(t, func(method string, params []any, _ net.Conn) string {
			if method == "blockchain.scripthash.get_history" {
				if hash := sha256.Sum256(regtestAddress().Script); params[0] != hex.EncodeToString(reversed(hash[:])) {
					t.Errorf("asked for the script hash %v", params[0])
				}
				return recordedReply(t, "recorded", "regtest", c.folder, "electrumx_get_history.json")
			}
			return recordedReply(t, "recorded", "regtest", c.folder, "electrumx_tx.json")
		})
		e := openedElectrum(t, url)
		counters, err := e.Addresses.Counters(t.Context(), regtestAddress())
		if err != nil || counters.Transactions != c.confirmed || counters.Unconfirmed != c.unconfirmed {
			t.Errorf("%s: %+v, %v", c.folder, counters, err)
		}
		asks := e.Transactions.(electrum)
		if c.known != "" {
			tx, _, _, err := asks.verbose(t.Context(), txid(t, c.known))
			if err != nil || tx.TxHash().String() != c.known {
				t.Errorf("%s: %v", c.folder, err)
			}
		}
		if c.gone != "" {
			if tx, err := e.Transactions.Transaction(t.Context(), txid(t, c.gone)); tx != nil || !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v, %v", c.folder, tx, err)
			}
		}
	}
}

func reversed(b []byte) []byte {
	slices.Reverse(b)
	return b
}

// The documented status of a history, which begins with the coinbase of the
// first block.
func TestRecordedStatusIsRecomputed(t *testing.T) {
	var list, status struct {
		Response struct{ Result json.RawMessage }
	}
	if err := errors.Join(json.Unmarshal(recorded.Read(t, "recorded", "electrum", "blockchain-scripthash-get-history.json"), &list),
		json.Unmarshal(recorded.Read(t, "recorded", "electrum", "blockchain-scripthash-subscribe.json"), &status)); err != nil {
		t.Fatal(err)
	}
	all, err := readJSON(list.Response.Result, func(r *jsonReader) (l listing) {
		r.array(func() { l.confirmed = append(l.confirmed, readEntry(r)) })
		return l
	})
	if err != nil || len(all.confirmed) != 11 || `"`+all.status()+`"` != string(status.Response.Result) {
		t.Errorf("%d entries, status %s, want %s, %v", len(all.confirmed), all.status(), status.Response.Result, err)
	}
	// mempool/electrs shows the first coinbase as unconfirmed, ElectrumX not at all.
	main := electrum{params: &chaincfg.MainNetParams}
	without, err := readJSON(list.Response.Result, main.readListing)
	if err != nil || len(without.confirmed) != 10 || len(without.unconfirmed) != 0 {
		t.Errorf("%d confirmed, %d unconfirmed, %v", len(without.confirmed), len(without.unconfirmed), err)
	}
}

// The order of what is unconfirmed differs among servers and from one answer to
// the next; that is no change.
func TestSignalDoesNotDependOnTheOrderOfTheMempool(t *testing.T) {
	one, two := strings.Repeat("11", 32), strings.Repeat("22", 32)
	read := func(ids ...string) string {
		var all []string
		for _, id := range ids {
			all = append(all, fmt.Sprintf(`{"tx_hash":%q,"height":0,"fee":1}`, id))
		}
		list, err := readJSON([]byte("["+strings.Join(all, ",")+"]"), electrum{params: &chaincfg.RegressionNetParams}.readListing)
		if err != nil {
			t.Fatal(err)
		}
		return list.status()
	}
	if read(one, two) != read(two, one) || read(one) == read(two) || read(one, one) != read(one) {
		t.Error("the signal follows the order")
	}
}

// The documented headers, which link.
func TestRecordedElectrumHeaders(t *testing.T) {
	reply := recordedReply(t, "recorded", "electrum", "blockchain-block-headers.json")
	headers, err := readLine([]byte(strings.ReplaceAll(reply, "ID", "1")), electrum{}.refusal(question{}), readElectrumHeaders)
	if err != nil || len(headers) != 3 || checkDescent(headers, headers[0].BlockHash()) != nil ||
		headers[2].BlockHash().String() != "00000000000000000024fb37364cbf81fd49cc2d51c09c75c35433c3a1945d04" {
		t.Errorf("%d headers, %v", len(headers), err)
	}
}

// Every kind of server through the same questions: errors as texts, headers as
// a list, 2,016 of them at once.
func TestFlavoursOfElectrum(t *testing.T) {
	s := newScene(t)
	s.chain.MineEmpty(2100)
	for name, flavour := range map[string]chaintest.ElectrumFlavour{"ElectrumX": chaintest.ElectrumX, "Esplora": chaintest.EsploraElectrum, "Fulcrum": chaintest.Fulcrum} {
		t.Run(name, func(t *testing.T) {
			server := chaintest.NewElectrum(s.chain, s.chain.Params())
			server.Flavour = flavour
			url, stop := server.Serve()
			t.Cleanup(stop)
			e := openedElectrum(t, url)
			headers, err := e.Headers.Headers(t.Context(), s.height(), s.blockAt(s.height()))
			if err != nil || len(headers) != 2016 || headers[2015].BlockHash() != s.blockAt(s.height()-2015) {
				t.Errorf("%d headers, %v", len(headers), err)
			}
			if n := server.Faults.Count("/blockchain.block.headers"); n != 1 {
				t.Errorf("asked %d times", n)
			}
			if _, err := e.Chain.BlockHash(t.Context(), s.height()+1); !errors.Is(err, ErrNotFound) {
				t.Errorf("beyond the tip: %v", err)
			}
			tx, err := e.Transactions.Transaction(t.Context(), s.paid.TxHash())
			if flavour == chaintest.EsploraElectrum {
				// It cannot say whether this is confirmed. That is no "unconfirmed".
				if tx != nil || !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "esplora") {
					t.Errorf("%v, %v", tx, err)
				}
				sent := e.Pace.Requests()
				if _, err := e.Transactions.Transaction(t.Context(), s.paid.TxHash()); !errors.Is(err, ErrRefused) || e.Pace.Requests() != sent {
					t.Errorf("asked again: %v", err)
				}
			} else if err != nil || tx.Place.Height != s.paidAt {
				t.Errorf("%v, %v", tx, err)
			}
			if all, err := readAll(t.Context(), e, s.busy); err != nil || len(all) != 2 || all[0].Spent[0].Value != paidValue {
				t.Errorf("%v, %v", told(all), err)
			}
		})
	}
}

// What servers say that is not "there is none", as objects and as texts.
func TestElectrumErrors(t *testing.T) {
	for text, kind := range map[string]error{
		`{"code":10001,"message":"history too large"}`:                                               ErrRefused,
		`"Too many history transactions (>500). Contact support to raise limits."`:                   ErrRefused,
		`{"code":-101,"message":"excessive resource usage"}`:                                         ErrRateLimited,
		`{"code":-102,"message":"server busy - request timed out"}`:                                  ErrRateLimited,
		`{"code":-32601,"message":"unknown method \"blockchain.transaction.get\""}`:                  ErrRefused,
		`{"code":2,"message":"daemon error: DaemonError({'code': -28, 'message': 'Loading…'})"}`:     ErrUnavailable,
		`{"code":1,"message":"unavailable index"}`:                                                   ErrUnavailable,
		`{"code":2,"message":"daemon error: DaemonError({'code': -5, 'message': 'No such mempool'"}`: ErrNotFound,
		`"missing transaction"`:                             ErrNotFound,
		`"` + strings.ReplaceAll(hostile, "\x1b", "") + `"`: ErrRefused,
		`{"code":1}`:                             ErrMalformed,
		`{"message":"not found"}`:                ErrMalformed,
		`5`:                                      ErrMalformed,
		`{"code":1,"message":"x"},"result":"00"`: ErrMalformed,
	} {
		url, _ := onLines(t, func(string, []any, net.Conn) string { return `{"jsonrpc":"2.0","id":ID,"error":` + text + `}` })
		e := openedElectrum(t, url)
		tx, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{1})
		if tx != nil || !errors.Is(err, kind) || strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: %v, %v; want %v", text, tx, err, kind)
		}
		// Of an address none of it means "none".
		e.Pace.pausedUntil = time.Time{}
		counters, err := e.Addresses.Counters(t.Context(), regtestAddress())
		if counters != (Counters{}) || err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, %v", text, counters, err)
		}
	}
}

// A history that changes while it is read is read again; what came meanwhile is
// told, and what left is not waited for.
func TestElectrumHistoryThatMoves(t *testing.T) {
	s := newScene(t)
	server := chaintest.NewElectrum(s.chain, s.chain.Params())
	url, stop := server.Serve()
	t.Cleanup(stop)
	e := openedElectrum(t, url)
	var all []*chain.Transaction
	for page, err := range e.Addresses.History(t.Context(), s.long) {
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, page...); len(all) == 2*electrumPage {
			s.chain.MineMempool()
		}
	}
	if want := ids(append(slices.Clone(s.history), s.elsewhere)...); !slices.Equal(told(all), want) {
		t.Errorf("%d told, want %d", len(all), len(want))
	}
}

// At a slow pace a page comes when a minute has passed, however few are on it;
// and a list of unconfirmed transactions that would take for ever is cut off,
// and says so.
func TestElectrumAtASlowPace(t *testing.T) {
	s := newScene(t)
	for range 40 {
		s.chain.AddMempool(paymentTo(s.empty.Script, int64(10_000+len(must(s.chain.Mempool(t.Context()))))))
	}
	url, stop := chaintest.NewElectrum(s.chain, s.chain.Params()).Serve()
	t.Cleanup(stop)
	e := openedElectrum(t, url, func(s *Settings) { s.RequestsPerSecond = 0.1 })
	clock := newFakeClock(e.Pace)
	last, pages, all := clock.now(), 0, 0
	for page, err := range e.Addresses.History(t.Context(), s.long) {
		if err != nil {
			t.Fatal(err)
		}
		if took := clock.now().Sub(last); took > 3*shortPart {
			t.Errorf("page %d took %s", pages, took)
		}
		last, pages, all = clock.now(), pages+1, all+len(page)
	}
	if all != historyCount || pages <= historyCount/electrumPage {
		t.Errorf("%d transactions in %d pages", all, pages)
	}
	began := clock.now()
	txs, complete, err := e.Addresses.Mempool(t.Context(), s.empty)
	if err != nil || complete || len(txs) == 0 || len(txs) >= 40 || clock.now().Sub(began) > longestPart+time.Minute {
		t.Errorf("%d of 40, complete %v, %v, after %s", len(txs), complete, err, clock.now().Sub(began))
	}
}
