package explorer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/proxy"

	"btcwatch/keyfile"
)

// lines is the one connection to an explorer that speaks JSON-RPC in lines, by
// TCP or TLS. Only who has the turn uses it. Whatever goes wrong closes it, so
// that no late answer is ever taken for that to another question.
type lines struct {
	address string
	config  *tls.Config // nil: TCP alone
	dialer  proxy.ContextDialer
	hello   call // is asked first on each connection
	greeted func(reply []byte) error

	conn   net.Conn // nil: there is none
	reader *bufio.Reader
	nextID int64
	opened atomic.Int64 // connections so far
}

// mostUnasked bounds the lines that come without having been asked for, while
// one answer is waited for.
const mostUnasked = 1000

func newLines(s Settings, at *url.URL) (*lines, error) {
	l := &lines{address: at.Host, nextID: firstID}
	var err error
	if l.dialer, err = lineDialer(s.Proxy); err != nil {
		return nil, err
	}
	pinned := s.CAFile != "" || s.CertificateSHA256 != ""
	switch {
	case at.Scheme == "tcp" && pinned:
		return nil, errors.New("ca_file and certificate_sha256 are for a url that begins with ssl://")
	case at.Scheme == "tcp":
		return l, nil
	case s.CAFile != "" && s.CertificateSHA256 != "":
		return nil, errors.New("ca_file and certificate_sha256 exclude each other: give one of them")
	}
	if l.config, err = keyfile.Trust("ca_file", s.CAFile); err != nil {
		return nil, err
	}
	l.config.ServerName = at.Hostname()
	return l, pin(l.config, s.CertificateSHA256)
}

// lineDialer leads through a SOCKS5 proxy, which looks the name up over there.
func lineDialer(text string) (proxy.ContextDialer, error) {
	direct := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	if text == "" {
		return direct, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "socks5" {
		return nil, errors.New("proxy must be socks5://HOST:PORT for this kind, which speaks no HTTP")
	}
	dialer, err := proxy.FromURL(u, direct)
	if err != nil {
		return nil, errors.New("proxy cannot be used: write socks5://HOST:PORT")
	}
	return dialer.(proxy.ContextDialer), nil
}

// pin takes one certificate and no other, whoever signed it: what is usual among
// Electrum servers, which sign their own.
func pin(config *tls.Config, fingerprint string) error {
	if fingerprint == "" {
		return nil
	}
	want, err := hex.DecodeString(strings.ReplaceAll(fingerprint, ":", ""))
	if err != nil || len(want) != sha256.Size {
		return errors.New("certificate_sha256 must be the SHA-256 of a certificate: 64 hexadecimal digits")
	}
	config.InsecureSkipVerify = true // in its place, and stricter:
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 || sha256.Sum256(state.PeerCertificates[0].Raw) != [sha256.Size]byte(want) {
			return errOtherCertificate
		}
		return nil
	}
	return nil
}

var errOtherCertificate = errors.New("not the certificate that is pinned")

// another is for a connection of its own to the same server.
func (l *lines) another() *lines {
	return &lines{address: l.address, config: l.config, dialer: l.dialer, hello: l.hello, greeted: l.greeted, nextID: firstID}
}

// exchange sends a question and reads the line that answers it. limited ends
// with the time for one answer; ctx is the caller's own.
func (l *lines) exchange(limited, ctx context.Context, c *client, q question) ([]byte, error) {
	old := l.conn != nil
	reply, err := l.try(limited, ctx, c, q)
	if err == nil || !old || !isHangUp(err) {
		return reply, c.brokenLine(ctx, err)
	}
	// Servers hang up on who is silent for long: that is no failure.
	c.pace.sent()
	reply, err = l.try(limited, ctx, c, q)
	return reply, c.brokenLine(ctx, err)
}

func (l *lines) try(limited, ctx context.Context, c *client, q question) ([]byte, error) {
	if err := l.connect(limited, ctx, c); err != nil {
		return nil, err
	}
	reply, err := l.ask(limited, q.calls[0], q.limit)
	if err != nil {
		l.close()
	}
	return reply, err
}

func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// resting is why nothing is asked now: attempts at a connection failed, and the
// next is not due; nil where nothing speaks against asking.
func (l *lines) resting(p *Pace) error {
	left := p.recovering()
	if l.conn != nil || left == 0 {
		return nil
	}
	return &Error{Kind: ErrUnavailable, Detail: fmt.Sprintf("it does not take a connection; the next attempt is in %s", max(left.Round(time.Second), time.Second))}
}

// connect makes sure that there is a connection, on which hello was said.
func (l *lines) connect(limited, ctx context.Context, c *client) error {
	if l.conn != nil {
		return nil
	}
	err := l.open(limited, ctx, c)
	if err != nil {
		l.close()
	}
	c.pace.connected(err == nil || ctx.Err() != nil)
	return err
}

