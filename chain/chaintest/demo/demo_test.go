package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// programs builds what make demo runs.
func programs(t *testing.T) (demo, btcwatch string) {
	t.Helper()
	if testing.Short() {
		t.Skip("the demo takes most of a minute")
	}
	dir := t.TempDir()
	demo, btcwatch = filepath.Join(dir, "demo"), filepath.Join(dir, "btcwatch")
	for program, folder := range map[string]string{demo: ".", btcwatch: moduleRoot()} {
		cmd := exec.Command("go", "build", "-o", program, ".")
		cmd.Dir, cmd.Env = folder, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, out)
		}
	}
	return demo, btcwatch
}

// emptyFolder is where the demo puts its own; nothing may be left in it.
func emptyFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		deadline := time.Now().Add(20 * time.Second)
		for left, _ := os.ReadDir(dir); len(left) > 0 && time.Now().Before(deadline); left, _ = os.ReadDir(dir) {
			time.Sleep(50 * time.Millisecond) // the demo was killed, and is cleaned up after
		}
		if running := runningIn(dir); len(running) > 0 {
			t.Errorf("the processes %v are left", running)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// TestDemo runs the demo once, with one more kill at a random moment.
func TestDemo(t *testing.T) {
	demo, btcwatch := programs(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, demo, "-binary", btcwatch, "-kills", "1")
	cmd.Env = append(os.Environ(), "TMPDIR="+emptyFolder(t))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "85 of 85 happened, 0 lost, 0 doubled") {
		t.Errorf("the demo ended with %v:\n%s", err, out)
	}
}

// TestDemoLeavesNothing stops the demo in the middle, in two ways.
func TestDemoLeavesNothing(t *testing.T) {
	demo, btcwatch := programs(t)
	for _, c := range []struct {
		signal syscall.Signal
		code   int
	}{
		{syscall.SIGINT, exitInterrupted},
		{syscall.SIGKILL, -1},
	} {
		t.Run(c.signal.String(), func(t *testing.T) {
			cmd := exec.Command(demo, "-binary", btcwatch)
			cmd.Env = append(os.Environ(), "TMPDIR="+emptyFolder(t))
			said := &stopper{until: "One message sums it up", then: func() { _ = cmd.Process.Signal(c.signal) }}
			cmd.Stdout, cmd.Stderr = said, said
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("the demo ended with %d (%v), want %d:\n%s", code, err, c.code, said.text.String())
			}
		})
	}
}

// stopper keeps what is written, and does something at certain words.
type stopper struct {
	text  bytes.Buffer
	until string
	then  func()
}

func (s *stopper) Write(p []byte) (int, error) {
	s.text.Write(p)
	if s.then != nil && strings.Contains(s.text.String(), s.until) {
		s.then()
		s.then = nil
	}
	return len(p), nil
}

func TestWrapped(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"one two three", "one two|three"},
		{"  name   one two three", "  name   one|         two|         three"},
		{"", ""},
		{"averyverylongword it is", "averyverylongword|it is"},
	} {
		if got := strings.Join(wrapped(c.text, 8), "|"); got != c.want {
			t.Errorf("%q is wrapped to %q, want %q", c.text, got, c.want)
		}
	}
}
