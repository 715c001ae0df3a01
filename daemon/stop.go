package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// errStopped says that following waits for a person's word.
var errStopped = errors.New("following has stopped until a person says with which chain it goes on (btcwatch follow)")

// forkTooDeep says that an explorer's chain leaves ours further below than a
// machine may go back by itself.
type forkTooDeep struct{ explorer string }

func (e forkTooDeep) Error() string {
	return fmt.Sprintf("%s shows a chain that shares none of the last %d blocks covered", e.explorer, deepestReorg)
}

// tooFar says whether a person has to decide about a branch, if it has more
// work. For one below a start that nobody vouched for, two operators may.
func tooFar(err error) bool {
	var deep forkTooDeep
	var below forkBelowStart
	return errors.As(err, &deep) || errors.As(err, &below)
}

// heights gives our block at a height; false where it is not known.
type heights func(height int32) (chain.Tip, bool, error)

// lastShared finds the highest block between two heights that an explorer's
// chain and ours share: what two chains share at a height they share below it.
func (f *follower) lastShared(ctx context.Context, e shown, ours heights, low, high int32) (fork chain.Tip, found bool, err error) {
	apart := high + 1 // the lowest height where they are seen to differ
	for step, height := int32(1), high; height >= low; step *= 2 {
		tip, same, err := f.same(ctx, e, ours, height)
		if err != nil {
			return fork, false, err
		}
		if same {
			fork, err = f.narrowed(ctx, e, ours, tip, apart)
			return fork, err == nil, err
		}
		if apart = height; height == low {
			break
		}
		height = max(low, height-step)
	}
	return fork, false, nil
}

// narrowed is lastShared between a block that both share and a height where they
// differ.
func (f *follower) narrowed(ctx context.Context, e shown, ours heights, shared chain.Tip, apart int32) (chain.Tip, error) {
	for apart-shared.Height > 1 {
		height := shared.Height + (apart-shared.Height)/2
		tip, same, err := f.same(ctx, e, ours, height)
		if err != nil {
			return shared, err
		}
		if same {
			shared = tip
		} else {
			apart = height
		}
	}
	return shared, nil
}

func (f *follower) same(ctx context.Context, e shown, at heights, height int32) (chain.Tip, bool, error) {
	ours, known, err := at(height)
	if err != nil || !known {
		return ours, false, err
	}
	theirs, err := f.shownAt(ctx, e, height)
	return ours, err == nil && theirs == ours.Hash, err
}

// shownAt asks what an explorer shows at a height. That it answers says nothing
// good of it: the answer may be what is wrong.
func (f *follower) shownAt(ctx context.Context, e shown, height int32) (chainhash.Hash, error) {
	hash, err := e.Chain.BlockHash(ctx, height)
	f.beat()
	if err != nil {
		f.note(e.Explorer, err)
	}
	return hash, err
}

// weight is what an explorer's chain has beside ours.
type weight struct {
	tip      chainhash.Hash // of it, and
	position chainhash.Hash // of ours, when they were compared
	fork     int32          // the highest block that both share; -1 where none is known
	from     int32          // where following would go on with it: height,
	hash     chainhash.Hash // and hash
	ours     *big.Int       // work from that height on
	theirs   *big.Int       // nil: its headers are not served, or too many
	head     *chain.Header  // of its headers, as far as they are verified
}

// mostWeighed is how many headers of another chain are asked for to add up its
// work: four weeks.
const mostWeighed = 4032

// weigh compares an explorer's chain with ours, once for each of its tips. The
// work is added up over its headers, each verified, so that nobody can claim it.
func (f *follower) weigh(ctx context.Context, e shown, position sql.Position) (weight, error) {
	tip, err := f.shownAt(ctx, e, e.tip)
	if err != nil {
		return weight{}, err
	}
	before := f.weighed[e.Name]
	if before.tip == tip && before.position == position.Hash {
		return before, nil
	}
	w := weight{tip: tip, position: position.Hash, fork: -1, from: f.base.Height}
	fork, err := f.deepFork(ctx, e, position)
	if err != nil {
		return w, err
	}
	if fork != nil {
		w.fork, w.from = fork.Height, fork.Height+1
	}
	if w.ours, err = f.workFrom(ctx, position, w.from); err != nil {
		return w, err
	}
	err = f.weighTheirs(ctx, e, fork, before.head, &w)
	if w.head == nil && (err == nil || unserved(err)) && w.from <= e.tip {
		w.hash, err = f.shownAt(ctx, e, w.from)
	}
	if err == nil {
		f.weighed[e.Name] = w
	}
	return w, err
}

