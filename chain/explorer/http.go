package explorer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

// How large an answer may be, after decompression. A block is at most 4 MB by
// consensus (4,000,000 weight units, one a witness byte).
const (
	textLimit   = 64 << 10
	jsonLimit   = 10 << 20
	blockLimit  = 4_100_000
	headerLimit = 64 << 10
)

// errTooLarge tells an answer that is larger than expected from one that cannot
// be understood: less may be asked for.
var errTooLarge = errors.New("the answer is too large")

const defaultTimeout = 30 * time.Second

// client asks one explorer, one question at a time.
type client struct {
	name    string
	base    *url.URL // without credentials and trailing slash
	user    *url.Userinfo
	cookie  string // a file with USER:PASSWORD; empty: none
	agent   string
	timeout time.Duration
	http    *http.Client
	pace    *Pace
	turns   turns  // one request at a time
	lines   *lines // in the place of HTTP; nil: HTTP

	software atomic.Pointer[string] // what it calls itself; nil: not told
}

// question is one request: in words for messages, and as a path (escaped,
// beginning with a slash) after the base address.
type question struct {
	words  string
	path   string
	calls  []call // in the place of the path, for JSON-RPC
	limit  int64  // bytes of the answer
	absent bool   // a 404 can mean that what was asked for does not exist
	urgent bool   // goes before those that wait
	reason reason // how this kind of explorer words an unsuccessful answer; nil: as most do
}

// leaves is the share of the budget that is kept for what matters more.
func (q question) leaves() float64 {
	if q.urgent {
		return 0
	}
	return blocksShare
}

// reason reads an unsuccessful answer, whose body comes in lower case; a nil
// kind leaves it to the rules for all.
type reason func(status int, text string, absent bool) (detail string, kind error)

func newClient(s Settings, k kind) (*client, error) {
	base, user, err := readURL(s.URL, k.schemes)
	if err != nil {
		return nil, err
	}
	if err := checkNumbers(s); err != nil {
		return nil, err
	}
	transport, err := newTransport(s)
	if err != nil {
		return nil, err
	}
	if user, err = credentials(s, user); err != nil {
		return nil, err
	}
	c := &client{name: s.Name, base: base, user: user, cookie: s.CookieFile, agent: s.UserAgent, timeout: s.Timeout,
		pace: newPace(s.RequestsPerSecond)}
	c.pace.budget = s.Budget
	if c.agent == "" {
		c.agent = userAgent()
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if slices.Contains(k.schemes, "tcp") {
		if c.lines, err = newLines(s, base); err != nil {
			return nil, err
		}
	}
	// No Jar: cookies would let an explorer follow one watcher through the
	// changing addresses of a proxy.
	c.http = &http.Client{Transport: transport, CheckRedirect: refuseRedirect}
	return c, nil
}

// refuseRedirect hands the redirect itself back, to be refused as an answer: a
// watched address must not go to a host nobody configured.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func userAgent() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return "btcwatch/" + info.Main.Version
	}
	return "btcwatch"
}

// ask sends a question and reads its answer; whatever goes wrong comes back as
// an *Error of its kind, counted, or as the end of ctx.
func ask[T any](ctx context.Context, c *client, q question, read func(body []byte) (T, error)) (T, error) {
	var none T
	body, err := c.fetch(ctx, q)
	if err != nil {
		return none, c.about(q, err)
	}
	answer, err := read(body)
	if err != nil {
		return none, c.about(q, c.count(err))
	}
	c.pace.succeeded()
	return answer, nil
}

// about adds to an error who was asked what.
func (c *client) about(q question, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return fmt.Errorf("fetch %s from %s: %w", q.words, c.name, err)
	}
	e.Explorer, e.Question = c.name, q.words
	return e
}

// count counts an error of a question that was sent, and gives it back.
func (c *client) count(err error) error {
	if errors.Is(err, ErrNotFound) {
		c.pace.succeeded()
	} else {
		c.pace.failed(err)
	}
	return err
}

// fetch waits for its turn and gives the body of the answer.
func (c *client) fetch(ctx context.Context, q question) ([]byte, error) {
	if err := c.turns.take(ctx, q.urgent); err != nil {
		return nil, err
	}
	defer c.turns.give()
	if err := c.pace.pausing(); err != nil {
		return nil, err
	}
	if c.lines != nil {
		if err := c.lines.resting(c.pace); err != nil {
			return nil, err
		}
	}
	if err := c.pace.afford(q.leaves(), c.mostRequests()); err != nil {
		return nil, err
	}
	if err := c.pace.wait(ctx); err != nil {
		return nil, err
	}
	c.pace.sent()
	body, err := c.exchange(ctx, q)
	if err != nil {
		return nil, c.count(err)
	}
	return body, nil
}

// mostRequests is how many requests a question may take: over a connection that
// turns out to be closed, it is put again after a new hello.
func (c *client) mostRequests() int64 {
	if c.lines != nil {
		return 3
	}
	return 1
}

// exchange is one request and its whole answer, within the timeout.
func (c *client) exchange(ctx context.Context, q question) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if c.lines != nil {
		return c.lines.exchange(limited, ctx, c, q)
	}
	req, err := c.request(limited, q)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	defer res.Body.Close()
	if body, ok := callError(res, q); ok {
		return body, nil
	}
	if res.StatusCode != http.StatusOK {
		return nil, c.unsuccessful(res, q)
	}
	if err := checkHeader(res.Header); err != nil {
		return nil, err
	}
	return c.body(ctx, res, q.limit)
}

// request makes the request of a question, with the credentials.
func (c *client) request(ctx context.Context, q question) (*http.Request, error) {
	method, content := http.MethodGet, io.Reader(nil)
	if len(q.calls) > 0 {
		method, content = http.MethodPost, bytes.NewReader(encode(q.calls, firstID))
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base.String()+q.path, content)
	if err != nil {
		return nil, &Error{Kind: ErrRefused, Detail: "the question makes no valid request"}
	}
	req.Header.Set("User-Agent", c.agent)
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
		// All our calls only read: one that met a connection which the node has
		// just closed, as idle ones are, may go out again. It is not sent.
		req.Header["X-Idempotency-Key"] = nil
	}
	user, err := c.userinfo()
	if err != nil {
		return nil, err
	}
	if user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	return req, nil
}

// body reads the answer, which the transport has already decompressed and
// whose announced length it checks.
func (c *client) body(ctx context.Context, res *http.Response, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, c.broken(ctx, err)
	}
	if int64(len(body)) > limit {
		return nil, &Error{Kind: ErrMalformed, Detail: fmt.Sprintf("the answer is larger than %d bytes", limit), cause: errTooLarge}
	}
	return body, nil
}

// close lets go of connections that nobody uses at the moment.
func (c *client) close() {
	c.http.CloseIdleConnections()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	if c.lines == nil || c.turns.take(now, true) != nil {
		return
	}
	defer c.turns.give()
	c.lines.close()
}
