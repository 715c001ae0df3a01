package sql_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// witnesses names explorers: alpha and beta are two witnesses, delta shares
// alpha's software, gamma beta's operator, and nobody knows what mute runs.
func (b *bench) witnesses() {
	b.Helper()
	b.must(b.store.SetExplorers(b.Context(), []explorer.Settings{
		{Name: "alpha", Kind: "esplora", Operator: "A"},
		{Name: "beta", Kind: "blockbook", Operator: "B"},
		{Name: "gamma", Kind: "esplora", Operator: "b"},
		{Name: "delta", Kind: "electrum", Software: "esplora", Operator: "D"},
		{Name: "mute", Kind: "electrum", Operator: "M"},
	}))
}

const proofLines = `SELECT state || ' ' || proof FROM report.transactions`

func TestTwoIndependentExplorersCorroborate(t *testing.T) {
	a := address(1)
	b, _ := started(t, a)
	b.witnesses()
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000))
	for _, alike := range []string{"alpha", "delta", "mute"} {
		b.report(alike, seen(tx))
		b.expect(proofLines, "unconfirmed reported")
	}
	b.report("beta", seen(tx))
	b.expect(proofLines, "unconfirmed corroborated")
	b.expect(`SELECT proof FROM btcwatch.tx_event ORDER BY id`, "corroborated reported") // lines are sorted
	b.expect(`SELECT type || ' ' || proof FROM report.alerts`, "transaction.seen reported")
	b.report("alpha", seen(tx)) // and it stays so
	b.expect(proofLines, "unconfirmed corroborated")
	b.expect(`SELECT count(*)::text FROM btcwatch.tx_event`, "2")
}

// An Electrum server says what it runs only when it is asked.
func TestSoftwareThatIsLearntLater(t *testing.T) {
	a := address(1)
	b, _ := started(t, a)
	b.witnesses()
	b.must(b.store.SaveSoftware(t.Context(), "mute", "fulcrum"))
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000))
	b.report("alpha", seen(tx))
	b.report("mute", seen(tx))
	b.expect(proofLines, "unconfirmed corroborated")
	b.expect(`SELECT software FROM report.explorers WHERE name IN ('mute', 'delta')`, "esplora fulcrum")
}

// Two who place a payment in different blocks do not say the same; nor do one
// that shows it unconfirmed and one that shows it in a block. An alert names
// those who say what it says.
func TestTheSameBlockIsTheSameWord(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	b.witnesses()
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000))
	c.Mine(tx)
	in := func(height int32, block chainhash.Hash) *chain.Transaction {
		said := seen(tx)
		said.Place = &chain.Place{Height: height, Block: block, Time: time.Unix(1_700_000_000, 0).UTC(), Index: -1}
		return said
	}
	b.report("beta", seen(tx))
	b.report("gamma", in(5, chainhash.Hash{5}))
	b.expect(proofLines, "confirmed reported")
	b.report("alpha", in(4, c.BlockAt(4).BlockHash()))
	b.expect(proofLines, "confirmed reported")
	b.report("beta", in(4, c.BlockAt(4).BlockHash()))
	b.expect(proofLines, "confirmed corroborated")
	b.expect(`SELECT block_hash FROM report.transactions`, c.BlockAt(4).BlockHash().String())
	b.follow(c)
	b.expect(proofLines, "confirmed proven")
}

// What a reorganisation took back is not corroborated by what was said before.
func TestOldWordsDoNotCorroborate(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	b.witnesses()
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000))
	b.report("alpha", seen(tx))
	b.report("beta", seen(tx))
	b.expect(proofLines, "unconfirmed corroborated")
	lie := seen(tx)
	lie.Place = &chain.Place{Height: 4, Block: chainhash.Hash{4}, Time: time.Unix(1_700_000_000, 0).UTC(), Index: -1}
	b.report("alpha", lie)
	b.expect(proofLines, "confirmed reported") // another fact, of which one says so
	c.MineEmpty(1)
	b.follow(c)
	b.expect(proofLines, "unconfirmed reported")
	b.report("alpha", seen(tx))
	b.expect(proofLines, "unconfirmed reported")
}

