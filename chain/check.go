package chain

import (
	"bytes"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// UnknownHeight is the Height of a block that does not say where it stands.
const UnknownHeight int32 = -1

// MaxBlockSize is the most bytes that a block can have: its weight is limited
// to four million, and each byte weighs at least one.
const MaxBlockSize = 4_000_000

// CheckBlock checks raw bytes to be a block by themselves, without a chain to
// stand in: all that VerifyBlock checks but the link and the rules that need
// the block before. Its work is checked against its own bits and the network's
// limit, so that it is known to be no forgery of an older block, and not that
// it is on the chain. Height is what the coinbase says (BIP34), and
// UnknownHeight where it says nothing.
func CheckBlock(raw []byte, params *chaincfg.Params, now time.Time) (*Block, error) {
	block, err := parseBlock(raw)
	if err != nil {
		return nil, err
	}
	block.SetHeight(coinbaseHeight(block, params))
	if err := checkEase(block, params); err != nil {
		return nil, err
	}
	if err := checkContents(block, params, now); err != nil {
		return nil, err
	}
	return verified(block), nil
}

// parseBlock reads a block that fills the bytes to the last. Its transactions
// are hashed from where they lie, which is the same as from what they say: btcd
// takes numbers in their shortest form only, and no mark of a witness without
// one.
func parseBlock(raw []byte) (*btcutil.Block, error) {
	var msg wire.MsgBlock
	reader := bytes.NewReader(raw)
	if err := msg.Deserialize(reader); err != nil {
		return nil, fmt.Errorf("%w: cannot be parsed: %v", ErrFalseBlock, err)
	}
	if reader.Len() != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", ErrFalseBlock, reader.Len())
	}
	return btcutil.NewBlockFromBlockAndBytes(&msg, raw), nil
}

// coinbaseHeight is the height that a coinbase begins with. Blocks of version 1
// do not say it, though their coinbase may begin as if it did.
func coinbaseHeight(block *btcutil.Block, params *chaincfg.Params) int32 {
	if *block.Hash() == *params.GenesisHash {
		return 0
	}
	txs := block.Transactions()
	if block.MsgBlock().Header.Version < 2 || len(txs) == 0 || !blockchain.IsCoinBase(txs[0]) {
		return UnknownHeight
	}
	height, err := blockchain.ExtractCoinbaseHeight(txs[0])
	if err != nil || height <= 0 {
		return UnknownHeight
	}
	return height
}

// checkEase refuses a block with less work than its network asks for wherever
// that is known without the blocks before it. What is left open is left to
// whoever knows the chain.
func checkEase(block *btcutil.Block, params *chaincfg.Params) error {
	header := &block.MsgBlock().Header
	switch {
	case params.PoWNoRetargeting && header.Bits != params.PowLimitBits:
		return fmt.Errorf("%w: its difficulty is not that of %s: it is of another network", ErrFalseBlock, NetworkName(params))
	case header.Timestamp.Before(params.GenesisBlock.Header.Timestamp):
		return fmt.Errorf("%w: it is older than %s: it is of another network", ErrFalseBlock, NetworkName(params))
	case params.Net == wire.MainNet && block.Height() == UnknownHeight && header.Timestamp.After(heightsSince()):
		return fmt.Errorf("%w: it does not say its height, as every block of mainnet does since 2013", ErrFalseBlock)
	}
	return checkFloor(header.Bits, block.Height(), params)
}

// checkFloor refuses a difficulty that mainnet never had so late.
func checkFloor(bits uint32, height int32, params *chaincfg.Params) error {
	if params.Net != wire.MainNet {
		return nil
	}
	target := blockchain.CompactToBig(bits)
	for _, f := range mainnetFloors() {
		if height > f.height && harder(4, blockchain.CompactToBig(f.bits), target) {
			return fmt.Errorf("%w: it says to be block %d and asks for too little work: it is of another network, or forged", ErrFalseBlock, height)
		}
	}
	return nil
}

// heightsSince is a time by which all blocks of mainnet said their height: they
// had to from 227931 on, of 24 March 2013.
func heightsSince() time.Time { return time.Date(2013, time.June, 1, 0, 0, 0, 0, time.UTC) }

// mainnetFloors are the compact targets of some blocks of mainnet. None that
// came after one of them was ever four times as easy.
func mainnetFloors() []floor {
	return []floor{{lastCheckpoint, mainnetFloor}, {702861, 0x170ed0eb}, {482683, 0x18013ce9}, {413567, 0x18058436}, {300025, 0x1900896c}}
}

type floor struct {
	height int32
	bits   uint32
}

// named is how an error speaks of a block.
func named(height int32) string {
	if height == UnknownHeight {
		return "the block"
	}
	return fmt.Sprintf("block %d", height)
}
