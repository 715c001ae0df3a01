package chaintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// trail is the chain as it was last read from a source. The zero trail has
// read nothing.
type trail struct {
	base   int32 // height of the first hash
	hashes []chainhash.Hash
}

// blockReader is the part of a source that a trail reads.
type blockReader interface {
	Best(ctx context.Context) (int32, chainhash.Hash, error)
	RawBlock(ctx context.Context, hash chainhash.Hash) ([]byte, error)
}

// stretch is what a source has on top of what a trail knows.
type stretch struct {
	above  int32 // the height that stays; those above it have left
	blocks []*wire.MsgBlock
	hashes []chainhash.Hash
}

func (t *trail) height() int32 { return t.base + int32(len(t.hashes)) - 1 }

// has says whether a block stands on the trail at that height.
func (t *trail) has(height int32, hash chainhash.Hash) bool {
	return len(t.hashes) > 0 && height >= t.base && height <= t.height() && t.hashes[height-t.base] == hash
}

// read fetches what is new, from the tip back to a block that is known. It
// changes nothing.
func (t *trail) read(ctx context.Context, from blockReader) (stretch, error) {
	height, hash, err := from.Best(ctx)
	if err != nil {
		return stretch{}, err
	}
	var s stretch
	for ; height >= 0 && !t.has(height, hash); height-- {
		raw, err := from.RawBlock(ctx, hash)
		if errors.Is(err, ErrNoBlock) && len(s.blocks) > 0 {
			break // the source begins above it
		}
		if err != nil {
			return stretch{}, fmt.Errorf("read block %s at %d: %w", hash, height, err)
		}
		block := new(wire.MsgBlock)
		if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
			return stretch{}, fmt.Errorf("read block %s at %d: %w", hash, height, err)
		}
		s.blocks = append(s.blocks, block)
		s.hashes = append(s.hashes, hash)
		hash = block.Header.PrevBlock
	}
	s.above = height
	slices.Reverse(s.blocks)
	slices.Reverse(s.hashes)
	return s, nil
}

// follow takes what was read for the chain. It gives the height that stays.
func (t *trail) follow(s stretch) int32 {
	if len(t.hashes) == 0 || s.above < t.base {
		t.base, t.hashes = s.above+1, nil
	}
	t.hashes = append(t.hashes[:s.above+1-t.base], s.hashes...)
	return s.above
}
