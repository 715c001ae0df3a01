// Package sql remembers: every transaction, who reported it and when, what was
// covered and what was not, the alerts and what became of them, in Postgres.
// It opens the database, a server that the configuration names or a private
// cluster of its own, brings its tables up to date, and holds all the queries.
package sql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrUnreachable means that the server does not answer, or takes no
// connections just now: waiting may help. Any other error of opening a
// database needs a person.
var ErrUnreachable = errors.New("the database does not answer")

// The versions of the server that this program is tested with.
const (
	oldestServer = 13
	newestServer = 18
)

// Codes of Postgres that are told apart.
const (
	cannotConnectNow   = "57P03"
	tooManyConnections = "53300"
	noSuchDatabase     = "3D000"
	wrongPassword      = "28P01"
	notAuthorized      = "28000"
	notPermitted       = "42501"
)

// connect opens a pool of a few connections, and checks that the server
// answers and is one to rely on. Open it after Migrate: pgx remembers how a
// table's columns were encoded, also when a migration changes them.
func connect(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, explain(err, config.ConnConfig)
	}
	if _, err := inspect(ctx, pool); err != nil {
		pool.Close()
		return nil, explain(err, config.ConnConfig)
	}
	return pool, nil
}

// parseURL reads a database url and adds what every session of ours has.
func parseURL(url string) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// Neither the url nor the reason is repeated: of a password with a
		// stray "/" or "#" the parser's own words show a part.
		return nil, errors.New("the database url is not understood: write postgres://USER:PASSWORD@HOST:5432/DATABASE, with special characters of the password as %XX, or host=… user=… dbname=…; files it names must exist")
	}
	config.MaxConns = 8
	config.ConnConfig.ConnectTimeout = 10 * time.Second
	session := config.ConnConfig.RuntimeParams
	session["application_name"] = "btcwatch"
	session["timezone"] = "UTC"
	session["synchronous_commit"] = "on" // a commit that can be lost is none
	session["statement_timeout"] = "0"
	session["lock_timeout"] = "0"
	session["idle_in_transaction_session_timeout"] = "0"
	session["search_path"] = "btcwatch"
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		readTimesAsUTC(conn)
		return nil
	}
	return config, nil
}

func readTimesAsUTC(conn *pgx.Conn) {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name:  "timestamptz",
		OID:   pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
}

// querier is what a pool and a connection have in common here.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// Server is what is known of a database server.
type Server struct {
	Version  int      // its major version
	Name     string   // its version in full
	Warnings []string // what a person should know, each with what to do
}

// Inspect connects to a database and looks at its server, for check.
func Inspect(ctx context.Context, url string) (Server, error) {
	config, err := parseURL(url)
	if err != nil {
		return Server{}, err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return Server{}, explain(err, config.ConnConfig)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	found, err := inspect(ctx, conn)
	return found, explain(err, config.ConnConfig)
}

// inspect refuses a server that cannot be relied on.
func inspect(ctx context.Context, db querier) (Server, error) {
	var number int
	var found Server
	var standby bool
	var commit, fsync, fullPages string
	err := db.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version'),
		pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')`).
		Scan(&number, &found.Name, &standby, &commit, &fsync, &fullPages)
	if err != nil {
		return Server{}, err
	}
	found.Version = number / 10000
	switch {
	case found.Version < oldestServer:
		return found, fmt.Errorf("it is PostgreSQL %s, and %d is the oldest that works: upgrade it", found.Name, oldestServer)
	case standby:
		return found, errors.New("it is a standby that takes no writes: name the primary in [database] url")
	case commit != "on":
		return found, fmt.Errorf("it answers with synchronous_commit=%s though on was asked for: connect to the server itself, not to a pooler", commit)
	}
	if found.Version > newestServer {
		found.Warnings = append(found.Warnings, fmt.Sprintf("PostgreSQL %s is newer than %d, the newest this btcwatch was tested with: look for a newer btcwatch", found.Name, newestServer))
	}
	for name, value := range map[string]string{"fsync": fsync, "full_page_writes": fullPages} {
		if value != "on" {
			found.Warnings = append(found.Warnings, fmt.Sprintf("%s is off: a power failure can destroy the database; set %[1]s = on in postgresql.conf", name))
		}
	}
	return found, nil
}

// explain turns an error of connecting into one that says which database and
// what to do. Passwords are in neither.
func explain(err error, config *pgx.ConnConfig) error {
	if err == nil {
		return nil
	}
	place := fmt.Sprintf("database %s at %s", config.Database, address(config))
	if advice, wait := remedy(err, config); advice != "" {
		if wait {
			return fmt.Errorf("%s: %w (%s): %w", place, ErrUnreachable, advice, bare(err))
		}
		return fmt.Errorf("%s: %w: %s", place, bare(err), advice)
	}
	return fmt.Errorf("%s: %w", place, bare(err))
}

// remedy says what to do about an error, and whether waiting is one of it.
func remedy(err error, config *pgx.ConnConfig) (advice string, wait bool) {
	var refused *pgconn.PgError
	var lookup *net.DNSError
	switch {
	case errors.As(err, &refused):
		return remedyOfCode(refused.Code, config)
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %s is not known; check the host in [database] url", config.Host), true
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("nothing listens at %s; start Postgres there or correct [database] url", address(config)), true
	case errors.Is(err, fs.ErrPermission):
		return "this user may not use that socket; run btcwatch as another user", false
	case errors.Is(err, context.Canceled):
		return "", false
	case errors.Is(err, context.DeadlineExceeded), isNetwork(err):
		return fmt.Sprintf("check that %s can be reached from here", address(config)), true
	}
	return "", false
}

func remedyOfCode(code string, config *pgx.ConnConfig) (advice string, wait bool) {
	switch {
	case code == cannotConnectNow, strings.HasPrefix(code, "57P0"):
		return "it is starting or stopping", true
	case code == tooManyConnections:
		return "raise max_connections, or stop other programs that use it", true
	case code == noSuchDatabase:
		return fmt.Sprintf("create it: createdb --owner=%s %s", config.User, config.Database), false
	case code == wrongPassword:
		return fmt.Sprintf("check user %s and its password in [database] url", config.User), false
	case code == notAuthorized:
		return fmt.Sprintf("let user %s in by a line in pg_hba.conf", config.User), false
	case code == notPermitted:
		return fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", config.Database, config.User), false
	}
	return "", false
}

func isNetwork(err error) bool {
	var failed net.Error
	return errors.As(err, &failed)
}

// bare takes off pgx's own words about which server it was.
func bare(err error) error {
	var failed *pgconn.ConnectError
	if !errors.As(err, &failed) {
		return err
	}
	// pgx tries a host without TLS after it was tried with it, and tells of both.
	if tries, ok := failed.Unwrap().(interface{ Unwrap() []error }); ok {
		same := func(e error) bool { return e.Error() == tries.Unwrap()[0].Error() }
		if all := tries.Unwrap(); !slices.ContainsFunc(all, func(e error) bool { return !same(e) }) {
			return all[0]
		}
	}
	return failed.Unwrap()
}

// address is where the server is: host and port, or the socket's directory.
func address(config *pgx.ConnConfig) string {
	if strings.HasPrefix(config.Host, "/") {
		return config.Host
	}
	return net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
}
