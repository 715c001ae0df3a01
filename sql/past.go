package sql

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// Unproven is a transaction that explorers place in a block of which the header
// is known, and that was not found in it here: a payment from before the watch,
// or a spend of an output that was not known then.
type Unproven struct {
	Msg    *wire.MsgTx
	Height int32
	Said   chainhash.Hash   // the block, by an explorer's word
	Header wire.BlockHeader // of the chain followed at that height
	Count  int              // transactions in that block; 0: not known
	row    int64
	block  *int64 // row of the block, where it was covered
}

// Block is the hash of the chain's block at the height.
func (u *Unproven) Block() chainhash.Hash { return u.Header.BlockHash() }

// reach says of which heights headers are known that are on the chain followed.
type reach struct {
	start  int64 // row of the start whose ancestors are known
	proves bool  // false: no proof is worth more than a report
	floor  int32 // covered blocks count from this height on
	below  int32 // headers from before the start count below this height; 0: none does
}

// readReach reads it. The headers from before the start count as far as the
// chain followed leads to them: not after a reorganisation below all of them.
// Where the start was raised later, blocks from before that rest on less.
func readReach(ctx context.Context, db querier) (r reach, err error) {
	err = db.QueryRow(ctx, `
		SELECT f.id, w.proves,
		       CASE WHEN (SELECT bool_and(proves) FROM btcwatch.start) THEN 0 ELSE w.height END,
		       CASE WHEN sha256(sha256(a.header)) = l.prev THEN l.height ELSE 0 END
		FROM btcwatch.start_begun f
		CROSS JOIN btcwatch.start_now w
		CROSS JOIN LATERAL (
		    SELECT x.height, x.prev
		    FROM (
		        SELECT p.height + 1 AS height, p.hash AS prev FROM btcwatch.position p
		        UNION ALL
		        (SELECT n.height, substr(b.header, 5, 32)
		         FROM btcwatch.chain_now n
		         JOIN btcwatch.block b ON b.id = n.block_id
		         WHERE n.height > coalesce(f.fork, -1) -- what was covered before another start is no part of it
		         ORDER BY n.height
		         LIMIT 1)) x
		    ORDER BY x.height
		    LIMIT 1) l
		LEFT JOIN btcwatch.ancestor a ON a.start_id = f.id AND a.height = l.height - 1`).
		Scan(&r.start, &r.proves, &r.floor, &r.below)
	if errors.Is(err, pgx.ErrNoRows) {
		return reach{}, nil
	}
	if err != nil {
		return r, fmt.Errorf("read how far back the chain is known: %w", err)
	}
	return r, nil
}

const selectUnproven = `
	SELECT n.tx_id, t.raw, n.height, n.block_hash, coalesce(b.header, a.header), coalesce(b.tx_count, 0), b.id
	FROM btcwatch.tx_now n
	JOIN btcwatch.tx t ON t.id = n.tx_id
	LEFT JOIN btcwatch.chain_now c ON c.height = n.height AND n.height >= $2
	LEFT JOIN btcwatch.block b ON b.id = c.block_id
	LEFT JOIN btcwatch.ancestor a ON a.start_id = $1 AND a.height = n.height AND n.height < $3
	WHERE n.state = 'confirmed'
	  AND n.proof <> 'proven'
	  AND (b.id IS NOT NULL OR a.header IS NOT NULL)
	  AND NOT EXISTS (SELECT FROM btcwatch.placement p WHERE p.tx_id = n.tx_id AND p.block_id = b.id)
	  AND btcwatch.askable(n.tx_id)`

func scanUnproven(row pgx.CollectableRow) (*Unproven, error) {
	var u Unproven
	var raw, said, header []byte
	if err := row.Scan(&u.row, &raw, &u.Height, &said, &header, &u.Count, &u.block); err != nil {
		return nil, err
	}
	u.Said = chainhash.Hash(said)
	if err := u.Header.Deserialize(bytes.NewReader(header)); err != nil {
		return nil, err
	}
	var err error
	u.Msg, err = parse(raw)
	return &u, err
}

// Unproven gives such transactions that explorers may be asked about, newest
// first, without some of them.
func (s *Store) Unproven(ctx context.Context, without []chainhash.Hash, most int) ([]*Unproven, error) {
	r, err := readReach(ctx, s.pool)
	if err != nil || !r.proves {
		return nil, err
	}
	skip := make([][]byte, len(without))
	for i := range without {
		skip[i] = without[i][:]
	}
	found, err := s.pool.Query(ctx, selectUnproven+`
	  AND t.txid <> ALL($4)
	ORDER BY n.height DESC, n.tx_id
	LIMIT $5`, r.start, r.floor, r.below, skip, most)
	if err != nil {
		return nil, fmt.Errorf("read what is not proven: %w", err)
	}
	all, err := pgx.CollectRows(found, scanUnproven)
	if err != nil {
		return nil, fmt.Errorf("read what is not proven: %w", err)
	}
	return all, nil
}

