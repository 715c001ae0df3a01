package sql

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// truth gives the outputs of recorded transactions, and of those in the same
// answer, that an explorer states to belong to a watched script and that are
// not known to: they belong to another.
func (c *commit) truth(ctx context.Context, facts []*fact, here map[chainhash.Hash]*wire.MsgTx) (map[wire.OutPoint]*wire.TxOut, error) {
	known := map[wire.OutPoint]*wire.TxOut{}
	var txids [][]byte
	var ns []int64
	for _, f := range facts {
		for i, out := range f.tx.Spent {
			if out == nil {
				continue
			}
			at := f.tx.Msg.TxIn[i].PreviousOutPoint
			if _, watched := c.set.match.Number(out.PkScript); !watched || c.set.match.Holds(at) {
				continue
			}
			if from, ok := here[at.Hash]; ok && int64(at.Index) < int64(len(from.TxOut)) {
				known[at] = from.TxOut[at.Index]
			} else {
				txids, ns = append(txids, bytes.Clone(at.Hash[:])), append(ns, int64(at.Index))
			}
		}
	}
	if len(txids) == 0 {
		return known, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT u.txid, u.n, s.script, o.amount
		FROM unnest($1::bytea[], $2::bigint[]) AS u (txid, n)
		JOIN btcwatch.tx p ON p.txid = u.txid
		JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = u.n
		JOIN btcwatch.script s ON s.id = o.script_id`, txids, ns)
	if err != nil {
		return nil, fmt.Errorf("look up what transactions really spend: %w", err)
	}
	var txid, script []byte
	var n, amount int64
	_, err = pgx.ForEachRow(found, []any{&txid, &n, &script, &amount}, func() error {
		known[wire.OutPoint{Hash: chainhash.Hash(txid), Index: uint32(n)}] = wire.NewTxOut(amount, bytes.Clone(script))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up what transactions really spend: %w", err)
	}
	return known, nil
}

// misjudged gives the transactions on record that spend from new ones in
// another way than was hinted or stated before.
func (c *commit) misjudged(ctx context.Context, facts []*fact) ([]int64, error) {
	var ids []int64
	for _, f := range facts {
		if f.isNew {
			ids = append(ids, f.id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT DISTINCT i.tx_id
		FROM btcwatch.tx p
		JOIN btcwatch.tx_input i ON i.prev_txid = p.txid
		JOIN btcwatch.tx_now n ON n.tx_id = i.tx_id
		LEFT JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = i.prev_n
		WHERE p.id = ANY($1)
		  AND (EXISTS (
		          SELECT FROM btcwatch.moved m
		          WHERE m.tx_id = i.tx_id AND m.direction = 1 AND m.n = i.n AND m.stated
		            AND (m.script_id IS DISTINCT FROM o.script_id OR m.amount IS DISTINCT FROM o.amount))
		    OR EXISTS (
		          SELECT FROM btcwatch.pending q
		          WHERE q.tx_id = i.tx_id AND q.direction = 1 AND q.n = i.n AND q.stated
		            AND (q.script_id IS DISTINCT FROM o.script_id OR q.amount IS DISTINCT FROM o.amount))
		    OR EXISTS (
		          SELECT FROM btcwatch.stated_output t
		          WHERE t.txid = i.prev_txid AND t.n = i.prev_n
		            AND (t.script_id IS DISTINCT FROM o.script_id OR t.amount IS DISTINCT FROM o.amount))
		    OR EXISTS (
		          SELECT FROM btcwatch.stated_also t
		          WHERE t.txid = i.prev_txid AND t.n = i.prev_n
		            AND (t.script_id IS DISTINCT FROM o.script_id OR t.amount IS DISTINCT FROM o.amount))
		    OR n.state IN ('unconfirmed', 'confirmed')
		       AND EXISTS (SELECT FROM btcwatch.listing l WHERE l.script_id = o.script_id)
		       AND NOT EXISTS (
		          SELECT FROM btcwatch.movement m
		          WHERE m.tx_id = i.tx_id AND m.direction = 1 AND m.n = i.n AND m.script_id = o.script_id AND m.height = n.height)
		       AND NOT EXISTS (
		          SELECT FROM btcwatch.pending q
		          WHERE q.tx_id = i.tx_id AND q.direction = 1 AND q.n = i.n AND q.script_id = o.script_id))`, ids)
	if err != nil {
		return nil, fmt.Errorf("find what was said otherwise: %w", err)
	}
	return pgx.CollectRows(found, pgx.RowTo[int64])
}

