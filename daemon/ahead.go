package daemon

import (
	"cmp"
	"context"
	"slices"

	"btcwatch/sql"
)

// ahead gives the explorers that show a block after the position, of those that
// give any. Who shows one
// that left the chain comes last, and who shows the one that left last of all: a
// daemon that ended amid a branch that outweighs, or lost sight of it, is not to
// be led back to the branch that it left by who still shows that.
func (f *follower) ahead(ctx context.Context, seen []shown, position sql.Position) ([]shown, error) {
	var ahead []shown
	for _, e := range seen {
		if e.tip > position.Height && e.Blocks != nil {
			ahead = append(ahead, e)
		}
	}
	ahead = f.health.quarantinedLast(ahead)
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
	return f.health.quarantinedLast(ahead), nil
}
