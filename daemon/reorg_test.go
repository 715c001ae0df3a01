package daemon

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// TestReorganised: the blocks that held payments leave the chain. What was told
// is corrected, what stands is right, and the payment that is confirmed
// elsewhere is told so in the same thread.
func TestReorganised(t *testing.T) {
	t.Parallel()
	for _, depth := range []int32{1, 3, 7} {
		deep := map[int32]string{1: "0", 3: "1 medium", 7: "1 severe"}[depth]
		t.Run(fmt.Sprint(depth, " deep"), func(t *testing.T) {
			t.Parallel()
			w, ledger, wallet, a := newWatched(t)
			w.began(ledger)
			stays := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 11_000}))
			ledger.MineMempool()
			w.word(alerts.TransactionConfirmed, stays, a)
			var left []*wire.MsgTx
			for i := range depth {
				tx := must(wallet.Send(t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: 30_000 + int64(i)}}}))
				left = append(left, tx)
				ledger.Mine(tx)
			}
			last := left[depth-1]
			first := w.word(alerts.TransactionConfirmed, last, a)
			spend := must(wallet.Send(t.Context(), chaintest.Payment{Spend: outpoints(stays, a.Script),
				Outputs: []chaintest.Output{{Script: wallet.Address(chain.P2TR, 9).Script, Value: 10_000}}, NoChange: true}))
			w.word(alerts.TransactionSeen, spend, a)

			ledger.Reorg(depth) // the new blocks hold none of them
			for i, tx := range left {
				d := w.word(alerts.TransactionReorged, tx, a)
				told := w.word(alerts.TransactionConfirmed, tx, a)
				if d.Corrects != told.ID || d.Thread != told.Thread || d.State != alerts.Unconfirmed || *d.AmountSat != 30_000+int64(i) ||
					d.BlockHash != told.BlockHash || d.Severity != told.Severity {
					t.Errorf("transaction.reorged says %+v of %+v", d, told)
				}
			}
			w.caughtUp(ledger)
			w.await("11000", `SELECT balance_sat FROM report.balances`)
			w.compare(replay(t, ledger, 109, a))

			block := ledger.Mine(append(left, spend)...)
			w.agrees(ledger, a)
			var again alerts.Data
			for _, b := range w.awaitDelivered(alerts.TransactionConfirmed, 2*int(depth)+2) {
				if b.Data.TxID == last.TxHash().String() {
					again = b.Data
				}
			}
			if again.ID == first.ID || again.Thread != first.Thread || again.BlockHash != block.BlockHash().String() {
				t.Errorf("confirmed again is told as %+v", again)
			}
			w.expect(fmt.Sprint(depth), `SELECT count(*) FROM report.alerts WHERE type = 'transaction.reorged'`)
			w.expect(deep, `SELECT concat_ws(' ', count(*), max(severity)) FROM report.alerts WHERE type = 'chain.reorged'`)
			w.expect("false", `SELECT bool_or(on_chain) FROM (
				SELECT DISTINCT ON (block_id) block_id, on_chain FROM btcwatch.block_event ORDER BY block_id, id DESC) e
				JOIN btcwatch.block b ON b.id = e.block_id WHERE b.hash NOT IN (SELECT hash FROM btcwatch.block JOIN btcwatch.chain_now ON block_id = id)`)
			w.checkDelivered()
		})
	}
}

// TestConfirmedElsewhereAtOnce: the new branch holds the payment too.
func TestConfirmedElsewhereAtOnce(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.began(ledger)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	first := w.word(alerts.TransactionConfirmed, paid, a)
	ledger.Reorg(1, paid)
	if d := w.word(alerts.TransactionReorged, paid, a); d.Corrects != first.ID {
		t.Errorf("transaction.reorged says %+v", d)
	}
	again := w.awaitDelivered(alerts.TransactionConfirmed, 2)[1].Data
	if again.BlockHash == first.BlockHash || again.Thread != first.Thread || *again.BalanceSat != 30_000 {
		t.Errorf("confirmed elsewhere is told as %+v", again)
	}
	w.agrees(ledger, a)
	w.checkDelivered()
}

// TestCoinbaseReorganised: a coinbase cannot stand in another block. It is
// dropped for good.
func TestCoinbaseReorganised(t *testing.T) {
	t.Parallel()
	w, ledger, _, a := newWatched(t)
	w.began(ledger)
	paying := copyOf(ledger)
	paying.CoinbaseScript = a.Script
	block := paying.MineEmpty(1)
	ledger.Add(block)
	coinbase := block.Transactions[0]
	told := w.word(alerts.TransactionConfirmed, coinbase, a)
	ledger.Reorg(1)
	if d := w.word(alerts.TransactionReorged, coinbase, a); d.Corrects != told.ID || d.State != alerts.Dropped {
		t.Errorf("transaction.reorged says %+v", d)
	}
	w.caughtUp(ledger)
	w.expect("dropped", `SELECT state FROM report.transactions`)
	w.expect("0 0 0 0", `SELECT concat_ws(' ', balance_sat, received_sat, unconfirmed_sat, tx_count) FROM report.balances`)
	w.compare(replay(t, ledger, 109, a))

	ledger.Switch(block.BlockHash()) // the first branch wins after all
	ledger.MineEmpty(2)
	w.agrees(ledger, a)
	w.awaitDelivered(alerts.TransactionConfirmed, 2)
	w.checkDelivered()
}

// TestLaggingExplorer: an explorer that stays on the branch that was left says
// that the payment is confirmed there. The blocks know better.
func TestLaggingExplorer(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a := newWatched(t)
	w.config.Schedule.History = "@every 1s"
	w.began(ledger)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, paid, a)
	w.servers[0].Freeze()
	ledger.Reorg(1)
	w.word(alerts.TransactionReorged, paid, a)
	w.servers[1].Faults.Set("/address/**", chaintest.Fault{Status: http.StatusBadGateway})
	read := w.servers[0].Faults
	if err := read.Await(t.Context(), "/address/*/txs/chain", read.Count("/address/*/txs/chain")+3); err != nil {
		t.Fatal(err)
	}
	w.agrees(ledger, a)
	ledger.MineMempool()
	w.caughtUp(ledger)
	w.awaitDelivered(alerts.TransactionConfirmed, 2)
	w.compare(replay(t, ledger, 109, a))
	w.expect("2", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.confirmed'`)
	w.checkDelivered()
}
