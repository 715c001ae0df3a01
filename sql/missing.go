package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// Unconfirmed is a recorded transaction that waits for a block.
type Unconfirmed struct {
	ID           chainhash.Hash
	Inputs       []wire.OutPoint
	AskedAt      *time.Time // when explorers were last asked whether they know it
	MissingSince *time.Time // since when none does; nil: one does, or nobody was asked
	row          int64
}

// UnconfirmedToAsk gives the unconfirmed transactions that explorers may be
// asked about and were not since a time, longest unasked first. What concerns a
// confidential address, or one that was when it was retired, is not among them.
func (s *Store) UnconfirmedToAsk(ctx context.Context, before time.Time, most int) ([]Unconfirmed, error) {
	found, err := s.pool.Query(ctx, `
		SELECT n.tx_id, t.txid, t.raw, k.asked_at, k.missing_since
		FROM btcwatch.tx_now n
		JOIN btcwatch.tx t ON t.id = n.tx_id
		LEFT JOIN btcwatch.known_now k ON k.tx_id = n.tx_id
		WHERE n.state = 'unconfirmed'
		  AND coalesce(k.asked_at, n.first_seen_at, t.recorded_at) < $1
		  AND btcwatch.askable(n.tx_id)
		ORDER BY k.asked_at NULLS FIRST
		LIMIT $2`, before, most)
	if err != nil {
		return nil, fmt.Errorf("read what is unconfirmed: %w", err)
	}
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (Unconfirmed, error) {
		var u Unconfirmed
		var txid, raw []byte
		if err := row.Scan(&u.row, &txid, &raw, &u.AskedAt, &u.MissingSince); err != nil {
			return u, err
		}
		u.ID = chainhash.Hash(txid)
		msg, err := parse(raw)
		if err != nil {
			return u, err
		}
		for _, in := range msg.TxIn {
			u.Inputs = append(u.Inputs, in.PreviousOutPoint)
		}
		return u, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what is unconfirmed: %w", err)
	}
	return all, nil
}

// SaveKnown notes whether explorers know an unconfirmed transaction: known, not
// known by any, or, where nobody could tell, neither.
func (s *Store) SaveKnown(ctx context.Context, u Unconfirmed, known, missing bool) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO btcwatch.known_now AS k (tx_id, asked_at, missing_since)
		VALUES ($1, $2, CASE WHEN $4 THEN $2::timestamptz END)
		ON CONFLICT (tx_id) DO UPDATE
		SET asked_at = excluded.asked_at,
		    missing_since = CASE WHEN $3 THEN NULL ELSE coalesce(k.missing_since, excluded.missing_since) END`,
		u.row, s.now().UTC(), known, missing)
	if err != nil {
		return fmt.Errorf("note whether %s is known: %w", u.ID, err)
	}
	return nil
}

// RecordReplaced records that another transaction, which an explorer gave whole,
// spends the money of an unconfirmed one.
func (w *Writer) RecordReplaced(ctx context.Context, u Unconfirmed, by chainhash.Hash, explorer string) error {
	err := w.commit(ctx, "replaced", func(c *commit) error {
		source, err := c.explorer(ctx, explorer)
		if err != nil {
			return err
		}
		return c.replace(ctx, conflict{old: u.row, by: by, explorer: &source})
	})
	if err != nil {
		return fmt.Errorf("record that %s is replaced: %w", u.ID, err)
	}
	return nil
}

// RecordDropped records that no explorer has known an unconfirmed transaction
// since a time.
func (w *Writer) RecordDropped(ctx context.Context, u Unconfirmed, since time.Time) error {
	err := w.commit(ctx, "dropped", func(c *commit) error {
		f, err := c.leave(ctx, u.row, alerts.Dropped)
		if err != nil || f == nil {
			return err
		}
		for _, e := range f.effects {
			p, err := c.correction(ctx, f, e)
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
			a, ok := p.Dropped(c.store.key, since)
			if err := c.tellIf(ctx, ok, a, e.Script, f.id, *p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record that %s is dropped: %w", u.ID, err)
	}
	return nil
}
