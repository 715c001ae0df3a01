package sql_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

func pays(a chain.Address, amount int64) *wire.TxOut { return wire.NewTxOut(amount, a.Script) }

func output(tx *wire.MsgTx, n uint32) wire.OutPoint {
	return wire.OutPoint{Hash: tx.TxHash(), Index: n}
}

func (b *bench) expect(query, want string, args ...any) {
	b.Helper()
	if got := strings.Join(b.lines(query, args...), " "); got != want {
		b.Errorf("%s\n has %q, want %q", query, got, want)
	}
}

// started is a bench that follows an empty chain from height 4 on and watches
// the addresses.
func started(t *testing.T, watched ...chain.Address) (*bench, *chaintest.Chain) {
	t.Helper()
	b, c := newBench(t, telling()), chaintest.NewChain()
	c.MineEmpty(3)
	b.begin(c, 3)
	for _, a := range watched {
		b.watch(listing(a))
	}
	return b, c
}

// A history of 120 transactions, page by page, newest first: what is spent is
// read before what it spends. Reading it again writes nothing, and another
// explorer that says the same adds its word alone.
func TestLongHistory(t *testing.T) {
	b, c, a := newBench(t, telling()), chaintest.NewChain(), address(1)
	made := c.History(a.Script, 120)
	tip, _ := c.Tip()
	b.begin(c, tip)
	b.watch(listing(a))
	byID := map[chainhash.Hash]*wire.MsgTx{}
	for _, tx := range made {
		byID[tx.TxHash()] = tx
	}
	var received, sent int64
	var all []*chain.Transaction
	for i, tx := range made {
		spent := make([]*wire.TxOut, len(tx.TxIn))
		for n, in := range tx.TxIn {
			if from, ok := byID[in.PreviousOutPoint.Hash]; ok {
				spent[n] = from.TxOut[in.PreviousOutPoint.Index]
			}
		}
		received += int64(1000 + i)
		if i%4 == 3 {
			sent += int64(1000 + i - 1)
		}
		all = append(all, confirmed(tx, c, tip, spent...))
	}
	slices.Reverse(all)
	for page := range slices.Chunk(all, 25) {
		if r := b.report("alpha", page...); r.News != len(page) {
			t.Fatalf("%+v of %d", r, len(page))
		}
	}
	b.must(b.writer.HistoryRead(t.Context(), b.question(a), "alpha"))
	b.expect(balanceLines, fmt.Sprint(a.Text, "|", received-sent, "|", received, "|", sent, "|0|120"))
	b.expect(`SELECT count(*)::text FROM btcwatch.alert`, "0")
	b.expect(`SELECT DISTINCT historic::text || (first_seen_at IS NULL)::text FROM report.transactions`, "truetrue")

	before := b.dump()
	b.report("alpha", all...)
	b.writer = b.store.Writer(b.lead, telling(), nil) // as after a restart
	b.report("alpha", all...)
	if b.dump() != before {
		t.Error("reading the same again wrote something")
	}
	b.report("beta", all...)
	b.expect(`SELECT count(*)::text FROM btcwatch.observation`, "240")
	b.expect(`SELECT count(*)::text FROM btcwatch.tx_event`, "120")
	b.expect(balanceLines, fmt.Sprint(a.Text, "|", received-sent, "|", received, "|", sent, "|0|120"))
}

// What one scripted life of each kind of payment adds up to, worked out by hand.
func TestPaymentsOfEachKind(t *testing.T) {
	a, a2, other := address(1), address(2), address(8)
	b, c := started(t, a, a2)
	in := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 700), pays(a, 300), pays(a2, 50_000), pays(other, 9))
	c.Mine(in)
	b.follow(c)
	b.expect(balanceLines, strings.Join(sorted(a.Text+"|null|1000|0|0|1", a2.Text+"|null|50000|0|0|1"), " "))
	self := transaction(2, []wire.OutPoint{output(in, 2)}, pays(a2, 49_000))
	first := transaction(3, []wire.OutPoint{output(in, 0)}, pays(a, 100), pays(other, 500))
	second := transaction(4, []wire.OutPoint{output(first, 0)}, pays(a2, 60)) // within one block
	c.Mine(self, first, second)
	b.follow(c)
	b.expect(balanceLines, strings.Join(sorted(a.Text+"|null|1100|800|0|3", a2.Text+"|null|99060|50000|0|3"), " "))
	lines := b.lines(`SELECT concat_ws('|', address, left(txid, 8), direction, amount_sat, coalesce(fee_sat::text, 'null'), proof) FROM report.transactions`)
	want := sorted(
		a.Text+"|"+in.TxID()[:8]+"|in|1000|null|proven",
		a2.Text+"|"+in.TxID()[:8]+"|in|50000|null|proven",
		a2.Text+"|"+self.TxID()[:8]+"|self|1000|1000|proven",
		a.Text+"|"+first.TxID()[:8]+"|out|600|100|proven",
		a.Text+"|"+second.TxID()[:8]+"|out|100|40|proven",
		a2.Text+"|"+second.TxID()[:8]+"|in|60|40|proven",
	)
	if !slices.Equal(lines, want) {
		t.Errorf("transactions\n%s, want\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	b.expect(counterpartyLines, strings.Join(sorted(
		a.Text+"|"+other.Text+"|out|500|1", a.Text+"|"+a2.Text+"|out|60|1", a2.Text+"|"+a.Text+"|in|60|1",
	), " "))
}

