package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// deepestReorg is how far back a reorganisation is followed by itself.
const deepestReorg = 144

// reorg follows an explorer to another branch, if that has more work: it finds
// where the branch leaves the chain followed, verifies it block by block until
// it outweighs, and only then steps back.
func (f *follower) reorg(ctx context.Context, e shown, position sql.Position) (bool, error) {
	fork, err := f.fork(ctx, e, position)
	if err != nil {
		return false, err
	}
	above, err := f.known(ctx, position.Tip())
	if err != nil {
		return false, err
	}
	ours, theirs, tip := above.WorkAbove(fork.Height), new(big.Int), fork
	for theirs.Cmp(ours) <= 0 {
		if tip.Height >= e.tip {
			return false, nil
		}
		block, err := f.fetch(ctx, e.Explorer, tip)
		if errors.Is(err, chain.ErrUnlinked) { // though the explorer shows what it must follow
			err = f.unlinked(ctx, e, tip, err)
			f.note(e.Explorer, err)
		}
		if err != nil {
			return false, err
		}
		theirs.Add(theirs, block.Work())
		tip = block.Tip()
	}
	f.log.Warn("chain reorganised", "fork", fork.Height, "depth", position.Height-fork.Height, "explorer", e.Name)
	if err := f.writer.StepBack(ctx, fork.Height); err != nil {
		return false, err
	}
	return true, f.branch(ctx, e.Explorer, fork, tip.Height)
}

// branch covers the blocks of the branch that outweighs, from the explorer that
// showed it: another one that is still on the branch with less work would lead
// straight back there.
func (f *follower) branch(ctx context.Context, e *explorer.Explorer, tip chain.Tip, to int32) error {
	for tip.Height < to {
		block, err := f.fetch(ctx, e, tip)
		if err != nil {
			return err
		}
		if err := f.record(ctx, e, block); err != nil {
			return err
		}
		tip = block.Tip()
	}
	return nil
}

// fork finds the last block that an explorer's chain shares with ours, if it is
// one to which a machine may go back by itself.
func (f *follower) fork(ctx context.Context, e shown, position sql.Position) (chain.Tip, error) {
	above, err := f.known(ctx, position.Tip())
	if err != nil {
		return chain.Tip{}, err
	}
	oldest := f.base.Height - 1 // the block before the start is known by its hash
	if above != nil {
		oldest = min(oldest, above.Oldest())
	}
	low := max(0, oldest, position.Height-deepestReorg)
	at := func(height int32) (chain.Tip, bool, error) { return f.at(ctx, above, height) }
	fork, shared, err := f.lastShared(ctx, e, at, low, min(e.tip, position.Height))
	switch {
	case err != nil:
		return fork, err
	case !shared && low <= position.Height-deepestReorg:
		return fork, forkTooDeep{e.Name}
	case shared && (f.pinned() == nil || fork.Height >= f.base.Height):
		return fork, nil
	}
	err = forkBelowStart{e.Name, f.base.Height}
	if f.pinned() != nil {
		err = badAnswer(e.Name, fmt.Sprintf("block %d", f.base.Height), contested{fmt.Errorf("it is another one than is vouched for: %w", err)})
		f.note(e.Explorer, err)
	}
	return fork, err
}
