// Package chain knows what is true on Bitcoin: addresses and their scripts,
// transactions, blocks and how they prove themselves, and which of them touch
// what is watched. It does no input or output and trusts nobody: whatever an
// explorer says is checked here or marked as said.
//
// Amounts are satoshis (int64), heights int32, times UTC, hashes
// chainhash.Hash in internal byte order.
package chain

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Transaction is one Bitcoin transaction with what is known about it.
type Transaction struct {
	ID  chainhash.Hash // recomputed from Msg, never taken from an answer
	Msg *wire.MsgTx

	// Spent holds for each input the output that it spends, and nil where
	// nobody said. It is what an explorer states unless the caller proved it.
	Spent []*wire.TxOut

	Place *Place // where in the chain; nil while unconfirmed
}

// Place is where a transaction stands in the chain.
type Place struct {
	Height int32
	Block  chainhash.Hash
	Time   time.Time // the block header's time, UTC
	Index  int       // position within the block; -1 when not known
}

// MaxMoney is the most satoshis there can ever be; a larger amount is a lie.
const MaxMoney int64 = 21_000_000 * 100_000_000

// Network gives the parameters of a network by the name that the
// configuration uses: mainnet, testnet3, testnet4, signet or regtest.
func Network(name string) (*chaincfg.Params, error) {
	for _, p := range networks() {
		if p.name == name {
			return p.params, nil
		}
	}
	return nil, fmt.Errorf("unknown network %q: use mainnet, testnet3, testnet4, signet or regtest", name)
}

// NetworkName is the reverse of Network.
func NetworkName(params *chaincfg.Params) string {
	for _, p := range networks() {
		if p.params.Net == params.Net {
			return p.name
		}
	}
	return params.Name
}

type network struct {
	name   string
	params *chaincfg.Params
}

func networks() []network {
	return []network{
		{"mainnet", &chaincfg.MainNetParams},
		{"testnet3", &chaincfg.TestNet3Params},
		{"testnet4", &chaincfg.TestNet4Params},
		{"signet", &chaincfg.SigNetParams},
		{"regtest", &chaincfg.RegressionNetParams},
	}
}
