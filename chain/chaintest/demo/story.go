package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// explorers are the three that the daemon asks, each of another kind. The first
// of them is the one that lies.
var explorers = []struct{ name, operator, kind string }{
	{"explorer-one", "the first operator", "esplora"},
	{"explorer-two", "the second operator", "blockbook"},
	{"own-node", "the demo itself", "node"},
}

// dust is an amount that is worth no message: up to 1,000 satoshis.
const dust = 777

func (w *world) play(ctx context.Context) error {
	for _, act := range []func(context.Context) error{
		w.beginChain, w.openReceivers, w.beginWatch,
		w.paymentComesIn, w.twoAtOnceAndDust, w.moneyGoesOut,
		w.paymentReplaced, w.blocksLeave, w.explorerLies,
		w.receiverBreaks, w.killBoth, w.startAgain, w.hints,
		w.lookAtRecord, w.handOver, w.count,
	} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) beginChain(ctx context.Context) error {
	w.say.heading("The chain")
	node, err := startNode(ctx)
	if err != nil {
		return err
	}
	w.later(node.Stop)
	w.node, w.wallet = node, chaintest.NewWallet(node, "")
	w.own = w.wallet.Address(chain.P2WPKH, 1)
	list, err := watchList(w.own)
	if err != nil {
		return err
	}
	w.ledger = newLedger(list)
	if err := w.fillChain(ctx); err != nil {
		return err
	}
	if err := w.payBefore(ctx); err != nil {
		return err
	}
	height, err := node.Height(ctx)
	w.say.tell("A Bitcoin node (btcd) runs a private test chain (regtest) of %d blocks. One payment of %s to the first address of the article is in it already.", height, btc(w.ledger.effects[0].amount))
	return err
}

// startNode starts btcd. Whatever it is told, it makes a folder .btcd in the
// user's home, and leaves it empty; that is removed if it was not there.
func startNode(ctx context.Context) (*chaintest.Node, error) {
	folder := ""
	if u, err := user.Current(); err == nil {
		folder = filepath.Join(u.HomeDir, ".btcd")
	}
	_, before := os.Stat(folder)
	node, err := chaintest.StartNode(ctx, chaintest.NodeOptions{})
	if errors.Is(before, fs.ErrNotExist) {
		_ = os.Remove(folder) // which does nothing to a folder that is not empty
	}
	return node, err
}

// fillChain gives the node a day of blocks, which make coins that can be spent.
// Mined by the node itself, so many at once would be dated into the future.
func (w *world) fillChain(ctx context.Context) error {
	const blocks = 120
	past := chaintest.NewChain()
	past.CoinbaseScript = chaintest.MiningAddress("").Script
	began := time.Now().Add(-(blocks + 1) * 10 * time.Minute).Truncate(time.Second)
	past.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * 10 * time.Minute) }
	for range blocks {
		if err := w.node.SubmitBlock(ctx, past.Mine()); err != nil {
			return err
		}
	}
	return nil
}

// payBefore makes the payment from before the watch.
func (w *world) payBefore(ctx context.Context) error {
	old, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[0].script, Value: 5_000_000})
	if err != nil {
		return err
	}
	old[0].historic = true
	if err := w.mine(ctx); err != nil {
		return err
	}
	_, err = w.node.Generate(ctx, 2) // the block at the tip is the first that the watch covers
	return err
}

func (w *world) openReceivers(ctx context.Context) error {
	if err := w.serveExplorers(); err != nil {
		return err
	}
	mailServer, stop, err := w.compliance.serve()
	if err != nil {
		return err
	}
	w.later(stop)
	webhook, stop := chaintest.Serve(w.cases)
	w.later(stop)
	w.say.tell("Three explorers of different kinds and operators show that chain: Esplora, Blockbook, and the node itself. A mail server and a webhook receiver wait for alerts.")
	w.mailServer, w.webhook = mailServer, webhook+"/hooks/btcwatch"
	return w.writeConfig()
}

