package daemon

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// onNode is an installation over a real btcd node with some blocks.
type onNode struct {
	*world
	node   *chaintest.Node
	wallet *chaintest.Wallet
}

func newNode(t *testing.T) *onNode {
	t.Helper()
	node, err := chaintest.StartNode(t.Context(), chaintest.NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Stop)
	must(node.Generate(t.Context(), 110))
	return &onNode{newWorld(t, node), node, chaintest.NewWallet(node, "")}
}

// mine puts the mempool into a block and waits until that is covered.
func (n *onNode) mine() {
	n.t.Helper()
	must(n.node.Generate(n.t.Context(), 1))
	n.caughtUp(n.node)
}

// seen waits for the first word about a transaction at an address.
func (n *onNode) seen(tx *wire.MsgTx, a chain.Address) alerts.Data {
	n.t.Helper()
	return n.word(alerts.TransactionSeen, tx, a)
}

// word waits for what the file channel is told of a transaction at an address.
func (w *world) word(typ alerts.Type, tx *wire.MsgTx, a chain.Address) alerts.Data {
	w.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		for _, b := range w.delivered() {
			if b.Type == typ && b.Data.TxID == tx.TxHash().String() && b.Data.Address == a.Text {
				return b.Data
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatalf("no %s of %s at %s was delivered\nlog of the daemon:\n%s", typ, tx.TxHash(), a.Text, w.log)
	return alerts.Data{}
}

// TestRealNode is every way in which money moves, on a chain whose rules btcd
// checks; in the end the whole report is held against the blocks.
func TestRealNode(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	n := newNode(t)
	a, b := n.wallet.Address(chain.P2WPKH, 1), n.wallet.Address(chain.P2TR, 2)
	mined, other := n.wallet.Address(chain.P2SH, 3), n.wallet.Address(chain.P2PKH, 9)
	for _, address := range []chain.Address{a, b, mined} {
		n.watch(address, "label")
	}
	var old []*wire.MsgTx
	for i := range 120 { // five pages of history
		old = append(old, must(n.wallet.Pay(ctx, chaintest.Output{Script: a.Script, Value: int64(2000 + i)})))
		if i%40 == 39 {
			must(n.node.Generate(ctx, 1))
		}
	}
	must(n.node.Generate(ctx, 2))
	joined := must(n.node.Height(ctx)) - 1
	n.began(n.node)
	change := n.awaitDelivered(alerts.ListChanged, 1)[0].Data.List
	if change.Added.Count != 3 || change.HistoricPayments != 120 || *change.HistoricReceivedSat != 120*2000+119*60 {
		t.Errorf("list.changed says %+v", change)
	}
	check := func(what string, d alerts.Data, direction alerts.Direction, amount int64) {
		t.Helper()
		if d.Direction != direction || *d.AmountSat != amount {
			t.Errorf("%s: told %s %d, want %s %d", what, d.Direction, *d.AmountSat, direction, amount)
		}
	}

	several := must(n.wallet.Pay(ctx,
		chaintest.Output{Script: b.Script, Value: 40_000}, chaintest.Output{Script: b.Script, Value: 50_000}, chaintest.Output{Script: a.Script, Value: 7_000}))
	check("several outputs to one address", n.seen(several, b), alerts.In, 90_000)
	check("two watched addresses in one transaction", n.seen(several, a), alerts.In, 7_000)
	n.mine()

	out := must(n.wallet.Send(ctx, chaintest.Payment{
		Spend: outpoints(several, b.Script)[:1], Outputs: []chaintest.Output{{Script: other.Script, Value: 15_000}}, Fee: 1_000, Change: b.Script}))
	check("outgoing", n.seen(out, b), alerts.Out, 16_000)
	self := must(n.wallet.Send(ctx, chaintest.Payment{
		Spend: append(outpoints(old[0], a.Script), outpoints(old[1], a.Script)...), Fee: 500, Change: a.Script}))
	check("self-payment", n.seen(self, a), alerts.Within, 500)
	n.mine()

	n.restart()
	between := must(n.wallet.Send(ctx, chaintest.Payment{
		Spend: outpoints(old[2], a.Script), Outputs: []chaintest.Output{{Script: b.Script, Value: 1_600}}, NoChange: true}))
	check("between two watched addresses, out", n.seen(between, a), alerts.Out, 2_002)
	check("between two watched addresses, in", n.seen(between, b), alerts.In, 1_600)
	chained := []*wire.MsgTx{must(n.wallet.Pay(ctx, chaintest.Output{Script: a.Script, Value: 90_000}))}
	for range 4 {
		last := chained[len(chained)-1]
		chained = append(chained, must(n.wallet.Send(ctx, chaintest.Payment{
			Spend: outpoints(last, a.Script), Outputs: []chaintest.Output{{Script: other.Script, Value: 5_000}}, Fee: 1_000, Change: a.Script})))
	}
	for _, tx := range chained[1:] {
		check("unconfirmed chain of spends", n.seen(tx, a), alerts.Out, 6_000)
	}
	n.stop()
	must(n.node.Generate(ctx, 3)) // while nobody watches
	late := must(n.wallet.Pay(ctx, chaintest.Output{Script: b.Script, Value: 12_345}))
	must(n.node.Generate(ctx, 1))
	n.start()
	n.caughtUp(n.node)
	check("confirmed while the daemon was down", n.word(alerts.TransactionConfirmed, late, b), alerts.In, 12_345)

	coinbase := n.submitBlock(mined.Script)
	n.caughtUp(n.node)
	check("coinbase", n.word(alerts.TransactionConfirmed, coinbase, mined), alerts.In, coinbase.TxOut[0].Value)

	must(n.wallet.Pay(ctx, chaintest.Output{Script: a.Script, Value: 3_333}))
	n.await("1", `SELECT count(*) FROM report.transactions WHERE state = 'unconfirmed'`)
	m := replay(t, n.node, joined, a, b, mined)
	n.compare(m)
	n.comparePaymentsTold(m)
	if repeats := n.checkDelivered(); repeats != 0 {
		t.Errorf("%d alerts were delivered twice", repeats)
	}
	n.expect("0", `SELECT count(*) FROM report.alerts WHERE type IN ('explorer.failing', 'watch.blind', 'transaction.reorged')`)
}

// submitBlock mines a block of its own on the node's tip, whose coinbase pays a
// script.
func (n *onNode) submitBlock(script []byte) *wire.MsgTx {
	n.t.Helper()
	height, tip := must2(n.node.Best(n.t.Context()))
	height++
	tx := wire.NewMsgTx(2)
	input := must(txscript.NewScriptBuilder().AddInt64(int64(height)).AddData([]byte("a miner of our own")).Script())
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Index: wire.MaxPrevOutIndex}, input, nil))
	tx.AddTxOut(wire.NewTxOut(blockchain.CalcBlockSubsidy(height, n.node.Params()), script))
	block := &wire.MsgBlock{
		Header: wire.BlockHeader{
			Version: 0x20000000, PrevBlock: tip, Bits: n.node.Params().PowLimitBits,
			Timestamp: time.Now().Add(time.Minute).Truncate(time.Second),
		},
		Transactions: []*wire.MsgTx{tx},
	}
	chaintest.Seal(block)
	if err := n.node.SubmitBlock(n.t.Context(), block); err != nil {
		n.t.Fatal(err)
	}
	return tx
}

