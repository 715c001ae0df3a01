package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/watchlist"
)

// ErrNotNext says that a block does not follow the stored position.
var ErrNotNext = errors.New("block is not the next one")

// Start is what following begins with.
type Start struct {
	Height  int32          // the first block covered
	Parent  chainhash.Hash // of the block before it; zero for the first block of all
	RestsOn string         // in words, for every proof
	Proves  bool           // false: nothing that follows is better than reported

	Pinned *chainhash.Hash // of the first block covered, where a person vouches for it; nil: nobody does
}

// SetStart gives following its start, unless it has one: the stored position
// wins over a changed configuration. Every address joins there.
func (w *Writer) SetStart(ctx context.Context, start Start) error {
	err := w.commit(ctx, "start", func(c *commit) error {
		if c.position.Set {
			return nil
		}
		c.note("start %d %s %s", start.Height, start.Parent, start.RestsOn)
		if _, err := c.putStart(ctx, start, nil); err != nil {
			return err
		}
		c.position.Set, c.position.Height, c.position.Hash = true, start.Height-1, start.Parent
		if err := c.advance(ctx, c.position.Tip()); err != nil {
			return err
		}
		return c.load(ctx)
	})
	if err != nil {
		return fmt.Errorf("begin following at block %d: %w", start.Height, err)
	}
	return nil
}

// putStart records a start. fork is the last block that holds of what was
// covered before; nil where nothing was.
func (c *commit) putStart(ctx context.Context, start Start, fork *int32) (id int64, err error) {
	var pinned []byte
	if start.Pinned != nil {
		pinned = start.Pinned[:]
	}
	err = c.tx.QueryRow(ctx, `
		INSERT INTO btcwatch.start (height, parent_hash, rests_on, proves, fork, pinned, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		RETURNING id`, start.Height, start.Parent[:], start.RestsOn, start.Proves, fork, pinned, c.at).Scan(&id)
	return id, err
}

// RaiseStart puts what follows from the position on a better footing than the
// start had: it changes no grade that was given before.
func (w *Writer) RaiseStart(ctx context.Context, at chainhash.Hash, restsOn string) error {
	return w.commit(ctx, "start raised", func(c *commit) error {
		if c.proves || c.position.Hash != at {
			return nil
		}
		c.note("start raised %d %s %s", c.position.Height, at, restsOn)
		_, err := c.tx.Exec(ctx, `
			INSERT INTO btcwatch.start (height, parent_hash, rests_on, proves, begins, fork, at)
			VALUES ($1, $2, $3, true, false, $4, $5)`, c.position.Height+1, at[:], restsOn, c.position.Height, c.at)
		if err != nil {
			return fmt.Errorf("raise what following rests on: %w", err)
		}
		return c.load(ctx)
	})
}

// Begun gives what following last began with; false before it has begun.
func (s *Store) Begun(ctx context.Context) (Start, bool, error) {
	start, _, begun, err := begun(ctx, s.pool)
	if err != nil {
		return start, false, fmt.Errorf("read where following began: %w", err)
	}
	return start, begun, nil
}

// asks is a transaction, or the database itself.
type asks interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

func begun(ctx context.Context, from asks) (start Start, id int64, known bool, err error) {
	var parent, pinned []byte
	err = from.QueryRow(ctx, `
		SELECT id, height, parent_hash, rests_on, proves, pinned
		FROM btcwatch.start_begun`).Scan(&id, &start.Height, &parent, &start.RestsOn, &start.Proves, &pinned)
	if errors.Is(err, pgx.ErrNoRows) {
		return start, 0, false, nil
	}
	copy(start.Parent[:], parent)
	if pinned != nil {
		hash := chainhash.Hash(pinned)
		start.Pinned = &hash
	}
	return start, id, err == nil, err
}

// LatestStart gives what following rests on; false before it has begun.
func (s *Store) LatestStart(ctx context.Context) (Start, bool, error) {
	var start Start
	var parent []byte
	err := s.pool.QueryRow(ctx, `
		SELECT height, parent_hash, rests_on, proves
		FROM btcwatch.start_now`).Scan(&start.Height, &parent, &start.RestsOn, &start.Proves)
	if errors.Is(err, pgx.ErrNoRows) {
		return start, false, nil
	}
	copy(start.Parent[:], parent)
	return start, err == nil, err
}

