package chain

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Header is a block's header in its place, with those before it as far back as
// they are known. It never changes, so that branches share what is below them.
type Header struct {
	Height int32
	Hash   chainhash.Hash

	bits   uint32
	time   int64 // Unix
	parent *Header
	oldest int32 // height of the first header that is linked to this one
}

// NewHeader puts a header in its place. A parent that it does not name is as
// good as none.
func NewHeader(height int32, header *wire.BlockHeader, parent *Header) *Header {
	h := &Header{Height: height, Hash: header.BlockHash(), bits: header.Bits, time: header.Timestamp.Unix(), oldest: height}
	if parent != nil && parent.Height == height-1 && parent.Hash == header.PrevBlock {
		h.parent, h.oldest = parent, parent.oldest
	}
	return h
}

// LinkHeaders puts headers that follow each other in their places, lowest
// first, and gives the highest of them; nil for none.
func LinkHeaders(height int32, headers []wire.BlockHeader) (*Header, error) {
	var last *Header
	for i := range headers {
		next := NewHeader(height+int32(i), &headers[i], last)
		if i > 0 && next.parent == nil {
			return nil, fmt.Errorf("header %d does not follow the one before it", next.Height)
		}
		last = next
	}
	return last, nil
}

// Oldest is the height of the oldest header that is known and linked to this
// one.
func (h *Header) Oldest() int32 { return h.oldest }

// Ancestor is the header at a height, of this one and those before it; nil
// where it is not known.
func (h *Header) Ancestor(height int32) *Header {
	if h == nil || height > h.Height || height < h.oldest {
		return nil
	}
	for h.Height > height {
		h = h.parent
	}
	return h
}

// WorkAbove is the work of the headers above a height, up to this one.
func (h *Header) WorkAbove(height int32) *big.Int {
	work := new(big.Int)
	for ; h != nil && h.Height > height; h = h.parent {
		work.Add(work, blockchain.CalcWork(h.bits))
	}
	return work
}

// Tip is this header as the one that the next must follow.
func (h *Header) Tip() Tip { return Tip{Height: h.Height, Hash: h.Hash, Bits: h.bits, Header: h} }

// VerifyHeader checks a header without its block: the link, its work, the time
// (at most two hours after now) and what checkHeader knows. It gives the header
// in its place.
func VerifyHeader(header *wire.BlockHeader, tip Tip, params *chaincfg.Params, now time.Time) (*Header, error) {
	height := tip.Height + 1
	if err := checkHeader(header, tip, height, params); err != nil {
		return nil, err
	}
	if err := blockchain.CheckBlockHeaderSanity(header, params.PowLimit, clock{now}, blockchain.BFNone); err != nil {
		return nil, falseHeader(height, err)
	}
	return NewHeader(height, header, tip.known()), nil
}

// medianBlocks is how many headers before a block decide the least time that
// it may have.
const medianBlocks = 11

// Period is how many blocks have one difficulty.
func Period(params *chaincfg.Params) int32 {
	return int32(params.TargetTimespan / params.TargetTimePerBlock)
}

// MedianFrom is the height of the first header that the median time of a block
// asks for.
func MedianFrom(height int32) int32 { return max(0, height-medianBlocks) }

// DifficultyFrom is the height of the first header that decides the difficulty
// of a block at this height and of those after it up to the next change: the
// first one of the period that this change measures.
func DifficultyFrom(height int32, params *chaincfg.Params) int32 {
	if params.PoWNoRetargeting {
		return MedianFrom(height)
	}
	period := Period(params)
	return max(0, min((height+period-1)/period*period-period, MedianFrom(height)))
}

// Retargets says whether the difficulty changes with the block at a height.
func Retargets(height int32, params *chaincfg.Params) bool {
	return !params.PoWNoRetargeting && height%Period(params) == 0
}

// decided says whether all the headers are known that decide what a block at
// the height after the parent's must look like. btcd's rules take a header that
// is missing for the beginning of the chain, so they are not asked before.
func decided(parent *Header, params *chaincfg.Params) bool {
	if parent == nil {
		return false
	}
	height := parent.Height + 1
	from := MedianFrom(height)
	if Retargets(height, params) || params.ReduceMinDifficulty && !params.PoWNoRetargeting {
		from = DifficultyFrom(height, params)
	}
	return parent.oldest <= from
}

// checkHeader checks a header against those before it: by all of btcd's rules
// (bits, median time of eleven, version, checkpoints) where they are known, and
// within the bounds that need none where they are not. On signet the solution
// that its blocks carry (BIP325) is not checked: what follows there is proven
// only as far as its proof of work goes, which is little.
func checkHeader(header *wire.BlockHeader, tip Tip, height int32, params *chaincfg.Params) error {
	if header.PrevBlock != tip.Hash {
		return fmt.Errorf("%w: block %d has parent %s, the last one is %s", ErrUnlinked, height, header.PrevBlock, tip.Hash)
	}
	if tip.Bits == 0 && !tip.Pinned && height > lastCheckpoint {
		if err := CheckFloor(header, height, params); err != nil {
			return err
		}
	}
	parent := tip.known()
	if decided(parent, params) {
		return falseHeader(height, blockchain.CheckBlockHeaderContext(header, asked{parent}, blockchain.BFNone, rules{params}, false))
	}
	return checkBounds(header, tip, height, params)
}

