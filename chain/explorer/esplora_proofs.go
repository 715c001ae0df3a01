package explorer

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// Branch asks for the Merkle branch of a transaction. The answer names no block
// but by its height: which one it leads to shows when it is checked.
func (e esplora) Branch(ctx context.Context, id chainhash.Hash, _ int32) (*Placed, error) {
	q := question{words: fmt.Sprintf("Merkle proof of %s", id),
		path: fmt.Sprintf("/tx/%s/merkle-proof", id), limit: textLimit, absent: true}
	return ask(ctx, e.client, q, func(body []byte) (*Placed, error) {
		return readJSON(body, readPlaced)
	})
}

func readPlaced(r *jsonReader) *Placed {
	p := &Placed{}
	r.object(func(key string) {
		switch key {
		case "block_height":
			p.Height = int32(r.integer(0, math.MaxInt32))
		case "merkle":
			r.array(func() { p.Branch.Siblings = append(p.Branch.Siblings, r.hash()) })
		case "pos":
			p.Branch.Index = int(r.integer(0, math.MaxInt32))
		default:
			r.skip()
		}
	}, "block_height", "merkle", "pos")
	switch most := chain.Depth(chain.MaxTransactions); {
	case r.err != nil:
		return nil
	case len(p.Branch.Siblings) > most || p.Branch.Index >= chain.MaxTransactions:
		r.fail("a place that no block has")
		return nil
	}
	return p
}

// Coinbase asks for the id of the first transaction of a block, and for the
// transaction.
func (e esplora) Coinbase(ctx context.Context, block chainhash.Hash, _ int32) (*wire.MsgTx, error) {
	id, err := e.firstID(ctx, block)
	if err != nil {
		return nil, err
	}
	tx, err := e.Transaction(ctx, id)
	if err != nil {
		return nil, err
	}
	return tx.Msg, nil
}

func (e esplora) firstID(ctx context.Context, block chainhash.Hash) (chainhash.Hash, error) {
	q := question{words: fmt.Sprintf("first transaction of block %s", block),
		path: fmt.Sprintf("/block/%s/txid/0", block), limit: textLimit, absent: true}
	return ask(ctx, e.client, q, func(body []byte) (chainhash.Hash, error) {
		id, ok := parseHash(strings.TrimSpace(string(body)))
		if !ok {
			return id, malformed("not a transaction id")
		}
		return id, nil
	})
}
