package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// child is a process of ours. It dies with us, however we end.
type child struct {
	pid   int
	ended chan struct{}
	err   error // of its end; to be read after that
}

// startChild starts a process in a group of its own, out of reach of Ctrl-C.
// The kernel kills it when the thread that forked it ends, so one goroutine
// keeps its thread until the process is gone.
func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c := &child{ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(c.ended)
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			c.err = cmd.Wait()
		}
	}()
	return c, <-started
}
