package explorer

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest"
)

// subject is what the kit has to know of a kind.
type subject struct {
	kind string
	// can names every capability that the kind has.
	can string
	// serve starts a server of that kind over the scene's chain, behind the wire,
	// and gives the settings that lead to it.
	serve func(t *testing.T, s *scene, w *badWire) Settings
	// bareKeys: what was paid to a bare public key is listed at the address of
	// that key. Kinds differ in that, and neither is wrong.
	bareKeys bool
	// lightSpends: who spends is known in blocks only, by the height and not the
	// block.
	lightSpends bool
	// oneHeader: an answer holds no more.
	oneHeader bool
	// endpoints gives each question with the answer that is right, for the faults
	// of HTTP; nil for a kind that does not speak it, whose own tests have as many.
	endpoints func() []endpoint
	// notFound are the answers that properly say: it does not exist.
	notFound []http.HandlerFunc
	// optional may be missing in an answer, nullable may be null; zero is left out
	// where it is zero, which contradicts the rest of the answer. Names may be
	// longer: vin.value.
	optional, nullable, zero []string
}

// subjects has a line for every kind of explorer.
func subjects() []subject {
	return []subject{
		{kind: "esplora", can: "Chain Blocks Headers Addresses Transactions Spends Proofs Prices", serve: serveEsplora, endpoints: endpoints, notFound: esploraNotFound(),
			optional: []string{"prevout", "witness", "is_coinbase", "size", "weight", "fee", "sigops", "scriptpubkey_asm"},
			nullable: []string{"prevout", "fee", "sigops", "scriptpubkey_asm"}},
		{kind: "electrum", can: "Chain Headers Addresses Transactions Proofs Hints", serve: serveElectrum},
		{kind: "node", can: "Chain Blocks Headers Transactions", serve: serveBitcoind, endpoints: nodeEndpoints, notFound: nodeNotFound(),
			optional: []string{"jsonrpc", "error"}, nullable: []string{"jsonrpc", "error"}},
		blockbookSubject(),
		infoSubject(),
	}
}

func serveEsplora(t *testing.T, s *scene, w *badWire) Settings {
	server := chaintest.NewEsplora(s.chain, s.chain.Params())
	server.Prices = scenePrices()
	return Settings{Kind: "esplora", URL: overHTTP(t, w, server)}
}

func esploraNotFound() (all []http.HandlerFunc) {
	for _, body := range []string{"Transaction not found", "Block not found", `{"error":"No such mempool or blockchain transaction"}`} {
		all = append(all, status(404, body, "Content-Type", "text/plain"))
	}
	return all
}

// everyEndpoint gives the questions of every kind that speaks HTTP.
func everyEndpoint() (all []endpoint) {
	for _, s := range subjects() {
		if s.endpoints == nil {
			continue
		}
		for _, p := range s.endpoints() {
			p.subject, p.name = s, s.kind+" "+p.name
			all = append(all, p)
		}
	}
	return all
}

// opened is an explorer of the endpoint's kind, whose question the handler
// answers; the questions that lead up to it and follow it get their right
// answers.
func (p endpoint) opened(t testing.TB, handler http.Handler, change ...func(*Settings)) *Explorer {
	t.Helper()
	var mu sync.Mutex
	asked, faulted := 0, ""
	turn := func(request string) int {
		mu.Lock()
		defer mu.Unlock()
		if asked > len(p.before) && request == faulted {
			return len(p.before) // the transport sends again what met a closed connection
		}
		asked++
		if asked == len(p.before)+1 {
			faulted = request
		}
		return asked - 1
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // only then does the server see that a client leaves
		switch n := turn(r.RequestURI + string(body)); {
		case n < len(p.before):
			io.WriteString(w, p.before[n])
		case n > len(p.before) && n-len(p.before) <= len(p.after):
			io.WriteString(w, p.after[n-len(p.before)-1])
		default:
			handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return p.openedAt(t, server.URL, change...)
}

func (p endpoint) openedAt(t testing.TB, url string, change ...func(*Settings)) *Explorer {
	t.Helper()
	kind := func(s *Settings) { s.Kind = p.subject.kind }
	return openedAt(t, url, append([]func(*Settings){kind}, change...)...)
}

// badWire stands between an explorer and an honest server and changes what
// passes, on order.
type badWire struct {
	mu      sync.Mutex
	asks    func(string) string // what the server is made to understand
	answers func(string) string // what the explorer is made to read
	limited bool                // every question is one too many
	spoilt  int                 // how many answers came out other than they went in
}

// lie sets what the wire does from now on; nil changes nothing.
func (w *badWire) lie(asks, answers func(string) string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asks, w.answers = asks, answers
}

func (w *badWire) limit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limited = true
}

// ask gives what reaches the server; false where it says "too often".
func (w *badWire) ask(text string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asks != nil {
		text = w.asks(text)
	}
	return text, !w.limited
}

// answer gives what reaches the explorer.
func (w *badWire) answer(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answers == nil {
		return text
	}
	changed := w.answers(text)
	if changed != text {
		w.spoilt++
	}
	return changed
}

func (w *badWire) spoils() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.spoilt
}

// overHTTP puts the wire before a handler and gives the address.
func overHTTP(t *testing.T, w *badWire, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		path, ok := w.ask(r.URL.RequestURI())
		text, _ := w.ask(string(body))
		if !ok {
			rw.Header().Set("Retry-After", "120")
			http.Error(rw, "Too Many Requests", http.StatusTooManyRequests)
			return
		}
		at, err := url.ParseRequestURI(path)
		if err != nil {
			t.Errorf("a path that cannot be read: %s", path)
			return
		}
		asked := r.Clone(r.Context())
		asked.URL, asked.RequestURI = at, path
		asked.Body, asked.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		kept := httptest.NewRecorder()
		handler.ServeHTTP(kept, asked)
		for key, values := range kept.Header() {
			if key != "Content-Length" {
				rw.Header()[key] = values
			}
		}
		rw.WriteHeader(kept.Code)
		io.Copy(rw, bytes.NewBufferString(w.answer(kept.Body.String())))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// open is an explorer of a kind over a scene, with the wire between them.
func (s subject) open(t *testing.T, over *scene, w *badWire) *Explorer {
	t.Helper()
	settings := s.serve(t, over, w)
	settings.Name = "witness"
	e, err := Open(settings, &chaincfg.RegressionNetParams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}
