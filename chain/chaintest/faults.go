package chaintest

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is what goes wrong with an answer. Delay comes first; then the first
// of Hang, Close, Status or Body that is set takes the place of the server's
// answer; what else is set changes the answer, in the order of the fields.
type Fault struct {
	Delay  time.Duration // how long until anything else
	Hang   bool          // no answer until the client leaves or the fault is cleared
	Close  bool          // the connection is closed without an answer
	Status int           // 0 with a Body: 200
	Header http.Header   // beside those of the answer, or of the replaced answer
	Body   []byte

	Drop     string                                // the transaction with this id is left out: of lists, and as 404 of its own
	Rewrite  func(path string, body []byte) []byte // makes another body of the true one
	Truncate bool                                  // half of the body, under the length of the whole

	Times int // how many requests it meets; 0: all
}

// HTML is a fault that answers 200 with a page for people, as proxies do.
func HTML() Fault {
	return Fault{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}},
		Body:   []byte("<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"),
	}
}

// TooMany is a 429 with a Retry-After, in seconds.
func TooMany(retryAfter int) Fault {
	return Fault{
		Status: http.StatusTooManyRequests,
		Header: http.Header{"Retry-After": {strconv.Itoa(retryAfter)}, "Content-Type": {"text/plain"}},
		Body:   []byte("Too Many Requests"),
	}
}

// Faults stands before a handler, changes its answers on order and keeps a log
// of what was asked. It is safe for concurrent use and changes at once, also
// for requests that hang.
//
// A pattern is a path in which * stands for one part, and a last part ** for
// any rest: "/address/*/txs/**", or "/**" for all.
type Faults struct {
	mu      sync.Mutex
	set     []*standing
	down    bool
	log     []string      // method, path and query of each request
	changed chan struct{} // closed and renewed at each change of any of these
}

// standing is a fault that is in force.
type standing struct {
	pattern string
	fault   Fault
	left    int // requests, when the fault has Times
	cleared chan struct{}
}

// NewFaults has no fault.
func NewFaults() *Faults { return &Faults{changed: make(chan struct{})} }

// Set puts a fault in force for the paths of a pattern, in the place of an
// older one with the same pattern. Where several patterns match, the newest
// fault that is in force is met.
func (f *Faults) Set(pattern string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clear(pattern)
	f.set = append(f.set, &standing{pattern, fault, fault.Times, make(chan struct{})})
	f.notify()
}

// Clear ends the fault of a pattern.
func (f *Faults) Clear(pattern string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clear(pattern)
	f.notify()
}

// ClearAll ends all faults and the being down. The log stays.
func (f *Faults) ClearAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.set) > 0 {
		f.clear(f.set[0].pattern)
	}
	f.down = false
	f.notify()
}

func (f *Faults) clear(pattern string) {
	for i, s := range f.set {
		if s.pattern == pattern {
			close(s.cleared)
			f.set = append(f.set[:i:i], f.set[i+1:]...)
			return
		}
	}
}

// SetDown makes every connection close without an answer, before any fault.
func (f *Faults) SetDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
	f.notify()
}

// Requests is the log: "GET /path?query" for each request, oldest first, also
// for those that met a fault.
func (f *Faults) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.log...)
}

// Count is how many requests matched a pattern.
func (f *Faults) Count(pattern string) int {
	n := 0
	for _, request := range f.Requests() {
		_, asked, _ := strings.Cut(request, " ")
		asked, _, _ = strings.Cut(asked, "?")
		if matches(pattern, asked) {
			n++
		}
	}
	return n
}

// Forget empties the log.
func (f *Faults) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = nil
}

// Await waits until n requests matched a pattern.
func (f *Faults) Await(ctx context.Context, pattern string, n int) error {
	for {
		f.mu.Lock()
		changed := f.changed
		f.mu.Unlock()
		if f.Count(pattern) >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *Faults) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// Wrap puts the faults before a handler.
func (f *Faults) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := f.meet(r)
		if s == nil {
			next.ServeHTTP(w, r)
			return
		}
		s.serve(w, r, next)
	})
}

