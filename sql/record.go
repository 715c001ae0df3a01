package sql

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// fact is one transaction about to be recorded, with what it does to the
// watched scripts.
type fact struct {
	tx      *chain.Transaction
	effects []chain.Effect
	proof   alerts.Proof
	source  int32 // the explorer that says so

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
		facts, err := c.checked(ctx, c.facts(fresh, source, alerts.Reported), &r)
		if err != nil {
			return err
		}
		r.News = len(facts)
		return c.record(ctx, facts, nil)
	})
	if err != nil {
		return Recorded{}, fmt.Errorf("record %d transactions reported by %s: %w", len(fresh), explorer, err)
	}
	return r, nil
}

func (c *commit) facts(txs []*chain.Transaction, source int32, proof alerts.Proof) []*fact {
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
	kept := facts[:0]
	for _, f := range facts { // after all outputs are held: pages are newest first
		if f.effects = c.set.match.Effects(f.tx); len(f.effects) > 0 {
			kept = append(kept, f)
		}
	}
	return kept
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
	before, err := c.sums(ctx, oldIDs(facts))
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
	if err := c.rebalance(ctx, idsOf(facts), before); err != nil {
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
	var changed []*fact
	for _, f := range facts {
		f.was = was[f.id]
		f.now = next(f.was, f.tx.Place, f.proof)
		if f.now != f.was {
			changed = append(changed, f)
		}
	}
	return c.putStates(ctx, changed)
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
		return was // nothing new, or an explorer that lags
	case was.state != alerts.Confirmed && was.state != alerts.Unconfirmed:
		now.turn++ // it comes back after it was replaced or dropped
		return now
	case was.state == alerts.Unconfirmed:
		return now
	case was.block == now.block:
		if weaker(was.proof, now.proof) {
			was.proof = now.proof
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
	var (
		id           int64
		turn         int32
		state, proof string
		height       *int32
		block        []byte
		when         *time.Time
	)
	_, err = pgx.ForEachRow(found, []any{&id, &turn, &state, &proof, &height, &block, &when}, func() error {
		s := standing{known: true, turn: turn, state: alerts.State(state), proof: alerts.Proof(proof)}
		if height != nil {
			s.height = *height
			copy(s.block[:], block)
			s.time = when.UTC()
		}
		all[id] = s
		return nil
	})
	return all, err
}

// fresh leaves out what is recorded already exactly so: known, said by the same
// explorer before, in that state, with all its movements. It reads only, so
// that a reading with nothing new writes nothing.
func (w *Writer) fresh(ctx context.Context, explorer string, txs []*chain.Transaction) ([]*chain.Transaction, error) {
	stale, err := w.recorded(ctx, explorer, txs)
	if err != nil {
		return nil, fmt.Errorf("compare %d transactions with the record: %w", len(txs), err)
	}
	var fresh []*chain.Transaction
	for _, tx := range txs {
		if s, ok := stale[tx.ID]; !ok || !s.covers(tx, w.effects(tx)) {
			fresh = append(fresh, tx)
		}
	}
	return fresh, nil
}

func (w *Writer) effects(tx *chain.Transaction) []chain.Effect {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.set == nil {
		return nil
	}
	return w.set.match.Effects(tx)
}

// recordedTx is how a transaction stands in the record for one explorer.
type recordedTx struct {
	state     string
	block     []byte
	seen      [][]byte // the blocks for which this explorer was noted; empty: unconfirmed
	movements int64
}

// covers says whether a sighting adds nothing.
func (r recordedTx) covers(tx *chain.Transaction, effects []chain.Effect) bool {
	var count int64
	for _, e := range effects {
		count += int64(len(e.Credits) + len(e.Debits))
	}
	if count == 0 || count > r.movements {
		return false
	}
	said := []byte{}
	if tx.Place != nil {
		said = tx.Place.Block[:]
	}
	noted := false
	for _, s := range r.seen {
		noted = noted || bytes.Equal(s, said)
	}
	if !noted {
		return false
	}
	if tx.Place == nil {
		return r.state == string(alerts.Unconfirmed) || r.state == string(alerts.Confirmed)
	}
	return r.state == string(alerts.Confirmed) && bytes.Equal(r.block, said)
}

func (w *Writer) recorded(ctx context.Context, explorer string, txs []*chain.Transaction) (map[chainhash.Hash]recordedTx, error) {
	found, err := w.store.pool.Query(ctx, `
		SELECT t.txid, n.state, n.block_hash,
		       ARRAY(
		           SELECT o.block_hash
		           FROM btcwatch.observation o
		           JOIN btcwatch.explorer e ON e.id = o.explorer_id
		           WHERE o.tx_id = t.id AND e.name = $2),
		       (SELECT count(*) FROM btcwatch.movement m WHERE m.tx_id = t.id AND m.height = n.height)
		       + (SELECT count(*) FROM btcwatch.pending p WHERE p.tx_id = t.id)
		FROM btcwatch.tx t
		JOIN btcwatch.tx_now n ON n.tx_id = t.id
		WHERE t.txid = ANY($1)`, hashes(txs), explorer)
	if err != nil {
		return nil, err
	}
	all := map[chainhash.Hash]recordedTx{}
	var txid []byte
	var r recordedTx
	_, err = pgx.ForEachRow(found, []any{&txid, &r.state, &r.block, &r.seen, &r.movements}, func() error {
		all[chainhash.Hash(txid)] = r
		r = recordedTx{}
		return nil
	})
	return all, err
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