func sorted(lines ...string) []string {
	slices.Sort(lines)
	return lines
}

// Outputs at the limits: 3,000 of them, all the money there is, nothing, and
// scripts of no byte, of 10,000 bytes and OP_RETURN, also as spent outputs.
func TestStrangeOutputs(t *testing.T) {
	a := address(1)
	b, _ := started(t, a)
	long := bytes.Repeat([]byte{0x61}, 10_000)
	tx := transaction(1, []wire.OutPoint{stranger(1), stranger(2), stranger(3)},
		pays(a, chain.MaxMoney), wire.NewTxOut(0, nil), wire.NewTxOut(0, []byte{}), wire.NewTxOut(0, long),
		wire.NewTxOut(0, []byte{0x6a, 0x01, 0x00}), pays(a, 0))
	b.report("alpha", seen(tx, wire.NewTxOut(chain.MaxMoney, nil), wire.NewTxOut(0, long), wire.NewTxOut(1, []byte{})))
	b.expect(`SELECT octet_length(s.script)::text FROM btcwatch.tx_output o JOIN btcwatch.script s ON s.id = o.script_id`, "0 0 10000 25 25 3")
}

func TestManyOutputs(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)})
	for i := range 3000 {
		out := pays(a, 1)
		if i%3 > 0 {
			out = wire.NewTxOut(2, []byte{0x02, byte(i), byte(i >> 8)})
		}
		tx.AddTxOut(out)
	}
	c.Mine(tx)
	b.follow(c)
	b.expect(balanceLines, a.Text+"|null|1000|0|0|1")
	b.expect(`SELECT count(*)::text FROM btcwatch.tx_output`, "3000")
	b.expect(`SELECT count(*)::text || ' ' || sum(amount_sat) FROM report.movements`, "1000 1000")
}

// A debit that only an explorer states, seen unconfirmed, is still there when a
// block confirms it, which shows nothing of it.
func TestStatedDebitOutlivesConfirmation(t *testing.T) {
	a, a2 := address(1), address(2)
	b, c := started(t, a, a2)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a2, 900))
	b.report("alpha", seen(tx, pays(a, 1000)))
	b.expect(balanceLines, strings.Join(sorted(a.Text+"|null|0|0|-1000|0", a2.Text+"|null|0|0|900|0"), " "))
	c.Mine(tx)
	b.follow(c)
	b.expect(balanceLines, strings.Join(sorted(a.Text+"|null|0|1000|0|1", a2.Text+"|null|900|0|0|1"), " "))
	b.expect(`SELECT address || ' ' || proof FROM report.transactions`, strings.Join(sorted(a.Text+" reported", a2.Text+" proven"), " "))
}

// An amount that an explorer made up is never called proven, also not when the
// transaction comes that shows another.
func TestFalseAmountIsNeverProven(t *testing.T) {
	a, other := address(1), address(8)
	b, c := started(t, a)
	from := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000))
	c.Mine(from)
	spend := transaction(2, []wire.OutPoint{output(from, 0)}, pays(other, 4900))
	c.Mine(spend)
	lie := seen(spend, pays(a, 1))
	lie.Place = &chain.Place{Height: 5, Block: c.BlockAt(5).BlockHash(), Time: time.Now(), Index: -1}
	b.report("alpha", lie)
	b.follow(c)
	b.expect(`SELECT txid || ' ' || amount_sat || ' ' || proof FROM report.transactions WHERE direction = 'out' AND proof = 'proven' AND amount_sat <> 5000`, "")
	b.expect(`SELECT amount_sat::text FROM report.movements WHERE direction = 'out' AND NOT stated AND amount_sat <> 5000`, "")
}

