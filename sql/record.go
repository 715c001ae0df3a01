package sql

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// fact is one transaction about to be recorded, with what it does to the
// watched scripts.
type fact struct {
	tx      *chain.Transaction // as it was told
	whole   *chain.Transaction // with what the record knows of the outputs it spends
	effects []chain.Effect
	proof   alerts.Proof
	source  int32 // the explorer that says so
	stater  int32 // the explorer that states what it spends; 0: source

	id    int64 // of the row in tx
	isNew bool
	was   standing
	now   standing
}

// standing is the state of a transaction at one time.
type standing struct {
	known  bool
	turn   int32
	state  alerts.State
	proof  alerts.Proof
	height int32
	block  chainhash.Hash
	time   time.Time
}

// Record records what an explorer says of transactions of watched addresses,
// with the alerts that it makes, in one commit; the grade is reported. What the
// followed chain contradicts is left out and counted. Where nothing is news,
// nothing is written.
func (w *Writer) Record(ctx context.Context, explorer string, txs []*chain.Transaction) (Recorded, error) {
	var r Recorded
	fresh, err := w.fresh(ctx, explorer, txs)
	if err != nil || len(fresh) == 0 {
		return r, err
	}
	err = w.commit(ctx, "transactions", func(c *commit) error {
		source, err := c.explorer(ctx, explorer)
		if err != nil {
			return err
		}
		facts, err := c.facts(ctx, fresh, source, alerts.Reported)
		if err != nil {
			return err
		}
		if facts, err = c.checked(ctx, facts, &r); err != nil {
			return err
		}
		r.News = len(facts)
		err = c.record(ctx, facts, nil)
		r.Misstated = c.misstated
		return err
	})
	if err != nil {
		return Recorded{}, fmt.Errorf("record %d transactions reported by %s: %w", len(fresh), explorer, err)
	}
	return r, nil
}

// facts makes facts of the transactions that touch the watched set.
func (c *commit) facts(ctx context.Context, txs []*chain.Transaction, source int32, proof alerts.Proof) ([]*fact, error) {
	var facts []*fact
	seen := map[chainhash.Hash]bool{}
	for _, tx := range txs {
		if seen[tx.ID] {
			continue
		}
		seen[tx.ID] = true
		c.set.match.HoldOutputs(tx)
		facts = append(facts, &fact{tx: tx, source: source, proof: proof})
	}
	if err := c.complete(ctx, facts); err != nil {
		return nil, err
	}
	kept := facts[:0]
	for _, f := range facts { // after all outputs are held: pages are newest first
		if f.effects = c.set.match.Effects(f.whole); len(f.effects) > 0 {
			kept = append(kept, f)
		}
	}
	return kept, nil
}

// complete adds to what was told of the outputs that transactions spend what
// the others of them and the record show: a block alone shows nothing of it,
// and a debit that was stated before must not be lost when it is confirmed.
func (c *commit) complete(ctx context.Context, facts []*fact) error {
	outputs := map[wire.OutPoint]*wire.TxOut{}
	here := map[chainhash.Hash]*wire.MsgTx{}
	for _, f := range facts {
		here[f.tx.ID] = f.tx.Msg
	}
	for _, f := range facts {
		for i, in := range f.tx.Msg.TxIn {
			at := in.PreviousOutPoint
			if i < len(f.tx.Spent) && f.tx.Spent[i] != nil || f.tx.Coinbase() {
				continue
			}
			outputs[at] = nil
			if from, ok := here[at.Hash]; ok && int64(at.Index) < int64(len(from.TxOut)) {
				outputs[at] = from.TxOut[at.Index]
			}
		}
	}
	if err := c.lookUp(ctx, outputs); err != nil {
		return fmt.Errorf("look up what transactions spend: %w", err)
	}
	known, err := c.truth(ctx, facts, here)
	if err != nil {
		return err
	}
	for _, f := range facts {
		whole := *f.tx
		whole.Spent = make([]*wire.TxOut, len(f.tx.Msg.TxIn))
		copy(whole.Spent, f.tx.Spent)
		for i, in := range f.tx.Msg.TxIn {
			if out := known[in.PreviousOutPoint]; out != nil {
				whole.Spent[i] = out
			} else if whole.Spent[i] == nil {
				whole.Spent[i] = outputs[in.PreviousOutPoint]
			}
		}
		f.whole = &whole
	}
	return nil
}

