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
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain/chaintest"
)

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