// A transaction that is recorded for one address counts for another that is
// added later, also when nothing was committed between.
func TestAddressAddedBetweenReadings(t *testing.T) {
	a, a2 := address(1), address(2)
	b, _ := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 10_000), pays(a2, 20_000))
	b.report("alpha", seen(tx))
	b.watch(listing(a2))
	b.report("alpha", seen(tx))
	b.expect(balanceLines, strings.Join(sorted(a.Text+"|null|0|0|10000|0", a2.Text+"|null|0|0|20000|0"), " "))
	b.expect(`SELECT s.address FROM btcwatch.alert a JOIN btcwatch.script s ON s.id = a.script_id`, strings.Join(sorted(a.Text, a2.Text), " "))
}

// Who paid is recorded when an explorer says so later, also the one that served
// the block.
func TestInputsLearntAfterTheBlock(t *testing.T) {
	a, payer := address(1), address(8)
	b, c := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 900))
	c.Mine(tx)
	b.follow(c)
	b.expect(counterpartyLines, "")
	b.report("alpha", confirmed(tx, c, 4, pays(payer, 1000)))
	b.expect(counterpartyLines, a.Text+"|"+payer.Text+"|in|900|1")
	b.expect(`SELECT fee_sat::text FROM report.transactions`, "100")
	before := b.dump()
	b.report("alpha", confirmed(tx, c, 4, pays(payer, 1000)))
	if b.dump() != before {
		t.Error("reading the same again wrote something")
	}
}

// After a reorganisation below the height at which an address joined, what the
// new branch holds is news.
func TestPaymentInTheBranchBelowTheJoin(t *testing.T) {
	a := address(1)
	b, c := started(t)
	c.MineEmpty(3)
	b.follow(c)
	b.watch(listing(a)) // joins at 6
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 10_000))
	c.Reorg(2, tx) // the payment is in block 5
	b.must(b.writer.StepBack(t.Context(), 4))
	for restart := range 2 {
		if restart == 1 {
			b.writer = b.store.Writer(b.lead, telling(), nil)
		}
		_, err := b.writer.RecordBlock(t.Context(), b.next(c), "alpha", nil)
		b.must(err)
	}
	b.expect(`SELECT type || ' ' || amount_sat FROM report.alerts`, "transaction.confirmed 10000")
	b.expect(`SELECT historic::text FROM report.transactions`, "false")
}

func TestRestartBetweenForkAndBranch(t *testing.T) {
	a := address(1)
	b, c := started(t)
	c.MineEmpty(3)
	b.follow(c)
	b.watch(listing(a))
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 10_000))
	c.Reorg(2, tx)
	b.must(b.writer.StepBack(t.Context(), 4))
	b.writer = b.store.Writer(b.lead, telling(), nil)
	b.follow(c)
	b.expect(`SELECT type || ' ' || amount_sat FROM report.alerts WHERE NOT quiet`, "transaction.confirmed 10000")
}

// A coinbase cannot stand in another block: with its own it is dropped, shows
// what it was, and counts nowhere.
func TestCoinbaseOfABlockThatLeft(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	c.CoinbaseScript = a.Script
	paid := c.Mine().Transactions[0].TxOut[0].Value
	b.follow(c)
	old, _ := c.Tip()
	c.CoinbaseScript = address(8).Script
	c.Reorg(1)
	b.must(b.writer.StepBack(t.Context(), old-1))
	b.follow(c)
	b.expect(balanceLines, a.Text+"|null|0|0|0|0")
	b.expect(`SELECT concat_ws(' ', state, direction, amount_sat, confirmations, block_height) FROM report.transactions`, fmt.Sprint("dropped in ", paid, " 0"))
	b.expect(movementLines, "")
	b.expect(`SELECT type FROM report.alerts`, "transaction.confirmed transaction.reorged")
}

func TestConfidentialIsNotAskedAbout(t *testing.T) {
	secret, open := address(1), address(2)
	b, c := started(t, open)
	l := listing(secret)
	l.Confidential = true
	b.watch(l)
	if q := b.question(secret); q != nil {
		t.Error("a confidential address is among the questions")
	}
	both := transaction(1, []wire.OutPoint{stranger(1)}, pays(secret, 1), pays(open, 1))
	one := transaction(2, []wire.OutPoint{stranger(2)}, pays(open, 1))
	c.Mine(both, one)
	unknown, err := b.writer.Unknown(t.Context(), b.next(c))
	b.must(err)
	if len(unknown) != 1 || unknown[0].ID != one.TxHash() {
		t.Errorf("%d transactions may be asked about", len(unknown))
	}
}

