package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"btcwatch/sql"
)

type sqlCommand struct {
	Write bool     `help:"Let statements change the database. What was recorded is meant to stay as it is: the daemon alone writes it."`
	Args  []string `arg:"" optional:"" passthrough:"partial" name:"psql arguments" help:"After --: arguments of psql, such as -c 'SELECT * FROM report.balances'."`
}

// Help says what there is to ask.
func (c *sqlCommand) Help() string {
	return "The views of the report schema are found without its name: addresses, transactions, movements, balances, counterparties, alerts, deliveries, explorers, coverage, gaps. Statements that would change anything are refused, unless --write comes before the arguments of psql."
}

// Run opens psql, and ends with its exit code.
func (c *sqlCommand) Run(s *session) (err error) {
	config, err := s.config()
	if err != nil {
		return err
	}
	// Unlike in other commands a second Ctrl-C must not end us: at psql's
	// prompt it is a key like others.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p := s.progress("starting the database")
	db, err := openDatabase(ctx, config, s.quietLog())
	p.end()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	args := c.Args
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	err = sql.Psql(ctx, db.url, c.Write, args, s.In, s.Out, s.Err)
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() > 0 {
		return exitCode(ended.ExitCode())
	}
	return err
}
