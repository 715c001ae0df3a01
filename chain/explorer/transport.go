package explorer

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"

	"btcwatch/keyfile"
)

// newTransport makes a transport of its own for each explorer, so that no
// connection or proxy identity is shared among operators.
func newTransport(s Settings) (*http.Transport, error) {
	choose, err := proxyFunc(s.Proxy)
	if err != nil {
		return nil, err
	}
	config, err := keyfile.Trust("ca_file", s.CAFile)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  choose,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    15 * time.Second,
		ForceAttemptHTTP2:      true, // setting TLSClientConfig turns it off otherwise
		MaxIdleConns:           1,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: headerLimit,
	}, nil
}

// proxyFunc chooses the proxy: the one configured, always, or what the
// environment says. net/http gives SOCKS5 proxies the host name and not its
// number, so that names are looked up over there.
func proxyFunc(text string) (func(*http.Request) (*url.URL, error), error) {
	if text == "" {
		choose := httpproxy.FromEnvironment().ProxyFunc()
		return func(r *http.Request) (*url.URL, error) { return choose(r.URL) }, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("proxy cannot be read: write socks5://HOST:PORT or http://HOST:PORT")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return http.ProxyURL(u), nil
	}
	return nil, fmt.Errorf("proxy has the unknown scheme %q: use http, https or socks5", u.Scheme)
}

// broken says why no whole answer came. Only our words: the transport's errors
// quote what the other side sent.
func (c *client) broken(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	detail, kind := c.reason(ctx, err)
	return &Error{Kind: kind, Detail: detail, cause: ctx.Err()}
}

func (c *client) reason(ctx context.Context, err error) (detail string, kind error) {
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return "no whole answer in the time that was left", ErrUnavailable
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("no whole answer within %s", c.timeout), ErrUnavailable
	case isProxyFault(err):
		return "the proxy does not connect to it", ErrUnavailable
	case isA[*net.DNSError](err):
		return "its host name does not resolve", ErrUnavailable
	case isA[*tls.CertificateVerificationError](err), isA[x509.HostnameError](err):
		return "its TLS certificate is not valid", ErrUnavailable
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "TLS fails", ErrUnavailable
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", ErrUnavailable
	case isCorrupt(err):
		return "the answer is not sound HTTP or gzip", ErrMalformed
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection broke off", ErrUnavailable
	}
	return "the connection failed", ErrUnavailable
}

func isA[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

func isProxyFault(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && (op.Op == "proxyconnect" || strings.HasPrefix(op.Op, "socks"))
}

// isCorrupt recognises what is no answer at all. net/http has no type for a
// response that it cannot parse, only the word.
func isCorrupt(err error) bool {
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || isA[flate.CorruptInputError](err) ||
		strings.Contains(err.Error(), "malformed") || strings.Contains(err.Error(), "response headers exceeded")
}
