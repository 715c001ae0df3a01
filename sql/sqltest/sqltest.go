// Package sqltest gives each test a database of its own on a real Postgres:
// one private cluster a test process, gone when the process ends in whatever
// way, or the server that BTCWATCH_TEST_DATABASE names.
//
// It imports package sql, so that tests within package sql itself have to be
// in package sql_test to use it.
package sqltest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/sql"
)

// serverVariable names a server to test on: a url whose role may create
// databases.
const serverVariable = "BTCWATCH_TEST_DATABASE"

// shared is the server of this test process.
var shared struct {
	sync.Mutex
	url      string
	template string // a database with all tables; empty before it is needed
	stop     func() error
}

// New creates an empty database for a test and drops it at the test's end.
func New(t testing.TB) string {
	t.Helper()
	return create(t, start(t), "")
}

// Migrated creates a database that has all tables, for a test, and drops it
// at the test's end.
func Migrated(t testing.TB) string {
	t.Helper()
	server := start(t)
	return create(t, server, template(t, server))
}

// Copy creates a database that holds what another one of New or Migrated does,
// to which nobody may be connected, for a test, and drops it at the test's end.
func Copy(t testing.TB, of string) string {
	t.Helper()
	parsed, err := url.Parse(of)
	if err != nil {
		t.Fatal(err)
	}
	return create(t, start(t), strings.TrimPrefix(parsed.Path, "/"))
}

// TestingM is a *testing.M, or something that wraps one.
type TestingM interface{ Run() int }

// Stopping wraps a test main such that the server is stopped after the tests:
// os.Exit(sqltest.Stopping(m).Run()), or goleak.VerifyTestMain(sqltest.Stopping(m)).
// Without it the server ends with the process.
func Stopping(m TestingM) TestingM { return stopping{m} }

type stopping struct{ tests TestingM }

func (m stopping) Run() int {
	code := m.tests.Run()
	if err := Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the test database:", err)
		return max(code, 1)
	}
	return code
}

// Stop stops the server of this process, if one was started.
func Stop() error {
	shared.Lock()
	defer shared.Unlock()
	if shared.stop == nil {
		return nil
	}
	err := shared.stop()
	shared.url, shared.template, shared.stop = "", "", nil
	return err
}

func start(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.url != "" {
		return shared.url
	}
	if named := os.Getenv(serverVariable); named != "" {
		shared.url = named
		shared.stop = func() error { return dropTemplate(named) }
		return named
	}
	url, stop, err := startCluster()
	if err != nil {
		t.Fatalf("%v\n(make deps installs what the tests need)", err)
	}
	shared.url, shared.stop = url, stop
	return url
}

func startCluster() (url string, stop func() error, err error) {
	dir, err := os.MkdirTemp(quickDisk(), "btcwatch-test-")
	if err != nil {
		return "", nil, err
	}
	sweep, err := sweepAfter(dir)
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cluster, err := sql.StartPrivate(ctx, dir, slog.New(slog.DiscardHandler), sql.Supervised(), sql.NotDurable())
	if err != nil {
		return "", nil, errors.Join(err, sweep())
	}
	return cluster.URL(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return errors.Join(cluster.Stop(ctx), sweep())
	}, nil
}

// quickDisk is memory where there is plenty, else the usual temporary place.
func quickDisk() string {
	var memory syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &memory); err == nil && int64(memory.Bavail)*memory.Bsize > 2<<30 {
		return "/dev/shm"
	}
	return ""
}

// sweepAfter starts a child that removes the directory when this process has
// ended, be it killed: it waits for the end of a pipe that only we hold.
func sweepAfter(dir string) (now func() error, err error) {
	const script = `read -r _; n=0; while [ -e "$0/postgres/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done; rm -rf "$0"`
	cmd := exec.Command("/bin/sh", "-c", script, dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() error { return errors.Join(pipe.Close(), cmd.Wait()) }, nil
}

func create(t testing.TB, server, template string) string {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	statement := "CREATE DATABASE " + name
	if template != "" {
		statement += " TEMPLATE " + template
	}
	if err := execute(server, statement); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return named(t, server, name)
}

func template(t testing.TB, server string) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.template != "" {
		return shared.template
	}
	name := "template_" + strings.ToLower(rand.Text())
	if err := execute(server, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	if err := sql.Migrate(t.Context(), named(t, server, name), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(errors.Join(err, execute(server, "DROP DATABASE "+name+" WITH (FORCE)")))
	}
	shared.template = name
	return name
}

// dropTemplate runs under the lock, before the name is forgotten.
func dropTemplate(server string) error {
	if shared.template == "" {
		return nil
	}
	return execute(server, "DROP DATABASE "+shared.template+" WITH (FORCE)")
}

func execute(server, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// named is the url of another database on the server.
func named(t testing.TB, server, database string) string {
	t.Helper()
	parsed, err := url.Parse(server)
	if err != nil || !strings.HasPrefix(parsed.Scheme, "postgres") {
		t.Fatalf("%s is not a postgres:// url", serverVariable)
	}
	parsed.Path = "/" + database
	return parsed.String()
}
