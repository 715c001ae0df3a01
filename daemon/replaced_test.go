package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// rivalry is a watch over one address while payments to it are replaced.
type rivalry struct {
	*world
	ledger  *chaintest.Chain
	wallet  *chaintest.Wallet
	watched chain.Address
}

func newRivalry(t *testing.T) *rivalry {
	t.Parallel()
	ledger := chaintest.NewChain()
	began := time.Now().Add(-24 * time.Hour)
	ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * time.Minute) }
	ledger.CoinbaseScript = chaintest.MiningAddress("").Script
	ledger.MineEmpty(130)
	r := &rivalry{world: newWorld(t, ledger), ledger: ledger, wallet: chaintest.NewWallet(ledger, "")}
	r.watched = r.wallet.Address(chain.P2WPKH, 1)
	r.watch(r.watched, "address one")
	r.config.Alerts.DroppedAfter = 4 * time.Second
	r.start()
	r.awaitDelivered(alerts.ListChanged, 1)
	return r
}

func (r *rivalry) pay(value int64) *wire.MsgTx {
	r.t.Helper()
	tx, err := r.wallet.Pay(context.Background(), chaintest.Output{Script: r.watched.Script, Value: value})
	if err != nil {
		r.t.Fatal(err)
	}
	return tx
}

// replace lets another transaction take the money of one; of no value it pays
// the address nothing.
func (r *rivalry) replace(old *wire.MsgTx, value int64) *wire.MsgTx {
	r.t.Helper()
	var outputs []chaintest.Output
	if value > 0 {
		outputs = append(outputs, chaintest.Output{Script: r.watched.Script, Value: value})
	}
	tx, err := r.wallet.Replace(context.Background(), old, outputs...)
	if err != nil {
		r.t.Fatal(err)
	}
	return tx
}

func (r *rivalry) state(tx *wire.MsgTx, want string) {
	r.t.Helper()
	r.await(want, `SELECT state FROM report.transactions WHERE txid = $1`, tx.TxHash().String())
}

