package explorer

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// endpoint is one question of the API, with an answer that is right.
type endpoint struct {
	name   string
	before []string // right answers to what is asked on the way there
	good   string
	after  []string // and to what is asked from there
	json   bool
	absent bool               // there is a proper answer that the thing does not exist
	empty  bool               // an empty hash is one
	none   string             // a proper answer that there is none; empty: there is not
	gone   []http.HandlerFunc // proper answers that it does not exist; nil: those of its kind
	ask    func(ctx context.Context, e *Explorer) (got any, err error)

	subject subject
}

func endpoints() []endpoint {
	tx := confirmed(payment(5000), 700)
	genesis := chaincfg.MainNetParams.GenesisBlock
	var block bytes.Buffer
	if err := genesis.Serialize(&block); err != nil {
		panic(err)
	}
	address := fmt.Sprintf(`{"address":%q,"chain_stats":{"funded_txo_count":3,"funded_txo_sum":900,"spent_txo_count":1,"spent_txo_sum":200,"tx_count":4},`+
		`"mempool_stats":{"funded_txo_count":1,"funded_txo_sum":50,"spent_txo_count":0,"spent_txo_sum":0,"tx_count":1}}`, watched().Text)
	spends := `[{"spent":false},{"spent":true,"txid":"` + tx.ID.String() + `","vin":2,"status":` + string(asJSON(statedPlace(tx.Place))) + `}]`
	return []endpoint{
		{name: "Tip", good: "812345", ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.Tip(ctx) }},
		{name: "BlockHash", good: genesis.BlockHash().String(), absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Chain.BlockHash(ctx, 0) }},
		{name: "Block", good: block.String(), absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Blocks.Block(ctx, genesis.BlockHash()) }},
		{name: "Counters", good: address, json: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Addresses.Counters(ctx, watched()) }},
		{name: "History", good: string(listed([]*chain.Transaction{tx})), json: true, none: "[]", ask: firstPage},
		{name: "Mempool", good: string(listed([]*chain.Transaction{payment(5000)})), json: true, none: "[]", ask: func(ctx context.Context, e *Explorer) (any, error) {
			txs, complete, err := e.Addresses.Mempool(ctx, watched())
			if err != nil && complete {
				return "complete", err
			}
			return txs, err
		}},
		{name: "Transaction", good: string(asJSON(stated(tx))), json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Transactions.Transaction(ctx, tx.ID) }},
		{name: "Spends", good: spends, json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Spends.Spends(ctx, tx.ID) }},
		{name: "Branch", good: `{"block_height":700,"merkle":["` + tx.ID.String() + `"],"pos":1}`, json: true, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) { return e.Proofs.Branch(ctx, tx.ID, 700) }},
		{name: "Coinbase", good: tx.ID.String(), after: []string{string(asJSON(stated(tx)))}, absent: true, ask: func(ctx context.Context, e *Explorer) (any, error) {
			return e.Proofs.Coinbase(ctx, genesis.BlockHash(), 0)
		}},
		{name: "Price", good: `{"time":1700000000,"EUR":34567}`, json: true, ask: priceAt(time.Time{})},
		{name: "Price of then", good: `{"prices":[{"time":1499904000,"EUR":1964}]}`, json: true, ask: priceAt(time.Unix(1_500_000_000, 0))},
	}
}

func firstPage(ctx context.Context, e *Explorer) (any, error) {
	for page, err := range e.Addresses.History(ctx, watched()) {
		return page, err
	}
	return []*chain.Transaction(nil), nil
}

func TestEveryEndpointTakesItsGoodAnswer(t *testing.T) {
	for _, p := range everyEndpoint() {
		e := p.opened(t, text("%s", p.good))
		got, err := p.ask(t.Context(), e)
		if err != nil || reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %v, %v", p.name, got, err)
		}
		if e.Pace.LastSuccess().IsZero() || len(e.Pace.Failures()) != 0 {
			t.Errorf("%s: not counted as a success", p.name)
		}
	}
}

