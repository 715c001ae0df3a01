package sql_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// flooded is a bench with a channel for people and one for programs, and a clock
// that the test moves.
type flooded struct {
	*bench
	ledger *chaintest.Chain
	clock  time.Time
}

const floodBurst = 5

func newFlooded(t *testing.T, watched ...chain.Address) *flooded {
	t.Helper()
	tell := sql.Telling{
		Confirmations: []int32{1}, Burst: floodBurst,
		Channels: []alerts.Settings{{Name: "mail", Kind: "email"}, {Name: "hook", Kind: "webhook"}},
	}
	f := &flooded{bench: newBench(t, tell), ledger: chaintest.NewChain(), clock: time.Now().UTC().Truncate(time.Second)}
	sql.SetClock(f.store, func() time.Time { return f.clock })
	f.ledger.MineEmpty(3)
	f.begin(f.ledger, 3)
	for _, a := range watched {
		f.watch(listing(a))
	}
	f.deliverAll("mail")
	f.deliverAll("hook")
	return f
}

// deliverAll takes all that waits for a channel, and gives the bodies.
func (f *flooded) deliverAll(channel string) (all []alerts.Body) {
	f.Helper()
	for {
		claimed, err := f.store.ClaimDeliveries(f.Context(), channel, 100, time.Minute, nil)
		f.must(err)
		for _, d := range claimed {
			var b alerts.Body
			f.must(json.Unmarshal(d.Body, &b))
			all = append(all, b)
			f.must(f.store.Delivered(f.Context(), d))
		}
		if len(claimed) == 0 {
			return all
		}
	}
}

func kindsOf(bodies []alerts.Body) map[alerts.Type]int {
	kinds := map[alerts.Type]int{}
	for _, b := range bodies {
		kinds[b.Type]++
	}
	return kinds
}

// TestAHotWalletsDay: a thousand payments in a day are a thousand alerts; programs
// get each of them, people the burst and hourly sums, in which every other alert is
// counted once, and money once.
func TestAHotWalletsDay(t *testing.T) {
	a, calm := address(1), address(3)
	f := newFlooded(t, a, calm)
	const perBlock, blocks = 8, 144
	var in int64
	for n := range blocks {
		var txs []*wire.MsgTx
		for i := range perBlock {
			amount := int64(10_000 + n*perBlock + i)
			txs, in = append(txs, payOf(n*perBlock+i, a, amount)), in+amount
		}
		if n == 70 {
			txs = append(txs, payOf(60_000, calm, 55_000))
		}
		f.ledger.Mine(txs...)
		f.clock = f.clock.Add(10 * time.Minute)
		f.follow(f.ledger)
		f.must(f.writer.TellSums(f.Context()))
	}
	f.clock = f.clock.Add(61 * time.Minute)
	f.must(f.writer.TellSums(f.Context()))
	f.must(f.writer.TellSums(f.Context())) // there is nothing left
	const payments = perBlock*blocks + 1
	if got := kindsOf(f.deliverAll("hook")); got[alerts.TransactionConfirmed] != payments || len(got) != 1 {
		t.Errorf("programs got %v, want %d", got, payments)
	}
	mail := f.deliverAll("mail")
	kinds := kindsOf(mail)
	singly, summed := kinds[alerts.TransactionConfirmed], int64(0)
	var sumIn int64
	seen := map[string]bool{}
	for _, b := range mail {
		if s := b.Data.Summed; s != nil {
			summed, sumIn = summed+s.Count, sumIn+s.InSat
			if int64(len(s.IDs))+s.More != s.Count || b.Data.Address != a.Text || s.Channel != "mail" || b.Data.Severity != "medium" {
				t.Errorf("a sum says %+v of %s", s, b.Data.Address)
			}
			for _, id := range s.IDs {
				if seen[id] {
					t.Errorf("%s is in two sums", id)
				}
				seen[id] = true
			}
		} else if b.Data.Address == a.Text {
			sumIn += *b.Data.AmountSat
		}
	}
	if int64(singly)+summed != payments || sumIn != in {
		t.Errorf("%d singly and %d summed of %d; %d sat of %d", singly, summed, payments, sumIn, in)
	}
	if sums := kinds[alerts.MessagesSummed]; sums < 20 || sums > 25 || singly-1 > 25*floodBurst {
		t.Errorf("a day is %d sums and %d messages", sums, singly)
	}
	if n := f.count(`SELECT count(*) FROM report.deliveries WHERE channel = 'mail' AND state <> 'delivered'`); n != 0 {
		t.Errorf("%d alerts did not reach the mail", n)
	}
	if n := f.count(`SELECT count(*) FROM report.deliveries WHERE summed AND carried_by IS NULL`); n != 0 {
		t.Errorf("%d alerts are in no sum", n)
	}
}

