package explorer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// hashOf spells a script as the protocol does, by another way than the adapter.
func hashOf(script []byte) string {
	hash := sha256.Sum256(script)
	return hex.EncodeToString(reversed(hash[:]))
}

// listening is a feed of a server.
func listening(t *testing.T, e *Explorer) *Feed {
	t.Helper()
	feed, err := e.Hints.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(feed.Close)
	return feed
}

// next demands a hint.
func next(t *testing.T, feed *Feed) Hint {
	t.Helper()
	hint, err := feed.Next()
	if err != nil {
		t.Fatal(err)
	}
	return hint
}

// Every flavour tells of a payment, of a block, and of nothing that was not
// wished for; the status is that of the history as it was built.
func TestFeedTellsOfPaymentsAndBlocks(t *testing.T) {
	for _, flavour := range []chaintest.ElectrumFlavour{chaintest.ElectrumX, chaintest.EsploraElectrum, chaintest.Fulcrum} {
		s := newScene(t)
		server := chaintest.NewElectrum(s.chain, s.chain.Params())
		server.Flavour, server.Notices = flavour, 5*time.Millisecond
		url, stop := server.Serve()
		t.Cleanup(stop)
		e := openedElectrum(t, url)
		feed := listening(t, e)
		if err := feed.Address(t.Context(), s.empty); err != nil {
			t.Fatal(err)
		}
		if first := next(t, feed); !first.First || first.Script != string(s.empty.Script) || first.State != "" || first.Refused != nil {
			t.Fatalf("%d: of an address without a history: %+v", flavour, first)
		}
		if err := feed.Blocks(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first := next(t, feed); !first.First || first.Script != "" || first.State != s.blockAt(s.height()).String() {
			t.Fatalf("%d: of blocks: %+v", flavour, first)
		}
		paid := paymentTo(s.empty.Script, 1000)
		s.chain.AddMempool(paid)
		want := sha256.Sum256([]byte(paid.TxHash().String() + ":0:"))
		if hint := next(t, feed); hint.First || hint.Script != string(s.empty.Script) || hint.State != hex.EncodeToString(want[:]) {
			t.Fatalf("%d: of a payment: %+v", flavour, hint)
		}
		if err := feed.Drop(t.Context(), s.empty); err != nil {
			t.Fatal(err)
		}
		s.chain.Mine()
		if hint := next(t, feed); hint.First || hint.Script != "" || hint.State != s.blockAt(s.height()).String() {
			t.Fatalf("%d: of a block: %+v", flavour, hint)
		}
	}
}

// feedOf is a feed of a server that answers as it is told to.
func feedOf(t *testing.T, answer func(method string, params []any, conn net.Conn) string) *Feed {
	t.Helper()
	url, _ := onLines(t, answer)
	return listening(t, openedElectrum(t, url))
}

// What is no hint ends the feed, and is called what it is; none is taken for one.
func TestFeedsThatFail(t *testing.T) {
	script := hashOf(regtestAddress().Script)
	notice := func(params string) string {
		return `{"jsonrpc":"2.0","method":"blockchain.scripthash.subscribe","params":` + params + `}`
	}
	status := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		answer func(conn net.Conn) string
		want   error
	}{
		"hangs up":            {func(c net.Conn) string { c.Close(); return "" }, ErrUnavailable},
		"a huge line":         {func(c net.Conn) string { return `{"method":"` + strings.Repeat("x", textLimit) + `"}` }, ErrMalformed},
		"an endless line":     {endless, ErrMalformed},
		"no JSON":             {func(net.Conn) string { return "hello" }, ErrMalformed},
		"an answer to nobody": {func(net.Conn) string { return `{"id":4711,"result":null}` }, ErrMalformed},
		"no status":           {func(net.Conn) string { return notice(`["` + script + `"]`) }, ErrMalformed},
		"a number for status": {func(net.Conn) string { return notice(`["` + script + `",7]`) }, ErrMalformed},
		"a list for status":   {func(net.Conn) string { return notice(`["` + script + `",["` + status + `"]]`) }, ErrMalformed},
		"no params":           {func(net.Conn) string { return `{"method":"blockchain.scripthash.subscribe"}` }, ErrMalformed},
		"no header": {func(net.Conn) string {
			return `{"method":"blockchain.headers.subscribe","params":[{"height":7,"hex":"00"}]}`
		}, ErrMalformed},
		"a half status": {func(net.Conn) string { return `{"id":ID,"result":"abab"}` }, ErrMalformed},
		"neither":       {func(net.Conn) string { return `{"id":ID}` }, ErrMalformed},
		"both":          {func(net.Conn) string { return `{"id":ID,"result":"` + status + `","error":"no"}` }, ErrMalformed},
	} {
		feed := feedOf(t, func(_ string, _ []any, conn net.Conn) string { return c.answer(conn) })
		if err := feed.Address(t.Context(), regtestAddress()); err != nil {
			t.Fatal(err)
		}
		if hint, err := feed.Next(); hint != (Hint{}) || !errors.Is(err, c.want) {
			t.Errorf("%s: %+v, %v", name, hint, err)
		}
	}
}

