package explorer

import (
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// checkHeader refuses what announces itself as something else: proxies and
// challenge pages answer HTML with status 200.
func checkHeader(h http.Header) error {
	if isHTML(h) {
		return malformed("a web page came in place of an answer")
	}
	if h.Get("Content-Encoding") != "" { // the transport takes away the gzip that it asked for
		return malformed("the answer is encoded in a way that was not asked for")
	}
	return nil
}

func isHTML(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(h.Get("Content-Type"))), "text/html")
}

// unsuccessful gives the error for an answer with any status but 200.
func (c *client) unsuccessful(res *http.Response, q question) error {
	detail, kind := statusKind(res, q)
	e := &Error{Kind: kind, Status: res.StatusCode, Detail: detail}
	asked := c.retryAfter(res.Header)
	if res.StatusCode == http.StatusTooManyRequests || (res.StatusCode == http.StatusServiceUnavailable && asked > 0) {
		e.RetryAfter = c.pace.pause(asked)
	}
	if res.StatusCode == http.StatusForbidden && errors.Is(kind, ErrRefused) {
		e.RetryAfter = c.pace.deny(asked)
	}
	return e
}

func statusKind(res *http.Response, q question) (detail string, kind error) {
	status := res.StatusCode
	text := sync.OnceValue(func() string { return errorText(res) })
	if q.reason != nil && status >= 400 && status != http.StatusTooManyRequests && !isHTML(res.Header) {
		if detail, kind = q.reason(status, text(), q.absent); kind != nil {
			return detail, kind
		}
	}
	switch {
	case status == http.StatusTooManyRequests:
		return "asked too often: lower requests_per_second", ErrRateLimited
	case status == http.StatusNotFound:
		return notFound(res, text(), q)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return "it has trouble of its own", ErrUnavailable
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return "access denied: the credentials are wrong, or it has banned this host", ErrRefused
	case status >= 300 && status < 400:
		return "it redirects, which is not followed: set url to where it leads, if that is its own", ErrRefused
	case status >= 400:
		return refusal(text()), ErrRefused
	}
	return "it answers with an unexpected status", ErrMalformed
}

// notFound tells "there is no such transaction" from "there is no such page":
// a wrong base address, or a proxy's own 404, must never read as the former.
func notFound(res *http.Response, text string, q question) (detail string, kind error) {
	page := isHTML(res.Header) || strings.HasPrefix(text, "<") ||
		strings.Contains(text, "endpoint does not exist") || strings.Contains(text, "page not found")
	if q.absent && !page && (strings.Contains(text, "not found") || strings.Contains(text, "no such")) {
		return "", ErrNotFound
	}
	return "it does not serve this question: check url", ErrRefused
}

// refusal words a 4xx by the phrases that servers are known to use.
func refusal(text string) string {
	switch {
	case strings.Contains(text, "too many"), strings.Contains(text, "toobig"), strings.Contains(text, "too big"), strings.Contains(text, "too long"):
		return "there is more history than it serves: ask another explorer"
	case strings.Contains(text, "invalid network"), strings.Contains(text, "invalid bitcoin address"):
		return "it does not take the address: its network may be another one"
	}
	return "it refuses the question"
}

// errorText is the beginning of an error's body in lower case: to recognise
// phrases by, and for nothing else.
func errorText(res *http.Response) string {
	text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10)) // what broke off just tells less
	return strings.TrimSpace(strings.ToLower(string(text)))
}

// retryAfter reads Retry-After, in seconds or as a date; 0 where it is absent,
// past or nonsense.
func (c *client) retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, math.MaxInt64/uint64(time.Second))) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(c.pace.now()))
	}
	return 0
}
