package sql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// ChainHash gives the hash of the covered block at a height, or of one before
// the start of which the header or the hash is known; false where there is none.
func (s *Store) ChainHash(ctx context.Context, height int32) (chainhash.Hash, bool, error) {
	var hash []byte
	err := s.pool.QueryRow(ctx, `
		SELECT b.hash
		FROM btcwatch.chain_now n
		JOIN btcwatch.block b ON b.id = n.block_id
		WHERE n.height = $1
		UNION ALL
		SELECT sha256(sha256(a.header))
		FROM btcwatch.ancestor a
		JOIN btcwatch.start_begun s ON s.id = a.start_id
		WHERE a.height = $1
		UNION ALL
		SELECT parent_hash
		FROM btcwatch.followed
		WHERE from_height = $1 + 1
		LIMIT 1`, height).Scan(&hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return chainhash.Hash{}, false, nil
	}
	if err != nil {
		return chainhash.Hash{}, false, fmt.Errorf("read the covered block at %d: %w", height, err)
	}
	return chainhash.Hash(hash), true, nil
}

// Lowest is the height below which no block is known, covered or from before the
// start.
func (s *Store) Lowest(ctx context.Context) (int32, error) {
	var lowest int32
	err := s.pool.QueryRow(ctx, `
		SELECT coalesce(least(
		           (SELECT min(height) FROM btcwatch.chain_now),
		           (SELECT min(from_height) - 1 FROM btcwatch.followed),
		           (SELECT min(a.height) FROM btcwatch.ancestor a JOIN btcwatch.start_begun s ON s.id = a.start_id)), 0)`).Scan(&lowest)
	if err != nil {
		return 0, fmt.Errorf("read how far down blocks are known: %w", err)
	}
	return lowest, nil
}

