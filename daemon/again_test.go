package daemon

import (
	"errors"
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// TestReorgBelowTheStart: the chain is reorganised from below the block that
// following began with. Following begins there again, and misses nothing.
func TestReorgBelowTheStart(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	w := newWorld(t, ledger)
	a := wallet.Address(chain.P2WPKH, 1)
	w.watch(a, "label")
	w.config.Health.BlindAfter = 3 * time.Second // how long headers from before the start are waited for
	for _, s := range w.servers {                // with them the fork would be found below the start
		s.Faults.Set("/blocks/*", chaintest.Fault{Status: 503})
		s.Faults.Set("/block/*/header", chaintest.Fault{Status: 503})
	}
	w.began(ledger)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	ledger.MineMempool()
	w.word(alerts.TransactionConfirmed, paid, a)

	ledger.Reorg(4)
	w.awaitDelivered(alerts.TransactionReorged, 1)
	ledger.Mine(paid)
	ledger.MineEmpty(1)
	w.await(ledger.BlockAt(114).BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.await("2", `SELECT count(*) FROM report.alerts WHERE type = 'transaction.confirmed' AND txid = $1`, paid.TxHash().String())
	w.expect("2", `SELECT count(*) FROM btcwatch.start WHERE height = 110 AND proves`)
	w.expect("109", `SELECT to_height FROM report.gaps WHERE kind = 'blocks'`)
	if told := w.awaitDelivered(alerts.ChainReorged, 1); len(told) != 1 || told[0].Data.Severity != "medium" ||
		!strings.Contains(told[0].Data.Summary, "from below block 110, with which following began: it begins there again, and 2 blocks have left the chain") {
		t.Errorf("chain.reorged says %+v", told)
	}
	w.expect("110-114", `SELECT string_agg(concat(from_height, '-', to_height), ' ') FROM report.coverage WHERE how = 'followed by blocks'`)
	w.compare(replay(t, ledger, 109, a))

	ledger.Reorg(2) // above the new start it is one like any other
	w.await(ledger.BlockAt(115).BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.expect("2", `SELECT count(*) FROM btcwatch.start`)
	w.expect("1", `SELECT count(*) FROM report.alerts WHERE type = 'chain.reorged'`)
	w.compare(replay(t, ledger, 109, a))
	if _, err := must(w.opened().Evidence(t.Context(), paid.TxHash())).Verify(); err != nil {
		t.Errorf("evidence after following began again: %v", err)
	}
	w.clear() // the headers before the new start are got like those before the first
	w.await("109", `SELECT max(height) FROM btcwatch.ancestor WHERE start_id = (SELECT id FROM btcwatch.start_begun)`)
	w.await("true", `SELECT rests_on LIKE '%; the headers from block 99 %' FROM btcwatch.start_now`)
	w.checkDelivered()
}

// TestNobodyBeginsAgainAlone: against our start stands one operator of two, or
// the configuration's own word. Nothing is begun again.
func TestNobodyBeginsAgainAlone(t *testing.T) {
	for _, vouched := range []bool{false, true} {
		l := newLookout(t, 5)
		if vouched {
			hash := l.ledger.BlockAt(4).BlockHash()
			l.start = Start{Height: 4, Hash: &hash}
		}
		l.explorer("honest", honest(l.ledger, 5))
		l.watch(time.Minute)
		other := chaintest.NewChain()
		other.Time = func(height int32) time.Time { return time.Now().Add(time.Duration(height-100) * time.Minute) }
		other.MineEmpty(9)
		if other.BlockAt(3).BlockHash() == l.ledger.BlockAt(3).BlockHash() {
			t.Fatal("the two chains are the same")
		}
		l.explorer("other", honest(other, 9))
		if vouched {
			l.explorer("third", honest(other, 9))
		}
		err := l.watch(time.Minute)
		var below forkBelowStart
		if !errors.As(err, &below) || below.start != 4 {
			t.Errorf("the round gives %v", err)
		}
		if p := must(l.store.Position(t.Context())); p.Hash != l.ledger.BlockAt(5).BlockHash() {
			t.Errorf("the position is %d %s", p.Height, p.Hash)
		}
	}
}