// A debit that rests on what explorers state is corroborated only where two
// independent ones state the same of the output, however many know the
// transaction.
func TestDebitNeedsTwoWordsOnWhatItSpends(t *testing.T) {
	a, other := address(1), address(8)
	b, _ := started(t, a)
	b.witnesses()
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(other, 900))
	b.report("alpha", seen(tx, pays(a, 1000)))
	b.report("beta", seen(tx, pays(a, 1001)))
	b.expect(proofLines, "unconfirmed reported")
	b.expect(`SELECT proof FROM btcwatch.tx_now`, "corroborated")
	b.report("delta", seen(tx, pays(a, 1000)))
	b.expect(proofLines, "unconfirmed reported")
	b.must(b.store.SaveSoftware(t.Context(), "mute", "electrs"))
	b.report("mute", seen(tx, pays(a, 1000)))
	b.expect(`SELECT amount_sat || ' ' || proof FROM report.transactions`, "1000 corroborated")
}

// A history is corroborated where two independent explorers read to the end
// show the same, and not where one shows what the other does not.
func TestHistoriesThatAgree(t *testing.T) {
	a, a2 := address(1), address(2)
	b, c := newBench(t, telling()), mined(2)
	b.witnesses()
	one := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000))
	two := transaction(2, []wire.OutPoint{stranger(2)}, pays(a2, 7000))
	c.Mine(one, two)
	b.begin(c, 3)
	b.watch(listing(a))
	b.watch(listing(a2))
	read := func(explorer string, a chain.Address, txs ...*wire.MsgTx) {
		t.Helper()
		for _, tx := range txs {
			b.report(explorer, confirmed(tx, c, 3))
		}
		b.must(b.writer.HistoryRead(t.Context(), b.question(a), explorer))
	}
	grades := `SELECT from_height || '-' || to_height || ' ' || grade FROM report.coverage WHERE address = $1 AND how LIKE 'read%'`
	read("alpha", a, one)
	read("delta", a, one)
	b.expect(grades, "0-3 reported", a.Text)
	read("beta", a, one)
	b.expect(grades, "0-3 corroborated", a.Text)

	read("alpha", a2)      // shows nothing
	read("beta", a2, two)  // shows the payment
	read("gamma", a2, two) // of beta's operator
	b.expect(grades, "0-3 reported", a2.Text)
	left, err := b.store.Unseconded(t.Context(), 0, 10)
	if b.must(err); len(left) != 1 || left[0] != b.question(a2).Script {
		t.Errorf("%v are left to be read again", left)
	}
	read("alpha", a2, two)
	b.expect(grades, "0-3 corroborated", a2.Text)
}

func mined(blocks int) *chaintest.Chain {
	c := chaintest.NewChain()
	c.MineEmpty(blocks)
	return c
}

// Two state an output differently: both answers are kept, and the transaction
// that made it names who was wrong.
func TestAmountsThatDisagree(t *testing.T) {
	a, other := address(1), address(8)
	b, c := started(t, a)
	b.witnesses()
	from := transaction(9, []wire.OutPoint{stranger(9)}, pays(a, 1000))
	tx := transaction(1, []wire.OutPoint{output(from, 0)}, pays(other, 900))
	b.report("alpha", seen(tx, pays(a, 1000)))
	b.expect(`SELECT kind FROM report.disagreements`, "")
	b.report("beta", seen(tx, pays(a, 1001)))
	b.expect(`SELECT explorer || ' ' || other || ' ' || address || ' ' || txid FROM report.disagreements`,
		"beta alpha "+a.Text+" "+tx.TxHash().String())
	b.expect(`SELECT (said LIKE '% 1001 satoshis of '||address AND other_said LIKE '% 1000 satoshis of '||address)::text FROM report.disagreements`, "true")
	b.expect(`SELECT severity || ' ' || quiet || ' ' || txid FROM report.alerts WHERE type = 'explorer.disagreed'`, "medium false "+tx.TxHash().String())
	b.must(b.writer.SettleDisagreements(t.Context()))
	b.expect(`SELECT count(*)::text FROM report.disagreements WHERE ended_at IS NULL`, "1")
	wrong, err := b.writer.RecordPrevious(t.Context(), confirmed(from, mined(3), 3), "alpha")
	if b.must(err); len(wrong) != 1 || wrong[0] != "beta" {
		t.Errorf("%q are named", wrong)
	}
	b.must(b.writer.SettleDisagreements(t.Context()))
	b.expect(`SELECT ended_how || ' ' || wrong FROM report.disagreements`, "shown beta")
	b.follow(c)
}

