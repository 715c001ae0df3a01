package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// follower covers the chain block by block. Any explorer may serve a block;
// what it is worth is decided here.
type follower struct {
	store     *sql.Store
	writer    *sql.Writer
	explorers []*explorer.Explorer
	params    *chaincfg.Params
	start     Start
	health    *health
	beat      func()
	now       func() time.Time
	log       *slog.Logger

	began time.Time // when this follower was made

	ancestors *ancestors
	base      sql.Start         // what following last began with
	ready     bool              // the headers before the start are there, or not to be had
	last      *chain.Header     // the last block recorded, with those before it
	lastCount int               // of ancestors.added when last was read
	compared  map[string]string // explorer to the tip that was last compared with ours
	weighed   map[string]weight // by explorer, as last compared

	turns  *turns
	behind int32                               // how many blocks are missing, as whoever gives the next one shows
	lists  map[string]map[int32]chainhash.Hash // of this round, by explorer
	seen   []shown                             // of this round
	asks   int                                 // how many transactions may be asked after while blocks are missing
	told   func(CatchingUp)                    // of progress; nil: nobody looks
}

// shown is an explorer with the height of its tip.
type shown struct {
	*explorer.Explorer
	tip int32
}

// round asks for the tips and covers the blocks up to the highest that can be
// had.
func (f *follower) round(ctx context.Context) error {
	seen, best, err := f.tips(ctx)
	if len(seen) == 0 {
		return fmt.Errorf("no explorer shows the tip of the chain: %w", err)
	}
	f.lists, f.seen = map[string]map[int32]chainhash.Hash{}, seen
	position, err := f.store.Position(ctx)
	if err != nil {
		return err
	}
	if !position.Set {
		if err := f.begin(ctx, seen); err != nil {
			f.health.covered(false, err)
			return err
		}
	}
	if f.base, _, err = f.store.Begun(ctx); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return f.begun(ctx) },
		func() error { return f.stopped(ctx, seen) },
		func() error { return f.heavier(ctx, seen) },
	} {
		if err := step(); err != nil {
			f.health.covered(false, err)
			return err
		}
	}
	return f.catchUp(ctx, seen, best)
}

// tips asks every explorer for the height it shows. The error is the first
// one's that shows none.
func (f *follower) tips(ctx context.Context) (seen []shown, best int32, first error) {
	asked, seen := f.sparing()
	for _, e := range asked {
		tip, err := e.Chain.Tip(ctx)
		f.health.note(e.Name, forTip, err)
		f.beat()
		if err == nil {
			f.health.sawTip(e.Name, tip)
			seen = append(seen, shown{e, tip})
			best = max(best, tip)
		} else if first == nil {
			first = err
		}
	}
	for _, e := range seen {
		best = max(best, e.tip)
	}
	if len(seen) == 0 && first == nil {
		first = errors.New("none is configured that shows the chain")
	}
	return seen, best, first
}

// note takes down how an explorer answered; each answer is a sign of life.
func (f *follower) note(e *explorer.Explorer, err error) {
	f.health.note(e.Name, forBlocks, err)
	f.beat()
}

// catchUp covers the blocks up to a height, one after the other.
func (f *follower) catchUp(ctx context.Context, seen []shown, best int32) error {
	going := catching{follower: f, best: best}
	defer going.end()
	for ctx.Err() == nil {
		position, err := f.store.Position(ctx)
		if err != nil {
			return err
		}
		if position.Height >= best {
			return f.reached(ctx, seen, position)
		}
		going.at(position.Height)
		if err := f.next(ctx, seen, position); err != nil {
			return errors.Join(err, f.notReached(ctx, seen, position, err))
		}
		f.health.progressed()
	}
	return ctx.Err()
}

// notReached is for when a tip is shown that cannot be covered. Where it may be
// left alone, what is covered is the tip.
func (f *follower) notReached(ctx context.Context, seen []shown, position sql.Position, why error) error {
	if !f.overstated(seen, position, why) {
		f.health.covered(false, why)
		return nil
	}
	f.health.covered(true, why)
	if err := f.writer.Reached(ctx); err != nil {
		return err
	}
	f.raise(ctx, seen, position)
	return nil
}

// reached is for when the tip is covered.
func (f *follower) reached(ctx context.Context, seen []shown, position sql.Position) error {
	f.health.covered(true, nil)
	if err := f.writer.Reached(ctx); err != nil {
		return err
	}
	f.raise(ctx, seen, position)
	return nil
}

// longestWait is how long the chain may go without a block before a tip that
// stands still says no more that there is none: fewer than one wait in a
// hundred thousand is so long.
const longestWait = 2 * time.Hour

// errWithheld says that an explorer names a block and does not give it.
var errWithheld = errors.New("the block is shown and cannot be had")

// overstated says whether the tips above the position may be left alone. A tip
// that nobody can back with as much as a block's hash does not make the watch
// blind while another explorer shows the position as its tip, and blocks come.
func (f *follower) overstated(seen []shown, position sql.Position, err error) bool {
	if errors.Is(err, errWithheld) || errors.Is(err, errStopped) || f.now().Sub(position.MovedAt) > longestWait {
		return false
	}
	for _, e := range seen {
		if e.tip == position.Height {
			return true
		}
	}
	return false
}

// next covers one block, from the first explorer in turn that has it and tells
// the truth; or steps back where the chain was reorganised.
func (f *follower) next(ctx context.Context, seen []shown, position sql.Position) error {
	var failures []error
	failed := ""
	ahead, err := f.ahead(ctx, f.turns.order(seen, f.now()), position)
	if err != nil {
		return err
	}
	for _, e := range ahead {
		if failed != "" {
			f.health.failedOver(failed)
		}
		began := f.now()
		done, err := f.attempt(ctx, seen, e, position)
		if done {
			f.turns.served(e.Explorer)
			return err
		}
		f.turns.failed(e.Name, f.now(), f.now().Sub(began))
		failures, failed = append(failures, err), e.Name
	}
	failures = append(failures, f.headersAhead(ctx, seen, position)...)
	return fmt.Errorf("cover block %d: %w", position.Height+1, errors.Join(failures...))
}

