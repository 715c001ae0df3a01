package alerts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"btcwatch/keyfile"
)

// receiver is a place on the network that takes alerts by HTTP POST. All
// channels that post share it, and with it one rule of what is success, what is
// final and what is tried again.
type receiver struct {
	name    string // as errors call it
	url     string
	agent   string
	timeout time.Duration
	now     func() time.Time
	client  *http.Client
}

// receiverSettings are what such channels have in common.
type receiverSettings struct {
	Name         string
	URL          string
	AllowPrivate bool   // permit private networks, and http
	CAFile       string // instead of the system's authorities
	Timeout      Duration
}

func newReceiver(set receiverSettings, env Env) (*receiver, error) {
	client, err := httpClient(set, set.dialer())
	if err = together(checkURL(set), err); err != nil {
		return nil, err
	}
	return &receiver{
		name:    set.Name,
		url:     set.URL,
		agent:   strings.TrimSuffix("btcwatch/"+env.Version, "/"),
		timeout: set.Timeout.or(20 * time.Second),
		now:     env.Now,
		client:  client,
	}, nil
}

// checkURL never repeats the URL: its path and query are often the only
// password of a receiver.
func checkURL(set receiverSettings) error {
	target, err := url.Parse(set.URL)
	switch {
	case set.URL == "":
		return errors.New("url is missing: give the address that takes the alerts")
	case err != nil || target.Host == "":
		return errors.New("url cannot be read: give it like https://example.org/path")
	case target.Scheme == "http" && set.AllowPrivate:
		return nil
	case target.Scheme != "https":
		return errors.New("url must begin with https:// (http:// only together with allow_private = true)")
	}
	return nil
}

func (set receiverSettings) dialer() *net.Dialer {
	if set.AllowPrivate {
		return &net.Dialer{}
	}
	return &net.Dialer{Control: publicOnly}
}

// httpClient calls nobody but the receiver: no proxy, which would hide from
// the guard where a name leads, and no redirect.
func httpClient(set receiverSettings, dialer *net.Dialer) (*http.Client, error) {
	trust, err := keyfile.Trust("ca_file", set.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        trust,
			IdleConnTimeout:        idle,
			MaxIdleConnsPerHost:    1,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// idle is how long a connection is kept for the next alert: amid a flood it saves
// dialling for each, and otherwise days may pass until the next, by when the
// other side has long forgotten it.
const idle = 250 * time.Millisecond

// mostAnswer is how much of an answer is read where its words matter.
const mostAnswer = 1 << 10

// post sends the body once. What the receiver says beside its status goes to
// words, for the eyes of the channel alone: it is never shown, for whoever wrote
// it is not to be trusted. nil: it is not even read.
func (r *receiver) post(ctx context.Context, header http.Header, body []byte, words *string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return PermanentError(fmt.Errorf("post to %s: its url cannot be read", r.name))
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", r.agent)
	response, err := r.client.Do(request)
	if err != nil {
		return fmt.Errorf("post to %s: %s", r.name, trouble(err))
	}
	defer response.Body.Close()
	if words != nil {
		said, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
		if err != nil {
			return fmt.Errorf("read the answer of %s: %s", r.name, trouble(err))
		}
		*words = string(said)
	}
	return r.judge(response)
}

// judge takes only 2xx for success, and only 410 for final: receivers answer
// 404 or 403 while somebody mends them, and an alert given up is worse than one
// tried in vain.
func (r *receiver) judge(response *http.Response) error {
	code := response.StatusCode
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusGone:
		return PermanentError(fmt.Errorf("post to %s: it answered 410: %w", r.name, ErrGone))
	case code >= 300 && code < 400:
		return fmt.Errorf("post to %s: it answered %d, and redirects are not followed: put the final url into the configuration", r.name, code)
	}
	err := error(fmt.Errorf("post to %s: it answered %s", r.name, strings.TrimSpace(strconv.Itoa(code)+" "+http.StatusText(code))))
	if after, ok := retryAfter(response.Header.Get("Retry-After"), r.now()); ok {
		return laterError{err, after}
	}
	return err
}

// retryAfter reads the header in both of its forms. No receiver can put an
// alert off for longer than a day at a time.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	const most = 24 * time.Hour
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(most/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), most), true
	}
	return 0, false
}
