package daemon

import (
	"context"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain/explorer"
)

// Where more than worthList blocks are missing, by what the explorer shows whose
// turn it is, their hashes are asked for by
// the list: two questions for ten of them. An explorer's list serves that
// explorer alone, so that no lie of one is laid at another's door.
const (
	worthList = 3
	listLong  = 10
)

// hashAt gives the hash that an explorer shows at a height.
func (f *follower) hashAt(ctx context.Context, e *explorer.Explorer, height int32) (chainhash.Hash, error) {
	if hash, ok := f.lists[e.Name][height]; ok {
		return hash, nil
	}
	top := height + min(listLong, f.behind) - 1
	if e.Headers != nil && f.behind > worthList && f.list(ctx, e, top) {
		if hash, ok := f.lists[e.Name][height]; ok {
			return hash, nil
		}
	}
	hash, err := e.Chain.BlockHash(ctx, height)
	f.beat()
	return hash, err
}

// list reads the hashes up to a height, as far down as one answer goes. What
// goes wrong is found again by whoever asks for the one hash.
func (f *follower) list(ctx context.Context, e *explorer.Explorer, top int32) bool {
	hash, err := e.Chain.BlockHash(ctx, top)
	f.beat()
	if err != nil {
		return false
	}
	headers, err := e.Headers.Headers(ctx, top, hash)
	f.beat()
	if err != nil {
		return false
	}
	hashes := make(map[int32]chainhash.Hash, len(headers))
	for i := range headers {
		hashes[top-int32(i)] = headers[i].BlockHash()
	}
	f.lists[e.Name] = hashes
	return true
}

// forgetList is for when anything of an explorer's list turned out not to fit.
func (f *follower) forgetList(name string) { delete(f.lists, name) }