// TestDustIsNoFlood: ten thousand payments of dust make alerts for the daily
// report, and no message.
func TestDustIsNoFlood(t *testing.T) {
	a := address(1)
	f := newFlooded(t, a)
	for n := range 20 {
		var txs []*wire.MsgTx
		for i := range 500 {
			txs = append(txs, payOf(n*500+i, a, 546))
		}
		f.ledger.Mine(txs...)
	}
	f.follow(f.ledger)
	if n := f.count(`SELECT count(*) FROM btcwatch.alert WHERE type = 'transaction.confirmed' AND quiet`); n != 10_000 {
		t.Errorf("%d alerts", n)
	}
	if n := f.count(`SELECT count(*) FROM btcwatch.delivery WHERE state <> 'delivered'`); n != 0 {
		t.Errorf("%d messages of dust", n)
	}
}

// TestWorseIsNotSummedUp: a message more severe than all of the hour is sent at
// once, and so are as many corrections as the burst allows.
func TestWorseIsNotSummedUp(t *testing.T) {
	a := address(1)
	f := newFlooded(t, a)
	var txs []*wire.MsgTx
	for n := range floodBurst + 3 {
		txs = append(txs, payOf(n, a, 20_000))
	}
	f.ledger.Mine(txs...)
	f.follow(f.ledger)
	if got := len(f.deliverAll("mail")); got != floodBurst {
		t.Fatalf("%d messages", got)
	}
	f.ledger.Mine(transaction(99, []wire.OutPoint{output(txs[0], 0)}, pays(address(8), 19_000)), transaction(98, []wire.OutPoint{output(txs[1], 0)}, pays(address(8), 19_000)))
	f.follow(f.ledger)
	got := f.deliverAll("mail")
	if len(got) != 1 || got[0].Data.Severity != "high" {
		t.Errorf("of two spends in the flood %d were sent at once: %+v", len(got), got)
	}
	f.clock = f.clock.Add(2 * time.Hour)
	f.must(f.writer.TellSums(f.Context()))
	sums := f.deliverAll("mail")
	if len(sums) != 1 || sums[0].Data.Summed == nil || sums[0].Data.Summed.Count != 4 || sums[0].Data.Severity != "high" || sums[0].Data.Summed.OutSat != 20_000 {
		t.Fatalf("the sum says %+v", sums)
	}
	again := payOf(500, a, 20_000) // the hour is over
	f.ledger.Mine(again)
	f.follow(f.ledger)
	if got := kindsOf(f.deliverAll("mail")); got[alerts.TransactionConfirmed] != 1 {
		t.Errorf("after the hour: %v", got)
	}
}