// An explorer that was read to the end and lacks payments from before the watch
// disagrees with who shows them, until it shows them too.
func TestHistoryThatLacksPayments(t *testing.T) {
	a := address(1)
	b, c := newBench(t, telling()), mined(2)
	b.witnesses()
	one := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000))
	c.Mine(one)
	c.MineEmpty(9)
	b.begin(c, 12)
	b.watch(listing(a))
	b.report("alpha", confirmed(one, c, 3))
	b.must(b.writer.HistoryRead(t.Context(), b.question(a), "alpha"))
	b.must(b.writer.HistoryRead(t.Context(), b.question(a), "beta"))
	b.expect(`SELECT explorer || ' ' || other || ' ' || kind FROM report.disagreements WHERE ended_at IS NULL`, "beta alpha transaction")
	b.expect(`SELECT DISTINCT grade FROM report.coverage WHERE how LIKE 'read%'`, "reported")
	b.report("beta", confirmed(one, c, 3))
	b.must(b.writer.HistoryRead(t.Context(), b.question(a), "beta"))
	b.expect(`SELECT ended_how FROM report.disagreements`, "agreed")
	b.expect(`SELECT DISTINCT grade FROM report.coverage WHERE how LIKE 'read%'`, "corroborated")
}

// The same two about many subjects: twenty a day are kept, five are sent, the
// rest is counted; and one that comes again is not sent again.
func TestDisagreementsAreBounded(t *testing.T) {
	b, _ := started(t, address(1))
	b.witnesses()
	for i := range 50 {
		d := sql.Disagreement{Kind: sql.DisagreeMempool, Subject: fmt.Sprint(i), Explorer: "alpha", Other: "beta", Said: "says", OtherSaid: "says not", Since: time.Now()}
		kept, err := b.writer.Disagree(t.Context(), d)
		if b.must(err); kept != (i < 20) {
			t.Fatalf("disagreement %d: kept %v", i, kept)
		}
	}
	b.expect(`SELECT count(*) || ' ' || count(*) FILTER (WHERE told) FROM report.disagreements`, "20 5")
	b.expect(`SELECT count(*) || ' ' || count(*) FILTER (WHERE NOT quiet) FROM report.alerts WHERE type = 'explorer.disagreed'`, "20 5")
	b.expect(`SELECT DISTINCT disagreements_open || ' ' || disagreements_not_kept FROM report.explorers WHERE name IN ('alpha', 'beta')`, "20 30")

	again := sql.Disagreement{Kind: sql.DisagreeBlock, Explorer: "gamma", Said: "one", OtherSaid: "another", Since: time.Now()}
	for range 3 { // it flaps
		_, err := b.writer.Disagree(t.Context(), again)
		b.must(err)
		open, err := b.store.OpenDisagreements(t.Context())
		b.must(err)
		last := open[len(open)-1]
		b.must(b.writer.AgreeAgain(t.Context(), last.ID, "agreed", ""))
	}
	b.expect(`SELECT count(*) || ' ' || count(*) FILTER (WHERE told) FROM report.disagreements WHERE explorer = 'gamma'`, "3 1")
}
