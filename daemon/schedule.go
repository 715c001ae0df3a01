package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
)

// Cadence says when a job is due. The zero value is never.
type Cadence struct {
	plan cron.Schedule
	zone *time.Location
}

// ParseSchedule reads five cron fields, in the given zone, or a word such as
// "@daily" or "@every 30s". It refuses what would never be due and what cron
// would silently round to another pace.
func ParseSchedule(expr string, zone *time.Location) (Cadence, error) {
	expr = strings.TrimSpace(expr)
	if strings.HasPrefix(expr, "TZ=") || strings.HasPrefix(expr, "CRON_TZ=") {
		return Cadence{}, fmt.Errorf("%q names a time zone; take it out and set timezone at the top of the file", expr)
	}
	plan, err := parseCron(expr)
	if err != nil {
		return Cadence{}, fmt.Errorf(`%q is not a schedule (%w); write five cron fields such as "17 3 * * *", or "@every 30s"`, expr, err)
	}
	if err := checkEvery(expr); err != nil {
		return Cadence{}, err
	}
	c := Cadence{plan: plan, zone: zone}
	if c.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Cadence{}, fmt.Errorf("%q never comes; write a day that exists, or leave it empty for never", expr)
	}
	return c, nil
}

// parseCron survives cron, which panics on some input that it does not know.
func parseCron(expr string) (plan cron.Schedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("not understood")
		}
	}()
	return cron.ParseStandard(expr)
}

// checkEvery refuses the spans that cron would round: it makes 1 s of whatever
// is shorter, of 0 and of negative ones too, and drops parts of a second.
func checkEvery(expr string) error {
	text, found := strings.CutPrefix(expr, "@every ")
	if !found {
		return nil
	}
	span, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return err
	case span < time.Second:
		return fmt.Errorf(`%q is below one second; use "@every 1s" or longer`, expr)
	case span%time.Second != 0:
		return fmt.Errorf(`%q has parts of a second; use whole seconds`, expr)
	}
	return nil
}

// Next is the first time after t at which the job is due; the zero time for
// never. A time of day that the clock jumps over in spring comes at the
// instant that it would have been: cron alone would drop the whole day.
func (c Cadence) Next(t time.Time) time.Time {
	if c.plan == nil {
		return time.Time{}
	}
	next := c.plan.Next(t.In(c.zone))
	if _, every := c.plan.(cron.ConstantDelaySchedule); every {
		return next // keeps its monotonic reading: a clock set back does not stop it
	}
	_, offset := t.In(c.zone).Zone()
	still := c.plan.Next(t.In(time.FixedZone("", offset))) // as if the clock did not change
	if still.Before(next) && !exists(still, c.zone) {
		next = still
	}
	return next.In(c.zone)
}

// exists says whether the zone's clocks ever show what this clock shows.
func exists(t time.Time, zone *time.Location) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, zone)
	return day.Hour() == t.Hour() && day.Minute() == t.Minute()
}

// scheduler runs jobs when they are due: none beside itself, different ones
// at the same time.
type scheduler struct {
	zone    *time.Location
	log     *slog.Logger
	now     func() time.Time
	onPanic func(job string, err error) // told besides the log; nil: nobody
	jobs    []job
}

type job struct {
	name    string
	cadence Cadence
	last    time.Time
	do      func(context.Context)
	now     chan struct{} // it is to run at once
}

func newSchedule(zone *time.Location, log *slog.Logger, now func() time.Time) *scheduler {
	return &scheduler{zone: zone, log: log, now: now}
}

// add puts a job on the schedule before run; an empty expression is never. The
// last run is known from an earlier life: a job that was due since then runs at
// the start, and so does one that never ran (the zero time).
func (s *scheduler) add(name, expr string, last time.Time, do func(context.Context)) error {
	if expr == "" {
		return nil
	}
	cadence, err := ParseSchedule(expr, s.zone)
	if err != nil {
		return fmt.Errorf("schedule %s: %w", name, err)
	}
	s.jobs = append(s.jobs, job{name, cadence, last, do, make(chan struct{}, 1)})
	return nil
}

// bring lets a job run at once, and when it runs, again after that: there may be
// something new. While one such wish waits, others add nothing.
func (s *scheduler) bring(name string) {
	for _, j := range s.jobs {
		if j.name != name {
			continue
		}
		select {
		case j.now <- struct{}{}:
		default: // it will
		}
	}
}

// run keeps the schedule until the context ends, and returns when the last
// running job has returned. Jobs get the context, so that they end with it.
func (s *scheduler) run(ctx context.Context) {
	clock := cron.New(cron.WithLocation(s.zone), cron.WithLogger(cron.DiscardLogger))
	var overdue sync.WaitGroup
	for _, j := range s.jobs {
		due, brought := s.guard(ctx, j)
		clock.Schedule(j.cadence, due)
		if s.overdue(j) {
			overdue.Go(due.Run)
		}
		overdue.Go(func() { whenever(ctx, j.now, brought.Run) })
	}
	clock.Start()
	<-ctx.Done()
	<-clock.Stop().Done()
	overdue.Wait()
}

func (s *scheduler) overdue(j job) bool {
	return j.last.IsZero() || !j.cadence.Next(j.last).After(s.now())
}

// whenever does something each time that it is wished for.
func whenever(ctx context.Context, wished <-chan struct{}, do func()) {
	for {
		select {
		case <-wished:
			do()
		case <-ctx.Done():
			return
		}
	}
}

// guard keeps a job from overlapping itself and from taking the program down:
// one that is due while it runs is skipped, one that is brought forward waits.
// Recover is inside, so that a job that panics can run again.
func (s *scheduler) guard(ctx context.Context, j job) (due, brought cron.Job) {
	log := jobLog{s, j.name}
	free := make(chan struct{}, 1)
	free <- struct{}{}
	work := cron.NewChain(cron.Recover(log)).Then(cron.FuncJob(func() {
		if ctx.Err() == nil {
			j.do(ctx)
		}
	}))
	run := func() {
		defer func() { free <- struct{}{} }()
		work.Run()
	}
	return cron.FuncJob(func() {
			select {
			case <-free:
				run()
			default:
				log.Info("skip")
			}
		}), cron.FuncJob(func() {
			select {
			case <-free:
				run()
			case <-ctx.Done():
			}
		})
}

// jobLog hears what cron's guards have to say about one job.
type jobLog struct {
	s    *scheduler
	name string
}

// Info is called when a job is skipped because it still runs.
func (l jobLog) Info(string, ...any) {
	l.s.log.Debug("job still running, turn skipped", "job", l.name)
}

// Error is called when a job has panicked.
func (l jobLog) Error(err error, _ string, details ...any) {
	l.s.log.Error("job panicked", append([]any{"job", l.name, "error", err}, details...)...)
	if l.s.onPanic != nil {
		l.s.onPanic(l.name, err)
	}
}
