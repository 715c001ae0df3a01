package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
)

// opened is a store of the test's own on the world's database, as a command has.
func (w *world) opened() *sql.Store {
	w.t.Helper()
	store := must(sql.Open(w.t.Context(), w.config.DatabaseURL, w.config.Network, slog.New(slog.DiscardHandler)))
	w.t.Cleanup(store.Close)
	return store
}

// refollow does what btcwatch follow does.
func (w *world) refollow(height int32, hash chainhash.Hash) (sql.Vouched, sql.Refollow) {
	w.t.Helper()
	store := w.opened()
	v := sql.Vouched{Height: height, Hash: hash, Actor: "somebody", Reason: "compared with a node"}
	v = must(Vouch(w.t.Context(), w.config, "test", store, v, func(int) {}))
	plan := must(store.PlanRefollow(w.t.Context(), v))
	tell := sql.Telling{Confirmations: w.config.Alerts.Confirmations, Channels: w.config.Channels}
	if err := store.RefollowFrom(w.t.Context(), tell, v, plan); err != nil {
		w.t.Fatal(err)
	}
	return v, plan
}

// deepFork is an installation whose chain is reorganised from far below.
type deepFork struct {
	*world
	ledger  *chaintest.Chain
	address chain.Address
	stays   *wire.MsgTx // in block 111, which both branches have
	left    *wire.MsgTx // in block 113 of the old branch alone
	both    *wire.MsgTx // in block 114 of the old branch, and 112 of the new one
	late    *wire.MsgTx // in block 267 of the new branch, once it is mined
	wallet  *chaintest.Wallet
	oldTip  chainhash.Hash
}

// The heights of the scene: following begins at 110.
const (
	forkHeight = 111
	oldHeight  = 265 // 154 blocks above the fork
)

// newDeepFork follows the old branch to its tip.
func newDeepFork(t *testing.T) *deepFork {
	ledger, wallet := newLedger()
	d := &deepFork{world: newWorld(t, ledger), ledger: ledger, wallet: wallet, address: wallet.Address(chain.P2WPKH, 1)}
	d.impatient()
	d.config.Alerts.Confirmations = []int32{1} // else what is late is told at two depths
	d.watch(d.address, "label")
	d.began(ledger)
	d.stays, d.left, d.both = d.build(11_000), d.build(20_000), d.build(30_000)
	ledger.Mine(d.stays)
	ledger.MineEmpty(1)
	ledger.Mine(d.left)
	ledger.Mine(d.both)
	tip := ledger.MineEmpty(oldHeight - 114)
	d.oldTip = tip.BlockHash()
	d.caughtUp(ledger)
	for _, tx := range []*wire.MsgTx{d.stays, d.left, d.both} {
		d.word(alerts.TransactionConfirmed, tx, d.address)
	}
	return d
}

func (d *deepFork) build(value int64) *wire.MsgTx {
	return must(d.wallet.Build(d.t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: d.address.Script, Value: value}}}))
}

// reorganise replaces all above the fork, and waits for the page.
func (d *deepFork) reorganise() alerts.Data {
	d.t.Helper()
	d.ledger.Reorg(oldHeight-forkHeight, d.both)
	return d.awaitDelivered(alerts.ChainStuck, 1)[0].Data
}

