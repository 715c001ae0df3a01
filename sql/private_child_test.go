package sql

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// A child is another btcwatch process, as any user, that can be killed: this
// test program run again, with these variables saying what to do.
const (
	childDir  = "BTCWATCH_TEST_CHILD_DIR"
	childMode = "BTCWATCH_TEST_CHILD_MODE" // words: daemon, durable, nonamespace
)

type child struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	done bool
}

// TestChildProcess is no test: it is what a child does.
func TestChildProcess(t *testing.T) {
	dir, mode := os.Getenv(childDir), os.Getenv(childMode)
	if dir == "" {
		return
	}
	var options []PrivateOption
	if strings.Contains(mode, "daemon") {
		options = append(options, Supervised())
	}
	if !strings.Contains(mode, "durable") {
		options = append(options, NotDurable()) // a killed process is no power failure
	}
	if strings.Contains(mode, "nonamespace") {
		options = append(options, func(p *Private) { p.namespaces = false })
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cluster, err := StartPrivate(ctx, dir, log, options...)
	if err != nil {
		fmt.Println("failed", strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
	fmt.Println("ready", cluster.URL())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent asks to stop
	if err := cluster.Stop(ctx); err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	fmt.Println("stopped")
	os.Exit(0)
}

// asUser is who a child runs as, and whose its data directory is.
type asUser struct {
	name      string
	uid       int // of the process
	owner     int // of the directory
	mode      string
	runsUnder int // the uid that the server's files have in the end
}

// users are all the ways in which this machine can try the private cluster.
func users() []asUser {
	if uid := os.Geteuid(); uid != 0 {
		return []asUser{{name: "ordinary user", uid: uid, owner: uid, runsUnder: uid}}
	}
	all := []asUser{
		{name: "root in a user namespace", runsUnder: 0},
		{name: "ordinary user", uid: nobody, owner: nobody, runsUnder: nobody},
		{name: "root in the directory of a user", owner: nobody, runsUnder: nobody},
	}
	if to, err := unprivileged(); err == nil {
		all = append(all, asUser{name: "root without namespaces", mode: "nonamespace", runsUnder: to.uid})
	}
	return all
}

// dir makes a data directory that the user owns and can reach.
func (u asUser) dir(t testing.TB) string {
	t.Helper()
	base, err := os.MkdirTemp(quickDisk(), "btcwatch-test-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(base)) })
	must(t, os.Chmod(base, 0o755))
	dir := filepath.Join(base, "data")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chown(dir, u.owner, u.owner))
	return dir
}

// start runs a child and waits until it is ready.
func (u asUser) start(t testing.TB, dir, mode string) (*child, string) {
	t.Helper()
	c := u.spawn(t, dir, mode)
	word, rest := c.read()
	if word != "ready" {
		t.Fatalf("child %s: %s %s", mode, word, rest)
	}
	return c, rest
}

// fails runs a child that has to fail and gives its words.
func (u asUser) fails(t testing.TB, dir, mode string) string {
	t.Helper()
	word, rest := u.spawn(t, dir, mode).read()
	if word != "failed" {
		t.Fatalf("child %s: %s %s", mode, word, rest)
	}
	return rest
}

func (u asUser) spawn(t testing.TB, dir, mode string) *child {
	t.Helper()
	cmd := exec.Command(reachableProgram(t), "-test.run=^TestChildProcess$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), childDir+"="+dir, childMode+"="+mode+" "+u.mode)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if u.uid != os.Geteuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.uid)}
	}
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	c := &child{t: t, cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() { c.end(dir) })
	return c
}

// quickDisk is memory where there is plenty, for these tests write gigabytes.
// Any user may pass through either, unlike the directories of t.TempDir.
func quickDisk() string {
	if free, err := freeSpace("/dev/shm"); err == nil && free > 2<<30 {
		return "/dev/shm"
	}
	return "/tmp"
}

// made holds what the tests of this process share and TestMain removes: the
// program for children, and a new cluster for each kind of user to copy.
var made struct {
	base string
}

func madeBase(t testing.TB) string {
	t.Helper()
	if made.base == "" {
		base, err := os.MkdirTemp(quickDisk(), "btcwatch-test-")
		must(t, err)
		made.base = base
		must(t, os.Chmod(base, 0o755))
	}
	return made.base
}

func removeMade() error { return os.RemoveAll(made.base) }

// reachableProgram copies this test program to where any user can run it.
func reachableProgram(t testing.TB) string {
	t.Helper()
	path := filepath.Join(madeBase(t), "child.test") // go test's own is in a closed directory
	if _, err := os.Stat(path); err == nil {
		return path
	}
	self, err := os.ReadFile("/proc/self/exe")
	must(t, err)
	must(t, os.WriteFile(path, self, 0o755))
	return path
}

// dirWithCluster is a data directory with a cluster that was stopped cleanly.
// It is copied, because making one takes a second or more.
func (u asUser) dirWithCluster(t testing.TB) string {
	t.Helper()
	origin := filepath.Join(madeBase(t), strings.ReplaceAll(u.name, " ", "-"))
	if _, err := os.Stat(origin); err != nil {
		must(t, os.Mkdir(origin, 0o700))
		must(t, os.Chown(origin, u.owner, u.owner))
		c, _ := u.start(t, origin, "")
		c.stop()
	}
	dir := u.dir(t)
	must(t, exec.Command("cp", "-a", origin+"/.", dir).Run())
	return dir
}

func (c *child) read() (word, rest string) {
	c.t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("child said %q and no more: %v", line, err)
	}
	word, rest, _ = strings.Cut(strings.TrimSpace(line), " ")
	return word, rest
}

// stop asks the child to leave, and waits until it has.
func (c *child) stop() {
	c.t.Helper()
	must(c.t, c.in.Close())
	if word, rest := c.read(); word != "stopped" {
		c.t.Fatalf("child on stopping: %s %s", word, rest)
	}
	c.done = true
	must(c.t, c.cmd.Wait())
}

// kill is kill -9.
func (c *child) kill() {
	c.t.Helper()
	must(c.t, c.cmd.Process.Kill())
	c.done = true
	_ = c.cmd.Wait() // "signal: killed"
}

// end leaves nothing running after a test, failed or not.
func (c *child) end(dir string) {
	if !c.done {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
	if left := findServer(filepath.Join(dir, clusterName)); left != nil {
		_ = left.process.Signal(syscall.SIGQUIT)
	}
	_ = within(10*time.Second, func() bool { return findServer(filepath.Join(dir, clusterName)) == nil })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within waits for something that no event tells of.
func within(limit time.Duration, happened func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if happened() {
			return true
		}
	}
	return happened()
}

func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	if !within(30*time.Second, happened) {
		t.Fatalf("not within 30 s: %s", what)
	}
}

// execute runs a statement on a database.
func execute(t testing.TB, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), statement)
	must(t, err)
}

// ask gives the text of one value.
func ask(t testing.TB, url, query string) string {
	t.Helper()
	answer, err := tryAsk(t.Context(), url, query)
	must(t, err)
	return answer
}

func tryAsk(ctx context.Context, url, query string) (string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	var answer string
	err = conn.QueryRow(ctx, "SELECT ("+query+")::text").Scan(&answer)
	return answer, err
}