// lookUp fills in the outputs that are recorded or were stated before.
func (c *commit) lookUp(ctx context.Context, outputs map[wire.OutPoint]*wire.TxOut) error {
	var txids [][]byte
	var ns []int64
	for at, out := range outputs {
		if out == nil {
			txids, ns = append(txids, bytes.Clone(at.Hash[:])), append(ns, int64(at.Index))
		}
	}
	if len(txids) == 0 {
		return nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT u.txid, u.n, s.script, coalesce(o.amount, t.amount)
		FROM unnest($1::bytea[], $2::bigint[]) AS u (txid, n)
		LEFT JOIN btcwatch.tx p ON p.txid = u.txid
		LEFT JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = u.n
		LEFT JOIN btcwatch.stated_output t ON t.txid = u.txid AND t.n = u.n
		JOIN btcwatch.script s ON s.id = coalesce(o.script_id, t.script_id)`, txids, ns)
	if err != nil {
		return err
	}
	var txid, script []byte
	var n, amount int64
	_, err = pgx.ForEachRow(found, []any{&txid, &n, &script, &amount}, func() error {
		outputs[wire.OutPoint{Hash: chainhash.Hash(txid), Index: uint32(n)}] = wire.NewTxOut(amount, bytes.Clone(script))
		return nil
	})
	return err
}

// record stores facts in the order: what they are made of, their states, what
// they add up to, and who must be told. tell, when not nil, adds what a block
// has to tell beyond them.
func (c *commit) record(ctx context.Context, facts []*fact, tell func() error) error {
	if len(facts) > 0 {
		if err := c.recordFacts(ctx, facts); err != nil {
			return err
		}
	}
	if tell != nil {
		return tell()
	}
	return nil
}

func (c *commit) recordFacts(ctx context.Context, facts []*fact) error {
	scripts, err := c.putScripts(ctx, facts)
	if err != nil {
		return err
	}
	if err := c.putTransactions(ctx, facts, scripts); err != nil {
		return err
	}
	if err := c.putObservations(ctx, facts); err != nil {
		return err
	}
	misjudged, err := c.misjudged(ctx, facts)
	if err != nil {
		return err
	}
	before, err := c.sums(ctx, union(oldIDs(facts), misjudged))
	if err != nil {
		return err
	}
	if err := c.move(ctx, facts); err != nil {
		return err
	}
	news, err := c.putTouches(ctx, facts)
	if err != nil {
		return err
	}
	if err := c.putMovements(ctx, facts); err != nil {
		return err
	}
	refuted, err := c.correct(ctx, misjudged)
	if err != nil {
		return err
	}
	if err := c.rebalance(ctx, union(idsOf(facts), misjudged), before); err != nil {
		return err
	}
	if err := c.tellRefuted(ctx, refuted); err != nil {
		return err
	}
	if err := c.replaced(ctx, facts); err != nil {
		return err
	}
	return c.tellFacts(ctx, facts, news)
}

// move decides what state each transaction is in from now on, and stores what
// changed.
func (c *commit) move(ctx context.Context, facts []*fact) error {
	was, err := standings(ctx, c.tx, idsOf(facts))
	if err != nil {
		return err
	}
	ruledOut, err := c.ruledOut(ctx, facts, was)
	if err != nil {
		return err
	}
	agreed, err := c.agreed(ctx, facts)
	if err != nil {
		return err
	}
	var changed, same []*fact
	for _, f := range facts {
		f.was = was[f.id]
		proof := f.proof
		if agreed[f.id] {
			proof = alerts.Corroborated
		}
		f.now = next(f.was, f.tx.Place, proof)
		if ruledOut[f.id] {
			f.now = f.was
		}
		if f.now != f.was {
			changed = append(changed, f)
		} else if f.whole.Fee() != nil {
			same = append(same, f)
		}
	}
	if err := c.putStates(ctx, changed); err != nil {
		return err
	}
	return c.putFees(ctx, same)
}

// next gives the state after a sighting. A confirmation that blocks prove is
// not shaken by what an explorer says.
func next(was standing, place *chain.Place, proof alerts.Proof) standing {
	now := standing{known: true, turn: was.turn, state: alerts.Unconfirmed, proof: proof}
	if place != nil {
		now.state, now.height, now.block, now.time = alerts.Confirmed, place.Height, place.Block, place.Time.UTC()
	}
	switch {
	case !was.known:
		return now
	case now.state == alerts.Unconfirmed && (was.state == alerts.Unconfirmed || was.state == alerts.Confirmed):
		if was.state == alerts.Unconfirmed && weaker(was.proof, now.proof) {
			was.proof = now.proof
		}
		return was // nothing else is new, or it is an explorer that lags
	case was.state != alerts.Confirmed && was.state != alerts.Unconfirmed:
		now.turn++ // it comes back after it was replaced or dropped
		return now
	case was.state == alerts.Unconfirmed:
		return now
	case was.block == now.block:
		if !weaker(was.proof, now.proof) {
			return was
		}
		if was.proof = now.proof; was.proof == alerts.Proven { // what a header says of the place counts from now on
			was.height, was.time = now.height, now.time
		}
		return was
	case weaker(now.proof, was.proof):
		return was
	}
	now.turn++ // confirmed elsewhere
	return now
}

func weaker(a, b alerts.Proof) bool { return rank(a) < rank(b) }

func rank(p alerts.Proof) int {
	switch p {
	case alerts.Proven:
		return 2
	case alerts.Corroborated:
		return 1
	}
	return 0
}

func standings(ctx context.Context, tx pgx.Tx, ids []int64) (map[int64]standing, error) {
	found, err := tx.Query(ctx, `
		SELECT tx_id, turn, state, proof, height, block_hash, block_time
		FROM btcwatch.tx_now
		WHERE tx_id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read the states of transactions: %w", err)
	}
	all := map[int64]standing{}
	var id int64
	var row standingRow
	_, err = pgx.ForEachRow(found, append([]any{&id}, row.columns()...), func() error {
		all[id] = row.standing()
		return nil
	})
	return all, err
}

// standingRow are the columns turn, state, proof, height, block_hash and
// block_time of tx_now.
type standingRow struct {
	turn         int32
	state, proof string
	height       *int32
	block        []byte
	when         *time.Time
}

func (r *standingRow) columns() []any {
	return []any{&r.turn, &r.state, &r.proof, &r.height, &r.block, &r.when}
}

func (r *standingRow) standing() standing {
	s := standing{known: true, turn: r.turn, state: alerts.State(r.state), proof: alerts.Proof(r.proof)}
	if r.height != nil {
		s.height = *r.height
		copy(s.block[:], r.block)
		s.time = r.when.UTC()
	}
	return s
}

func hashes(txs []*chain.Transaction) [][]byte {
	var all [][]byte
	for _, tx := range txs {
		all = append(all, tx.ID[:])
	}
	return all
}

// oldIDs are those of the transactions that were held before.
func oldIDs(facts []*fact) []int64 {
	var ids []int64
	for _, f := range facts {
		if !f.isNew {
			ids = append(ids, f.id)
		}
	}
	return ids
}

func idsOf(facts []*fact) []int64 {
	var ids []int64
	for _, f := range facts {
		ids = append(ids, f.id)
	}
	return ids
}
