package chain

import (
	"fmt"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Checkpoint is a block that is known to be on the chain.
type Checkpoint struct {
	Height int32
	Hash   chainhash.Hash
}

// mainnetFloor is the target of the period after the last compiled-in
// checkpoint (block 953567), in compact form.
const mainnetFloor = 0x170240c3

// lastCheckpoint is the height that mainnetFloor belongs to: the last block of
// a period.
const lastCheckpoint = 953567

// Checkpoints are the blocks of a network that are compiled in, lowest first:
// those of btcd, and for the main chain two later ones, which independent
// wallets (bitcoinj, Electrum) compile in as well.
func Checkpoints(params *chaincfg.Params) []Checkpoint {
	var all []Checkpoint
	for _, c := range params.Checkpoints {
		all = append(all, Checkpoint{c.Height, *c.Hash})
	}
	if params.Net == wire.MainNet {
		all = append(all,
			Checkpoint{878976, compiledHash("00000000000000000002819359a9af460f342404bec23e7478512a619584083b")},
			Checkpoint{lastCheckpoint, compiledHash("00000000000000000001b315e72169bef4867bf780527aa97c625ee9c001dc5d")})
	}
	return all
}

func compiledHash(text string) (hash chainhash.Hash) {
	if err := chainhash.Decode(&hash, text); err != nil {
		panic(err) // a constant of this file
	}
	return hash
}

// CheckpointBelow is the highest checkpoint below a height; false where there
// is none.
func CheckpointBelow(height int32, params *chaincfg.Params) (Checkpoint, bool) {
	var best Checkpoint
	found := false
	for _, c := range Checkpoints(params) {
		if c.Height < height {
			best, found = c, true
		}
	}
	return best, found
}

// CheckFloor checks that the block which everything is to rest on took work
// that is worth faking: its target is at most four times that of the last
// checkpoint. Where the chain itself has become easier than that, or the start
// lies in years when it was, the operator must vouch for the block's hash.
func CheckFloor(header *wire.BlockHeader, height int32, params *chaincfg.Params) error {
	if params.Net != wire.MainNet || !harder(4, blockchain.CompactToBig(mainnetFloor), blockchain.CompactToBig(header.Bits)) {
		return nil
	}
	return fmt.Errorf("%w: block %d asks for too little work", ErrFalseBlock, height)
}
