package sql

import (
	"bytes"
	"context"
	"errors"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
)

// block takes the block of the followed chain that holds the transaction, if
// one does and what proves it was kept: that of a covered block, or of one from
// before the start.
func (g *gathering) block(ctx context.Context) error {
	for _, query := range []string{`
		SELECT b.height, b.header, p.index, b.tx_count, m.siblings, c.raw, c.siblings
		FROM btcwatch.placement p
		JOIN btcwatch.chain_now n ON n.block_id = p.block_id
		JOIN btcwatch.block b ON b.id = p.block_id
		JOIN btcwatch.branch m ON m.block_id = p.block_id AND m.tx_id = p.tx_id
		JOIN btcwatch.coinbase c ON c.block_id = p.block_id
		WHERE p.tx_id = $1
		ORDER BY b.height DESC -- two coinbases of 2010 stand in two blocks
		LIMIT 1`, `
		SELECT a.height, a.header, p.index, NULL::integer, p.siblings, p.coinbase, p.coinbase_siblings
		FROM btcwatch.past_branch p
		JOIN btcwatch.ancestor a USING (start_id, height)
		JOIN btcwatch.tx_now t ON t.tx_id = p.tx_id
		WHERE p.tx_id = $1
		  AND t.state = 'confirmed'
		  AND t.block_hash = sha256(sha256(a.header))
		LIMIT 1`,
	} {
		if err := g.blockBy(ctx, query); err != nil || g.e.Proof.Block != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) blockBy(ctx context.Context, query string) error {
	b := &chain.EvidenceBlock{}
	var header, siblings, coinbaseSiblings []byte
	err := g.tx.QueryRow(ctx, query, g.id).
		Scan(&b.Height, &header, &b.Index, &b.TxCount, &siblings, (*[]byte)(&b.Coinbase), &coinbaseSiblings)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	b.Hash = chain.HashText(chainhash.DoubleHashH(header))
	for _, h := range apart(siblings) {
		b.Siblings = append(b.Siblings, chain.HashText(h))
	}
	for _, h := range apart(coinbaseSiblings) {
		b.CoinbaseSiblings = append(b.CoinbaseSiblings, chain.HashText(h))
	}
	g.e.Proof.Block = b
	return nil
}

// headers takes those of the followed chain around the block, as far as they
// follow each other without a gap: down to the checkpoint below it and what
// decides the difficulty there, as far as they are known, and up to what the
// block rests on. Those by which it was proven count even where nothing of their
// start is followed any more: whether the chain has them, the links show.
func (g *gathering) headers(ctx context.Context) error {
	b := g.e.Proof.Block
	if b == nil {
		return nil
	}
	from, to := g.around(b.Height)
	found, err := g.tx.Query(ctx, `
		SELECT n.height, b.header, true AS followed
		FROM btcwatch.chain_now n
		JOIN btcwatch.block b ON b.id = n.block_id
		WHERE n.height BETWEEN $1 AND $2
		UNION ALL
		SELECT a.height, a.header, false
		FROM btcwatch.ancestor a
		WHERE a.height BETWEEN $1 AND $2
		  AND a.start_id IN (
		          SELECT id FROM btcwatch.followed
		          UNION
		          SELECT start_id FROM btcwatch.past_branch WHERE tx_id = $3)
		ORDER BY 1 DESC, 3 DESC`, from, to, g.id)
	if err != nil {
		return err
	}
	down := &descent{until: b.Height, start: g.firstParent()}
	var height int32
	var raw []byte
	var followed bool
	_, err = pgx.ForEachRow(found, []any{&height, &raw, &followed}, func() error { return down.add(height, raw, followed) })
	if err != nil {
		return err
	}
	if !down.holds(b.Height, chainhash.Hash(b.Hash)) {
		g.e.Proof.Block = nil // the chain left it, and what proved it with it
		return nil
	}
	b.FirstHeight, b.Headers = down.up()
	return g.e.Leave()
}

// around says which headers evidence of a block should have: down to the
// checkpoint at or below it, with those that decide the first change of
// difficulty behind that; up to the next checkpoint where the chain followed has
// come so far, else to the start that a block from before it rests on.
func (g *gathering) around(height int32) (from, to int32) {
	if point, ok := chain.CheckpointBelow(height+1, g.params); ok {
		from = chain.DifficultyFrom(point.Height+1, g.params)
	}
	to = g.above(height)
	if to > height+mostHeaders {
		to = height // too far to be of use
	}
	return max(from, height-mostHeaders), max(to, height+headersAfter)
}

// above is the height of what a block rests on that is above it; 0 for nothing.
func (g *gathering) above(height int32) int32 {
	for _, point := range chain.Checkpoints(g.params) {
		if tip := g.e.Stated.Tip; point.Height > height && tip != nil && point.Height <= tip.Height {
			return point.Height
		}
	}
	if starts := g.e.Stated.Starts; len(starts) > 0 {
		return starts[0].Height
	}
	return 0
}

// firstParent is the block that the first start follows.
func (g *gathering) firstParent() chainhash.Hash {
	if starts := g.e.Stated.Starts; len(starts) > 0 {
		return chainhash.Hash(starts[0].Parent)
	}
	return chainhash.Hash{}
}

// descent is a way down from header to header, each named by the one above it.
type descent struct {
	until   int32          // height of the block that it is for
	start   chainhash.Hash // where a way can begin that no covered header leads to
	heights []int32
	raws    [][]byte
	next    chainhash.Hash // named by the last one
	ended   bool
}

// add takes the next header, highest first. A covered one that is not named by
// the one above it, above the block, begins the way anew: what lies above was
// followed from elsewhere. One from before the start has to be named.
func (d *descent) add(height int32, raw []byte, followed bool) error {
	var h wire.BlockHeader
	if err := h.Deserialize(bytes.NewReader(raw)); err != nil {
		return err
	}
	hash, begun := h.BlockHash(), len(d.raws) > 0
	switch {
	case d.ended:
		return nil
	case begun && hash == d.next:
	case !followed && (begun || hash != d.start):
		return nil // of another branch than the one that is followed
	case begun && d.heights[len(d.heights)-1] <= d.until:
		d.ended = true
		return nil
	default:
		d.heights, d.raws = nil, nil
	}
	d.heights, d.raws, d.next = append(d.heights, height), append(d.raws, bytes.Clone(raw)), h.PrevBlock
	return nil
}

// holds says whether the way leads over a block.
func (d *descent) holds(height int32, hash chainhash.Hash) bool {
	if len(d.heights) == 0 {
		return false
	}
	at := int(d.heights[0] - height)
	return at >= 0 && at < len(d.raws) && chainhash.DoubleHashH(d.raws[at]) == hash
}

// up gives the headers lowest first, and the height of the first.
func (d *descent) up() (first int32, headers []chain.Hex) {
	for i := len(d.raws) - 1; i >= 0; i-- {
		headers = append(headers, d.raws[i])
	}
	return d.heights[len(d.heights)-1], headers
}