func (c *commit) advance(ctx context.Context, tip chain.Tip) error {
	var bits *int64
	if tip.Bits != 0 {
		b := int64(tip.Bits)
		bits = &b
	}
	_, err := c.tx.Exec(ctx, `
		UPDATE btcwatch.position
		SET height = $1, hash = $2, bits = $3, moved_at = $4`, tip.Height, tip.Hash[:], bits, c.at)
	if err != nil {
		return fmt.Errorf("move the position to %d: %w", tip.Height, err)
	}
	return nil
}

// Unknown gives the transactions of a verified block that touch the watched
// set, are not recorded yet and may be asked about: none that concerns a
// confidential address, or one that was when it was retired. The caller can ask
// what outputs they spend.
func (w *Writer) Unknown(ctx context.Context, block *chain.Block) ([]*chain.Transaction, error) {
	var unknown []*chain.Transaction
	err := w.commit(ctx, "match", func(c *commit) error {
		hits := c.set.match.Match(block)
		known, err := c.known(ctx, hits)
		if err != nil {
			return err
		}
		for _, tx := range hits {
			if !known[tx.ID] && !tx.Coinbase() && c.askable(tx) {
				unknown = append(unknown, tx)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("match block %d: %w", block.Height, err)
	}
	return unknown, nil
}

func (c *commit) known(ctx context.Context, txs []*chain.Transaction) (map[chainhash.Hash]bool, error) {
	if len(txs) == 0 {
		return nil, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT txid
		FROM btcwatch.tx
		WHERE txid = ANY($1)`, hashes(txs))
	if err != nil {
		return nil, err
	}
	known := map[chainhash.Hash]bool{}
	var txid []byte
	_, err = pgx.ForEachRow(found, []any{&txid}, func() error {
		known[chainhash.Hash(txid)] = true
		return nil
	})
	return known, err
}

// askable says whether none of the addresses that a transaction touches is
// confidential. Retiring one that was does not make it public.
func (c *commit) askable(tx *chain.Transaction) bool {
	for _, e := range c.set.match.Effects(tx) {
		script := c.set.scripts[e.Script]
		secret := slices.ContainsFunc(script.listings, func(l watchlist.Listing) bool { return l.Confidential })
		if secret || script.secret && len(script.listings) == 0 {
			return false
		}
	}
	return true
}

// Stated is what an explorer says of the outputs that a transaction spends.
type Stated struct {
	Spent []*wire.TxOut
	By    string // the explorer
}

// RecordBlock records a verified block that follows the position: the block,
// what it does to the watched addresses, the alerts, and the new position, in
// one commit. spent completes, by txid, what the block does not show of the
// outputs that its transactions spend. A block that was recorded before is
// ErrNotNext. It gives how many watched transactions the block holds.
func (w *Writer) RecordBlock(ctx context.Context, block *chain.Block, explorer string, spent map[chainhash.Hash]Stated) (int, error) {
	hits := 0
	err := w.commit(ctx, "block", func(c *commit) error {
		if !c.position.Set || c.position.Height+1 != block.Height || c.position.Hash != block.Header.PrevBlock {
			return fmt.Errorf("%w: %d %s", ErrNotNext, block.Height, block.Hash)
		}
		source, err := c.explorer(ctx, explorer)
		if err != nil {
			return err
		}
		c.seenAlone(block)
		found, canaries := c.set.match.MatchApart(block)
		for _, tx := range found {
			if known, ok := spent[tx.ID]; ok && len(known.Spent) == len(tx.Msg.TxIn) {
				tx.Spent = known.Spent
			}
		}
		c.position.Height, c.position.Hash, c.position.Bits = block.Height, block.Hash, block.Header.Bits
		id, err := c.putBlock(ctx, block, source)
		if err != nil {
			return err
		}
		if err := c.displace(ctx, block); err != nil {
			return err
		}
		facts, err := c.facts(ctx, found, source, c.grade())
		if err != nil {
			return err
		}
		if err := c.attribute(ctx, facts, spent); err != nil {
			return err
		}
		hits = len(facts)
		if err := c.record(ctx, facts, func() error { return c.tellDeeper(ctx) }); err != nil {
			return err
		}
		if err := c.replacedInBlock(ctx, block, id); err != nil {
			return err
		}
		if err := c.place(ctx, id, facts); err != nil {
			return err
		}
		if err := c.putBranches(ctx, id, block, facts); err != nil {
			return err
		}
		if err := c.putCanaries(ctx, block, explorer, canaries); err != nil {
			return err
		}
		return c.advance(ctx, c.position.Tip())
	})
	if err != nil {
		return 0, fmt.Errorf("record block %d: %w", block.Height, err)
	}
	return hits, nil
}

// grade is the best that a block can prove: with a start that only one
// operator vouches for, no more than that operator's word.
func (c *commit) grade() alerts.Proof {
	if c.proves {
		return alerts.Proven
	}
	return alerts.Reported
}

func (c *commit) putBlock(ctx context.Context, block *chain.Block, source int32) (id int64, err error) {
	c.note("block %d %s", block.Height, block.Hash)
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.block (hash, height, header, time, tx_count, explorer_id, recorded_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT DO NOTHING`, block.Hash[:], block.Height, block.HeaderBytes(), block.Time(), len(block.Transactions), source, c.at)
	if err == nil { // it may be there already: the chain left it and came back
		err = c.tx.QueryRow(ctx, `SELECT id FROM btcwatch.block WHERE hash = $1`, block.Hash[:]).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("record the block: %w", err)
	}
	_, err = c.tx.Exec(ctx, `
		WITH e AS (
		    INSERT INTO btcwatch.block_event (block_id, on_chain, at)
		    VALUES ($1, true, $3)
		)
		INSERT INTO btcwatch.chain_now (height, block_id)
		VALUES ($2, $1)`, id, block.Height, c.at)
	return id, err
}

func (c *commit) place(ctx context.Context, block int64, facts []*fact) error {
	var ids []int64
	var indexes []int32
	for _, f := range facts {
		ids, indexes = append(ids, f.id), append(indexes, int32(f.tx.Place.Index))
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.placement (block_id, index, tx_id)
		SELECT $1, u.index, u.tx_id
		FROM unnest($2::integer[], $3::bigint[]) AS u (index, tx_id)
		ON CONFLICT DO NOTHING`, block, indexes, ids)
	if err != nil {
		return fmt.Errorf("place transactions in the block: %w", err)
	}
	return nil
}

// tellDeeper tells the payments that reach a configured depth with the new
// position: the first depth to the channels, deeper ones to the report. What
// was told before has the same id and is not told again.
func (c *commit) tellDeeper(ctx context.Context) error {
	for _, depth := range c.tell.Confirmations {
		if depth == 1 {
			continue // told with the payment itself
		}
		height := c.position.Height - depth + 1
		ids, err := c.confirmedAt(ctx, height)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := c.tellDepth(ctx, id, depth); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *commit) confirmedAt(ctx context.Context, height int32) ([]int64, error) {
	found, err := c.tx.Query(ctx, `
		SELECT n.tx_id
		FROM btcwatch.tx_now n
		WHERE n.height = $1
		  AND n.state = 'confirmed'
		  AND EXISTS (SELECT FROM btcwatch.touch u WHERE u.tx_id = n.tx_id AND NOT u.historic)
		ORDER BY n.tx_id`, height)
	if err != nil {
		return nil, fmt.Errorf("find payments at height %d: %w", height, err)
	}
	return pgx.CollectRows(found, pgx.RowTo[int64])
}

func (c *commit) tellDepth(ctx context.Context, id int64, depth int32) error {
	tx, s, err := c.stored(ctx, id)
	if err != nil {
		return err
	}
	effects := c.set.match.Effects(tx)
	for _, e := range c.listedFirst(effects) {
		if c.historic(e.Script, s) || len(c.set.scripts[e.Script].listings) == 0 {
			continue
		}
		if silent, err := c.silent(ctx, id, effects, e); err != nil {
			return err
		} else if silent {
			continue
		}
		p, err := c.payment(ctx, tx, id, s, e)
		if err != nil {
			return err
		}
		p.Confirmations = depth
		if err := c.countOverTime(ctx, p, e.Script, id); err != nil {
			return err
		}
		a, ok := p.Confirmed(c.store.key, depth, depth == c.tell.Confirmations[0])
		if err := c.tellIf(ctx, ok, a, e.Script, id, p); err != nil {
			return err
		}
	}
	return nil
}
