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
	if err := sql.Psql(t.Context(), url, false, args, nil, &out, &faults); err != nil {
		t.Fatal(err, faults.String())
	}
	if want := query(t, url, "current_database()") + "UTCreport,btcwatch,public\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	if err := sql.Psql(t.Context(), url, false, []string{"-XAt"}, strings.NewReader("SELECT 6 * 7;\n"), &out, &faults); err != nil {
		t.Fatal(err, faults.String())
	}
	if out.String() != "42\n" {
		t.Errorf("%q", out.String())
	}
	var exit *exec.ExitError
	err := sql.Psql(t.Context(), url, false, []string{"-X", "-v", "ON_ERROR_STOP=1", "-c", "SELECT 1/0"}, nil, &out, &faults)
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
	env := sql.PsqlEnvironment([]string{"PGTZ=Asia/Bishkek", "PGOPTIONS=-c work_mem=1MB"}, "S3cret", true)
	for _, last := range []string{
		"PGTZ=Asia/Bishkek", "PGPASSWORD=S3cret", "PGOPTIONS=-c search_path=report,btcwatch,public -c work_mem=1MB",
	} {
		name, _, _ := strings.Cut(last, "=")
		var got string
		for _, set := range env {
			if strings.HasPrefix(set, name+"=") {
				got = set
			}
		}
		if got != last {
			t.Errorf("%q, want %q", got, last)
		}
	}
}

// Whoever only wants to look changes nothing by a slip.
func TestPsqlOnlyReads(t *testing.T) {
	url := sqltest.New(t)
	for write, want := range map[bool]string{false: "read-only transaction", true: ""} {
		var out, faults bytes.Buffer
		err := sql.Psql(t.Context(), url, write, []string{"-X", "-c", "CREATE TABLE kept (n integer)"}, nil, &out, &faults)
		if (err != nil) != !write || !strings.Contains(faults.String(), want) {
			t.Errorf("write %v: %v, %s", write, err, &faults)
		}
	}
}
