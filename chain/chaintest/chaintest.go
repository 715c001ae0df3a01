// Package chaintest builds chains to test against: a real btcd regtest node,
// blocks of our own making where a node is too slow or too honest, a wallet
// that pays and signs on either, and servers over either in the shape of
// Esplora's, of the Electrum protocol's and of Bitcoin Core's, with faults to
// order. It serves tests, benchmarks and the demo and is no part of
// the daemon.
//
//	node, err := chaintest.StartNode(ctx, chaintest.NodeOptions{})
//	wallet := chaintest.NewWallet(node, "")
//	_, err = node.Generate(ctx, 110)
//	tx, err := wallet.Pay(ctx, chaintest.Output{Script: address.Script, Value: 50_000})
//	esplora := chaintest.NewEsplora(node, node.Params())
//	url, stop := esplora.Serve()
//
// The same with NewChain() in the place of StartNode needs no node and takes
// microseconds. Nothing of the package chain is used to find an answer, so
// that a test never compares the code with itself.
package chaintest

import (
	"context"
	"errors"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Source is what an Esplora server follows. A Node is one and so is a Chain.
type Source interface {
	// Best is the height and the hash of the tip.
	Best(ctx context.Context) (int32, chainhash.Hash, error)
	// RawBlock is a block, header first; it wraps ErrNoBlock where there is
	// none with that hash, which ends the walk back to the genesis block.
	RawBlock(ctx context.Context, hash chainhash.Hash) ([]byte, error)
	// Mempool gives the unconfirmed transactions, first seen first.
	Mempool(ctx context.Context) ([]*wire.MsgTx, error)
}

// Ledger is what a Wallet reads its coinbases from and sends to. A Node is
// one and so is a Chain.
type Ledger interface {
	// Best is the height and the hash of the tip.
	Best(ctx context.Context) (int32, chainhash.Hash, error)
	// RawBlock is a block, header first, or an error that wraps ErrNoBlock.
	RawBlock(ctx context.Context, hash chainhash.Hash) ([]byte, error)
	// SendRaw puts a transaction into the mempool.
	SendRaw(ctx context.Context, tx *wire.MsgTx) (chainhash.Hash, error)
}

// ErrNoBlock says that a source has no block with that hash or height.
var ErrNoBlock = errors.New("no such block")

// ErrNoTransaction says that a source does not know a transaction.
var ErrNoTransaction = errors.New("no such transaction")
