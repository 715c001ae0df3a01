package sql_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// inclusion is what the chain's block at a height shows of a transaction, by
// the model of the chain.
func (b *bench) inclusion(c *chaintest.Chain, height int32, tx *wire.MsgTx) *chain.Inclusion {
	b.Helper()
	var raw bytes.Buffer
	b.must(c.BlockAt(height).Serialize(&raw))
	block, err := chain.CheckBlock(raw.Bytes(), regtest(), time.Now())
	b.must(err)
	return block.Inclusion(tx.TxHash())
}

// unproven gives what is to be proven, by txid.
func (b *bench) unproven() map[chainhash.Hash]*sql.Unproven {
	b.Helper()
	all, err := b.store.Unproven(b.Context(), nil, 100)
	b.must(err)
	by := map[chainhash.Hash]*sql.Unproven{}
	for _, u := range all {
		by[u.Msg.TxHash()] = u
	}
	return by
}

// raise records a proof.
func (b *bench) raise(u *sql.Unproven, in *chain.Inclusion) {
	b.Helper()
	misplaced, err := b.writer.RecordProof(b.Context(), u, in, "two")
	b.must(err)
	if u.Said == u.Block() && len(misplaced) > 0 || u.Said != u.Block() && len(misplaced) == 0 {
		b.Errorf("misplaced by %q", misplaced)
	}
}

// past is a bench that followed from block 31, whose address was paid in blocks
// 10 and 20 below the start, in block 33, and listed at 35.
func past(t *testing.T, proves bool) (b *bench, c *chaintest.Chain, a chain.Address, payments map[int32]*wire.MsgTx) {
	a = address(1)
	b, c = newBench(t, telling()), chaintest.NewChain()
	payments = map[int32]*wire.MsgTx{}
	for height := int32(1); height <= 35; height++ {
		if height == 10 || height == 20 || height == 33 {
			tx := transaction(uint32(height), []wire.OutPoint{stranger(byte(height))}, pays(a, int64(height)*1000))
			c.Mine(tx, transaction(100+uint32(height), []wire.OutPoint{stranger(byte(100 + height))}, pays(address(9), 7)))
			payments[height] = tx
		} else {
			c.MineEmpty(1)
		}
	}
	b.must(b.writer.SetStart(t.Context(), sql.Start{Height: 31, Parent: c.BlockAt(30).BlockHash(), RestsOn: "a test", Proves: proves}))
	b.follow(c)
	b.watch(listing(a))
	for height, tx := range payments {
		b.report("one", confirmed(tx, c, height))
	}
	return b, c, a, payments
}

// statedTime lets an explorer state another time.
func statedTime(tx *chain.Transaction, at time.Time) *chain.Transaction {
	tx.Place.Time = at
	return tx
}

const gradeLines = `SELECT concat_ws(' ', block_height, state, proof, extract(epoch FROM block_time)::bigint) FROM report.transactions`

