package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// promised prints a figure beside what was promised of it.
func promised(b *testing.B, what string, figure, most float64, unit string) {
	b.Helper()
	met := "met"
	if figure > most {
		met = "NOT MET"
	}
	b.Logf("%-60s %10.2f %-6s goal: at most %.2f  %s", what, figure, unit, most, met)
}

// benchFollower prepares a follower whose position is the block before a height
// of a chain, and that may ask so many explorers, each at a pace (0: none).
func benchFollower(b *testing.B, ledger *chaintest.Chain, from int32, watched chain.Address, paces ...float64) *follower {
	b.Helper()
	f := benchFollowerFrom(b, from, ledger.BlockAt(from-1).BlockHash(), watched)
	for i, pace := range paces {
		server := chaintest.NewEsplora(ledger, ledger.Params())
		url, stop := server.Serve()
		b.Cleanup(stop)
		if err := server.Sync(context.Background()); err != nil {
			b.Fatal(err)
		}
		f.ask(b, explorer.Settings{Name: fmt.Sprint("e", i), Kind: "esplora", URL: url, Operator: fmt.Sprint("o", i), RequestsPerSecond: pace})
	}
	return f
}

// ask adds an explorer.
func (f *follower) ask(b *testing.B, settings explorer.Settings) {
	b.Helper()
	e, err := explorer.Open(settings, f.params)
	if err != nil {
		b.Fatal(err)
	}
	f.explorers = append(f.explorers, e)
}

func benchFollowerFrom(b *testing.B, from int32, parent chainhash.Hash, watched chain.Address) *follower {
	b.Helper()
	ctx := context.Background()
	log, params := slog.New(slog.DiscardHandler), &chaincfg.RegressionNetParams
	store, err := sql.Open(ctx, sqltest.New(b), params, log)
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
	start := sql.Start{Height: from, Parent: parent, RestsOn: "the benchmark", Proves: true}
	if err := errors.Join(listed, writer.SetStart(ctx, start)); err != nil {
		b.Fatal(err)
	}
	return &follower{
		store: store, writer: writer, params: params, beat: func() {}, now: time.Now, log: log, began: time.Now(),
		compared: map[string]string{}, weighed: map[string]weight{}, turns: newTurns(), ready: true,
		ancestors: &ancestors{store: store, writer: writer, params: params, beat: func() {}, now: time.Now, log: log},
		health:    newHealth(HealthSettings{FailingAfter: time.Hour, BlindAfter: time.Hour}, writer, store, time.Now, log),
	}
}

