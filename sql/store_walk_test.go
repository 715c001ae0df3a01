package sql_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// walk is a random life of a store beside the model of it.
type walk struct {
	*bench
	*rand.Rand
	model *model
	chain *chaintest.Chain

	addresses []chain.Address // the first few may be watched
	secret    map[string]bool // confidential, by script
	made      map[chainhash.Hash]*wire.MsgTx
	foreign   map[wire.OutPoint]*wire.TxOut
	free      []wire.OutPoint // made and not spent
	orphans   []*chain.Transaction
	salt      uint32
	said      string // what was done, for the failure
}

const mayBeWatched = 5

func newWalk(t *testing.T, seed uint64) *walk {
	w := &walk{
		bench: newBench(t, telling()), Rand: dice(t, seed), model: newModel(), chain: chaintest.NewChain(),
		secret: map[string]bool{}, made: map[chainhash.Hash]*wire.MsgTx{}, foreign: map[wire.OutPoint]*wire.TxOut{},
	}
	for n := range byte(9) {
		w.addresses = append(w.addresses, address(n+1))
	}
	for range 6 { // some history from before
		w.pay()
		w.pay()
		w.mine()
	}
	height, _ := w.chain.Tip()
	w.model.height = height
	w.begin(w.chain, height)
	return w
}

// pay makes a transaction that spends strangers' outputs and free ones, and
// pays at random.
func (w *walk) pay() {
	w.salt++
	var spends []wire.OutPoint
	var left int64
	for range 1 + w.IntN(3) {
		if len(w.free) > 0 && w.IntN(3) > 0 {
			i := w.IntN(len(w.free))
			at := w.free[i]
			w.free = slices.Delete(w.free, i, i+1)
			spends = append(spends, at)
			left += w.made[at.Hash].TxOut[at.Index].Value
			continue
		}
		w.salt++
		at := wire.OutPoint{Hash: chainhash.Hash{0xee, byte(w.salt), byte(w.salt >> 8)}, Index: w.salt}
		w.foreign[at] = wire.NewTxOut(int64(1+w.IntN(1_000_000)), w.script())
		left += w.foreign[at].Value
		spends = append(spends, at)
	}
	tx := transaction(w.salt, spends)
	only := w.script() // sometimes all of it goes to one script
	for range 1 + w.IntN(4) {
		amount := w.Int64N(left + 1)
		script := only
		if w.salt%5 > 0 {
			script = w.script()
		}
		tx.AddTxOut(wire.NewTxOut(amount, script))
		left -= amount
	}
	id := w.chain.AddMempool(tx)
	w.made[id] = tx
	for i, out := range tx.TxOut {
		if out.Value > 0 {
			w.free = append(w.free, wire.OutPoint{Hash: id, Index: uint32(i)})
		}
	}
}

// script is one of the addresses', or one that has no address.
func (w *walk) script() []byte {
	if w.IntN(8) == 0 {
		return [][]byte{{}, {0x6a, 0x03, 'h', 'e', 'y'}, {0x51}}[w.IntN(3)]
	}
	return w.addresses[w.IntN(len(w.addresses))].Script
}

func (w *walk) mine() {
	w.chain.CoinbaseScript = w.addresses[w.IntN(len(w.addresses))].Script
	pool, _ := w.chain.Mempool(w.Context())
	block := w.chain.Mine(pool[:w.IntN(len(pool)+1)]...)
	w.made[block.Transactions[0].TxHash()] = block.Transactions[0]
}

// spent is what a transaction truly spends.
func (w *walk) spent(tx *wire.MsgTx) (all []*wire.TxOut) {
	for _, in := range tx.TxIn {
		at := in.PreviousOutPoint
		switch from, ok := w.made[at.Hash]; {
		case ok:
			all = append(all, from.TxOut[at.Index])
		default:
			all = append(all, w.foreign[at]) // nil for a coinbase
		}
	}
	return all
}

func (w *walk) touches(tx *wire.MsgTx, a chain.Address) bool {
	return slices.ContainsFunc(append(w.spent(tx), tx.TxOut...), func(out *wire.TxOut) bool {
		return out != nil && string(out.PkScript) == string(a.Script)
	})
}

// open is a random address that explorers may be asked about.
func (w *walk) open() (chain.Address, bool) {
	var open []chain.Address
	for _, a := range w.model.listed {
		if w.model.inForce[string(a.Script)] && !w.secret[string(a.Script)] {
			open = append(open, a)
		}
	}
	if len(open) == 0 {
		return chain.Address{}, false
	}
	return open[w.IntN(len(open))], true
}

