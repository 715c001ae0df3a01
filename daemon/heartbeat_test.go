package daemon

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// deadMan is a dead-man's switch that notes when it hears something.
type deadMan struct {
	*chaintest.Faults
	mu    sync.Mutex
	heard []string
	url   string
}

func newDeadMan(t *testing.T) *deadMan {
	d := &deadMan{Faults: chaintest.NewFaults()}
	url, stop := chaintest.Serve(d.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.heard = append(d.heard, r.Method+" "+r.URL.Path+" "+r.Header.Get("User-Agent"))
	})))
	t.Cleanup(stop)
	d.url = url + "/ping/hunter2"
	return d
}

func (d *deadMan) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.heard)
}

// more waits until so many more heartbeats have come.
func (d *deadMan) more(t *testing.T, count int) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for want := d.count() + count; d.count() < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d heartbeats came, want %d", d.count(), want)
		}
	}
}

// TestHeartbeat is sent while all is well, whatever the switch answers, and says
// once what is wrong with it, without its url.
func TestHeartbeat(t *testing.T) {
	var log strings.Builder
	at, well := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), true
	d := newDeadMan(t)
	h := &heartbeat{
		settings: HeartbeatSettings{URL: d.url, Every: time.Minute}, agent: "btcwatch/test", beats: &beats{},
		well: func(context.Context) bool { return well }, now: func() time.Time { return at },
		log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	client := h.client()
	client.Timeout = 500 * time.Millisecond
	beat := func(want bool) {
		t.Helper()
		if got := h.beat(t.Context(), client); got != want {
			t.Errorf("arrived: %v, want %v\n%s", got, want, log.String())
		}
	}
	logged := func(want int, words string) {
		t.Helper()
		if got := strings.Count(log.String(), words); got != want {
			t.Errorf("%q is logged %d times, want %d\n%s", words, got, want, log.String())
		}
	}
	beat(true)
	h.settings.Post = true
	beat(true)
	if strings.Join(d.heard, ", ") != "GET /ping/hunter2 btcwatch/test, POST /ping/hunter2 btcwatch/test" {
		t.Errorf("the switch heard %q", d.heard)
	}
	well = false
	beat(false)
	beat(false)
	logged(1, "heartbeat withheld")
	if d.count() != 2 {
		t.Error("the switch hears something though not all is well")
	}
	well = true
	beat(true)
	logged(1, "heartbeat goes on")

	for _, fault := range []chaintest.Fault{
		{Status: http.StatusFound, Header: http.Header{"Location": {d.url + "/elsewhere"}}},
		{Status: http.StatusNotFound, Body: []byte("hunter2")}, {Close: true}, {Hang: true}, {Status: 503, Body: []byte("hunter2")},
	} {
		d.Set("/**", fault)
		beat(false)
	}
	logged(1, "heartbeat not taken")
	logged(1, "it answered 302")
	d.ClearAll()
	at = at.Add(time.Hour)
	beat(true)
	logged(1, "heartbeat taken again")
	if sent, failed := h.beats.get(); !sent.Equal(at) || failed != 5 {
		t.Errorf("noted: %s, %d failures", sent, failed)
	}
	for _, url := range []string{"https://127.0.0.1:1/hunter2", "https://no-such-host.invalid/hunter2", "http://\x7f/hunter2"} {
		h.settings.URL, h.failing = url, false
		beat(false)
	}
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the url is in the log:\n%s", log.String())
	}
}

// TestHeartbeatStopsWhileBlind: what kills the watch's sight, or its work, is
// told by silence.
func TestHeartbeatStopsWhileBlind(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	d := newDeadMan(t)
	w.config.Heartbeat = HeartbeatSettings{URL: d.url, Every: time.Second}
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.both("/**", chaintest.Fault{Status: http.StatusBadGateway})
	w.start()
	w.awaitLog("heartbeat withheld") // nobody has answered yet
	if d.count() != 0 {
		t.Error("a heartbeat before any explorer was heard")
	}
	w.clear()
	d.more(t, 2)
	w.impatient()
	d.more(t, 1)
	w.both("/**", chaintest.Fault{Status: http.StatusBadGateway})
	w.awaitDelivered(alerts.WatchBlind, 2)
	w.awaitLog("heartbeat withheld, not all is well")
	before := d.count()
	w.await("2", `SELECT count(*) FROM btcwatch.outage WHERE kind IN ('blocks', 'mempool')`)
	w.awaitAsked(2) // rounds go on
	if now := d.count(); now > before+1 {
		t.Errorf("%d heartbeats while blind", now-before)
	}
	w.clear()
	w.awaitDelivered(alerts.WatchRestored, 2)
	d.more(t, 2)
	w.stop()
	before = d.count()
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error("the url is in the log")
	}
	if d.count() != before {
		t.Error("a heartbeat of a daemon that has stopped")
	}
}
