package sql

import (
	"bytes"
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"
)

// Debits are the transactions that confirmed debits rest on and that are not
// recorded, by their ids: hashed to them, they show whose the money was and how
// much.
type Debits struct {
	Previous []chainhash.Hash
	After    int64 // where the next look at stated debits begins; 0: from the beginning
}

const (
	previousOf = `
	SELECT DISTINCT i.prev_txid
	FROM (`
	ofDebits = `) m
	JOIN btcwatch.tx_now n ON n.tx_id = m.tx_id AND n.state = 'confirmed' AND n.height = m.height
	JOIN btcwatch.tx_input i ON i.tx_id = m.tx_id AND i.n = m.n
	WHERE NOT EXISTS (SELECT FROM btcwatch.tx p WHERE p.txid = i.prev_txid)
	  AND btcwatch.askable(m.tx_id)
	  AND i.prev_txid <> ALL($1)
	LIMIT $2`
	debitsAtOnce = 2000 // stated ones that one look reads
)

// DebitsByHint gives what debits rest on of which no amount is known: those that
// a spend only reveals. without are left out.
func (s *Store) DebitsByHint(ctx context.Context, without []chainhash.Hash, most int) ([]chainhash.Hash, error) {
	return s.previous(ctx, previousOf+`
	    SELECT m.tx_id, m.height, m.n
	    FROM btcwatch.movement m
	    WHERE m.direction = 1
	      AND m.amount IS NULL`+ofDebits, without, most)
}

// DebitsByWord gives what debits rest on that an explorer states, of some
// transactions after one, in the order in which they were recorded.
func (s *Store) DebitsByWord(ctx context.Context, after int64, without []chainhash.Hash, most int) (d Debits, err error) {
	var last *int64
	var count int
	err = s.pool.QueryRow(ctx, `
		SELECT count(*), max(tx_id)
		FROM (SELECT tx_id FROM btcwatch.movement WHERE stated AND tx_id > $1 ORDER BY tx_id LIMIT $2) x`, after, debitsAtOnce).Scan(&count, &last)
	if err != nil {
		return d, fmt.Errorf("read debits: %w", err)
	}
	if last == nil {
		return d, nil
	}
	if d.Previous, err = s.previous(ctx, previousOf+`
	    SELECT m.tx_id, m.height, m.n
	    FROM btcwatch.movement m
	    WHERE m.direction = 1
	      AND m.stated
	      AND m.tx_id > $3
	      AND m.tx_id <= $4`+ofDebits, without, most, after, *last); err != nil {
		return d, err
	}
	if len(d.Previous) == most {
		d.After = after // there may be more of them
	} else if count == debitsAtOnce {
		d.After = *last
	}
	return d, nil
}

func (s *Store) previous(ctx context.Context, query string, without []chainhash.Hash, most int, more ...any) ([]chainhash.Hash, error) {
	skip := make([][]byte, len(without))
	for i := range without {
		skip[i] = bytes.Clone(without[i][:])
	}
	found, err := s.pool.Query(ctx, query, append([]any{skip, most}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("read what debits rest on: %w", err)
	}
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (hash chainhash.Hash, err error) {
		var txid []byte
		err = row.Scan(&txid)
		copy(hash[:], txid)
		return hash, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what debits rest on: %w", err)
	}
	return all, nil
}
