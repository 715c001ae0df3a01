package sqltest_test

import (
	"bufio"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/sql/sqltest"
)

const childVariable = "BTCWATCH_TEST_CHILD"

func TestMain(m *testing.M) { os.Exit(sqltest.Stopping(m).Run()) }

func TestDatabasesAreTheTestsOwn(t *testing.T) {
	var first string
	t.Run("first", func(t *testing.T) {
		first = sqltest.New(t)
		execute(t, first, "CREATE TABLE mine ()")
	})
	if conn, err := pgx.Connect(t.Context(), first); err == nil {
		conn.Close(context.Background())
		t.Error("the database of a finished test is still there")
	}
	execute(t, sqltest.New(t), "CREATE TABLE mine ()")
	for range 2 {
		execute(t, sqltest.Migrated(t), "CREATE TABLE btcwatch.mine AS SELECT * FROM btcwatch.installation")
	}
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// TestChild is no test: it is the process that TestKilledProcess kills.
func TestChild(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		return
	}
	os.Stdout.WriteString("\nurl " + sqltest.New(t) + "\n")
	select {}
}

func TestKilledProcessLeavesNothing(t *testing.T) {
	if os.Getenv("BTCWATCH_TEST_DATABASE") != "" {
		t.Skip("the server is not ours")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	socket := ""
	for lines := bufio.NewScanner(out); socket == "" && lines.Scan(); {
		if at, found := strings.CutPrefix(lines.Text(), "url "); found {
			parsed, err := url.Parse(at)
			if err != nil {
				t.Fatal(err)
			}
			socket = parsed.Query().Get("host")
		}
	}
	if socket == "" {
		t.Fatal("the child started no server")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Dir(socket)); os.IsNotExist(err) {
			return
		}
	}
	t.Errorf("%s is left", filepath.Dir(socket))
}
