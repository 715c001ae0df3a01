package sql

import (
	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
)

// EvidenceAround is which headers evidence of a block at a height should have,
// where following began at start and reached tip.
func EvidenceAround(params *chaincfg.Params, start, tip, height int32) (from, to int32) {
	e := &chain.Evidence{}
	e.Stated.Starts = []chain.EvidenceStart{{Height: start}}
	e.Stated.Tip = &chain.EvidencePlace{Height: tip}
	g := &gathering{params: params, e: e}
	return g.around(height)
}
