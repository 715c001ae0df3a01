package daemon

import (
	"context"
	"fmt"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// TestPaymentsAreWatched is the main job on a chain of our own making: history
// from before, a payment unconfirmed and confirmed, dust, a spend, deeper
// confirmations, each told once and by what the chain says.
func TestPaymentsAreWatched(t *testing.T) {
	ctx := context.Background()
	ledger := chaintest.NewChain()
	began := time.Now().Add(-24 * time.Hour)
	ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * time.Minute) }
	ledger.CoinbaseScript = chaintest.MiningAddress("").Script
	ledger.MineEmpty(110)
	wallet := chaintest.NewWallet(ledger, "")
	w := newWorld(t, ledger)
	watched := wallet.Address(chain.P2WPKH, 1)
	w.watch(watched, "address one")

	old, err := wallet.Pay(ctx, chaintest.Output{Script: watched.Script, Value: 70_000})
	if err != nil {
		t.Fatal(err)
	}
	ledger.MineMempool()
	ledger.MineEmpty(2)
	height, _ := ledger.Tip()

	w.start()
	w.covered(height)
	change := w.awaitDelivered(alerts.ListChanged, 1)
	if c := change[0].Data.List; c == nil || c.Added.Count != 1 || c.HistoricPayments != 1 {
		t.Errorf("list.changed says %+v", c)
	}
	w.expect("70000", `SELECT balance_sat FROM report.balances`)
	w.expect("true", `SELECT historic FROM report.transactions WHERE txid = $1`, old.TxHash().String())
	w.expect("proven", `SELECT CASE WHEN proves THEN 'proven' END FROM btcwatch.start`)

	paid, err := wallet.Pay(ctx, chaintest.Output{Script: watched.Script, Value: 30_000})
	if err != nil {
		t.Fatal(err)
	}
	seen := w.awaitDelivered(alerts.TransactionSeen, 1)[0].Data
	if seen.TxID != paid.TxHash().String() || *seen.AmountSat != 30_000 || seen.Direction != alerts.In ||
		seen.State != alerts.Unconfirmed || seen.Proof != alerts.Reported || seen.Severity != "medium" || *seen.BalanceSat != 70_000 {
		t.Errorf("transaction.seen says %+v", seen)
	}

	block := ledger.MineMempool()
	confirmed := w.awaitDelivered(alerts.TransactionConfirmed, 1)[0].Data
	if confirmed.TxID != seen.TxID || confirmed.Proof != alerts.Proven || *confirmed.Confirmations != 1 ||
		confirmed.BlockHash != block.BlockHash().String() || *confirmed.BalanceSat != 100_000 || confirmed.Thread != seen.Thread {
		t.Errorf("transaction.confirmed says %+v", confirmed)
	}
	if len(confirmed.Counterparties) == 0 {
		t.Error("the alert does not say who paid")
	}

	dust, err := wallet.Pay(ctx, chaintest.Output{Script: watched.Script, Value: 999})
	if err != nil {
		t.Fatal(err)
	}
	w.await("1", `SELECT count(*) FROM report.alerts WHERE txid = $1 AND quiet`, dust.TxHash().String())

	ledger.MineMempool()
	spend, err := wallet.Send(ctx, chaintest.Payment{
		Outputs: []chaintest.Output{{Script: wallet.Address(chain.P2TR, 9).Script, Value: 20_000}},
		Spend:   outpoints(paid, watched.Script), Fee: 1_000, Change: watched.Script,
	})
	if err != nil {
		t.Fatal(err)
	}
	out := w.awaitDelivered(alerts.TransactionSeen, 2)[1].Data
	if out.TxID != spend.TxHash().String() || out.Direction != alerts.Out || *out.AmountSat != 21_000 || out.Severity != "high" || *out.FeeSat != 1_000 {
		t.Errorf("the spend says %+v", out)
	}
	ledger.MineMempool()
	ledger.MineEmpty(5)
	height, _ = ledger.Tip()
	w.covered(height)
	w.expect("79999", `SELECT balance_sat FROM report.balances`)
	w.expect("4", `SELECT count(*) FROM report.transactions`)
	w.expect("2", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.confirmed' AND quiet AND severity <> 'info'`)
	w.awaitDelivered(alerts.TransactionConfirmed, 2)
	w.expect("0", `SELECT count(*) FROM report.deliveries WHERE state <> 'delivered'`)
	w.stop()
	if n := len(w.delivered()); n != 5 {
		t.Errorf("%d alerts delivered, want 5: one list change, two seen, two confirmed", n)
	}
	fmt.Fprintln(t.Output(), w.log.String())
}
