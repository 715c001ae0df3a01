package daemon

import (
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// strict is a network with regtest's blocks and the main chain's rules, whose
// difficulty changes every eight blocks.
func strict() *chaincfg.Params {
	params := chaincfg.RegressionNetParams
	params.PoWNoRetargeting, params.ReduceMinDifficulty = false, false
	params.TargetTimePerBlock, params.TargetTimespan = 10*time.Minute, 80*time.Minute
	return &params
}

// easiest are the bits of the chain up to the start, and fourth those of a
// quarter of that target.
const (
	easiest = 0x207fffff
	fourth  = 0x201fffff
)

// mineAs adds a block with these bits, so many minutes after the tip.
func mineAs(ledger *chaintest.Chain, bits uint32, minutes int, txs ...*wire.MsgTx) *wire.MsgBlock {
	_, tip := ledger.Tip()
	model := ledger.MineOn(tip.BlockHash(), txs...) // for its coinbase
	block := &wire.MsgBlock{Header: model.Header, Transactions: model.Transactions}
	block.Header.Bits = bits
	block.Header.Timestamp = tip.Header.Timestamp.Add(time.Duration(minutes) * time.Minute)
	chaintest.Seal(block)
	ledger.Add(block)
	return block
}

// newStrict makes an installation that follows the strict network.
func newStrict(t *testing.T, sources ...chaintest.Source) *world {
	w := newWorldOver(t, sqltest.Migrated(t), sources...)
	w.config.Network = strict()
	return w
}

// TestWorkNotLength: a shorter branch with more work wins, is told, and stays.
func TestWorkNotLength(t *testing.T) {
	t.Parallel()
	long, wallet := newLedger()
	short := copyOf(long)
	w := newStrict(t, long, short)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(long)
	paid := must(wallet.Build(t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: 30_000}}}))

	// 104 to 111 took more than 80 minutes: it stays as easy as can be.
	mineAs(long, easiest, 80)
	mineAs(long, easiest, 10, paid)
	for range 6 {
		mineAs(long, easiest, 10)
	}
	w.covered(118)
	first := w.word(alerts.TransactionConfirmed, paid, a)

	// 104 to 111 took seven minutes: four times as hard. Eight blocks against one
	// and three that count for four each.
	mineAs(short, easiest, 1)
	for range 3 {
		mineAs(short, fourth, 10)
	}
	_, best := short.Tip()
	ours, theirs := new(big.Int), new(big.Int)
	for height := int32(111); height <= 118; height++ {
		ours.Add(ours, blockchain.CalcWork(long.BlockAt(height).Header.Bits))
		if b := short.BlockAt(height); b != nil {
			theirs.Add(theirs, blockchain.CalcWork(b.Header.Bits))
		}
	}
	if theirs.Cmp(ours) <= 0 {
		t.Fatalf("the short branch is work %d, the long one %d", theirs, ours)
	}
	w.await(best.BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.expect("114", `SELECT height FROM btcwatch.position`)
	if d := w.word(alerts.TransactionReorged, paid, a); d.Corrects != first.ID {
		t.Errorf("transaction.reorged says %+v", d)
	}
	mineAs(long, easiest, 10) // still longer, still less
	next := mineAs(short, fourth, 10)
	w.await(next.BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.expect("1", `SELECT count(*) FROM btcwatch.journal WHERE kind = 'reorg'`)
	w.expect(fmt.Sprint(long.BlockAt(110).BlockHash()), `SELECT btcwatch.display(hash) FROM btcwatch.block b JOIN btcwatch.chain_now n ON n.block_id = b.id WHERE n.height = 110`)
	w.checkDelivered()
}

// TestHeadersBeforeTheStart: they are there before the first block, whoever
// serves them is kept from lying, and what they decide is said.
func TestHeadersBeforeTheStart(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newStrict(t, ledger, ledger)
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.servers[0].Faults.Set("/blocks/*", chaintest.Fault{Rewrite: func(_ string, body []byte) []byte {
		return []byte(strings.Replace(string(body), `"nonce":`, `"nonce":1`, 3))
	}})
	w.began(ledger)
	w.expect("11 99 109", `SELECT concat_ws(' ', count(*), min(height), max(height)) FROM btcwatch.ancestor WHERE height >= 99`)
	w.expect("0", `SELECT count(*) FROM btcwatch.ancestor a WHERE header = ''`)
	w.expect("true", `SELECT rests_on LIKE 'the agreement of operator one and operator two on block 110; the headers from block 99 %' FROM btcwatch.start_now`)
	for height := int32(99); height < 110; height++ {
		hash := ledger.BlockAt(height).BlockHash()
		w.expect("true", `SELECT sha256(sha256(header)) = $2 FROM btcwatch.ancestor WHERE height = $1`, height, hash[:])
	}

	// The block that changes the difficulty must do so by the rule: one
	// explorer serves one that is only within the factor of four.
	said := w.ask(`SELECT count(*) FROM btcwatch.start_checked`)
	w.restart()
	false1 := copyOf(ledger)
	mineAs(ledger, easiest, 1)
	false1.Add(ledger.BlockAt(111))
	w.caughtUp(ledger)
	mineAs(false1, 0x203fffff, 1)
	w.servers[0].Faults.Set("/**", chaintest.Fault{Status: 503})
	liar := newLiar(t, w, false1)
	w.restart()
	w.await("lying", `SELECT state FROM report.explorers WHERE name = $1`, liar)
	w.expect("111", `SELECT height FROM btcwatch.position`)
	true1 := mineAs(ledger, fourth, 1)
	w.await(true1.BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.expect(said, `SELECT count(*) FROM btcwatch.start_checked`)
}

// newLiar adds an explorer over a chain of its own, before all others.
func newLiar(t *testing.T, w *world, source chaintest.Source) string {
	server := chaintest.NewEsplora(source, w.config.Network)
	url, stop := server.Serve()
	t.Cleanup(stop)
	settings := w.config.Explorers[0]
	settings.Name, settings.URL, settings.Operator = "liar", url, "operator liar"
	w.config.Explorers = append(w.config.Explorers[:0:0], settings, w.config.Explorers[0], w.config.Explorers[1])
	return settings.Name
}

// TestHeadersNotServed: nobody has them. Following begins without them, says
// so, and where the difficulty changes asks for a second word.
func TestHeadersNotServed(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	other := copyOf(ledger)
	w := newStrict(t, other, ledger)
	w.config.Health.BlindAfter = time.Second
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.both("/blocks/*", chaintest.Fault{Status: 404})
	w.both("/block/*/header", chaintest.Fault{Status: 404})
	w.start()
	w.covered(110)
	w.expect("0", `SELECT count(*) FROM btcwatch.ancestor`)
	w.expect("true", `SELECT rests_on LIKE '%; nobody served the headers before the first block covered%' FROM btcwatch.start_now`)

	mineAs(ledger, easiest, 1)
	other.Add(ledger.BlockAt(111))
	w.covered(111)
	mineAs(other, 0x203fffff, 1) // within the factor, and false
	w.awaitLog("two operators have to show the same block")
	w.expect("111", `SELECT height FROM btcwatch.position`)

	// As soon as they are served the rule itself decides.
	w.clear()
	w.await("true", `SELECT min(height) <= 99 FROM btcwatch.ancestor`)
	w.await("lying", `SELECT state FROM report.explorers WHERE name = 'one'`)
	block := mineAs(ledger, fourth, 1)
	w.await(block.BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.await("true", `SELECT rests_on LIKE '%; the headers from block 99 %' FROM btcwatch.start_now`)
}

// TestReorgAcrossTheStart: the fork lies below the first block covered.
func TestReorgAcrossTheStart(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.began(ledger)
	paid := must(wallet.Build(t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: 30_000}}}))
	w.both("/address/**", chaintest.Fault{Drop: paid.TxHash().String()}) // by blocks alone
	ledger.Reorg(5, paid)                                                // from 105 on
	w.caughtUp(ledger)
	if d := w.word(alerts.TransactionConfirmed, paid, a); d.Proof != alerts.Proven || *d.BlockHeight != 106 {
		t.Errorf("told as %+v", d)
	}
	w.expect("106 111", `SELECT concat_ws(' ', min(height), max(height)) FROM btcwatch.chain_now`)
	w.restart()
	ledger.MineEmpty(2)
	w.caughtUp(ledger)
	w.checkDelivered()
}

