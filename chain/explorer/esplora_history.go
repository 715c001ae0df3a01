package explorer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

// History asks for the confirmed transactions of an address.
//
// Its cursor is a txid: the server walks from the newest transaction to the
// cursor and gives what comes after it. A cursor that it does not know, after a
// reorganisation or on a server that lags, gives the same empty page as the end
// of the history, so the end is believed only while the cursor stands where it
// stood.
func (e esplora) History(ctx context.Context, a chain.Address) iter.Seq2[[]*chain.Transaction, error] {
	return func(yield func([]*chain.Transaction, error) bool) {
		h := &history{esplora: e, paged: newPaged(e.client, a, yield)}
		h.passes(ctx, h.pass, h.question(nil))
	}
}

// history is one reading of one address's history.
type history struct {
	esplora
	paged
}

// pass reads all pages from the top.
func (h *history) pass(ctx context.Context) error {
	used := map[chainhash.Hash]chainhash.Hash{} // cursors, and in which block
	var cursor *chain.Transaction
	for {
		page, err := h.page(ctx, cursor, used)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return h.checkEnd(ctx, cursor)
		}
		if cursor != nil && page[0].Place.Height > cursor.Place.Height {
			return errMoved
		}
		if !h.tell(page) {
			return errStopped
		}
		cursor = page[len(page)-1]
		used[cursor.ID] = cursor.Place.Block
	}
}

// page asks for the page after the cursor and gives it newest first.
func (h *history) page(ctx context.Context, cursor *chain.Transaction, used map[chainhash.Hash]chainhash.Hash) ([]*chain.Transaction, error) {
	return patiently(ctx, &h.paged, func() ([]*chain.Transaction, error) {
		return ask(ctx, h.client, h.question(cursor), func(body []byte) ([]*chain.Transaction, error) {
			page, err := readAddressTransactions(body, h.address)
			if err == nil {
				err = checkPage(page, used)
			}
			return page, err
		})
	})
}

func (h *history) question(cursor *chain.Transaction) question {
	path := addressPath(h.address, "/txs/chain")
	if cursor != nil {
		path += "/" + cursor.ID.String()
	}
	return question{words: "history of " + h.address.Text, path: path, limit: jsonLimit}
}

// checkPage sorts a page: mempool/electrs gives the right set in any order. The
// lowest transaction, last then, is a cursor that skips none; where several are
// as low, the next page may repeat some and add none, and that is in order. But
// what a cursor has passed must not come again: a server that cannot read its
// cursor answers the first page, for ever.
func checkPage(page []*chain.Transaction, used map[chainhash.Hash]chainhash.Hash) error {
	for _, tx := range page {
		if tx.Place == nil {
			return malformed("transaction %s is unconfirmed, in a list of confirmed ones", tx.ID)
		}
		switch block, ok := used[tx.ID]; {
		case ok && block == tx.Place.Block:
			return malformed("a page repeats what came before it")
		case ok:
			return errMoved
		}
	}
	slices.SortStableFunc(page, func(a, b *chain.Transaction) int {
		return cmp.Compare(b.Place.Height, a.Place.Height)
	})
	return nil
}

// checkEnd believes an empty page only while the cursor is confirmed in the
// block that it was in. (Its status alone is no proof that it exists: an
// unknown transaction reads as unconfirmed.)
func (h *history) checkEnd(ctx context.Context, cursor *chain.Transaction) error {
	if cursor == nil {
		return nil // a well-formed empty first page: no history
	}
	q := question{words: fmt.Sprintf("status of %s", cursor.ID),
		path: fmt.Sprintf("/tx/%s/status", cursor.ID), limit: jsonLimit, absent: true}
	place, err := patiently(ctx, &h.paged, func() (*chain.Place, error) {
		return ask(ctx, h.client, q, func(body []byte) (*chain.Place, error) { return readJSON(body, readPlace) })
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return errMoved
	case err != nil:
		return err
	case place == nil || place.Block != cursor.Place.Block:
		return errMoved
	}
	return nil
}
