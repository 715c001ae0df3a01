package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/sql"
)

// hold keeps back, for a while, what an explorer says is confirmed above the
// covered chain: the follower is about to see that block itself, and what it
// proves is told as proven. What it does not prove in time is recorded as
// reported.
type hold struct {
	store    *sql.Store
	patience time.Duration // 0: nothing is kept back, for nobody follows
	now      func() time.Time

	mu    sync.Mutex
	since map[chainhash.Hash]time.Time
}

func newHold(store *sql.Store, patience time.Duration, now func() time.Time) *hold {
	return &hold{store: store, patience: patience, now: now, since: map[chainhash.Hash]time.Time{}}
}

// back takes out of a page what is kept back, and gives the rest.
func (h *hold) back(ctx context.Context, txs []*chain.Transaction) (rest []*chain.Transaction, held int, err error) {
	if h.patience == 0 {
		return txs, 0, nil
	}
	position, err := h.store.Position(ctx)
	if err != nil {
		return nil, 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, tx := range txs {
		if tx.Place != nil && tx.Place.Height > position.Height && h.young(tx.ID) {
			held++
			continue
		}
		delete(h.since, tx.ID)
		rest = append(rest, tx)
	}
	return rest, held, nil
}

// young says whether a transaction has not been kept back for too long yet.
func (h *hold) young(id chainhash.Hash) bool {
	since, known := h.since[id]
	if !known {
		since = h.now()
		h.since[id] = since
	}
	return h.now().Sub(since) < h.patience
}
