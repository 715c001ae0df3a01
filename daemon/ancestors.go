package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// errUnserved says that no explorer has the headers before the start, nor is
// likely to.
var errUnserved = errors.New("no explorer serves them")

// ancestors gets the headers from before the start, down from its parent: the
// eleven that bound a block's time, those of its difficulty period, and those
// back to a checkpoint. Each is named by the one above it, so that they are as
// true as the start; whoever serves them needs no trust.
type ancestors struct {
	store     *sql.Store
	writer    *sql.Writer
	explorers []*explorer.Explorer
	params    *chaincfg.Params
	health    *health
	beat      func()
	now       func() time.Time
	log       *slog.Logger

	mu      sync.Mutex     // guards what follows; nobody is asked while it is held
	turn    int            // whose turn it is to be asked
	gave    map[string]int // by explorer: headers in its last answer
	count   int            // of answers recorded
	base    int64          // whose ancestors they are: another one where following begins elsewhere
	reached int            // how many goals are behind us
	fault   error          // what is known contradicts a rule
	told    string         // the last failure, told once
	deep    time.Time      // when it was last told how far down the past is
}

// goal is a height that the headers have to reach back to, and what is said
// when they do.
type goal struct {
	from  int32
	words string
	slow  bool // at leisure, one answer a round
}

// ancestorsPause is between the rounds in which headers are got at leisure.
const ancestorsPause = 10 * time.Second

// goals are what headers are got for, nearest first.
func (a *ancestors) goals(start int32) []goal {
	median, difficulty := chain.MedianFrom(start), chain.DifficultyFrom(start, a.params)
	held := ", so the times of blocks are checked"
	if difficulty < median {
		held += "; until those of its difficulty period are there, the next change of difficulty is held within a factor of four"
	}
	all := []goal{{from: median, words: fmt.Sprintf("the headers from block %d to the first block covered (%d) are linked%s", median, start, held)}}
	if difficulty < median {
		all = append(all, goal{from: difficulty, words: fmt.Sprintf(
			"the headers from block %d to the first block covered (%d) are linked, so the times of blocks and every change of difficulty are checked", difficulty, start)})
	}
	if point, ok := chain.CheckpointBelow(start, a.params); ok {
		all = append(all, goal{from: point.Height, slow: true, words: fmt.Sprintf(
			"every header from the checkpoint at block %d to the first block covered (%d) is verified", point.Height, start)})
	}
	return all
}

// unchecked is said while the nearest goal is not reached and following has
// begun without it.
const unchecked = "nobody served the headers before the first block covered: the times of the first blocks are not checked, and the next change of difficulty only within a factor of four"

// first gets the headers without which no block is to be recorded. Where blocks
// are recorded already it is too late for that; the rest comes in its time.
func (a *ancestors) first(ctx context.Context) error {
	known, goals, err := a.look(ctx)
	if err != nil || goals == nil {
		return err
	}
	position, err := a.store.Position(ctx)
	if err != nil || position.Height >= known.Start {
		return err
	}
	if !a.params.ReduceMinDifficulty || a.params.PoWNoRetargeting {
		goals = goals[:1]
	}
	for i, g := range goals {
		if g.slow || g.passed(known.Oldest, goals[i+1:]) {
			continue
		}
		if err := a.reach(ctx, i, g); err != nil {
			return err
		}
	}
	return nil
}

// passed says whether a later goal is reached, so that nothing is to be said of
// this one any more.
func (g goal) passed(oldest int32, later []goal) bool {
	return len(later) > 0 && oldest <= g.from && oldest <= later[0].from
}

// served says whether any explorer can be asked for headers.
func (a *ancestors) served() bool {
	for _, e := range a.explorers {
		if e.Headers != nil {
			return true
		}
	}
	return false
}

