package alerts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// program starts a program for each alert, with the body on its standard input.
// No shell is between, and nothing of the body is in its arguments. What it
// writes is not read: it may hold whatever the program was given, and an error
// of ours goes where an alert must not.
type program struct {
	command []string
	timeout time.Duration
}

type programSettings struct {
	Command []string `toml:"command"` // the program by its whole path, and its arguments
	Timeout Duration `toml:"timeout"` // default 30s
}

// What a program says by its exit code, in the words of sysexits.h. Any other
// one, 75 (EX_TEMPFAIL) among them, is tried again.
const (
	exitTaken   = 0
	exitRefused = 65 // EX_DATAERR: it will never take this alert
)

// longestProgram is how long a program may take: less than a whole try may.
const longestProgram = 40 * time.Second

func openProgram(s Settings, _ Env) (Channel, error) {
	var set programSettings
	if err := s.Decode(&set); err != nil {
		return nil, err
	}
	if len(set.Command) == 0 || set.Command[0] == "" {
		return nil, errors.New(`command is missing: name the program and its arguments, like ["/usr/local/bin/page", "desk"]`)
	}
	if err := runnable(set.Command[0]); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	for _, arg := range set.Command {
		if bytes.IndexByte([]byte(arg), 0) >= 0 {
			return nil, errors.New("command: an argument holds a NUL, which no program can be given")
		}
	}
	timeout := set.Timeout.or(30 * time.Second)
	if timeout > longestProgram {
		return nil, fmt.Errorf("timeout: a program may take at most %s: let it hand over what takes longer", longestProgram)
	}
	return &program{command: set.Command, timeout: timeout}, nil
}

// runnable looks whether a program can be started, and by this user.
func runnable(path string) error {
	const executable = 1
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is no whole path: begin it with /, for nothing is looked for in PATH", path)
	}
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no program %s: install it, or name another one", path)
	case err != nil:
		return err
	case !info.Mode().IsRegular() || syscall.Access(path, executable) != nil:
		return fmt.Errorf("%s cannot be started by this user: make it executable", path)
	}
	return nil
}

// leftBehind is how long something that the program started and left behind may
// keep its standard input before that is cut off.
const leftBehind = time.Second

// Send runs the program once. When its time is over it is killed, with all that
// it has started in its process group.
func (c *program) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	cmd.Env = c.environment(m)
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(m.Body)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) != nil {
			return os.ErrProcessDone
		}
		return nil
	}
	cmd.WaitDelay = leftBehind
	if err := cmd.Start(); err != nil {
		return errors.New("start the program: " + c.startTrouble(ctx, err))
	}
	return c.judge(ctx, cmd.Wait())
}

// environment holds nothing of ours: what is in the environment of a service is
// not for every program that it starts.
func (c *program) environment(m Message) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"LANG=C.UTF-8",
		"BTCWATCH_ALERT_ID=" + m.ID.String(),
		"BTCWATCH_ALERT_TYPE=" + clean(string(m.Decoded.Type)),
		"BTCWATCH_ALERT_SEVERITY=" + clean(m.Decoded.Data.Severity),
		"BTCWATCH_ALERT_ATTEMPT=" + strconv.Itoa(m.Attempt),
	}
}

// startTrouble says in our own words why a program cannot be started.
func (c *program) startTrouble(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return trouble(ctx.Err())
	}
	if fault := runnable(c.command[0]); fault != nil {
		return fault.Error()
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return "it could not be"
}

func (c *program) judge(ctx context.Context, err error) error {
	var ended *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil // it ended well; what it left behind is its own affair
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return errors.New("run the program: it did not end in time and was killed: make it quicker, or raise timeout")
	case ctx.Err() != nil:
		return errors.New("run the program: it was interrupted")
	case !errors.As(err, &ended):
		return errors.New("run the program: it could not be given the alert")
	}
	status, _ := ended.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		return fmt.Errorf("run the program: a signal ended it (%s)", status.Signal())
	case status.ExitStatus() == exitRefused:
		return PermanentError(fmt.Errorf("run the program: it refused the alert for good (exit code %d)", exitRefused))
	}
	return fmt.Errorf("run the program: it ended with exit code %d", status.ExitStatus())
}
