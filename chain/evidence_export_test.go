package chain

import (
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// ParseTransaction is what reads the transactions of evidence.
func ParseTransaction(raw []byte) (*wire.MsgTx, error) { return parseTransaction(raw) }

// FollowHeaders checks the headers of evidence of a block at a height on any
// network, be it one that a test makes up.
func FollowHeaders(first int32, headers []wire.BlockHeader, height int32, params *chaincfg.Params, madeAt time.Time) (ProvenChain, error) {
	c := ProvenChain{First: first}
	if err := c.follow(headers, params, madeAt); err != nil {
		return c, err
	}
	return c, c.anchor(&EvidenceBlock{Height: height}, headers, params)
}