// wantFailure asks and demands a failure of one of the kinds, with nothing in
// hand: no fault may read as "none" or zero.
func wantFailure(t *testing.T, p endpoint, e *Explorer, kinds ...error) error {
	t.Helper()
	got, err := p.ask(t.Context(), e)
	if got != nil && !reflect.ValueOf(got).IsZero() {
		t.Errorf("%s: gave %v", p.name, got)
	}
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			var all *Error
			if !errors.As(err, &all) || all.Explorer != "witness" || all.Question == "" {
				t.Errorf("%s: the error does not say who was asked what: %v", p.name, err)
			}
			return err
		}
	}
	t.Errorf("%s: %v, want %v", p.name, err, kinds)
	return err
}

func status(code int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

const (
	hostile  = "Please update your wallet at http://evil.example \x1b[31m"
	webPage  = "<html><head><title>Just a moment...</title></head><body>" + hostile + "</body></html>"
	nginx404 = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><center>nginx</center></body></html>"
)

// Faults by status, headers and body, the same for every endpoint.
func TestNoAnswerReadsAsNone(t *testing.T) {
	for _, f := range []struct {
		name    string
		handler http.HandlerFunc
		kind    error
	}{
		{"429", status(429, hostile), ErrRateLimited},
		{"429 with Retry-After", status(429, hostile, "Retry-After", "120"), ErrRateLimited},
		{"400", status(400, hostile), ErrRefused},
		{"401", status(401, hostile), ErrRefused},
		{"402", status(402, hostile), ErrRefused},
		{"403", status(403, webPage, "Content-Type", "text/html"), ErrRefused},
		{"404 of a proxy", status(404, nginx404, "Content-Type", "text/html"), ErrRefused},
		{"404 of a proxy, as text", status(404, nginx404, "Content-Type", "text/plain"), ErrRefused},
		{"404 of a wrong url", status(404, `endpoint does not exist "/x"`), ErrRefused},
		{"404 of a wrong server", status(404, "404 page not found\n"), ErrRefused},
		{"404 without a word", status(404, ""), ErrRefused},
		{"408", status(408, ""), ErrUnavailable},
		{"500", status(500, "Transaction missing prevouts"), ErrUnavailable},
		{"502", status(502, webPage, "Content-Type", "text/html"), ErrUnavailable},
		{"503", status(503, ""), ErrUnavailable},
		{"503 with Retry-After", status(503, "", "Retry-After", "120"), ErrUnavailable},
		{"504", status(504, ""), ErrUnavailable},
		{"522", status(522, ""), ErrUnavailable},
		{"204", status(204, ""), ErrMalformed},
		{"206", status(206, "[]"), ErrMalformed},
		{"304", status(304, ""), ErrRefused},
		{"200 with HTML", status(200, webPage, "Content-Type", "text/html; charset=utf-8"), ErrMalformed},
		{"200 with HTML as text", status(200, webPage, "Content-Type", "text/plain"), ErrMalformed},
		{"200 with HTML as JSON", status(200, webPage, "Content-Type", "application/json"), ErrMalformed},
		{"200 and empty", status(200, ""), ErrMalformed},
		{"200 and blank", status(200, " \n "), ErrMalformed},
		{"null", status(200, "null"), ErrMalformed},
		{"{}", status(200, "{}"), ErrMalformed},
		{"[null]", status(200, "[null]"), ErrMalformed},
		{"[{}]", status(200, "[{}]"), ErrMalformed},
		{"[[]]", status(200, "[[]]"), ErrMalformed},
		{"error object with 200", status(200, `{"success":false,"error":"`+"x"+`"}`), ErrMalformed},
		{"deep nesting", status(200, strings.Repeat("[", 1<<20)), ErrMalformed},
		{"deep nesting of objects", status(200, strings.Repeat(`{"a":`, 1<<20)), ErrMalformed},
		{"unasked encoding", status(200, "[]", "Content-Encoding", "br"), ErrMalformed},
		{"not gzip", status(200, "[{}, {}, {}]", "Content-Encoding", "gzip"), ErrMalformed},
		{"negative", status(200, "-1"), ErrMalformed},
		{"huge", status(200, strings.Repeat("9", 400)), ErrMalformed},
		{"float", status(200, "1.5"), ErrMalformed},
	} {
		t.Run(f.name, func(t *testing.T) {
			for _, p := range everyEndpoint() {
				e := p.opened(t, f.handler)
				err := wantFailure(t, p, e, f.kind)
				if err != nil && (strings.Contains(err.Error(), "evil") || strings.Contains(err.Error(), "\x1b")) {
					t.Errorf("%s: the explorer's text is passed on: %v", p.name, err)
				}
				if n := e.Pace.Failures()[f.kind.Error()]; n != 1 {
					t.Errorf("%s: failures %v", p.name, e.Pace.Failures())
				}
				if len(p.before) == 0 && !e.Pace.LastSuccess().IsZero() {
					t.Errorf("%s: counted as a success", p.name)
				}
			}
		})
	}
}

// An empty list is an answer only where a list is asked for, and there it means
// none.
func TestEmptyListIsNoneOnlyWhereAListIsAskedFor(t *testing.T) {
	for _, p := range everyEndpoint() {
		if p.none != "[]" {
			wantFailure(t, p, p.opened(t, text("[]")), ErrMalformed)
		}
		if p.none == "" {
			continue
		}
		e := p.opened(t, text("%s", p.none))
		if got, err := p.ask(t.Context(), e); err != nil || !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s: %v, %v", p.name, got, err)
		}
	}
}

