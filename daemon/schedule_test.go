package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	_ "time/tzdata"

	"go.uber.org/goleak"
)

func TestParseScheduleRefuses(t *testing.T) {
	for expr, want := range map[string]string{
		"":                       "is not a schedule",
		"hello":                  "is not a schedule",
		"* * * *":                "is not a schedule",
		"0 0 8 * * *":            "expected exactly 5 fields, found 6",
		"61 * * * *":             "is not a schedule",
		"*/0 * * * *":            "is not a schedule",
		"@reboot":                "is not a schedule",
		"@every":                 "is not a schedule",
		"@every 30":              "is not a schedule",
		"@every 0s":              "below one second",
		"@every -5m":             "below one second",
		"@every 999ms":           "below one second",
		"@every 1500ms":          "parts of a second",
		"@every 99999999999999h": "is not a schedule",
		"0 0 30 2 *":             "never comes",
		"0 0 31 4,6,9,11 *":      "never comes",
		"TZ=UTC":                 "names a time zone",
		"CRON_TZ=UTC":            "names a time zone",
		"TZ=UTC 0 8 * * *":       "names a time zone",
	} {
		if _, err := ParseSchedule(expr, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", expr, err)
		}
	}
}

func TestParseCronSurvivesItsPanics(t *testing.T) {
	if _, err := parseCron("TZ=UTC"); err == nil {
		t.Error("taken")
	}
}

func TestNext(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ expr, after, want string }{
		{"@every 30s", "2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z"},
		{"0 8 * * *", "2026-01-01T06:59:59Z", "2026-01-01T07:00:00Z"}, // winter: UTC+1
		{"0 8 * * *", "2026-07-01T00:00:00Z", "2026-07-01T06:00:00Z"}, // summer: UTC+2
		{"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-28T23:00:00Z"},
		// On 29 March 2026 the clocks of Paris go from 02:00 to 03:00, at 01:00 UTC.
		{"30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:30:00Z"},
		{"30 2 * * *", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"},
		{"0 3 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"},
		{"0 4 * * *", "2026-03-28T12:00:00Z", "2026-03-29T02:00:00Z"},
		{"*/20 * * * *", "2026-03-29T00:50:00Z", "2026-03-29T01:00:00Z"},
		// On 25 October 2026 they go from 03:00 back to 02:00, at 01:00 UTC.
		{"30 3 * * *", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00Z"},
		{"*/20 * * * *", "2026-10-25T00:50:00Z", "2026-10-25T01:00:00Z"},
	} {
		cadence, err := ParseSchedule(c.expr, paris)
		if err != nil {
			t.Fatal(err)
		}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := cadence.Next(after).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s after %s: %s, want %s", c.expr, c.after, got, c.want)
		}
	}
	if !(Cadence{}).Next(time.Now()).IsZero() {
		t.Error("the zero cadence is due")
	}
}

// started runs a scheduler; what it returns stops it and waits.
func started(t *testing.T, s *scheduler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx)
	}()
	return func() {
		t.Helper()
		cancel()
		await(t, done, "the schedule to stop")
	}
}

