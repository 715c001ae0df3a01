package daemon

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql/sqltest"
)

// rewriteBlock makes another block of the one that an explorer serves raw.
func rewriteBlock(change func(*wire.MsgBlock)) func(string, []byte) []byte {
	return func(path string, body []byte) []byte {
		var block wire.MsgBlock
		if !strings.HasSuffix(path, "/raw") || block.Deserialize(bytes.NewReader(body)) != nil {
			return body
		}
		change(&block)
		var raw bytes.Buffer
		if err := block.Serialize(&raw); err != nil {
			panic(err)
		}
		return raw.Bytes()
	}
}

// TestFalseBlocks: the explorer whose turn it is serves false blocks. The other
// one is believed, and the liar named.
func TestFalseBlocks(t *testing.T) {
	t.Parallel()
	last := func(b *wire.MsgBlock) *wire.MsgTx { return b.Transactions[len(b.Transactions)-1] }
	for name, change := range map[string]func(*wire.MsgBlock){
		"a transaction tampered with and the header sealed again": func(b *wire.MsgBlock) {
			last(b).TxOut[0].Value += 1_000_000
			chaintest.Seal(b)
		},
		"a transaction tampered with under the true header": func(b *wire.MsgBlock) { last(b).TxOut[0].Value += 1_000_000 },
		"a transaction left out":                            func(b *wire.MsgBlock) { b.Transactions = b.Transactions[:len(b.Transactions)-1] },
		"a transaction twice":                               func(b *wire.MsgBlock) { b.Transactions = append(b.Transactions, last(b)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ledger, wallet, a := newWatched(t)
			w.outagesAfter(1500*time.Millisecond, time.Minute)
			w.began(ledger) // by one
			ledger.MineEmpty(1)
			w.caughtUp(ledger) // by two: the next block is asked of one
			paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
			w.servers[0].Faults.Set("/block/**", chaintest.Fault{Rewrite: rewriteBlock(change)})
			ledger.MineMempool()
			if d := w.word(alerts.TransactionConfirmed, paid, a); *d.AmountSat != 30_000 || d.Proof != alerts.Proven {
				t.Errorf("told as %+v", d)
			}
			w.await("lying", `SELECT state FROM report.explorers WHERE name = 'one'`)
			w.expect("ok", `SELECT state FROM report.explorers WHERE name = 'two'`)
			w.await("true", `SELECT failovers > 0 AND last_error LIKE '%lying%' FROM report.explorers WHERE name = 'one'`)
			ledger.MineEmpty(2)
			w.caughtUp(ledger)
			w.await("lying", `SELECT state FROM report.explorers WHERE name = 'one'`)
			w.compare(replay(t, ledger, 109, a))
			w.clear()
			ledger.MineEmpty(2)
			w.caughtUp(ledger)
			w.await("lying", `SELECT state FROM report.explorers WHERE name = 'one'`) // in quarantine, whatever it says now
			if err := w.opened().ClearQuarantine(t.Context(), "one", "a person", "it was asked"); err != nil {
				t.Fatal(err)
			}
			w.await("ok", `SELECT state FROM report.explorers WHERE name = 'one'`)
			w.neverBlind()
			w.checkDelivered()
		})
	}
}

// copyOf is a chain of its own with the same blocks.
func copyOf(ledger *chaintest.Chain) *chaintest.Chain {
	height, _ := ledger.Tip()
	var blocks []*wire.MsgBlock
	for h := int32(0); h <= height; h++ {
		blocks = append(blocks, ledger.BlockAt(h))
	}
	other := chaintest.ChainOf(0, blocks...)
	other.Time = ledger.Time
	return other
}

// TestMinorityBranch: the explorer that is asked first stays on a branch with
// less work, and even says that it is higher. The daemon follows the work, and
// goes on following it.
func TestMinorityBranch(t *testing.T) {
	t.Parallel()
	for _, boast := range []bool{false, true} {
		t.Run(fmt.Sprint("boasting ", boast), func(t *testing.T) {
			t.Parallel()
			ledger, wallet := newLedger()
			minority := copyOf(ledger)
			w := newWorldOver(t, sqltest.Migrated(t), minority, ledger)
			w.outagesAfter(1500*time.Millisecond, time.Minute)
			a := wallet.Address(chain.P2WPKH, 1)
			w.watch(a, "label")
			w.began(ledger)

			minority.MineEmpty(2) // one's own
			w.covered(112)
			if boast {
				w.servers[0].Faults.Set("/blocks/tip/height", chaintest.Fault{Rewrite: func(string, []byte) []byte { return []byte("500") }})
			}
			paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
			ledger.MineMempool()
			ledger.MineEmpty(2)
			if d := w.word(alerts.TransactionConfirmed, paid, a); d.BlockHash != ledger.BlockAt(111).BlockHash().String() {
				t.Errorf("told as %+v", d)
			}
			w.await(ledger.BlockAt(113).BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
			ledger.MineEmpty(1)
			w.await(ledger.BlockAt(114).BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
			w.compare(replay(t, ledger, 109, a))
			w.expect("1", `SELECT count(*) FROM btcwatch.journal WHERE kind = 'reorg'`)
			if boast {
				w.await("failing", `SELECT state FROM report.explorers WHERE name = 'one'`)
				w.awaitDelivered(alerts.ExplorerFailing, 1)
			}
			w.neverBlind()
			w.checkDelivered()
		})
	}
}

// TestOverstatedTip: nobody can back the tip of a boaster with a block. It is
// named, and the watch is not blind.
func TestOverstatedTip(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.outagesAfter(1500*time.Millisecond, time.Minute)
	w.servers[0].Faults.Set("/blocks/tip/height", chaintest.Fault{Rewrite: func(string, []byte) []byte { return []byte("500") }})
	w.began(ledger)
	w.expect("109 true", `SELECT concat_ws(' ', height - 1, CASE WHEN proves THEN 'true' END) FROM btcwatch.start`)
	if d := w.awaitDelivered(alerts.ExplorerFailing, 1)[0].Data; d.Explorer != "one" {
		t.Errorf("explorer.failing says %+v", d)
	}
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, paid, a)
	w.compare(replay(t, ledger, 109, a))
	w.neverBlind()
}

// TestPaymentLeftOut: no explorer lists a payment, and a block holds it.
func TestPaymentLeftOut(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.began(ledger)
	paid := must(wallet.Build(t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: 30_000}}}))
	w.both("/address/**", chaintest.Fault{Drop: paid.TxHash().String()})
	ledger.Mine(paid)
	d := w.word(alerts.TransactionConfirmed, paid, a)
	if d.Proof != alerts.Proven || *d.AmountSat != 30_000 || d.RestsOn == "" {
		t.Errorf("told as %+v", d)
	}
	spend := must(wallet.Build(t.Context(), chaintest.Payment{Spend: outpoints(paid, a.Script), NoChange: true,
		Outputs: []chaintest.Output{{Script: wallet.Address(chain.P2TR, 9).Script, Value: 29_000}}}))
	w.both("/address/**", chaintest.Fault{Drop: spend.TxHash().String()})
	ledger.Mine(spend)
	if d := w.word(alerts.TransactionConfirmed, spend, a); d.Direction != alerts.Out || d.Severity != "high" {
		t.Errorf("the spend is told as %+v", d)
	}
	w.compare(replay(t, ledger, 109, a))
	w.expect("0", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.seen'`)
	w.checkDelivered()
}