func (w *walk) explorer() string { return []string{"alpha", "beta", "gamma"}[w.IntN(3)] }

// say gives a page to the store and to the model.
func (w *walk) say(explorer string, page []*chain.Transaction) {
	if len(page) == 0 {
		return
	}
	if r := w.report(explorer, page...); r.Astray+r.Invented > 0 {
		w.Fatalf("the truth was left out: %+v", r)
	}
	w.model.tell(page, "reported")
}

func (w *walk) mempool(a chain.Address) (page []*chain.Transaction) {
	pool, _ := w.chain.Mempool(w.Context())
	for _, tx := range pool {
		if w.touches(tx, a) {
			page = append(page, seen(tx, w.spent(tx)...))
		}
	}
	return page
}

// history is what the covered chain holds of an address, newest first.
func (w *walk) history(a chain.Address) (all []*chain.Transaction) {
	tip, _ := w.chain.Tip()
	for height := min(w.model.height, tip); height > 0; height-- {
		if hash, known, err := w.store.ChainHash(w.Context(), height); err != nil || known && hash != w.chain.BlockAt(height).BlockHash() {
			w.must(err)
			continue // the daemon holds back what it does not follow
		}
		for _, tx := range w.chain.BlockAt(height).Transactions {
			if w.touches(tx, a) {
				all = append(all, confirmed(tx, w.chain, height, w.spent(tx)...))
			}
		}
	}
	return all
}

func (w *walk) sight() {
	if a, ok := w.open(); ok {
		page := w.mempool(a)
		if w.IntN(4) == 0 { // an explorer that lags
			for _, tx := range w.history(a) {
				if w.IntN(4) == 0 && !tx.Coinbase() {
					page = append(page, seen(tx.Msg, tx.Spent...))
				}
			}
		}
		w.say(w.explorer(), page)
	}
}

func (w *walk) someHistory() {
	if a, ok := w.open(); ok {
		all := w.history(a)
		if len(all) > 0 {
			at := w.IntN(len(all))
			w.say(w.explorer(), all[at:min(len(all), at+1+w.IntN(3))])
		}
	}
}

func (w *walk) wholeHistory() {
	a, ok := w.open()
	if !ok {
		return
	}
	explorer, all := w.explorer(), w.history(a)
	for page := range slices.Chunk(all, 1+w.IntN(10)) {
		w.say(explorer, page)
	}
	q := w.question(a)
	if q == nil {
		w.Fatalf("%s is not among the questions", a.Text)
	}
	w.must(w.writer.HistoryRead(w.Context(), q, explorer))
	w.model.covered[string(a.Script)] = true
	before := w.dump()
	for page := range slices.Chunk(all, 7) {
		if r := w.report(explorer, page...); !reflect.DeepEqual(r, sql.Recorded{}) {
			w.Fatalf("a page that was read before gives %+v", r)
		}
	}
	if w.dump() != before {
		w.Fatal("reading the same again wrote something")
	}
}

// coverBlock records the next block, with what some explorer says of it.
func (w *walk) coverBlock() {
	if tip, _ := w.chain.Tip(); w.model.height >= tip {
		return
	}
	block := w.next(w.chain)
	unknown, err := w.writer.Unknown(w.Context(), block)
	w.must(err)
	said := map[chainhash.Hash]sql.Stated{}
	for _, tx := range unknown {
		if slices.ContainsFunc(w.model.listed, func(a chain.Address) bool {
			return w.secret[string(a.Script)] && w.model.inForce[string(a.Script)] && slices.ContainsFunc(tx.Msg.TxOut, func(o *wire.TxOut) bool { return string(o.PkScript) == string(a.Script) })
		}) {
			w.Fatalf("%s concerns a confidential address and is to be asked about", tx.ID)
		}
		if w.IntN(2) == 0 {
			said[tx.ID] = sql.Stated{Spent: w.spent(tx.Msg), By: w.explorer()}
		}
	}
	_, err = w.writer.RecordBlock(w.Context(), block, w.explorer(), said)
	w.must(err)
	w.model.cover(block)
	var shown []*chain.Transaction
	for i, msg := range block.Transactions {
		if !w.model.shows(msg) && !w.spendsWithin(shown, msg) {
			continue
		}
		tx := &chain.Transaction{ID: block.IDs[i], Msg: msg, Spent: said[block.IDs[i]].Spent,
			Place: &chain.Place{Height: block.Height, Block: block.Hash, Time: block.Time(), Index: i}}
		if tx.Spent == nil {
			tx.Spent = make([]*wire.TxOut, len(msg.TxIn))
		}
		shown = append(shown, tx)
	}
	w.model.tell(shown, "proven")
}

