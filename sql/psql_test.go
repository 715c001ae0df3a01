package sql_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

func TestPsql(t *testing.T) {
	url := sqltest.New(t)
	var out, faults bytes.Buffer
	args := []string{"-X", "-A", "-t", "-c", "SELECT current_database() || current_setting('TimeZone') || current_setting('search_path')"}
	if err := sql.Psql(t.Context(), url, args, nil, &out, &faults); err != nil {
		t.Fatal(err, faults.String())
	}
	if want := query(t, url, "current_database()") + "UTCreport,btcwatch,public\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	if err := sql.Psql(t.Context(), url, []string{"-XAt"}, strings.NewReader("SELECT 6 * 7;\n"), &out, &faults); err != nil {
		t.Fatal(err, faults.String())
	}
	if out.String() != "42\n" {
		t.Errorf("%q", out.String())
	}
	var exit *exec.ExitError
	err := sql.Psql(t.Context(), url, []string{"-X", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0"}, nil, &out, &faults)
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Error(err)
	}
}

// Arguments are seen by every user of the machine.
func TestPasswordIsNoArgument(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://u:S3cret@h:5433/d?sslmode=require&pool_max_conns=3": "postgres://u@h:5433/d?sslmode=require",
		"postgresql://u@h/d?password=S3cret":                            "postgresql://u@h/d",
		"postgres://btcwatch@/d?host=%2Fa+b":                            "postgres://btcwatch@/d?host=%2Fa%20b",
		`host=h password='S3cr\'et S3cret' user=u`:                      "host=h  user=u",
		"user=u password=S3cret host=h":                                 "user=u  host=h",
		"user=u password = S3cret host=h":                               "user=u  host=h",
	} {
		if got := sql.ForPsql(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	env := sql.PsqlEnvironment([]string{"PGTZ=Asia/Bishkek"}, "S3cret")
	if got := strings.Join(env[len(env)-2:], " "); got != "PGTZ=Asia/Bishkek PGPASSWORD=S3cret" {
		t.Errorf("%q", got)
	}
}