// unserved says whether nobody has the headers that were asked for, or cares to
// give them; to ask again is of no use.
func unserved(err error) bool {
	return errors.Is(err, errUnserved) ||
		errors.Is(err, explorer.ErrRefused) && !errors.Is(err, explorer.ErrUnavailable) && !errors.Is(err, explorer.ErrRateLimited)
}

// deepFork is the highest block that an explorer's chain and ours share, however
// far below; nil where none is known.
func (f *follower) deepFork(ctx context.Context, e shown, position sql.Position) (*chain.Tip, error) {
	known, _, err := f.store.Ancestry(ctx)
	if err != nil {
		return nil, err
	}
	at := func(height int32) (chain.Tip, bool, error) {
		hash, known, err := f.store.ChainHash(ctx, height)
		return chain.Tip{Height: height, Hash: hash}, known, err
	}
	high := min(e.tip, position.Height)
	for _, low := range []int32{f.base.Height - 1, known.Oldest} { // all heights above these are known
		if low = max(0, low); low > high {
			continue
		}
		fork, found, err := f.lastShared(ctx, e, at, low, high)
		if err != nil || found {
			return &fork, err
		}
		high = low - 1
	}
	return nil, nil
}

func (f *follower) workFrom(ctx context.Context, position sql.Position, height int32) (*big.Int, error) {
	if height > position.Height {
		return new(big.Int), nil
	}
	ours, err := f.store.LinkedHeader(ctx, position.Height, position.Hash, position.Height-height+1)
	if err != nil {
		return nil, err
	}
	return ours.WorkAbove(height - 1), nil
}

// weighTheirs adds up the work of an explorer's chain from a height on. Where
// the fork is not known its first header is only held to what it says itself.
func (f *follower) weighTheirs(ctx context.Context, e shown, fork *chain.Tip, verified *chain.Header, w *weight) error {
	switch {
	case e.tip < w.from:
		w.theirs = new(big.Int)
		return nil
	case e.tip-w.from >= mostWeighed:
		return nil
	}
	headers, met, err := f.downTo(ctx, e.tip, w.tip, w.from, verified)
	if err != nil {
		return err
	}
	last := chain.Tip{Height: w.from - 1, Pinned: true}
	switch {
	case met != nil:
		last = met.Tip()
	case fork != nil:
		last = *fork
		if last.Header, err = f.store.LinkedHeader(ctx, fork.Height, fork.Hash, f.mostHeaders()); err != nil {
			return err
		}
	default:
		last.Hash = headers[len(headers)-1].PrevBlock
	}
	for i := len(headers) - 1; i >= 0; i-- {
		h, err := chain.VerifyHeader(&headers[i], last, f.params, f.now())
		if err != nil {
			err = badAnswer(e.Name, fmt.Sprintf("block %d", last.Height+1), err)
			f.note(e.Explorer, err)
			return err
		}
		last = h.Tip()
	}
	w.head, w.theirs = last.Header, last.Header.WorkAbove(w.from-1)
	if first := w.head.Ancestor(w.from); first != nil {
		w.hash = first.Hash
	}
	return nil
}

// downTo gets headers by their hashes, highest first, down to a height or to one
// that was verified before. Whoever has them may serve them: each is the one
// that the header above it names.
func (f *follower) downTo(ctx context.Context, height int32, hash chainhash.Hash, low int32, verified *chain.Header) (all []wire.BlockHeader, met *chain.Header, err error) {
	for {
		headers, _, err := f.ancestors.ask(ctx, height, hash)
		if err != nil {
			return nil, nil, err
		}
		for _, header := range headers {
			if h := verified.Ancestor(height); h != nil && h.Hash == hash {
				return all, h, nil
			}
			all = append(all, header)
			if hash = header.PrevBlock; height == low {
				return all, nil, nil
			}
			height--
		}
	}
}

