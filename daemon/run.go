package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// Program is what the daemon gets from its surroundings.
type Program struct {
	Version          string
	Log              *slog.Logger
	Stdout           io.Writer // for a channel of kind stdout
	StdoutIsTerminal bool
	Reload           <-chan struct{}         // asks to read the configuration again
	Load             func() (*Config, error) // reads it
	Notify           func(state string)      // tells the service manager; never nil
	Watchdog         time.Duration           // how often the service manager wants a sign of life; 0: never
	Now              func() time.Time        // nil: time.Now
	Progress         func(CatchingUp)        // hears how the way to the tip goes, at its end with nothing left; nil: nobody looks
}

// Env is what channels are opened with.
func (p Program) Env() alerts.Env {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return alerts.Env{Stdout: p.Stdout, StdoutIsTerminal: p.StdoutIsTerminal, Version: p.Version, Host: host, Now: p.Now}
}

// Run watches until the context ends, and then returns nil. A database that does
// not answer is waited for. It gives an error where it cannot begin: a private
// database that does not start, a login that is refused, a database that is not
// its own.
func Run(ctx context.Context, config *Config, program Program) error {
	if program.Now == nil {
		program.Now = time.Now
	}
	d := &daemon{Program: program, pulse: newPulse(program.Now), rounds: rounds{now: program.Now}}
	stop := d.feedWatchdog(ctx)
	defer stop()
	if err := d.await(ctx, config); err != nil {
		return err
	}
	defer d.close()
	for ctx.Err() == nil {
		next, err := d.serve(ctx, config)
		if err != nil {
			return err
		}
		if next != nil {
			config = next
		}
	}
	d.Notify("STOPPING=1")
	d.Log.Info("stopped")
	return nil
}

// daemon is one running program: its database, over all readings of the
// configuration.
type daemon struct {
	Program
	pulse   *pulse
	private *sql.Private // nil with a database of its own
	store   *sql.Store
	seen    *health  // of the last lead
	seenFor Schedule // that it saw by

	standing standing
	rounds   rounds
	figures  figures
	beats    beats
	heard    heard
}

// await opens the database as soon as it answers.
func (d *daemon) await(ctx context.Context, config *Config) error {
	var told time.Time
	for {
		err := d.open(ctx, config)
		if err == nil || !errors.Is(err, sql.ErrUnreachable) && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		d.Notify("READY=1\nSTATUS=" + noDatabase)
		if now := d.Now(); now.Sub(told) >= tellWaiting {
			d.Log.Warn(noDatabase, "error", err)
			told = now
		}
		sleep(ctx, again)
	}
}

// tellWaiting is how often it is said that the database is waited for.
const tellWaiting = time.Minute

func (d *daemon) open(ctx context.Context, config *Config) error {
	url := config.DatabaseURL
	if url == "" {
		d.Notify("STATUS=starting the private Postgres")
		private, err := sql.StartPrivate(ctx, config.DataDir, d.Log, sql.Supervised())
		if err != nil {
			return err
		}
		d.private, url = private, private.URL()
	}
	d.Notify("STATUS=preparing the database")
	store, err := sql.Open(ctx, url, config.Network, d.Log)
	if err != nil {
		d.close()
		return err
	}
	d.store = store
	return nil
}

func (d *daemon) close() {
	if d.store != nil {
		d.store.Close()
	}
	if d.private == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := d.private.Stop(ctx); err != nil {
		d.Log.Error("private postgres not stopped", "error", err)
	}
}

// serve works with one reading of the configuration, until it is asked to read
// it again, and gives the new one.
func (d *daemon) serve(ctx context.Context, config *Config) (*Config, error) {
	w, err := newWatch(d, config)
	if err != nil {
		return nil, err
	}
	defer w.close()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.run(serving)
	}()
	defer func() { stop(); <-done }()
	defer w.listen(serving)()
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-done:
			if ctx.Err() != nil {
				return nil, nil // it ended with the context
			}
			return nil, errors.New("the watch ended by itself")
		case <-d.Reload:
		}
		next, err := d.reload(config)
		if err != nil {
			d.Log.Error("configuration not taken, the old one stays in force", "error", err)
			continue
		}
		d.Log.Info("configuration read again", "file", next.File)
		return next, nil
	}
}

