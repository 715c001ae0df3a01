package alerts

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// posting makes a channel of each kind that posts, to one address that holds
// what nobody is to see.
func posting(t *testing.T, base string, more string) map[string]Channel {
	t.Helper()
	secret := strings.Replace(base, "://", "://user:hunter2@", 1) + "/secret-path"
	all := map[string]Channel{}
	for kind, table := range map[string]string{
		"webhook":      `url = "` + secret + `?token=hunter2"` + "\n" + `secret_file = "` + secretFile(t, testSecret) + `"`,
		"slack":        `url_file = "` + secretFile(t, secret+"?token=hunter2") + `"`,
		"alertmanager": `url = "` + secret + `"` + "\n" + `username = "user"` + "\n" + `password_file = "` + secretFile(t, "hunter2") + `"`,
	} {
		c, err := Open(settings(kind, table+"\n"+more), Env{Version: "1.2.3", Now: func() time.Time { return at("2026-03-01T12:00:00Z") }})
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = c
	}
	return all
}

// TestOneRuleForAllThatPost: what is final, what is tried again and when, is
// the same for each kind, and none of them shows its url or what is answered.
func TestOneRuleForAllThatPost(t *testing.T) {
	said := func(code int, words string, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			io.WriteString(w, words)
		}
	}
	cut := func(before string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, before)
			conn.Close()
		}
	}
	for name, c := range map[string]struct {
		handle    http.HandlerFunc
		permanent bool
		after     time.Duration // -1: nothing said
		words     string        // empty: success
	}{
		"ok":              {said(200, "ok"), false, -1, ""},
		"redirect":        {said(302, "ok", "Location", "https://evil.example/"), false, -1, "redirects are not followed"},
		"bad request":     {said(400, "pay at evil.example"), false, -1, "400 Bad Request"},
		"unauthorised":    {said(401, "hunter2"), false, -1, "401 Unauthorized"},
		"forbidden":       {said(403, "hunter2"), false, -1, "403 Forbidden"},
		"not found":       {said(404, "hunter2"), false, -1, "404 Not Found"},
		"gone":            {said(410, "hunter2"), true, -1, "410"},
		"too large":       {said(413, "hunter2"), false, -1, "413"},
		"limited":         {said(429, "hunter2", "Retry-After", "30"), false, 30 * time.Second, "429"},
		"limited by date": {said(429, "hunter2", "Retry-After", "Sun, 01 Mar 2026 12:01:00 GMT"), false, time.Minute, "429"},
		"failing":         {said(500, strings.Repeat("hunter2", 100_000)), false, -1, "500"},
		"bad gateway":     {said(502, "<html>evil.example"), false, -1, "502"},
		"cut off":         {cut(""), false, -1, "the connection failed"},
		"nonsense":        {cut("evil.example hunter2\r\n\r\n"), false, -1, "the connection failed"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.handle)
			t.Cleanup(server.Close)
			for kind, channel := range posting(t, server.URL, "allow_private = true") {
				err := channel.Send(context.Background(), message(t, outage("x").Blind(testKey())))
				if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
					t.Errorf("%s: %v, want %q", kind, err, c.words)
				}
				if Permanent(err) != c.permanent || errors.Is(err, ErrGone) != c.permanent {
					t.Errorf("%s: permanent is %v", kind, Permanent(err))
				}
				if after, ok := RetryAfter(err); ok != (c.after >= 0) || ok && after != c.after {
					t.Errorf("%s: try again after %v, %v", kind, after, ok)
				}
				discreet(t, err)
			}
		})
	}
}

// TestNoReceiverHoldsAChannel: one that hangs before or amid its answer, one
// that is down, one that does not speak TLS, and a stop meanwhile. Nothing stays
// behind.
func TestNoReceiverHoldsAChannel(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-release
	}))
	defer server.Close()
	defer close(release)
	down := httptest.NewServer(http.NotFoundHandler())
	down.Close()
	m := message(t, outage("x").Blind(testKey()))
	for _, c := range []struct{ url, more, want string }{
		{server.URL, "allow_private = true\ntimeout = \"1s\"", "did not answer in time"},
		{down.URL, "allow_private = true", "refused the connection"},
		{strings.Replace(server.URL, "http:", "https:", 1), "allow_private = true", "does not speak TLS"},
		{"https://no-such-host.invalid", "allow_private = true", "host name was not found"},
		{"https://127.0.0.1:1", "", "not on the public internet"},
	} {
		for kind, channel := range posting(t, c.url, c.more) {
			err := channel.Send(context.Background(), m)
			if err == nil || Permanent(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s to %s: %v, want %q", kind, c.url, err, c.want)
			}
			discreet(t, err)
		}
	}
	for kind, channel := range posting(t, server.URL, "allow_private = true") {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := channel.Send(ctx, m); err == nil || Permanent(err) || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// A receiver that answers 200 and then hangs has the alert, where its words do
// not matter.
func TestStatusIsEnoughForAWebhook(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	for kind, channel := range posting(t, server.URL, "allow_private = true\ntimeout = \"1s\"") {
		err := channel.Send(context.Background(), message(t, outage("x").Blind(testKey())))
		if (err == nil) != (kind != "slack") {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
