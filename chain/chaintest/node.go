package chaintest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// NodeOptions are the choices for a node; the zero value is a good one.
type NodeOptions struct {
	// Seed is that of the wallet to which the coinbases pay.
	Seed string
	// Flags go to btcd after the package's own.
	Flags []string
}

// Node is a real btcd regtest node of our own on loopback, with nothing but
// the genesis block. All of it is gone after Stop.
type Node struct {
	rpc  *rpcClient
	dir  string
	pid  int
	done chan struct{} // closed when btcd has ended

	mu   sync.Mutex
	seen map[string]*seenTx // by txid; see Mempool

	stop sync.Once
}

// Params are the parameters of regtest.
func (n *Node) Params() *chaincfg.Params { return &chaincfg.RegressionNetParams }

// nodeStarts is how many pairs of ports are tried.
const nodeStarts = 5

// StartNode starts a btcd and waits until it answers; about a second. The
// first start on a machine builds btcd, which takes a minute. The context
// limits the start only: stop the node with Stop. btcd does not outlive this
// process, not even when the process is killed.
func StartNode(ctx context.Context, o NodeOptions) (*Node, error) {
	binary, err := btcdBinary(ctx)
	if err != nil {
		return nil, err
	}
	var failed error
	for range nodeStarts {
		n, err := startNode(ctx, binary, o)
		if err == nil {
			return n, nil
		}
		failed = err
		if ctx.Err() != nil || !errors.Is(err, errNodeEnded) {
			break
		}
	}
	return nil, fmt.Errorf("start btcd: %w", failed)
}

// errNodeEnded says that btcd ended by itself: most often another process took
// the port between our finding it free and btcd's listening on it.
var errNodeEnded = errors.New("btcd ended before it answered")

func startNode(ctx context.Context, binary string, o NodeOptions) (*Node, error) {
	dir, err := os.MkdirTemp("", "btcwatch-btcd-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	n := &Node{
		dir:  dir,
		done: make(chan struct{}),
		seen: map[string]*seenTx{},
		// The password is new each time: an answer can only come from our btcd.
		rpc: newRPCClient(fmt.Sprintf("127.0.0.1:%d", port), rand.Text()),
	}
	if err := n.run(binary, o); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := n.awaitAnswer(ctx); err != nil {
		err = fmt.Errorf("%w: %s", err, n.lastWords())
		n.Stop()
		return nil, err
	}
	return n, nil
}

// run starts btcd. The kernel kills btcd when the thread that forked it ends,
// so one goroutine holds its thread from the fork until btcd is gone.
func (n *Node) run(binary string, o NodeOptions) error {
	cmd := exec.Command(binary, n.flags(o)...)
	cmd.Env = append(os.Environ(), "HOME="+n.dir)
	cmd.Dir = n.dir
	// Its own process group, or a Ctrl-C would end btcd under the test's feet.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := os.WriteFile(n.path("empty.conf"), nil, 0o600); err != nil {
		return err
	}
	out, err := os.Create(n.path("output"))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = out, out

	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(n.done)
		defer out.Close()
		err := cmd.Start()
		if err == nil {
			n.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in lastWords
		}
	}()
	return <-started
}

func (n *Node) flags(o NodeOptions) []string {
	return append([]string{
		"--regtest", "--configfile=" + n.path("empty.conf"),
		"--datadir=" + n.path("data"), "--logdir=" + n.path("logs"),
		"--rpcuser=" + rpcUser, "--rpcpass=" + n.rpc.password, "--rpclisten=" + n.rpc.address, "--notls",
		"--nolisten", "--nodnsseed", "--nobanning", "--trickleinterval=100ms",
		"--txindex", "--addrindex", "--rpcquirks",
		"--miningaddr=" + MiningAddress(o.Seed).Text,
	}, o.Flags...)
}

func (n *Node) path(name string) string { return filepath.Join(n.dir, name) }

func (n *Node) awaitAnswer(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := n.Height(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-n.done:
			return errNodeEnded
		case <-ctx.Done():
			return fmt.Errorf("wait for btcd (last: %w): %w", err, ctx.Err())
		case <-tick.C:
		}
	}
}

// lastWords is the end of what btcd printed.
func (n *Node) lastWords() string {
	out, _ := os.ReadFile(n.path("output"))
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// Stop kills btcd, waits for its end and removes its data. A second Stop does
// nothing.
func (n *Node) Stop() {
	n.stop.Do(func() {
		_ = syscall.Kill(-n.pid, syscall.SIGKILL) // it may have ended already
		<-n.done
		n.rpc.http.CloseIdleConnections()
		_ = os.RemoveAll(n.dir) // a leftover in the temporary folder harms nobody
	})
}

// Pause stops the process with SIGSTOP, every thread of it: connections are
// accepted and nothing is answered, like a hung node.
func (n *Node) Pause() error {
	if err := syscall.Kill(n.pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for !n.stopped() { // the signal takes a moment to reach all threads
		time.Sleep(time.Millisecond)
	}
	return nil
}

// stopped looks for a thread of btcd that is not in state T.
func (n *Node) stopped() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.pid))
	for _, thread := range threads {
		stat, err := os.ReadFile(thread)
		_, state, ok := strings.Cut(string(stat), ") ")
		if err == nil && ok && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Resume lets a paused node go on.
func (n *Node) Resume() error { return syscall.Kill(n.pid, syscall.SIGCONT) }

// RPC is where btcd answers, and who may ask.
func (n *Node) RPC() (url, user, password string) {
	return "http://" + n.rpc.address, rpcUser, n.rpc.password
}

// PID is btcd's process id.
func (n *Node) PID() int { return n.pid }

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// btcdBinary finds btcd: $BTCWATCH_BTCD, or the tool of go.mod, which the go
// command builds once into its cache; that is safe for many processes at once.
func btcdBinary(ctx context.Context) (string, error) {
	if path := os.Getenv("BTCWATCH_BTCD"); path != "" {
		return path, nil
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", "github.com/btcsuite/btcd")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build btcd with go tool (or set BTCWATCH_BTCD to a btcd): %w: %s", err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
