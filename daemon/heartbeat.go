package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// heartbeat tells a dead-man's switch outside that all is well, and tells it
// nothing while it is not: then the switch tells people, whatever has become of
// this machine.
type heartbeat struct {
	settings HeartbeatSettings
	agent    string
	well     func(context.Context) bool
	now      func() time.Time
	log      *slog.Logger
	beats    *beats

	silent  bool // the last look found that not all is well
	failing bool // the last one did not arrive
}

// beats is what became of the heartbeats since the program began.
type beats struct {
	mu     sync.Mutex
	sent   time.Time // when the last one arrived
	failed int64
}

func (b *beats) note(now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.failed++
		return
	}
	b.sent = now
}

func (b *beats) get() (sent time.Time, failed int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent, b.failed
}

// longestBeat is how long the switch may take to answer.
const longestBeat = 10 * time.Second

// lookAgain is how soon a heartbeat that was not sent is thought of again.
const lookAgain = 5 * time.Second

// run sends heartbeats until the context ends.
func (h *heartbeat) run(ctx context.Context) error {
	client := h.client()
	defer client.CloseIdleConnections()
	for ctx.Err() == nil {
		pause := h.settings.Every
		if !h.beat(ctx, client) {
			pause = min(pause, lookAgain)
		}
		sleep(ctx, pause)
	}
	return ctx.Err()
}

// beat sends one, if all is well, and says whether it arrived. Each stretch of
// trouble is logged once: the switch is who tells of it.
func (h *heartbeat) beat(ctx context.Context, client *http.Client) bool {
	well := h.well(ctx)
	if !well != h.silent && ctx.Err() == nil {
		if h.silent = !well; h.silent {
			h.log.Warn("heartbeat withheld, not all is well")
		} else {
			h.log.Info("heartbeat goes on, all is well")
		}
	}
	if !well {
		return false
	}
	err := h.send(ctx, client)
	if ctx.Err() != nil {
		return false
	}
	h.beats.note(h.now(), err)
	switch {
	case err != nil && !h.failing:
		h.log.Warn("heartbeat not taken, trying again", "error", err)
	case err == nil && h.failing:
		h.log.Info("heartbeat taken again")
	}
	h.failing = err != nil
	return err == nil
}

// client follows no redirect: the one who is told must be the one configured.
func (h *heartbeat) client() *http.Client {
	return &http.Client{
		Timeout: longestBeat,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (h *heartbeat) send(ctx context.Context, client *http.Client) error {
	method := http.MethodGet
	if h.settings.Post {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, h.settings.URL, nil)
	if err != nil {
		return errors.New("its url cannot be read") // the error shows it
	}
	request.Header.Set("User-Agent", h.agent)
	response, err := client.Do(request)
	if err != nil {
		return unreached(err)
	}
	response.Body.Close() // what it holds is never read, and so never shown
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return fmt.Errorf("it answered %d, and redirects are not followed: put the final url into the configuration", code)
	default:
		return fmt.Errorf("it answered %d", code)
	}
}

// unreached says in our own words why the switch was not reached: the error
// itself shows the url.
func unreached(err error) error {
	var (
		dns   *net.DNSError
		cert  *tls.CertificateVerificationError
		timed net.Error
	)
	switch {
	case errors.As(err, &dns):
		return errors.New("its host name was not found")
	case errors.As(err, &cert):
		return errors.New("its certificate is not trusted for its host name")
	case errors.As(err, &timed) && timed.Timeout():
		return errors.New("it did not answer in time")
	}
	return errors.New("the connection failed")
}