func (l *lines) open(limited, ctx context.Context, c *client) error {
	conn, err := l.dialer.DialContext(limited, "tcp", l.address)
	if err != nil {
		return c.brokenLine(ctx, err)
	}
	c.pace.sent() // hello is a question too
	l.conn = conn
	l.opened.Add(1)
	if l.config != nil {
		secure := tls.Client(conn, l.config)
		if err := secure.HandshakeContext(limited); err != nil {
			return c.brokenLine(ctx, err)
		}
		l.conn = secure
	}
	l.reader = bufio.NewReaderSize(l.conn, 64<<10)
	reply, err := l.ask(limited, l.hello, textLimit)
	if l.conn == nil && err == nil { // the time was over as the answer came
		err = limited.Err()
	}
	if err != nil {
		return c.brokenLine(ctx, err)
	}
	return l.greeted(reply)
}

// ask writes a call and reads lines until its reply. What the server says
// without being asked is passed over: it is a hint, and we ask anyway.
func (l *lines) ask(ctx context.Context, one call, limit int64) (reply []byte, err error) {
	conn := l.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // what waits returns
	defer func() {
		if !stop() {
			l.close() // it may be cut short at any moment
		}
	}()
	id := l.nextID
	l.nextID++
	if _, err := l.conn.Write(append(encode([]call{one}, id), '\n')); err != nil {
		return nil, err
	}
	for range mostUnasked {
		line, err := l.line(limit)
		if err != nil {
			return nil, err
		}
		got, unasked, err := glance(line)
		switch {
		case err != nil:
			return nil, err
		case unasked:
			continue
		case got != id:
			return nil, malformed("a reply to another call")
		}
		return line, nil
	}
	return nil, malformed("more than %d lines that were not asked for", mostUnasked)
}

// line reads a line of at most so many bytes.
func (l *lines) line(limit int64) ([]byte, error) {
	var line []byte
	for {
		part, err := l.reader.ReadSlice('\n')
		if line = append(line, part...); int64(len(line)) > limit {
			return nil, malformed("the answer is larger than %d bytes", limit)
		}
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// glance looks at what a line is: the reply to a call with an id, or a
// notification, which is a call of the server's and has none.
func glance(line []byte) (id int64, unasked bool, err error) {
	method, numbered := false, false
	_, err = readJSON(line, func(r *jsonReader) bool {
		r.object(func(key string) {
			switch {
			case key == "id" && !r.null():
				id, numbered = r.integer(0, math.MaxInt64), true
			case key == "id":
			default:
				method = method || key == "method"
				r.skip()
			}
		})
		return true
	})
	if err == nil && !numbered && !method {
		err = malformed("a reply to no call")
	}
	return id, method && !numbered, err
}

func (l *lines) close() {
	if l.conn != nil {
		_ = l.conn.Close() // nothing of it is wanted any more
	}
	l.conn, l.reader = nil, nil
}

// readLine reads the reply of a line, whose id is known to be right.
func readLine[T any](body []byte, refuse func(refusedCall) error, read func(r *jsonReader) T) (T, error) {
	return readJSON(body, func(r *jsonReader) T {
		answer, _ := readReply(r, refuse, read)
		return answer
	})
}

// readNullable reads the reply of a line whose result may be null, which is told
// as nothing.
func readNullable(body []byte, refuse func(refusedCall) error, read func(r *jsonReader) string) (string, error) {
	return readJSON(body, func(r *jsonReader) (answer string) {
		var refused *refusedCall
		told := false
		r.object(func(key string) {
			switch {
			case key == "result":
				if told = true; !r.null() {
					answer = read(r)
				}
			case key == "error" && !r.null():
				refused = readRefusal(r)
			case key != "error":
				r.skip()
			}
		})
		switch {
		case r.err != nil:
		case refused != nil && answer != "":
			r.fail("an answer and an error at once")
		case refused != nil:
			r.err = refuse(*refused)
		case !told:
			r.fail("neither an answer nor an error")
		}
		return answer
	})
}

// brokenLine says why no whole line came.
func (c *client) brokenLine(ctx context.Context, err error) error {
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, errOtherCertificate):
		return &Error{Kind: ErrUnavailable, Detail: "its certificate is not the one of certificate_sha256: ask who runs it whether it has a new one"}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &Error{Kind: ErrUnavailable, Detail: "the connection broke off"}
	}
	broken := c.broken(ctx, err)
	if errors.As(broken, &own) && isA[*tls.CertificateVerificationError](err) {
		own.Detail = "its TLS certificate is signed by no authority known here: if it signs its own, set certificate_sha256 to the one its operator names"
	}
	return broken
}
