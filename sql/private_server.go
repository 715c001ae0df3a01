package sql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// errLeftovers: a start failed on what the last server has not yet taken
	// away, or the server that was found running ended; try again.
	errLeftovers = errors.New("the last server has not ended yet")

	errStillStarting = errors.New("the server is still starting")
)

// server is a running Postgres, started here or found.
type server struct {
	process *os.Process
	socket  string          // directory of its socket
	ended   <-chan struct{} // closed when it ends; nil, and never ready, when it is no child of ours
	logFrom int64           // where its messages begin in the log
}

// findServer gives the server that runs on a cluster, or nil. The pid that a
// killed server left behind may long be another process's: only one whose
// working directory is the cluster is a server of it.
func findServer(cluster string) *server {
	text, err := os.ReadFile(filepath.Join(cluster, "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	if err != nil || len(lines) < 2 {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 {
		return nil
	}
	process, err := os.FindProcess(pid) // from here on a handle, safe from reuse of the pid
	if err != nil || process.Signal(syscall.Signal(0)) != nil {
		return nil
	}
	if !sameFile(fmt.Sprintf("/proc/%d/cwd", pid), cluster) {
		return nil
	}
	found := &server{process: process}
	if len(lines) > 4 { // the socket's directory comes late in the file's life
		found.socket = strings.TrimSpace(lines[4])
	}
	return found
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// arguments are those of the server. What safety rests on is given here,
// where no file can change it.
func (p *Private) arguments(socket string) []string {
	settings := []string{
		"listen_addresses=", "port=5432",
		"unix_socket_directories=" + socket, "unix_socket_permissions=0700",
		"logging_collector=off", "log_destination=stderr",
	}
	settings = append(settings, "synchronous_commit=on") // before anything is called done, the kernel has it
	settings = append(settings, "jit=off")               // it wants memory that hardened services refuse: queries would fail
	if p.notDurable {
		settings = append(settings, "fsync=off", "full_page_writes=off", "max_connections=200")
	} else {
		settings = append(settings, "fsync=on", "full_page_writes=on")
	}
	args := []string{"-D", p.cluster()}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return args
}

// launch starts Postgres on the cluster.
func (p *Private) launch() (*server, error) {
	socket := p.socketDir()
	if socket != filepath.Join(p.dir, socketName) {
		p.log.Info("path of data_dir does not suit a unix socket, which goes elsewhere", "dir", p.dir, "socket", socket)
	}
	log := p.serverLog()
	if err := log.bound(); err != nil {
		return nil, advise(err, p.dir)
	}
	output, err := log.open()
	if err != nil {
		return nil, advise(err, p.dir)
	}
	defer output.Close()
	started := &server{socket: socket, logFrom: log.size()}
	cmd := exec.Command(p.programs.path("postgres"), p.arguments(socket)...)
	cmd.Dir = p.dir
	cmd.Env = cleanEnvironment()
	cmd.Stdout, cmd.Stderr = output, output
	death := syscall.Signal(0)
	if p.supervised {
		death = syscall.SIGINT // Postgres calls it a fast shutdown
	}
	cmd.SysProcAttr = p.account.attributes(death)
	if started.ended, err = startHeld(cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	started.process = cmd.Process
	return started, nil
}

// startHeld starts a process and waits for its end, both on one thread that
// does nothing else: the signal a process gets at its parent's death comes at
// the death of the thread that started it.
func startHeld(cmd *exec.Cmd) (<-chan struct{}, error) {
	result, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this function
		defer close(ended)
		err := cmd.Start()
		result <- err
		if err == nil {
			_ = cmd.Wait() // why it ended stands in its log
		}
	}()
	return ended, <-result
}

// untilReady waits until the server answers. A recovery after a crash may
// take long, so only the context and the server's end bound the waiting.
func (p *Private) untilReady(ctx context.Context) error {
	begun := time.Now()
	tell := begun.Add(2 * time.Second)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 250*time.Millisecond) {
		if p.server.socket == "" { // found before it had said where its socket is
			if found := findServer(p.cluster()); found != nil {
				p.server = found
			}
		}
		err := ping(ctx, p.server.socket)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for the server to start: %w", ctx.Err())
		}
		if p.server.hasEnded(p.cluster()) {
			return p.whyEnded()
		}
		if p.server.ended == nil && errors.Is(err, fs.ErrNotExist) && time.Since(begun) > 10*time.Second {
			return fmt.Errorf("the server runs (process %d), but its socket in %s cannot be seen from here: stop the btcwatch that started it, or choose a shorter data_dir",
				p.server.process.Pid, p.server.socket)
		}
		if time.Now().After(tell) {
			tell = time.Now().Add(10 * time.Second)
			p.log.Info("waiting for the private database to be ready", "dir", p.dir, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-p.server.ended:
		case <-time.After(wait):
		}
	}
}

// ping says whether a server takes connections. It does so too when it
// refuses one for a reason of its own, such as too many of them.
func ping(ctx context.Context, socket string) error {
	if socket == "" {
		return errStillStarting
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, privateURL(socket, "postgres"))
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return conn.Close(ctx)
	case errors.As(err, &refused) && refused.Code != cannotConnectNow:
		return nil
	}
	return err
}

func (s *server) hasEnded(cluster string) bool {
	if s.ended == nil {
		now := findServer(cluster)
		return now == nil || now.process.Pid != s.process.Pid
	}
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// whyEnded reads the reason from the log.
func (p *Private) whyEnded() error {
	if p.server.ended == nil {
		return errLeftovers
	}
	text, err := p.serverLog().since(p.server.logFrom)
	if err != nil {
		return err
	}
	why := fmt.Errorf("postgres ended before it was ready: %s: %s", faults(text), adviseOn(text, p.dir))
	for _, leftover := range []string{"pre-existing shared memory block", "postmaster.pid\" already exists", "is another postmaster"} {
		if strings.Contains(text, leftover) {
			return fmt.Errorf("%w: %w", errLeftovers, why)
		}
	}
	return why
}

// shutDown stops the server that runs on the cluster, cleanly if the context
// allows the time.
func (p *Private) shutDown(ctx context.Context) error {
	running := findServer(p.cluster())
	if running == nil {
		return nil
	}
	if p.server != nil && p.server.process.Pid == running.process.Pid {
		running = p.server
	}
	if p.socket != "" && filepath.Dir(p.socket) != p.dir {
		defer os.Remove(p.socket) // outside the data directory it would stay for ever
	}
	if err := running.end(ctx, p.cluster(), syscall.SIGINT); err == nil || ctx.Err() == nil {
		return err
	}
	p.log.Warn("private database does not stop in time, stopping it hard", "dir", p.dir)
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return running.end(hard, p.cluster(), syscall.SIGQUIT)
}

// end sends a signal and waits until the server is gone.
func (s *server) end(ctx context.Context, cluster string, signal syscall.Signal) error {
	if err := s.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	for !s.hasEnded(cluster) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d to end: %w", s.process.Pid, ctx.Err())
		case <-s.ended:
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
