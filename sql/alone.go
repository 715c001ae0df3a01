package sql

import (
	"fmt"

	"btcwatch/chain"
)

// seenAlone makes what is told in the commit of a block say so, where one operator
// alone shows it: that a block has work does not make it the one that others
// build on.
func (c *commit) seenAlone(block *chain.Block) {
	if block.Alone != "" {
		c.alone = fmt.Sprintf("; block %d was seen from one operator only, %s, when this was recorded", block.Height, block.Alone)
	}
}