func (w *world) beginWatch(ctx context.Context) error {
	w.say.heading("The watch begins")
	w.say.tell("btcwatch run: it makes its own Postgres and reads the history of %d addresses:", len(w.ledger.watched))
	for _, l := range w.ledger.watched {
		origin := ""
		if l.original != "" {
			origin = ", on mainnet " + l.original
		}
		w.say.show(fmt.Sprintf("%s  (%s%s)\n", l.text, l.label, origin))
	}
	if err := w.daemon.start(); err != nil {
		return err
	}
	b, err := w.expect(ctx, told{kind: listed})
	if err != nil {
		return err
	}
	if c := b.Data.List; c == nil || c.Added.Count != 3 || c.HistoricPayments != 1 || c.HistoricReceivedSat == nil || *c.HistoricReceivedSat != 5_000_000 {
		return fmt.Errorf("3 addresses were added with 1 old payment of 5000000 satoshis, and the message of it says: %s", b.Data.Summary)
	}
	w.say.happened("One message sums it up: %s", b.Data.Summary)
	w.say.quote(strings.Join(b.Data.Lines, "\n"))
	w.say.proves("what happened before the watch is recorded, and floods nobody with alarms.")
	return nil
}

func (w *world) paymentComesIn(ctx context.Context) error {
	w.say.heading("A payment comes in")
	paid, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[0].script, Value: 25_000_000})
	if err != nil {
		return err
	}
	w.say.tell("Somebody pays %s to the first address. No block holds it yet.", btc(paid[0].amount))
	if err := w.expectSeen(ctx, paid); err != nil {
		return err
	}
	w.say.proves("a payment is told while it is still unconfirmed, and graded \"reported\": so far it is the explorers' word.")
	told, err := w.confirm(ctx, paid)
	if err != nil {
		return err
	}
	for _, e := range explorers {
		if !strings.Contains(told[0].Data.RestsOn, e.operator) {
			return fmt.Errorf("the alert rests on %q, and not on both operators", told[0].Data.RestsOn)
		}
	}
	w.say.proves("\"proven\" means that the daemon has verified the block itself; what it trusts is named: " + told[0].Data.RestsOn + ".")
	return w.showMail(told[0])
}

func (w *world) showMail(b body) error {
	arrived, _ := w.compliance.get(b.Data.ID)
	text, err := readable(arrived.content)
	if err != nil {
		return fmt.Errorf("read the mail of alert %s: %w", b.Data.ID, err)
	}
	w.say.tell("The mail, as it arrived:")
	w.say.quote(text)
	return nil
}

func (w *world) twoAtOnceAndDust(ctx context.Context) error {
	w.say.heading("Two addresses in one payment, and dust")
	paid, err := w.pay(ctx,
		chaintest.Output{Script: w.ledger.watched[1].script, Value: 3_000_000},
		chaintest.Output{Script: w.own.Script, Value: 40_000_000})
	if err != nil {
		return err
	}
	w.say.tell("One transaction pays %s to the second address and %s to the demo's own.", btc(paid[0].amount), btc(paid[1].amount))
	if _, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[0].script, Value: dust}); err != nil {
		return err
	}
	w.say.tell("Another sends %d satoshis of dust to the first, as advertisers and trackers do.", dust)
	if err := w.expectSeen(ctx, paid); err != nil {
		return err
	}
	if _, err := w.confirm(ctx, paid); err != nil {
		return err
	}
	w.say.proves("each address is told its own part. (That the dust is recorded and made no message is checked at the end.)")
	return nil
}

func (w *world) moneyGoesOut(ctx context.Context) error {
	w.say.heading("Money goes out")
	spend, err := w.wallet.Send(ctx, chaintest.Payment{
		Outputs: []chaintest.Output{{Script: w.wallet.Address(chain.P2TR, 9).Script, Value: 10_000_000}},
		Spend:   w.coinsOf(w.own.Script), Fee: 1_000, Change: w.own.Script,
	})
	if err != nil {
		return err
	}
	out := w.ledger.add(spend)
	w.say.tell("The demo's own address pays %s to a stranger, and gets %s back as change.", btc(10_000_000), btc(spend.TxOut[1].Value))
	if err := w.expectSeen(ctx, out); err != nil {
		return err
	}
	if _, err := w.confirm(ctx, out); err != nil {
		return err
	}
	w.say.proves("money out is graded \"high\"; the amount is what left the address, fee included and change not counted.")
	return nil
}

func (w *world) coinsOf(script []byte) []wire.OutPoint {
	var points []wire.OutPoint
	for at, out := range w.ledger.coins {
		if string(out.PkScript) == string(script) {
			points = append(points, at)
		}
	}
	return points
}