// A proper answer may say that a transaction or block does not exist; of an
// address or the tip it says nothing.
func TestProperNotFound(t *testing.T) {
	for _, p := range everyEndpoint() {
		if !p.absent {
			for _, handler := range p.subject.notFound {
				wantFailure(t, p, p.opened(t, handler), ErrRefused)
			}
			continue
		}
		proper := p.gone
		if proper == nil {
			proper = p.subject.notFound
		}
		for _, handler := range proper {
			e := p.opened(t, handler)
			wantFailure(t, p, e, ErrNotFound)
			if len(e.Pace.Failures()) != 0 || e.Pace.LastSuccess().IsZero() {
				t.Errorf("%s: a proper answer counts as failure: %v", p.name, e.Pace.Failures())
			}
		}
	}
}

// §1.10: addresses with too much history are refused, whatever the words.
func TestTooMuchHistoryIsRefused(t *testing.T) {
	for _, body := range []string{"Too many history entries", "Too many unspent transaction outputs (>500). Contact support to raise limits.", "TooBigHistory"} {
		e := opened(t, status(400, body))
		_, _, err := read(t, e)
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "ask another explorer") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// hijack takes the connection over and writes to it as it likes.
func hijack(write func(conn net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		write(conn)
	}
}

func TestBrokenConnections(t *testing.T) {
	for _, f := range []struct {
		name    string
		handler func(p endpoint) http.HandlerFunc
		kind    error
	}{
		{"closed without a word", func(endpoint) http.HandlerFunc { return hijack(func(net.Conn) {}) }, ErrUnavailable},
		{"reset", func(endpoint) http.HandlerFunc {
			return hijack(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })
		}, ErrUnavailable},
		{"cut off in the body", func(p endpoint) http.HandlerFunc {
			return hijack(func(c net.Conn) {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(p.good)+1, p.good)
			})
		}, ErrUnavailable},
		{"cut off between chunks", func(p endpoint) http.HandlerFunc {
			return hijack(func(c net.Conn) {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(p.good), p.good)
			})
		}, ErrUnavailable},
		{"gzip cut off", func(p endpoint) http.HandlerFunc {
			body := gzipped([]byte(p.good))
			return status(200, string(body[:len(body)-6]), "Content-Encoding", "gzip")
		}, ErrUnavailable},
		{"gzip damaged", func(p endpoint) http.HandlerFunc {
			body := gzipped([]byte(p.good))
			body[len(body)-6] ^= 1
			return status(200, string(body), "Content-Encoding", "gzip")
		}, ErrMalformed},
		{"no HTTP", func(endpoint) http.HandlerFunc {
			return hijack(func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") })
		}, ErrMalformed},
		{"two lengths", func(p endpoint) http.HandlerFunc {
			return hijack(func(c net.Conn) {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: %d\r\n\r\n%s", len(p.good), p.good)
			})
		}, ErrUnavailable},
		{"endless headers", func(endpoint) http.HandlerFunc {
			return hijack(func(c net.Conn) {
				io.WriteString(c, "HTTP/1.1 200 OK\r\n")
				for range 1 << 16 {
					if _, err := io.WriteString(c, "X-Filler: "+strings.Repeat("x", 100)+"\r\n"); err != nil {
						return
					}
				}
			})
		}, ErrMalformed},
	} {
		t.Run(f.name, func(t *testing.T) {
			for _, p := range everyEndpoint() {
				wantFailure(t, p, p.opened(t, f.handler(p)), f.kind)
			}
		})
	}
}