func TestOldEpochIsRefused(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	old, err := b.store.TakeLead(t.Context())
	if !errors.Is(err, sql.ErrStandby) || old != nil {
		t.Fatalf("a second lead beside the first: %v", err)
	}
	b.lead.Release(t.Context())
	lead := b.takeLead()
	defer lead.Release(context.Background())
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 900)))
	block := b.next(c)
	before := b.dump()
	for name, write := range map[string]func() error{
		"Record": func() error {
			_, err := b.writer.Record(t.Context(), "alpha", []*chain.Transaction{seen(transaction(2, []wire.OutPoint{stranger(2)}, pays(a, 5)))})
			return err
		},
		"RecordBlock": func() error { _, err := b.writer.RecordBlock(t.Context(), block, "alpha", nil); return err },
		"Unknown":     func() error { _, err := b.writer.Unknown(t.Context(), block); return err },
		"StepBack":    func() error { return b.writer.StepBack(t.Context(), 2) },
		"SetStart":    func() error { return b.writer.SetStart(t.Context(), sql.Start{Height: 9}) },
		"RaiseStart":  func() error { return b.writer.RaiseStart(t.Context(), chainhash.Hash{}, "") },
		"BeginOutage": func() error { return b.writer.BeginOutage(t.Context(), "blocks", "", "reason", time.Now()) },
		"EndOutage":   func() error { return b.writer.EndOutage(t.Context(), "blocks", "") },
		"TellDaily":   func() error { return b.writer.TellDaily(t.Context(), sql.Daily{Date: "2026-01-01"}) },
		"HistoryRead": func() error { return b.writer.HistoryRead(t.Context(), b.question(a), "alpha") },
		"TellImports": func() error { _, err := b.writer.TellImports(t.Context(), 0, 0); return err },
	} {
		if err := write(); !errors.Is(err, sql.ErrFenced) {
			t.Errorf("%s of an old epoch: %v", name, err)
		}
	}
	if b.dump() != before {
		t.Error("an old epoch wrote something")
	}
	fresh := b.store.Writer(lead, telling(), nil)
	if _, err := fresh.RecordBlock(t.Context(), block, "alpha", nil); err != nil {
		t.Error(err)
	}
}

// takeLead waits until the server has seen the end of the last one.
func (b *bench) takeLead() *sql.Lead {
	b.Helper()
	for {
		lead, err := b.store.TakeLead(b.Context())
		if !errors.Is(err, sql.ErrStandby) {
			b.must(err)
			return lead
		}
	}
}

func TestBlockThatIsNotNext(t *testing.T) {
	b, c := started(t, address(1))
	c.MineEmpty(2)
	block := b.next(c)
	_, err := b.writer.RecordBlock(t.Context(), block, "alpha", nil)
	b.must(err)
	before := b.dump()
	if _, err := b.writer.RecordBlock(t.Context(), block, "alpha", nil); !errors.Is(err, sql.ErrNotNext) {
		t.Errorf("the same block again: %v", err)
	}
	b.must(b.writer.StepBack(t.Context(), block.Height)) // nothing above it
	if err := b.writer.StepBack(t.Context(), 1); err == nil {
		t.Error("stepped back to a block below the start")
	}
	if b.dump() != before {
		t.Error("a refusal wrote something")
	}
}

func TestStoredStartWins(t *testing.T) {
	b, c := started(t)
	c.MineEmpty(1)
	b.follow(c)
	before := b.dump()
	b.must(b.writer.SetStart(t.Context(), sql.Start{Height: 100, RestsOn: "another"}))
	if b.dump() != before {
		t.Error("a second start changed something")
	}
	start, ok, err := b.store.LatestStart(t.Context())
	if err != nil || !ok || start.Height != 4 || start.RestsOn != "a test" || !start.Proves {
		t.Errorf("start %+v %v %v", start, ok, err)
	}
}

