package sql_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// history is a program's migrations: the first n of these.
func history(n int) fs.FS {
	steps := []struct{ name, up string }{
		{"00001_first.sql", "CREATE TABLE btcwatch.fact (id bigint PRIMARY KEY, amount bigint);\nINSERT INTO btcwatch.fact VALUES (1, 500000000);\nSELECT pg_sleep(0.3);"},
		{"00002_second.sql", "INSERT INTO btcwatch.fact VALUES (2, 7);"},
		{"00003_third.sql", "ALTER TABLE btcwatch.fact ALTER amount TYPE numeric;"},
	}
	files := fstest.MapFS{}
	for _, step := range steps[:n] {
		files[step.name] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + step.up + "\n")}
	}
	return files
}

func query(t *testing.T, url, question string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer string
	if err := conn.QueryRow(t.Context(), "SELECT ("+question+")::text").Scan(&answer); err != nil {
		t.Fatal(question, err)
	}
	return answer
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

const facts = "SELECT string_agg(id || ':' || amount, ' ' ORDER BY id) FROM btcwatch.fact"

func TestThreeMigratorsAtOnce(t *testing.T) {
	url := sqltest.New(t)
	var all sync.WaitGroup
	failed := make([]error, 3)
	for i := range failed {
		all.Go(func() { failed[i] = sql.MigrateWith(t.Context(), url, history(2), quiet()) })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	if got := query(t, url, facts); got != "1:500000000 2:7" {
		t.Errorf("facts %q", got)
	}
	if got := query(t, url, "SELECT string_agg(version_id::text, ',' ORDER BY id) FROM btcwatch.schema_version"); got != "0,1,2" {
		t.Errorf("versions %q", got)
	}
	if got := query(t, url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"); got != "0" {
		t.Errorf("%s locks are left", got)
	}
}

func TestMigrateStepByStep(t *testing.T) {
	url := sqltest.New(t)
	for n := 1; n <= 3; n++ {
		for range 2 { // the second time there is nothing to do
			if err := sql.MigrateWith(t.Context(), url, history(n), quiet()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := query(t, url, facts); got != "1:500000000 2:7" {
		t.Errorf("facts %q", got)
	}
}

func TestPending(t *testing.T) {
	url := sqltest.New(t)
	check := func(known int, want string) {
		t.Helper()
		steps, err := sql.PendingWith(t.Context(), url, history(known))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, step := range steps {
			names = append(names, step.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("pending %q, want %q", got, want)
		}
	}
	check(2, "00001_first 00002_second")
	if got := query(t, url, "to_regnamespace('btcwatch') IS NULL"); got != "true" {
		t.Error("asking what is pending changed the database")
	}
	if err := sql.MigrateWith(t.Context(), url, history(1), quiet()); err != nil {
		t.Fatal(err)
	}
	check(3, "00002_second 00003_third")
	check(1, "")
}

func TestTooNew(t *testing.T) {
	url := sqltest.New(t)
	if err := sql.MigrateWith(t.Context(), url, history(3), quiet()); err != nil {
		t.Fatal(err)
	}
	err := sql.MigrateWith(t.Context(), url, history(1), quiet())
	if !errors.Is(err, sql.ErrTooNew) {
		t.Fatal(err)
	}
	says(t, err, "version 3", "up to 1", "install the newer btcwatch")
	if _, err := sql.PendingWith(t.Context(), url, history(2)); !errors.Is(err, sql.ErrTooNew) {
		t.Error(err)
	}
}

// A step that fails leaves nothing behind and the steps before it in place.
func TestBrokenStep(t *testing.T) {
	url := sqltest.New(t)
	files := history(1).(fstest.MapFS)
	files["00002_broken.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE btcwatch.half (id int);\nSELECT 1/0;\n")}
	err := sql.MigrateWith(t.Context(), url, files, quiet())
	says(t, err, "00002_broken.sql", "division by zero")
	if got := query(t, url, "to_regclass('btcwatch.half') IS NULL"); got != "true" {
		t.Error("half a step is left")
	}
	if err := sql.MigrateWith(t.Context(), url, history(2), quiet()); err != nil {
		t.Fatal(err)
	}
}

func TestMigrateWithoutPermission(t *testing.T) {
	at := sqltest.New(t)
	query(t, at, "SELECT 1")
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	role := "poor_" + conn.Config().Database
	if _, err := conn.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN"); err != nil {
		t.Fatal(err)
	}
	defer conn.Exec(context.Background(), "DROP ROLE "+role)
	poor, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	poor.User = url.User(role)
	says(t, sql.MigrateWith(t.Context(), poor.String(), history(1), quiet()), "permission denied", "GRANT CREATE ON DATABASE")
}

func TestCancelledMigration(t *testing.T) {
	at := sqltest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sql.MigrateWith(ctx, at, history(1), quiet()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestOwnMigrations(t *testing.T) {
	url := sqltest.Migrated(t)
	left, err := sql.Pending(t.Context(), url)
	if err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	newest, err := sql.SchemaVersion()
	if err != nil || newest < 1 {
		t.Fatal(newest, err)
	}
	if err := sql.Migrate(t.Context(), url, quiet()); err != nil {
		t.Fatal(err)
	}
}
