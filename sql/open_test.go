package sql_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

func TestSession(t *testing.T) {
	pool, err := sql.ConnectForTest(t.Context(), sqltest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for setting, want := range map[string]string{
		"synchronous_commit": "on", "TimeZone": "UTC", "application_name": "btcwatch",
		"statement_timeout": "0", "search_path": "btcwatch",
	} {
		var got string
		if err := pool.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, want %q (%v)", setting, got, want, err)
		}
	}
	var at time.Time
	if err := pool.QueryRow(t.Context(), "SELECT timestamptz '2020-08-13 12:00:00+05'").Scan(&at); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2020, 8, 13, 7, 0, 0, 0, time.UTC); at != want {
		t.Errorf("time is %v, want %v", at, want)
	}
}

// What the url or the role say does not weaken a session.
func TestSessionOverridesTheURL(t *testing.T) {
	pool, err := sql.ConnectForTest(t.Context(), sqltest.New(t)+"&synchronous_commit=off&timezone=Asia%2FBishkek&statement_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var got string
	err = pool.QueryRow(t.Context(), "SELECT current_setting('synchronous_commit') || current_setting('TimeZone') || current_setting('statement_timeout')").Scan(&got)
	if err != nil || got != "onUTC0" {
		t.Errorf("%q %v", got, err)
	}
}

func TestUnreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	closed.Close()
	for url, want := range map[string][]string{
		"postgres://u:S3cret@" + address + "/d":                     {"database d at " + address, "nothing listens", "start Postgres"},
		"postgres://u:S3cret@/d?host=" + t.TempDir():                {"database d at /", "nothing listens"},
		"host=127.0.0.1 port=1 user=u password='S3cret x' dbname=d": {"127.0.0.1:1", "nothing listens"},
	} {
		_, err := sql.ConnectForTest(t.Context(), url)
		if !errors.Is(err, sql.ErrUnreachable) {
			t.Errorf("%s: %v", url, err)
		}
		says(t, err, want...)
		noSecret(t, err)
		err = sql.Migrate(t.Context(), url, quiet())
		says(t, err, want...)
		noSecret(t, err)
	}
}

func TestSilentServer(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = sql.ConnectForTest(ctx, "postgres://u:S3cret@"+server.Addr().String()+"/d?sslmode=disable")
	if !errors.Is(err, sql.ErrUnreachable) {
		t.Error(err)
	}
	says(t, err, "check that "+server.Addr().String()+" can be reached")
	noSecret(t, err)
}

func TestNoSuchDatabase(t *testing.T) {
	at, err := url.Parse(sqltest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	at.Path = "/absent"
	_, err = sql.ConnectForTest(t.Context(), at.String())
	says(t, err, "database absent at /", "createdb --owner=")
	if errors.Is(err, sql.ErrUnreachable) {
		t.Error("waiting does not help")
	}
}

func TestRefusals(t *testing.T) {
	for code, want := range map[string]string{
		"28P01": "check user alice and its password",
		"28000": "pg_hba.conf",
		"53300": "max_connections",
		"57P03": "starting or stopping",
	} {
		url := refusingServer(t, code)
		_, err := sql.ConnectForTest(t.Context(), url)
		says(t, err, want)
		noSecret(t, err)
		if waits := code == "53300" || code == "57P03"; errors.Is(err, sql.ErrUnreachable) != waits {
			t.Errorf("%s: unreachable %v", code, !waits)
		}
	}
}

// refusingServer speaks just enough of the protocol to say no.
func refusingServer(t *testing.T, code string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			backend := pgproto3.NewBackend(conn, conn)
			_, _ = backend.ReceiveStartupMessage()
			backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: "no"})
			_ = backend.Flush()
			conn.Close()
		}
	}()
	return "postgres://alice:S3cret@" + listener.Addr().String() + "/d?sslmode=disable"
}

// A password with characters that should have been encoded makes an url that
// cannot be read; no part of it may show.
func TestURLThatCannotBeRead(t *testing.T) {
	for _, url := range []string{
		"postgres://u:S3cret/x@host/d", "postgres://u:S3cret#x@host/d", "postgres://u:S3cret%zz@host/d",
		"postgres://u:S3cret:x@host:port/d", "mysql://u:S3cret@host/d", "password=S3cret host", "u:S3cret@host",
		"postgres://u:S3cret@host/d?sslmode=S3cret", "postgres://u@host/d?sslrootcert=/no/S3cret",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := sql.ConnectForTest(ctx, url)
		cancel()
		if err == nil {
			t.Errorf("%s: no error", url)
		}
		noSecret(t, err)
		_, err = sql.Pending(ctx, url)
		noSecret(t, err)
		_, err = sql.Inspect(ctx, url)
		noSecret(t, err)
	}
}

func TestInspect(t *testing.T) {
	server, err := sql.Inspect(t.Context(), sqltest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	if server.Version < 13 || !strings.HasPrefix(server.Name, fmt.Sprint(server.Version)) {
		t.Errorf("%+v", server)
	}
}

// servedRow answers the one question that an inspection asks.
type servedRow struct {
	number                  int
	name                    string
	standby                 bool
	commit, fsync, fullPage string
}

func (r servedRow) QueryRow(context.Context, string, ...any) pgx.Row { return r }

func (r servedRow) Scan(into ...any) error {
	*into[0].(*int), *into[1].(*string), *into[2].(*bool) = r.number, r.name, r.standby
	*into[3].(*string), *into[4].(*string), *into[5].(*string) = r.commit, r.fsync, r.fullPage
	return nil
}

func TestServersThatWillNotDo(t *testing.T) {
	good := servedRow{150014, "15.14", false, "on", "on", "on"}
	for want, change := range map[string]func(*servedRow){
		"13 is the oldest":   func(r *servedRow) { r.number, r.name = 120022, "12.22" },
		"it is a standby":    func(r *servedRow) { r.standby = true },
		"synchronous_commit": func(r *servedRow) { r.commit = "off" },
	} {
		server := good
		change(&server)
		_, err := sql.InspectForTest(t.Context(), server)
		says(t, err, want)
	}
	for want, change := range map[string]func(*servedRow){
		"newer than 18":           func(r *servedRow) { r.number, r.name = 190000, "19.0" },
		"fsync is off":            func(r *servedRow) { r.fsync = "off" },
		"full_page_writes is off": func(r *servedRow) { r.fullPage = "off" },
	} {
		server := good
		change(&server)
		found, err := sql.InspectForTest(t.Context(), server)
		if err != nil || len(found.Warnings) != 1 || !strings.Contains(found.Warnings[0], want) {
			t.Errorf("%s: %v %v", want, found.Warnings, err)
		}
	}
	for _, number := range []int{130000, 180001} {
		server := good
		server.number = number
		if found, err := sql.InspectForTest(t.Context(), server); err != nil || len(found.Warnings) > 0 {
			t.Error(number, found.Warnings, err)
		}
	}
}

func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("%q lacks %q", fmt.Sprint(err), part)
		}
	}
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), "S3cret") {
		t.Errorf("the password shows in %q", err)
	}
}