// TestThePastIsProven: of a covered block and of a header from before the start,
// and never before the header is known; the place is what the header says, and
// nobody is told of a grade.
func TestThePastIsProven(t *testing.T) {
	b, c, _, payments := past(t, true)
	grade := map[int32]string{10: "reported", 20: "reported", 33: "reported"}
	check := func() {
		t.Helper()
		var want []string
		for height := range payments {
			want = append(want, fmt.Sprint(height, " confirmed ", grade[height], " ", c.BlockAt(height).Header.Timestamp.Unix()))
		}
		b.expect(gradeLines, strings.Join(sorted(want...), " "))
	}
	prove := func(height int32) {
		t.Helper()
		u := b.unproven()[payments[height].TxHash()]
		if u == nil || u.Height != height || u.Block() != c.BlockAt(height).BlockHash() || u.Said != u.Block() {
			t.Fatalf("to be proven at %d: %+v", height, u)
		}
		b.raise(u, b.inclusion(c, height, payments[height]))
		grade[height] = "proven"
	}
	reach := func(want int32) {
		t.Helper()
		got, ok, err := b.store.HeadersNeeded(t.Context())
		if err != nil || ok != (want > 0) || got != want {
			t.Errorf("headers needed down to %d, %v, %v; want %d", got, ok, err, want)
		}
	}
	if len(b.unproven()) != 1 {
		t.Errorf("without headers: %v", b.unproven())
	}
	told := b.count(`SELECT count(*) FROM btcwatch.alert`)
	reach(10)
	prove(33)
	check()
	b.expect(`SELECT count(*)::text FROM btcwatch.past_branch`, "0")
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 15), "one")) // down to 16
	reach(10)
	if len(b.unproven()) != 1 {
		t.Errorf("with headers down to 16: %v", b.unproven())
	}
	prove(20)
	check()
	b.must(b.writer.AddAncestors(t.Context(), below(c, 15, 6), "one")) // down to 10
	reach(0)
	prove(10)
	check()
	b.expect(`SELECT height || ' ' || index FROM btcwatch.past_branch`, "10 1 20 1")
	b.expect(`SELECT count(*)::text FROM btcwatch.coinbase`, "1")
	if b.count(`SELECT count(*) FROM btcwatch.alert`) != told {
		t.Error("somebody was told")
	}
	state, ok, err := b.store.PastState(t.Context())
	if err != nil || !ok || state != (sql.PastState{Known: 10}) {
		t.Errorf("%+v, %v, %v", state, ok, err)
	}
	b.dangling()
	for height, tx := range payments {
		if v := b.prove(tx); v.Block == nil || v.Block.Height != height || v.Block.Hash != c.BlockAt(height).BlockHash() || v.Block.Index != 1 {
			t.Errorf("the evidence of block %d proves %+v", height, v.Block)
		}
	}

	// A lagging explorer changes nothing, nor does the same again.
	b.report("three", statedTime(confirmed(payments[20], c, 20), time.Unix(1_600_000_000, 0).UTC()))
	b.report("three", statedTime(confirmed(payments[33], c, 33), time.Unix(1_600_000_000, 0).UTC()))
	check()
}

func blocksOf(c *chaintest.Chain, height int32) (all []*wire.MsgBlock) {
	for h := range height + 1 {
		all = append(all, c.BlockAt(h))
	}
	return all
}

// TestAFalseTimeIsCorrectedByTheHeader: also where a followed block shows it.
func TestAFalseTimeIsCorrectedByTheHeader(t *testing.T) {
	b, c, a, _ := past(t, true)
	late := transaction(50, []wire.OutPoint{stranger(50)}, pays(a, 900))
	early := transaction(51, []wire.OutPoint{stranger(51)}, pays(a, 800))
	c.Mine(late)
	false1 := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)
	b.report("one", statedTime(confirmed(late, c, 36), false1))
	b.follow(c)
	b.expect(`SELECT extract(epoch FROM block_time)::bigint::text FROM report.transactions WHERE block_height = 36`, unix(c.BlockAt(36).Header.Timestamp))

	other := address(3) // listed now; its payment is told with a false time
	c.Mine(early, transaction(52, []wire.OutPoint{stranger(52)}, pays(other, 700)))
	b.follow(c)
	b.watch(listing(other))
	tx := transaction(52, []wire.OutPoint{stranger(52)}, pays(other, 700))
	b.report("one", statedTime(confirmed(tx, c, 37), false1))
	u := b.unproven()[tx.TxHash()]
	if u == nil {
		t.Fatal("it is not to be proven")
	}
	b.raise(u, b.inclusion(c, 37, tx))
	b.expect(`SELECT concat_ws(' ', proof, extract(epoch FROM block_time)::bigint) FROM report.transactions WHERE address = '`+other.Text+`'`,
		"proven "+unix(c.BlockAt(37).Header.Timestamp))
	b.expect(`SELECT extract(epoch FROM last_activity_at)::bigint::text FROM report.balances WHERE address = '`+other.Text+`'`, unix(c.BlockAt(37).Header.Timestamp))
}