// falseHeader gives a fault that btcd found our words; nil stays nil.
func falseHeader(height int32, err error) error {
	var rule blockchain.RuleError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &rule) && rule.ErrorCode == blockchain.ErrBadCheckpoint:
		return fmt.Errorf("%w: block %d is not the one that is known to be at this height", ErrFalseBlock, height)
	}
	return fmt.Errorf("%w: block %d: %w", ErrFalseBlock, height, early(err))
}

// checkBounds checks what can be said of a header while those that decide its
// difficulty are not known.
func checkBounds(header *wire.BlockHeader, tip Tip, height int32, params *chaincfg.Params) error {
	// Version and checkpoints need no more than the height.
	place := asked{&Header{Height: height - 1}}
	if err := blockchain.CheckBlockHeaderContext(header, place, blockchain.BFFastAdd, rules{params}, false); err != nil {
		return falseHeader(height, err)
	}
	parent := tip.known()
	if parent != nil && parent.oldest <= MedianFrom(height) {
		if median := blockchain.CalcPastMedianTime(asked{parent}); !header.Timestamp.After(median) {
			return fmt.Errorf("%w: block %d is of %s, not after the median %s of those before it", ErrFalseBlock, height, header.Timestamp.UTC(), median.UTC())
		}
	}
	return checkDifficultyBounds(header, tip, height, params)
}

func checkDifficultyBounds(header *wire.BlockHeader, tip Tip, height int32, params *chaincfg.Params) error {
	if params.Net == wire.MainNet && height == lastCheckpoint+1 && header.Bits != mainnetFloor {
		return fmt.Errorf("%w: block %d has not the difficulty that is known to begin there", ErrFalseBlock, height)
	}
	if parent := tip.known(); parent != nil {
		tip.Bits = parent.bits
	}
	if tip.Bits == 0 || params.ReduceMinDifficulty {
		return nil // the start, or a test network where a late block may be easy
	}
	target, last := blockchain.CompactToBig(header.Bits), blockchain.CompactToBig(tip.Bits)
	factor := params.RetargetAdjustmentFactor
	switch {
	case !Retargets(height, params):
		if header.Bits != tip.Bits {
			return fmt.Errorf("%w: block %d changes the difficulty inside a period", ErrFalseBlock, height)
		}
	case harder(factor, last, target) || harder(factor, target, last):
		return fmt.Errorf("%w: block %d changes the difficulty by more than %d times", ErrFalseBlock, height, factor)
	}
	return nil
}

// harder says whether target is more than factor times base, so that the block
// with it took less than a factor-th of the work. A hundredth is allowed for
// what the compact form rounds off.
func harder(factor int64, base, target *big.Int) bool {
	limit := new(big.Int).Mul(base, big.NewInt(factor*100+1))
	return new(big.Int).Mul(target, big.NewInt(100)).Cmp(limit) > 0
}

// asked is a header as btcd's rules ask about it.
type asked struct{ *Header }

func (a asked) Height() int32    { return a.Header.Height }
func (a asked) Bits() uint32     { return a.bits }
func (a asked) Timestamp() int64 { return a.time }

// Parent gives a plain nil where there is none, as btcd's rules expect.
func (a asked) Parent() blockchain.HeaderCtx {
	if a.parent == nil {
		return nil
	}
	return asked{a.parent}
}

// RelativeAncestorCtx is the header that far below.
func (a asked) RelativeAncestorCtx(distance int32) blockchain.HeaderCtx {
	if h := a.Ancestor(a.Header.Height - distance); h != nil {
		return asked{h}
	}
	return nil
}

// rules are a network's parameters as btcd's rules ask for them.
type rules struct{ params *chaincfg.Params }

func (r rules) ChainParams() *chaincfg.Params { return r.params }
func (r rules) BlocksPerRetarget() int32      { return Period(r.params) }
func (r rules) MinRetargetTimespan() int64    { return r.timespan() / r.params.RetargetAdjustmentFactor }
func (r rules) MaxRetargetTimespan() int64    { return r.timespan() * r.params.RetargetAdjustmentFactor }
func (r rules) timespan() int64               { return int64(r.params.TargetTimespan / time.Second) }

// VerifyCheckpoint says whether a block may be at a height, as far as that is
// compiled in.
func (r rules) VerifyCheckpoint(height int32, hash *chainhash.Hash) bool {
	for _, c := range Checkpoints(r.params) {
		if c.Height == height {
			return c.Hash == *hash
		}
	}
	return true
}

// FindPreviousCheckpoint gives none: it would bound how deep a branch may
// begin, and whatever leaves the chain below a checkpoint contradicts it at its
// height anyway.
func (r rules) FindPreviousCheckpoint() (blockchain.HeaderCtx, error) { return nil, nil }
