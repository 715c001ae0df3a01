package sql

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// unconfirmAll makes transactions unconfirmed again and corrects what was told;
// invented says that the block followed there does not hold them.
func (c *commit) unconfirmAll(ctx context.Context, ids []int64, invented bool) error {
	if len(ids) == 0 {
		return nil
	}
	before, err := c.sums(ctx, ids)
	if err != nil {
		return err
	}
	facts, err := c.unconfirm(ctx, ids)
	if err != nil {
		return err
	}
	if err := c.rebalance(ctx, ids, before); err != nil {
		return err
	}
	if err := c.retime(ctx, facts); err != nil {
		return err
	}
	for _, f := range facts {
		if err := c.tellReorged(ctx, f, invented); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) unconfirm(ctx context.Context, ids []int64) ([]*fact, error) {
	var facts []*fact
	for _, id := range ids {
		tx, was, err := c.stored(ctx, id)
		if err != nil {
			return nil, err
		}
		now := standing{known: true, turn: was.turn + 1, state: alerts.Unconfirmed, proof: alerts.Reported}
		if tx.Coinbase() {
			now.state = alerts.Dropped // it cannot stand in any other block
		}
		f := &fact{tx: tx, whole: tx, id: id, was: was, now: now, effects: c.set.match.Effects(tx)}
		if f.source, err = c.firstSource(ctx, id); err != nil {
			return nil, err
		}
		facts = append(facts, f)
	}
	if err := c.putStates(ctx, facts); err != nil {
		return nil, err
	}
	// An address may have been listed since they were recorded.
	if _, err := c.putTouches(ctx, facts); err != nil {
		return nil, err
	}
	return facts, c.putMovements(ctx, facts)
}

// tellReorged corrects the confirmation that was told of a payment, for the
// block that does not hold it or, where that one was passed over in silence,
// for the one that was told instead and not taken back yet. Where none was
// told there is nothing to take back.
func (c *commit) tellReorged(ctx context.Context, f *fact, invented bool) error {
	for _, e := range f.effects {
		var id []byte
		var severity string
		err := c.tx.QueryRow(ctx, `
			WITH told AS (
			    SELECT id, severity, type, quiet, seq, convert_from(body, 'UTF8')::jsonb #>> '{data,block_hash}' AS block
			    FROM btcwatch.alert
			    WHERE script_id = $1
			      AND tx_id = $2
			      AND type IN ('transaction.confirmed', 'transaction.seen', 'transaction.reorged')
			)
			SELECT id, severity
			FROM told
			WHERE type <> 'transaction.reorged'
			  AND (block = $3 OR block IS NOT NULL AND seq > ALL (SELECT seq FROM told WHERE type = 'transaction.reorged'))
			ORDER BY block = $3 DESC, quiet, seq DESC
			LIMIT 1`, e.Script, f.id, f.was.block.String()).Scan(&id, &severity)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("find what was told of %s: %w", f.tx.ID, err)
		}
		p, err := c.payment(ctx, f.tx, f.id, f.now, e)
		if err != nil {
			return err
		}
		worst, err := alerts.ParseSeverity(severity)
		if err != nil {
			return err
		}
		height := f.was.height
		p.BlockHeight, p.BlockHash, p.Corrected = &height, f.was.block.String(), &worst
		if invented {
			if p.PlacedBy, err = c.placedBy(ctx, f); err != nil {
				return err
			}
		}
		a, ok := p.Reorged(c.store.key, alerts.ID(id))
		if err := c.tellIf(ctx, ok, a, e.Script, f.id, p); err != nil {
			return err
		}
	}
	return nil
}
