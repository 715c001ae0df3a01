package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// CanaryChannel is where the deliveries of the canary end.
const CanaryChannel = "[canary]"

// How much of a canary is taken: of a busy address no more than shows that the
// watch works.
const (
	canaryMost    = 4 // payments taken in canaryPeriod; the rest is passed over
	canaryPeriod  = time.Hour
	sightsMost    = 5000           // unconfirmed payments remembered
	sightsKept    = 24 * time.Hour // one that stays unconfirmed is listed again, and then remembered anew
	canaryPurpose = "watched only to test the watch: no accusation"
)

// SetCanary names the canary that the writer is to tell of, or none. It says whether that has
// changed. What was recorded of an earlier one stays until it is too old.
func (w *Writer) SetCanary(ctx context.Context) (changed bool, err error) {
	a := w.tell.Canary
	err = w.commit(ctx, "canary", func(c *commit) error {
		var script []byte
		if a != nil {
			script = a.Script
		}
		done, err := c.tx.Exec(ctx, `DELETE FROM btcwatch.canary WHERE script IS DISTINCT FROM $1`, script)
		if err != nil {
			return err
		}
		changed = done.RowsAffected() > 0
		if a != nil {
			done, err := c.tx.Exec(ctx, `
				INSERT INTO btcwatch.canary (script, address, since)
				VALUES ($1, $2, $3)
				ON CONFLICT DO NOTHING`, a.Script, a.Text, c.at)
			if err != nil {
				return err
			}
			changed = changed || done.RowsAffected() > 0
		}
		if changed {
			_, err = c.tx.Exec(ctx, `DELETE FROM btcwatch.canary_sight`)
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("name the canary: %w", err)
	}
	return changed, nil
}

// putCanaries takes payments of the canary on the way that those of watched
// addresses go, as far as there is room for them. They are no facts, and the
// journal does not know them.
func (c *commit) putCanaries(ctx context.Context, block *chain.Block, explorer string, found []*chain.Transaction) error {
	if len(found) == 0 {
		return nil
	}
	var taken int
	err := c.tx.QueryRow(ctx, `
		SELECT count(*)
		FROM btcwatch.canary_payment
		WHERE script = $1
		  AND recorded_at > $2`, c.tell.Canary.Script, c.at.Add(-canaryPeriod)).Scan(&taken)
	if err != nil {
		return fmt.Errorf("count the payments of the canary: %w", err)
	}
	for _, tx := range found[:min(len(found), max(0, canaryMost-taken))] {
		if err := c.putCanary(ctx, block, explorer, tx); err != nil {
			return fmt.Errorf("take the payment %s of the canary: %w", tx.ID, err)
		}
	}
	return nil
}

func (c *commit) putCanary(ctx context.Context, block *chain.Block, explorer string, tx *chain.Transaction) error {
	p := c.canaryPayment(block, tx)
	a, ok := p.Confirmed(c.store.key, 1, true)
	if !ok {
		return errors.New("it makes no alert")
	}
	done, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.canary_payment (
		    id, body, script, address, txid, amount, proof, height, block_hash, block_time, explorer,
		    unconfirmed, seen_at, seen_by, verified_at, recorded_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
		       CASE WHEN s.at IS NOT NULL THEN true WHEN k.listed_at > $12 THEN false END, s.at, s.explorer, $13, $14
		FROM btcwatch.canary k
		LEFT JOIN btcwatch.canary_sight s ON s.txid = $5
		ON CONFLICT DO NOTHING`,
		a.ID[:], a.Body, c.tell.Canary.Script, p.Address, tx.ID[:], *p.AmountSat, string(p.Proof), block.Height, block.Hash[:],
		block.Time(), explorer, c.position.MovedAt, block.Verified, c.at)
	if err != nil || done.RowsAffected() == 0 { // in another block before, or no canary any more
		return err
	}
	c.told = true
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.canary_delivery (alert_id, channel, next_at)
		VALUES ($1, $2, now())`, a.ID[:], CanaryChannel)
	return err
}

// canaryPayment is a payment of the canary as it would be told.
func (c *commit) canaryPayment(block *chain.Block, tx *chain.Transaction) alerts.Payment {
	var amount int64
	for _, out := range tx.Msg.TxOut {
		if string(out.PkScript) == string(c.tell.Canary.Script) {
			amount += out.Value
		}
	}
	return alerts.Payment{
		Network: c.network(), Address: c.tell.Canary.Text, Label: "canary",
		Listings: []alerts.Listing{{List: "canary", Category: canaryPurpose}},
		TxID:     tx.ID.String(), Direction: alerts.In, AmountSat: &amount, State: alerts.Confirmed, Proof: c.grade(),
		BlockHeight: &block.Height, BlockHash: block.Hash.String(), Confirmations: 1, Depths: []int32{1},
		OccurredAt: block.Time(), ObservedAt: c.at,
	}
}

// SawCanary remembers which payments of the canary an explorer lists as
// unconfirmed. complete says that it lists all; where not all can be remembered
// that does not count either.
func (s *Store) SawCanary(ctx context.Context, explorer string, txids []chainhash.Hash, complete bool) error {
	var ids [][]byte
	for _, id := range txids {
		ids = append(ids, id[:])
	}
	_, err := s.pool.Exec(ctx, `
		WITH room AS (
		    SELECT $4 - count(*) AS room FROM btcwatch.canary_sight
		), news AS (
		    SELECT u.txid
		    FROM unnest($1::bytea[]) AS u (txid)
		    WHERE NOT EXISTS (SELECT FROM btcwatch.canary_sight s WHERE s.txid = u.txid)
		      AND NOT EXISTS (SELECT FROM btcwatch.canary_payment p WHERE p.txid = u.txid)
		), put AS (
		    INSERT INTO btcwatch.canary_sight (txid, explorer, at)
		    SELECT n.txid, $2, $3
		    FROM news n
		    LIMIT (SELECT greatest(room, 0) FROM room)
		    ON CONFLICT DO NOTHING
		)
		UPDATE btcwatch.canary
		SET listed_at = $3
		WHERE $5
		  AND (SELECT count(*) FROM news) <= (SELECT room FROM room)`, ids, explorer, s.now().UTC(), sightsMost, complete)
	if err != nil {
		return fmt.Errorf("remember what %s lists of the canary: %w", explorer, err)
	}
	return nil
}

// CanaryArrived notes that a payment of the canary has come to the end of its
// road, as the transaction that was recorded. One that is deleted by now is none
// of its business.
func (s *Store) CanaryArrived(ctx context.Context, id alerts.ID, txid string) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var sent, script []byte
		now := s.now().UTC()
		err := tx.QueryRow(ctx, `
			UPDATE btcwatch.canary_payment
			SET arrived_at = coalesce(arrived_at, $2)
			WHERE id = $1
			RETURNING txid, script`, id[:], now).Scan(&sent, &script)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if hash := chainhash.Hash(sent); hash.String() != txid {
			return fmt.Errorf("what came speaks of %s", txid)
		}
		_, err = tx.Exec(ctx, `
			UPDATE btcwatch.canary
			SET arrived_at = $2, waited = 0
			WHERE script = $1`, script, now)
		return err
	})
	if err != nil {
		return fmt.Errorf("note that the canary's payment %s has come through: %w", id, err)
	}
	return nil
}
