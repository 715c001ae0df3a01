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

	// Header is that block's, with those before it as far back as they are
	// known; nil when not even its own is.
	Header *Header

	// Pinned says that the operator vouches for the next block's hash: it may
	// have asked for any work.
	Pinned bool
}

// known is the tip's header, if it is the tip's.
func (t Tip) known() *Header {
	if t.Header == nil || t.Header.Hash != t.Hash || t.Header.Height != t.Height {
		return nil
	}
	return t.Header
}

// Block is a block that has been checked from its raw bytes.
type Block struct {
	Height       int32
	Hash         chainhash.Hash
	Header       wire.BlockHeader
	Transactions []*wire.MsgTx
	IDs          []chainhash.Hash

	// Bounded says that the headers which decide the block's difficulty were
	// not all known, so that it was only held within bounds.
	Bounded bool

	Verified time.Time // when it was verified, UTC

	linked *Header
}

// Tip is the block as the one that the next must follow, with the headers that
// were known when it was verified.
func (b *Block) Tip() Tip { return b.linked.Tip() }

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

// VerifyBlock checks raw bytes to be the block with the wanted hash that
// follows the tip, by btcd's rules: proof of work, the link, the bits and the
// time that the headers before it demand (see Tip.Header), version, checkpoints,
// the Merkle root without duplicated siblings (CVE-2012-2459), coinbase first, no
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
	b := verified(block)
	b.Verified = now.UTC()
	b.Bounded, b.linked = !decided(tip.known(), params), NewHeader(height, &block.MsgBlock().Header, tip.known())
	return b, nil
}

func checkContents(block *btcutil.Block, params *chaincfg.Params, now time.Time) error {
	height := block.Height()
	if err := blockchain.CheckBlockSanity(block, params.PowLimit, clock{now}); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrFalseBlock, named(height), err)
	}
	witness := false
	for _, tx := range block.MsgBlock().Transactions {
		if len(tx.TxIn) == 1 && tx.SerializeSizeStripped() == 64 { // two inputs take more, and none is refused already
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
		Height:       block.Height(),
		Hash:         *block.Hash(),
		Header:       block.MsgBlock().Header,
		Transactions: block.MsgBlock().Transactions,
		IDs:          make([]chainhash.Hash, len(block.Transactions())),
	}
	for i, tx := range block.Transactions() {
		b.IDs[i] = *tx.Hash()
	}
	return b
}

// clock gives btcd's rules the time that the caller holds to be now.
type clock struct{ now time.Time }

func (c clock) AdjustedTime() time.Time         { return c.now }
func (c clock) AddTimeSample(string, time.Time) {}
func (c clock) Offset() time.Duration           { return 0 }
