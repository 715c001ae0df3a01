package sql

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"
)

// Psql runs psql on a database until it ends; an *exec.ExitError in the error
// has its exit code. Names are looked up in the report schema first. Statements
// that change anything are refused by the server unless write says otherwise. On a
// terminal psql gets Ctrl-C itself, to cancel a query; otherwise the context's
// end ends it.
func Psql(ctx context.Context, url string, write bool, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	program, err := usualPlaces().psql()
	if err != nil {
		return err
	}
	config, err := parseURL(url)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{"--dbname=" + forPsql(url)}, args...)...)
	cmd.Env = psqlEnvironment(os.Environ(), config.ConnConfig.Password, write)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	interactive := isTerminal(stdin)
	cmd.Cancel = func() error {
		if interactive {
			return nil
		}
		return cmd.Process.Signal(syscall.SIGTERM)
	}
	if err := cmd.Run(); err != nil && !(interactive && cmd.ProcessState.Success()) {
		return fmt.Errorf("psql: %w", err)
	}
	return nil
}

// psqlEnvironment hands the password over where other users cannot see it, as
// they could among the arguments.
func psqlEnvironment(base []string, password string, write bool) []string {
	options := "-c search_path=report,btcwatch,public"
	if !write {
		options += " -c default_transaction_read_only=on"
	}
	defaults := []string{"PGTZ=UTC", "PGAPPNAME=btcwatch sql"}
	env := append(defaults, base...) // the later one wins
	// A person's own options come after ours.
	for _, set := range base {
		if own, ok := strings.CutPrefix(set, "PGOPTIONS="); ok {
			options += " " + own
		}
	}
	env = append(env, "PGOPTIONS="+options)
	if password != "" {
		env = append(env, "PGPASSWORD="+password)
	}
	return env
}

var passwordSetting = regexp.MustCompile(`\bpassword\s*=\s*('(\\.|[^'\\])*'|(\\.|\S)*)`)

// forPsql takes the password out of a database url, and what only pgx knows.
func forPsql(database string) string {
	parsed, err := url.Parse(database)
	if err != nil || !strings.HasPrefix(parsed.Scheme, "postgres") {
		return passwordSetting.ReplaceAllLiteralString(database, "")
	}
	if parsed.User != nil {
		parsed.User = url.User(parsed.User.Username())
	}
	query := parsed.Query()
	for name := range query {
		if name == "password" || strings.HasPrefix(name, "pool_") {
			query.Del(name)
		}
	}
	// libpq reads "+" as itself, so a space has to be %20.
	parsed.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	return parsed.String()
}

func isTerminal(stream io.Reader) bool {
	file, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}
