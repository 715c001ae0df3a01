package explorer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPaceSpreadsRequests(t *testing.T) {
	e := opened(t, text("5"), func(s *Settings) { s.RequestsPerSecond = 0.2 }) // 720 an hour, about what Blockstream allows
	clock := newFakeClock(e.Pace)
	start := clock.now()
	for range 10 {
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := clock.now().Sub(start); took < 45*time.Second || took > 46*time.Second {
		t.Errorf("ten requests at one in %v took %v", e.Pace.Interval(), took)
	}
	if e.Pace.Requests() != 10 || e.Pace.Interval() != 5*time.Second || e.Pace.LastSuccess() != clock.now() {
		t.Errorf("%d requests, interval %v, last success %v", e.Pace.Requests(), e.Pace.Interval(), e.Pace.LastSuccess())
	}
}

func TestPaceWithTheRealClock(t *testing.T) {
	e := opened(t, text("5"), func(s *Settings) { s.RequestsPerSecond = 50 })
	start := time.Now()
	for range 6 {
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took < 90*time.Millisecond {
		t.Errorf("six requests at 50 a second took only %v", took)
	}
}

func TestNoPaceDoesNotWait(t *testing.T) {
	e := opened(t, text("5"))
	clock := newFakeClock(e.Pace)
	for range 10 {
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(clock.slept) != 0 || e.Pace.Interval() != 0 {
		t.Errorf("waited %v, interval %v", clock.slept, e.Pace.Interval())
	}
}

// A wait given up takes no turn from those after it, and is nobody's failure.
func TestWaitGivenUp(t *testing.T) {
	e := opened(t, text("5"), func(s *Settings) { s.RequestsPerSecond = 0.001 })
	if _, err := e.Chain.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := e.Chain.Tip(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if e.Pace.Requests() != 1 || len(e.Pace.Failures()) != 0 {
		t.Errorf("%d requests, failures %v", e.Pace.Requests(), e.Pace.Failures())
	}
	turn := e.Pace.limiter.Reserve().Delay()
	if turn > 1000*time.Second {
		t.Errorf("the next turn is in %v", turn)
	}
}

func TestOneRequestInFlight(t *testing.T) {
	var now, most atomic.Int64
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
		io.WriteString(w, "5")
	}))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := e.Chain.Tip(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 || e.Pace.Requests() != 20 {
		t.Errorf("%d at once, %d requests", most.Load(), e.Pace.Requests())
	}
}

// Who waits behind a hanging request can leave the queue, and who gave up is
// not counted against the explorer.
func TestGivingUp(t *testing.T) {
	started := make(chan struct{})
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := e.Chain.Tip(ctx)
		first <- err
	}()
	<-started
	queued, leave := context.WithCancel(t.Context())
	leave()
	if _, err := e.Chain.Tip(queued); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
	if e.Pace.Requests() != 1 || len(e.Pace.Failures()) != 0 {
		t.Errorf("%d requests, failures %v", e.Pace.Requests(), e.Pace.Failures())
	}
}

// A deadline of the caller's that passes in the request is the explorer's
// slowness, and says so both ways.
func TestCallersDeadlineInTheRequest(t *testing.T) {
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := e.Chain.Tip(ctx); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestConnectionIsReused(t *testing.T) {
	var mu sync.Mutex
	from := map[string]bool{}
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		io.WriteString(w, "5")
	}))
	for range 10 {
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(from) != 1 {
		t.Errorf("%d connections", len(from))
	}
}

// Retry-After in all its forms: how long the explorer is then left alone.
func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		status int
		header string // "+90s": the date then
		want   time.Duration
	}{
		{429, "30", 30 * time.Second},
		{429, " 30 ", 30 * time.Second},
		{429, "86400", 24 * time.Hour},
		{429, "99999999999999999999999", 24 * time.Hour},
		{429, "+90s", 90 * time.Second},
		{429, "+48h", 24 * time.Hour},
		{429, "-90s", firstPause},
		{429, "0", firstPause},
		{429, "-5", firstPause},
		{429, "soon", firstPause},
		{429, "", firstPause},
		{503, "30", 30 * time.Second},
		{503, "+90s", 90 * time.Second},
		{503, "", 0},
		{503, "soon", 0},
		{500, "30", 0},
	} {
		var header string
		e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(c.status)
		}))
		clock := newFakeClock(e.Pace)
		header = c.header
		if d, err := time.ParseDuration(c.header); err == nil && (c.header[0] == '+' || c.header == "-90s") {
			header = clock.now().Add(d).Format(http.TimeFormat)
		}
		_, err := e.Chain.Tip(t.Context())
		if got, _ := RetryAfter(err); got != c.want {
			t.Errorf("%d %q: %v, want %v", c.status, c.header, got, c.want)
		}
		checkPause(t, e, clock, c.want)
	}
}

// checkPause asks in the middle and at the end of a pause.
func checkPause(t *testing.T, e *Explorer, clock *fakeClock, pause time.Duration) {
	t.Helper()
	if pause == 0 {
		if !e.Pace.PausedUntil().IsZero() {
			t.Error("paused")
		}
		return
	}
	if want := clock.now().Add(pause); e.Pace.PausedUntil() != want {
		t.Errorf("paused until %v, want %v", e.Pace.PausedUntil(), want)
	}
	clock.sleep(t.Context(), pause-time.Second)
	_, err := e.Chain.Tip(t.Context())
	if left, _ := RetryAfter(err); !errors.Is(err, ErrRateLimited) || left != time.Second || e.Pace.Requests() != 1 {
		t.Errorf("asked in its pause: %v, %d requests", err, e.Pace.Requests())
	}
	if n := e.Pace.Failures()["rate limited"]; n > 1 {
		t.Errorf("a question not sent counts as failure %d", n)
	}
	clock.sleep(t.Context(), time.Second)
	if _, err = e.Chain.Tip(t.Context()); err == nil || e.Pace.Requests() != 2 {
		t.Errorf("not asked after its pause: %v", err)
	}
}

// Where it is not said how long, the pause doubles, and ends at half a minute; one
// success makes it short again.
func TestPauseDoubles(t *testing.T) {
	answer := 429
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(answer)
		io.WriteString(w, "5")
	}))
	clock := newFakeClock(e.Pace)
	var pauses []time.Duration
	again := func() {
		_, err := e.Chain.Tip(t.Context())
		pause, _ := RetryAfter(err)
		pauses = append(pauses, pause)
		clock.sleep(t.Context(), pause)
	}
	for range 10 {
		again()
	}
	answer = 200
	again()
	answer = 429
	again()
	want := []time.Duration{5, 10, 20, 30, 30, 30, 30, 30, 30, 30, 0, 5}
	for i, seconds := range want {
		if pauses[i] != seconds*time.Second {
			t.Errorf("pause %d is %v, want %v s", i+1, pauses[i], int64(seconds))
		}
	}
	if e.Pace.Failures()["rate limited"] != 11 {
		t.Errorf("failures %v", e.Pace.Failures())
	}
}

func TestPauseHasJitter(t *testing.T) {
	p := newPace(0)
	newFakeClock(p)
	p.chance = func() float64 { return 0.5 }
	if got := p.pause(0); got != 5500*time.Millisecond {
		t.Errorf("%v", got)
	}
	if got := p.pause(20 * time.Second); got != 20*time.Second {
		t.Errorf("a pause asked for has jitter: %v", got)
	}
}
