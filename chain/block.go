package chain

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// ErrFalseBlock is wrapped by every refusal of VerifyBlock: the bytes are not
// the block that was asked for, or not a block of this chain.
var ErrFalseBlock = errors.New("false block")

// ErrUnlinked is wrapped when a block is sound but its parent is another one:
// the explorer is on another branch, or the chain was reorganised.
var ErrUnlinked = errors.New("block does not follow the last one")

// Tip is the block that the next one must follow.
type Tip struct {
	Height int32
	Hash   chainhash.Hash
	Bits   uint32 // the compact target of that block; 0 when it was not verified
}

// Block is a block that has been checked from its raw bytes.
type Block struct {
	Height       int32
	Hash         chainhash.Hash
	Header       wire.BlockHeader
	Transactions []*wire.MsgTx
	IDs          []chainhash.Hash
}

// Time is the header's time, UTC.
func (b *Block) Time() time.Time { return b.Header.Timestamp.UTC() }

// Work is the expected number of hashes that the header stands for.
func (b *Block) Work() *big.Int { return blockchain.CalcWork(b.Header.Bits) }

// HeaderBytes are the 80 bytes that hash to the block's hash.
func (b *Block) HeaderBytes() []byte {
	var buf bytes.Buffer
	_ = b.Header.Serialize(&buf) // a bytes.Buffer takes everything
	return buf.Bytes()
}

// mainnetFloor is the target of the period after the last compiled-in
// checkpoint (block 953567), in compact form. A block that is more than four
// times as easy cannot follow: difficulty falls by at most that much a period,
// and has not done so twice in a row since 2011.
const mainnetFloor = 0x170240c3

// VerifyBlock checks raw bytes to be the block with the wanted hash that
// follows the tip, by btcd's rules: proof of work and its bits, the link, the
// Merkle root without duplicated siblings (CVE-2012-2459), coinbase first, no
// 64-byte transaction (CVE-2017-12842), the height in the coinbase (BIP34), and
// the witness commitment where there is one or a witness asks for one. Scripts and signatures
// are not validated. now bounds the header's time (two hours ahead).
func VerifyBlock(raw []byte, want chainhash.Hash, tip Tip, params *chaincfg.Params, now time.Time) (*Block, error) {
	block, err := parseBlock(raw)
	if err != nil {
		return nil, err
	}
	height := tip.Height + 1
	block.SetHeight(height)
	if *block.Hash() != want {
		return nil, fmt.Errorf("%w: hash is %s, asked for %s", ErrFalseBlock, block.Hash(), want)
	}
	if err := checkHeader(&block.MsgBlock().Header, tip, height, params); err != nil {
		return nil, err
	}
	if err := checkContents(block, params, now); err != nil {
		return nil, err
	}
	return verified(block), nil
}

func checkHeader(header *wire.BlockHeader, tip Tip, height int32, params *chaincfg.Params) error {
	if header.PrevBlock != tip.Hash {
		return fmt.Errorf("%w: block %d has parent %s, the last one is %s", ErrUnlinked, height, header.PrevBlock, tip.Hash)
	}
	target := blockchain.CompactToBig(header.Bits)
	if params.Net == wire.MainNet && height > lastCheckpoint && harder(4, blockchain.CompactToBig(mainnetFloor), target) {
		return fmt.Errorf("%w: block %d asks for too little work", ErrFalseBlock, height)
	}
	if tip.Bits == 0 || params.ReduceMinDifficulty {
		return nil // the start, or a test network where a late block may be easy
	}
	period := int32(params.TargetTimespan / params.TargetTimePerBlock)
	last := blockchain.CompactToBig(tip.Bits)
	factor := params.RetargetAdjustmentFactor
	switch {
	case params.PoWNoRetargeting || height%period != 0:
		if header.Bits != tip.Bits {
			return fmt.Errorf("%w: block %d changes the difficulty inside a period", ErrFalseBlock, height)
		}
	case harder(factor, last, target) || harder(factor, target, last):
		return fmt.Errorf("%w: block %d changes the difficulty by more than %d times", ErrFalseBlock, height, factor)
	}
	return nil
}

// lastCheckpoint is the height that mainnetFloor belongs to.
const lastCheckpoint = 953567

// harder says whether target is more than factor times base, so that the block
// with it took less than a factor-th of the work. A hundredth is allowed for
// what the compact form rounds off.
func harder(factor int64, base, target *big.Int) bool {
	limit := new(big.Int).Mul(base, big.NewInt(factor*100+1))
	return new(big.Int).Mul(target, big.NewInt(100)).Cmp(limit) > 0
}

func checkContents(block *btcutil.Block, params *chaincfg.Params, now time.Time) error {
	height := block.Height()
	if err := blockchain.CheckBlockSanity(block, params.PowLimit, clock{now}); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrFalseBlock, named(height), err)
	}
	witness := false
	for _, tx := range block.MsgBlock().Transactions {
		if tx.SerializeSizeStripped() == 64 {
			return fmt.Errorf("%w: %s holds a transaction of 64 bytes, which could stand for a Merkle node", ErrFalseBlock, named(height))
		}
		witness = witness || tx.HasWitness()
	}
	if witness || height >= segwitHeight(params) {
		if err := blockchain.ValidateWitnessCommitment(block); err != nil {
			return fmt.Errorf("%w: %s: %v", ErrFalseBlock, named(height), err)
		}
	}
	if height < params.BIP0034Height || height == 0 {
		return nil
	}
	coinbase := block.Transactions()[0]
	if err := blockchain.CheckSerializedHeight(coinbase, height); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrFalseBlock, named(height), err)
	}
	return nil
}

// segwitHeight is the first block in which a commitment to witnesses binds, be
// it that the block shows none: they may have been taken off. Before it some
// miners wrote commitments that nothing checked.
func segwitHeight(params *chaincfg.Params) int32 {
	switch params.Net {
	case wire.MainNet:
		return 481824
	case wire.TestNet3:
		return 834624
	}
	return 0
}

func verified(block *btcutil.Block) *Block {
	b := &Block{
		Height: block.Height(),
		Hash:   *block.Hash(),
		Header: block.MsgBlock().Header,
	}
	for _, tx := range block.Transactions() {
		b.Transactions = append(b.Transactions, tx.MsgTx())
		b.IDs = append(b.IDs, *tx.Hash())
	}
	return b
}

// clock gives btcd's rules the time that the caller holds to be now.
type clock struct{ now time.Time }

func (c clock) AdjustedTime() time.Time         { return c.now }
func (c clock) AddTimeSample(string, time.Time) {}
func (c clock) Offset() time.Duration           { return 0 }