// refutation is a debit that turned out to be none.
type refutation struct{ script, tx int64 }

// correct brings the debits of misjudged transactions in line with the outputs
// that they spend, and gives those that are none. The sums are the caller's.
func (c *commit) correct(ctx context.Context, ids []int64) ([]refutation, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var facts []*fact
	for _, id := range ids {
		tx, s, err := c.stored(ctx, id)
		if err != nil {
			return nil, err
		}
		facts = append(facts, &fact{tx: tx, whole: tx, id: id, was: s, now: s, effects: c.set.match.Effects(tx)})
	}
	if _, err := c.putTouches(ctx, facts); err != nil {
		return nil, err
	}
	if err := c.putMovements(ctx, facts); err != nil {
		return nil, err
	}
	if err := c.reviseFees(ctx, facts); err != nil {
		return nil, err
	}
	if err := c.nameMisstaters(ctx, ids); err != nil {
		return nil, err
	}
	refuted, err := c.refute(ctx, ids)
	if err != nil || len(refuted) == 0 {
		return nil, err
	}
	return refuted, c.retimeScripts(ctx, refuted)
}

// reviseFees corrects fees that rested on false amounts.
func (c *commit) reviseFees(ctx context.Context, facts []*fact) error {
	for _, f := range facts {
		_, err := c.tx.Exec(ctx, `
			UPDATE btcwatch.tx_now
			SET fee = $2
			WHERE tx_id = $1
			  AND fee IS DISTINCT FROM $2`, f.id, f.tx.Fee())
		if err != nil {
			return fmt.Errorf("correct the fee of %s: %w", f.tx.ID, err)
		}
	}
	return nil
}

