package sql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// ErrTooNew means that a newer btcwatch has changed the tables in ways that
// this one does not know.
var ErrTooNew = errors.New("the database was made by a newer btcwatch")

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	versionTable = "btcwatch.schema_version"
	// The advisory lock that migrating holds; any number of our own will do.
	migrationLock = 0x6274_6377_6d69
)

// Migration is one step of the tables' history.
type Migration struct {
	Version int64
	Name    string // the file's
}

// Migrate brings the tables up to date. Any number of processes may do so at
// once; one works and the others wait for it.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	files, err := ownMigrations()
	if err != nil {
		return err
	}
	return migrate(ctx, url, files, log)
}

// Pending lists what Migrate would do, and does nothing. It fails with
// ErrTooNew as Migrate does.
func Pending(ctx context.Context, url string) ([]Migration, error) {
	files, err := ownMigrations()
	if err != nil {
		return nil, err
	}
	return pending(ctx, url, files)
}

// SchemaVersion is the version of the tables that this program makes.
func SchemaVersion() (int64, error) {
	files, err := ownMigrations()
	if err != nil {
		return 0, err
	}
	steps, err := listMigrations(files)
	if err != nil {
		return 0, err
	}
	return steps[len(steps)-1].Version, nil
}

func ownMigrations() (fs.FS, error) { return fs.Sub(migrationFiles, "migrations") }

func migrate(ctx context.Context, url string, files fs.FS, log *slog.Logger) error {
	if _, err := Inspect(ctx, url); err != nil { // a server that is too old fails in stranger ways
		return err
	}
	config, err := parseURL(url)
	if err != nil {
		return err
	}
	db := openPlain(config.ConnConfig)
	defer db.Close()
	if err := locked(ctx, db, log, func(conn *sql.Conn) error { return bringUp(ctx, db, conn, files, log) }); err != nil {
		return fmt.Errorf("bring the tables up to date: %w", explain(err, config.ConnConfig))
	}
	return nil
}

// openPlain opens connections of their own, which end with the migration: pgx
// remembers the shape of tables that the migration may change.
func openPlain(config *pgx.ConnConfig) *sql.DB {
	return stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(_ context.Context, conn *pgx.Conn) error {
		readTimesAsUTC(conn)
		return nil
	}))
}

// locked runs work while no other process migrates this database.
func locked(ctx context.Context, db *sql.DB, log *slog.Logger, work func(*sql.Conn) error) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	// As long as it takes, a try a second: the other's migration may rewrite
	// years of records, and the context bounds the waiting.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 7*24*3600))
	if err != nil {
		return err
	}
	told := time.AfterFunc(2*time.Second, func() {
		log.Info("waiting for another btcwatch that is changing the tables")
	})
	err = locker.SessionLock(ctx, conn)
	told.Stop()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, locker.SessionUnlock(context.WithoutCancel(ctx), conn)) }()
	return work(conn)
}

// bringUp runs under the lock, on whose connection it asks.
func bringUp(ctx context.Context, db *sql.DB, conn *sql.Conn, files fs.FS, log *slog.Logger) error {
	steps, err := todo(ctx, conn, files)
	if err != nil || len(steps) == 0 {
		return err
	}
	if err := createSchema(ctx, conn); err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	last := steps[len(steps)-1].Version
	// Of what takes long, that it began is told too.
	began := time.AfterFunc(2*time.Second, func() { log.Info("changing the tables", "steps", len(steps), "to", last) })
	done, err := provider.Up(ctx)
	began.Stop()
	if len(done) > 0 {
		log.Info("tables changed", "steps", len(done), "version", done[len(done)-1].Source.Version)
	}
	var broken *goose.PartialError
	if errors.As(err, &broken) {
		return fmt.Errorf("%s: %w", path.Base(broken.Failed.Source.Path), broken.Err)
	}
	return err
}

// createSchema asks first, because Postgres wants the right to create schemas
// even for one that exists.
func createSchema(ctx context.Context, conn *sql.Conn) error {
	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT to_regnamespace('btcwatch') IS NOT NULL").Scan(&exists); err != nil || exists {
		return err
	}
	_, err := conn.ExecContext(ctx, "CREATE SCHEMA btcwatch")
	return err
}

func pending(ctx context.Context, url string, files fs.FS) ([]Migration, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	db := openPlain(config.ConnConfig)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, explain(err, config.ConnConfig)
	}
	defer conn.Close()
	steps, err := todo(ctx, conn, files)
	return steps, explain(err, config.ConnConfig)
}

// todo gives the steps that the database lacks, in order.
func todo(ctx context.Context, conn *sql.Conn, files fs.FS) ([]Migration, error) {
	known, err := listMigrations(files)
	if err != nil {
		return nil, err
	}
	current, err := currentVersion(ctx, conn)
	if err != nil {
		return nil, err
	}
	newest := known[len(known)-1].Version
	if current > newest {
		return nil, fmt.Errorf("%w: its tables have version %d, this program knows up to %d: install the newer btcwatch", ErrTooNew, current, newest)
	}
	for i, step := range known {
		if step.Version > current {
			return known[i:], nil
		}
	}
	return nil, nil
}

// currentVersion is 0 for a database that has none of our tables.
func currentVersion(ctx context.Context, conn *sql.Conn) (int64, error) {
	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", versionTable).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	var version int64
	err := conn.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&version)
	return version, err
}

// listMigrations reads the steps from the names of their files, in order.
func listMigrations(files fs.FS) ([]Migration, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("this program has no migrations in it")
	}
	steps := make([]Migration, 0, len(names))
	for _, name := range names { // Glob sorts, and the numbers have leading zeros
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Migration{Version: version, Name: strings.TrimSuffix(name, ".sql")})
	}
	return steps, nil
}