// TestFalseProofsAreRefused: nothing is recorded of one.
func TestFalseProofsAreRefused(t *testing.T) {
	b, c, _, payments := past(t, true)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 25), "one"))
	for _, height := range []int32{10, 33} {
		u, truth := b.unproven()[payments[height].TxHash()], b.inclusion(c, height, payments[height])
		moved, bent, deep, bare, elsewhere := *truth, *truth, *truth, *truth, *b.inclusion(c, 20, payments[20])
		moved.Branch.Index = 0
		bent.Branch.Siblings = []chainhash.Hash{{1}, {2}}
		deep.CoinbaseSiblings = append([]chainhash.Hash{{9}}, truth.CoinbaseSiblings...)
		bare.Coinbase = payments[height]
		for name, in := range map[string]chain.Inclusion{
			"another place": moved, "another branch": bent, "a coinbase deeper": deep, "no coinbase": bare, "of another block": elsewhere,
		} {
			before := b.dump()
			if _, err := b.writer.RecordProof(t.Context(), u, &in, "liar"); !errors.Is(err, chain.ErrFalseBranch) {
				t.Errorf("%s at %d: %v", name, height, err)
			}
			if b.dump() != before {
				t.Errorf("%s at %d: something was recorded", name, height)
			}
		}
	}
}

// TestNothingIsProvenOnAWord: where following rests on one operator's word, a
// proof is worth no more.
func TestNothingIsProvenOnAWord(t *testing.T) {
	b, c, _, _ := past(t, false)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 25), "one"))
	if len(b.unproven()) != 0 {
		t.Errorf("%v", b.unproven())
	}
	if _, ok, err := b.store.HeadersNeeded(t.Context()); ok || err != nil {
		t.Errorf("headers are needed: %v", err)
	}
	// On a better footing from 35 on, what lies before the start is on the chain
	// that was verified; the blocks between keep their grade.
	b.must(b.writer.RaiseStart(t.Context(), b.position().Hash, "a checkpoint"))
	if all := b.unproven(); len(all) != 2 {
		t.Errorf("%v", all)
	}
}

// TestConfidentialPastIsNotAskedAbout: neither proofs nor headers nor previous
// transactions.
func TestConfidentialPastIsNotAskedAbout(t *testing.T) {
	b, c, a, payments := past(t, true)
	secret := listing(a)
	secret.Confidential = true
	b.watch(secret)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 5), "one"))
	if all := b.unproven(); len(all) != 0 {
		t.Errorf("to be proven: %v", all)
	}
	if _, ok, err := b.store.HeadersNeeded(t.Context()); ok || err != nil {
		t.Errorf("headers are needed: %v", err)
	}
	spend := transaction(60, []wire.OutPoint{output(payments[10], 0), stranger(61)}, pays(address(8), 10))
	b.report("one", seen(spend, nil, pays(a, 500)))
	c.Mine(spend)
	b.follow(c)
	if d, err := b.store.DebitsByWord(t.Context(), 0, nil, 10); err != nil || len(d.Previous) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	_, err := b.store.Retire(t.Context(), a, "tester")
	b.must(err)
	if d, err := b.store.DebitsByWord(t.Context(), 0, nil, 10); err != nil || len(d.Previous) != 0 {
		t.Errorf("retired: %+v, %v", d, err)
	}
}

