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
		       CASE WHEN f.proves THEN 0 ELSE coalesce((SELECT min(height) FROM btcwatch.start WHERE proves), 0) END,
		       CASE WHEN sha256(sha256(a.header)) = l.prev THEN l.height ELSE 0 END
		FROM (SELECT id, proves FROM btcwatch.start ORDER BY id LIMIT 1) f
		CROSS JOIN btcwatch.start_now w
		CROSS JOIN LATERAL (
		    SELECT x.height, x.prev
		    FROM (
		        SELECT p.height + 1 AS height, p.hash AS prev FROM btcwatch.position p
		        UNION ALL
		        (SELECT n.height, substr(b.header, 5, 32)
		         FROM btcwatch.chain_now n
		         JOIN btcwatch.block b ON b.id = n.block_id
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
			if misplacedBy, err = c.placedBy(ctx, f); err != nil {
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
		placedBy, err = c.placedBy(ctx, &fact{tx: &chain.Transaction{ID: u.Msg.TxHash()}, id: u.row, was: standing{block: u.Said}})
		if err != nil {
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

// unplacePast makes unconfirmed again what was proven by headers from before a
// start that the chain has left.
func (c *commit) unplacePast(ctx context.Context) error {
	found, err := c.tx.Query(ctx, `
		SELECT DISTINCT n.tx_id
		FROM btcwatch.past_branch p
		JOIN btcwatch.tx_now n ON n.tx_id = p.tx_id AND n.height = p.height
		WHERE n.state = 'confirmed'
		  AND n.proof = 'proven'
		  AND NOT EXISTS (SELECT FROM btcwatch.chain_now c WHERE c.height = n.height)`)
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

// PastState says how far the payments from before the watch are proven.
type PastState struct {
	Unproven int64 // such payments that explorers may be asked about and that are not proven
	Lowest   int32 // the lowest block that holds one
	Known    int32 // headers are known back to there; the start's height where none is
}

// PastState reads it; false before following has begun, or where no proof would
// be worth more than a report.
func (s *Store) PastState(ctx context.Context) (PastState, bool, error) {
	var p PastState
	r, err := readReach(ctx, s.pool)
	if err != nil || !r.proves {
		return p, false, err
	}
	known, begun, err := s.Ancestry(ctx)
	if err != nil || !begun {
		return p, false, err
	}
	p.Known = known.Oldest
	err = s.pool.QueryRow(ctx, `
		SELECT count(*), coalesce(min(n.height), 0)
		FROM btcwatch.tx_now n
		WHERE n.state = 'confirmed'
		  AND n.proof <> 'proven'
		  AND EXISTS (SELECT FROM btcwatch.touch u WHERE u.tx_id = n.tx_id AND u.historic)
		  AND btcwatch.askable(n.tx_id)`).Scan(&p.Unproven, &p.Lowest)
	if err != nil {
		return p, false, fmt.Errorf("count what is not proven: %w", err)
	}
	return p, true, nil
}

// HeadersNeeded gives the lowest block that holds a payment which is not proven
// for want of its header; false where none is needed, or more headers would not
// lead to it.
func (s *Store) HeadersNeeded(ctx context.Context) (int32, bool, error) {
	r, err := readReach(ctx, s.pool)
	if err != nil || !r.proves {
		return 0, false, err
	}
	known, begun, err := s.Ancestry(ctx)
	if err != nil || !begun || r.below == 0 && known.Oldest < known.Start {
		return 0, false, err
	}
	var lowest *int32
	err = s.pool.QueryRow(ctx, `
		SELECT n.height
		FROM btcwatch.tx_now n
		WHERE n.state = 'confirmed'
		  AND n.proof <> 'proven'
		  AND n.height < $1
		  AND EXISTS (SELECT FROM btcwatch.touch u WHERE u.tx_id = n.tx_id AND u.historic)
		  AND btcwatch.askable(n.tx_id)
		ORDER BY n.height
		LIMIT 1`, known.Oldest).Scan(&lowest)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read which headers are needed: %w", err)
	}
	return *lowest, true, nil
}
