package daemon

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql/sqltest"
)

// newThree makes an installation over three explorers of different operators,
// kinds and software, and compares them after a second: one is an Esplora, two a
// Blockbook, three an Electrum server.
func newThree(t *testing.T) (w *world, ledger *chaintest.Chain, wallet *chaintest.Wallet, a chain.Address, book *chaintest.Blockbook) {
	ledger, wallet = newLedger()
	w, a = newWorldOver(t, sqltest.Migrated(t), ledger), wallet.Address(chain.P2WPKH, 1)
	book = chaintest.NewBlockbook(ledger, w.config.Network)
	url, stop := book.Serve()
	t.Cleanup(stop)
	electrum := chaintest.NewElectrum(ledger, w.config.Network)
	line, stopLine := electrum.Serve()
	t.Cleanup(stopLine)
	w.config.Explorers = append(w.config.Explorers,
		explorer.Settings{Name: "two", Kind: "blockbook", URL: url, Operator: "operator two", Timeout: 5 * time.Second},
		explorer.Settings{Name: "three", Kind: "electrum", URL: line, Operator: "operator three", Timeout: 5 * time.Second})
	w.config.Health.DisagreeAfter = time.Second
	w.watch(a, "label")
	return w, ledger, wallet, a, book
}

const openDisagreements = `SELECT count(*) FROM report.disagreements WHERE ended_at IS NULL`

// What three explorers of different kinds show of a payment is corroborated, and
// so is a history that they show alike; honest ones do not disagree.
func TestThreeKindsCorroborate(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a, _ := newThree(t)
	old := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 20_000}))
	ledger.MineMempool()
	ledger.MineEmpty(7)
	w.began(ledger)
	w.await("proven", `SELECT proof FROM report.transactions WHERE txid = $1`, old.TxHash().String()) // its block is read for it
	w.await("corroborated", `SELECT grade FROM report.coverage WHERE address = $1 AND how LIKE 'read%'`, a.Text)
	paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}))
	w.await("unconfirmed corroborated", `SELECT state || ' ' || proof FROM report.transactions WHERE txid = $1`, paid.TxHash().String())
	ledger.MineMempool()
	if d := w.word(alerts.TransactionConfirmed, paid, a); d.Proof != alerts.Proven {
		t.Errorf("told as %+v", d)
	}
	w.await("3", `SELECT count(*) FROM btcwatch.observation o JOIN btcwatch.tx t ON t.id = o.tx_id WHERE btcwatch.display(t.txid) = $1 AND o.block_hash <> ''`, paid.TxHash().String())
	w.expect("electrumx", `SELECT software FROM report.explorers WHERE name = 'three'`)
	w.expect("0", `SELECT count(*) FROM report.disagreements`)
	w.compare(replay(t, ledger, 118, a))
}

// An explorer leaves a payment out of its answers about the address, while it is
// unconfirmed and when a block holds it. Both answers are told; the block names
// who was wrong; and that they agree again is recorded.
func TestPaymentThatOneExplorerLeavesOut(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a, _ := newThree(t)
	w.began(ledger)
	paid := must(wallet.Build(t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: 30_000}}}))
	id := paid.TxHash().String()
	w.servers[0].Faults.Set("/address/**", chaintest.Fault{Drop: id})
	ledger.AddMempool(paid)
	w.await("corroborated", `SELECT proof FROM report.transactions WHERE txid = $1`, id)
	w.await("one", `SELECT explorer FROM report.disagreements WHERE txid = $1 AND kind = 'mempool'`, id)
	d := w.awaitDelivered(alerts.ExplorerDisagreed, 1)[0].Data
	if d.Explorer != "one" || d.TxID != id || d.Address != a.Text || d.Severity != "medium" || d.Disagreement.Other == "" ||
		!strings.Contains(d.Summary, "does not list it") || !strings.Contains(d.Next, "each node decides by itself") {
		t.Errorf("told as %+v %+v", d, d.Disagreement)
	}
	ledger.MineMempool()
	w.await("one", `SELECT explorer FROM report.disagreements WHERE txid = $1 AND kind = 'transaction' AND other IS NULL`, id)
	w.await("lying", `SELECT state FROM report.explorers WHERE name = 'one'`)
	w.await("shown", `SELECT ended_how FROM report.disagreements WHERE txid = $1 AND kind = 'mempool' AND wrong IS NULL`, id)
	w.expect("ok", `SELECT state FROM report.explorers WHERE name = 'two'`)
	w.servers[0].Faults.ClearAll()
	must(0, w.opened().ClearQuarantine(t.Context(), "one", "a person", "it shows it again"))
	w.await("one", `SELECT wrong FROM report.disagreements WHERE txid = $1 AND kind = 'transaction'`, id)
	w.await("ok", `SELECT state FROM report.explorers WHERE name = 'one'`)
	w.await("0", openDisagreements)
	if told := w.delivered(); len(told) == 0 {
		t.Error("nothing was delivered")
	}
	w.expect("2", `SELECT count(*) FROM report.alerts WHERE type = 'explorer.disagreed'`)
	w.compare(replay(t, ledger, 109, a))
}

