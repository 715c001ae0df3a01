package explorer

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Branch asks for the Merkle branch of a transaction in the block at a height.
// Which block that is shows when the branch is checked.
func (e electrum) Branch(ctx context.Context, id chainhash.Hash, height int32) (*Placed, error) {
	q := question{words: fmt.Sprintf("Merkle proof of %s", id), limit: textLimit, absent: true}
	return askLine(ctx, e, q, call{"blockchain.transaction.get_merkle", []any{id.String(), height}}, readPlaced)
}

// Coinbase asks for the id of the first transaction of the block at a height,
// if it is the one that is meant, and for the transaction.
func (e electrum) Coinbase(ctx context.Context, block chainhash.Hash, height int32) (*wire.MsgTx, error) {
	header, err := e.headerAt(ctx, height, false)
	if err != nil {
		return nil, err
	}
	if header.BlockHash() != block {
		return nil, &Error{Kind: ErrNotFound, Explorer: e.client.name, Question: fmt.Sprintf("first transaction of block %s", block)}
	}
	q := question{words: fmt.Sprintf("first transaction of block %s", block), limit: textLimit, absent: true}
	id, err := askLine(ctx, e, q, call{"blockchain.transaction.id_from_pos", []any{height, 0, false}}, (*jsonReader).hash)
	if err != nil {
		return nil, err
	}
	return e.transaction(ctx, id)
}