// refute takes out the debits of transactions that spend from another script's
// output.
func (c *commit) refute(ctx context.Context, ids []int64) ([]refutation, error) {
	found, err := c.tx.Query(ctx, `
		INSERT INTO btcwatch.debit_refuted (script_id, tx_id, n, at)
		SELECT DISTINCT m.script_id, m.tx_id, m.n, $2::timestamptz
		FROM (
		    SELECT script_id, tx_id, n FROM btcwatch.movement WHERE tx_id = ANY($1) AND direction = 1 AND stated
		    UNION ALL
		    SELECT script_id, tx_id, n FROM btcwatch.pending WHERE tx_id = ANY($1) AND direction = 1 AND stated
		) m
		JOIN btcwatch.tx_input i ON i.tx_id = m.tx_id AND i.n = m.n
		JOIN btcwatch.tx p ON p.txid = i.prev_txid
		LEFT JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = i.prev_n
		WHERE m.script_id IS DISTINCT FROM o.script_id
		ON CONFLICT DO NOTHING
		RETURNING script_id, tx_id, n`, ids, c.at)
	if err != nil {
		return nil, fmt.Errorf("refute debits: %w", err)
	}
	var refuted []refutation
	var r refutation
	var n int32
	_, err = pgx.ForEachRow(found, []any{&r.script, &r.tx, &n}, func() error {
		c.note("refuted %d %d %d", r.script, r.tx, n)
		if !slices.Contains(refuted, r) {
			refuted = append(refuted, r)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("refute debits: %w", err)
	}
	_, err = c.tx.Exec(ctx, `
		DELETE FROM btcwatch.pending q
		USING btcwatch.debit_refuted r
		WHERE q.tx_id = ANY($1)
		  AND q.direction = 1
		  AND r.script_id = q.script_id AND r.tx_id = q.tx_id AND r.n = q.n`, ids)
	if err != nil {
		return nil, fmt.Errorf("refute debits: %w", err)
	}
	return refuted, nil
}

func (c *commit) retimeScripts(ctx context.Context, refuted []refutation) error {
	f := &fact{}
	for _, r := range refuted {
		f.effects = append(f.effects, chain.Effect{Script: r.script})
	}
	return c.retime(ctx, []*fact{f})
}

// nameMisstaters notes who stated an output otherwise than the transaction that
// made it shows.
func (c *commit) nameMisstaters(ctx context.Context, ids []int64) error {
	found, err := c.tx.Query(ctx, `
		SELECT DISTINCT e.name
		FROM btcwatch.tx_input i
		JOIN LATERAL (
		    SELECT o.script_id, o.amount, o.explorer_id
		    FROM btcwatch.stated_output o
		    WHERE o.txid = i.prev_txid AND o.n = i.prev_n
		    UNION ALL
		    SELECT a.script_id, a.amount, a.explorer_id
		    FROM btcwatch.stated_also a
		    WHERE a.txid = i.prev_txid AND a.n = i.prev_n
		) t ON true
		JOIN btcwatch.explorer e ON e.id = t.explorer_id
		JOIN btcwatch.tx p ON p.txid = i.prev_txid
		LEFT JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = i.prev_n
		WHERE i.tx_id = ANY($1)
		  AND (t.script_id IS DISTINCT FROM o.script_id OR t.amount IS DISTINCT FROM o.amount)`, ids)
	if err != nil {
		return fmt.Errorf("find who stated a false output: %w", err)
	}
	names, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("find who stated a false output: %w", err)
	}
	for _, name := range names {
		if !slices.Contains(c.misstated, name) {
			c.misstated = append(c.misstated, name)
		}
	}
	return nil
}

// tellRefuted corrects what was told of debits that are none.
func (c *commit) tellRefuted(ctx context.Context, refuted []refutation) error {
	for _, r := range refuted {
		tx, s, err := c.stored(ctx, r.tx)
		if err != nil {
			return err
		}
		e := chain.Effect{Script: r.script}
		for _, left := range c.set.match.Effects(tx) {
			if left.Script == r.script {
				e = left
			}
		}
		p, err := c.correction(ctx, &fact{tx: tx, whole: tx, id: r.tx, was: s, now: s}, e)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		a, ok := p.Refuted(c.store.key, len(e.Credits)+len(e.Debits) > 0)
		if err := c.tellIf(ctx, ok, a, r.script, r.tx, *p); err != nil {
			return err
		}
	}
	return nil
}

// union gives ids once each.
func union(one, other []int64) []int64 {
	all := slices.Concat(one, other)
	slices.Sort(all)
	return slices.Compact(all)
}

// RecordPrevious records a transaction for the outputs that others spend, which
// its txid covers: debits that were hinted or stated become exact, or turn out
// to be none. Where it stands, and whether it is a payment of its own, is not
// said by that. It names the explorers that had stated an output otherwise.
func (w *Writer) RecordPrevious(ctx context.Context, tx *chain.Transaction, explorer string) (misstated []string, err error) {
	bare := &chain.Transaction{ID: tx.ID, Msg: tx.Msg, Place: tx.Place} // what it spends itself is not asked
	err = w.commit(ctx, "previous", func(c *commit) error {
		source, err := c.explorer(ctx, explorer)
		if err != nil {
			return err
		}
		facts := []*fact{{tx: bare, whole: bare, source: source, proof: alerts.Reported}}
		c.set.match.HoldOutputs(bare)
		scripts, err := c.putScripts(ctx, facts)
		if err != nil {
			return err
		}
		if err := c.putTransactions(ctx, facts, scripts); err != nil || !facts[0].isNew {
			return err
		}
		if err := c.putObservations(ctx, facts); err != nil {
			return err
		}
		err = c.revise(ctx, facts)
		misstated = c.misstated
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record the previous transaction %s: %w", tx.ID, err)
	}
	return misstated, nil
}

// revise corrects what was said of the outputs of new transactions.
func (c *commit) revise(ctx context.Context, facts []*fact) error {
	misjudged, err := c.misjudged(ctx, facts)
	if err != nil || len(misjudged) == 0 {
		return err
	}
	before, err := c.sums(ctx, misjudged)
	if err != nil {
		return err
	}
	refuted, err := c.correct(ctx, misjudged)
	if err != nil {
		return err
	}
	if err := c.rebalance(ctx, misjudged, before); err != nil {
		return err
	}
	return c.tellRefuted(ctx, refuted)
}
