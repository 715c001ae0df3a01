package sql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// lent is a transaction from before the watch whose first output a spend takes.
func lent(salt uint32, out *wire.TxOut) *wire.MsgTx {
	return transaction(salt, []wire.OutPoint{stranger(byte(salt))}, wire.NewTxOut(700, []byte{0x51}), out)
}

// previous records a transaction for the outputs that others spend.
func (b *bench) previous(tx *wire.MsgTx) []string {
	b.Helper()
	misstated, err := b.writer.RecordPrevious(b.Context(), seen(tx), "honest")
	b.must(err)
	return misstated
}

const debitLines = `SELECT concat_ws(' ', address, amount_sat, stated, block_height) FROM report.movements WHERE direction = 'out'`

// TestAFalseAmountIsCorrected: what an explorer states of a spent output gives
// way to the transaction that made it, whichever way that comes to be recorded,
// confirmed and unconfirmed: movement, sums, fee and grade.
func TestAFalseAmountIsCorrected(t *testing.T) {
	a, other := address(1), address(8)
	for _, c := range []struct {
		name    string
		learn   func(b *bench, c *chaintest.Chain, from *wire.MsgTx)
		credits int64
	}{
		{"as a previous transaction", func(b *bench, _ *chaintest.Chain, from *wire.MsgTx) {
			if names := b.previous(from); len(names) != 1 || names[0] != "liar" {
				b.Errorf("misstated by %q", names)
			}
		}, 0},
		{"as a payment", func(b *bench, c *chaintest.Chain, from *wire.MsgTx) {
			if r := b.report("honest", confirmed(from, c, 2)); r.News != 1 || strings.Join(r.Misstated, " ") != "liar" {
				b.Errorf("recorded: %+v", r)
			}
		}, 5000},
	} {
		for _, inBlock := range []bool{true, false} {
			t.Run(fmt.Sprint(c.name, ", in a block ", inBlock), func(t *testing.T) {
				b, ledger := started(t, a)
				from := lent(1, pays(a, 5000))
				spend := transaction(2, []wire.OutPoint{output(from, 1)}, pays(other, 4900))
				b.report("liar", seen(spend, pays(a, 9000)))
				sent, pending := int64(0), -9000
				if inBlock {
					ledger.Mine(spend)
					b.follow(ledger)
					b.report("liar", confirmed(spend, ledger, 4, pays(a, 9000)))
					sent, pending = 9000, 0
				}
				b.expect(balanceLines, fmt.Sprint(a.Text, "|null|0|", sent, "|", pending, "|", boolean(inBlock)))
				c.learn(b, ledger, from)
				if inBlock {
					sent = 5000
				} else {
					pending = -5000
				}
				count := boolean(inBlock)
				if c.credits > 0 {
					count++
				}
				b.expect(balanceLines, fmt.Sprint(a.Text, "|null|", c.credits, "|", sent, "|", pending, "|", count))
				b.expect(`SELECT concat_ws(' ', amount_sat, stated) FROM report.movements WHERE direction = 'out'`, "5000 f")
				b.expect(`SELECT concat_ws(' ', direction, amount_sat, fee_sat, proof) FROM report.transactions WHERE direction = 'out'`, "out 5000 100 reported")
				b.dangling()

				before := b.dump()
				b.previous(from)
				if b.dump() != before {
					t.Error("the same again wrote something")
				}
				b.report("liar", seen(spend, pays(a, 9000)))
				b.expect(`SELECT concat_ws(' ', amount_sat, stated) FROM report.movements WHERE direction = 'out'`, "5000 f")
			})
		}
	}
}