// spendsWithin says whether a transaction spends what an earlier one of the
// block paid to a watched script.
func (w *walk) spendsWithin(shown []*chain.Transaction, msg *wire.MsgTx) bool {
	for _, in := range msg.TxIn {
		for _, tx := range shown {
			if tx.ID == in.PreviousOutPoint.Hash && w.model.watched(tx.Msg.TxOut[in.PreviousOutPoint.Index].PkScript) {
				return true
			}
		}
	}
	return false
}

// reorg replaces the newest blocks of the chain, or goes back to others that
// were replaced, and lets the store step back to the fork.
func (w *walk) reorg() {
	tip, old := w.chain.Tip()
	depth := int32(1 + w.IntN(3))
	if tip-depth < 4 {
		return
	}
	start := w.count(`SELECT min(height) FROM btcwatch.start`)
	if int64(tip-depth) < start-1 {
		return
	}
	for height := tip - depth + 1; height <= tip; height++ {
		for _, tx := range w.chain.BlockAt(height).Transactions[1:] {
			w.orphans = append(w.orphans, confirmed(tx, w.chain, height, w.spent(tx)...))
		}
	}
	w.chain.Fork(tip - depth)
	if w.IntN(3) > 0 {
		for range depth + 1 {
			w.mine()
		}
	} else {
		w.chain.MineEmpty(1)
		w.chain.Switch(old.BlockHash()) // away and back
		if tip-depth >= w.model.height {
			return
		}
	}
	if tip-depth < w.model.height {
		w.must(w.writer.StepBack(w.Context(), tip-depth))
		w.model.stepBack(tip - depth)
	}
}

// stale is an explorer that still shows a block which left the chain.
func (w *walk) stale() {
	a, ok := w.open()
	if !ok || len(w.orphans) == 0 {
		return
	}
	tx := w.orphans[w.IntN(len(w.orphans))]
	hash, covered, err := w.store.ChainHash(w.Context(), tx.Place.Height)
	w.must(err)
	switch {
	case w.model.txs[tx.ID] == nil || !w.touches(tx.Msg, a):
	case !covered || hash == tx.Place.Block:
		w.say(w.explorer(), []*chain.Transaction{tx})
	default:
		before := w.dump()
		if r := w.report(w.explorer(), tx); r.Astray > 1 || r.News > 0 || r.Astray == 1 && w.dump() != before {
			w.Fatalf("another block at a covered height: %+v", r)
		}
	}
}

func (w *walk) changeList() {
	a := w.addresses[w.IntN(mayBeWatched)]
	script := string(a.Script)
	if w.model.inForce[script] && w.IntN(3) == 0 {
		_, err := w.store.Retire(w.Context(), a, "tester")
		w.must(err)
		w.model.inForce[script] = false
		return
	}
	l := listing(a)
	l.Confidential = w.IntN(4) == 0
	w.watch(l)
	w.model.watch(a)
	w.secret[script] = l.Confidential
}

func (w *walk) step() {
	steps := []struct {
		weight int
		name   string
		do     func()
	}{
		{6, "pay", w.pay}, {5, "mine", w.mine}, {8, "cover a block", w.coverBlock}, {5, "sight", w.sight},
		{3, "some history", w.someHistory}, {2, "whole history", w.wholeHistory}, {2, "reorg", w.reorg},
		{1, "stale", w.stale}, {2, "change the list", w.changeList},
	}
	sum := 0
	for _, s := range steps {
		sum += s.weight
	}
	at := w.IntN(sum)
	for _, s := range steps {
		if at -= s.weight; at < 0 {
			w.said = s.name
			s.do()
			return
		}
	}
}

