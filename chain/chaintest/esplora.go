package chaintest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// Flavour is which software an Esplora server resembles, where two differ.
type Flavour int

const (
	// MempoolElectrs is mempool/electrs 3.1, behind mempool.space: /txs gives
	// every unconfirmed transaction twice and 50 in all, transactions have
	// sigops, and pages need not be in order (see Esplora.Unordered).
	MempoolElectrs Flavour = iota
	// BlockstreamElectrs is Blockstream/electrs, behind blockstream.info: /txs
	// gives up to 50 unconfirmed and then 25 confirmed ones; no sigops.
	BlockstreamElectrs
)

// Esplora is an HTTP server in the shape of Esplora's, over a Node or a Chain,
// with electrs' quirks. Every request first brings it up to date, unless it is
// frozen. Set the fields before the first request.
type Esplora struct {
	// Faults changes answers on order and counts requests.
	Faults *Faults
	// Flavour is the software it resembles.
	Flavour Flavour
	// Unordered turns the pages of confirmed transactions around, oldest
	// first: mempool/electrs promises a page's set and not its order.
	Unordered bool
	// Patience is how long a request waits for the source before it is
	// answered from what is known, as real servers do with a hung node; 5 s.
	Patience time.Duration
	// Prices is what mempool.space's price service says; nil: there is none, as
	// with the Esplora servers of others.
	Prices *Prices

	source Source
	params *chaincfg.Params
	index  *index

	turn chan struct{} // held by who syncs
	sync struct {
		started time.Time // of the last sync that succeeded
		failed  bool
	}
	freeze struct {
		sync.RWMutex
		on bool
	}
	routes http.Handler
	render *renderer
	once   sync.Once
}

// NewEsplora makes a server over a source, with the addresses of a network.
func NewEsplora(source Source, params *chaincfg.Params) *Esplora {
	return &Esplora{
		Faults:   NewFaults(),
		Patience: 5 * time.Second,
		source:   source,
		params:   params,
		index:    newIndex(),
		turn:     make(chan struct{}, 1),
	}
}

// Serve listens on a free port of 127.0.0.1. stop ends all connections.
func (e *Esplora) Serve() (url string, stop func()) { return Serve(e) }

// Serve listens on a free port of 127.0.0.1 for any handler; Faults.Wrap puts
// faults before one. stop ends all connections and waits for the listener.
func Serve(handler http.Handler) (url string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err) // a machine without loopback can run no test of this kind
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return "http://" + listener.Addr().String(), func() {
		_ = server.Close() // it closes the listener, about which nobody cares any more
		<-done
	}
}

// ServeHTTP answers a request, through the faults.
func (e *Esplora) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.once.Do(func() {
		e.render = &renderer{params: e.params, asm: newAssembler(), sigops: e.Flavour == MempoolElectrs}
		e.routes = e.Faults.Wrap(e.handler())
	})
	e.routes.ServeHTTP(w, r)
}

// Sync brings the server up to date, or says why that cannot be done.
func (e *Esplora) Sync(ctx context.Context) error {
	return e.update(ctx, time.Now())
}

// Freeze keeps the server at what the source shows now: a stale explorer that
// goes on answering.
func (e *Esplora) Freeze() {
	e.refresh(context.Background())
	e.freeze.Lock()
	defer e.freeze.Unlock()
	e.freeze.on = true
}

// Thaw ends Freeze.
func (e *Esplora) Thaw() {
	e.freeze.Lock()
	defer e.freeze.Unlock()
	e.freeze.on = false
}

func (e *Esplora) refresh(ctx context.Context) {
	e.freeze.RLock()
	frozen := e.freeze.on
	e.freeze.RUnlock()
	if frozen {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, e.Patience)
	defer cancel()
	_ = e.update(ctx, time.Now()) // an explorer whose node is gone answers what it has
}

// update syncs, unless another sync began after the request did.
func (e *Esplora) update(ctx context.Context, asked time.Time) error {
	select {
	case e.turn <- struct{}{}:
		defer func() { <-e.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if e.sync.started.After(asked) {
		return nil
	}
	started := time.Now()
	err := e.knock(ctx)
	if err == nil {
		err = e.index.sync(ctx, e.source)
	}
	e.sync.failed = err != nil
	if err == nil {
		e.sync.started = started
	}
	return err
}

// knock asks a source that failed for little and for a short time, so that a
// hung node costs its explorer's clients hardly anything.
func (e *Esplora) knock(ctx context.Context) error {
	if !e.sync.failed {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, min(e.Patience, 100*time.Millisecond))
	defer cancel()
	_, _, err := e.source.Best(ctx)
	return err
}