// TestAHundredReplacements: one payment that is replaced a hundred times is one
// thread; people get a bounded number of messages and sums, programs all.
func TestAHundredReplacements(t *testing.T) {
	a := address(1)
	f := newFlooded(t, a)
	for n := range 101 {
		tx := transaction(uint32(n), []wire.OutPoint{stranger(7)}, pays(a, int64(20_000+n)))
		f.clock = f.clock.Add(10 * time.Second)
		f.report("alpha", seen(tx))
	}
	f.clock = f.clock.Add(2 * time.Hour)
	f.must(f.writer.TellSums(f.Context()))
	if n := f.count(`SELECT count(DISTINCT thread) FROM btcwatch.alert WHERE type LIKE 'transaction.%'`); n != 1 {
		t.Errorf("%d threads", n)
	}
	told := f.count(`SELECT count(*) FROM btcwatch.alert WHERE type LIKE 'transaction.%' AND NOT quiet`)
	hook := f.deliverAll("hook")
	if int64(len(hook)) != told || told < 101 {
		t.Errorf("programs got %d of %d", len(hook), told)
	}
	mail := f.deliverAll("mail")
	kinds := kindsOf(mail)
	if len(mail) > 2*floodBurst+1 || kinds[alerts.MessagesSummed] != 1 || kinds[alerts.TransactionReplaced] == 0 {
		t.Errorf("people got %v", kinds)
	}
	var summed int64
	for _, b := range mail {
		if b.Data.Summed != nil {
			summed = b.Data.Summed.Count
		}
	}
	if summed+int64(len(mail)-1) != told {
		t.Errorf("%d summed up and %d singly of %d", summed, len(mail)-1, told)
	}
}

// TestASumThatDies: what it stood for is dead with it, and told on the other
// channels; what waits for a channel that is gone is given up.
func TestASumThatDies(t *testing.T) {
	a := address(1)
	f := newFlooded(t, a)
	var txs []*wire.MsgTx
	for n := range floodBurst + 4 {
		txs = append(txs, payOf(n, a, 20_000))
	}
	f.ledger.Mine(txs...)
	f.follow(f.ledger)
	f.deliverAll("mail")
	f.deliverAll("hook")
	if got := fmt.Sprint(f.lines(`SELECT state || ' ' || count(*) FROM report.deliveries WHERE channel = 'mail' AND summed GROUP BY state`)); got != "[waiting 4]" {
		t.Error(got)
	}
	f.clock = f.clock.Add(time.Hour)
	f.must(f.writer.TellSums(f.Context()))
	claimed, err := f.store.ClaimDeliveries(f.Context(), "mail", 10, time.Minute, nil)
	f.must(err)
	if len(claimed) != 1 {
		t.Fatalf("%d sums", len(claimed))
	}
	f.must(f.writer.DeliveryDied(f.Context(), claimed[0], "550 no such mailbox"))
	if got := fmt.Sprint(f.lines(`SELECT state || ' ' || last_error || ' ' || count(*) FROM report.deliveries WHERE summed GROUP BY state, last_error`)); got != "[dead 550 no such mailbox 4]" {
		t.Error(got)
	}
	if got := kindsOf(f.deliverAll("hook")); got[alerts.ChannelFailing] != 1 {
		t.Errorf("the other channel heard %v", got)
	}
}

// TestFoldedForAChannelThatIsGone: they are given up with what else waits for it.
func TestFoldedForAChannelThatIsGone(t *testing.T) {
	a := address(1)
	f := newFlooded(t, a)
	for n := range floodBurst + 2 {
		f.ledger.Mine(payOf(n, a, 20_000))
	}
	f.follow(f.ledger)
	f.deliverAll("mail")
	w := f.store.Writer(f.lead, sql.Telling{Confirmations: []int32{1}, Burst: floodBurst, Channels: []alerts.Settings{{Name: "hook", Kind: "webhook"}}}, nil)
	f.must(w.GiveUpUnconfigured(f.Context()))
	f.clock = f.clock.Add(2 * time.Hour)
	f.must(w.TellSums(f.Context()))
	if got := fmt.Sprint(f.lines(`SELECT state || ' ' || count(*) FROM report.deliveries WHERE channel = 'mail' AND state <> 'delivered' GROUP BY state`)); got != "[dead 2]" {
		t.Error(got)
	}
	if got := f.deliverAll("hook"); kindsOf(got)[alerts.ChannelFailing] != 1 {
		t.Errorf("%v", kindsOf(got))
	}
}