// TestPinnedBlock: the configuration vouches for a block; another one at its
// height is a lie, however sound.
func TestPinnedBlock(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	other := copyOf(ledger)
	other.Fork(108)
	other.MineEmpty(4)
	w := newWorldOver(t, sqltest.Migrated(t), other, ledger)
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	pin := ledger.BlockAt(109).BlockHash()
	w.config.Start = Start{Height: 109, Hash: &pin}
	w.start()
	w.covered(110)
	w.expect(ledger.BlockAt(110).BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.await("lying", `SELECT state FROM report.explorers WHERE name = 'one'`)
	w.expect("true", `SELECT rests_on LIKE 'the configuration''s word for block 109; %' FROM btcwatch.start_now`)
}

// TestGoals: heights worked out by hand.
func TestGoals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		params *chaincfg.Params
		start  int32
		want   string
	}{
		{&chaincfg.MainNetParams, 953_700, "[953689 953568 953567]"},
		{&chaincfg.MainNetParams, 955_584, "[955573 953568 953567]"}, // the first of a period measures the one before
		{&chaincfg.MainNetParams, 900_000, "[899989 899136 878976]"},
		{&chaincfg.MainNetParams, 2_000, "[1989 0]"},
		{&chaincfg.RegressionNetParams, 110, "[99]"},
		{&chaincfg.RegressionNetParams, 5, "[0]"},
		{&chaincfg.TestNet4Params, 100_000, "[99989 98784]"},
	} {
		var from []int32
		for _, g := range (&ancestors{params: c.params}).goals(c.start) {
			from = append(from, g.from)
		}
		if got := fmt.Sprint(from); got != c.want {
			t.Errorf("%s from %d: %s, want %s", c.params.Name, c.start, got, c.want)
		}
	}
}

