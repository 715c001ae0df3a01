package daemon

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"go.uber.org/goleak"

	"btcwatch/alerts"
	"btcwatch/chain/explorer"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// childVariable makes this test binary a daemon: it holds the order.
const childVariable = "BTCWATCH_TEST_DAEMON"

func TestMain(m *testing.M) {
	if order := os.Getenv(childVariable); order != "" {
		os.Exit(runChild(order))
	}
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "14") // these tests wait for clocks more than they work
	}
	goleak.VerifyTestMain(sqltest.Stopping(m))
}

// order is the configuration of a daemon that runs in a process of its own, so
// that it can be killed.
type order struct {
	Version   string
	Database  string
	Explorers []explorer.Settings
	Watch     []watchlist.Listing
	Channels  []channelOrder
	Canary    CanarySettings
}

type channelOrder struct {
	Name, Kind string
	Keys       map[string]any
}

func (o channelOrder) settings() alerts.Settings {
	return alerts.Settings{Name: o.Name, Kind: o.Kind, Decode: func(into any) error { return remarshal(o.Keys, into) }}
}

func runChild(doc string) int {
	go func() { // our parent holds the other end: no child outlives it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	var o order
	if err := json.Unmarshal([]byte(doc), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	config := testConfig(o.Database)
	config.Explorers, config.Watch, config.Canary = o.Explorers, o.Watch, o.Canary
	for _, c := range o.Channels {
		config.Channels = append(config.Channels, c.settings())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := Run(ctx, config, Program{
		Version: o.Version, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Stdout: io.Discard, Notify: func(string) {},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// testConfig has the shortest schedule that there is.
func testConfig(database string) *Config {
	return &Config{
		Network:     &chaincfg.RegressionNetParams,
		Zone:        time.UTC,
		DatabaseURL: database,
		Schedule:    Schedule{Blocks: "@every 1s", Mempool: "@every 1s"},
		Start:       Start{Tip: true},
		Privacy:     PrivacySettings{Mode: PrivacyAsk},
		Alerts:      AlertSettings{Confirmations: []int32{1, 6}, Burst: 20, DroppedAfter: time.Hour},
		Health:      HealthSettings{FailingAfter: time.Minute, BlindAfter: time.Minute, Quarantine: 24 * time.Hour},
	}
}

// process is a daemon in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	log   *syncBuffer
}

// fork starts the world's daemon in a process of its own.
func (w *world) fork(version string) *process {
	w.t.Helper()
	doc, err := json.Marshal(order{
		Version: version, Database: w.config.DatabaseURL, Explorers: w.config.Explorers,
		Watch: w.config.Watch, Channels: w.channels, Canary: w.config.Canary,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{t: w.t, cmd: exec.Command(os.Args[0]), log: w.log}
	p.cmd.Env = append(os.Environ(), childVariable+"="+string(doc))
	p.cmd.Stderr = w.log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.kill)
	return p
}

// kill is kill -9; it returns when the process has ended.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // killed is how it ends
		_ = p.stdin.Close()
	}
}

// stop asks the process to end, and waits until it has.
func (p *process) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Error(err)
	}
	late := time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer late.Stop()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("the daemon's process: %v", err)
	}
	_ = p.stdin.Close()
}