// A length announced as too short cuts the answer. Of the tip's height nobody
// can see it, and a height too low only looks like lagging.
func TestLengthTooShort(t *testing.T) {
	for _, p := range everyEndpoint() {
		if len(p.good) > 20 { // a height cut off is a height
			wantFailure(t, p, p.opened(t, hijack(func(c net.Conn) {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(p.good)-1, p.good)
			})), ErrMalformed)
		}
	}
}

func gzipped(data []byte) []byte {
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	w.Write(data)
	w.Close()
	return buffer.Bytes()
}

func TestGzipIsTaken(t *testing.T) {
	for _, p := range everyEndpoint() {
		e := p.opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("gzip was not asked for")
			}
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(gzipped([]byte(p.good)))
		}))
		if _, err := p.ask(t.Context(), e); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	for _, p := range everyEndpoint() {
		err := wantFailure(t, p, p.openedAt(t, "http://"+address), ErrUnavailable)
		if !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%s: %v", p.name, err)
		}
		e := p.openedAt(t, "http://explorer.invalid")
		e.client.http.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.DNSError{Err: "no such host", Name: "explorer.invalid", IsNotFound: true}
		}
		err = wantFailure(t, p, e, ErrUnavailable)
		if !strings.Contains(err.Error(), "does not resolve") {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

func TestBadTLS(t *testing.T) {
	for name, config := range map[string]*tls.Config{"unknown authority": {}, "TLS 1.1": {MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}} {
		for _, p := range everyEndpoint() {
			server := httptest.NewUnstartedServer(text("%s", p.good))
			server.TLS = config.Clone()
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.StartTLS()
			t.Cleanup(server.Close)
			err := wantFailure(t, p, p.openedAt(t, server.URL), ErrUnavailable)
			if !strings.Contains(err.Error(), "TLS") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// Neither side of a mix-up of http and https gives an answer.
	plain := httptest.NewServer(text("1"))
	t.Cleanup(plain.Close)
	err := wantFailure(t, endpoints()[0], openedAt(t, strings.Replace(plain.URL, "http:", "https:", 1)), ErrUnavailable)
	if !strings.Contains(err.Error(), "TLS") {
		t.Error(err)
	}
}

func TestGoodTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(text("77"))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	e := openedAt(t, server.URL)
	transport := e.client.http.Transport.(*http.Transport)
	if transport.TLSClientConfig.MinVersion != tls.VersionTLS12 || transport.TLSClientConfig.InsecureSkipVerify {
		t.Error("TLS is set loosely")
	}
	transport.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if height, err := e.Chain.Tip(t.Context()); err != nil || height != 77 {
		t.Errorf("%d, %v", height, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		for _, p := range everyEndpoint() {
			var followed atomic.Bool
			target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				followed.Store(true)
				io.WriteString(w, p.good)
			}))
			e := p.opened(t, http.RedirectHandler(target.URL+"/x", code))
			wantFailure(t, p, e, ErrRefused)
			target.Close()
			if followed.Load() {
				t.Errorf("%s: followed a %d", p.name, code)
			}
		}
	}
}