func TestListChanges(t *testing.T) {
	a := address(1)
	b, _ := started(t, a)
	if changed, err := b.store.Watch(t.Context(), listing(a), "tester"); err != nil || changed.Import != 0 {
		t.Errorf("the same listing again: %+v %v", changed, err)
	}
	if changed, err := b.store.Watch(t.Context(), pressed(a), "tester"); err != nil || changed.Changed != 1 {
		t.Errorf("another source: %+v %v", changed, err)
	}
	inFile := listing(a)
	changed, err := b.store.SyncConfig(t.Context(), []watchlist.Listing{inFile})
	if err != nil || changed.Added != 1 {
		t.Errorf("on the file's list too: %+v %v", changed, err)
	}
	if changed, err := b.store.Retire(t.Context(), a, "tester"); err != nil || changed.Retired != 1 {
		t.Errorf("retired by command: %+v %v", changed, err)
	}
	if _, err := b.store.Retire(t.Context(), a, "tester"); !errors.Is(err, sql.ErrNotWatched) {
		t.Errorf("what the file keeps is retired by command: %v", err)
	}
	b.expect(`SELECT address || ' ' || list || (retired_at IS NULL)::text FROM report.addresses`, a.Text+" configtrue")
	if changed, err := b.store.SyncConfig(t.Context(), nil); err != nil || changed.Retired != 1 {
		t.Errorf("gone from the file: %+v %v", changed, err)
	}
	b.expect(`SELECT address || ' ' || (retired_at IS NULL)::text FROM report.addresses`, a.Text+" false")
	if _, err := b.store.Watch(t.Context(), listing(a), "tester"); err != nil {
		t.Error(err)
	}
	b.expect(`SELECT address || ' ' || list || (retired_at IS NULL)::text FROM report.addresses`, a.Text+" commandtrue")
}

func TestImportIsToldOnce(t *testing.T) {
	a, a2 := address(1), address(2)
	b, _ := started(t)
	_, err := b.store.SyncConfig(t.Context(), []watchlist.Listing{listing(a), listing(a2)})
	b.must(err)
	tell := func(patience time.Duration, wantWaiting int, wantTold string) {
		t.Helper()
		waiting, err := b.writer.TellImports(t.Context(), patience, 0)
		if err != nil || waiting != wantWaiting {
			t.Errorf("%d wait, want %d (%v)", waiting, wantWaiting, err)
		}
		b.expect(`SELECT count(*)::text FROM report.alerts WHERE type = 'list.changed'`, wantTold)
	}
	tell(time.Hour, 1, "0")
	b.must(b.writer.HistoryRead(t.Context(), b.question(a), "alpha"))
	tell(time.Hour, 1, "0")
	b.must(b.writer.HistoryRead(t.Context(), b.question(a2), "alpha"))
	tell(time.Hour, 0, "1")
	tell(0, 0, "1")
	_, err = b.store.Retire(t.Context(), a, "tester")
	if !errors.Is(err, sql.ErrNotWatched) {
		t.Error(err)
	}
	b.watch(listing(address(3)))
	tell(time.Hour, 1, "1")
	tell(0, 0, "2")
	b.watch(pressed(a)) // a change with no history to wait for
	tell(time.Hour, 0, "3")
}

func TestOutageIsOneEpisode(t *testing.T) {
	b, _ := started(t)
	since := time.Now().Add(-time.Hour)
	for range 2 {
		b.must(b.writer.BeginOutage(t.Context(), "mempool", "", "nobody answers", since))
		b.must(b.writer.BeginOutage(t.Context(), "explorer", "alpha", "timeout", since))
	}
	b.expect(`SELECT type FROM report.alerts`, "explorer.failing watch.blind")
	for range 2 {
		b.must(b.writer.EndOutage(t.Context(), "mempool", ""))
		b.must(b.writer.EndOutage(t.Context(), "explorer", "alpha"))
	}
	b.expect(`SELECT type FROM report.alerts`, "explorer.failing explorer.recovered watch.blind watch.restored")
	b.expect(`SELECT kind || ' ' || reason FROM report.gaps`, "mempool nobody answers")
	b.must(b.writer.BeginOutage(t.Context(), "mempool", "", "again", since))
	b.expect(`SELECT count(*)::text FROM report.alerts WHERE type = 'watch.blind'`, "2")
	for range 2 {
		b.must(b.writer.TellDaily(t.Context(), sql.Daily{Date: "2026-01-02"}))
	}
	b.expect(`SELECT count(*)::text FROM report.alerts WHERE type = 'report.daily'`, "1")
}

