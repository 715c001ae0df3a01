package sql

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain/explorer"
)

// coverAgain raises the coverage of an address's past where two independent
// explorers were read to the end and agree: each showed every payment that is on
// record from before its watch, in the block where it stands.
func (c *commit) coverAgain(ctx context.Context, q *Question, source int32) error {
	found, err := c.tx.Query(ctx, `
		SELECT x.operator, x.software
		FROM btcwatch.asked a
		JOIN btcwatch.explorer_now x ON x.explorer_id = a.explorer_id
		WHERE a.script_id = $1
		  AND a.read_at IS NOT NULL
		  AND NOT EXISTS (
		      SELECT FROM btcwatch.coverage v
		      WHERE v.script_id = $1 AND v.proof = 'corroborated' AND v.to_height >= $2)
		  AND NOT EXISTS (
		      SELECT FROM btcwatch.touch u
		      JOIN btcwatch.tx_now n ON n.tx_id = u.tx_id AND n.state = 'confirmed' AND n.height <= $2
		      WHERE u.script_id = $1
		        AND NOT EXISTS (
		            SELECT FROM btcwatch.observation o
		            WHERE o.tx_id = u.tx_id AND o.explorer_id = a.explorer_id AND o.block_hash = n.block_hash))`, q.Script, *q.Joined)
	if err != nil {
		return fmt.Errorf("compare the histories of %s: %w", q.Address.Text, err)
	}
	agreeing, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (w explorer.Witness, err error) {
		err = row.Scan(&w.Operator, &w.Software)
		return w, err
	})
	if err != nil {
		return fmt.Errorf("compare the histories of %s: %w", q.Address.Text, err)
	}
	if err := c.compareHistories(ctx, q); err != nil || !explorer.Corroborated(agreeing) {
		return err
	}
	c.note("history corroborated %d", q.Script)
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.coverage (script_id, from_height, to_height, proof, explorer_id, at)
		VALUES ($1, 0, $2, 'corroborated', $3, $4::timestamptz + interval '1 microsecond')`, q.Script, *q.Joined, source, c.at)
	if err != nil {
		return fmt.Errorf("cover the history of %s again: %w", q.Address.Text, err)
	}
	return nil
}

// Unseconded gives, of the addresses whose history was read to the end, those of
// which no two independent explorers bear each other out, in the
// order of their scripts, above one of them.
func (s *Store) Unseconded(ctx context.Context, above int64, most int) ([]int64, error) {
	found, err := s.pool.Query(ctx, `
		SELECT c.script_id
		FROM btcwatch.coverage c
		JOIN btcwatch.joined j ON j.script_id = c.script_id
		WHERE c.proof = 'reported'
		  AND c.script_id > $2
		  AND EXISTS (SELECT FROM btcwatch.listing_now l WHERE l.script_id = c.script_id)
		  AND NOT EXISTS (
		      SELECT FROM btcwatch.coverage v
		      WHERE v.script_id = c.script_id AND v.proof = 'corroborated' AND v.to_height >= j.height)
		ORDER BY c.script_id
		LIMIT $1`, most, above)
	if err != nil {
		return nil, fmt.Errorf("read whose history rests on one word: %w", err)
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read whose history rests on one word: %w", err)
	}
	return ids, nil
}

// compareHistories records where a history that was read to its end lacks
// payments that another one shows. What lies close to the height where the watch
// began is left out: an explorer may have lagged.
func (c *commit) compareHistories(ctx context.Context, q *Question) error {
	found, err := c.tx.Query(ctx, `
		SELECT e.name, count(*), min(btcwatch.display(t.txid)),
		       coalesce(min((
		           SELECT f.name
		           FROM btcwatch.observation o
		           JOIN btcwatch.explorer f ON f.id = o.explorer_id
		           WHERE o.tx_id = u.tx_id AND o.block_hash = n.block_hash
		           ORDER BY o.at, f.name
		           LIMIT 1)), '')
		FROM btcwatch.asked a
		JOIN btcwatch.explorer e ON e.id = a.explorer_id
		JOIN btcwatch.touch u ON u.script_id = a.script_id
		JOIN btcwatch.tx_now n ON n.tx_id = u.tx_id AND n.state = 'confirmed' AND n.height <= $2 - 6
		JOIN btcwatch.tx t ON t.id = u.tx_id
		WHERE a.script_id = $1
		  AND a.read_at > u.recorded_at
		  AND NOT EXISTS (
		      SELECT FROM btcwatch.observation o
		      WHERE o.tx_id = u.tx_id AND o.explorer_id = a.explorer_id AND o.block_hash = n.block_hash)
		GROUP BY e.name`, q.Script, *q.Joined)
	if err != nil {
		return fmt.Errorf("compare the histories of %s: %w", q.Address.Text, err)
	}
	lacking, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (Disagreement, error) {
		d := Disagreement{Kind: DisagreeTransaction, Subject: q.Address.Text, Script: &q.Script, Since: c.at}
		var count int64
		var txid string
		err := row.Scan(&d.Explorer, &count, &txid, &d.Other)
		d.Said = fmt.Sprintf("was read to the end of its history and does not show %d payments from before the watch there", count)
		d.OtherSaid = fmt.Sprintf("shows them, such as %s", txid)
		return d, err
	})
	if err != nil {
		return fmt.Errorf("compare the histories of %s: %w", q.Address.Text, err)
	}
	if err := c.endHistories(ctx, q, lacking); err != nil {
		return err
	}
	for _, d := range lacking {
		if d.Other == "" || d.Other == d.Explorer {
			continue
		}
		if _, err := c.disagree(ctx, d); err != nil {
			return fmt.Errorf("record that %s lacks payments: %w", d.Explorer, err)
		}
	}
	return nil
}

// endHistories ends the disagreements of those whose reading of a history lacks
// nothing any more.
func (c *commit) endHistories(ctx context.Context, q *Question, lacking []Disagreement) error {
	names := []string{}
	for _, d := range lacking {
		names = append(names, d.Explorer)
	}
	found, err := c.tx.Query(ctx, `
		SELECT d.id
		FROM btcwatch.disagreement_open d
		JOIN btcwatch.explorer e ON e.id = d.explorer_id
		WHERE d.kind = 'transaction'
		  AND d.subject = $1
		  AND e.name <> ALL($2)`, q.Address.Text, names)
	if err != nil {
		return fmt.Errorf("read who lacked payments: %w", err)
	}
	over, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("read who lacked payments: %w", err)
	}
	for _, id := range over {
		if err := c.agreeAgain(ctx, id, "agreed", ""); err != nil {
			return fmt.Errorf("record that histories agree: %w", err)
		}
	}
	return nil
}