// standsStill checks that nothing is recorded above the old tip, and that it was
// told once.
func (d *deepFork) standsStill(blocks string) {
	d.t.Helper()
	d.expect(d.oldTip.String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	d.expect(blocks, `SELECT count(*) FROM btcwatch.block`)
	d.expect("1", `SELECT count(*) FROM report.alerts WHERE type = 'chain.stuck'`)
	d.expect("0", `SELECT count(*) FROM report.alerts WHERE type = 'chain.reorged'`)
	d.expect("0", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.reorged'`)
}

// onlyProvenOnTheChain holds every proven payment against the chain.
func (d *deepFork) onlyProvenOnTheChain() {
	d.t.Helper()
	for _, line := range d.lines(`SELECT concat_ws(' ', txid, block_height, block_hash) FROM report.transactions WHERE proof = 'proven'`) {
		var txid, hash string
		var height int32
		if _, err := fmt.Sscan(line, &txid, &height, &hash); err != nil {
			d.t.Fatal(line, err)
		}
		held := false
		block := d.ledger.BlockAt(height)
		for _, tx := range block.Transactions {
			held = held || tx.TxHash().String() == txid
		}
		if block.BlockHash().String() != hash || !held {
			d.t.Errorf("proven though not on the chain: %s", line)
		}
	}
}

// TestDeepForkStopsAndPages: the chain with more work leaves ours 154 blocks
// below. Nothing is recorded of it, people are told once, and what they are told
// to type makes following go on, while the daemon runs.
func TestDeepForkStopsAndPages(t *testing.T) {
	t.Parallel()
	d := newDeepFork(t)
	blocks := d.ask(`SELECT count(*) FROM btcwatch.block`)
	told := d.reorganise()
	fork := d.ledger.BlockAt(112).BlockHash()
	want := fmt.Sprintf("btcwatch follow --from 112:%s --reason", fork)
	if told.Severity != "severe" || *told.BlockHeight != 112 || told.BlockHash != fork.String() || !strings.Contains(told.Next, want) ||
		!strings.Contains(told.Summary, "after block 111, 154 blocks below the last one covered") || len(told.Lines) != 1 {
		t.Errorf("chain.stuck says %+v", told)
	}
	d.awaitDelivered(alerts.WatchBlind, 1)
	d.ledger.MineEmpty(1)
	d.restart()
	d.servers[0].Faults.Forget()
	if err := d.servers[0].Faults.Await(t.Context(), "/blocks/tip/height", 3); err != nil {
		t.Fatal(err)
	}
	d.standsStill(blocks)

	typed := regexp.MustCompile(`--from (\d+):([0-9a-f]{64}) `).FindStringSubmatch(told.Next)
	height := must(strconv.Atoi(typed[1]))
	hash := must(chainhash.NewHashFromStr(typed[2]))
	v, plan := d.refollow(int32(height), *hash)
	if !v.Joined || v.Common != forkHeight || plan.Stays != forkHeight || plan.Gap != nil || len(plan.Payments) != 2 {
		t.Errorf("planned %+v, %+v", v, plan)
	}
	d.late = d.build(40_000)
	d.ledger.Mine(d.late)
	d.caughtUp(d.ledger)
	d.word(alerts.TransactionConfirmed, d.late, d.address)
	d.word(alerts.TransactionReorged, d.left, d.address)
	d.word(alerts.TransactionReorged, d.both, d.address)
	d.await("2", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.confirmed' AND txid = $1`, d.both.TxHash().String())
	d.compare(replay(t, d.ledger, 109, d.address))
	d.onlyProvenOnTheChain()

	went := d.awaitDelivered(alerts.ChainReorged, 1)
	if data := went[0].Data; len(went) != 1 || data.Severity != "severe" || data.Corrects != told.ID || data.Thread != told.Thread ||
		!strings.Contains(data.Summary, "On the word of somebody btcwatch follows on with block 112") || !strings.Contains(data.Summary, "2 payments are unconfirmed again") {
		t.Errorf("chain.reorged says %+v", went)
	}
	d.awaitDelivered(alerts.WatchRestored, 1)
	d.expect("", `SELECT string_agg(reason, ' ') FROM report.gaps WHERE kind = 'blocks'`)
	d.covers("110-111 112-268")
	d.expect("true", `SELECT rests_on LIKE 'the word of somebody for block 112 (compared with a node)%' AND proves FROM btcwatch.start_now`)
	d.verifies(d.stays, 111, "the agreement of")
	d.verifies(d.late, 268, "the word of somebody for block 112")

	d.checkDelivered()

	// Once more it does nothing.
	d.stop()
	before := d.ask(`SELECT concat_ws(' ', epoch, (SELECT count(*) FROM btcwatch.journal), (SELECT count(*) FROM btcwatch.start)) FROM btcwatch.position`)
	store := d.opened()
	if again := must(store.PlanRefollow(t.Context(), v)); !again.Followed {
		t.Errorf("again: %+v", again)
	}
	if err := store.RefollowFrom(t.Context(), sql.Telling{}, v, plan); err != nil {
		t.Error(err)
	}
	d.expect(before, `SELECT concat_ws(' ', epoch, (SELECT count(*) FROM btcwatch.journal), (SELECT count(*) FROM btcwatch.start)) FROM btcwatch.position`)
}

// covers compares the heights that are covered by blocks, by start.
func (d *deepFork) covers(want string) {
	d.t.Helper()
	d.await(want, `SELECT string_agg(concat(from_height, '-', to_height), ' ' ORDER BY from_height) FROM report.coverage WHERE how = 'followed by blocks'`)
}

// verifies checks the evidence of a payment, and what it says that it rests on.
func (d *deepFork) verifies(tx *wire.MsgTx, height int32, restsOn string) {
	d.t.Helper()
	e := must(d.opened().Evidence(d.t.Context(), tx.TxHash()))
	v, err := e.Verify()
	if err != nil {
		d.t.Errorf("evidence of %s: %v", tx.TxHash(), err)
		return
	}
	if v.Block == nil || v.Block.Height != height || v.Block.Chain.Start == nil || !strings.HasPrefix(v.Block.Chain.Start.RestsOn, restsOn) {
		d.t.Errorf("evidence of block %d says %+v", height, v.Block)
	}
}

// TestFollowedAboveTheFork: the daemon is stopped, and following goes on far
// above the fork. What lies between is a gap, and nothing in it is proven.
func TestFollowedAboveTheFork(t *testing.T) {
	t.Parallel()
	d := newDeepFork(t)
	d.reorganise()
	d.stop()
	hash := d.ledger.BlockAt(200).BlockHash()
	v, plan := d.refollow(200, hash)
	if !v.Joined || v.Common != forkHeight || plan.Gap == nil || *plan.Gap != (sql.BlockRange{From: 112, To: 199}) || len(plan.Payments) != 2 {
		t.Errorf("planned %+v, %+v", v, plan)
	}
	d.expect("199", `SELECT height FROM btcwatch.position`)
	d.expect("0", `SELECT count(*) FROM btcwatch.chain_now WHERE height > 111`)
	d.expect("0", `SELECT count(*) FROM report.transactions WHERE proof = 'proven' AND block_height IS DISTINCT FROM 111`)
	d.covers("110-111")
	d.late = d.build(40_000)
	d.ledger.Mine(d.late)
	d.start()
	d.caughtUp(d.ledger)
	d.word(alerts.TransactionConfirmed, d.late, d.address)
	d.expect(hash.String(), `SELECT btcwatch.display(b.hash) FROM btcwatch.chain_now n JOIN btcwatch.block b ON b.id = n.block_id WHERE n.height = 200`)
	d.await("confirmed reported 112", `SELECT concat_ws(' ', state, proof, block_height) FROM report.transactions WHERE txid = $1`, d.both.TxHash().String())
	d.await("unconfirmed reported", `SELECT concat_ws(' ', state, proof) FROM report.transactions WHERE txid = $1`, d.left.TxHash().String())
	d.expect("confirmed proven 111", `SELECT concat_ws(' ', state, proof, block_height) FROM report.transactions WHERE txid = $1`, d.stays.TxHash().String())
	d.expect("confirmed proven 267", `SELECT concat_ws(' ', state, proof, block_height) FROM report.transactions WHERE txid = $1`, d.late.TxHash().String())
	d.onlyProvenOnTheChain()
	d.covers("110-111 200-267")
	d.expect("112 199", `SELECT concat_ws(' ', from_height, to_height) FROM report.gaps WHERE kind = 'blocks'`)
	d.expect("true", `SELECT reason LIKE 'somebody made following go on with block 200: compared with a node%' FROM report.gaps WHERE kind = 'blocks'`)
	d.await("189 199", `SELECT concat_ws(' ', min(height), max(height)) FROM btcwatch.ancestor WHERE start_id = (SELECT id FROM btcwatch.start_begun) AND height >= 189`)
	d.await("true", `SELECT rests_on LIKE '%; the headers from block 189 to the first block covered (200) are linked%' FROM btcwatch.start_now`)
	d.verifies(d.stays, 111, "the agreement of")
	d.verifies(d.late, 267, "the word of somebody for block 200")
	told := d.awaitDelivered(alerts.ChainReorged, 1)[0].Data
	if !strings.Contains(told.Summary, "blocks 112 to 199 are not covered") {
		t.Errorf("chain.reorged says %+v", told)
	}
	d.checkDelivered()

	// And from the fork after all: the gap closes.
	d.refollow(112, d.ledger.BlockAt(112).BlockHash())
	d.caughtUp(d.ledger)
	d.covers("110-111 112-267")
	d.expect("", `SELECT string_agg(reason, ' ') FROM report.gaps WHERE kind = 'blocks'`)
	d.await("confirmed proven 112", `SELECT concat_ws(' ', state, proof, block_height) FROM report.transactions WHERE txid = $1`, d.both.TxHash().String())
	d.compare(replay(t, d.ledger, 109, d.address))
	d.onlyProvenOnTheChain()
	d.verifies(d.late, 267, "the word of somebody for block 112")
	d.checkDelivered()
}

// TestDeepForkWithoutHeaders: nobody serves headers alone, so that its work
// cannot be added up; nobody shows the chain followed either.
func TestDeepForkWithoutHeaders(t *testing.T) {
	t.Parallel()
	d := newDeepFork(t)
	blocks := d.ask(`SELECT count(*) FROM btcwatch.block`)
	d.world.both("/blocks/*", chaintest.Fault{Status: 404})
	d.world.both("/block/*/header", chaintest.Fault{Status: 404})
	told := d.reorganise()
	if !strings.Contains(told.Summary, "whose headers nobody serves, and nobody shows the one followed") || *told.BlockHeight != 112 {
		t.Errorf("chain.stuck says %+v", told)
	}
	d.standsStill(blocks)
	v, plan := d.refollow(115, d.ledger.BlockAt(115).BlockHash())
	if !v.Joined || v.Common != forkHeight || *plan.Gap != (sql.BlockRange{From: 112, To: 114}) {
		t.Errorf("planned %+v, %+v", v, plan)
	}
	d.caughtUp(d.ledger)
	d.onlyProvenOnTheChain()
	d.covers("110-111 115-266")
}

// TestDeepForkIsJudgedByWork: one explorer of two shows a chain that leaves ours
// too far below. With less work it stops nothing; with more it does, though the
// other one shows ours; and when it is not asked any more, following goes on.
func TestDeepForkIsJudgedByWork(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	ledger.MineEmpty(1)
	other := copyOf(ledger)
	w := newWorldOver(t, sqltest.Migrated(t), ledger, other)
	w.impatient()
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.began(ledger)
	ledger.MineEmpty(oldHeight - forkHeight)
	w.caughtUp(ledger)
	other.MineEmpty(100) // 154 blocks below, and 54 less
	judged := func() {
		w.servers[1].Faults.Forget()
		if err := w.servers[1].Faults.Await(t.Context(), "/blocks/tip/height", 3); err != nil {
			t.Fatal(err)
		}
	}
	judged()
	ledger.MineEmpty(1)
	w.caughtUp(ledger)
	w.expect("0", `SELECT count(*) FROM report.alerts WHERE type = 'chain.stuck'`)

	other.MineEmpty(80)
	told := w.awaitDelivered(alerts.ChainStuck, 1)[0].Data
	if told.Explorer != "two" || told.BlockHash != other.BlockAt(112).BlockHash().String() || !strings.Contains(told.Lines[0], ledger.BlockAt(112).BlockHash().String()) {
		t.Errorf("chain.stuck says %+v", told)
	}
	ledger.MineEmpty(1)
	judged()
	w.expect("266", `SELECT height FROM btcwatch.position`)
	w.servers[1].Faults.SetDown(true) // silence ends nothing
	w.servers[0].Faults.Forget()
	if err := w.servers[0].Faults.Await(t.Context(), "/blocks/tip/height", 3); err != nil {
		t.Fatal(err)
	}
	w.expect("266", `SELECT height FROM btcwatch.position`)
	w.stop()
	w.config.Explorers = w.config.Explorers[:1]
	w.start()
	w.covered(267)
	var over alerts.Data
	for _, b := range w.awaitDelivered(alerts.WatchRestored, 1) {
		if b.Data.Kind == "chain" {
			over = b.Data
		}
	}
	if over.Corrects != told.ID || over.Thread != told.Thread {
		t.Errorf("watch.restored says %+v", over)
	}
	w.expect("1", `SELECT count(*) FROM report.alerts WHERE type = 'chain.stuck'`)
	w.expect("0", `SELECT count(*) FROM report.alerts WHERE type = 'chain.reorged'`)
}

// TestVouchedBlocks: what cannot be followed is refused, each with its reason,
// and nothing changes.
func TestVouchedBlocks(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.began(ledger)
	w.stop()
	stray := ledger.MineOn(ledger.BlockAt(105).BlockHash())
	store := w.opened()
	vouch := func(height int32, hash chainhash.Hash) error {
		_, err := Vouch(t.Context(), w.config, "test", store, sql.Vouched{Height: height, Hash: hash}, func(int) {})
		return err
	}
	for name, err := range map[string]error{
		"another height":            vouch(109, ledger.BlockAt(108).BlockHash()),
		"above the tip":             vouch(400, ledger.BlockAt(108).BlockHash()),
		"a block nobody shows":      vouch(106, stray.BlockHash()),
		"a block that there is not": vouch(108, chainhash.Hash{1}),
	} {
		if !errors.Is(err, ErrNotShown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.both("/block/*/raw", chaintest.Fault{Rewrite: rewriteBlock(func(b *wire.MsgBlock) { b.Transactions[0].TxOut[0].Value++ })})
	if err := vouch(108, ledger.BlockAt(108).BlockHash()); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("a false block: %v", err)
	}
	w.clear()
	falsely := chaintest.Fault{Rewrite: rewriteBlock(func(b *wire.MsgBlock) { b.Transactions[0].TxOut[0].Value++ })}
	for _, server := range w.servers {
		server.Faults.Set("/block/*/raw", falsely)
		if err := vouch(108, ledger.BlockAt(108).BlockHash()); err != nil {
			t.Errorf("a false block of one explorer, and a sound one of another: %v", err)
		}
		w.clear()
	}
	w.servers[0].Faults.Set("/block/*/raw", falsely)
	w.servers[1].Faults.Set("/block/*/raw", chaintest.Fault{Status: 503})
	if err := vouch(108, ledger.BlockAt(108).BlockHash()); !errors.Is(err, chain.ErrFalseBlock) || !strings.Contains(err.Error(), "one") {
		t.Errorf("a false block, and no other: %v", err)
	}
	w.clear()
	w.both("/**", chaintest.Fault{Status: 503})
	if err := vouch(108, ledger.BlockAt(108).BlockHash()); err == nil {
		t.Error("taken though nobody answers")
	}
}

// TestVouchedBlockLeaves: nobody shows the block any more that the configuration
// vouches for. Following stops, not far below as the fork may lie; another word
// makes it go on from below where it began.
func TestVouchedBlockLeaves(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	w.config.Alerts.Confirmations = []int32{1}
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	pin := ledger.BlockAt(109).BlockHash()
	w.config.Start = Start{Height: 109, Hash: &pin}
	w.began(ledger)
	paid := must(wallet.Build(t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: 30_000}}}))
	ledger.Mine(paid)
	ledger.MineEmpty(1)
	w.caughtUp(ledger)
	first := w.word(alerts.TransactionConfirmed, paid, a)

	ledger.Reorg(7, paid)
	told := w.awaitDelivered(alerts.ChainStuck, 1)[0].Data
	if *told.BlockHeight != 106 || told.BlockHash != ledger.BlockAt(106).BlockHash().String() || !strings.Contains(told.Summary, "without block 109 that a person vouched for") {
		t.Errorf("chain.stuck says %+v", told)
	}
	v, plan := w.refollow(106, ledger.BlockAt(106).BlockHash())
	if !v.Joined || v.Common != 105 || plan.Gap != nil || plan.First != 109 || len(plan.Payments) != 1 {
		t.Errorf("planned %+v, %+v", v, plan)
	}
	w.caughtUp(ledger)
	if d := w.word(alerts.TransactionReorged, paid, a); d.Corrects != first.ID {
		t.Errorf("transaction.reorged says %+v", d)
	}
	w.await("confirmed proven 106", `SELECT concat_ws(' ', state, proof, block_height) FROM report.transactions`)
	w.expect("2", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.confirmed'`)
	w.expect("106 113", `SELECT concat_ws(' ', min(height), max(height)) FROM btcwatch.chain_now`)
	if told := w.awaitDelivered(alerts.ChainReorged, 1)[0].Data; !strings.Contains(strings.Join(told.Lines, " "), "Nothing of what was covered before stays") {
		t.Errorf("chain.reorged says %+v", told)
	}
	w.checkDelivered()
}
