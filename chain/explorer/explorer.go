// Package explorer asks public block explorers about the chain: one file per
// kind of explorer, over one shared client that keeps pace, limits and time.
// It knows how each kind asks, pages and fails; it does not know what is
// watched, stores nothing and believes nothing that it can recompute.
package explorer

import (
	"context"
	"iter"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// Explorer is one configured explorer. What its kind cannot do is nil.
type Explorer struct {
	Name     string // the name in [explorers.NAME]
	Kind     string
	Operator string // who runs it; empty: the host name
	URL      string // without credentials, for messages

	// BareKeys: what was paid to a bare public key it lists under the P2PKH
	// address of that key, and counts there. Kinds differ in that, and none is wrong.
	BareKeys bool

	Chain        Chain
	Blocks       Blocks
	Headers      Headers
	Addresses    Addresses
	Transactions Transactions
	Spends       Spends
	Proofs       Proofs
	Hints        Hints
	Prices       Prices

	Pace *Pace

	Subscriptions int // most addresses for which hints are wished at once; 0: none

	client   *client
	software string // as configured, or by kind; empty: it has to say
}

// HasAddresses says whether explorers of a kind can be asked about addresses.
func HasAddresses(kindName string, params *chaincfg.Params) bool {
	k, e := find(kindName), &Explorer{}
	if k.open == nil {
		return false
	}
	k.open(e, &client{lines: &lines{}, pace: newPace(0)}, params) // never asked
	return e.Addresses != nil
}

// Close lets go of idle connections. The explorer can still be asked.
func (e *Explorer) Close() { e.client.close() }

// Chain answers what the chain looks like. Nothing of it is verified.
type Chain interface {
	// Tip is the height of the best block the explorer shows.
	Tip(ctx context.Context) (int32, error)
	// BlockHash is the hash of the block at a height; ErrNotFound beyond the tip.
	BlockHash(ctx context.Context, height int32) (chainhash.Hash, error)
}

// Blocks gives whole blocks. Nothing of them is verified but that they are whole.
type Blocks interface {
	// Block is the raw block with that hash, header first; ErrNotFound where the
	// explorer does not have it.
	Block(ctx context.Context, hash chainhash.Hash) ([]byte, error)
}

// Headers answers with headers alone, for what lies before the blocks that are
// followed.
type Headers interface {
	// Headers gives the header with that hash, whose block stands at the height,
	// and those before it, as many as one answer of the explorer holds, highest
	// first: each is the one that the header above it names. ErrNotFound where
	// the explorer does not have the block.
	Headers(ctx context.Context, height int32, hash chainhash.Hash) ([]wire.BlockHeader, error)
}

// Addresses answers what happened at an address.
type Addresses interface {
	// Counters is a cheap signal: as long as it does not change, nothing has
	// happened that this explorer would show.
	Counters(ctx context.Context, a chain.Address) (Counters, error)
	// History yields the confirmed transactions, newest first, page by page
	// until the explorer has no more; it ends with the first error.
	History(ctx context.Context, a chain.Address) iter.Seq2[[]*chain.Transaction, error]
	// Mempool gives the unconfirmed transactions. complete is false where the
	// explorer cuts the list off.
	Mempool(ctx context.Context, a chain.Address) (txs []*chain.Transaction, complete bool, err error)
}

// Transactions answers about one transaction.
type Transactions interface {
	// Transaction gives a transaction with the outputs it spends; ErrNotFound
	// where the explorer does not know it.
	Transaction(ctx context.Context, id chainhash.Hash) (*chain.Transaction, error)
}

// Spends answers what became of a transaction's outputs.
type Spends interface {
	// Spends says for each output who spends it; nil for one that is unspent,
	// as far as this explorer knows.
	Spends(ctx context.Context, id chainhash.Hash) ([]*Spend, error)
}

// Proofs answers with what shows that a transaction stands in a block to
// whoever has the block's header.
type Proofs interface {
	// Branch gives where a confirmed transaction stands and what leads from
	// there to the Merkle root of its block; ErrNotFound where the explorer does
	// not know it as confirmed. Some kinds look for it only where it is said to
	// stand, at the height.
	Branch(ctx context.Context, id chainhash.Hash, height int32) (*Placed, error)
	// Coinbase is the first transaction of the block that stands at the height;
	// ErrNotFound where the explorer does not have the block.
	Coinbase(ctx context.Context, block chainhash.Hash, height int32) (*wire.MsgTx, error)
}

// Placed is where an explorer says a transaction stands. Nothing of it is
// verified.
type Placed struct {
	Height int32
	Branch chain.Branch
}

// Counters are an explorer's totals for an address. They are known to drift
// after reorganisations, so they signal change and prove nothing.
type Counters struct {
	Transactions int64 // confirmed, as the explorer counts
	Unconfirmed  int64
	Signal       string // equal signals: nothing changed
}

// Spend is the input that spends an output.
type Spend struct {
	TxID  chainhash.Hash
	Input uint32
	Place *chain.Place // nil while unconfirmed; of some kinds only the height is known
}
