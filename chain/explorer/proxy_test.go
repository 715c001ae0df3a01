package explorer

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// socks is a SOCKS5 proxy (RFC 1928, 1929) that leads everywhere to one server
// and notes where it was asked to.
type socks struct {
	listener net.Listener
	target   string
	serving  sync.WaitGroup

	mu    sync.Mutex
	asked []string
	users []string
}

func startSocks(t *testing.T, target string) *socks {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &socks{listener: listener, target: target}
	s.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.serving.Wait()
	})
	return s
}

func (s *socks) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	if !s.greet(r, conn) {
		return
	}
	head := make([]byte, 5) // version, connect, reserved, type, length
	if _, err := io.ReadFull(r, head); err != nil || head[3] != 3 {
		s.note("not by name")
		return
	}
	rest := make([]byte, int(head[4])+2)
	if _, err := io.ReadFull(r, rest); err != nil {
		return
	}
	s.note(fmt.Sprintf("%s:%d", rest[:head[4]], binary.BigEndian.Uint16(rest[head[4]:])))
	target, err := net.Dial("tcp", s.target)
	if err != nil {
		conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer target.Close()
	conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	s.serving.Go(func() {
		io.Copy(target, r)
		target.Close()
	})
	io.Copy(conn, target)
}

// greet takes user and password where they are offered.
func (s *socks) greet(r *bufio.Reader, conn net.Conn) bool {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return false
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(r, methods); err != nil {
		return false
	}
	if !strings.Contains(string(methods), "\x02") {
		conn.Write([]byte{5, 0})
		return true
	}
	conn.Write([]byte{5, 2})
	var parts []string
	if _, err := r.ReadByte(); err != nil {
		return false
	}
	for range 2 {
		length, err := r.ReadByte()
		if err != nil {
			return false
		}
		part := make([]byte, length)
		if _, err := io.ReadFull(r, part); err != nil {
			return false
		}
		parts = append(parts, string(part))
	}
	s.mu.Lock()
	s.users = append(s.users, strings.Join(parts, ":"))
	s.mu.Unlock()
	conn.Write([]byte{1, 0})
	return true
}

func (s *socks) note(where string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, where)
}

func TestSOCKS5LooksNamesUpRemotely(t *testing.T) {
	server := httptest.NewServer(text("42"))
	t.Cleanup(server.Close)
	for _, scheme := range []string{"socks5", "socks5h"} {
		proxy := startSocks(t, server.Listener.Addr().String())
		e := openedAt(t, "http://explorer.invalid/api", func(s *Settings) { s.Proxy = scheme + "://tor:circuit1@" + proxy.listener.Addr().String() })
		if height, err := e.Chain.Tip(t.Context()); err != nil || height != 42 {
			t.Errorf("%d, %v", height, err)
		}
		e.Close()
		proxy.mu.Lock()
		if len(proxy.asked) != 1 || proxy.asked[0] != "explorer.invalid:80" || len(proxy.users) != 1 || proxy.users[0] != "tor:circuit1" {
			t.Errorf("%s: asked for %v as %v", scheme, proxy.asked, proxy.users)
		}
		proxy.mu.Unlock()
	}
}

// Without its proxy an explorer is not asked at all: never directly.
func TestProxyFailsClosed(t *testing.T) {
	asked := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(server.Close)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	for _, scheme := range []string{"http", "https", "socks5"} {
		e := openedAt(t, server.URL, func(s *Settings) { s.Proxy = scheme + "://" + dead.Addr().String() })
		_, err := e.Chain.Tip(t.Context())
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "proxy") || asked {
			t.Errorf("%s: %v, asked directly: %v", scheme, err, asked)
		}
	}
	// One that is there, and cannot connect.
	proxy := startSocks(t, dead.Addr().String())
	e := openedAt(t, "http://explorer.invalid", func(s *Settings) { s.Proxy = "socks5://" + proxy.listener.Addr().String() })
	if _, err := e.Chain.Tip(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "proxy") {
		t.Error(err)
	}
}

func TestHTTPProxy(t *testing.T) {
	var asked, auth string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, auth = r.Method+" "+r.RequestURI, r.Header.Get("Proxy-Authorization")
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, hostile)
			return
		}
		io.WriteString(w, "43")
	}))
	t.Cleanup(proxy.Close)
	through := func(s *Settings) { s.Proxy = strings.Replace(proxy.URL, "http://", "http://user:pass@", 1) }
	e := openedAt(t, "http://explorer.invalid/api", through)
	height, err := e.Chain.Tip(t.Context())
	if err != nil || height != 43 || asked != "GET http://explorer.invalid/api/blocks/tip/height" {
		t.Errorf("%d, %v, asked %q", height, err, asked)
	}
	if auth != "Basic "+base64.StdEncoding.EncodeToString([]byte("user:pass")) {
		t.Errorf("as %q", auth)
	}
	e = openedAt(t, "https://explorer.invalid/api", through)
	if _, err = e.Chain.Tip(t.Context()); !errors.Is(err, ErrUnavailable) || asked != "CONNECT explorer.invalid:443" || strings.Contains(err.Error(), "evil") {
		t.Errorf("%v, asked %q", err, asked)
	}
}

// The environment's proxy is used where none is configured.
func TestProxyOfTheEnvironment(t *testing.T) {
	proxy := httptest.NewServer(text("44"))
	t.Cleanup(proxy.Close)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("NO_PROXY", "")
	if height, err := openedAt(t, "http://explorer.invalid").Chain.Tip(t.Context()); err != nil || height != 44 {
		t.Errorf("%d, %v", height, err)
	}
	server := httptest.NewServer(text("45"))
	t.Cleanup(server.Close)
	if height, err := openedAt(t, server.URL).Chain.Tip(t.Context()); err != nil || height != 45 {
		t.Errorf("a local explorer through the proxy: %d, %v", height, err)
	}
}
