package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// longHistory is how many transactions the benchmarked address has.
const longHistory = 10_000

// BenchmarkHistory reads a history of 10,000 transactions from a local server,
// once without recording it and once with, in one run. Goal: recording costs no
// more than twice what fetching alone does (record/fetch at most 2), and a
// second reading writes nothing (rewritten-rows 0).
func BenchmarkHistory(b *testing.B) {
	ctx := context.Background()
	ledger := chaintest.NewChain()
	watched := benchAddress(b)
	ledger.History(watched.Script, longHistory)
	e := benchExplorer(b, ledger)
	var fetch, whole, again time.Duration
	for b.Loop() {
		fetch += timed(b, func() error { return readAll(ctx, e, watched) })
		a, q := benchAsker(b, e, watched, ledger)
		whole += timed(b, func() error { return a.history(ctx, e, q) })
		q.Known = true
		before := writes(b, a.store.URL())
		again += timed(b, func() error { return a.history(ctx, e, q) })
		b.ReportMetric(float64(writes(b, a.store.URL())-before), "rewritten-rows")
		if n, err := a.store.Confirmed(ctx, q.Script); err != nil || n != longHistory {
			b.Fatalf("%d transactions recorded, %v", n, err)
		}
	}
	b.ReportMetric(float64(whole-fetch)/float64(fetch), "record/fetch")
	b.ReportMetric(float64(again)/float64(fetch), "reread/fetch")
	promised(b, "recording a history of 10,000, over fetching it alone", float64(whole-fetch)/float64(fetch), 2, "")
	b.ReportMetric(float64(longHistory*b.N)/whole.Seconds(), "tx/s")
}