// meet notes a request and gives the fault that it meets, or nil.
func (f *Faults) meet(r *http.Request) *standing {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, r.Method+" "+r.URL.RequestURI())
	f.notify()
	if f.down {
		return &standing{fault: Fault{Close: true}}
	}
	for i := len(f.set) - 1; i >= 0; i-- {
		s := f.set[i]
		if !matches(s.pattern, r.URL.Path) || s.fault.Times > 0 && s.left == 0 {
			continue
		}
		s.left--
		return s
	}
	return nil
}

func (s *standing) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if s.fault.Delay > 0 {
		s.wait(r, time.After(s.fault.Delay))
	}
	switch {
	case s.fault.Hang:
		s.wait(r, nil)
		panic(http.ErrAbortHandler) // nobody who hung gets an answer
	case s.fault.Close:
		panic(http.ErrAbortHandler) // net/http closes the connection and says nothing
	case s.fault.Status != 0 || s.fault.Body != nil:
		maps.Copy(w.Header(), s.fault.Header)
		w.WriteHeader(max(http.StatusOK, s.fault.Status))
		_, _ = w.Write(s.fault.Body)
	default:
		s.alter(w, r, next)
	}
}

// wait ends with the client, with the fault, or in time.
func (s *standing) wait(r *http.Request, until <-chan time.Time) {
	select {
	case <-r.Context().Done():
	case <-s.cleared:
	case <-until:
	}
}

// alter lets the server answer and changes the answer.
func (s *standing) alter(w http.ResponseWriter, r *http.Request, next http.Handler) {
	kept := &keptAnswer{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(kept, r)
	status, body := kept.status, kept.body.Bytes()
	if s.fault.Drop != "" {
		status, body = drop(s.fault.Drop, r.URL.Path, status, body)
	}
	if s.fault.Rewrite != nil {
		body = s.fault.Rewrite(r.URL.Path, body)
	}
	maps.Copy(w.Header(), kept.header)
	maps.Copy(w.Header(), s.fault.Header)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if s.fault.Truncate {
		body = body[:len(body)/2]
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
	if s.fault.Truncate {
		_ = http.NewResponseController(w).Flush() // or the half would not leave either
		panic(http.ErrAbortHandler)
	}
}

// keptAnswer holds an answer back. httptest has the like, but would put a flag
// into every program that uses this package.
type keptAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *keptAnswer) Header() http.Header         { return k.header }
func (k *keptAnswer) WriteHeader(status int)      { k.status = status }
func (k *keptAnswer) Write(p []byte) (int, error) { return k.body.Write(p) }

// drop takes a transaction out of an answer: as if it had never been.
func drop(id, asked string, status int, body []byte) (int, []byte) {
	if strings.HasPrefix(asked, "/tx/"+id) {
		return http.StatusNotFound, []byte("Transaction not found")
	}
	var list []json.RawMessage
	if json.Unmarshal(body, &list) != nil {
		return status, body
	}
	kept := []json.RawMessage{}
	for _, item := range list {
		var tx struct {
			TxID string `json:"txid"`
		}
		named := json.Unmarshal(item, &tx) == nil && tx.TxID == id
		if !named && string(item) != strconv.Quote(id) {
			kept = append(kept, item)
		}
	}
	less, err := json.Marshal(kept)
	if err != nil {
		return status, body
	}
	return status, less
}

func matches(pattern, asked string) bool {
	if rest, ok := strings.CutSuffix(pattern, "**"); ok {
		depth := strings.Count(rest, "/")
		parts := strings.SplitAfterN(asked, "/", depth+1)
		if len(parts) <= depth {
			return false
		}
		pattern, asked = rest, strings.Join(parts[:depth], "")
	}
	ok, err := path.Match(pattern, asked)
	return ok && err == nil
}
