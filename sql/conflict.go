package sql

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// conflict is an unconfirmed transaction that lost its money to another one.
type conflict struct {
	old int64 // row of the one that was replaced
	by  chainhash.Hash
	new *fact // what is known of the other one; nil where it is not recorded

	explorer *int32 // who says so
	block    *int64 // the followed block that shows it
}

// replaced finds the unconfirmed transactions whose inputs the changed facts
// spend, and makes them replaced.
func (c *commit) replaced(ctx context.Context, facts []*fact) error {
	byID := map[int64]*fact{}
	var ids []int64
	for _, f := range facts {
		if f.now != f.was && !f.tx.Coinbase() && (f.now.state == alerts.Unconfirmed || f.now.state == alerts.Confirmed) {
			byID[f.id] = f
			ids = append(ids, f.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT DISTINCT o.tx_id, i.tx_id
		FROM btcwatch.tx_now n
		JOIN btcwatch.tx_input o ON o.tx_id = n.tx_id
		JOIN btcwatch.tx_input i ON i.prev_txid = o.prev_txid AND i.prev_n = o.prev_n AND i.tx_id <> o.tx_id
		WHERE n.state = 'unconfirmed'
		  AND i.tx_id = ANY($1)
		ORDER BY 1, 2`, ids)
	if err != nil {
		return fmt.Errorf("find conflicting transactions: %w", err)
	}
	var all []conflict
	var old, by int64
	_, err = pgx.ForEachRow(found, []any{&old, &by}, func() error {
		// Of two that are new in one answer the confirmed one stays.
		if other, both := byID[old]; !both || other.now.state != byID[by].now.state || old < by {
			f := byID[by]
			all = append(all, conflict{old: old, by: f.tx.ID, new: f, explorer: &f.source})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("find conflicting transactions: %w", err)
	}
	return c.replaceAll(ctx, all)
}

// replacedInBlock makes replaced what a transaction of a block rules out that
// touches nothing watched, and so is not recorded.
func (c *commit) replacedInBlock(ctx context.Context, block *chain.Block, row int64) error {
	found, err := c.tx.Query(ctx, `
		SELECT i.prev_txid, i.prev_n, i.tx_id, t.txid
		FROM btcwatch.tx_now n
		JOIN btcwatch.tx_input i ON i.tx_id = n.tx_id
		JOIN btcwatch.tx t ON t.id = n.tx_id
		WHERE n.state = 'unconfirmed'`)
	if err != nil {
		return fmt.Errorf("read what is unconfirmed: %w", err)
	}
	type holder struct {
		id   int64
		txid chainhash.Hash
	}
	pending := map[wire.OutPoint]holder{}
	var prev, txid []byte
	var n, id int64
	_, err = pgx.ForEachRow(found, []any{&prev, &n, &id, &txid}, func() error {
		pending[wire.OutPoint{Hash: chainhash.Hash(prev), Index: uint32(n)}] = holder{id, chainhash.Hash(txid)}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what is unconfirmed: %w", err)
	}
	if len(pending) == 0 {
		return nil
	}
	var all []conflict
	for i, tx := range block.Transactions {
		for _, in := range tx.TxIn {
			if p, ok := pending[in.PreviousOutPoint]; ok && p.txid != block.IDs[i] {
				all = append(all, conflict{old: p.id, by: block.IDs[i], block: &row})
			}
		}
	}
	return c.replaceAll(ctx, all)
}

func (c *commit) replaceAll(ctx context.Context, all []conflict) error {
	done := map[int64]bool{}
	for _, r := range all {
		if done[r.old] {
			continue
		}
		done[r.old] = true
		if err := c.replace(ctx, r); err != nil {
			return fmt.Errorf("replace a transaction by %s: %w", r.by, err)
		}
	}
	return nil
}

func (c *commit) replace(ctx context.Context, r conflict) error {
	f, err := c.leave(ctx, r.old, alerts.Replaced)
	if err != nil || f == nil {
		return err
	}
	c.note("replaced %s %s", f.tx.ID, r.by)
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.replacement (tx_id, turn, by_txid, explorer_id, block_id, at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, f.id, f.now.turn, r.by[:], r.explorer, r.block, c.at)
	if err != nil {
		return err
	}
	for _, e := range f.effects {
		if err := c.tellReplaced(ctx, f, e, r); err != nil {
			return err
		}
	}
	return nil
}

// leave takes an unconfirmed transaction out of the pending ones; nil where it
// is not unconfirmed any more.
func (c *commit) leave(ctx context.Context, id int64, to alerts.State) (*fact, error) {
	tx, was, err := c.stored(ctx, id)
	if err != nil || was.state != alerts.Unconfirmed {
		return nil, err
	}
	before, err := c.sums(ctx, []int64{id})
	if err != nil {
		return nil, err
	}
	f := &fact{tx: tx, whole: tx, id: id, was: was, effects: c.set.match.Effects(tx)}
	f.now = standing{known: true, turn: was.turn + 1, state: to, proof: was.proof}
	if f.source, err = c.firstSource(ctx, id); err != nil {
		return nil, err
	}
	if err := c.putStates(ctx, []*fact{f}); err != nil {
		return nil, err
	}
	if err := c.putMovements(ctx, []*fact{f}); err != nil {
		return nil, err
	}
	if err := c.rebalance(ctx, []int64{id}, before); err != nil {
		return nil, err
	}
	return f, c.retime(ctx, []*fact{f})
}

func (c *commit) tellReplaced(ctx context.Context, f *fact, e chain.Effect, r conflict) error {
	by := alerts.Replacement{TxID: r.by.String()}
	if r.new != nil {
		by.Known, by.State = true, r.new.now.state
		for _, n := range r.new.effects {
			if n.Script == e.Script {
				by.Direction = direction(n)
				amount := max(n.Net(), -n.Net())
				by.AmountSat = &amount
			}
		}
		if by.Direction != "" {
			if err := c.joinThread(ctx, e.Script, f.id, r.new.id); err != nil {
				return err
			}
		}
	}
	p, err := c.correction(ctx, f, e)
	if err != nil || p == nil {
		return err
	}
	if by.ReportedBy, err = c.replacedBy(ctx, r); err != nil {
		return err
	}
	a, ok := p.Replaced(c.store.key, by)
	return c.tellIf(ctx, ok, a, e.Script, f.id, *p)
}

// replacedBy names the explorers on whose word alone a conflict rests; none
// where a followed block shows it.
func (c *commit) replacedBy(ctx context.Context, r conflict) ([]string, error) {
	if r.block != nil || r.new != nil && r.new.now.proof == alerts.Proven {
		return nil, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT name
		FROM btcwatch.explorer
		WHERE id = $1
		   OR id IN (
		       SELECT o.explorer_id
		       FROM btcwatch.observation o
		       JOIN btcwatch.tx t ON t.id = o.tx_id
		       WHERE t.txid = $2)
		ORDER BY name`, r.explorer, r.by[:])
	if err != nil {
		return nil, fmt.Errorf("find who reported %s: %w", r.by, err)
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// correction is the payment of which something was told that holds no longer;
// nil where nothing was told of it.
func (c *commit) correction(ctx context.Context, f *fact, e chain.Effect) (*alerts.Payment, error) {
	var id []byte
	var severity string
	err := c.tx.QueryRow(ctx, `
		SELECT id, severity
		FROM btcwatch.alert
		WHERE script_id = $1
		  AND tx_id = $2
		  AND type IN ('transaction.seen', 'transaction.confirmed', 'transaction.reorged')
		ORDER BY quiet, seq DESC
		LIMIT 1`, e.Script, f.id).Scan(&id, &severity)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find what was told of %s: %w", f.tx.ID, err)
	}
	p, err := c.payment(ctx, f.whole, f.id, f.now, e)
	if err != nil {
		return nil, err
	}
	worst, err := alerts.ParseSeverity(severity)
	if err != nil {
		return nil, err
	}
	first := alerts.ID(id)
	p.Corrected, p.Corrects = &worst, &first
	return &p, nil
}

// lastTold is the newest alert about a payment; nil where there is none.
func (c *commit) lastTold(ctx context.Context, script, tx int64) (*alerts.ID, error) {
	var id []byte
	err := c.tx.QueryRow(ctx, `
		SELECT id
		FROM btcwatch.alert
		WHERE script_id = $1
		  AND tx_id = $2
		ORDER BY seq DESC
		LIMIT 1`, script, tx).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find what was told last: %w", err)
	}
	last := alerts.ID(id)
	return &last, nil
}

// threadTold says whether a payment was told in the thread of an alert that is
// as severe as it.
func (c *commit) threadTold(ctx context.Context, a alerts.Alert) (told bool, err error) {
	var severe []string
	for s := a.Severity; s <= alerts.Severe; s++ {
		severe = append(severe, s.String())
	}
	err = c.tx.QueryRow(ctx, `
		SELECT EXISTS (
		    SELECT FROM btcwatch.alert
		    WHERE thread = $1
		      AND thread <> ''
		      AND type = 'transaction.seen'
		      AND severity = ANY($2)
		      AND NOT quiet)`, a.Thread, severe).Scan(&told)
	if err != nil {
		return false, fmt.Errorf("ask whether a thread was told: %w", err)
	}
	return told, nil
}

// joinThread puts a payment into the thread of the one that it replaces.
func (c *commit) joinThread(ctx context.Context, script, old, by int64) error {
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.thread_root (script_id, tx_id, root_tx_id)
		SELECT $1, $3, coalesce((SELECT root_tx_id FROM btcwatch.thread_root WHERE script_id = $1 AND tx_id = $2), $2)
		ON CONFLICT DO NOTHING`, script, old, by)
	if err != nil {
		return fmt.Errorf("join a thread: %w", err)
	}
	return nil
}

// ruledOut gives those of the transactions that a recorded one which is still
// alive has replaced: an explorer that lags and shows them again is no news.
func (c *commit) ruledOut(ctx context.Context, facts []*fact, was map[int64]standing) (map[int64]bool, error) {
	var gone []int64
	for _, f := range facts {
		if was[f.id].state == alerts.Replaced && f.tx.Place == nil {
			gone = append(gone, f.id)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT DISTINCT o.tx_id
		FROM btcwatch.tx_input o
		JOIN btcwatch.tx_input i ON i.prev_txid = o.prev_txid AND i.prev_n = o.prev_n AND i.tx_id <> o.tx_id
		JOIN btcwatch.tx_now n ON n.tx_id = i.tx_id AND n.state IN ('unconfirmed', 'confirmed')
		WHERE o.tx_id = ANY($1)
		UNION
		SELECT r.tx_id
		FROM btcwatch.replacement r
		JOIN btcwatch.chain_now n ON n.block_id = r.block_id
		WHERE r.tx_id = ANY($1)`, gone)
	if err != nil {
		return nil, fmt.Errorf("find what was ruled out: %w", err)
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	out := map[int64]bool{}
	for _, id := range ids {
		out[id] = true
	}
	return out, err
}
