package sql

import (
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

// putBranches stores what proves to others that the facts stand in a block.
func (c *commit) putBranches(ctx context.Context, id int64, block *chain.Block, facts []*fact) error {
	if len(facts) == 0 {
		return nil
	}
	places := []int{0} // of the coinbase
	var txs []int64
	for _, f := range facts {
		places, txs = append(places, f.tx.Place.Index), append(txs, f.id)
	}
	var siblings [][]byte
	for _, b := range chain.Branches(block.IDs, places) {
		siblings = append(siblings, joined(b.Siblings))
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.branch (block_id, tx_id, siblings)
		SELECT $1, u.tx_id, u.siblings
		FROM unnest($2::bigint[], $3::bytea[]) AS u (tx_id, siblings)
		ON CONFLICT DO NOTHING`, id, txs, siblings[1:])
	if err != nil {
		return fmt.Errorf("record Merkle branches: %w", err)
	}
	coinbase := rawBytes(&chain.Transaction{Msg: block.Transactions[0]})
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.coinbase (block_id, raw, siblings)
		VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING`, id, coinbase, siblings[0])
	if err != nil {
		return fmt.Errorf("record the coinbase: %w", err)
	}
	return nil
}

// joined are hashes one after the other; no hashes are no bytes, and not null.
func joined(hashes []chainhash.Hash) []byte {
	all := []byte{}
	for _, h := range hashes {
		all = append(all, h[:]...)
	}
	return all
}

// apart is the reverse of joined.
func apart(all []byte) []chainhash.Hash {
	var hashes []chainhash.Hash
	for ; len(all) >= chainhash.HashSize; all = all[chainhash.HashSize:] {
		hashes = append(hashes, chainhash.Hash(all[:chainhash.HashSize]))
	}
	return hashes
}
