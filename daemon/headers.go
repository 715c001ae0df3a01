package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// known gives the headers up to a block as far back as the rules can ask for
// them; nil where not even its own is known. They are kept between blocks: a
// block needs thousands of them and the database is not asked for each.
func (f *follower) known(ctx context.Context, tip chain.Tip) (*chain.Header, error) {
	if count := f.ancestors.added(); count != f.lastCount { // more can be linked by now
		f.last, f.lastCount = nil, count
	}
	most := f.mostHeaders()
	if h := f.last.Ancestor(tip.Height); h != nil && h.Hash == tip.Hash && h.Height-h.Oldest() < 2*most {
		return h, nil
	}
	var err error
	f.last, err = f.store.LinkedHeader(ctx, tip.Height, tip.Hash, most)
	return f.last, err
}

// mostHeaders is how many headers the rules can ask for, from as far below the
// position as a reorganisation can begin.
func (f *follower) mostHeaders() int32 {
	if f.params.PoWNoRetargeting {
		return deepestReorg + 12
	}
	return deepestReorg + 12 + chain.Period(f.params)
}

// at is the block at a height on the chain that ends there, covered or from
// before the start; false where it has none.
func (f *follower) at(ctx context.Context, end *chain.Header, height int32) (chain.Tip, bool, error) {
	if h := end.Ancestor(height); h != nil {
		return h.Tip(), true, nil
	}
	hash, known, err := f.store.ChainHash(ctx, height)
	return chain.Tip{Height: height, Hash: hash}, known, err
}

// pinned is the hash of the first block, where a person vouches for it; nil
// where nobody does.
func (f *follower) pinned() *chainhash.Hash {
	if f.base.Pinned == nil && f.start.Hash != nil && f.start.Height == f.base.Height {
		return f.start.Hash
	}
	return f.base.Pinned
}

// vouched says whether a person vouches for the block at a height, and refuses
// another one there.
func (f *follower) vouched(e *explorer.Explorer, height int32, hash chainhash.Hash) (bool, error) {
	pinned := f.pinned()
	if pinned == nil || height != f.base.Height {
		return false, nil
	}
	if hash != *pinned {
		return false, badAnswer(e.Name, fmt.Sprintf("block %d", height), contested{fmt.Errorf("it has the hash %s, and %s is vouched for", hash, pinned)})
	}
	return true, nil
}

// confirmChange asks for a second word where a block changes the difficulty and
// the headers that decide by how much are not all known. Where nobody else can
// be asked, nothing is graded better than reported anyway.
func (f *follower) confirmChange(ctx context.Context, block *chain.Block) error {
	if !block.Bounded || !chain.Retargets(block.Height, f.params) || f.operators() < 2 {
		return nil
	}
	if start, ok, err := f.store.LatestStart(ctx); err != nil || ok && !start.Proves {
		return err
	}
	var all []shown
	for _, e := range f.explorers {
		if e.Chain != nil {
			all = append(all, shown{e, math.MaxInt32})
		}
	}
	if hash, names := f.agreed(ctx, all, block.Height); len(names) < 2 || hash != block.Hash {
		return fmt.Errorf("block %d changes the difficulty and the headers that decide by how much are still being fetched: until then two operators have to show the same block, and do not", block.Height)
	}
	return nil
}

// begun makes sure that the headers which the rules ask for are there before
// the first block is recorded, as far as anybody serves them.
func (f *follower) begun(ctx context.Context) error {
	if err := f.ancestors.contradiction(); err != nil {
		return err
	}
	if f.ready {
		return nil
	}
	err := f.ancestors.first(ctx)
	if err != nil && (ctx.Err() != nil || f.awaits(err)) {
		return fmt.Errorf("get the headers before the start: %w", err)
	}
	if err != nil {
		f.log.Warn("following begins without the headers before the start", "error", err)
		if err := f.writer.SayChecked(ctx, unchecked); err != nil {
			return err
		}
	}
	f.ready = true
	return nil
}

// awaits says whether the headers before the start may still come. The rules of
// test networks mean nothing without them, so there it takes as long as it
// takes, if anybody has them.
func (f *follower) awaits(err error) bool {
	if err := f.ancestors.contradiction(); err != nil {
		return true
	}
	if !f.ancestors.served() {
		return false
	}
	testing := f.params.ReduceMinDifficulty && !f.params.PoWNoRetargeting
	return f.now().Sub(f.began) < f.health.settings.BlindAfter || testing && !errors.Is(err, errUnserved)
}

// heavier follows an explorer whose chain is no longer than ours and another
// one, if it has more work: across a change of difficulty the shorter branch
// can be the one that counts. An explorer is asked once for each of its tips.
func (f *follower) heavier(ctx context.Context, seen []shown) error {
	position, err := f.store.Position(ctx)
	if err != nil {
		return err
	}
	ours, err := f.known(ctx, position.Tip())
	if err != nil {
		return err
	}
	for _, e := range seen {
		h := ours.Ancestor(e.tip)
		asked := fmt.Sprint(e.tip, position.Hash)
		if h == nil || e.Blocks == nil || f.compared[e.Name] == asked {
			continue
		}
		hash, err := e.Chain.BlockHash(ctx, e.tip)
		f.note(e.Explorer, err)
		if err != nil {
			continue
		}
		if hash != h.Hash {
			back, err := f.reorg(ctx, e, position)
			if back {
				return err // the position has moved: the others are compared in the next round
			}
			if tooFar(err) {
				if err = f.stop(ctx, seen, position, err); errors.Is(err, errStopped) {
					return err
				}
			}
			if err != nil {
				f.log.Debug("another branch could not be followed", "explorer", e.Name, "error", err)
				continue
			}
		}
		f.compared[e.Name] = asked
	}
	return nil
}
