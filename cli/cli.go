// Package cli has the commands that a person types, one file each. A command
// reads its arguments, asks the packages that know, and prints a table for
// people or, with --json, one JSON object a line for programs.
//
// Exit codes: 0 done; 1 failed, or found a fault; 2 wrong use.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"btcwatch/daemon"
)

// grammar is every command there is.
type grammar struct {
	Config string `placeholder:"FILE" help:"Configuration file. Without it: BTCWATCH_CONFIG, else ./config.toml, else /etc/btcwatch/config.toml."`

	Run        runCommand        `cmd:"" help:"Watch, record and alert until stopped."`
	Check      checkCommand      `cmd:"" help:"Check configuration, database, explorers and position; exit 1 if anything is wrong."`
	Watch      watchCommand      `cmd:"" help:"Say who is watched."`
	Explorers  explorersCommand  `cmd:"" help:"List the explorers, and clear one that was caught in something false."`
	Follow     followCommand     `cmd:"" help:"Make following go on with a block that you vouch for, after it has stopped."`
	History    historyCommand    `cmd:"" help:"List the recorded transactions of a watched address."`
	Alerts     alertsCommand     `cmd:"" help:"List and show alerts, and say what came of them."`
	Deliveries deliveriesCommand `cmd:"" help:"List what waits or could not be delivered, and deliver it again."`
	Channels   channelsCommand   `cmd:"" help:"List the channels, and test that one works."`
	Rules      rulesCommand      `cmd:"" help:"Try the configured rules on what is recorded."`
	SQL        sqlCommand        `cmd:"" name:"sql" help:"Open psql on the database in use, also while the daemon runs."`
	Evidence   evidenceCommand   `cmd:"" help:"Write all that proves a transaction into one file that anybody can check."`
	Verify     verifyCommand     `cmd:"" help:"Check a file of evidence and say what it proves; needs nothing but the file."`
	Scan       scanCommand       `cmd:"" help:"Look for addresses in raw blocks and block files that lie here."`
	Extract    extractCommand    `cmd:"" help:"Find every Bitcoin address in a text."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
}

// session is one command at work.
type session struct {
	Terminal
	version    string
	configFlag string
}

// Main runs the command that the arguments name, and gives its exit code.
func Main(args []string, version string, t Terminal) int {
	s := &session{Terminal: t, version: released(version)}
	var words grammar
	helped := false
	parser, err := kong.New(&words,
		kong.Name("btcwatch"),
		kong.Description("Watch Bitcoin addresses that reports and sanction lists name, record what happens at them, and alert."),
		kong.Writers(t.Out, t.Err),
		kong.Exit(func(int) { helped = true }), // kong leaves by it after --help only
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"formats": formatNames(), "forms": formNames()},
		kong.Bind(s))
	if err != nil {
		return s.fail(err)
	}
	chosen, err := parser.Parse(args)
	if helped {
		return 0
	}
	if err != nil {
		return s.misuse(err)
	}
	s.configFlag = words.Config
	if err := chosen.Run(); err != nil {
		return s.fail(err)
	}
	return 0
}

// wrongUse is a command line that cannot be meant.
type wrongUse struct{ text string }

func (e wrongUse) Error() string { return e.text }

func wrongUsef(format string, args ...any) error { return wrongUse{fmt.Sprintf(format, args...)} }

// exitCode ends a command that has said already what is wrong.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// errInterrupted says that the person stopped the command.
var errInterrupted = errors.New("interrupted")

// misuse tells what is wrong with a command line, and where its help is.
func (s *session) misuse(err error) int {
	s.say("btcwatch: %s", err)
	command := "btcwatch"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil {
		if node := parse.Context.Selected(); node != nil {
			command = node.FullPath()
		}
	}
	if strings.HasPrefix(command, "btcwatch sql") {
		s.say("Arguments of psql itself come after --, as in: btcwatch sql -- -c 'SELECT 1'")
	}
	s.say("See: %s --help", command)
	return 2
}

// fail tells an error as people need it, and gives the exit code.
func (s *session) fail(err error) int {
	var code exitCode
	var misused wrongUse
	var faults *daemon.Faults
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &misused):
		s.say("btcwatch: %s", misused)
		return 2
	case errors.As(err, &faults):
		s.say("%s", faults)
		s.say("btcwatch: %s", correct(faults))
	default:
		s.say("btcwatch: %s", err)
	}
	return 1
}

func correct(faults *daemon.Faults) string {
	if n := strings.Count(faults.Error(), "\n") + 1; n > 1 {
		return fmt.Sprintf("the configuration has %d faults; correct them and try again", n)
	}
	return "the configuration has a fault; correct it and try again"
}

// say tells a person something beside the output.
func (s *session) say(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }

// config reads the configuration.
func (s *session) config(checks ...daemon.Check) (*daemon.Config, error) {
	path, err := daemon.Find(s.configFlag, s.Getenv)
	if err != nil {
		return nil, err
	}
	return daemon.Load(path, checks...)
}

// interruptible gives a context that ends with Ctrl-C or SIGTERM. A second
// signal ends the process at once.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
