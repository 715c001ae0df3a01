package sql

import (
	"bytes"
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// fresh leaves out what is recorded already exactly so: known, said by the same
// explorer before, in that state, with all its movements. It reads only, so
// that a reading with nothing new writes nothing.
func (w *Writer) fresh(ctx context.Context, explorer string, txs []*chain.Transaction) ([]*chain.Transaction, error) {
	if err := w.reload(ctx); err != nil {
		return nil, err
	}
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

// reload brings the set up to date where the list has moved since the last
// commit: by an old set, a transaction of an address just added could seem to
// be recorded in full.
func (w *Writer) reload(ctx context.Context) error {
	p, err := w.store.Position(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	current := w.set != nil && w.set.version == p.ListVersion
	w.mu.Unlock()
	if current {
		return nil
	}
	return w.commit(ctx, "load", func(*commit) error { return nil })
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
	fee       bool // all that it spends is known
}

// covers says whether a sighting adds nothing.
func (r recordedTx) covers(tx *chain.Transaction, effects []chain.Effect) bool {
	var count int64
	for _, e := range effects {
		count += int64(len(e.Credits) + len(e.Debits))
	}
	if count == 0 || count > r.movements || tx.Fee() != nil && !r.fee {
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
		       + (SELECT count(*) FROM btcwatch.pending p WHERE p.tx_id = t.id),
		       n.fee IS NOT NULL
		FROM btcwatch.tx t
		JOIN btcwatch.tx_now n ON n.tx_id = t.id
		WHERE t.txid = ANY($1)`, hashes(txs), explorer)
	if err != nil {
		return nil, err
	}
	all := map[chainhash.Hash]recordedTx{}
	var txid []byte
	var r recordedTx
	_, err = pgx.ForEachRow(found, []any{&txid, &r.state, &r.block, &r.seen, &r.movements, &r.fee}, func() error {
		all[chainhash.Hash(txid)] = r
		r = recordedTx{}
		return nil
	})
	return all, err
}