// reload reads the configuration. What is bound to the running database cannot
// change without a restart.
func (d *daemon) reload(old *Config) (*Config, error) {
	d.Notify("RELOADING=1")
	defer d.Notify("READY=1")
	next, err := d.Load()
	if err != nil {
		return nil, err
	}
	if next.DataDir != old.DataDir || next.DatabaseURL != old.DatabaseURL || next.Network != old.Network {
		return nil, errors.New("network, data_dir and database are read at start only: restart btcwatch to change them")
	}
	return next, nil
}

// feedWatchdog tells the service manager that work goes on, as long as it
// does.
func (d *daemon) feedWatchdog(ctx context.Context) (stop func()) {
	if d.Watchdog <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(d.Watchdog / 3)
		defer tick.Stop()
		for {
			if job, hung := d.pulse.hung(); hung {
				d.Log.Error("a job hangs, the watchdog is not fed", "job", job)
			} else {
				d.Notify("WATCHDOG=1")
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// watch is the work under one reading of the configuration.
type watch struct {
	*daemon
	config    *Config
	explorers []*explorer.Explorer
	channels  []openChannel

	failuresSaved map[string]map[string]int64 // of explorers, by the last lead
	canaryWake    chan struct{}
	privacy       *privacy
}

type openChannel struct {
	settings alerts.Settings
	channel  alerts.Channel
	wake     chan struct{}
}

func newWatch(d *daemon, config *Config) (*watch, error) {
	w := &watch{daemon: d, config: config, canaryWake: make(chan struct{}, 1), privacy: newPrivacy(config, d.store, d.Now)}
	for _, settings := range config.Explorers {
		if settings.UserAgent == "" {
			settings.UserAgent = "btcwatch/" + d.Version
		}
		e, err := explorer.Open(settings, config.Network)
		if err != nil {
			return nil, fmt.Errorf("open the explorer %s: %w", settings.Name, err)
		}
		w.explorers = append(w.explorers, w.privacy.guard(e))
	}
	for _, settings := range config.Channels {
		channel, err := alerts.Open(settings, d.Env())
		if err != nil {
			return nil, fmt.Errorf("open the channel %s: %w", settings.Name, err)
		}
		if alerts.Local(settings) {
			channel = newUnwaited(channel)
		}
		w.channels = append(w.channels, openChannel{settings, channel, make(chan struct{}, 1)})
	}
	return w, nil
}

func (w *watch) close() {
	for _, e := range w.explorers {
		e.Close()
	}
}

// wakeAll tells all deliverers that something waits.
func (w *watch) wakeAll() {
	wake := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default: // told already
		}
	}
	for _, c := range w.channels {
		wake(c.wake)
	}
	wake(w.canaryWake)
}

// again is how long the daemon waits before it tries for the lead again.
const again = 2 * time.Second

// run leads, or stands by until it can, until the context ends. A lost database
// ends the lead; it is waited for.
func (w *watch) run(ctx context.Context) {
	for {
		lead := w.awaitLead(ctx)
		if lead == nil {
			return
		}
		w.Log.Info("leading", "epoch", lead.Epoch, "network", chain.NetworkName(w.config.Network))
		err := w.lead(ctx, lead)
		lead.Release(ctx)
		if ctx.Err() == nil {
			w.Log.Error("lead lost, starting over", "error", err)
			sleep(ctx, again)
		}
	}
}

// awaitLead takes the lead as soon as it is free. Meanwhile this daemon shares
// the deliveries of the one that leads. Nil when the context has ended.
func (w *watch) awaitLead(ctx context.Context) *sql.Lead {
	told := ""
	standing := func() {}
	defer func() { standing() }()
	for ctx.Err() == nil {
		lead, err := w.store.TakeLead(ctx)
		if err == nil {
			return lead
		}
		state, role := noDatabase, noDatabase
		if errors.Is(err, sql.ErrStandby) {
			role = standingBy
			state = "standing by, another btcwatch leads on this database"
		}
		if state != told && ctx.Err() == nil {
			if role == standingBy {
				w.Log.Warn(state)
			} else {
				w.Log.Warn(state, "error", err)
			}
			w.Notify("READY=1\nSTATUS=" + state)
			standing()
			standing = w.standBy(ctx)
			told = state
			w.standing.set(role, nil)
		}
		sleep(ctx, again)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
