package daemon

import (
	"context"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// nearTip is how far below the tip it is asked who else shows a block: more than
// six confirmations, and no work while thousands of blocks are missing.
const nearTip = 12

// outrun is how many blocks an explorer must be ahead of another one so that
// the other had time to show a block, if it is to show it at all.
const outrun = 2

// longestAlone bounds the questions: what is found is told after them.
const longestAlone = 5 * time.Second

// shownAlone gives who runs an explorer, where no other operator shows the block
// that it gave though they had time to, or show another one. Work decides which
// chain is followed; this only is said.
func (f *follower) shownAlone(ctx context.Context, e *explorer.Explorer, block *chain.Block) string {
	tip := f.tipOf(e)
	if tip-block.Height > nearTip {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, longestAlone)
	defer cancel()
	apart := false
	for _, other := range f.seen {
		if operator(other.Explorer) == operator(e) {
			continue
		}
		if other.tip < block.Height {
			apart = apart || tip-other.tip >= outrun
			continue
		}
		hash, err := other.Chain.BlockHash(ctx, block.Height)
		f.beat()
		if err == nil && hash == block.Hash {
			return ""
		}
		apart = apart || err == nil
	}
	if !apart {
		return ""
	}
	f.log.Warn("one operator alone shows a block", "height", block.Height, "hash", block.Hash, "explorer", e.Name)
	return operator(e)
}

// tipOf is the tip that an explorer shows in this round.
func (f *follower) tipOf(e *explorer.Explorer) int32 {
	for _, s := range f.seen {
		if s.Name == e.Name {
			return s.tip
		}
	}
	return 0
}
