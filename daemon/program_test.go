package daemon

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the binary at work. It dies with us, however we end.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of its end
}

// built makes the program as it is shipped.
func built(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "btcwatch")
	build := exec.Command("go", "build", "-o", binary, "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// launch starts the program with a configuration, in no environment that says
// anything else.
func launch(t *testing.T, binary, conf string, log io.Writer) *program {
	t.Helper()
	cmd := exec.Command(binary, "run", "--config", conf)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "PG") || strings.HasPrefix(setting, "NOTIFY_SOCKET=") || strings.HasPrefix(setting, "WATCHDOG_") || strings.HasPrefix(setting, "JOURNAL_STREAM=")
	})
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startProgram(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// startProgram starts it. The kernel kills it when the thread that forked it
// ends, so one goroutine keeps its thread until then.
func startProgram(t *testing.T, cmd *exec.Cmd) (*program, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &program{t: t, cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
	}()
	return p, <-started
}

// kill is kill -9; it returns when the program has ended.
func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the program to end, and waits until it has.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	late := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if <-p.ended; p.err != nil {
		p.t.Errorf("the program ended with %v", p.err)
	}
}
