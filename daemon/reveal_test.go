package daemon

import (
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// spendOld pays an address before the watch, begins the watch, and spends the
// money in a block, of which no explorer says what it spends.
func spendOld(t *testing.T, kind chain.Kind, prepare func(*world)) (*world, *wire.MsgTx) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	from := wallet.Address(kind, 3)
	w.watch(from, "an old address")
	old := must(wallet.Pay(t.Context(), chaintest.Output{Script: from.Script, Value: 60_000}))
	ledger.MineMempool()
	ledger.MineEmpty(1)
	prepare(w)
	w.start()
	w.caughtUp(ledger)
	spend := must(wallet.Build(t.Context(), chaintest.Payment{
		Outputs: []chaintest.Output{{Script: wallet.Address(chain.P2TR, 9).Script, Value: 20_000}},
		Spend:   outpoints(old, from.Script), Fee: 1_000,
	}))
	ledger.Mine(spend)
	return w, spend
}

// A spend from a confidential address, which no explorer is ever asked about,
// is seen by the key or script that it reveals; what it spent is not known, and
// no byte of the address has left the machine.
func TestConfidentialSpendsAreSeen(t *testing.T) {
	for _, kind := range []chain.Kind{chain.P2PKH, chain.P2SH, chain.P2WPKH, chain.P2WSH} {
		t.Run(string(kind), func(t *testing.T) {
			w, spend := spendOld(t, kind, func(w *world) { w.config.Watch[0].Confidential = true })
			told := w.awaitDelivered(alerts.TransactionConfirmed, 1)[0].Data
			if told.TxID != spend.TxHash().String() || told.Direction != alerts.Out || told.AmountSat != nil || !told.Revealed ||
				told.Proof != alerts.Reported || told.Severity != "high" || told.BalanceSat != nil {
				t.Errorf("the spend says %+v", told)
			}
			w.expect("", `SELECT balance_sat FROM report.balances`)
			w.expect("out reported", `SELECT concat_ws(' ', direction, proof, amount_sat) FROM report.transactions`)
			for _, s := range w.servers {
				for _, path := range s.Faults.Requests() {
					if strings.Contains(path, told.Address) || strings.Contains(path, "/tx/") || strings.Contains(path, "/address/") {
						t.Errorf("an explorer was asked for %s", path)
					}
				}
			}
		})
	}
}

// What a spend revealed is completed when the past of the address can be read:
// the amount is known then, and the balance.
func TestRevealedSpendsAreCompleted(t *testing.T) {
	w, spend := spendOld(t, chain.P2WPKH, func(w *world) {
		for _, s := range w.servers {
			s.Faults.Set("/address/**", chaintest.Fault{Status: 503})
			s.Faults.Set("/tx/**", chaintest.Fault{Status: 503})
		}
	})
	told := w.awaitDelivered(alerts.TransactionConfirmed, 1)[0].Data
	if told.TxID != spend.TxHash().String() || !told.Revealed || told.AmountSat != nil {
		t.Errorf("the spend says %+v", told)
	}
	for _, s := range w.servers {
		s.Faults.ClearAll()
	}
	w.await("0", `SELECT balance_sat FROM report.balances`)
	w.expect("60000", `SELECT sent_sat FROM report.balances`)
	w.expect("60000", `SELECT amount_sat FROM report.transactions WHERE txid = $1`, spend.TxHash().String())
	w.expect("2", `SELECT count(*) FROM report.movements`)
}

// Nobody is asked about the past of a confidential address, so nothing may be
// said of it: not known is not none.
func TestAPastThatNobodyWasAskedForIsNotNone(t *testing.T) {
	w, _ := spendOld(t, chain.P2WPKH, func(w *world) { w.config.Watch[0].Confidential = true })
	told := w.awaitDelivered(alerts.ListChanged, 1)[0].Data
	if told.List.HistoryUnasked != 1 || told.List.HistoricReceivedSat != nil || strings.Contains(strings.Join(told.Lines, "\n"), "no payments") {
		t.Errorf("list.changed says %+v, %q", told.List, told.Lines)
	}
}
