package chain

import "github.com/btcsuite/btcd/wire/v2"

// ParseTransaction is what reads the transactions of evidence.
func ParseTransaction(raw []byte) (*wire.MsgTx, error) { return parseTransaction(raw) }