// headersAhead asks those that give no blocks whether they have the next one:
// where they do, whoever gives blocks is behind.
func (f *follower) headersAhead(ctx context.Context, seen []shown, position sql.Position) (failures []error) {
	for _, e := range seen {
		if e.tip <= position.Height || e.Blocks != nil {
			continue
		}
		hash, err := e.Chain.BlockHash(ctx, position.Height+1)
		f.note(e.Explorer, err)
		if err == nil {
			err = fmt.Errorf("%w: %s has the header %s, and nobody who gives blocks has that one", errWithheld, e.Name, hash)
		}
		failures = append(failures, err)
	}
	return failures
}

// attempt is take, where a panic is the fault of the explorer whose answer
// brought it about: another one may give what does not.
func (f *follower) attempt(ctx context.Context, seen []shown, e shown, position sql.Position) (done bool, err error) {
	returned := false
	err = guarded(func() (err error) {
		done, err = f.take(ctx, seen, e, position)
		returned = true
		return err
	})()
	if !returned {
		f.log.Error("taking a block panicked", "explorer", e.Name, "height", position.Height+1, "error", err)
		f.note(e.Explorer, fmt.Errorf("block %d of %s: %s", position.Height+1, e.Name, words(err)))
	}
	return done, err
}

// take covers one block from one explorer. It is not done where another one may
// do better.
func (f *follower) take(ctx context.Context, seen []shown, e shown, position sql.Position) (done bool, err error) {
	f.behind = e.tip - position.Height
	block, err := f.fetch(ctx, e.Explorer, position.Tip())
	if errors.Is(err, chain.ErrUnlinked) {
		var back bool
		if back, err = f.reorg(ctx, e, position); back && err == nil {
			return true, nil
		}
		var below forkBelowStart
		if errors.As(err, &below) && f.pinned() == nil {
			err = f.beginAgain(ctx, seen, below)
			return err == nil, err
		}
		if tooFar(err) {
			if stop := f.stop(ctx, seen, position, err); stop != nil {
				return errors.Is(stop, errStopped), stop
			}
		}
		if err == nil {
			err = fmt.Errorf("%s is on a branch with less work than the chain followed", e.Name)
		}
	}
	if err != nil {
		return false, err
	}
	return true, f.record(ctx, e.Explorer, block)
}

// fetch gets the block after the tip from one explorer and checks it. That it
// follows another block is no fault of the explorer.
func (f *follower) fetch(ctx context.Context, e *explorer.Explorer, tip chain.Tip) (*chain.Block, error) {
	block, err := f.verified(ctx, e, tip)
	if err != nil {
		f.forgetList(e.Name)
	}
	if !errors.Is(err, chain.ErrUnlinked) {
		f.note(e, err)
	}
	if err == nil {
		err = f.confirmChange(ctx, block)
	}
	return block, err
}

func (f *follower) verified(ctx context.Context, e *explorer.Explorer, tip chain.Tip) (*chain.Block, error) {
	hash, err := f.hashAt(ctx, e, tip.Height+1)
	if errors.Is(err, explorer.ErrNotFound) {
		// %v: behind its own tip it is not a good answer that there is none.
		err = fmt.Errorf("%w: %s shows a tip above block %d and not the block: %v", explorer.ErrUnavailable, e.Name, tip.Height+1, err)
	}
	if err != nil {
		return nil, err
	}
	if tip.Pinned, err = f.vouched(e, tip.Height+1, hash); err != nil {
		return nil, err
	}
	raw, err := e.Blocks.Block(ctx, hash)
	f.beat()
	if errors.Is(err, explorer.ErrNotFound) {
		err = fmt.Errorf("%w: %s shows block %d and does not have it: %v", explorer.ErrUnavailable, e.Name, tip.Height+1, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errWithheld, err)
	}
	if tip.Header == nil {
		if tip.Header, err = f.known(ctx, tip); err != nil {
			return nil, err
		}
	}
	block, err := chain.VerifyBlock(raw, hash, tip, f.params, f.now())
	if errors.Is(err, chain.ErrFalseBlock) {
		err = badAnswer(e.Name, fmt.Sprintf("block %d", tip.Height+1), err)
	}
	return block, err
}

func (f *follower) record(ctx context.Context, e *explorer.Explorer, block *chain.Block) error {
	unknown, err := f.writer.Unknown(ctx, block)
	if err != nil {
		return err
	}
	block.Alone = f.shownAlone(ctx, e, block)
	hits, err := f.writer.RecordBlock(ctx, block, e.Name, f.spentBy(ctx, unknown))
	if errors.Is(err, sql.ErrNotNext) {
		return nil // recorded already: the commit before this one went through unheard
	}
	if err != nil {
		return err
	}
	f.last = block.Tip().Header
	f.beat()
	if !f.health.trusted(e.Name) {
		f.log.Warn("block taken from an explorer in quarantine, for nobody else gave it", "height", block.Height, "explorer", e.Name)
	}
	level := slog.LevelInfo
	if hits == 0 && f.behind > worthList {
		level = slog.LevelDebug // "catching up" tells enough
	}
	f.log.Log(ctx, level, "block covered", "height", block.Height, "hash", block.Hash, "explorer", e.Name,
		"transactions", len(block.Transactions), "hits", hits)
	return nil
}
