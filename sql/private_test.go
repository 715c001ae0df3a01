package sql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func eachUser(t *testing.T, test func(t *testing.T, u asUser)) {
	for _, u := range users() {
		t.Run(u.name, func(t *testing.T) { test(t, u) })
	}
}

// one gives the user whose way is the plainest here, for what does not depend
// on the user.
func one() asUser { return users()[0] }

func serverPID(dir string) int {
	if found := findServer(filepath.Join(dir, clusterName)); found != nil {
		return found.process.Pid
	}
	return 0
}

func TestClusterIsMadeAndKept(t *testing.T) {
	eachUser(t, func(t *testing.T, u asUser) {
		dir := u.dir(t)
		c, url := u.start(t, dir, "daemon durable")
		for setting, want := range map[string]string{
			"listen_addresses": "", "data_checksums": "on", "server_encoding": "UTF8",
			"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on",
			"jit": "off", "max_connections": "30", "shared_buffers": "32MB",
			"TimeZone": "UTC", "data_directory_mode": "0700", "unix_socket_permissions": "0700",
		} {
			if got := ask(t, url, fmt.Sprintf("SELECT current_setting('%s')", setting)); got != want {
				t.Errorf("%s = %q, want %q", setting, got, want)
			}
		}
		if got := ask(t, url, "lower('ДЖИХАД')"); got != "джихад" {
			t.Errorf("lower of Cyrillic is %q", got)
		}
		execute(t, url, "CREATE TABLE kept AS SELECT 42 AS answer")
		checkOwnership(t, u, dir)
		c.stop()
		if pid := serverPID(dir); pid != 0 {
			t.Fatalf("server %d runs after the last user left", pid)
		}
		c, url = u.start(t, dir, "durable")
		if got := ask(t, url, "SELECT answer FROM kept"); got != "42" {
			t.Errorf("after a restart: %q", got)
		}
		c.stop()
	})
}

// checkOwnership: everything belongs to one user and nobody else gets in.
func checkOwnership(t *testing.T, u asUser, dir string) {
	t.Helper()
	for _, name := range []string{clusterName, socketName} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a server's files come and go
		}
		owner, ownerErr := ownerOf(path)
		if ownerErr == nil && owner.uid != u.runsUnder && err == nil {
			t.Errorf("%s belongs to %d, want %d", path, owner.uid, u.runsUnder)
		}
		return err
	}))
}

func TestKilledDaemon(t *testing.T) {
	eachUser(t, func(t *testing.T, u asUser) {
		dir := u.dirWithCluster(t)
		c, url := u.start(t, dir, "daemon")
		execute(t, url, "CREATE TABLE kept AS SELECT 42 AS answer")
		c.kill()
		eventually(t, "the server ends with its daemon", func() bool { return serverPID(dir) == 0 })
		_, url = u.start(t, dir, "daemon")
		if got := ask(t, url, "SELECT answer FROM kept"); got != "42" {
			t.Errorf("after kill -9: %q", got)
		}
	})
}

// A new daemon comes while the server of the killed one still shuts down.
func TestKilledDaemonReplacedAtOnce(t *testing.T) {
	u := one()
	dir := u.dirWithCluster(t)
	c, url := u.start(t, dir, "daemon")
	execute(t, url, "CREATE TABLE kept AS SELECT 42 AS answer")
	for range 3 {
		c.kill()
		c, url = u.start(t, dir, "daemon")
		if got := ask(t, url, "SELECT answer FROM kept"); got != "42" {
			t.Errorf("after kill -9: %q", got)
		}
	}
	c.stop()
}

func TestKilledDaemonAndServer(t *testing.T) {
	eachUser(t, func(t *testing.T, u asUser) {
		dir := u.dirWithCluster(t)
		c, url := u.start(t, dir, "daemon")
		execute(t, url, "CREATE TABLE kept AS SELECT 42 AS answer")
		pid := serverPID(dir)
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		c.kill()
		c, url = u.start(t, dir, "daemon")
		if got := ask(t, url, "SELECT answer FROM kept"); got != "42" {
			t.Errorf("after kill -9 of both: %q", got)
		}
		c.stop()
	})
}