// Who disagrees about many payments makes few messages. There are so many that one
// of the two others disagrees about more than are kept, whichever shows how many of
// them first.
func TestManyDisagreementsMakeFewMessages(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a, _ := newThree(t)
	w.began(ledger)
	empty := []byte("[]")
	w.servers[0].Faults.Set("/address/*/txs/mempool", chaintest.Fault{Rewrite: func(string, []byte) []byte { return empty }})
	w.servers[0].Faults.Set("/address/*", chaintest.Fault{Rewrite: func(_ string, body []byte) []byte {
		i := bytes.Index(body, []byte(`"mempool_stats"`))
		return append(bytes.Clone(body[:i]), `"mempool_stats":{"funded_txo_count":0,"funded_txo_sum":0,"spent_txo_count":0,"spent_txo_sum":0,"tx_count":0}}`...)
	}})
	for i := range int64(45) {
		must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000 + i}))
	}
	w.await("45", `SELECT count(*) FROM report.transactions WHERE proof = 'corroborated'`)
	w.await("true", `SELECT sum(disagreements_not_kept) > 0 FROM report.explorers WHERE name = 'one'`)
	// Of one alone: on a slow machine the others may disagree for a while too.
	w.await("45", `SELECT count(*) + (SELECT disagreements_not_kept FROM report.explorers WHERE name = 'one') FROM report.disagreements WHERE 'one' IN (explorer, other)`)
	w.expect("true", `SELECT bool_and(kept <= 20 AND told <= 5) FROM (SELECT count(*) AS kept, count(*) FILTER (WHERE told) AS told FROM report.disagreements GROUP BY explorer, other) x`)
	w.expect("true", `SELECT count(*) <= 10 FROM btcwatch.alert
		WHERE type = 'explorer.disagreed' AND NOT quiet AND convert_from(body, 'UTF8')::json #>> '{data,explorer}' = 'one'`)
}

// An explorer that shows another block where the chain followed has one, for
// longer than the grace time.
func TestAnotherBlockAtTheSameHeight(t *testing.T) {
	t.Parallel()
	ledger, wallet := newLedger()
	minority := copyOf(ledger)
	w := newWorldOver(t, sqltest.Migrated(t), minority, ledger)
	w.config.Health.DisagreeAfter = time.Second
	w.watch(wallet.Address(chain.P2WPKH, 1), "label")
	w.began(ledger)
	minority.MineEmpty(1)
	w.covered(111)
	ledger.MineEmpty(1) // both show 111
	d := w.awaitDelivered(alerts.ExplorerDisagreed, 1)[0].Data
	if d.Explorer != "two" || d.Disagreement.Kind != "block" || d.Disagreement.Other != "" || d.Severity != "low" ||
		!strings.Contains(d.Disagreement.Said, ledger.BlockAt(111).BlockHash().String()) ||
		!strings.Contains(d.Disagreement.OtherSaid, minority.BlockAt(111).BlockHash().String()) {
		t.Errorf("told as %+v %+v", d, d.Disagreement)
	}
	ledger.MineEmpty(2) // the majority wins, and then it is one that differs
	w.await(ledger.BlockAt(113).BlockHash().String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.await("agreed", `SELECT ended_how FROM report.disagreements WHERE explorer = 'two'`)
}

// An explorer counts one payment more than the others, again and again at the
// same tip.
func TestCountersThatDisagree(t *testing.T) {
	t.Parallel()
	w, ledger, wallet, a, _ := newThree(t)
	must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 20_000}))
	ledger.MineMempool()
	w.servers[0].Faults.Set("/address/*", chaintest.Fault{Rewrite: func(_ string, body []byte) []byte {
		i := bytes.Index(body, []byte(`"mempool_stats"`))
		return append(bytes.Replace(body[:i:i], []byte(`"tx_count":1`), []byte(`"tx_count":2`), 1), body[i:]...)
	}})
	w.began(ledger)
	for _, other := range []string{"two", "three"} {
		w.await("counts 1 confirmed payments at height 111, counts 2 at the same height",
			`SELECT said || ', ' || other_said FROM report.disagreements WHERE kind = 'counters' AND explorer = $1 AND other = 'one'`, other)
	}
	w.expect("0", `SELECT count(*) FROM report.disagreements WHERE kind = 'counters' AND 'one' NOT IN (explorer, other)`)
	w.expect("low", `SELECT DISTINCT severity FROM report.alerts WHERE type = 'explorer.disagreed'`)
	w.servers[0].Faults.ClearAll()
	w.await("0", openDisagreements)
}

// Kinds that count payments to a bare public key at its address may count more.
func TestBareKeysAreNoDisagreement(t *testing.T) {
	keyed, other := chain.Address{Script: append(append([]byte{0x76, 0xa9, 0x14}, make([]byte, 20)...), 0x88, 0xac)}, chain.Address{Script: make([]byte, 22)}
	g := &agreement{asker: &asker{explorers: []*explorer.Explorer{{Name: "e", Kind: "esplora"}, {Name: "b", Kind: "blockbook", BareKeys: true}, {Name: "i", Kind: "blockchaininfo", BareKeys: true}}}}
	for _, c := range []struct {
		less, more string
		at         chain.Address
		want       bool
	}{
		{"e", "b", keyed, true}, {"e", "i", keyed, true}, {"b", "e", keyed, false}, {"b", "i", keyed, false}, {"e", "b", other, false},
	} {
		if got := g.mayDiffer(total{explorer: c.less, address: c.at}, total{explorer: c.more, address: c.at}); got != c.want {
			t.Error(fmt.Sprint(c.less, " below ", c.more, ": ", got))
		}
	}
}