// Silence is the time since any explorer answered, once all have failed since.
func TestSilentSince(t *testing.T) {
	b, _ := started(t)
	b.must(b.store.SetExplorers(t.Context(), []explorer.Settings{{Name: "alpha", Kind: "esplora"}, {Name: "beta", Kind: "esplora"}}))
	wants := func(want *time.Time) {
		t.Helper()
		got, err := b.store.SilentSince(t.Context())
		b.must(err)
		if (got == nil) != (want == nil) || got != nil && !got.Equal(*want) {
			t.Errorf("silent since %v, want %v", got, want)
		}
	}
	at := func(minute int) *time.Time {
		when := time.Date(2026, 1, 2, 3, minute, 0, 0, time.UTC)
		return &when
	}
	save := func(name string, good, bad *time.Time) {
		b.must(b.store.SaveExplorer(t.Context(), sql.ExplorerState{Name: name, State: "failing", LastSuccess: good, LastError: "no answer", LastErrorAt: bad}))
	}
	wants(nil)
	save("alpha", at(1), at(5))
	save("beta", at(3), at(2))
	wants(nil)
	save("beta", at(3), at(4))
	wants(at(3))
	save("beta", at(6), at(4))
	wants(nil)
}

// Explorers answer at the same time as blocks come in: whoever is first, the
// record is the same.
func TestExplorersAndBlocksAtOnce(t *testing.T) {
	a, payer := address(1), address(8)
	b, c := started(t, a)
	var page []*chain.Transaction
	for i := range uint32(30) {
		tx := transaction(i, []wire.OutPoint{stranger(byte(i))}, pays(a, 2000))
		page = append(page, seen(tx, pays(payer, 2500)))
		if i%3 == 2 {
			c.Mine(page[i-2].Msg, page[i-1].Msg, page[i].Msg)
		}
	}
	var all sync.WaitGroup
	for _, explorer := range []string{"alpha", "beta", "gamma"} {
		all.Go(func() {
			for part := range slices.Chunk(page, 7) {
				if _, err := b.writer.Record(t.Context(), explorer, part); err != nil {
					t.Error(err)
				}
			}
		})
	}
	b.follow(c)
	all.Wait()
	b.expect(balanceLines, a.Text+"|null|60000|0|0|30")
	b.expect(counterpartyLines, a.Text+"|"+payer.Text+"|in|60000|30")
	b.expect(`SELECT state || ' ' || proof || ' ' || fee_sat || ' ' || count(*) FROM report.transactions GROUP BY state, proof, fee_sat`, "confirmed proven 500 30")
	b.expect(`SELECT count(*)::text FROM btcwatch.alert WHERE type = 'transaction.confirmed' AND NOT quiet`, "30")
	b.dangling()
}

// What an explorer said is in a block, and is not in the one that is then
// verified there, is unconfirmed again, and whoever was told learns it.
func TestConfirmationThatTheBlockContradicts(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 9000))
	lie := seen(tx)
	lie.Place = &chain.Place{Height: 4, Block: chainhash.Hash{4}, Time: time.Unix(1_700_000_000, 0).UTC(), Index: -1}
	b.report("alpha", lie)
	b.expect(balanceLines, a.Text+"|null|9000|0|0|1")
	c.MineEmpty(1)
	b.follow(c)
	b.expect(balanceLines, a.Text+"|null|0|0|9000|0")
	b.expect(`SELECT type FROM report.alerts`, "transaction.confirmed transaction.reorged")
	c.Mine(tx)
	b.follow(c)
	b.expect(balanceLines, a.Text+"|null|9000|0|0|1")
	b.expect(`SELECT state || ' ' || proof || ' ' || block_height FROM report.transactions`, "confirmed proven 5")
	b.expect(`SELECT type FROM report.alerts`, "transaction.confirmed transaction.confirmed transaction.reorged")
}

// An address listed after a transaction of it was recorded for another shares
// in what a reorganisation does to it.
func TestReorgOfATransactionOfANewAddress(t *testing.T) {
	a, a2 := address(1), address(2)
	b, c := started(t, a)
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 5000), pays(a2, 7000)))
	b.follow(c)
	b.watch(listing(a2))
	b.must(b.writer.StepBack(t.Context(), 3))
	b.expect(balanceLines, strings.Join(sorted(a.Text+"|null|0|0|5000|0", a2.Text+"|null|0|0|7000|0"), " "))
	b.expect(`SELECT address || ' ' || amount_sat || ' ' || state FROM report.transactions`,
		strings.Join(sorted(a.Text+" 5000 unconfirmed", a2.Text+" 7000 unconfirmed"), " "))
}
