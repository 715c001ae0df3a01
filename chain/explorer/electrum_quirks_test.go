package explorer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// onLines answers each line of each connection as it is told to: with the id
// put in the place of ID, and nothing where the answer is empty. It gives the
// address and how many connections came.
func onLines(t *testing.T, answer func(method string, params []any, conn net.Conn) string) (url string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections = &atomic.Int64{}
	var serving sync.WaitGroup
	serve := func(conn net.Conn) {
		defer conn.Close()
		lines := bufio.NewScanner(conn)
		for lines.Scan() {
			var asked struct {
				ID     json.RawMessage
				Method string
				Params []any
			}
			if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
				t.Errorf("asked %q", lines.Text())
				return
			}
			text := `{"jsonrpc":"2.0","id":ID,"result":["a server","1.4"]}`
			if asked.Method != "server.version" {
				text = answer(asked.Method, asked.Params, conn)
			}
			if text == "" {
				continue
			}
			if _, err := io.WriteString(conn, strings.ReplaceAll(text, "ID", string(asked.ID))+"\n"); err != nil {
				return
			}
		}
	}
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			serving.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return "tcp://" + listener.Addr().String(), connections
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

// Faults of a line that each kind of HTTP fault has its like in: none reads as
// none, and each says what it is.
func TestFaultsOfLines(t *testing.T) {
	good := `{"jsonrpc":"2.0","id":ID,"result":[]}`
	for name, c := range map[string]struct {
		answer func(conn net.Conn) string
		kind   error
	}{
		"hang up":              {func(c net.Conn) string { c.Close(); return "" }, ErrUnavailable},
		"reset":                {func(c net.Conn) string { c.(*net.TCPConn).SetLinger(0); c.Close(); return "" }, ErrUnavailable},
		"cut off":              {func(c net.Conn) string { io.WriteString(c, good[:20]); c.Close(); return "" }, ErrUnavailable},
		"silence":              {func(net.Conn) string { return "" }, ErrUnavailable},
		"drip":                 {drip, ErrUnavailable},
		"an empty line":        {func(c net.Conn) string { return " " }, ErrMalformed},
		"null":                 {func(net.Conn) string { return "null" }, ErrMalformed},
		"a list":               {func(net.Conn) string { return "[]" }, ErrMalformed},
		"an object":            {func(net.Conn) string { return "{}" }, ErrMalformed},
		"a null for a result":  {func(net.Conn) string { return `{"jsonrpc":"2.0","id":ID,"result":null}` }, ErrMalformed},
		"no result":            {func(net.Conn) string { return `{"jsonrpc":"2.0","id":ID}` }, ErrMalformed},
		"an object for a list": {func(net.Conn) string { return `{"jsonrpc":"2.0","id":ID,"result":{}}` }, ErrMalformed},
		"a web page":           {func(net.Conn) string { return webPage }, ErrMalformed},
		"HTTP":                 {func(net.Conn) string { return "HTTP/1.1 400 Bad Request\r" }, ErrMalformed},
		"another id":           {func(net.Conn) string { return `{"jsonrpc":"2.0","id":1ID,"result":[]}` }, ErrMalformed},
		"an id in quotes":      {func(net.Conn) string { return `{"jsonrpc":"2.0","id":"ID","result":[]}` }, ErrMalformed},
		"no id":                {func(net.Conn) string { return `{"jsonrpc":"2.0","result":[]}` }, ErrMalformed},
		"an id of null":        {func(net.Conn) string { return `{"jsonrpc":"2.0","id":null,"result":[]}` }, ErrMalformed},
		"two results":          {func(net.Conn) string { return `{"id":ID,"result":[],"result":[]}` }, ErrMalformed},
		"two ids":              {func(net.Conn) string { return `{"id":ID,"id":ID,"result":[]}` }, ErrMalformed},
		"something behind":     {func(net.Conn) string { return good + "x" }, ErrMalformed},
		"deep nesting":         {func(net.Conn) string { return strings.Repeat("[", 1<<20) }, ErrMalformed},
		"a flood of notices":   {flood, ErrMalformed},
		"an endless line":      {endless, ErrMalformed},
		"a height of -2":       {func(net.Conn) string { return listOf(`{"tx_hash":"` + strings.Repeat("11", 32) + `","height":-2}`) }, ErrMalformed},
		"a huge height": {func(net.Conn) string {
			return listOf(`{"tx_hash":"` + strings.Repeat("11", 32) + `","height":4294967296}`)
		}, ErrMalformed},
		"a height of 1.0": {func(net.Conn) string { return listOf(`{"tx_hash":"` + strings.Repeat("11", 32) + `","height":1.0}`) }, ErrMalformed},
		"no height":       {func(net.Conn) string { return listOf(`{"tx_hash":"` + strings.Repeat("11", 32) + `"}`) }, ErrMalformed},
		"no tx_hash":      {func(net.Conn) string { return listOf(`{"height":5}`) }, ErrMalformed},
		"half a tx_hash":  {func(net.Conn) string { return listOf(`{"tx_hash":"1111","height":5}`) }, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := onLines(t, func(_ string, _ []any, conn net.Conn) string { return c.answer(conn) })
			e := openedElectrum(t, url, func(s *Settings) {
				if errors.Is(c.kind, ErrUnavailable) {
					s.Timeout = 300 * time.Millisecond
				}
			})
			counters, err := e.Addresses.Counters(t.Context(), regtestAddress())
			if counters != (Counters{}) || !errors.Is(err, c.kind) {
				t.Errorf("%v, %v; want %v", counters, err, c.kind)
			}
			if n := e.Pace.Failures()[c.kind.Error()]; n != 1 || len(e.Pace.Failures()) != 1 || !e.Pace.LastSuccess().IsZero() {
				t.Errorf("counted %v", e.Pace.Failures())
			}
		})
	}
}

