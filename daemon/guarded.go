package daemon

import (
	"context"
	"iter"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// behind is an explorer behind the guard of privacy.
type behind struct {
	*explorer.Explorer
	privacy *privacy
}

func (b *behind) asks(ctx context.Context, about inquiry) error {
	return b.privacy.asks(ctx, b.Explorer, about)
}

// The capabilities that can give an address away, each question behind the guard.
type (
	guardedAddresses    struct{ *behind }
	guardedTransactions struct{ *behind }
	guardedSpends       struct{ *behind }
	guardedProofs       struct{ *behind }
	guardedHints        struct{ *behind }
)

// Counters asks if it may.
func (g guardedAddresses) Counters(ctx context.Context, a chain.Address) (explorer.Counters, error) {
	if err := g.asks(ctx, aboutScript(a)); err != nil {
		return explorer.Counters{}, err
	}
	return g.Addresses.Counters(ctx, a)
}

// History asks if it may.
func (g guardedAddresses) History(ctx context.Context, a chain.Address) iter.Seq2[[]*chain.Transaction, error] {
	return func(yield func([]*chain.Transaction, error) bool) {
		if err := g.asks(ctx, aboutScript(a)); err != nil {
			yield(nil, err)
			return
		}
		g.Addresses.History(ctx, a)(yield)
	}
}

// Mempool asks if it may.
func (g guardedAddresses) Mempool(ctx context.Context, a chain.Address) ([]*chain.Transaction, bool, error) {
	if err := g.asks(ctx, aboutScript(a)); err != nil {
		return nil, false, err
	}
	return g.Addresses.Mempool(ctx, a)
}

// Transaction asks if it may.
func (g guardedTransactions) Transaction(ctx context.Context, id chainhash.Hash) (*chain.Transaction, error) {
	if err := g.asks(ctx, aboutTransaction(id)); err != nil {
		return nil, err
	}
	return g.Transactions.Transaction(ctx, id)
}

// Spends asks if it may.
func (g guardedSpends) Spends(ctx context.Context, id chainhash.Hash) ([]*explorer.Spend, error) {
	if err := g.asks(ctx, aboutTransaction(id)); err != nil {
		return nil, err
	}
	return g.Explorer.Spends.Spends(ctx, id)
}

// Branch asks if it may.
func (g guardedProofs) Branch(ctx context.Context, id chainhash.Hash, height int32) (*explorer.Placed, error) {
	if err := g.asks(ctx, aboutTransaction(id)); err != nil {
		return nil, err
	}
	return g.Proofs.Branch(ctx, id, height)
}

// Coinbase asks about a block, which gives away no more than the block itself.
func (g guardedProofs) Coinbase(ctx context.Context, block chainhash.Hash, height int32) (*wire.MsgTx, error) {
	return g.Proofs.Coinbase(ctx, block, height)
}

// Listen gives a feed that is told of no address that may not be asked about.
func (g guardedHints) Listen(ctx context.Context) (*explorer.Feed, error) {
	feed, err := g.Hints.Listen(ctx)
	if err != nil {
		return nil, err
	}
	feed.Allow = func(ctx context.Context, a chain.Address) error { return g.asks(ctx, aboutScript(a)) }
	return feed, nil
}