// TestWhatDebitsRestOn: debits without an amount and those by somebody's word
// ask for the transaction that they spend from, until it is recorded.
func TestWhatDebitsRestOn(t *testing.T) {
	key, a := keyAndAddress()
	b, c := started(t, a)
	old, older := lent(1, pays(a, 5000)), lent(3, pays(a, 6000))
	revealed := revealing(output(old, 1), key, pays(address(8), 4900))
	stated := transaction(9, []wire.OutPoint{output(older, 1)}, pays(address(8), 5900))
	c.Mine(revealed, stated)
	b.follow(c)
	b.report("one", confirmed(stated, c, 4, pays(a, 6000)))
	hints, err := b.store.DebitsByHint(t.Context(), nil, 10)
	if err != nil || len(hints) != 1 || hints[0] != old.TxHash() {
		t.Errorf("by hint: %v, %v", hints, err)
	}
	words, err := b.store.DebitsByWord(t.Context(), 0, hints, 10)
	if err != nil || len(words.Previous) != 1 || words.Previous[0] != older.TxHash() || words.After != 0 {
		t.Errorf("by word: %v, %v", words, err)
	}
	b.previous(old)
	b.previous(older)
	hints, err = b.store.DebitsByHint(t.Context(), nil, 10)
	words, err2 := b.store.DebitsByWord(t.Context(), 0, nil, 10)
	if err != nil || err2 != nil || len(hints)+len(words.Previous) > 0 {
		t.Errorf("afterwards: %v, %v, %v, %v", hints, words, err, err2)
	}
}

// TestAnInventedPastIsTakenBack: a payment in a block that does not hold it, and
// one in a block that is not on the chain, are unconfirmed, nobody is told, and
// who said so is named and not believed again.
func TestAnInventedPastIsTakenBack(t *testing.T) {
	b, c, a, _ := past(t, true)
	invented := transaction(70, []wire.OutPoint{stranger(70)}, pays(a, 1))
	covered := transaction(71, []wire.OutPoint{stranger(71)}, pays(a, 2))
	astray := transaction(72, []wire.OutPoint{stranger(72)}, pays(a, 3))
	lost := confirmed(astray, c, 12)
	lost.Place.Block = chainhash.Hash{7}
	b.report("liar", confirmed(invented, c, 11), confirmed(covered, c, 34), lost)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 25), "one"))
	told := b.count(`SELECT count(*) FROM btcwatch.alert`)
	all := b.unproven()
	for _, tx := range []*wire.MsgTx{invented, covered, astray} {
		u := all[tx.TxHash()]
		if u == nil {
			t.Fatal("it is not to be proven")
		}
		reader := "reader"
		if tx == astray {
			reader = ""
		} else if _, err := b.writer.RecordAbsence(t.Context(), u, ""); err == nil {
			t.Error("a payment was taken back though nobody read the block")
		}
		names, err := b.writer.RecordAbsence(t.Context(), u, reader)
		if err != nil || len(names) != 1 || names[0] != "liar" {
			t.Errorf("named %q, %v", names, err)
		}
		b.expect(`SELECT state FROM report.transactions WHERE txid = '`+tx.TxHash().String()+`'`, "unconfirmed")
	}
	for _, again := range []*chain.Transaction{confirmed(invented, c, 11), confirmed(covered, c, 34), lost} {
		if r := b.report("liar", again); r.News != 0 || r.Invented+r.Astray != 1 {
			t.Errorf("again: %+v", r)
		}
	}
	if n := b.count(`SELECT count(*) FROM btcwatch.alert`); n != told {
		t.Errorf("%d were told", n-told)
	}
	// The true place is taken.
	if r := b.report("honest", confirmed(transaction(72, []wire.OutPoint{stranger(72)}, pays(a, 3)), c, 13)); r.News != 1 {
		t.Errorf("another place: %+v", r)
	}
	b.expect(balanceLines, fmt.Sprint(a.Text, "|null|63003|0|3|4"))
	b.dangling()
}

// TestAnotherBlockAtTheRightHeight: a payment is proven in the chain's block
// though an explorer named another one at that height, and is told to nobody.
func TestAnotherBlockAtTheRightHeight(t *testing.T) {
	b, c, a, _ := past(t, true)
	tx := c.BlockAt(20).Transactions[2] // pays address 9
	b.watch(listing(address(9)))
	lie := confirmed(tx, c, 20)
	lie.Place.Block = chainhash.Hash{7}
	b.report("liar", lie)
	told := b.count(`SELECT count(*) FROM btcwatch.alert`)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 25), "one"))
	u := b.unproven()[tx.TxHash()]
	b.raise(u, b.inclusion(c, 20, tx))
	b.expect(`SELECT concat_ws(' ', proof, block_height, block_hash) FROM report.transactions WHERE address <> '`+a.Text+`'`,
		fmt.Sprint("proven 20 ", c.BlockAt(20).BlockHash()))
	b.report("liar", lie)
	b.expect(`SELECT proof FROM report.transactions WHERE address <> '`+a.Text+`'`, "proven")
	if n := b.count(`SELECT count(*) FROM btcwatch.alert`); n != told {
		t.Errorf("%d were told", n-told)
	}
	b.dangling()
}