// apart says whether a person has to decide about a chain, if it has more work.
func (f *follower) apart(w weight, position sql.Position) bool {
	if f.pinned() != nil {
		return w.fork < min(f.base.Height, position.Height) || w.fork < position.Height-deepestReorg
	}
	return w.fork < position.Height-deepestReorg && (w.fork >= 0 || f.base.Height-1 < position.Height-deepestReorg)
}

// judge looks for a chain about which a person has to decide: one that has more
// work than ours, with what an explorer shows on top of it. As long as anybody
// shows ours, that is not one of which the work cannot be added up, nor one that
// contradicts a person's word.
func (f *follower) judge(ctx context.Context, seen []shown, position sql.Position) (*alerts.Stopped, error) {
	shows := false
	onTop := new(big.Int)
	var others []shown
	for _, e := range seen {
		w, err := f.weigh(ctx, e, position)
		switch {
		case errors.Is(err, explorer.ErrLying):
			continue // it is named
		case err != nil:
			return nil, err
		case f.apart(w, position):
			others = append(others, e)
			continue
		}
		shows = true
		if w.fork == position.Height && w.theirs != nil && w.theirs.Cmp(onTop) > 0 {
			onTop = w.theirs
		}
	}
	for _, e := range others {
		w := f.weighed[e.Name]
		if shows && (w.theirs == nil || f.pinned() != nil && w.fork < f.base.Height) ||
			w.theirs != nil && w.theirs.Cmp(new(big.Int).Add(w.ours, onTop)) <= 0 {
			continue
		}
		return f.describe(ctx, e, w, position)
	}
	return nil, nil
}

func (f *follower) describe(ctx context.Context, e shown, w weight, position sql.Position) (*alerts.Stopped, error) {
	s := &alerts.Stopped{
		Explorer: e.Name, Height: position.Height, Fork: w.fork, Weighed: w.theirs != nil, From: w.from, Theirs: w.hash.String(),
	}
	if f.pinned() != nil && w.fork < f.base.Height {
		s.Vouched = &f.base.Height
	}
	ours, known, err := f.store.ChainHash(ctx, w.from)
	if known {
		s.Ours = ours.String()
	}
	return s, err
}

// stop records that following stops, and gives errStopped, if a person has to
// decide about a chain that somebody shows; nil where nobody has to.
func (f *follower) stop(ctx context.Context, seen []shown, position sql.Position, cause error) error {
	found, err := f.judge(ctx, seen, position)
	if err != nil {
		return fmt.Errorf("%w; its work could not be compared with ours: %w", cause, err)
	}
	if found == nil {
		return nil
	}
	f.log.Error("following stops", "height", position.Height, "explorer", found.Explorer, "reason", found.Words())
	if err := f.writer.BeginStop(ctx, *found); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errStopped, cause)
}

// stopped gives errStopped while following waits for a person's word. It goes on
// by itself when who showed the other chain does not show it any more, or is not
// asked any more; that an explorer is silent ends nothing.
func (f *follower) stopped(ctx context.Context, seen []shown) error {
	stop, err := f.store.Stopped(ctx)
	if err != nil || stop == nil {
		return err
	}
	waits := fmt.Errorf("%w: %s", errStopped, stop.Reason)
	if f.configured(stop.Name) && !shows(seen, stop.Name) {
		return waits
	}
	position, err := f.store.Position(ctx)
	if err != nil {
		return err
	}
	if found, err := f.judge(ctx, seen, position); err != nil || found != nil {
		return waits
	}
	f.log.Warn("following goes on", "height", position.Height)
	return f.writer.EndStop(ctx)
}

func (f *follower) configured(name string) bool {
	for _, e := range f.explorers {
		if e.Name == name {
			return true
		}
	}
	return false
}

func shows(seen []shown, name string) bool {
	for _, e := range seen {
		if e.Name == name {
			return true
		}
	}
	return false
}