// still reads again what is about to be decided of a transaction; nil where it
// moved, or the chain did.
func (c *commit) still(ctx context.Context, u *Unproven) (*Unproven, reach, error) {
	r, err := readReach(ctx, c.tx)
	if err != nil {
		return nil, r, err
	}
	found, err := c.tx.Query(ctx, selectUnproven+`
	  AND n.tx_id = $4`, r.start, r.floor, r.below, u.row)
	if err != nil {
		return nil, r, err
	}
	now, err := pgx.CollectRows(found, scanUnproven)
	if err != nil || len(now) == 0 || now[0].Block() != u.Block() || now[0].Said != u.Said {
		return nil, r, err
	}
	return now[0], r, nil
}

// RecordProof records that a transaction stands in the block of the chain
// followed, as the inclusion shows: from then on it is proven, with what the
// header says of the place. The error wraps chain.ErrFalseBranch where it does
// not show that. No alert is made: a grade alone is none. It names the explorers
// that placed the transaction in another block.
func (w *Writer) RecordProof(ctx context.Context, u *Unproven, in *chain.Inclusion, explorer string) (misplacedBy []string, err error) {
	err = w.commit(ctx, "proof", func(c *commit) error {
		if err := in.Check(u.Msg, &u.Header, u.Height, u.Count, c.store.params); err != nil {
			return err
		}
		now, r, err := c.still(ctx, u)
		if err != nil || now == nil || c.grade() != alerts.Proven {
			return err
		}
		source, err := c.explorer(ctx, explorer)
		if err != nil {
			return err
		}
		tx, was, err := c.stored(ctx, u.row)
		if err != nil {
			return err
		}
		f := &fact{tx: tx, whole: tx, id: u.row, was: was, now: was, source: source, effects: c.set.match.Effects(tx)}
		f.now.proof, f.now.block, f.now.time = alerts.Proven, u.Block(), u.Header.Timestamp.UTC()
		if was.block != f.now.block {
			f.now.turn++
			if misplacedBy, err = c.misplacedBy(ctx, u); err != nil {
				return err
			}
		}
		tx.Place = &chain.Place{Height: u.Height, Block: f.now.block, Time: f.now.time, Index: in.Branch.Index}
		if now.block != nil {
			err = c.putCoveredProof(ctx, *now.block, in, f)
		} else {
			err = c.putPastProof(ctx, r.start, in, f)
		}
		if err != nil {
			return err
		}
		if err := c.putStates(ctx, []*fact{f}); err != nil {
			return err
		}
		if was.time.Equal(f.now.time) {
			return nil
		}
		return c.retime(ctx, []*fact{f})
	})
	if err != nil {
		return nil, fmt.Errorf("record the proof of %s: %w", u.Msg.TxHash(), err)
	}
	return misplacedBy, nil
}

// putCoveredProof stores what recording its block would have stored.
func (c *commit) putCoveredProof(ctx context.Context, block int64, in *chain.Inclusion, f *fact) error {
	if err := c.place(ctx, block, []*fact{f}); err != nil {
		return err
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.branch (block_id, tx_id, siblings)
		VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING`, block, f.id, joined(in.Branch.Siblings))
	if err != nil {
		return fmt.Errorf("record a Merkle branch: %w", err)
	}
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.coinbase (block_id, raw, siblings)
		VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING`, block, in.CoinbaseBytes(), joined(in.CoinbaseSiblings))
	if err != nil {
		return fmt.Errorf("record the coinbase: %w", err)
	}
	return nil
}

// putPastProof stores a proof to a header from before the start.
func (c *commit) putPastProof(ctx context.Context, start int64, in *chain.Inclusion, f *fact) error {
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.past_branch (tx_id, start_id, height, index, siblings, coinbase, coinbase_siblings, explorer_id, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT DO NOTHING`, f.id, start, f.now.height, in.Branch.Index, joined(in.Branch.Siblings),
		in.CoinbaseBytes(), joined(in.CoinbaseSiblings), f.source, c.at)
	if err != nil {
		return fmt.Errorf("record a Merkle branch from before the start: %w", err)
	}
	return nil
}