// TestBackToACheckpoint: the headers go on to a checkpoint, and so does what is
// said. Where the chain contradicts one, or breaks a rule on the way from it,
// the watch says that it is blind.
func TestBackToACheckpoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		minutes time.Duration // between blocks
		height  int32         // of the checkpoint
		other   bool          // it is not on the chain
		blocks  string        // covered in the end
	}{
		{"kept", 12, 88, false, "1"},
		{"contradicted before the first block", 12, 103, true, "0"},
		{"contradicted", 12, 88, true, "1"},
		{"difficulty not changed on the way", 1, 88, false, "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ledger := chaintest.NewChain()
			began := time.Now().Add(-24 * time.Hour)
			ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * c.minutes * time.Minute) }
			ledger.MineEmpty(110)
			w := newStrict(t, ledger, ledger)
			w.outagesAfter(8*time.Second, 8*time.Second) // longer than the first round takes, which has no reason to tell yet
			hash := ledger.BlockAt(c.height).BlockHash()
			if c.other {
				hash = chaincfg.MainNetParams.GenesisBlock.BlockHash()
			}
			w.config.Network.Checkpoints = []chaincfg.Checkpoint{{Height: c.height, Hash: &hash}}
			w.start()
			if c.other || c.minutes == 1 {
				if d := w.awaitDelivered(alerts.WatchBlind, 1)[0].Data; !strings.Contains(d.Reason, "choose another start") {
					t.Errorf("watch.blind says %+v", d)
				}
				w.expect(c.blocks, `SELECT count(*) FROM btcwatch.block`)
				return
			}
			w.await("true", `SELECT rests_on LIKE '%; every header from the checkpoint at block 88 %' FROM btcwatch.start_now`)
			w.expect("2", `SELECT count(*) FROM btcwatch.start_checked`)
			w.restart()
			mineAs(ledger, easiest, 12)
			w.caughtUp(ledger)
			w.expect("2", `SELECT count(*) FROM btcwatch.start_checked`)
			w.expect(c.blocks, `SELECT count(*) - 1 FROM btcwatch.block`)
		})
	}
}

// TestRaisedByACheckpoint: one operator alone vouched for the start. A checkpoint
// far enough below it, with every header verified, is a better footing.
func TestRaisedByACheckpoint(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ledger := chaintest.NewChain()
	began := time.Now().Add(-100 * time.Hour)
	ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * 12 * time.Minute) }
	ledger.MineEmpty(260)
	w := newStrict(t, ledger)
	hash := ledger.BlockAt(88).BlockHash()
	w.config.Network.Checkpoints = []chaincfg.Checkpoint{{Height: 88, Hash: &hash}}
	w.start()
	w.covered(260)
	w.expect("false", `SELECT proves FROM btcwatch.start_now`)
	w.stop()

	// The same work without the pauses that the schedule has.
	log := slog.New(slog.DiscardHandler)
	store := must(sql.Open(ctx, w.config.DatabaseURL, w.config.Network, log))
	defer store.Close()
	lead := must(store.TakeLead(ctx))
	defer lead.Release(ctx)
	writer := store.Writer(lead, sql.Telling{Confirmations: []int32{1}}, nil)
	e := must(explorer.Open(w.config.Explorers[0], w.config.Network))
	defer e.Close()
	a := &ancestors{
		store: store, writer: writer, explorers: []*explorer.Explorer{e}, params: w.config.Network,
		health: newHealth(w.config.Health, writer, store, time.Now, log), beat: func() {}, now: time.Now, log: log,
	}
	// The daemon may have got some of the 172 headers from 88 to 259 before it
	// stopped; the rest come ten a round, to the last one.
	var held int
	if err := w.conn().QueryRow(ctx, `SELECT count(*) FROM btcwatch.ancestor`).Scan(&held); err != nil {
		t.Fatal(err)
	}
	want := (260 - 88 - held + 9) / 10
	rounds := 0
	for ; a.reached < 2 && rounds < 100; rounds++ {
		if err := a.round(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if a.reached != 2 || rounds != want {
		t.Errorf("%d goals reached in %d rounds, want 2 in %d; %d headers were held", a.reached, rounds, want, held)
	}
	w.expect("the checkpoint at block 88; every header from the checkpoint at block 88 to the first block covered (260) is verified", `SELECT rests_on FROM btcwatch.start_now`)
	w.expect("true", `SELECT proves FROM btcwatch.start_now`)
}
