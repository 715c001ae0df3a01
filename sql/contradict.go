package sql

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
)

// Recorded is what became of a page of transactions.
type Recorded struct {
	News     int // written now
	Astray   int // left out: confirmed in a block that the chain followed does not have at that height
	Invented int // left out: confirmed in a block that does not hold them, or in one that never was on the chain

	// Deep are the heights of those of the invented ones that are in a block which
	// never was on the chain: unless the chain followed is the wrong one.
	Deep []int32

	// Misstated are the explorers that had stated an output otherwise than the
	// transaction that made it, recorded now, shows.
	Misstated []string
}

// checked leaves out what the followed chain contradicts. A credit within the
// watch of its address cannot be in a followed block that did not show it; a
// debit can, of an output that was not known then.
func (c *commit) checked(ctx context.Context, facts []*fact, r *Recorded) ([]*fact, error) {
	chainNow, placed, err := c.followed(ctx, facts)
	if err != nil {
		return nil, fmt.Errorf("compare with the chain followed: %w", err)
	}
	absent, err := c.absent(ctx, facts)
	if err != nil {
		return nil, fmt.Errorf("compare with blocks that were read: %w", err)
	}
	left, err := c.left(ctx, facts)
	if err != nil {
		return nil, fmt.Errorf("compare with blocks that left the chain: %w", err)
	}
	var kept []*fact
	for _, f := range facts {
		place := f.tx.Place
		if place == nil {
			kept = append(kept, f)
			continue
		}
		hash, covered := chainNow[place.Height]
		switch {
		case absent[absence{f.tx.ID, place.Block}]:
			r.Invented++
		case covered && hash != place.Block && place.Height <= c.position.Height-settled:
			r.Invented++
			r.Deep = append(r.Deep, place.Height)
		case covered && hash != place.Block, left[place.Block] && place.Height > c.position.Height:
			r.Astray++
		case covered && !placed[f.tx.ID] && c.mustHaveShown(f):
			r.Invented++
		default:
			kept = append(kept, f)
		}
	}
	return kept, nil
}

// settled is how deep a block lies of which no explorer can be on another
// branch.
const settled = 144

// absence is that a transaction does not stand in a block.
type absence struct{ tx, block chainhash.Hash }

// absent gives what was found of the facts when blocks were read for them.
func (c *commit) absent(ctx context.Context, facts []*fact) (map[absence]bool, error) {
	var txs []*chain.Transaction
	for _, f := range facts {
		if f.tx.Place != nil {
			txs = append(txs, f.tx)
		}
	}
	if len(txs) == 0 {
		return nil, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT t.txid, x.block_hash
		FROM btcwatch.absence x
		JOIN btcwatch.tx t ON t.id = x.tx_id
		WHERE t.txid = ANY($1)`, hashes(txs))
	if err != nil {
		return nil, err
	}
	absent := map[absence]bool{}
	var txid, block []byte
	_, err = pgx.ForEachRow(found, []any{&txid, &block}, func() error {
		absent[absence{chainhash.Hash(txid), chainhash.Hash(block)}] = true
		return nil
	})
	return absent, err
}

// left gives those of the blocks of the facts that were followed and are not on
// the chain now. An explorer that still shows one above the position, while the
// branch that took its place is being covered, is behind; should the chain come
// back to it, the block itself says so. Below the position, where nothing is
// followed, such a block may well be on the chain.
func (c *commit) left(ctx context.Context, facts []*fact) (map[chainhash.Hash]bool, error) {
	var places [][]byte
	for _, f := range facts {
		if f.tx.Place != nil {
			places = append(places, f.tx.Place.Block[:])
		}
	}
	left := map[chainhash.Hash]bool{}
	if len(places) == 0 {
		return left, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT b.hash
		FROM btcwatch.block b
		WHERE b.hash = ANY($1)
		  AND NOT EXISTS (SELECT FROM btcwatch.chain_now n WHERE n.height = b.height AND n.block_id = b.id)`, places)
	if err != nil {
		return nil, err
	}
	var hash []byte
	_, err = pgx.ForEachRow(found, []any{&hash}, func() error {
		left[chainhash.Hash(hash)] = true
		return nil
	})
	return left, err
}