func (w *walk) compare(what string, got, want []string) {
	w.Helper()
	for _, line := range got {
		if !slices.Contains(want, line) {
			w.Errorf("%s has   %s", what, line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			w.Errorf("%s lacks %s", what, line)
		}
	}
	if len(got) != len(want) {
		w.Errorf("%s: %d rows, want %d", what, len(got), len(want))
	}
}

const (
	balanceLines = `SELECT concat_ws('|', address, coalesce(balance_sat::text, 'null'), received_sat, sent_sat, unconfirmed_sat, tx_count)
		FROM report.balances`
	movementLines = `SELECT concat_ws('|', address, txid, direction, index, coalesce(amount_sat::text, 'null'), coalesce(block_height::text, 'null'),
		coalesce(extract(epoch FROM block_time)::bigint::text, 'null'), CASE WHEN stated THEN 'true' ELSE 'false' END)
		FROM report.movements`
	transactionLines = `SELECT concat_ws('|', address, txid, direction, coalesce(amount_sat::text, 'null'), coalesce(fee_sat::text, 'null'),
		state, proof, confirmations, coalesce(block_height::text, 'null'), coalesce(block_hash, 'null'),
		coalesce(extract(epoch FROM block_time)::bigint::text, 'null'), historic::text, (first_seen_at IS NOT NULL)::text)
		FROM report.transactions`
	counterpartyLines = `SELECT concat_ws('|', address, counterparty, direction, amount_sat, tx_count) FROM report.counterparties`
)

func (w *walk) check() {
	w.Helper()
	w.compare("balances", w.lines(balanceLines), w.model.balances())
	w.compare("movements", w.lines(movementLines), w.model.movements())
	w.compare("transactions", w.lines(transactionLines), w.model.transactions())
	w.compare("counterparties", w.lines(counterpartyLines), w.model.counterparties())
	w.checkAlerts()
}

// checkAlerts holds what was told against what had to be: a word about every
// payment that is not historic, its confirmation in each block, one first word,
// nothing about what is historic only, and no correction of what was not said.
func (w *walk) checkAlerts() {
	w.Helper()
	type told struct {
		seen  int
		some  bool
		block map[string]bool
	}
	all := map[string]*told{}
	for _, line := range w.lines(`
		SELECT concat_ws(' ', s.address, btcwatch.display(t.txid), a.type, coalesce(convert_from(a.body, 'UTF8')::jsonb #>> '{data,block_hash}', '-'))
		FROM btcwatch.alert a
		JOIN btcwatch.script s ON s.id = a.script_id
		JOIN btcwatch.tx t ON t.id = a.tx_id`) {
		var address, txid, kind, block string
		fmt.Sscan(line, &address, &txid, &kind, &block)
		of, ok := all[address+" "+txid]
		if !ok {
			of = &told{block: map[string]bool{}}
			all[address+" "+txid] = of
		}
		of.some = true
		switch kind {
		case "transaction.seen":
			of.seen++
		case "transaction.confirmed":
			of.block[block] = true
		}
	}
	for id, t := range w.model.txs {
		for script := range t.touched {
			name := w.model.address(script) + " " + id.String()
			of, ok := all[name]
			if t.told[script] && !ok {
				w.Errorf("nothing was told of %s", name)
			}
			if !ok {
				if len(t.confirmed[script]) > 0 {
					w.Errorf("no confirmation was told of %s", name)
				}
				continue
			}
			if of.seen > 1 {
				w.Errorf("%d first words about %s", of.seen, name)
			}
			for _, block := range t.confirmed[script] {
				if !of.block[block] {
					w.Errorf("the confirmation of %s in %s was not told", name, block)
				}
			}
			if t.touched[script] && !t.reorged {
				w.Errorf("%s is historic and was told", name)
			}
		}
	}
	if n := w.count(`
		SELECT count(*)
		FROM btcwatch.alert a
		WHERE convert_from(a.body, 'UTF8')::jsonb #>> '{data,corrects}' IS NOT NULL
		  AND NOT EXISTS (SELECT FROM btcwatch.alert b WHERE encode(b.id, 'hex') = convert_from(a.body, 'UTF8')::jsonb #>> '{data,corrects}')`); n > 0 {
		w.Errorf("%d corrections of nothing", n)
	}
	if n := w.count(`
		SELECT count(*)
		FROM btcwatch.alert a
		WHERE NOT a.quiet
		  AND (SELECT count(*) FROM btcwatch.delivery d WHERE d.alert_id = a.id) <> 2`); n > 0 {
		w.Errorf("%d alerts are not on their way to both channels", n)
	}
}

func TestStoreAgreesWithModel(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, 4, 5, 6, 7, 8} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWalk(t, seed)
			for i := range 80 {
				w.step()
				w.check()
				if t.Failed() {
					t.Fatalf("after step %d: %s", i, w.said)
				}
			}
			w.dangling()
		})
	}
}

// A daemon that starts anew knows from the database all that the old one knew.
func TestRestartInTheMiddle(t *testing.T) {
	w := newWalk(t, 11)
	for i := range 60 {
		if i%5 == 4 {
			w.lead.Release(context.Background())
			var err error
			w.lead, err = w.store.TakeLead(t.Context())
			w.must(err)
			w.writer = w.store.Writer(w.lead, telling(), nil)
		}
		w.step()
		w.check()
		if t.Failed() {
			t.Fatalf("after step %d: %s", i, w.said)
		}
	}
}