// Hanging before, in and after the headers, and dripping: the timeout is of the
// whole answer.
func TestSlowAnswersEndInTime(t *testing.T) {
	drip := func(p endpoint, from int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, p.good[:from])
			for {
				io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
	}
	var all sync.WaitGroup
	for _, p := range everyEndpoint() {
		for name, handler := range map[string]http.HandlerFunc{
			"hangs":            func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			"drips":            drip(p, 0),
			"drips at its end": drip(p, len(p.good)),
			"drips an error":   func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); drip(p, 0)(w, r) },
			"hangs in the body": func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(200)
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			},
		} {
			e := p.opened(t, handler, func(s *Settings) { s.Timeout = 200 * time.Millisecond })
			all.Go(func() {
				if err := wantFailure(t, p, e, ErrUnavailable); err == nil {
					t.Errorf("%s %s", p.name, name)
				}
			})
		}
	}
	all.Wait()
}

// 200 MB and more, with and without announcing it: the client hangs up, and its
// memory stays bounded.
func TestHugeBodiesAreNotRead(t *testing.T) {
	chunk := bytes.Repeat([]byte(" "), 64<<10)
	const whole = 200 << 20
	for _, announced := range []bool{true, false} {
		for _, p := range everyEndpoint() {
			var sent atomic.Int64
			done := make(chan struct{})
			e := p.opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				defer close(done)
				if announced {
					w.Header().Set("Content-Length", strconv.Itoa(whole))
				}
				for sent.Load() < whole {
					n, err := w.Write(chunk)
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			}))
			before := allocated()
			wantFailure(t, p, e, ErrMalformed)
			<-done
			if sent.Load() > 64<<20 {
				t.Errorf("%s: took in %d MB", p.name, sent.Load()>>20)
			}
			if used := allocated() - before; used > 100<<20 {
				t.Errorf("%s: allocated %d MB", p.name, used>>20)
			}
		}
	}
}

// A gzip bomb that unpacks to a well-formed empty list must not come to mean
// "none": the limit holds for what comes out.
func TestGzipBombIsNotUnpacked(t *testing.T) {
	bomb := gzipped(append(bytes.Repeat([]byte(" "), 64<<20), "[]"...))
	for _, p := range everyEndpoint() {
		before := allocated()
		wantFailure(t, p, p.opened(t, status(200, string(bomb), "Content-Encoding", "gzip")), ErrMalformed)
		if used := allocated() - before; used > 100<<20 {
			t.Errorf("%s: allocated %d MB", p.name, used>>20)
		}
	}
}

// The smallest things an answer can hold are many in 10 MB.
func TestManySmallThingsStayBounded(t *testing.T) {
	good := string(asJSON(stated(payment(5000))))
	for name, body := range map[string]string{
		"witness items": strings.Replace(good, `"sequence"`, `"witness":[`+strings.Repeat(`"",`, 3_000_000)+`""],"sequence"`, 1),
		"unknown lists": strings.Replace(good, "{", `{"x":[`+strings.Repeat(`[],`, 3_000_000)+`[]],`, 1),
		"unknown keys":  strings.Replace(good, "{", `{"x":[`+strings.Repeat(`{"a":{"b":{"c":{}}}},`, 400_000)+`{}],`, 1),
	} {
		e := opened(t, text("%s", body))
		before := allocated()
		tx, err := e.Transactions.Transaction(t.Context(), payment(5000).ID)
		if used := allocated() - before; used > 250<<20 { // in all, the reading of 10 MB itself being a third
			t.Errorf("%s: allocated %d MB", name, used>>20)
		}
		if (tx == nil) == (err == nil) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, %v", name, tx, err)
		}
	}
}

// allocated is all that was ever allocated, so that no collection hides a peak.
func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

var (
	firstKey = regexp.MustCompile(`\{"([a-z_]+)":`)
	aNumber  = regexp.MustCompile(`:(\d+)`)
	anAmount = regexp.MustCompile(`"value":\d+`)
	aHash    = regexp.MustCompile(`"[0-9a-f]{64}"`)
)