// placedBy names the explorers that said a transaction was in its block.
func (c *commit) placedBy(ctx context.Context, f *fact) ([]string, error) {
	found, err := c.tx.Query(ctx, `
		SELECT e.name
		FROM btcwatch.observation o
		JOIN btcwatch.explorer e ON e.id = o.explorer_id
		WHERE o.tx_id = $1
		  AND o.block_hash = $2
		ORDER BY e.name`, f.id, f.was.block[:])
	if err != nil {
		return nil, fmt.Errorf("find who placed %s: %w", f.tx.ID, err)
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}

// mustHaveShown says whether following could not have missed a transaction.
func (c *commit) mustHaveShown(f *fact) bool {
	for _, e := range f.effects {
		joined := c.set.scripts[e.Script].joined
		if len(e.Credits) > 0 && joined != nil && f.tx.Place.Height > *joined {
			return true
		}
	}
	return false
}

// followed gives the hashes of the followed blocks that the facts speak of, and
// which of the transactions were found in one.
func (c *commit) followed(ctx context.Context, facts []*fact) (map[int32]chainhash.Hash, map[chainhash.Hash]bool, error) {
	var heights []int32
	var txs []*chain.Transaction
	for _, f := range facts {
		if f.tx.Place != nil {
			heights, txs = append(heights, f.tx.Place.Height), append(txs, f.tx)
		}
	}
	blocks, placed := map[int32]chainhash.Hash{}, map[chainhash.Hash]bool{}
	if len(txs) == 0 {
		return blocks, placed, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT n.height, b.hash
		FROM btcwatch.chain_now n
		JOIN btcwatch.block b ON b.id = n.block_id
		WHERE n.height = ANY($1)`, heights)
	if err != nil {
		return nil, nil, err
	}
	var height int32
	var hash []byte
	_, err = pgx.ForEachRow(found, []any{&height, &hash}, func() error {
		blocks[height] = chainhash.Hash(hash)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if err := c.followedBefore(ctx, heights, blocks); err != nil || len(blocks) == 0 {
		return blocks, placed, err
	}
	found, err = c.tx.Query(ctx, `
		SELECT t.txid
		FROM btcwatch.tx t
		WHERE t.txid = ANY($1)
		  AND EXISTS (
		      SELECT FROM btcwatch.placement p
		      JOIN btcwatch.chain_now n ON n.block_id = p.block_id
		      WHERE p.tx_id = t.id)`, hashes(txs))
	if err != nil {
		return nil, nil, err
	}
	_, err = pgx.ForEachRow(found, []any{&hash}, func() error {
		placed[chainhash.Hash(hash)] = true
		return nil
	})
	return blocks, placed, err
}

// followedBefore adds the hashes of blocks from before the start of which the
// headers are known.
func (c *commit) followedBefore(ctx context.Context, heights []int32, blocks map[int32]chainhash.Hash) error {
	var below []int32
	for _, height := range heights {
		if _, covered := blocks[height]; !covered && height <= c.position.Height {
			below = append(below, height)
		}
	}
	if len(below) == 0 {
		return nil
	}
	r, err := readReach(ctx, c.tx)
	if err != nil {
		return err
	}
	found, err := c.tx.Query(ctx, `
		SELECT height, sha256(sha256(header))
		FROM btcwatch.ancestor
		WHERE start_id = $1
		  AND height < $2
		  AND height = ANY($3)`, r.start, r.below, below)
	if err != nil {
		return err
	}
	var height int32
	var hash []byte
	_, err = pgx.ForEachRow(found, []any{&height, &hash}, func() error {
		blocks[height] = chainhash.Hash(hash)
		return nil
	})
	return err
}

// displace makes unconfirmed again what an explorer said is in a block at this
// height, and is not in the block that is now verified there.
func (c *commit) displace(ctx context.Context, block *chain.Block) error {
	var ids [][]byte
	for i := range block.IDs {
		ids = append(ids, block.IDs[i][:])
	}
	found, err := c.tx.Query(ctx, `
		SELECT n.tx_id
		FROM btcwatch.tx_now n
		JOIN btcwatch.tx t ON t.id = n.tx_id
		WHERE n.height = $1
		  AND n.state = 'confirmed'
		  AND t.txid <> ALL($2)
		ORDER BY n.tx_id`, block.Height, ids)
	if err != nil {
		return fmt.Errorf("find what is not in block %d: %w", block.Height, err)
	}
	displaced, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("find what is not in block %d: %w", block.Height, err)
	}
	return c.unconfirmAll(ctx, displaced, true)
}