func TestDeadServerIsStartedAgain(t *testing.T) {
	eachUser(t, func(t *testing.T, u asUser) {
		dir := u.dirWithCluster(t)
		c, url := u.start(t, dir, "daemon")
		execute(t, url, "CREATE TABLE kept AS SELECT 42 AS answer")
		comesBack(t, dir, url)
		comesBack(t, dir, url)
		c.stop()
		if pid := serverPID(dir); pid != 0 {
			t.Errorf("server %d runs after the daemon left", pid)
		}
	})
}

func comesBack(t *testing.T, dir, url string) {
	t.Helper()
	dead := serverPID(dir)
	must(t, syscall.Kill(dead, syscall.SIGKILL))
	eventually(t, "another server answers", func() bool {
		pid := serverPID(dir)
		answer, err := tryAsk(t.Context(), url, "SELECT answer FROM kept")
		return pid != 0 && pid != dead && err == nil && answer == "42"
	})
}

// Somebody left a psql open: the daemon's database must come back all the same.
func TestDeadServerIsStartedAgainWhileOthersUseIt(t *testing.T) {
	u := one()
	dir := u.dirWithCluster(t)
	command, url := u.start(t, dir, "")
	daemon, _ := u.start(t, dir, "daemon")
	execute(t, url, "CREATE TABLE kept AS SELECT 42 AS answer")
	comesBack(t, dir, url)
	command.stop()
	if got := ask(t, url, "SELECT answer FROM kept"); got != "42" {
		t.Errorf("after the command left: %q", got)
	}
	daemon.stop()
}

func TestCommandWhileDaemonRuns(t *testing.T) {
	eachUser(t, func(t *testing.T, u asUser) {
		dir := u.dirWithCluster(t)
		daemon, url := u.start(t, dir, "daemon")
		pid := serverPID(dir)
		command, commandURL := u.start(t, dir, "")
		if url != commandURL {
			t.Errorf("daemon uses %s, command %s", url, commandURL)
		}
		command.stop()
		if now := serverPID(dir); now != pid {
			t.Errorf("server was %d and is %d after a command", pid, now)
		}
		ask(t, url, "SELECT 1")
		daemon.stop()
		if now := serverPID(dir); now != 0 {
			t.Errorf("server %d runs after the last user left", now)
		}
	})
}

func TestDaemonStartsWhileCommandRuns(t *testing.T) {
	u := one()
	dir := u.dirWithCluster(t)
	command, _ := u.start(t, dir, "")
	pid := serverPID(dir)
	daemon, url := u.start(t, dir, "daemon")
	command.stop()
	if now := serverPID(dir); now != pid {
		t.Fatalf("server was %d and is %d after the command that started it", pid, now)
	}
	ask(t, url, "SELECT 1")
	daemon.stop()
	if now := serverPID(dir); now != 0 {
		t.Errorf("server %d runs after the last user left", now)
	}
}

func TestKilledCommandLeavesServerToTheNext(t *testing.T) {
	u := one()
	dir := u.dirWithCluster(t)
	command, _ := u.start(t, dir, "")
	pid := serverPID(dir)
	command.kill()
	next, url := u.start(t, dir, "")
	if now := serverPID(dir); now != pid {
		t.Errorf("server was %d and is %d", pid, now)
	}
	ask(t, url, "SELECT 1")
	next.stop()
	if now := serverPID(dir); now != 0 {
		t.Errorf("server %d runs after the last user left", now)
	}
}