// TestThePastAfterAReorgAcrossTheStart: what was proven by headers that the
// chain has left is proven no more, the rest stays.
func TestThePastAfterAReorgAcrossTheStart(t *testing.T) {
	b, c, _, payments := past(t, true)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 25), "one"))
	for height, tx := range payments {
		b.raise(b.unproven()[tx.TxHash()], b.inclusion(c, height, tx))
	}
	b.expect(`SELECT count(*)::text FROM report.transactions WHERE proof = 'proven'`, "3")
	b.must(b.writer.StepBack(t.Context(), 15))
	b.expect(`SELECT concat_ws(' ', block_height, state, proof) FROM report.transactions`, "10 confirmed proven unconfirmed reported unconfirmed reported")
	branch := chaintest.ChainOf(0, blocksOf(c, 15)...)
	branch.MineEmpty(2)
	branch.Mine(payments[20], payments[33])
	b.follow(branch)
	b.expect(`SELECT concat_ws(' ', block_height, state, proof) FROM report.transactions`, "10 confirmed proven 18 confirmed proven 18 confirmed proven")
	if all := b.unproven(); len(all) != 0 {
		t.Errorf("to be proven: %v", all)
	}
	b.dangling()
}

// TestThePastAfterAnotherStart: where the chain has left all headers known, what
// they proved is unconfirmed, to be found again.
func TestThePastAfterAnotherStart(t *testing.T) {
	b, c, _, payments := past(t, true)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 25), "one"))
	for height, tx := range payments {
		b.raise(b.unproven()[tx.TxHash()], b.inclusion(c, height, tx))
	}
	b.must(b.writer.BeginAgain(t.Context(), sql.Start{Height: 31, Parent: chainhash.Hash{5}, RestsOn: "another", Proves: true}))
	b.expect(`SELECT count(*)::text FROM report.transactions WHERE state = 'unconfirmed'`, "3")
	if all := b.unproven(); len(all) != 0 {
		t.Errorf("to be proven: %v", all)
	}
}

// TestABlockThatLeftIsNoFalsePlace: who placed a payment in a block that was on
// the chain until following began again said nothing false; who placed it in one
// that never was is named.
func TestABlockThatLeftIsNoFalsePlace(t *testing.T) {
	b, c, a, _ := past(t, true)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 25), "one"))
	third := chaintest.ChainOf(0, blocksOf(c, 12)...)
	third.MineEmpty(30)
	b.must(b.writer.BeginAgain(t.Context(), sql.Start{Height: 31, Parent: third.BlockAt(30).BlockHash(), RestsOn: "another", Proves: true}))
	b.follow(third)
	left, never := transaction(80, []wire.OutPoint{stranger(80)}, pays(a, 1)), transaction(81, []wire.OutPoint{stranger(81)}, pays(a, 2))
	false81 := confirmed(never, c, 25)
	false81.Place.Block = chainhash.Hash{7}
	b.report("honest", confirmed(left, c, 25))
	b.report("liar", false81)
	b.must(b.writer.AddAncestors(t.Context(), below(third, 30, 25), "one"))
	for tx, want := range map[*wire.MsgTx]string{left: "", never: "liar"} {
		u := b.unproven()[tx.TxHash()]
		if u == nil {
			t.Fatal("it is not to be proven")
		}
		names, err := b.writer.RecordAbsence(t.Context(), u, "")
		b.must(err)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("named %q, want %q", got, want)
		}
		b.expect(`SELECT state FROM report.transactions WHERE txid = '`+tx.TxHash().String()+`'`, "unconfirmed")
	}
}