// Answers that are nearly right, made of the good ones.
func TestSpoiltJSON(t *testing.T) {
	for name, spoil := range map[string]func(good string) string{
		"duplicate key": func(s string) string { return firstKey.ReplaceAllString(s, `{"$1":null,"$1":`) },
		"duplicate key, escaped": func(s string) string {
			return firstKey.ReplaceAllStringFunc(s, func(found string) string {
				return fmt.Sprintf(`{"\u%04x%s1,%s`, found[2], found[3:], found[1:])
			})
		},
		"duplicate unknown key": func(s string) string { return strings.Replace(s, "{", `{"x":1,"x":2,`, 1) },
		"cut off":               func(s string) string { return s[:len(s)-1] },
		"cut in half":           func(s string) string { return s[:len(s)/2] },
		"something behind":      func(s string) string { return s + "x" },
		"another answer behind": func(s string) string { return s + s },
		"a comma too many":      func(s string) string { return s[:len(s)-1] + "," + s[len(s)-1:] },
		"a comma in front":      func(s string) string { return s[:1] + "," + s[1:] },
		"a byte order mark":     func(s string) string { return "\ufeff" + s },
		"single quotes":         func(s string) string { return strings.ReplaceAll(s, `"`, `'`) },
		"huge integers":         func(s string) string { return aNumber.ReplaceAllString(s, ":99999999999999999999") },
		"floats":                func(s string) string { return aNumber.ReplaceAllString(s, ":$1.0") },
		"exponents":             func(s string) string { return aNumber.ReplaceAllString(s, ":${1}e0") },
		"leading zeros":         func(s string) string { return aNumber.ReplaceAllString(s, ":0$1") },
		"numbers as strings":    func(s string) string { return aNumber.ReplaceAllString(s, `:"$1"`) },
		"numbers null":          func(s string) string { return aNumber.ReplaceAllString(s, ":null") },
		"another case of the key": func(s string) string {
			return strings.NewReplacer(`"vout":[`, `"Vout":[`, `"tx_count"`, `"TX_count"`, `"spent"`, `"Spent"`).Replace(s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range everyEndpoint() {
				spoilt := spoil(p.good)
				if p.json && spoilt != p.good {
					wantFailure(t, p, p.opened(t, text("%s", spoilt)), ErrMalformed)
				}
			}
		})
	}
}

func TestSpoiltAmountsAndHashes(t *testing.T) {
	for _, p := range everyEndpoint() {
		if p.subject.kind == "esplora" && anAmount.MatchString(p.good) {
			for amount, kind := range map[string]error{"-1": ErrMalformed, "2100000000000001": ErrLying, "null": ErrMalformed, "5001": ErrLying, `"5000"`: ErrMalformed, "9223372036854775807": ErrLying} {
				spoilt := strings.Replace(p.good, anAmount.FindAllString(p.good, -1)[1], `"value":`+amount, 1)
				wantFailure(t, p, p.opened(t, text("%s", spoilt)), kind)
			}
			// The amount spent is under what is paid.
			spoilt := strings.Replace(p.good, `"value":6000`, `"value":4999`, 1)
			wantFailure(t, p, p.opened(t, text("%s", spoilt)), ErrLying)
		}
		if p.json && aHash.MatchString(p.good) {
			for _, hash := range []string{`"00"`, `""`, `"` + strings.Repeat("g", 64) + `"`, `"` + strings.Repeat("0", 66) + `"`, "7", "null", "[]"} {
				spoilt := aHash.ReplaceAllString(p.good, hash)
				kinds := []error{ErrMalformed}
				if hash == `""` && p.empty {
					kinds = []error{ErrNotFound}
				}
				wantFailure(t, p, p.opened(t, text("%s", spoilt)), kinds...)
			}
		}
	}
}

// Every field that we need, left out and null in turn, in every answer; the
// lists of what may be missing are by hand.
func TestMissingFieldIsMalformed(t *testing.T) {
	for _, p := range everyEndpoint() {
		if !p.json {
			continue
		}
		for _, path := range fields(t, p.good) {
			is := func(names []string) bool { return slices.ContainsFunc(names, named(path)) }
			for _, null := range []bool{false, true} {
				e := p.opened(t, text("%s", without(t, p.good, path, null)))
				if null && is(p.subject.nullable) || !null && is(p.subject.optional) {
					if _, err := p.ask(t.Context(), e); err != nil {
						t.Errorf("%s: without %v (null: %v): %v", p.name, path, null, err)
					}
					continue
				}
				kind := ErrMalformed
				if !null && is(p.subject.zero) {
					kind = ErrLying
				}
				if err := wantFailure(t, p, e, kind); err == nil {
					t.Errorf("%s: without %v (null: %v)", p.name, path, null)
				}
			}
		}
	}
}

