package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/cli"
	"btcwatch/sql/sqltest"
)

func TestMain(m *testing.M) {
	testscript.Main(sqltest.Stopping(m), map[string]func(){
		"btcwatch": func() { os.Exit(cli.Main(os.Args[1:], "1.2.3", cli.System())) },
	})
}

// TestScripts types the commands of testdata into the program.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return prepare(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails": fails, "expand": expand, "database": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv("DATABASE", sqltest.Migrated(t))
			},
			"explorer": serveExplorer, "mine": mine, "reorg": reorg, "hash": hash, "pay": pay, "freeze": freeze, "hang": hang,
			"await": await, "signal": signal,
		},
	})
}

// scene is the chain that a script plays on.
type scene struct {
	chain   *chaintest.Chain
	wallet  *chaintest.Wallet
	servers map[string]*chaintest.Esplora
}

type sceneKey struct{}

func prepare(t *testing.T, env *testscript.Env) error {
	s := &scene{chain: chaintest.NewChain(), servers: map[string]*chaintest.Esplora{}}
	s.wallet = chaintest.NewWallet(s.chain, "")
	s.chain.MineEmpty(110)
	env.Values[sceneKey{}] = s
	env.Setenv("TZ", "UTC")
	return nil
}

func of(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

// fails CODE COMMAND…: the command ends with that exit code.
func fails(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		ts.Fatalf("ended with %v, not with exit code %d", err, want)
	}
	if ended.ExitCode() != want {
		ts.Fatalf("exit code %d, not %d", ended.ExitCode(), want)
	}
}

// expand FILE: puts the script's variables into a file.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// explorer NAME [mainnet]: serves the chain, or another one; its url is in $NAME.
func serveExplorer(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	var source chaintest.Source = s.chain
	params := s.chain.Params()
	if len(args) > 1 {
		params = &chaincfg.MainNetParams
		source = chaintest.ChainOf(0, chaincfg.MainNetParams.GenesisBlock)
	}
	server := chaintest.NewEsplora(source, params)
	url, stop := server.Serve()
	ts.Defer(stop)
	s.servers[args[0]] = server
	ts.Setenv(args[0], url)
}

// freeze NAME: the explorer shows no more than now.
func freeze(ts *testscript.TestScript, _ bool, args []string) { of(ts).servers[args[0]].Freeze() }

// hang NAME: a listener that takes connections and answers nothing.
func hang(ts *testscript.TestScript, _ bool, args []string) {
	url, stop := chaintest.Serve(silent{})
	ts.Defer(stop)
	ts.Setenv(args[0], url)
}

// mine N
func mine(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	of(ts).chain.MineMempool()
	of(ts).chain.MineEmpty(n - 1)
}

// reorg N: that many blocks are replaced by one more.
func reorg(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	of(ts).chain.Reorg(int32(n))
}

// hash HEIGHT: that of the block at a height is in $HASH.
func hash(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Setenv("HASH", of(ts).chain.BlockAt(int32(n)).BlockHash().String())
}

// pay ADDRESS SATOSHIS
func pay(ts *testscript.TestScript, _ bool, args []string) {
	s := of(ts)
	address, err := chain.ParseAddress(args[0], s.chain.Params())
	ts.Check(err)
	value, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	tx, err := s.wallet.Pay(context.Background(), chaintest.Output{Script: address.Script, Value: value})
	ts.Check(err)
	ts.Setenv("TXID", tx.TxHash().String())
}

// await PATTERN FILE or COMMAND…: until the file, or the output of the command,
// matches.
func await(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	deadline := time.Now().Add(40 * time.Second)
	var have []byte
	for time.Now().Before(deadline) {
		if len(args) == 2 {
			have, _ = os.ReadFile(ts.MkAbs(args[1])) // it may not be there yet
		} else {
			have = nil
			if ts.Exec(args[1], args[2:]...) == nil {
				have = []byte(ts.ReadFile("stdout"))
			}
		}
		if pattern.Match(have) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("no %s in %d bytes:\n%s", pattern, len(have), bytes.TrimSpace(have))
}

// signal NAME: to every command in the background.
func signal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(signals[args[0]]))
	}
}