func timed(b *testing.B, work func() error) time.Duration {
	b.Helper()
	runtime.GC()
	began := time.Now()
	if err := work(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func readAll(ctx context.Context, e *explorer.Explorer, a chain.Address) error {
	count := 0
	for page, err := range e.Addresses.History(ctx, a) {
		if err != nil {
			return err
		}
		count += len(page)
	}
	if count != longHistory {
		return fmt.Errorf("%d transactions, want %d", count, longHistory)
	}
	return nil
}

// writes counts the rows that a database has written so far.
func writes(b *testing.B, url string) int64 {
	b.Helper()
	ctx := context.Background()
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(ctx)
	var count int64
	err = db.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM btcwatch.tx) + (SELECT count(*) FROM btcwatch.tx_event) + (SELECT count(*) FROM btcwatch.movement)
		     + (SELECT count(*) FROM btcwatch.observation) + (SELECT count(*) FROM btcwatch.script)
		     + (SELECT count(*) FROM btcwatch.stated_output) + (SELECT count(*) FROM btcwatch.journal)`).Scan(&count)
	if err != nil {
		b.Fatal(err)
	}
	return count
}

func benchAddress(b *testing.B) chain.Address {
	b.Helper()
	a, err := chain.ParseAddress("bcrt1qd6ymjn33ls29fxkz6emmlvw4letekxp94ad0ek", &chaincfg.RegressionNetParams)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

func benchExplorer(b *testing.B, ledger *chaintest.Chain) *explorer.Explorer {
	b.Helper()
	url, stop := chaintest.NewEsplora(ledger, ledger.Params()).Serve()
	b.Cleanup(stop)
	e, err := explorer.Open(explorer.Settings{Name: "local", Kind: "esplora", URL: url}, ledger.Params())
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// benchAsker prepares a database in which the address has joined at the tip.
func benchAsker(b *testing.B, e *explorer.Explorer, watched chain.Address, ledger *chaintest.Chain) (*asker, *sql.Question) {
	b.Helper()
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	store, err := sql.Open(ctx, sqltest.New(b), ledger.Params(), log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	lead, err := store.TakeLead(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { lead.Release(ctx) })
	writer := store.Writer(lead, sql.Telling{Confirmations: []int32{1, 6}}, func() {})
	_, listed := store.SyncConfig(ctx, []watchlist.Listing{{Address: watched}})
	height, tip := ledger.Tip()
	err = errors.Join(listed,
		store.SetExplorers(ctx, []explorer.Settings{{Name: e.Name, Kind: e.Kind}}),
		writer.SetStart(ctx, sql.Start{Height: height + 1, Parent: tip.BlockHash(), RestsOn: "the benchmark"}))
	if err != nil {
		b.Fatal(err)
	}
	questions, err := store.Questions(ctx)
	if err != nil {
		b.Fatal(err)
	}
	return &asker{
		store: store, writer: writer, explorers: []*explorer.Explorer{e}, hold: newHold(store, 0, time.Now), short: newShortfall(),
		health: newHealth(HealthSettings{FailingAfter: time.Hour, BlindAfter: time.Hour}, writer, store, time.Now, log),
		beat:   func() {}, now: time.Now, log: log,
	}, questions[0]
}

// BenchmarkResident runs the program itself: a history of 10,000 transactions
// recorded in one run, with its highest resident memory (goal: under 150 MB,
// Postgres apart), and then idle with two addresses (goal: under 60 MB and
// under 1% of a core).
func BenchmarkResident(b *testing.B) {
	binary := buildBinary(b)
	for b.Loop() {
		busy := runBinary(b, binary, longHistory, "@every 1s")
		b.ReportMetric(busy.peakMB, "history-peak-MB")
		promised(b, "resident while a history of 10,000 is recorded", busy.peakMB, 150, "MB")
		idle := runBinary(b, binary, 10, "@every 30s")
		b.ReportMetric(idle.peakMB, "idle-MB")
		b.ReportMetric(idle.cpuPercent, "idle-%core")
		promised(b, "resident when idle with two addresses", idle.peakMB, 60, "MB")
		promised(b, "a core when idle with two addresses", idle.cpuPercent, 1, "%")
	}
}

type residence struct{ peakMB, cpuPercent float64 }

func runBinary(b *testing.B, binary string, history int, pace string) residence {
	b.Helper()
	ledger := chaintest.NewChain()
	began := time.Now().Add(-24 * time.Hour)
	ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * time.Minute) }
	watched := benchAddress(b)
	ledger.History(watched.Script, history)
	d := startBinary(b, binary, ledger, watched, pace, "tip")
	defer d.stop()
	awaitHistory(b, d.database, history, d.log)
	before, at := cpuTicks(b, d.pid), time.Now()
	time.Sleep(20 * time.Second)
	used := float64(cpuTicks(b, d.pid)-before) / 100 // ticks of 10 ms
	return residence{peakMB: peakMB(b, d.pid), cpuPercent: 100 * used / time.Since(at).Seconds()}
}

// running is the program at work in a process of its own.
type running struct {
	pid           int
	database, log string
	stop          func()
}

// startBinary starts the program over a chain, from a start, with a pause
// between rounds.
func startBinary(b *testing.B, binary string, ledger *chaintest.Chain, watched chain.Address, pace, start string) running {
	b.Helper()
	url, stop := chaintest.NewEsplora(ledger, ledger.Params()).Serve()
	d := running{database: sqltest.New(b)}
	dir := b.TempDir()
	file := filepath.Join(dir, "config.toml")
	config := fmt.Sprintf(`
network = "regtest"
data_dir = %q
[database]
url = %q
[chain]
start = %q
[schedule]
blocks = %q
mempool = %q
[explorers.local]
kind = "esplora"
url = %q
requests_per_second = 0
[channels.record]
kind = "file"
path = %q
[watch.%q]
label = "one"
[watch."bcrt1qqknmhprvw9ytavdyr68qxmxdnfgrcptssa926a"]
label = "two"
`, dir, d.database, start, pace, pace, url, filepath.Join(dir, "alerts.jsonl"), watched.Text)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		b.Fatal(err)
	}
	daemon := exec.Command(binary, "run", "--config", file)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		b.Fatal(err)
	}
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		b.Fatal(err)
	}
	d.pid, d.log = daemon.Process.Pid, log.Name()
	d.stop = func() { _, _, _ = daemon.Process.Kill(), daemon.Wait(), log.Close(); stop() }
	return d
}

// buildBinary builds the program as it is.
func buildBinary(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "btcwatch")
	if out, err := exec.Command("go", "build", "-o", binary, "btcwatch").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func awaitHistory(b *testing.B, database string, count int, log string) {
	b.Helper()
	ctx := context.Background()
	db, err := pgx.Connect(ctx, database)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(ctx)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var known int
		err := db.QueryRow(ctx, `SELECT count(*) FROM report.balances WHERE history_known AND tx_count = $1`, count).Scan(&known)
		if err == nil && known == 1 {
			return
		}
	}
	text, _ := os.ReadFile(log)
	b.Fatalf("the history was not recorded within two minutes:\n%s", text)
}

// peakMB is the highest resident memory of a process so far.
func peakMB(b *testing.B, pid int) float64 { b.Helper(); return statusMB(b, pid, "VmHWM:") }

func statusMB(b *testing.B, pid int, field string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == field {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	b.Fatalf("no %s in /proc/PID/status", field)
	return 0
}

// cpuTicks is the user and system time of a process in clock ticks.
func cpuTicks(b *testing.B, pid int) int {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest) // from the third field on
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return user + system
}