// A notice for a script that was never wished for is passed over, however many
// come; so are methods that nobody knows.
func TestFeedPassesOverWhatWasNotWishedFor(t *testing.T) {
	status := strings.Repeat("ab", 32)
	feed := feedOf(t, func(_ string, _ []any, conn net.Conn) string {
		for n := range 5000 {
			fmt.Fprintf(conn, `{"method":"blockchain.scripthash.subscribe","params":["%064x","%s"]}`+"\n", n, status)
		}
		io.WriteString(conn, `{"method":"server.peers.subscribe","params":[{"any":["thing"]}]}`+"\n")
		return `{"id":ID,"result":"` + status + `"}`
	})
	if err := feed.Address(t.Context(), regtestAddress()); err != nil {
		t.Fatal(err)
	}
	if hint := next(t, feed); !hint.First || hint.State != status {
		t.Errorf("%+v", hint)
	}
	if kept := len(feed.electrum.told.last); kept != 1 {
		t.Errorf("%d statuses kept of one address wished for", kept)
	}
}

// How a server refuses a wish is told with the wish, and the feed goes on.
func TestFeedsThatRefuse(t *testing.T) {
	for text, want := range map[string]error{
		`{"code":-32601,"message":"unknown method"}`:         ErrRefused,
		`"Too many history entries"`:                         ErrRefused,
		`{"code":10001,"message":"history too large"}`:       ErrRefused,
		`{"code":-101,"message":"excessive resource usage"}`: ErrRateLimited,
	} {
		feed := feedOf(t, func(string, []any, net.Conn) string { return `{"id":ID,"result":null,"error":` + text + `}` })
		if err := feed.Address(t.Context(), regtestAddress()); err != nil {
			t.Fatal(err)
		}
		if hint := next(t, feed); !hint.First || hint.Script != string(regtestAddress().Script) || hint.State != "" || !errors.Is(hint.Refused, want) {
			t.Errorf("%s: %+v", text, hint)
		}
	}
}

// A connection that is dead on the other side is given up: neither hints nor
// answers to pings come.
func TestFeedThatIsHalfOpen(t *testing.T) {
	feed := feedOf(t, func(string, []any, net.Conn) string { return "" })
	feed.silence = 50 * time.Millisecond
	if err := feed.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if hint, err := feed.Next(); hint != (Hint{}) || !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "no sign of life") {
		t.Errorf("%+v, %v", hint, err)
	}
}