func TestManyStartersShareOneCluster(t *testing.T) {
	u := one()
	dir := u.dir(t)
	children := make([]*child, 4)
	for i := range children {
		children[i] = u.spawn(t, dir, map[bool]string{true: "daemon"}[i == 0])
	}
	for _, c := range children {
		if word, rest := c.read(); word != "ready" {
			t.Fatal(word, rest)
		}
	}
	var leaving sync.WaitGroup
	for _, c := range children {
		leaving.Go(c.stop)
	}
	leaving.Wait()
	if pid := serverPID(dir); pid != 0 {
		t.Errorf("server %d runs after all left", pid)
	}
}

func TestKilledWhileCreating(t *testing.T) {
	eachUser(t, func(t *testing.T, u asUser) {
		dir := u.dir(t)
		c := u.spawn(t, dir, "daemon")
		eventually(t, "initdb has begun", func() bool {
			begun, _ := filepath.Glob(filepath.Join(dir, newName+"*", "base"))
			return len(begun) > 0
		})
		c.kill()
		c, url := u.start(t, dir, "daemon")
		ask(t, url, "SELECT 1")
		left, _ := filepath.Glob(filepath.Join(dir, newName+"*"))
		for _, path := range left {
			if _, err := os.Stat(filepath.Join(path, "base")); err == nil {
				t.Errorf("%s is left", path)
			}
		}
		c.stop()
	})
}

func TestForeignDirectoryIsNotTaken(t *testing.T) {
	u := one()
	dir := u.dir(t)
	must(t, os.Mkdir(filepath.Join(dir, clusterName), 0o700))
	contains(t, u.fails(t, dir, ""), "no Postgres cluster", "move it away")
}

func TestOpenDirectories(t *testing.T) {
	u := one()
	dir := u.dirWithCluster(t)
	must(t, os.Chmod(dir, 0o770))
	contains(t, u.fails(t, dir, ""), "others can write", "chmod go-w "+dir)

	must(t, os.Chmod(dir, 0o755))
	c, _ := u.start(t, dir, "")
	c.stop()
	must(t, os.Chmod(filepath.Join(dir, clusterName), 0o755))
	must(t, os.Chmod(filepath.Join(dir, socketName), 0o777))
	c, _ = u.start(t, dir, "")
	checkOwnership(t, u, dir)
	c.stop()
}

func TestDirectoryOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a directory that belongs to another")
	}
	mine := asUser{name: "ordinary user", uid: nobody, owner: nobody}
	dir := asUser{owner: 0}.dir(t)
	contains(t, mine.fails(t, dir, ""), "permission denied", "root", "data_dir")
	must(t, os.Chmod(dir, 0o755))
	contains(t, mine.fails(t, dir, ""), "permission denied", "data_dir")
	contains(t, mine.fails(t, filepath.Join(dir, "new"), ""), "permission denied", "data_dir")
}

func TestDataDirIsAFile(t *testing.T) {
	u := one()
	path := filepath.Join(u.dir(t), "file")
	must(t, os.WriteFile(path, nil, 0o600))
	contains(t, u.fails(t, path, ""), "data_dir must be a directory")
	contains(t, u.fails(t, filepath.Join(path, "below"), ""), "data_dir must be a directory")
}

func TestDeepAndOddPaths(t *testing.T) {
	for name, elem := range map[string]string{
		"too deep":   strings.Repeat("deep/", 25),
		"comma":      "a,b",
		"space":      "a b+c%20",
		"apostrophe": "o'brien",
		"brackets":   "[x]*",
	} {
		t.Run(name, func(t *testing.T) {
			u := one()
			dir := filepath.Join(u.dir(t), elem)
			c, url := u.start(t, dir, "daemon")
			real, err := filepath.EvalSymlinks(dir)
			must(t, err)
			socket := socketDir(real)
			t.Cleanup(func() { os.RemoveAll(socket) })
			if len(socket+socketFile) > longestSocket {
				t.Errorf("socket path %s is too long", socket)
			}
			info, err := os.Lstat(socket)
			must(t, err)
			if info.Mode() != fs.ModeDir|0o700 {
				t.Errorf("%s has mode %v", socket, info.Mode())
			}
			ask(t, url, "SELECT 1")
			command, _ := u.start(t, dir, "")
			command.stop()
			c.stop()
			if _, err := os.Lstat(socket); err == nil && filepath.Dir(socket) != real {
				t.Errorf("%s is left", socket)
			}
		})
	}
}

