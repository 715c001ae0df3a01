package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"

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
			err = badAnswer(e.Name, fmt.Sprintf("block %d", tip.Height+1), err)
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

// fork finds the last covered block that an explorer's chain shares.
func (f *follower) fork(ctx context.Context, e shown, position sql.Position) (chain.Tip, error) {
	above, err := f.known(ctx, position.Tip())
	if err != nil {
		return chain.Tip{}, err
	}
	for height := min(e.tip, position.Height); height >= max(0, position.Height-deepestReorg); height-- {
		ours, known, err := f.at(ctx, above, height)
		if err != nil {
			return chain.Tip{}, err
		}
		if !known {
			first, err := f.store.FirstHeight(ctx)
			if err != nil {
				return chain.Tip{}, err
			}
			return chain.Tip{}, forkBelowStart{e.Name, first}
		}
		theirs, err := e.Chain.BlockHash(ctx, height)
		f.beat()
		if err != nil {
			f.note(e.Explorer, err)
			return chain.Tip{}, err
		}
		if theirs == ours.Hash {
			return ours, nil
		}
	}
	return chain.Tip{}, fmt.Errorf("%s shows a chain that shares none of the last %d blocks covered", e.Name, deepestReorg)
}

// ahead gives the explorers that show a block after the position. Who shows one
// that left the chain comes last, and who shows the one that left last of all: a
// daemon that ended amid a branch that outweighs, or lost sight of it, is not to
// be led back to the branch that it left by who still shows that.
func (f *follower) ahead(ctx context.Context, seen []shown, position sql.Position) ([]shown, error) {
	var ahead []shown
	for _, e := range seen {
		if e.tip > position.Height {
			ahead = append(ahead, e)
		}
	}
	if len(ahead) < 2 {
		return ahead, nil
	}
	left, err := f.store.LeftAt(ctx, position.Height+1)
	if err != nil || len(left) == 0 {
		return ahead, err
	}
	order := map[string]int64{}
	for _, e := range ahead {
		hash, err := e.Chain.BlockHash(ctx, position.Height+1)
		f.beat()
		if err == nil { // else it is told when the block is asked for
			order[e.Name] = left[hash]
		}
	}
	slices.SortStableFunc(ahead, func(a, b shown) int { return cmp.Compare(order[a.Name], order[b.Name]) })
	return ahead, nil
}
