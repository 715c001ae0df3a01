package daemon

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// startDepth is how far below the tip the start may be anchored, where
// explorers do not agree on the tip itself.
const startDepth = 6

// begin gives following its start: the configured block, on the word of two
// operators that do not depend on each other, of the configuration, or, where
// there is nobody else, of one operator, which then proves nothing.
func (f *follower) begin(ctx context.Context, seen []shown) error {
	height, hash, restsOn, proves, err := f.anchor(ctx, seen)
	if err != nil {
		return fmt.Errorf("begin following: %w", err)
	}
	header, err := f.header(ctx, seen, height, hash)
	if err != nil {
		return fmt.Errorf("begin following: %w", err)
	}
	if f.start.Hash == nil {
		if err := chain.CheckFloor(&header, height, f.params); err != nil {
			return fmt.Errorf("begin following: %w; if it is the right one all the same, vouch for it: start = \"%d:%s\"", err, height, hash)
		}
	}
	f.log.Info("following begins", "height", height, "hash", hash, "rests_on", restsOn)
	return f.writer.SetStart(ctx, sql.Start{Height: height, Parent: header.PrevBlock, RestsOn: restsOn, Proves: proves, Pinned: f.start.Hash})
}

func (f *follower) anchor(ctx context.Context, seen []shown) (height int32, hash chainhash.Hash, restsOn string, proves bool, err error) {
	if f.start.Hash != nil {
		return f.start.Height, *f.start.Hash, fmt.Sprintf("the configuration's word for block %d", f.start.Height), true, nil
	}
	best := secondTip(seen)
	from, to := best, max(0, best-startDepth)
	if !f.start.Tip {
		from, to = f.start.Height, f.start.Height
	}
	for height := from; height >= to; height-- {
		hash, names := f.agreed(ctx, seen, height)
		if len(names) >= 2 {
			return height, hash, fmt.Sprintf("the agreement of %s on block %d", strings.Join(names, " and "), height), true, nil
		}
	}
	if f.operators() > 1 && f.now().Sub(f.began) < f.health.settings.BlindAfter {
		return 0, hash, "", false, fmt.Errorf("two operators have to agree on a block within %d of the tip %d, and do not yet", startDepth, best)
	}
	hash, names := f.agreed(ctx, seen, from)
	if len(names) == 0 {
		return 0, hash, "", false, fmt.Errorf("no explorer shows block %d", from)
	}
	return from, hash, fmt.Sprintf("the word of %s alone for block %d", names[0], from), false, nil
}

// secondTip is the highest tip that two operators reach; the only one where
// there is one operator. What a single explorer claims beyond it starts nothing.
func secondTip(seen []shown) int32 {
	tips := map[string]int32{}
	for _, e := range seen {
		tips[operator(e.Explorer)] = max(tips[operator(e.Explorer)], e.tip)
	}
	var first, second int32 = -1, -1
	for _, tip := range tips {
		switch {
		case tip > first:
			first, second = tip, first
		case tip > second:
			second = tip
		}
	}
	if second < 0 {
		return first
	}
	return second
}

// agreed gives the hash that most operators show at a height, and who they
// are.
func (f *follower) agreed(ctx context.Context, seen []shown, height int32) (hash chainhash.Hash, operators []string) {
	said := map[chainhash.Hash][]string{}
	for _, e := range f.health.believed(seen) {
		if e.tip < height {
			continue
		}
		h, err := e.Chain.BlockHash(ctx, height)
		f.note(e.Explorer, err)
		if err == nil && !contains(said[h], operator(e.Explorer)) {
			said[h] = append(said[h], operator(e.Explorer))
		}
	}
	for h, names := range said {
		if len(names) > len(operators) {
			hash, operators = h, names
		}
	}
	return hash, operators
}

// operator is who runs an explorer; unnamed ones count by their host.
func operator(e *explorer.Explorer) string {
	if e.Operator != "" {
		return e.Operator
	}
	return e.URL
}

func (f *follower) operators() int {
	all := map[string]bool{}
	for _, e := range f.explorers {
		if e.Chain != nil && f.health.trusted(e.Name) {
			all[operator(e)] = true
		}
	}
	return len(all)
}

func contains(all []string, one string) bool {
	for _, s := range all {
		if s == one {
			return true
		}
	}
	return false
}

// header gives the header of the start, which its hash covers.
func (f *follower) header(ctx context.Context, seen []shown, height int32, hash chainhash.Hash) (header wire.BlockHeader, err error) {
	err = fmt.Errorf("no explorer shows block %d", height)
	for _, e := range seen {
		if e.tip < height || e.Blocks == nil {
			continue
		}
		var raw []byte
		raw, err = e.Blocks.Block(ctx, hash)
		f.note(e.Explorer, err)
		if err != nil {
			continue
		}
		if err = header.Deserialize(bytes.NewReader(raw)); err == nil && header.BlockHash() == hash {
			return header, nil
		}
		err = badAnswer(e.Name, fmt.Sprintf("block %d", height), fmt.Errorf("not the block with hash %s", hash))
		f.note(e.Explorer, err)
	}
	return header, err
}

// raise puts following on a better footing once two operators agree on the
// block at the position, after a start that only one vouched for.
func (f *follower) raise(ctx context.Context, seen []shown, position sql.Position) {
	start, ok, err := f.store.LatestStart(ctx)
	if err != nil || !ok || start.Proves || f.operators() < 2 {
		return
	}
	hash, names := f.agreed(ctx, seen, position.Height)
	if len(names) < 2 || hash != position.Hash {
		return
	}
	restsOn := fmt.Sprintf("the agreement of %s on block %d", strings.Join(names, " and "), position.Height)
	if err := f.writer.RaiseStart(ctx, hash, restsOn); err != nil {
		f.log.Warn("start not raised", "error", err)
		return
	}
	f.log.Info("start raised", "height", position.Height, "rests_on", restsOn)
}

// forkBelowStart says that an explorer's chain shares not even the block that
// the start follows.
type forkBelowStart struct {
	explorer string
	start    int32 // height of the first block followed
}

func (e forkBelowStart) Error() string {
	return fmt.Sprintf("%s shows a chain that leaves ours before block %d, with which following began", e.explorer, e.start)
}

// beginAgain gives following another start at the same height, where the chain
// was reorganised from below it: on the word of two operators, or of the only
// one. It is not asked where a person vouches for the start.
func (f *follower) beginAgain(ctx context.Context, seen []shown, below forkBelowStart) error {
	hash, names := f.agreed(ctx, seen, below.start)
	proves := len(names) >= 2
	if len(names) == 0 || !proves && f.operators() > 1 {
		return fmt.Errorf("%w; two operators do not agree on that yet", below)
	}
	header, err := f.header(ctx, seen, below.start, hash)
	if err != nil {
		return fmt.Errorf("%w: %w", below, err)
	}
	parent := header.PrevBlock
	if parent == f.base.Parent {
		return fmt.Errorf("%w; %s do not", below, strings.Join(names, " and "))
	}
	restsOn := fmt.Sprintf("the agreement of %s on block %d", strings.Join(names, " and "), below.start)
	if !proves {
		restsOn = fmt.Sprintf("the word of %s alone for block %d", names[0], below.start)
	}
	f.log.Warn("chain reorganised below the start, following begins again", "height", below.start, "hash", hash, "rests_on", restsOn)
	if err := f.writer.BeginAgain(ctx, sql.Start{Height: below.start, Parent: parent, RestsOn: restsOn, Proves: proves}); err != nil {
		return err
	}
	f.ready = false // the headers before it are other ones
	f.base, _, err = f.store.Begun(ctx)
	return err
}