// named says whether a path ends in a name; a longer one has dots.
func named(path []string) func(name string) bool {
	var keys []string
	for _, key := range path {
		if _, err := strconv.Atoi(key); err != nil {
			keys = append(keys, key)
		}
	}
	dotted := "." + strings.Join(keys, ".")
	return func(name string) bool { return strings.HasSuffix(dotted, "."+name) }
}

// fields gives the path of every key of a JSON text; indexes are decimal.
func fields(t *testing.T, text string) (paths [][]string) {
	var walk func(at []string, v any)
	walk = func(at []string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, item := range v {
				path := append(append([]string{}, at...), key)
				paths = append(paths, path)
				walk(path, item)
			}
		case []any:
			for i, item := range v {
				walk(append(append([]string{}, at...), strconv.Itoa(i)), item)
			}
		}
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	walk(nil, v)
	return paths
}

func without(t *testing.T, text string, path []string, null bool) string {
	var v any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	at := v
	for _, key := range path[:len(path)-1] {
		if list, ok := at.([]any); ok {
			i, _ := strconv.Atoi(key)
			at = list[i]
		} else {
			at = at.(map[string]any)[key]
		}
	}
	if delete(at.(map[string]any), path[len(path)-1]); null {
		at.(map[string]any)[path[len(path)-1]] = nil
	}
	return string(asJSON(v))
}

// Cutting a good answer at any place gives no answer.
func TestTruncatedAnywhere(t *testing.T) {
	for _, p := range everyEndpoint() {
		if !p.json {
			continue
		}
		if len(p.before)+len(p.after) > 0 {
			for n := 0; n < len(p.good); n += 7 {
				wantFailure(t, p, p.opened(t, text("%s", p.good[:n])), ErrMalformed)
			}
			continue
		}
		var at atomic.Int64
		e := p.opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, p.good[:at.Load()]) }))
		for ; at.Load() < int64(len(p.good)); at.Add(7) {
			wantFailure(t, p, e, ErrMalformed)
		}
	}
}

func TestOtherThanAsked(t *testing.T) {
	other := confirmed(payment(123), 5)
	other.Msg.TxOut[0].PkScript = []byte{0x52}
	other.ID = other.Msg.TxHash()
	unresolved := *other
	unresolved.Spent = []*wire.TxOut{nil}
	spending := *other
	spending.Spent = []*wire.TxOut{{Value: 9999, PkScript: watched().Script}}
	e := opened(t, text("%s", listed([]*chain.Transaction{other})))
	_, _, err := e.Addresses.Mempool(t.Context(), watched())
	if _, _, err2 := read(t, e); !errors.Is(err, ErrLying) || !errors.Is(err2, ErrLying) {
		t.Errorf("one that does not touch the address: %v, %v", err, err2)
	}
	for _, tx := range []*chain.Transaction{&unresolved, &spending} {
		e := opened(t, text("%s", listed([]*chain.Transaction{tx})))
		if txs, _, err := e.Addresses.Mempool(t.Context(), watched()); err != nil || len(txs) != 1 {
			t.Errorf("one that may or does spend: %d, %v", len(txs), err)
		}
	}
	e = opened(t, text("%s", asJSON(stated(other))))
	if tx, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{9}); tx != nil || !errors.Is(err, ErrLying) {
		t.Errorf("another transaction: %v", err)
	}
	counters := strings.Replace(endpoints()[3].good, watched().Text, "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG", 1)
	if got, err := opened(t, text("%s", counters)).Addresses.Counters(t.Context(), watched()); got != (Counters{}) || !errors.Is(err, ErrLying) {
		t.Errorf("another address: %v, %v", got, err)
	}
	forged := strings.Replace(string(asJSON(stated(other))), other.ID.String(), strings.Repeat("ab", 32), 1)
	if _, err := opened(t, text("%s", forged)).Transactions.Transaction(t.Context(), txid(t, strings.Repeat("ab", 32))); !errors.Is(err, ErrLying) {
		t.Errorf("a forged txid: %v", err)
	}
}
