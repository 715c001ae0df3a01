package alerts

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receive answers every post with handle and gives a channel to it.
func receive(t *testing.T, secrets string, now func() time.Time, handle http.HandlerFunc) Channel {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	text := `url = "` + strings.Replace(server.URL, "http://", "http://user:hunter2@", 1) + `/secret-path?token=hunter2"` + "\n" +
		`secret_file = "` + secretFile(t, secrets) + `"` + "\nallow_private = true\ntimeout = \"1s\""
	c, err := Open(settings("webhook", text), Env{Version: "1.2.3", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		io.WriteString(w, "please pay at evil.example")
	}
}

func TestWebhookVerifiesWithTheStandardLibrary(t *testing.T) {
	const second = "whsec_bmV3IHNlY3JldCBvZiB0aGlydHktdHdvIGJ5dGVzISE="
	var mu sync.Mutex
	var posts []*http.Request
	var bodies []string
	c := receive(t, testSecret+"\n"+second+"\n", nil, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		posts, bodies = append(posts, r), append(bodies, string(body))
		w.WriteHeader(http.StatusNoContent)
	})
	m := message(t, told(t)(incoming().Seen(testKey())))
	for range 2 {
		if err := c.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for i, post := range posts {
		for _, secret := range []string{testSecret, second} {
			hook, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := hook.Verify([]byte(bodies[i]), post.Header); err != nil {
				t.Errorf("post %d: %v", i, err)
			}
			if hook.Verify([]byte(bodies[i]+" "), post.Header) == nil {
				t.Error("a changed body verifies")
			}
		}
		if post.Header.Get("webhook-id") != m.ID.String() || bodies[i] != string(m.Body) {
			t.Errorf("post %d has another id or body", i)
		}
		if post.Method != "POST" || post.Header.Get("Content-Type") != "application/json" || post.UserAgent() != "btcwatch/1.2.3" {
			t.Errorf("post %d: %s %v", i, post.Method, post.Header)
		}
	}
	if len(posts) != 2 {
		t.Errorf("%d posts", len(posts))
	}
}

func TestWebhookJudgesAnswers(t *testing.T) {
	now := func() time.Time { return at("2026-03-01T12:00:00Z") }
	for name, c := range map[string]struct {
		handle    http.HandlerFunc
		permanent bool
		after     time.Duration // -1: nothing said
		words     string        // empty: success
	}{
		"200":                    {answer(200), false, -1, ""},
		"201":                    {answer(201), false, -1, ""},
		"204":                    {answer(204), false, -1, ""},
		"301":                    {answer(301, "Location", "/elsewhere"), false, -1, "redirects are not followed"},
		"307":                    {answer(307, "Location", "/elsewhere"), false, -1, "redirects are not followed"},
		"304":                    {answer(304), false, -1, "redirects are not followed"},
		"400":                    {answer(400), false, -1, "it answered 400 Bad Request"},
		"404":                    {answer(404), false, -1, "it answered 404 Not Found"},
		"410":                    {answer(410), true, -1, "it answered 410"},
		"429":                    {answer(429), false, -1, "429"},
		"429 in seconds":         {answer(429, "Retry-After", "120"), false, 2 * time.Minute, "429"},
		"503 at a date":          {answer(503, "Retry-After", "Sun, 01 Mar 2026 12:10:00 GMT"), false, 10 * time.Minute, "503"},
		"503 at a date long ago": {answer(503, "Retry-After", "Sun, 01 Mar 2020 12:10:00 GMT"), false, 0, "503"},
		"429 for a century":      {answer(429, "Retry-After", "3153600000"), false, 24 * time.Hour, "429"},
		"429 negative":           {answer(429, "Retry-After", "-5"), false, 0, "429"},
		"429 nonsense":           {answer(429, "Retry-After", "soon"), false, -1, "429"},
		"500":                    {answer(500), false, -1, "it answered 500 Internal Server Error"},
		"599":                    {answer(599), false, -1, "it answered 599"},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}, false, -1, "the connection failed"},
		"nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "please pay at evil.example\r\n\r\n")
			conn.Close()
		}, false, -1, "the connection failed"},
	} {
		t.Run(name, func(t *testing.T) {
			var hits atomic.Int32
			err := receive(t, testSecret, now, func(w http.ResponseWriter, r *http.Request) {
				hits.Add(1)
				c.handle(w, r)
			}).Send(context.Background(), message(t, told(t)(incoming().Seen(testKey()))))
			if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) {
				t.Fatalf("got %v, want %q", err, c.words)
			}
			if n := hits.Load(); n != 1 {
				t.Errorf("%d posts", n)
			}
			if Permanent(err) != c.permanent || errors.Is(err, ErrGone) != c.permanent {
				t.Errorf("permanent is %v", Permanent(err))
			}
			after, ok := RetryAfter(err)
			if ok != (c.after >= 0) || ok && after != c.after {
				t.Errorf("try again after %v, %v", after, ok)
			}
			discreet(t, err)
		})
	}
}

// discreet fails when an error shows what nobody is to see.
func discreet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{"hunter2", "secret-path", "token", "user", "whsec", "evil.example"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows %q: %v", secret, err)
		}
	}
}

func TestWebhookGivesUpOnAReceiverThatHangs(t *testing.T) {
	release := make(chan struct{})
	c := receive(t, testSecret, nil, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) }) // before the server closes: cleanups run last first
	err := c.Send(context.Background(), message(t, told(t)(incoming().Seen(testKey()))))
	if err == nil || Permanent(err) || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("got %v", err)
	}
	discreet(t, err)
}

func TestWebhookStopsWithItsContext(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	c := receive(t, testSecret, nil, func(http.ResponseWriter, *http.Request) { close(arrived); <-release })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if err := c.Send(ctx, message(t, told(t)(incoming().Seen(testKey())))); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
}

func TestWebhookNamesAReceiverThatIsDown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	c, err := Open(settings("webhook", `url = "`+url+`/hunter2"`+"\n"+`secret_file = "`+secretFile(t, testSecret)+`"`+"\nallow_private = true"), Env{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Send(context.Background(), message(t, told(t)(incoming().Seen(testKey()))))
	if err == nil || !strings.Contains(err.Error(), "it refused the connection") {
		t.Errorf("got %v", err)
	}
	discreet(t, err)
}

func TestWebhookTrustsOnlyItsAuthority(t *testing.T) {
	server := httptest.NewUnstartedServer(answer(200))
	server.Config.ErrorLog = quietLog()
	server.StartTLS()
	t.Cleanup(server.Close)
	table := `url = "` + server.URL + `/"` + "\n" + `secret_file = "` + secretFile(t, testSecret) + `"` + "\nallow_private = true\n"
	m := message(t, told(t)(incoming().Seen(testKey())))
	for _, trusted := range []bool{false, true} {
		text := table
		if trusted {
			text += `ca_file = "` + secretFile(t, pemOf(server.Certificate().Raw)) + `"`
		}
		c, err := Open(settings("webhook", text), Env{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(context.Background(), m); (err == nil) != trusted || err != nil && !strings.Contains(err.Error(), "certificate is not trusted") {
			t.Errorf("trusted %v: %v", trusted, err)
		}
	}
}