// recordedOf counts the confirmed payments of the only address that is watched.
func recordedOf(b *testing.B, f *follower) int64 {
	b.Helper()
	questions, err := f.store.Questions(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	n, err := f.store.Confirmed(context.Background(), questions[0].Script)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func follow(b *testing.B, f *follower) time.Duration {
	b.Helper()
	began := time.Now()
	if err := f.round(context.Background()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// BenchmarkCatchUpAtPace catches up from two explorers that allow two requests
// a second each, and in the same run from one of them, block by block: as it
// was when all blocks were asked of the first. Goal: at least twice as fast.
func BenchmarkCatchUpAtPace(b *testing.B) {
	const few, blocks, pace = 8, 40, 2.0
	ledger := chaintest.NewChain()
	ledger.MineEmpty(10 + few)
	alone := benchFollower(b, ledger, 11, benchAddress(b), pace)
	alone.explorers[0].Headers = nil
	one := few / follow(b, alone).Seconds()
	ledger.MineEmpty(blocks - few)
	for b.Loop() {
		f := benchFollower(b, ledger, 11, benchAddress(b), pace, pace)
		two := blocks / follow(b, f).Seconds()
		b.ReportMetric(one, "blocks/s-of-one")
		b.ReportMetric(two, "blocks/s-of-two")
		b.ReportMetric(float64(f.explorers[0].Pace.Requests()+f.explorers[1].Pace.Requests())/blocks, "requests/block")
		promised(b, "catching up from one explorer, over from two (time)", one/two, 0.5, "")
	}
}

// BenchmarkDayOfBlocks follows 144 blocks of real size from a local server:
// those of block 702861, each with other ids, in blocks with work of their own.
// A watched address is paid in each. Goal: under 60 s with all commits.
func BenchmarkDayOfBlocks(b *testing.B) {
	const blocks = 144
	day := newRealDay(b, blocks)
	url, stop := chaintest.Serve(day)
	defer stop()
	for b.Loop() {
		f := benchFollowerFrom(b, 1, *chaincfg.RegressionNetParams.GenesisHash, day.watched)
		f.ask(b, explorer.Settings{Name: "local", Kind: "esplora", URL: url})
		took := follow(b, f)
		if n := recordedOf(b, f); n != blocks {
			b.Fatalf("%d payments recorded", n)
		}
		b.ReportMetric(float64(day.bytes)/blocks/1e6, "MB/block")
		b.ReportMetric(blocks/took.Seconds(), "blocks/s")
		promised(b, "a day of blocks from a local server, with commits", took.Seconds(), 60, "s")
	}
}

// realDay is an explorer that serves blocks of real size.
type realDay struct {
	watched chain.Address
	hashes  []chainhash.Hash
	raw     map[string][]byte // by the hash in words
	bytes   int
}

func newRealDay(b *testing.B, blocks int) *realDay {
	b.Helper()
	params := &chaincfg.RegressionNetParams
	d := &realDay{hashes: []chainhash.Hash{*params.GenesisHash}, raw: map[string][]byte{}}
	for height := 1; height <= blocks; height++ {
		var block wire.MsgBlock
		if err := block.Deserialize(bytes.NewReader(recorded.Read(b, "vectors", "block702861.raw"))); err != nil {
			b.Fatal(err)
		}
		block.Header.PrevBlock, block.Header.Bits = d.hashes[height-1], params.PowLimitBits
		block.Header.Timestamp = time.Now().Add(time.Duration(height-blocks) * 10 * time.Minute).Truncate(time.Second)
		input, err := txscript.NewScriptBuilder().AddInt64(int64(height)).AddInt64(0).Script()
		if err != nil {
			b.Fatal(err)
		}
		block.Transactions[0].TxIn[0].SignatureScript = input
		for _, tx := range block.Transactions[1:] {
			tx.LockTime = uint32(height)
		}
		chaintest.Seal(&block)
		d.add(b, &block)
	}
	return d
}

func (d *realDay) add(b *testing.B, block *wire.MsgBlock) {
	b.Helper()
	if len(d.hashes) == 1 {
		d.watched = paidOnce(b, block)
	}
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		b.Fatal(err)
	}
	hash := block.BlockHash()
	d.hashes, d.raw[hash.String()], d.bytes = append(d.hashes, hash), raw.Bytes(), d.bytes+raw.Len()
}

// paidOnce is an address that one transaction of a block pays and none reveals.
func paidOnce(b *testing.B, block *wire.MsgBlock) chain.Address {
	b.Helper()
	met, revealed := map[string]int{}, map[string]bool{}
	for _, tx := range block.Transactions {
		for _, in := range tx.TxIn {
			for _, script := range chain.Reveals(in) {
				revealed[string(script)] = true
			}
		}
		for _, out := range tx.TxOut {
			met[string(out.PkScript)]++
		}
	}
	for _, tx := range block.Transactions[1:] {
		script := tx.TxOut[0].PkScript
		if a, ok := chain.AddressOf(script, &chaincfg.RegressionNetParams); ok && met[string(script)] == 1 && !revealed[string(script)] {
			return a
		}
	}
	b.Fatal("no such address")
	return chain.Address{}
}

func (d *realDay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	height, _ := strconv.Atoi(path[len(path)-1])
	switch {
	case r.URL.Path == "/blocks/tip/height":
		fmt.Fprint(w, len(d.hashes)-1)
	case path[0] == "block-height" && height < len(d.hashes):
		fmt.Fprint(w, d.hashes[height])
	case path[0] == "block" && len(path) == 3 && path[2] == "raw":
		_, _ = w.Write(d.raw[path[1]])
	default:
		http.Error(w, "not found", http.StatusNotFound)
	}
}

// BenchmarkManyPayments catches up 60 blocks that hold 100 payments to one
// address each, and in the same run as many with none.
func BenchmarkManyPayments(b *testing.B) {
	const blocks, payments = 60, 100
	watched := benchAddress(b)
	empty, busy := chaintest.NewChain(), chaintest.NewChain()
	empty.MineEmpty(1 + blocks)
	busy.MineEmpty(1)
	for i := range blocks {
		var txs []*wire.MsgTx
		for j := range payments {
			tx := wire.NewMsgTx(2)
			tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{9}, Index: uint32(i*payments + j)}, []byte{1}, nil))
			tx.AddTxOut(wire.NewTxOut(50_000, watched.Script))
			tx.AddTxOut(wire.NewTxOut(70_000, append([]byte{0, 20, byte(i), byte(j)}, make([]byte, 18)...)))
			txs = append(txs, tx)
		}
		busy.Mine(txs...)
	}
	for b.Loop() {
		none := follow(b, benchFollower(b, empty, 2, watched, 0))
		f := benchFollower(b, busy, 2, watched, 0)
		took := follow(b, f)
		if n := recordedOf(b, f); n != blocks*payments {
			b.Fatalf("%d payments recorded", n)
		}
		b.ReportMetric(none.Seconds()*1000/blocks, "ms/empty-block")
		b.ReportMetric(took.Seconds()*1000/blocks, "ms/block")
		b.ReportMetric((took-none).Seconds()*1000/blocks/payments, "ms/payment")
		b.ReportMetric(float64(f.explorers[0].Pace.Requests())/blocks, "requests/block")
	}
}