// Whoever makes the short directory first must not get at the database.
func TestSquattedSocketDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a directory that belongs to another")
	}
	u := one()
	dir := filepath.Join(u.dir(t), strings.Repeat("deep/", 25))
	must(t, os.MkdirAll(dir, 0o700))
	socket := socketDir(dir)
	must(t, os.Mkdir(socket, 0o777))
	t.Cleanup(func() { os.RemoveAll(socket) })
	must(t, os.Chown(socket, nobody, nobody))
	contains(t, u.fails(t, dir, ""), "does not belong to", socket)

	must(t, os.Remove(socket))
	must(t, os.Symlink(t.TempDir(), socket))
	contains(t, u.fails(t, dir, ""), "no link", socket)
}

func TestProgramsOfTheVersionAreGone(t *testing.T) {
	u := one()
	dir := u.dir(t)
	must(t, os.Mkdir(filepath.Join(dir, clusterName), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, clusterName, "PG_VERSION"), []byte("9\n"), 0o600))
	contains(t, u.fails(t, dir, ""), "made "+filepath.Join(dir, clusterName), "apt-get install postgresql-9 ", "intact")
}

func TestNoPrograms(t *testing.T) {
	empty := programSearch{layouts: []string{t.TempDir() + "/%s/bin"}}
	_, err := empty.newest(t.Context())
	if !errors.Is(err, ErrNoPostgres) {
		t.Error(err)
	}
	contains(t, fmt.Sprint(err), "apt-get install postgresql,", "[database] url")
	_, err = empty.psql()
	contains(t, fmt.Sprint(err), "apt-get install postgresql-client")

	dir := one().dir(t)
	_, err = StartPrivate(t.Context(), dir, quiet(), func(p *Private) { p.search = empty })
	if !errors.Is(err, ErrNoPostgres) {
		t.Error(err)
	}
}

// An upgrade took the programs away under a running cluster: commands work on.
func TestProgramsGoneWhileServerRuns(t *testing.T) {
	dir := one().dirWithCluster(t)
	daemon, err := StartPrivate(t.Context(), dir, quiet(), Supervised(), NotDurable())
	must(t, err)
	gone := func(p *Private) { p.search = programSearch{} }
	command, err := StartPrivate(t.Context(), dir, quiet(), gone)
	must(t, err)
	ask(t, command.URL(), "SELECT 1")
	must(t, command.Stop(t.Context()))
	must(t, daemon.Stop(t.Context()))
}

