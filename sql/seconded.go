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
	if !explorer.Corroborated(agreeing) {
		return nil
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
// which no two independent explorers bear each other out, those first that were
// read longest ago. They are few or many: most bounds them.
func (s *Store) Unseconded(ctx context.Context, most int) (map[int64]bool, error) {
	found, err := s.pool.Query(ctx, `
		SELECT c.script_id
		FROM btcwatch.coverage c
		JOIN btcwatch.joined j ON j.script_id = c.script_id
		WHERE c.proof = 'reported'
		  AND EXISTS (SELECT FROM btcwatch.listing_now l WHERE l.script_id = c.script_id)
		  AND NOT EXISTS (
		      SELECT FROM btcwatch.coverage v
		      WHERE v.script_id = c.script_id AND v.proof = 'corroborated' AND v.to_height >= j.height)
		ORDER BY c.at, c.script_id
		LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("read whose history rests on one word: %w", err)
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read whose history rests on one word: %w", err)
	}
	all := map[int64]bool{}
	for _, id := range ids {
		all[id] = true
	}
	return all, nil
}