// BenchmarkReorganisedBlocks runs the program itself over 1,000 blocks of 100 kB
// and then over seven reorganisations of 144, with a payment to a watched address
// in each block. Goal: its highest resident memory grows by no more than a fifth
// from the first 300 blocks to the last, and from the first reorganisation to
// the seventh.
func BenchmarkReorganisedBlocks(b *testing.B) {
	binary := buildBinary(b)
	for b.Loop() {
		watched := benchAddress(b)
		ledger := chaintest.NewChain()
		began := time.Now().Add(-48 * time.Hour)
		ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * time.Minute) }
		grow := newGrowth(b, ledger, watched)
		grow.to(300)
		d := startBinary(b, binary, ledger, watched, "@every 1s", "1")
		d.awaitPosition(b, ledger)
		early := peakMB(b, d.pid)
		grow.to(1000)
		d.awaitPosition(b, ledger)
		late := peakMB(b, d.pid)
		var after []float64
		for turn := range int32(7) {
			ledger.Fork(1000 + turn - 144)
			grow.to(1001 + turn) // one more than it had
			d.awaitPosition(b, ledger)
			after = append(after, peakMB(b, d.pid))
		}
		d.stop()
		b.Logf("highest resident memory in MB: %.0f after 300 blocks, %.0f after 1,000, after each of seven reorganisations of 144: %.0f", early, late, after)
		promised(b, "resident after 1,000 blocks, over after 300", late/early, 1.2, "")
		promised(b, "resident after 7 x 144 reorganised, over after 144", after[6]/after[0], 1.2, "")
		b.ReportMetric(early, "300-blocks-MB")
		b.ReportMetric(late, "1000-blocks-MB")
		b.ReportMetric(after[0], "one-reorg-MB")
		b.ReportMetric(after[6], "seven-reorgs-MB")
	}
}

// growth mines blocks that pay an address and hold 100 kB of real transactions.
type growth struct {
	ledger  *chaintest.Chain
	watched chain.Address
	txs     []*wire.MsgTx
	mined   uint32
}

func newGrowth(b *testing.B, ledger *chaintest.Chain, watched chain.Address) *growth {
	b.Helper()
	var block wire.MsgBlock
	if err := block.Deserialize(bytes.NewReader(recorded.Read(b, "vectors", "block702861.raw"))); err != nil {
		b.Fatal(err)
	}
	g, size := &growth{ledger: ledger, watched: watched}, 0
	for _, tx := range block.Transactions[1:] {
		if size += tx.SerializeSize(); size > 100_000 {
			break
		}
		g.txs = append(g.txs, tx)
	}
	return g
}

// to mines up to a height. No two blocks hold the same transaction.
func (g *growth) to(height int32) {
	for at, _ := g.ledger.Tip(); at < height; at++ {
		g.mined++
		paid := wire.NewMsgTx(2)
		paid.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{9}, Index: g.mined}, []byte{1}, nil))
		paid.AddTxOut(wire.NewTxOut(50_000, g.watched.Script))
		txs := []*wire.MsgTx{paid}
		for _, tx := range g.txs {
			other := tx.Copy()
			other.LockTime = g.mined
			txs = append(txs, other)
		}
		g.ledger.Mine(txs...)
	}
}

// awaitPosition waits until the program has covered the tip of a chain.
func (d running) awaitPosition(b *testing.B, ledger *chaintest.Chain) {
	b.Helper()
	ctx := context.Background()
	db, err := pgx.Connect(ctx, d.database)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(ctx)
	_, tip := ledger.Tip()
	want := tip.BlockHash()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var hash []byte
		err := db.QueryRow(ctx, `SELECT hash FROM btcwatch.position`).Scan(&hash)
		if err == nil && bytes.Equal(hash, want[:]) {
			return
		}
	}
	text, _ := os.ReadFile(d.log)
	b.Fatalf("the tip was not covered within five minutes:\n%s", text[max(0, len(text)-4000):])
}
