package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startSweeper starts this program once more, to clean up after it whatever
// becomes of it: its standard input ends when this process does. The function
// it gives cleans up now, and waits for that.
func startSweeper(dir string) (func() error, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-sweep", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // out of reach of Ctrl-C
	end, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error {
		_ = end.Close() // it has no other end than this
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s could not be cleaned up (%w): look there, and remove it", dir, err)
		}
		return nil
	}, nil
}

// sweepAfter waits until nothing can be read any more, and sweeps.
func sweepAfter(alive io.Reader, dir string) int {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if !strings.HasPrefix(filepath.Base(dir), "btcwatch-demo-") {
		return exitMisuse
	}
	_, _ = io.Copy(io.Discard, alive) // its end is the sign, in whatever way it comes
	if err := sweep(dir); err != nil {
		return 1
	}
	return 0
}

// sweep ends what runs in a folder and removes it. Postgres is given time to
// end by itself, and then asked to: killed, it would leave shared memory behind.
func sweep(dir string) error {
	begun := time.Now()
	for {
		running := runningIn(dir)
		if len(running) == 0 {
			break
		}
		past := time.Since(begun)
		switch {
		case past > 15*time.Second:
			return fmt.Errorf("processes %v do not end", running)
		case past > 8*time.Second:
			signalAll(running, syscall.SIGKILL)
		case past > 3*time.Second:
			signalAll(running, syscall.SIGINT)
		}
		time.Sleep(50 * time.Millisecond)
	}
	err := os.RemoveAll(dir)
	if err != nil { // a file can have come while it was removed
		err = os.RemoveAll(dir)
	}
	return err
}

func signalAll(pids []int, signal syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, signal) // it may have ended already
	}
}

// runningIn gives the processes whose working directory is in a folder. All
// that the demo starts, and what that starts, works in the demo's folder.
func runningIn(dir string) []int {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd") // only a bad pattern fails
	var pids []int
	for _, link := range links {
		at, err := os.Readlink(link)
		pid, numberErr := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if errors.Join(err, numberErr) == nil && pid != os.Getpid() && (at == dir || strings.HasPrefix(at, dir+"/")) {
			pids = append(pids, pid)
		}
	}
	return pids
}