func await(t *testing.T, event <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-event:
	case <-time.After(20 * time.Second):
		t.Fatalf("waited too long for %s", what)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func mustAdd(t *testing.T, s *scheduler, name, expr string, last time.Time, do func(context.Context)) {
	t.Helper()
	if err := s.add(name, expr, last, do); err != nil {
		t.Fatal(err)
	}
}

func TestScheduleRunsAndDoesNotOverlap(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := newSchedule(time.UTC, quiet(), time.Now)
	var running, runs, overlaps atomic.Int32
	ticks, slowRan := make(chan struct{}, 10), make(chan struct{}, 10)
	release := make(chan struct{})
	mustAdd(t, s, "slow", "@every 1s", time.Time{}, func(context.Context) {
		if running.Add(1) > 1 {
			overlaps.Add(1)
		}
		runs.Add(1)
		slowRan <- struct{}{}
		<-release
		running.Add(-1)
	})
	mustAdd(t, s, "quick", "@every 1s", time.Now(), func(context.Context) { ticks <- struct{}{} })
	stop := started(t, s)
	await(t, slowRan, "the slow job to start at once")
	for range 3 {
		await(t, ticks, "a tick of the other job")
	}
	if runs.Load() != 1 {
		t.Errorf("the slow job began %d times", runs.Load())
	}
	close(release)
	await(t, slowRan, "the slow job to run again")
	stop()
	if overlaps.Load() > 0 {
		t.Error("a job overlapped itself")
	}
}

// After a panic the job runs again: cron's own order of guards would not let it.
func TestScheduleSurvivesPanics(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var log bytes.Buffer
	s := newSchedule(time.UTC, slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	told := make(chan string, 10)
	s.onPanic = func(job string, err error) { told <- job + ": " + err.Error() }
	again := make(chan struct{})
	var runs atomic.Int32
	mustAdd(t, s, "blocks", "@every 1s", time.Time{}, func(context.Context) {
		if runs.Add(1) == 1 {
			panic("out of cheese")
		}
		if runs.Load() == 2 {
			close(again)
		}
	})
	stop := started(t, s)
	await(t, again, "a run after the panic")
	stop()
	if got := <-told; got != "blocks: out of cheese" {
		t.Error(got)
	}
	for _, want := range []string{"level=ERROR", `msg="job panicked"`, "job=blocks", "out of cheese", "schedule_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not hold %s:\n%s", want, log.String())
		}
	}
}

func TestScheduleRunsWhatIsOverdue(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	s := newSchedule(time.UTC, quiet(), func() time.Time { return now })
	for _, c := range []struct {
		name string
		last time.Time
		want bool
	}{
		{"never ran", time.Time{}, true},
		{"missed this morning", now.Add(-25 * time.Hour), true},
		{"missed for months", now.AddDate(0, -3, 0), true},
		{"ran this morning", now.Add(-4 * time.Hour), false},
		{"ran in the future, by a clock that was wrong", now.Add(48 * time.Hour), false},
	} {
		cadence, err := ParseSchedule("0 8 * * *", time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.overdue(job{name: c.name, cadence: cadence, last: c.last}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	ran := make(chan struct{})
	mustAdd(t, s, "report", "0 8 * * *", now.Add(-25*time.Hour), func(context.Context) { close(ran) })
	mustAdd(t, s, "history", "0 8 * * *", now.Add(-4*time.Hour), func(context.Context) { t.Error("not overdue, but ran") })
	mustAdd(t, s, "mempool", "", time.Time{}, func(context.Context) { t.Error("never, but ran") })
	stop := started(t, s)
	await(t, ran, "the overdue job")
	stop()
}

func TestScheduleStopWaitsForJobs(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := newSchedule(time.UTC, quiet(), time.Now)
	begun := make(chan struct{})
	var ended atomic.Bool
	mustAdd(t, s, "history", "@every 1h", time.Time{}, func(ctx context.Context) {
		close(begun)
		<-ctx.Done()
		ended.Store(true)
	})
	stop := started(t, s)
	await(t, begun, "the job")
	stop()
	if !ended.Load() {
		t.Error("the schedule stopped before its job")
	}
}

func TestScheduleWithoutJobsOrTime(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	started(t, newSchedule(time.UTC, quiet(), time.Now))()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := newSchedule(time.UTC, quiet(), time.Now)
	mustAdd(t, s, "blocks", "@every 1s", time.Time{}, func(context.Context) { t.Error("ran after the end") })
	s.run(ctx)
	if err := s.add("report", "bad", time.Time{}, nil); err == nil || !strings.HasPrefix(err.Error(), "schedule report: ") {
		t.Error(err)
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, expr := range []string{"17 3 * * *", "@every 30s", "TZ=UTC", "CRON_TZ= ", "@", "1-2/3 ? L W #", "* * 29 2 *"} {
		f.Add(expr)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		cadence, err := ParseSchedule(expr, time.UTC)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		if err == nil && cadence.Next(now).Sub(now) < time.Second {
			t.Errorf("%q is due within the second", expr)
		}
	})
}