// TestKilledAgainAndAgain kills the daemon with kill -9 at moments of chance
// while payments and blocks go on. Nothing may be lost and nothing doubled.
func TestKilledAgainAndAgain(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	a, b := n.wallet.Address(chain.P2WPKH, 1), n.wallet.Address(chain.P2PKH, 2)
	n.watch(a, "label")
	n.watch(b, "label")
	joined := must(n.node.Height(t.Context())) - 1
	first := n.fork("killed")
	n.caughtUp(n.node)
	n.await("2", `SELECT count(*) FROM btcwatch.coverage`)

	ctx, stop := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	traffic.Go(func() { n.trade(ctx, a, b) })
	seed := rand.Uint64()
	t.Logf("seed of the moments: %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	victim := first
	const kills = 8
	for range kills {
		time.Sleep(time.Duration(400+chance.IntN(1800)) * time.Millisecond) // chance is the point
		victim.kill()
		victim = n.fork("killed")
	}
	stop()
	traffic.Wait()
	must(n.node.Generate(t.Context(), 1))
	n.caughtUp(n.node)
	n.await("", `SELECT string_agg(state, ' ') FROM report.transactions WHERE state <> 'confirmed'`)

	m := replay(t, n.node, joined, a, b)
	if len(m.told) < 20 {
		t.Errorf("only %d payments were made: the test proves little", len(m.told))
	}
	n.compare(m)
	n.comparePaymentsTold(m)
	repeats := n.checkDelivered()
	victim.stop()
	t.Logf("%d payments, %d kills, %d lines repeated", len(m.told), kills, repeats)
	if repeats > kills {
		t.Errorf("%d lines were repeated by %d kills", repeats, kills)
	}
}

// trade pays and spends at two addresses and mines, until the context ends.
func (n *onNode) trade(ctx context.Context, a, b chain.Address) {
	var last *wire.MsgTx
	for i := 0; ctx.Err() == nil; i++ {
		payment := chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: int64(20_000 + i)}, {Script: b.Script, Value: int64(5_000 + i)}}}
		if i%3 == 2 {
			payment = chaintest.Payment{Spend: outpoints(last, a.Script), Outputs: []chaintest.Output{{Script: b.Script, Value: 4_000}}, Fee: 700, Change: a.Script}
		}
		tx, err := n.wallet.Send(ctx, payment)
		if err == nil {
			last = tx
			if i%5 == 4 {
				_, err = n.node.Generate(ctx, 1)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.t.Errorf("trade: %v", err)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(150 * time.Millisecond):
		}
	}
}