func listOf(entry string) string { return `{"jsonrpc":"2.0","id":ID,"result":[` + entry + `]}` }

func drip(c net.Conn) string {
	for {
		if _, err := io.WriteString(c, " "); err != nil {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func flood(c net.Conn) string {
	notice := []byte(`{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","params":[]}` + "\n")
	for {
		if _, err := c.Write(bytes.Repeat(notice, 100)); err != nil {
			return ""
		}
	}
}

func endless(c net.Conn) string {
	for {
		if _, err := c.Write(bytes.Repeat([]byte(" "), 64<<10)); err != nil {
			return ""
		}
	}
}

// Notices that nobody asked for come before an answer, and change nothing.
func TestNoticesArePassedOver(t *testing.T) {
	url, _ := onLines(t, func(_ string, _ []any, conn net.Conn) string {
		io.WriteString(conn, `{"jsonrpc":"2.0","method":"blockchain.scripthash.subscribe","params":["00",null]}`+"\n")
		io.WriteString(conn, `{"jsonrpc":"2.0","method":"blockchain.headers.subscribe","params":[],"id":null}`+"\n")
		return listOf("")
	})
	if counters, err := openedElectrum(t, url).Addresses.Counters(t.Context(), regtestAddress()); err != nil || counters != (Counters{}) {
		t.Errorf("%v, %v", counters, err)
	}
}

// An answer that comes after its question was given up must not answer the next:
// that is another connection.
func TestLateAnswersAnswerNothing(t *testing.T) {
	var asked atomic.Int64
	late := make(chan struct{})
	url, connections := onLines(t, func(_ string, _ []any, _ net.Conn) string {
		if asked.Add(1) == 1 {
			<-late
			return listOf(`{"tx_hash":"` + strings.Repeat("11", 32) + `","height":5}`)
		}
		return listOf("")
	})
	e := openedElectrum(t, url)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := e.Addresses.Counters(ctx, regtestAddress()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given up: %v", err)
	}
	close(late)
	if counters, err := e.Addresses.Counters(t.Context(), regtestAddress()); err != nil || counters != (Counters{}) || connections.Load() != 2 {
		t.Errorf("%v, %v, %d connections", counters, err, connections.Load())
	}
}

// One connection serves many questions; one that the server closed while it lay
// idle is made anew without a word.
func TestOneConnection(t *testing.T) {
	var last atomic.Value
	url, connections := onLines(t, func(_ string, _ []any, conn net.Conn) string {
		last.Store(conn)
		return listOf("")
	})
	e := openedElectrum(t, url)
	ask := func() {
		t.Helper()
		if _, err := e.Addresses.Counters(t.Context(), regtestAddress()); err != nil {
			t.Error(err)
		}
	}
	ask()
	ask()
	ask()
	if connections.Load() != 1 {
		t.Errorf("%d connections", connections.Load())
	}
	last.Load().(net.Conn).Close()
	ask()
	if connections.Load() != 2 || len(e.Pace.Failures()) != 0 {
		t.Errorf("%d connections, %v", connections.Load(), e.Pace.Failures())
	}
	e.Close()
	ask()
	if connections.Load() != 3 {
		t.Errorf("%d connections", connections.Load())
	}
}

// Attempts at a connection come further and further apart, and never so far
// that a server that is back is not seen for long.
func TestReconnectingBacksOff(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	e := openedElectrum(t, "tcp://"+listener.Addr().String())
	clock := newFakeClock(e.Pace)
	var attempts []int
	began := clock.now()
	for range 100 {
		_, err := e.Chain.Tip(t.Context())
		if !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		if strings.Contains(err.Error(), "refused") {
			attempts = append(attempts, int(clock.now().Sub(began)/time.Second))
		}
		_ = clock.sleep(t.Context(), time.Second)
	}
	if want := []int{0, 1, 3, 7, 15, 31, 61, 91}; !slices.Equal(attempts, want) {
		t.Errorf("attempts at %v s, want %v", attempts, want)
	}
}

// What signs its own certificate is taken only where the configuration names
// it.
func TestCertificatesOfElectrumServers(t *testing.T) {
	s := newScene(t)
	certificate, file := selfSigned(t, "127.0.0.1")
	_, other := selfSigned(t, "127.0.0.1")
	server := chaintest.NewElectrum(s.chain, s.chain.Params())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	url, stop := server.Serve()
	t.Cleanup(stop)
	print := sha256.Sum256(certificate.Certificate[0])
	fingerprint := strings.ToUpper(hex.EncodeToString(print[:2])) + ":" + hex.EncodeToString(print[2:])
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string // in the error; empty: there is none
	}{
		"nothing":                {func(*Settings) {}, "signs its own"},
		"its fingerprint":        {func(s *Settings) { s.CertificateSHA256 = fingerprint }, ""},
		"another fingerprint":    {func(s *Settings) { s.CertificateSHA256 = strings.Repeat("00", 32) }, "not the one of certificate_sha256"},
		"itself as authority":    {func(s *Settings) { s.CAFile = file }, ""},
		"another one's":          {func(s *Settings) { s.CAFile = other }, "certificate"},
		"plain, where it is not": {func(s *Settings) { s.URL = strings.Replace(url, "ssl:", "tcp:", 1); s.Timeout = 2 * time.Second }, "from witness"},
	} {
		e := openedElectrum(t, url, c.change)
		tip, err := e.Chain.Tip(t.Context())
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || tip != 0) || err == nil && tip != s.height() {
			t.Errorf("%s: %d, %v", name, tip, err)
		}
	}
	plain := chaintest.NewElectrum(s.chain, s.chain.Params())
	at, end := plain.Serve()
	t.Cleanup(end)
	if _, err := openedElectrum(t, strings.Replace(at, "tcp:", "ssl:", 1), func(s *Settings) { s.Timeout = 2 * time.Second }).Chain.Tip(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("TLS to a server that has none: %v", err)
	}
}

func TestElectrumSettings(t *testing.T) {
	_, authority := selfSigned(t, "127.0.0.1")
	for want, s := range map[string]Settings{
		"ssl://HOST:PORT":       {URL: "https://electrum.example:50002"},
		"must have a port":      {URL: "ssl://electrum.example"},
		"no path":               {URL: "ssl://electrum.example:50002/x"},
		"64 hexadecimal digits": {URL: "ssl://electrum.example:50002", CertificateSHA256: "abcd"},
		"begins with ssl://":    {URL: "tcp://127.0.0.1:50001", CertificateSHA256: strings.Repeat("00", 32)},
		"exclude each other":    {URL: "ssl://electrum.example:50002", CertificateSHA256: strings.Repeat("00", 32), CAFile: authority},
		"holds no certificate":  {URL: "ssl://electrum.example:50002", CAFile: written(t, "x", "x")},
		"speaks no HTTP":        {URL: "ssl://electrum.example:50002", Proxy: "http://127.0.0.1:1"},
	} {
		s.Name, s.Kind = "witness", "electrum"
		if _, err := Open(s, &chaincfg.MainNetParams); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The name of a server is looked up at the proxy, and nothing goes past it.
func TestElectrumThroughSOCKS5(t *testing.T) {
	s := newScene(t)
	url, stop := chaintest.NewElectrum(s.chain, s.chain.Params()).Serve()
	t.Cleanup(stop)
	proxy := startSocks(t, strings.TrimPrefix(url, "tcp://"))
	e := openedElectrum(t, "tcp://electrum.onion:50001", func(s *Settings) { s.Proxy = "socks5://" + proxy.listener.Addr().String() })
	if tip, err := e.Chain.Tip(t.Context()); err != nil || tip != s.height() {
		t.Errorf("%d, %v", tip, err)
	}
	e.Close()
	proxy.mu.Lock()
	defer proxy.mu.Unlock()
	if len(proxy.asked) != 1 || proxy.asked[0] != "electrum.onion:50001" {
		t.Errorf("the proxy was asked for %v", proxy.asked)
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