func TestChoiceOfPrograms(t *testing.T) {
	root := t.TempDir()
	install := func(dir, version string) {
		must(t, os.MkdirAll(dir, 0o755))
		for _, name := range []string{"initdb", "postgres", "psql"} {
			script := "#!/bin/sh\necho '" + name + " (PostgreSQL) " + version + "'\n"
			must(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
		}
	}
	for _, v := range []string{"9", "14", "16"} {
		install(filepath.Join(root, v, "bin"), v+".3 (Debian)")
	}
	must(t, os.MkdirAll(filepath.Join(root, "17", "bin"), 0o755)) // only the client was installed
	install(filepath.Join(root, "own"), "15beta1")
	search := programSearch{layouts: []string{root + "/%s/bin"}, path: []string{filepath.Join(root, "own")}}
	check := func(search programSearch, version, want string) {
		t.Helper()
		found, err := search.newest(t.Context())
		if version != "" {
			found, err = search.of(t.Context(), version, "there")
		}
		must(t, err)
		if found.dir != filepath.Join(root, want) {
			t.Errorf("version %q: %s, want %s", version, found.dir, want)
		}
	}
	check(search, "", "16/bin")
	check(search, "14", "14/bin")
	check(search, "15", "own")
	search.override = filepath.Join(root, "14/bin")
	check(search, "", "14/bin")
	check(search, "16", "16/bin")
	psql, err := search.psql()
	must(t, err)
	if psql != filepath.Join(root, "14/bin/psql") {
		t.Error(psql)
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	dir := one().dir(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		within(30*time.Second, func() bool {
			begun, _ := filepath.Glob(filepath.Join(dir, newName+"*", "base"))
			return len(begun) > 0
		})
		cancel()
	}()
	_, err := StartPrivate(ctx, dir, quiet(), NotDurable())
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	eventually(t, "what was half made is gone", func() bool {
		left, _ := filepath.Glob(filepath.Join(dir, newName+"*"))
		return len(left) == 0
	})
}

func TestStopTwice(t *testing.T) {
	dir := one().dirWithCluster(t)
	p, err := StartPrivate(t.Context(), dir, quiet(), Supervised(), NotDurable())
	must(t, err)
	must(t, p.Stop(t.Context()))
	must(t, p.Stop(t.Context()))
	if pid := serverPID(dir); pid != 0 {
		t.Errorf("server %d runs", pid)
	}
}

// A stop that may not take any time still stops the server, and loses nothing.
func TestStopInAHurry(t *testing.T) {
	dir := one().dirWithCluster(t)
	p, err := StartPrivate(t.Context(), dir, quiet())
	must(t, err)
	execute(t, p.URL(), "CREATE TABLE kept AS SELECT 42 AS answer")
	done, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, p.Stop(done))
	if pid := serverPID(dir); pid != 0 {
		t.Errorf("server %d runs", pid)
	}
	p, err = StartPrivate(t.Context(), dir, quiet())
	must(t, err)
	if got := ask(t, p.URL(), "SELECT answer FROM kept"); got != "42" {
		t.Error(got)
	}
	must(t, p.Stop(t.Context()))
}

// The pid of a server killed long ago may be any process's by now.
func TestRecycledPID(t *testing.T) {
	dir := one().dirWithCluster(t)
	p, err := StartPrivate(t.Context(), dir, quiet(), NotDurable())
	must(t, err)
	must(t, p.Stop(t.Context()))
	pidFile := filepath.Join(dir, clusterName, "postmaster.pid")
	text := fmt.Sprintf("%d\n%s\n1\n5432\n%s\n\n  1 1\nready\n", os.Getppid(), filepath.Dir(pidFile), dir)
	must(t, os.WriteFile(pidFile, []byte(text), 0o600))
	must(t, os.Chown(pidFile, one().owner, one().owner))
	if found := findServer(filepath.Join(dir, clusterName)); found != nil {
		t.Fatal("took another process for the server")
	}
}

func TestLogIsKeptShort(t *testing.T) {
	owner, err := ownerOf(t.TempDir())
	must(t, err)
	log := serverLog{path: filepath.Join(t.TempDir(), logName), owner: owner}
	file, err := log.open()
	must(t, err)
	defer file.Close()
	line := []byte(strings.Repeat("x", 99) + "\n")
	_, err = file.Write(bytes.Repeat(line, longestLog/100+1))
	must(t, err)
	must(t, log.bound())
	if size := log.size(); size != 0 {
		t.Errorf("%d bytes are left", size)
	}
	old, err := os.Stat(log.path + ".1")
	must(t, err)
	if old.Size() != keptLog || old.Mode().Perm() != 0o600 {
		t.Errorf("kept %d bytes with mode %v", old.Size(), old.Mode())
	}
	_, err = file.WriteString("FATAL:  the reason\n") // the server goes on writing to the same file
	must(t, err)
	text, err := log.since(0)
	must(t, err)
	if faults(text) != "FATAL:  the reason" {
		t.Errorf("%q", text)
	}
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
