package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// daemon is the btcwatch binary at work. Like a service manager, it starts the
// daemon again when that dies without having been told to stop.
type daemon struct {
	binary, dir string
	say         *narrator

	mu      sync.Mutex
	life    *child
	wanted  bool
	deaths  int       // unasked ones
	killed  bool      // a kill came from outside of the story
	began   time.Time // of this life
	quick   int       // deaths in a row right after a start
	broken  error     // it does not stay alive
	waiting sync.WaitGroup
}

func (d *daemon) config() string  { return filepath.Join(d.dir, "config.toml") }
func (d *daemon) dataDir() string { return filepath.Join(d.dir, "data") }
func (d *daemon) logFile() string { return filepath.Join(d.dir, "daemon.log") }

// environment is ours without what would turn the daemon or psql elsewhere.
func (d *daemon) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return strings.HasPrefix(name, "PG") || slices.Contains([]string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "RUNTIME_DIRECTORY", "JOURNAL_STREAM"}, name)
	})
	return append(env, "BTCWATCH_CONFIG="+d.config())
}

func (d *daemon) start() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = true
	return d.launch()
}

func (d *daemon) launch() error {
	log, err := os.OpenFile(d.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(d.binary, "run")
	cmd.Dir, cmd.Env = d.dir, d.environment()
	cmd.Stdout, cmd.Stderr = log, log
	life, err := startChild(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", d.binary, err)
	}
	d.life, d.began = life, time.Now()
	d.waiting.Go(func() { d.attend(life) })
	return nil
}

// attend waits for the end of a life, and starts the next one if that end was
// not asked for.
func (d *daemon) attend(life *child) {
	<-life.ended
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.wanted || d.life != life {
		return
	}
	d.deaths++
	d.quick++
	if time.Since(d.began) > 5*time.Second {
		d.quick = 0
	}
	if d.quick > 5 {
		d.broken = fmt.Errorf("the daemon does not stay alive: %w", life.err)
		return
	}
	d.killed = d.killed || life.err != nil && strings.Contains(life.err.Error(), "killed")
	d.say.tell("The daemon ended unasked (%v). It is started again, as a service manager would.", life.err)
	if err := d.launch(); err != nil {
		d.broken = err
	}
}

// state says whether the daemon is beyond help, and whether a kill came that
// is not part of the story.
func (d *daemon) state() (killed bool, broken error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.killed, d.broken
}

// kill ends the daemon with SIGKILL, with its database in the same moment, and
// leaves it dead until start.
func (d *daemon) kill() error {
	d.mu.Lock()
	d.wanted = false
	life := d.life
	d.mu.Unlock()
	err := d.strike(life, true)
	<-life.ended
	return err
}

// killAtRandom ends the daemon with SIGKILL as a stranger would.
func (d *daemon) killAtRandom(withDatabase bool) {
	d.mu.Lock()
	life, wanted := d.life, d.wanted
	d.killed = d.killed || wanted
	d.mu.Unlock()
	if !wanted {
		d.say.tell("The daemon is dead already; this kill changes nothing.")
		return
	}
	if err := d.strike(life, withDatabase); err != nil {
		d.say.tell("Not killed: %s.", err)
	}
}

// strike kills Postgres first: after the daemon's death it would begin to end
// in good order.
func (d *daemon) strike(life *child, withDatabase bool) error {
	var database error
	if withDatabase {
		if pid := d.postgres(); pid > 0 {
			database = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if err := syscall.Kill(life.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	if errors.Is(database, syscall.ESRCH) {
		return nil
	}
	return database
}

// postgres is the process of the private Postgres, or 0.
func (d *daemon) postgres() int {
	text, err := os.ReadFile(filepath.Join(d.dataDir(), "postgres", "postmaster.pid"))
	first, _, _ := strings.Cut(string(text), "\n")
	pid, numberErr := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || numberErr != nil || !slices.Contains(runningIn(d.dataDir()), pid) {
		return 0
	}
	return pid
}

// stop ends the daemon in good order.
func (d *daemon) stop() error {
	d.mu.Lock()
	wanted, life, killed := d.wanted, d.life, d.killed
	d.wanted = false
	d.mu.Unlock()
	if !wanted || life == nil {
		d.waiting.Wait()
		return nil
	}
	begun := time.Now()
	_ = syscall.Kill(life.pid, syscall.SIGTERM) // it may have ended already
	select {
	case <-life.ended:
	case <-time.After(15 * time.Second):
		_ = syscall.Kill(life.pid, syscall.SIGKILL)
		<-life.ended
	}
	d.waiting.Wait()
	if killed && life.err != nil && strings.Contains(life.err.Error(), "killed") {
		return nil // the last of the kills came first
	}
	if took := time.Since(begun); life.err != nil || took > 10*time.Second {
		return fmt.Errorf("told to stop (SIGTERM), the daemon took %.1f s and ended so: %v", took.Seconds(), life.err)
	}
	return nil
}

// ask runs btcwatch with arguments and gives what it prints.
func (d *daemon) ask(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Dir, cmd.Env = d.dir, d.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("btcwatch %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// rows asks the database, as an analyst's program would: one line a row.
func (d *daemon) rows(ctx context.Context, query string) ([]string, error) {
	out, err := d.ask(ctx, "sql", "--", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", query)
	if err != nil {
		return nil, err
	}
	if out = strings.TrimRight(out, "\n"); out == "" {
		return nil, nil
	}
	return strings.Split(out, "\n"), nil
}

// table asks the database, as an analyst would.
func (d *daemon) table(ctx context.Context, query string) (string, error) {
	return d.ask(ctx, "sql", "--", "-X", "-q", "-P", "pager=off", "-P", "footer=off", "-c", query)
}

// lastWords is the end of the daemon's log.
func (d *daemon) lastWords() string {
	text, _ := os.ReadFile(d.logFile()) // none is an answer too
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}
