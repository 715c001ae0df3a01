package chaintest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// ElectrumFlavour is which software an Electrum server resembles, where they
// differ.
type ElectrumFlavour int

const (
	// ElectrumX: errors are objects with codes, transactions can be asked for
	// verbosely, protocol 1.4.
	ElectrumX ElectrumFlavour = iota
	// EsploraElectrum is the Electrum side of Esplora's electrs: errors are
	// texts, nothing verbose, no get_mempool, histories of up to 500.
	EsploraElectrum
	// Fulcrum: protocol 1.6, in which headers are a list.
	Fulcrum
)

// Electrum is a server of the Electrum protocol over a Node or a Chain. Every
// question first brings it up to date, unless it is frozen. Set the fields
// before the first connection.
type Electrum struct {
	// Faults changes answers on order and counts questions. The path of a
	// question is its method: "/blockchain.block.header". Drop does nothing.
	Faults *Faults
	// Flavour is the software it resembles.
	Flavour ElectrumFlavour
	// TLS is for connections by TLS; nil: TCP alone.
	TLS *tls.Config
	// Notices is how often it looks whether there is something to tell whoever
	// wished to be told; 0: it takes the wish and never tells.
	Notices time.Duration
	// MostWishes is how many addresses a connection may wish to be told of; 0: any.
	MostWishes int

	esplora *Esplora // follows the source
}

// NewElectrum makes a server over a source.
func NewElectrum(source Source, params *chaincfg.Params) *Electrum {
	return &Electrum{Faults: NewFaults(), esplora: NewEsplora(source, params)}
}

// Freeze keeps the server at what the source shows now.
func (e *Electrum) Freeze() { e.esplora.Freeze() }

// Thaw ends Freeze.
func (e *Electrum) Thaw() { e.esplora.Thaw() }

// Serve listens on a free port of 127.0.0.1. stop ends all connections and waits
// until none is left.
func (e *Electrum) Serve() (url string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // a machine without loopback can run no test of this kind
	}
	address, scheme := listener.Addr().String(), "tcp"
	if e.TLS != nil {
		listener, scheme = tls.NewListener(listener, e.TLS), "ssl"
	}
	ctx, cancel := context.WithCancel(context.Background())
	handler := e.Faults.Wrap(http.HandlerFunc(e.answer))
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // stopped
			}
			serving.Go(func() { e.serveLines(ctx, conn, handler) })
		}
	})
	return scheme + "://" + address, func() {
		cancel()
		_ = listener.Close() // it only has to end Accept
		serving.Wait()
	}
}

// serveLines answers one connection, a line after the other, until the client
// leaves or a fault closes it.
func (e *Electrum) serveLines(ctx context.Context, conn net.Conn, handler http.Handler) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wishes := &wishes{conn: conn, scripts: map[string]string{}}
	ctx = context.WithValue(ctx, wishesKey{}, wishes)
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the reading too
	defer stop()
	asked := make(chan string)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer conn.Close()
	reading.Go(func() {
		defer cancel() // who left waits for no answer
		lines := bufio.NewScanner(conn)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			select {
			case asked <- lines.Text():
			case <-ctx.Done():
				return
			}
		}
	})
	tick := make(<-chan time.Time)
	if e.Notices > 0 {
		ticker := time.NewTicker(e.Notices)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-tick:
			if !e.tell(ctx, wishes) {
				return
			}
		case line := <-asked:
			if !serveLine(ctx, conn, handler, line) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// serveLine answers one line through the faults, which know requests of HTTP:
// it becomes one, and a reply of HTTP a line. A fault that cuts a reply off
// closes the connection.
func serveLine(ctx context.Context, conn net.Conn, handler http.Handler, line string) (more bool) {
	var asked lineCall
	if json.Unmarshal([]byte(line), &asked) != nil {
		return false
	}
	at := &url.URL{Path: "/" + asked.Method, RawQuery: url.QueryEscape(string(asked.Params))}
	request := (&http.Request{Method: http.MethodPost, URL: at, Header: http.Header{}}).WithContext(context.WithValue(ctx, lineKey{}, asked))
	kept := &keptAnswer{header: http.Header{}}
	defer func() {
		if broken := recover(); broken != nil {
			if err, ok := broken.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(broken)
			}
			_, _ = conn.Write(kept.body.Bytes()) // the half that a fault leaves
			more = false
		}
	}()
	handler.ServeHTTP(kept, request)
	_, err := conn.Write(append(kept.body.Bytes(), '\n'))
	return err == nil
}

// lineCall is a line that asks something.
type lineCall struct {
	ID     json.RawMessage
	Method string
	Params json.RawMessage
}

type lineKey struct{}

// answer answers one call.
func (e *Electrum) answer(w http.ResponseWriter, r *http.Request) {
	asked, _ := r.Context().Value(lineKey{}).(lineCall)
	e.esplora.refresh(r.Context())
	e.esplora.index.mu.RLock()
	result, err := e.result(r.Context(), asked)
	e.esplora.index.mu.RUnlock()
	reply := map[string]any{"jsonrpc": "2.0", "id": asked.ID}
	var refused *electrumError
	switch {
	case errors.As(err, &refused) && e.Flavour == EsploraElectrum:
		reply["error"] = refused.Message
	case errors.As(err, &refused):
		reply["error"] = refused
	case err != nil:
		reply["error"] = &electrumError{2, err.Error()}
	default:
		reply["result"] = result
	}
	text, err := json.Marshal(reply)
	if err != nil {
		panic(err) // results are made of strings and numbers
	}
	_, _ = w.Write(text)
}

type electrumError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *electrumError) Error() string { return e.Message }
