// Command demo shows the whole job with real parts on one machine: a btcd node
// on regtest, three explorers of different kinds over it, the btcwatch binary with its
// private Postgres, a mail server and a webhook receiver. What has to happen is
// worked out from the transactions that the demo itself puts on the chain, and
// never asked of the daemon. It ends with exit code 0 only if all of it happened
// and nothing happened twice.
//
//	go run ./chain/chaintest/demo                  # after make build
//	go run ./chain/chaintest/demo -kills 3         # three more kills, at random moments
//	go run ./chain/chaintest/demo -kill-at 12.3s   # one more, at that moment
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	binary string
	killAt moments
	kills  int
	sweep  string
}

// Exit codes besides 0 and 1.
const (
	exitMisuse      = 2
	exitInterrupted = 130
)

func main() { os.Exit(run()) }

func run() int {
	o, err := readOptions()
	if err != nil {
		return exitMisuse
	}
	if o.sweep != "" {
		return sweepAfter(os.Stdin, o.sweep)
	}
	say := newNarrator(os.Stdout)
	if err := prerequisites(o.binary); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %s\n", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = inFolder(func(dir string) error { return show(ctx, o, dir, say) })
	switch {
	case ctx.Err() != nil:
		say.tell("Interrupted. Everything is stopped and removed.")
		return exitInterrupted
	case err != nil:
		say.failed(err)
		return 1
	}
	return 0
}

func readOptions() (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "", "the btcwatch `program` to show (default: bin/btcwatch of this module)")
	flags.Var(&o.killAt, "kill-at", "also kill -9 the daemon at these `times` after the start, such as 9.5s,12.3s")
	flags.IntVar(&o.kills, "kills", 0, "also kill -9 the daemon `n` times at random moments")
	flags.StringVar(&o.sweep, "sweep", "", "for the demo itself: wait for the end of standard input, then end what runs in this `folder` and remove it")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return o, err
	}
	if o.binary == "" {
		o.binary = filepath.Join(moduleRoot(), "bin", "btcwatch")
	}
	o.killAt = append(o.killAt, randomMoments(o.kills)...)
	var err error
	o.binary, err = filepath.Abs(o.binary)
	return o, err
}

// moduleRoot is the folder with go.mod, here or above.
func moduleRoot() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return "."
}

// prerequisites names what is missing before anything is started.
func prerequisites(binary string) error {
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("there is no %s: run make build first (make demo does both)", binary)
	}
	patterns := []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", os.Getenv("BTCWATCH_PGBIN")}
	for _, pattern := range append(patterns, filepath.SplitList(os.Getenv("PATH"))...) {
		if found, _ := filepath.Glob(filepath.Join(pattern, "initdb")); len(found) > 0 {
			return nil
		}
	}
	return errors.New("the programs of Postgres (initdb, postgres) are not installed: run make deps, or apt-get install postgresql, or name their folder in BTCWATCH_PGBIN")
}

// longestFolder leaves room for a unix socket below it, whose path may have
// 107 bytes.
const longestFolder = 70

// inFolder works in a temporary folder. It is gone afterwards with all that
// runs in it, even when this process is killed: a second process sees to that.
func inFolder(work func(dir string) error) error {
	base := os.TempDir()
	if len(base) > longestFolder-len("/btcwatch-demo-1234567890") {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "btcwatch-demo-")
	if err != nil {
		return err
	}
	// Where Postgres has to run as another user than root, that user passes through.
	if err := os.Chmod(dir, 0o711); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	sweep, err := startSweeper(dir)
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	if err := os.Setenv("TMPDIR", dir); err != nil { // btcd's folder too
		return errors.Join(err, sweep())
	}
	return errors.Join(work(dir), sweep())
}

// moments are times after the start.
type moments []time.Duration

func (m *moments) String() string {
	var words []string
	for _, at := range *m {
		words = append(words, at.String())
	}
	return strings.Join(words, ",")
}

// Set reads times that a comma separates.
func (m *moments) Set(text string) error {
	for word := range strings.SplitSeq(text, ",") {
		at, err := time.ParseDuration(strings.TrimSpace(word))
		if err != nil {
			return err
		}
		*m = append(*m, at)
	}
	return nil
}
