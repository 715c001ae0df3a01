package sql

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// firstSource is the explorer that reported a transaction first.
func (c *commit) firstSource(ctx context.Context, id int64) (source int32, err error) {
	err = c.tx.QueryRow(ctx, `
		SELECT explorer_id
		FROM btcwatch.observation
		WHERE tx_id = $1
		ORDER BY at
		LIMIT 1`, id).Scan(&source)
	if err != nil {
		return 0, fmt.Errorf("find who reported a transaction: %w", err)
	}
	return source, nil
}

// stored reads a recorded transaction back, with its state.
func (c *commit) stored(ctx context.Context, id int64) (*chain.Transaction, standing, error) {
	var raw []byte
	var row standingRow
	err := c.tx.QueryRow(ctx, `
		SELECT coalesce(b.raw, t.raw), n.turn, n.state, n.proof, n.height, n.block_hash, n.block_time
		FROM btcwatch.tx t
		JOIN btcwatch.tx_now n ON n.tx_id = t.id
		LEFT JOIN btcwatch.tx_bytes b ON b.tx_id = t.id
		WHERE t.id = $1`, id).Scan(append([]any{&raw}, row.columns()...)...)
	if err != nil {
		return nil, standing{}, fmt.Errorf("read a recorded transaction: %w", err)
	}
	msg, err := parse(raw)
	if err != nil {
		return nil, standing{}, err
	}
	tx := &chain.Transaction{ID: msg.TxHash(), Msg: msg}
	if tx.Spent, err = c.spent(ctx, tx); err != nil {
		return nil, standing{}, err
	}
	s := row.standing()
	if s.state == alerts.Confirmed {
		tx.Place = &chain.Place{Height: s.height, Block: s.block, Time: s.time, Index: -1}
	}
	return tx, s, nil
}

// spent completes what is known of the outputs that a transaction spends, from
// what was stated or recorded before.
func (c *commit) spent(ctx context.Context, tx *chain.Transaction) ([]*wire.TxOut, error) {
	spent := make([]*wire.TxOut, len(tx.Msg.TxIn))
	copy(spent, tx.Spent)
	if !slices.Contains(spent, nil) {
		return spent, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT i.n, s.script, coalesce(o.amount, t.amount)
		FROM btcwatch.tx x
		JOIN btcwatch.tx_input i ON i.tx_id = x.id
		LEFT JOIN btcwatch.tx p ON p.txid = i.prev_txid
		LEFT JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = i.prev_n
		LEFT JOIN btcwatch.stated_output t ON t.txid = i.prev_txid AND t.n = i.prev_n
		JOIN btcwatch.script s ON s.id = coalesce(o.script_id, t.script_id)
		WHERE x.txid = $1`, tx.ID[:])
	if err != nil {
		return nil, err
	}
	var n int32
	var out wire.TxOut
	_, err = pgx.ForEachRow(found, []any{&n, &out.PkScript, &out.Value}, func() error {
		if spent[n] == nil {
			spent[n] = &wire.TxOut{PkScript: slices.Clone(out.PkScript), Value: out.Value}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up what %s spends: %w", tx.ID, err)
	}
	return spent, nil
}

func parse(raw []byte) (*wire.MsgTx, error) {
	msg := new(wire.MsgTx)
	if err := msg.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("read a recorded transaction: %w", err)
	}
	return msg, nil
}