func boolean(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// TestAFalseAmountIsCorrectedAfterAReorg: the corrected amount holds wherever
// the spend comes to stand.
func TestAFalseAmountIsCorrectedAfterAReorg(t *testing.T) {
	a, other := address(1), address(8)
	b, c := started(t, a)
	from := lent(1, pays(a, 5000))
	spend := transaction(2, []wire.OutPoint{output(from, 1)}, pays(other, 4900))
	b.report("liar", seen(spend, pays(a, 1)))
	c.Mine(spend)
	b.follow(c)
	b.previous(from)
	b.must(b.writer.StepBack(t.Context(), 3))
	b.expect(balanceLines, a.Text+"|null|0|0|-5000|0")
	c.Reorg(1, spend)
	b.follow(c)
	b.expect(balanceLines, a.Text+"|null|0|5000|0|1")
	b.expect(debitLines, a.Text+" 5000 f 4")
	b.dangling()
}

// revealing spends an output with a script that shows its key: a hint at the
// P2PKH address of that key.
func revealing(from wire.OutPoint, key []byte, outs ...*wire.TxOut) *wire.MsgTx {
	tx := transaction(2, []wire.OutPoint{from}, outs...)
	tx.TxIn[0].SignatureScript = append(append([]byte{1, 7}, byte(len(key))), key...)
	return tx
}

func keyAndAddress() ([]byte, chain.Address) {
	key := append([]byte{2}, make([]byte, 32)...)
	in := wire.NewTxIn(&wire.OutPoint{}, append(append([]byte{1, 7}, byte(len(key))), key...), nil)
	for _, script := range chain.Reveals(in) {
		if a, ok := chain.AddressOf(script, regtest()); ok && a.Kind == chain.P2PKH {
			return key, a
		}
	}
	panic("no address")
}

// TestARevealedSpendBecomesExact: a spend that only its key points to is told at
// once without an amount, and becomes exact and proven when the transaction that
// made the output shows the script; nothing more is told of it.
func TestARevealedSpendBecomesExact(t *testing.T) {
	key, a := keyAndAddress()
	b, c := started(t, a)
	from := lent(1, pays(a, 5000))
	spend := revealing(output(from, 1), key, pays(address(8), 4900))
	c.Mine(spend)
	b.follow(c)
	b.expect(`SELECT concat_ws(' ', direction, amount_sat, proof) FROM report.transactions`, "out reported")
	told := b.one(alerts.TransactionConfirmed)
	b.previous(from)
	b.expect(`SELECT concat_ws(' ', direction, amount_sat, fee_sat, proof) FROM report.transactions`, "out 5000 100 proven")
	b.expect(`SELECT unknown_debits::text FROM btcwatch.balance`, "0")
	b.expect(`SELECT id FROM report.alerts`, told.ID)
	b.dangling()
}

// TestAFalseHintIsTakenBack: anybody may push another's key. When the output
// that was spent shows another script, the debit is none, and that is told as
// openly as the hint was.
func TestAFalseHintIsTakenBack(t *testing.T) {
	key, a := keyAndAddress()
	for _, change := range []int64{0, 1200} {
		b, c := started(t, a)
		from := lent(1, pays(address(8), 5000))
		outs := []*wire.TxOut{pays(address(8), 3000)}
		if change > 0 {
			outs = append(outs, pays(a, change))
		}
		spend := revealing(output(from, 1), key, outs...)
		c.Mine(spend)
		b.follow(c)
		told := b.one(alerts.TransactionConfirmed)
		b.previous(from)
		b.expect(debitLines, "")
		correction := b.one(alerts.TransactionRefuted)
		if correction.Corrects != told.ID || correction.Thread != told.Thread || correction.Severity != told.Severity ||
			!strings.Contains(correction.Summary, "does not spend from "+a.Text) {
			t.Errorf("the correction says %+v", correction)
		}
		if change == 0 {
			b.expect(`SELECT txid FROM report.transactions`, "")
			b.expect(balanceLines, a.Text+"|null|0|0|0|0")
			b.expect(`SELECT last_activity_at::text FROM report.balances WHERE last_activity_at IS NOT NULL`, "")
			b.expect(counterpartyLines, "")
		} else {
			b.expect(`SELECT concat_ws(' ', direction, amount_sat, proof) FROM report.transactions`, fmt.Sprint("in ", change, " proven"))
			b.expect(balanceLines, fmt.Sprint(a.Text, "|null|", change, "|0|0|1"))
			if correction.AmountSat == nil || *correction.AmountSat != change || correction.Direction != alerts.In {
				t.Errorf("what is left: %+v", correction)
			}
		}
		// Neither a reorganisation nor a liar brings it back.
		b.report("liar", confirmed(spend, c, 4, pays(a, 5000)))
		b.must(b.writer.StepBack(t.Context(), 3))
		b.follow(c)
		b.report("liar", confirmed(spend, c, 4, pays(a, 5000)))
		b.expect(debitLines, "")
		b.dangling()
	}
}

// TestAFalseOwnerIsTakenBack: an explorer states that a watched address pays,
// and the transaction that made the output shows that another one does.
func TestAFalseOwnerIsTakenBack(t *testing.T) {
	a, a2, other := address(1), address(2), address(8)
	b, c := started(t, a, a2)
	from := lent(1, pays(a2, 5000))
	spend := transaction(2, []wire.OutPoint{output(from, 1)}, pays(other, 4900))
	b.report("liar", seen(spend, pays(a, 5000)))
	c.Mine(spend)
	b.follow(c)
	b.report("liar", confirmed(spend, c, 4, pays(a, 5000)))
	b.expect(debitLines, a.Text+" 5000 t 4")
	if names := b.previous(from); len(names) != 1 || names[0] != "liar" {
		t.Errorf("misstated by %q", names)
	}
	b.expect(debitLines, a2.Text+" 5000 f 4")
	b.expect(`SELECT address || ' ' || proof FROM report.transactions`, a2.Text+" reported")
	b.one(alerts.TransactionRefuted)
	b.dangling()
}

// TestADebitThatNobodyStatedIsFound: the transaction that made an output shows
// that a watched address pays, which the explorer that told of the spend left out.
func TestADebitThatNobodyStatedIsFound(t *testing.T) {
	a, a2 := address(1), address(2)
	b, c := started(t, a, a2)
	from := lent(1, pays(a, 5000))
	spend := transaction(2, []wire.OutPoint{output(from, 1)}, pays(a2, 4900))
	c.Mine(spend)
	b.follow(c)
	b.expect(debitLines, "")
	b.previous(from)
	b.expect(debitLines, a.Text+" 5000 f 4")
	b.expect(`SELECT address || ' ' || direction || ' ' || proof FROM report.transactions`, strings.Join(sorted(a.Text+" out proven", a2.Text+" in proven"), " "))
	b.dangling()
}
