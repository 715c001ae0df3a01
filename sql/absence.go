package sql

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
)

// RecordAbsence records that the chain's block at the height where explorers
// place a transaction does not hold it, as whoever has read the block found; or
// that they place it in a block that is not on the chain. It is unconfirmed
// then, the histories of its addresses are read again, and those who said so
// are named. explorer gave the block; empty: it was not needed.
func (w *Writer) RecordAbsence(ctx context.Context, u *Unproven, explorer string) (placedBy []string, err error) {
	err = w.commit(ctx, "absence", func(c *commit) error {
		now, _, err := c.still(ctx, u)
		if err != nil || now == nil {
			return err
		}
		if explorer == "" && u.Said == u.Block() {
			return errors.New("nobody has read the block")
		}
		if explorer != "" {
			if err := c.putAbsence(ctx, u, explorer); err != nil {
				return err
			}
		}
		if placedBy, err = c.misplacedBy(ctx, u); err != nil {
			return err
		}
		if err := c.unconfirmAll(ctx, []int64{u.row}, true); err != nil {
			return err
		}
		return c.readAgain(ctx, []int64{u.row})
	})
	if err != nil {
		return nil, fmt.Errorf("record that %s is not in block %d: %w", u.Msg.TxHash(), u.Height, err)
	}
	return placedBy, nil
}

// misplacedBy names the explorers that placed a transaction where it is not. Who
// named a block that was followed here too, or known to be on the chain before
// that, and has left it since, said nothing false: none is named for it.
func (c *commit) misplacedBy(ctx context.Context, u *Unproven) ([]string, error) {
	var left bool
	err := c.tx.QueryRow(ctx, `
		SELECT $1::bytea <> $2::bytea AND (
		    EXISTS (SELECT FROM btcwatch.block WHERE hash = $1)
		    OR EXISTS (
		        SELECT FROM btcwatch.ancestor
		        WHERE start_id IN (SELECT id FROM btcwatch.start)
		          AND height = $3
		          AND sha256(sha256(header)) = $1))`, u.Said[:], hashOf(u), u.Height).Scan(&left)
	if err != nil || left {
		return nil, err
	}
	return c.placedBy(ctx, &fact{tx: &chain.Transaction{ID: u.Msg.TxHash()}, id: u.row, was: standing{block: u.Said}})
}

func hashOf(u *Unproven) []byte {
	hash := u.Block()
	return hash[:]
}

func (c *commit) putAbsence(ctx context.Context, u *Unproven, explorer string) error {
	source, err := c.explorer(ctx, explorer)
	if err != nil {
		return err
	}
	block := u.Block()
	c.note("absence %d %s", u.row, block)
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.absence (tx_id, block_hash, explorer_id, at)
		VALUES ($1, $2, $3, $4)
		ON CONFLICT DO NOTHING`, u.row, block[:], source, c.at)
	return err
}

// unplacePast makes unconfirmed again what was proven by headers from before the
// start that another one takes the place of: the chain has left them.
func (c *commit) unplacePast(ctx context.Context, start int64) error {
	found, err := c.tx.Query(ctx, `
		SELECT DISTINCT n.tx_id
		FROM btcwatch.past_branch p
		JOIN btcwatch.tx_now n ON n.tx_id = p.tx_id AND n.height = p.height
		WHERE n.state = 'confirmed'
		  AND n.proof = 'proven'
		  AND p.start_id = (SELECT max(id) FROM btcwatch.start WHERE begins AND id < $1)
		  AND NOT EXISTS (SELECT FROM btcwatch.chain_now c WHERE c.height = n.height)`, start)
	if err != nil {
		return fmt.Errorf("find what was proven before the start: %w", err)
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("find what was proven before the start: %w", err)
	}
	if err := c.unconfirmAll(ctx, ids, false); err != nil {
		return err
	}
	return c.readAgain(ctx, ids)
}

// readAgain lets the histories of the addresses of transactions be read again.
func (c *commit) readAgain(ctx context.Context, ids []int64) error {
	_, err := c.tx.Exec(ctx, `
		UPDATE btcwatch.asked
		SET signal = ''
		WHERE script_id IN (SELECT script_id FROM btcwatch.touch WHERE tx_id = ANY($1))`, ids)
	if err != nil {
		return fmt.Errorf("let histories be read again: %w", err)
	}
	return nil
}