// The recorded answer to a wish.
func TestRecordedWish(t *testing.T) {
	feed := feedOf(t, func(string, []any, net.Conn) string {
		return recordedReply(t, "recorded", "electrum", "blockchain-scripthash-subscribe.json")
	})
	if err := feed.Address(t.Context(), regtestAddress()); err != nil {
		t.Fatal(err)
	}
	if hint := next(t, feed); hint.State != "891ef581d38edb24d1750114c0bcf51ea4c1726b4ea9ae36932646f93a56c550" {
		t.Errorf("%+v", hint)
	}
}

func statusOfText(text string) string {
	hash := sha256.Sum256([]byte(text))
	return hex.EncodeToString(hash[:])
}

// A server whose list is not of the status that it gives of it is caught, once
// the status stands still; one whose feed is deaf, or that cannot say, is not.
func TestStatusIsHeldAgainstTheList(t *testing.T) {
	a := regtestAddress()
	one, other := strings.Repeat("11", 32), strings.Repeat("22", 32)
	entry := `{"tx_hash":"` + strings.Repeat("33", 32) + `","height":7}`
	right := statusOfText(strings.Repeat("33", 32) + ":7:")
	twoUnconfirmed := entry + `,{"tx_hash":"` + one + `","height":0},{"tx_hash":"` + other + `","height":0}`
	later := `{"tx_hash":"` + one + `","height":9}`
	unconfirmed := `{"tx_hash":"` + one + `","height":0}`
	for name, c := range map[string]struct {
		list     string
		statuses []string // told on the feed, and then asked for
		lies     bool
		asks     int
	}{
		"as it is":                   {list: entry, statuses: []string{right}, asks: 1},
		"leaves out the newest":      {list: entry, statuses: []string{one, one, one}, lies: true, asks: 3},
		"the feed is deaf":           {list: entry, statuses: []string{one, right}, asks: 2},
		"it moves":                   {list: entry, statuses: []string{one, one, other}, asks: 3},
		"the order is not canonical": {list: twoUnconfirmed, statuses: []string{one}, asks: 1},
		"newest first":               {list: later + "," + entry, statuses: []string{statusOfText(one + ":9:" + strings.Repeat("33", 32) + ":7:")}, asks: 1},
		"unconfirmed first":          {list: unconfirmed + "," + entry, statuses: []string{statusOfText(one + ":0:" + strings.Repeat("33", 32) + ":7:")}, asks: 1},
		"newest first, and not all":  {list: later + "," + entry, statuses: []string{other, other, other}, lies: true, asks: 3},
	} {
		var asked atomic.Int64
		url, _ := onLines(t, func(method string, _ []any, _ net.Conn) string {
			if method == "blockchain.scripthash.get_history" {
				return listOf(c.list)
			}
			n := int(asked.Add(1))
			return `{"id":ID,"result":"` + c.statuses[min(n, len(c.statuses))-1] + `"}`
		})
		e := openedElectrum(t, url)
		feed := listening(t, e)
		if err := feed.Address(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		next(t, feed)
		counters, err := e.Addresses.Counters(t.Context(), a)
		if c.lies != errors.Is(err, ErrLying) || c.lies == (counters != Counters{}) || !c.lies && err != nil {
			t.Errorf("%s: %+v, %v", name, counters, err)
		}
		if !c.lies && name != "it moves" { // what is settled is not asked for again
			if _, err := e.Addresses.Counters(t.Context(), a); err != nil {
				t.Errorf("%s: once more: %v", name, err)
			}
		}
		if n := int(asked.Load()); n != c.asks {
			t.Errorf("%s: asked %d times for the status, want %d", name, n, c.asks)
		}
		feed.Close()
		if _, err := e.Addresses.Counters(t.Context(), a); err != nil {
			t.Errorf("%s: without a feed: %v", name, err)
		}
	}
}

// endingConn ends a context at the moment at which an answer has come.
type endingConn struct {
	net.Conn
	end func()
}

func (c endingConn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if n > 0 {
		c.end()
	}
	return n, err
}

type endingDialer struct{ end func() }

func (d endingDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return endingConn{conn, d.end}, err
}

// A connection that is wanted no more at the moment at which hello is answered is
// none: neither a feed nor a question goes on with it.
func TestConnectionsThatAreWantedNoMore(t *testing.T) {
	url, _ := onLines(t, func(string, []any, net.Conn) string { return `{"id":ID,"result":null}` })
	for name, ask := range map[string]func(context.Context, *Explorer) error{
		"feed": func(ctx context.Context, e *Explorer) error {
			feed, err := e.Hints.Listen(ctx)
			if err == nil {
				feed.Close()
			}
			return err
		},
		"question": func(ctx context.Context, e *Explorer) error { _, err := e.Chain.Tip(ctx); return err },
	} {
		e := openedElectrum(t, url)
		ctx, end := context.WithCancel(t.Context())
		e.client.lines.dialer = endingDialer{end}
		if err := ask(ctx, e); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is sent for hints is inside the budget, and leaves blocks and the poll
// their part: of 100 requests 30 are for wishes, 30 more for questions about
// addresses and signs of life, and 40 for blocks alone.
func TestHintsStayInsideTheBudget(t *testing.T) {
	url, _ := onLines(t, func(string, []any, net.Conn) string {
		return `{"id":ID,"result":null}`
	})
	e := opened(t, text(""), func(s *Settings) { s.Kind, s.URL, s.Budget = "electrum", url, Budget{Hour: 100} })
	newFakeClock(e.Pace)
	feed := listening(t, e)
	allowed := 0
	feed.Allow = func(context.Context, chain.Address) error { allowed++; return nil }
	wish := func() error {
		err := feed.Address(t.Context(), regtestAddress())
		if err == nil {
			next(t, feed)
		}
		return err
	}
	for n := range 29 { // and the hello
		if err := wish(); err != nil {
			t.Fatalf("wish %d: %v", n, err)
		}
	}
	if err := wish(); !errors.Is(err, ErrSpent) {
		t.Errorf("past the part of hints: %v", err)
	}
	if allowed != 29 {
		t.Errorf("%d addresses taken for told of 29", allowed)
	}
	if again, err := e.Hints.Listen(t.Context()); !errors.Is(err, ErrSpent) {
		t.Errorf("another feed, past the part of hints: %v, %v", again, err)
	}
	for n := range 30 {
		if err := feed.Ping(t.Context()); err != nil {
			t.Fatalf("ping %d: %v", n, err)
		}
	}
	if err := feed.Ping(t.Context()); !errors.Is(err, ErrSpent) {
		t.Errorf("past the part of addresses: %v", err)
	}
	if e.Pace.Requests() != 60 || *e.Pace.Left().Hour != 40 {
		t.Errorf("%d requests, %d left", e.Pace.Requests(), *e.Pace.Left().Hour)
	}
}

// A server that hangs up between the status and the list may be another one
// behind the same name after that: it has not contradicted itself.
func TestStatusOfAnotherConnectionIsNoLie(t *testing.T) {
	var lists atomic.Int64
	url, _ := onLines(t, func(method string, _ []any, conn net.Conn) string {
		if method != "blockchain.scripthash.get_history" {
			return `{"id":ID,"result":"` + strings.Repeat("11", 32) + `"}`
		}
		if lists.Add(1) == 2 {
			conn.Close()
			return ""
		}
		return listOf(`{"tx_hash":"` + strings.Repeat("33", 32) + `","height":7}`)
	})
	e := openedElectrum(t, url)
	feed := listening(t, e)
	if err := feed.Address(t.Context(), regtestAddress()); err != nil {
		t.Fatal(err)
	}
	next(t, feed)
	if _, err := e.Addresses.Counters(t.Context(), regtestAddress()); err != nil || lists.Load() != 3 {
		t.Errorf("%v after %d lists", err, lists.Load())
	}
}