// round works towards the goals, and keeps trying as long as it takes.
func (a *ancestors) round(ctx context.Context) error {
	known, goals, err := a.look(ctx)
	if err != nil || goals == nil {
		return err
	}
	position, err := a.store.Position(ctx)
	if err != nil || position.Height < known.Start {
		return err // the first block waits for the first headers, and the follower gets them
	}
	a.mu.Lock()
	done, fault := a.reached, a.fault
	a.mu.Unlock()
	for i := done; i < len(goals) && fault == nil && err == nil && ctx.Err() == nil; i++ {
		if goals[i].passed(known.Oldest, goals[i+1:]) {
			continue
		}
		err = a.reach(ctx, i, goals[i])
		if errors.Is(err, errLater) {
			return nil
		}
	}
	if err == nil && fault == nil && ctx.Err() == nil {
		err = a.deeper(ctx)
	}
	a.tell(ctx, err)
	return nil
}

// deepTold is how often it is told how far down the headers are that the past
// needs.
const deepTold = 5 * time.Minute

// mostDeeper is how many answers a round gets for the past.
const mostDeeper = 100

// deeper gets headers below all goals, down to the lowest block that holds a
// payment from before the watch which is not proven yet. That each is named by
// the one above it is proof enough. There is no bound but that, and no hurry:
// explorers give ten headers an answer and most of their pace is left to others,
// so that 200,000 blocks take days. What came stays, over restarts too.
func (a *ancestors) deeper(ctx context.Context) error {
	for range mostDeeper {
		needed, any, err := a.store.HeadersNeeded(ctx)
		if err != nil || !any {
			return err
		}
		known, _, err := a.store.Ancestry(ctx)
		if err != nil {
			return err
		}
		got, rest, err := a.get(ctx, known)
		if err != nil {
			return err
		}
		a.tellDeeper(known.Oldest-got, needed)
		if sleep(ctx, rest); ctx.Err() != nil {
			return ctx.Err()
		}
		a.beat()
	}
	return nil
}

func (a *ancestors) tellDeeper(oldest, needed int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if oldest <= needed || a.now().Sub(a.deep) >= deepTold {
		a.deep = a.now()
		a.log.Info("headers to prove the past", "back_to", oldest, "needed", needed)
	}
}

// tell logs a failure once, not in every round: for headers nobody is woken.
func (a *ancestors) tell(ctx context.Context, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != a.told && ctx.Err() == nil {
		a.log.Warn("headers before the start not complete", "error", err)
	}
	a.told = text
}