// A fee that is raised, however often, is no news: the payment is told once,
// and once more when a replacement of it is confirmed, in one thread.
func TestRaisedFeesAreOneMessage(t *testing.T) {
	r := newRivalry(t)
	first := r.pay(50_000)
	seen := r.awaitDelivered(alerts.TransactionSeen, 1)[0].Data
	last := first
	for range 10 {
		next := r.replace(last, 50_000)
		r.state(next, "unconfirmed")
		r.state(last, "replaced")
		last = next
	}
	r.await("50000", `SELECT unconfirmed_sat FROM report.balances`)
	r.ledger.MineMempool()
	confirmed := r.awaitDelivered(alerts.TransactionConfirmed, 1)[0].Data
	if confirmed.TxID != last.TxHash().String() || confirmed.Thread != seen.Thread || *confirmed.AmountSat != 50_000 {
		t.Errorf("confirmed says %+v, in the thread %s of %s", confirmed, seen.Thread, seen.TxID)
	}
	r.expect("10", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.replaced' AND quiet`)
	r.expect("50000", `SELECT balance_sat FROM report.balances`)
	r.expect("0", `SELECT unconfirmed_sat FROM report.balances`)
	if n := len(r.delivered()); n != 3 {
		t.Errorf("%d messages, want 3: the list, the payment, its confirmation", n)
	}
}

// A replacement that pays another amount is told, as the correction of what was
// told before.
func TestAnotherAmountIsTold(t *testing.T) {
	r := newRivalry(t)
	first := r.pay(50_000)
	seen := r.awaitDelivered(alerts.TransactionSeen, 1)[0].Data
	second := r.replace(first, 40_000)
	told := r.awaitDelivered(alerts.TransactionReplaced, 1)[0].Data
	if told.TxID != first.TxHash().String() || told.ReplacedBy != second.TxHash().String() || told.Corrects != seen.ID ||
		told.Thread != seen.Thread || told.State != alerts.Replaced || told.Severity != seen.Severity {
		t.Errorf("transaction.replaced says %+v", told)
	}
	r.await("40000", `SELECT unconfirmed_sat FROM report.balances`)
	r.expect("1", `SELECT count(*) FROM report.movements`)
}

// Money that is sent elsewhere instead leaves the address's history without a
// word: the payment is asked after by itself.
func TestADoubleSpendAwayIsTold(t *testing.T) {
	r := newRivalry(t)
	first := r.pay(50_000)
	r.awaitDelivered(alerts.TransactionSeen, 1)
	away := r.replace(first, 0)
	told := r.awaitDelivered(alerts.TransactionReplaced, 1)[0].Data
	if told.TxID != first.TxHash().String() || told.ReplacedBy != away.TxHash().String() {
		t.Errorf("transaction.replaced says %+v", told)
	}
	r.await("0", `SELECT unconfirmed_sat FROM report.balances`)
	r.ledger.MineMempool()
	height, _ := r.ledger.Tip()
	r.covered(height)
	r.expect("0", `SELECT count(*) FROM report.movements`)
	r.expect("in 50000 replaced", `SELECT concat_ws(' ', direction, amount_sat, state) FROM report.transactions`)
}

// A block that spends the money elsewhere is proof enough, though no explorer
// said a word.
func TestABlockRulesAPaymentOut(t *testing.T) {
	r := newRivalry(t)
	r.config.Alerts.DroppedAfter = 24 * time.Hour // nobody is asked after it
	r.restart()
	first := r.pay(50_000)
	r.awaitDelivered(alerts.TransactionSeen, 1)
	for _, s := range r.servers {
		s.Faults.Set("/tx/**", chaintest.Fault{Status: 503})
	}
	away := r.replace(first, 0)
	r.ledger.Mine(away)
	told := r.awaitDelivered(alerts.TransactionReplaced, 1)[0].Data
	if told.ReplacedBy != away.TxHash().String() {
		t.Errorf("transaction.replaced says %+v", told)
	}
}

// What no explorer knows any more is told as dropped, not at once; and when it
// comes back that is told too.
func TestADroppedPaymentIsToldAndMayComeBack(t *testing.T) {
	r := newRivalry(t)
	first := r.pay(50_000)
	r.awaitDelivered(alerts.TransactionSeen, 1)
	r.ledger.DropMempool(first.TxHash())
	dropped := r.awaitDelivered(alerts.TransactionDropped, 1)[0].Data
	if dropped.TxID != first.TxHash().String() || dropped.State != alerts.Dropped || dropped.Since == nil {
		t.Errorf("transaction.dropped says %+v", dropped)
	}
	r.expect("0", `SELECT unconfirmed_sat FROM report.balances`)
	r.ledger.AddMempool(first)
	again := r.awaitDelivered(alerts.TransactionSeen, 2)[1].Data
	if again.TxID != dropped.TxID || again.Corrects != dropped.ID || again.Thread != dropped.Thread {
		t.Errorf("coming back says %+v", again)
	}
	r.ledger.MineMempool()
	r.awaitDelivered(alerts.TransactionConfirmed, 1)
	r.expect("50000", `SELECT balance_sat FROM report.balances`)
}

// While an explorer cannot say, nothing is called dropped.
func TestSilenceIsNotADrop(t *testing.T) {
	r := newRivalry(t)
	first := r.pay(50_000)
	r.awaitDelivered(alerts.TransactionSeen, 1)
	r.servers[1].Faults.Set("/tx/**", chaintest.Fault{Status: 503})
	r.ledger.DropMempool(first.TxHash())
	asked := r.servers[0].Faults.Count("/tx/" + first.TxHash().String())
	deadline := time.Now().Add(30 * time.Second)
	for r.servers[0].Faults.Count("/tx/"+first.TxHash().String()) < asked+5 {
		if time.Now().After(deadline) {
			t.Fatal("nobody is asked after the payment")
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.expect("unconfirmed", `SELECT state FROM report.transactions`)
}