// LeftAt gives the blocks at a height that were on the chain once and are not
// now, and in which order they left it: later ones have higher numbers.
func (s *Store) LeftAt(ctx context.Context, height int32) (map[chainhash.Hash]int64, error) {
	found, err := s.pool.Query(ctx, `
		SELECT b.hash, max(e.id)
		FROM btcwatch.block b
		JOIN btcwatch.block_event e ON e.block_id = b.id AND NOT e.on_chain
		WHERE b.height = $1
		  AND NOT EXISTS (SELECT FROM btcwatch.chain_now n WHERE n.block_id = b.id)
		GROUP BY b.hash`, height)
	if err != nil {
		return nil, fmt.Errorf("read which blocks left the chain at %d: %w", height, err)
	}
	left := map[chainhash.Hash]int64{}
	var hash []byte
	var order int64
	_, err = pgx.ForEachRow(found, []any{&hash, &order}, func() error {
		left[chainhash.Hash(hash)] = order
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read which blocks left the chain at %d: %w", height, err)
	}
	return left, nil
}

// StepBack takes the blocks above a height off the chain, in one commit: they
// stay recorded as no longer on it, their transactions are unconfirmed again,
// and whoever was told of a confirmation is told that it no longer holds.
func (w *Writer) StepBack(ctx context.Context, height int32) error {
	err := w.commit(ctx, "reorg", func(c *commit) error {
		if height >= c.position.Height {
			return nil
		}
		hash, bits, err := c.coveredTip(ctx, height)
		if err != nil {
			return err
		}
		return c.stepBack(ctx, chain.Tip{Height: height, Hash: hash, Bits: bits})
	})
	if err != nil {
		return fmt.Errorf("step back to block %d: %w", height, err)
	}
	return nil
}

// BeginAgain gives following another start at the height of the one that it has,
// after a reorganisation that goes below it: all blocks covered since leave the
// chain, as they do in a step back, and people are told. What the blocks below
// hold now was never followed.
func (w *Writer) BeginAgain(ctx context.Context, start Start) error {
	err := w.commit(ctx, "start again", func(c *commit) error {
		before, _, known, err := begun(ctx, c.tx)
		if err != nil {
			return err
		}
		if !known || start.Height != before.Height {
			return fmt.Errorf("following began at block %d, and begins again nowhere else", before.Height)
		}
		if before.Parent == start.Parent {
			return nil
		}
		fork := start.Height - 1
		c.note("start %d %s %s", start.Height, start.Parent, start.RestsOn)
		id, err := c.putStart(ctx, start, &fork)
		if err != nil {
			return err
		}
		if err := c.putBlockGap(ctx, blockGap{
			start: id, to: fork, reason: "the chain was reorganised below the block that following began with",
		}); err != nil {
			return err
		}
		if err := c.loadSources(ctx); err != nil {
			return err
		}
		lowest, err := c.lowestCovered(ctx, fork+1)
		if err != nil {
			return err
		}
		if err := c.leaveAbove(ctx, lowest-1, chain.Tip{Height: fork, Hash: start.Parent}); err != nil {
			return err
		}
		if err := c.unplacePast(ctx, id); err != nil {
			return err
		}
		told := alerts.BegunAgain{
			Network: c.network(), Start: id, Height: start.Height, Depth: c.position.Height - fork, OldTip: c.position.Hash.String(),
			RestsOn: start.RestsOn, At: c.at,
		}
		return c.alert(ctx, told.Alert(c.store.key), subject{})
	})
	if err != nil {
		return fmt.Errorf("begin following again at block %d: %w", start.Height, err)
	}
	return nil
}

// lowestCovered is the lowest height that is covered, at most the one given: a
// reorganisation across the start has covered blocks below it.
func (c *commit) lowestCovered(ctx context.Context, most int32) (lowest int32, err error) {
	err = c.tx.QueryRow(ctx, `
		SELECT coalesce(least(min(height), $1), $1)
		FROM btcwatch.chain_now`, most).Scan(&lowest)
	if err != nil {
		return 0, fmt.Errorf("find the lowest block covered: %w", err)
	}
	return lowest, nil
}

// stepBack takes the blocks above another tip off the chain, and goes there.
func (c *commit) stepBack(ctx context.Context, to chain.Tip) error {
	if err := c.leaveAbove(ctx, to.Height, to); err != nil {
		return err
	}
	deep := alerts.DeepReorg{
		Network: c.network(), Fork: to.Height, Depth: c.position.Height - to.Height, OldTip: c.position.Hash.String(), At: c.at,
	}
	if a, ok := deep.Alert(c.store.key); ok {
		return c.alert(ctx, a, subject{})
	}
	return nil
}

// leaveAbove takes the blocks above a height off the chain, with what they
// confirmed, and goes on from a tip.
func (c *commit) leaveAbove(ctx context.Context, height int32, to chain.Tip) error {
	if err := c.unplace(ctx, height); err != nil {
		return err
	}
	_, err := c.tx.Exec(ctx, `
		WITH gone AS (
		    DELETE FROM btcwatch.chain_now
		    WHERE height > $1
		    RETURNING block_id
		)
		INSERT INTO btcwatch.block_event (block_id, on_chain, at)
		SELECT block_id, false, $2
		FROM gone`, height, c.at)
	if err != nil {
		return err
	}
	c.note("reorg %d %s", to.Height, to.Hash)
	c.set.forkAt(height, time.Time{})
	return c.advance(ctx, to)
}

// coveredTip is the covered block at a height, or below them one of which the
// header is known, or the start's parent.
func (c *commit) coveredTip(ctx context.Context, height int32) (chainhash.Hash, uint32, error) {
	var header []byte
	err := c.tx.QueryRow(ctx, `
		SELECT b.header
		FROM btcwatch.chain_now n
		JOIN btcwatch.block b ON b.id = n.block_id
		WHERE n.height = $1`, height).Scan(&header)
	if err == nil {
		var h wire.BlockHeader
		err := h.Deserialize(bytes.NewReader(header))
		return h.BlockHash(), h.Bits, err
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return chainhash.Hash{}, 0, err
	}
	if hash, bits, err := c.ancestorAt(ctx, height); err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return hash, bits, err
	}
	var parent []byte
	err = c.tx.QueryRow(ctx, `
		SELECT parent_hash
		FROM btcwatch.followed
		WHERE from_height = $1
		ORDER BY id DESC
		LIMIT 1`, height+1).Scan(&parent)
	if err != nil {
		return chainhash.Hash{}, 0, fmt.Errorf("no covered block at %d: %w", height, err)
	}
	return chainhash.Hash(parent), 0, nil
}

// unplace makes the transactions above a height unconfirmed again.
func (c *commit) unplace(ctx context.Context, height int32) error {
	found, err := c.tx.Query(ctx, `
		SELECT tx_id
		FROM btcwatch.tx_now
		WHERE height > $1
		  AND state = 'confirmed'
		ORDER BY tx_id`, height)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	return c.unconfirmAll(ctx, ids, false)
}
