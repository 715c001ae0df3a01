package explorer

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

// mostListed is how many transactions mempool/electrs is asked for at once where
// its list of the unconfirmed was cut off. It takes any number; servers that do
// not know the key pass over it.
const mostListed = 1000

// beyondCap asks for the unconfirmed transactions of an address beyond the cap,
// in a list of the newest of all. Only where confirmed ones come after more than
// the cap is it known that the unconfirmed ones before them are all: it gives
// none otherwise, or where the server does not answer. An answer that is false is
// an error all the same.
func (e esplora) beyondCap(ctx context.Context, a chain.Address) ([]*chain.Transaction, error) {
	q := question{words: "wider mempool of " + a.Text, path: addressPath(a, fmt.Sprintf("/txs?max_txs=%d", mostListed)), limit: jsonLimit}
	all, err := ask(ctx, e.client, q, func(body []byte) ([]*chain.Transaction, error) {
		return readAddressTransactions(body, a)
	})
	switch {
	case ctx.Err() != nil, errors.Is(err, ErrLying):
		return nil, err
	case err != nil:
		return nil, nil // what was cut off is there, and is said to be cut off
	}
	var unconfirmed []*chain.Transaction
	for _, tx := range each(all) {
		if tx.Place == nil {
			unconfirmed = append(unconfirmed, tx)
		}
	}
	if len(unconfirmed) <= mempoolCap || all[len(all)-1].Place == nil {
		return nil, nil
	}
	return unconfirmed, nil
}

// each gives every transaction once. mempool/electrs lists some twice, and the
// cap may count those twice as well.
func each(all []*chain.Transaction) (txs []*chain.Transaction) {
	seen := map[chainhash.Hash]bool{}
	for _, tx := range all {
		if !seen[tx.ID] {
			seen[tx.ID] = true
			txs = append(txs, tx)
		}
	}
	return txs
}