// look reads how far back the headers are known, and what is still to come.
func (a *ancestors) look(ctx context.Context) (sql.Ancestry, []goal, error) {
	known, begun, err := a.store.Ancestry(ctx)
	if err != nil || !begun {
		return known, nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.base != known.Begun {
		a.base, a.reached, a.fault = known.Begun, 0, nil
		a.count++
	}
	return known, a.goals(known.Start), nil
}

// errLater ends a round that works at leisure.
var errLater = errors.New("the rest comes later")

// reach gets headers until they go back to a goal, verifies all that are known
// from there on, and says so.
func (a *ancestors) reach(ctx context.Context, i int, g goal) error {
	for steps := 0; ; steps++ {
		known, _, err := a.store.Ancestry(ctx)
		if err != nil {
			return err
		}
		if known.Oldest <= g.from {
			break
		}
		if g.slow && steps > 0 {
			return errLater
		}
		if err := a.step(ctx, known); err != nil {
			return err
		}
	}
	if err := a.verify(ctx, g.from); err != nil {
		return err
	}
	if err := a.writer.SayChecked(ctx, g.words); err != nil {
		return err
	}
	if g.slow {
		if err := a.raise(ctx, g.from); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reached <= i {
		a.reached = i + 1
		a.log.Info("headers before the start", "back_to", g.from, "checked", g.words)
	}
	return nil
}

// step gets the next headers down, which the rules can ask for.
func (a *ancestors) step(ctx context.Context, known sql.Ancestry) error {
	got, _, err := a.get(ctx, known)
	if err != nil || got == 0 {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count++
	return nil
}

// get gets the next headers down and records them. It says how many they are,
// and how long who gave them is to be left to others where there is no hurry.
func (a *ancestors) get(ctx context.Context, known sql.Ancestry) (got int32, rest time.Duration, err error) {
	headers, from, err := a.ask(ctx, known.Oldest-1, known.Parent)
	if err != nil {
		return 0, 0, err
	}
	for _, e := range a.explorers {
		if e.Name == from {
			rest = restOf(e, 1)
		}
	}
	headers = headers[:min(len(headers), int(known.Oldest))]
	err = a.writer.AddAncestors(ctx, headers, from)
	if errors.Is(err, sql.ErrNotNext) {
		return 0, rest, nil // the follower and the background both got them
	}
	return int32(len(headers)), rest, err
}

// ask asks one explorer after the other for the header with that hash and those
// before it.
func (a *ancestors) ask(ctx context.Context, height int32, hash chainhash.Hash) ([]wire.BlockHeader, string, error) {
	a.mu.Lock()
	turn := a.turn
	a.turn++
	a.mu.Unlock()
	var failures []error
	for _, e := range a.mostFirst(turn) {
		headers, err := e.Headers.Headers(ctx, height, hash)
		a.beat()
		if err == nil && !descends(headers, hash) {
			err = badAnswer(e.Name, fmt.Sprintf("headers up to %d", height), errors.New("they do not follow each other"))
		}
		a.gives(e.Name, len(headers), err)
		if err == nil {
			return headers, e.Name, nil
		}
		if errors.Is(err, explorer.ErrLying) {
			a.health.note(e.Name, forBlocks, err)
		}
		if !errors.Is(err, explorer.ErrNotFound) {
			failures = append(failures, err)
		}
	}
	if len(failures) == 0 {
		return nil, "", fmt.Errorf("header of block %d: %w", height, errUnserved)
	}
	return nil, "", errors.Join(failures...)
}

// descends says whether the first header has that hash and each of the others
// is the one that the one before it names.
func descends(headers []wire.BlockHeader, hash chainhash.Hash) bool {
	for i := range headers {
		if headers[i].BlockHash() != hash {
			return false
		}
		hash = headers[i].PrevBlock
	}
	return len(headers) > 0
}

// verify checks all headers from a height up to the position by the rules that
// what is below them decides: some were covered before that was known. What
// fails here cannot be made good; it means that the start was false.
func (a *ancestors) verify(ctx context.Context, from int32) error {
	position, err := a.store.Position(ctx)
	if err != nil {
		return err
	}
	headers, err := a.store.LinkedHeaders(ctx, position.Height, position.Hash, position.Height-from+1)
	if err != nil || len(headers) == 0 {
		return err
	}
	height := position.Height - int32(len(headers)) + 1
	tip := chain.Tip{Height: height - 1, Hash: headers[0].PrevBlock, Pinned: true}
	for i := range headers {
		h, err := chain.VerifyHeader(&headers[i], tip, a.params, a.now())
		if err != nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.fault = fmt.Errorf("what is followed is not this network's chain, choose another start: %w", err)
			return a.fault
		}
		tip = h.Tip()
	}
	a.beat()
	return nil
}

// raise puts following on a checkpoint where only one operator vouched for the
// start: so many verified headers are not made to deceive anybody.
func (a *ancestors) raise(ctx context.Context, checkpoint int32) error {
	start, ok, err := a.store.LatestStart(ctx)
	if err != nil || !ok || start.Proves || start.Height-checkpoint < deepestReorg {
		return err
	}
	position, err := a.store.Position(ctx)
	if err != nil {
		return err
	}
	return a.writer.RaiseStart(ctx, position.Hash, fmt.Sprintf("the checkpoint at block %d", checkpoint))
}

// added counts the answers recorded so far: when it moves, more headers can be
// linked than before.
func (a *ancestors) added() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count
}

// contradiction is what is wrong with the chain followed, if anything is.
func (a *ancestors) contradiction() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fault
}