func (w *world) receiverBreaks(ctx context.Context) error {
	w.say.heading("A receiver breaks down, and then everything is killed")
	w.cases.breakDown()
	w.say.tell("The webhook receiver is out of order: it answers 503 to everything.")
	paid, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[1].script, Value: 1_500_000})
	if err != nil {
		return err
	}
	w.say.tell("Somebody pays %s to the second address.", btc(paid[0].amount))
	b, err := w.expect(ctx, told{kind: seen, about: paid[0]}, w.cases.inbox)
	if err != nil {
		return err
	}
	if err := w.await(ctx, "the webhook's first try", func() (bool, error) { return len(w.cases.refusals()) > 0, nil }); err != nil {
		return err
	}
	if refused := w.cases.refusals(); len(refused) != 1 || refused[0] != b.Data.ID {
		return fmt.Errorf("the receiver refused %v, and the alert is %s", refused, b.Data.ID)
	}
	w.say.happened("Mail and file have alert %s; the receiver refused it.", b.Data.ID)
	w.say.proves("one channel that fails never holds up another.")
	w.late = paid[0]
	return w.awaitRest(ctx)
}

// awaitRest waits until no try is under way. One that is cut off by a kill is
// lost neither, but nobody takes it up again before a minute and a half has
// passed, and who looks on has not got that long.
func (w *world) awaitRest(ctx context.Context) error {
	return w.await(ctx, "the failed delivery on record", func() (bool, error) {
		rows, err := w.daemon.rows(ctx, `SELECT channel, last_error IS NOT NULL FROM deliveries WHERE state <> 'delivered'`)
		for _, row := range rows {
			if row != "cases|t" {
				return false, fmt.Errorf("the database says %q", rows)
			}
		}
		return err == nil, err
	})
}

func (w *world) killBoth(ctx context.Context) error {
	if err := w.daemon.kill(); err != nil {
		return err
	}
	w.say.tell("kill -9: the daemon and its Postgres, in the same moment. Nobody watches now.")
	paid, err := w.pay(ctx, chaintest.Output{Script: w.ledger.watched[0].script, Value: 7_500_000})
	if err != nil {
		return err
	}
	if err := w.mine(ctx); err != nil {
		return err
	}
	w.missed = paid[0]
	w.say.tell("Meanwhile somebody pays %s to the first address, and a block confirms both payments.", btc(paid[0].amount))
	return nil
}

func (w *world) startAgain(ctx context.Context) error {
	w.cases.mend()
	began := time.Now()
	if err := w.daemon.start(); err != nil {
		return err
	}
	w.say.tell("The receiver is mended, and btcwatch is started again.")
	b, err := w.expect(ctx, told{kind: seen, about: w.late})
	if err != nil {
		return err
	}
	if arrived, _ := w.cases.get(b.Data.ID); arrived.at.Before(began) {
		w.say.tell("(The receiver took alert %s before the kill already: this machine is slow, or somebody else kills too.)", b.Data.ID)
	} else {
		w.say.happened("The receiver now has alert %s, the id that it refused, once.", b.Data.ID)
		w.say.proves("an alert that waits survives the death of the daemon and of its database.")
	}
	if _, err := w.expectConfirmed(ctx, []*effect{w.late, w.missed}); err != nil {
		return err
	}
	w.say.proves("blocks that were mined while nobody watched are caught up, one by one, and verified.")
	return nil
}

// expectSeen waits for the first word about a payment.
func (w *world) expectSeen(ctx context.Context, effects []*effect) error {
	began := time.Now()
	for _, e := range effects {
		b, err := w.expect(ctx, told{kind: seen, about: e})
		if err != nil {
			return err
		}
		w.say.happened("Told %.1f s later by mail, webhook and file: %s", b.Timestamp.Sub(began).Seconds(), b.Data.Summary)
	}
	return nil
}

// confirm mines a block and waits until it is told.
func (w *world) confirm(ctx context.Context, effects []*effect) ([]body, error) {
	if err := w.mine(ctx); err != nil {
		return nil, err
	}
	w.say.tell("A block is mined.")
	return w.expectConfirmed(ctx, effects)
}

func (w *world) expectConfirmed(ctx context.Context, effects []*effect) ([]body, error) {
	var all []body
	for _, e := range effects {
		b, err := w.expect(ctx, told{kind: confirmed, about: e, block: e.block})
		if err != nil {
			return nil, err
		}
		w.say.happened("Confirmed and %s: %s", b.Data.Proof, b.Data.Summary)
		all = append(all, b)
	}
	return all, nil
}
