package explorer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// listing is the history of a script, which comes whole and in one answer.
type listing struct {
	confirmed   []entry // as the server orders them: oldest first
	unconfirmed []entry // by height, 0 before -1, and id
	mended      bool    // the server's own list has entries that are passed over here
	asListed    []entry // in the server's own order
}

// entry is one transaction of a history. Unconfirmed its height is 0, or -1
// where it spends what is unconfirmed itself.
type entry struct {
	id     chainhash.Hash
	height int32
}

// scriptHash spells a script as the protocol does: its SHA-256, reversed.
func scriptHash(script []byte) string {
	hash := sha256.Sum256(script)
	slices.Reverse(hash[:])
	return hex.EncodeToString(hash[:])
}

// list asks for the history of an address. get_mempool would be shorter, and
// most servers do not have it.
func (e electrum) list(ctx context.Context, what string, a chain.Address) (listing, error) {
	q := question{words: what + " of " + a.Text, limit: jsonLimit}
	return askLine(ctx, e, q, call{"blockchain.scripthash.get_history", []any{scriptHash(a.Script)}}, e.readListing)
}

func (e electrum) readListing(r *jsonReader) listing {
	heights := map[chainhash.Hash]int32{}
	var order []chainhash.Hash
	var all listing
	r.array(func() {
		one := readEntry(r)
		// mempool/electrs lists the coinbase of the first block as if it were
		// unconfirmed, ElectrumX not at all. Nobody can ever spend it.
		if one.id == e.params.GenesisBlock.Transactions[0].TxHash() {
			all.mended = true
			return
		}
		before, known := heights[one.id]
		all.mended = all.mended || known
		if !known {
			order = append(order, one.id)
		}
		if !known || before < 1 { // a block may come while the server puts the list together
			heights[one.id] = one.height
		}
	})
	for _, id := range order {
		one := entry{id, heights[id]}
		all.asListed = append(all.asListed, one)
		if one.height > 0 {
			all.confirmed = append(all.confirmed, one)
		} else {
			all.unconfirmed = append(all.unconfirmed, one)
		}
	}
	slices.SortStableFunc(all.confirmed, func(a, b entry) int { return cmp.Compare(a.height, b.height) })
	slices.SortFunc(all.unconfirmed, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.height, a.height), cmp.Compare(a.id.String(), b.id.String()))
	})
	return all
}

func readEntry(r *jsonReader) (one entry) {
	r.object(func(key string) {
		switch key {
		case "tx_hash":
			one.id = r.hash()
		case "height":
			one.height = int32(r.integer(-1, math.MaxInt32))
		default:
			r.skip()
		}
	}, "tx_hash", "height")
	return one
}

// status is the hash that the protocol makes of a history, empty for none. Of
// what is unconfirmed servers hash different orders; this is that of protocol 1.6.
func (l listing) status() string { return statusOf(slices.Concat(l.confirmed, l.unconfirmed)) }

// has says whether a status is that of the list, in the order of the protocol or
// in the server's own.
func (l listing) has(status string) bool {
	return status == l.status() || status == statusOf(l.asListed)
}

func statusOf(entries []entry) string {
	if len(entries) == 0 {
		return ""
	}
	hash := sha256.New()
	for _, one := range entries {
		fmt.Fprintf(hash, "%s:%d:", one.id, one.height)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// canonical says whether servers agree on the order that the status is made of.
func (l listing) canonical() bool { return !l.mended && len(l.unconfirmed) <= 1 }

// Counters counts the history of an address.
func (e electrum) Counters(ctx context.Context, a chain.Address) (Counters, error) {
	list, err := e.list(ctx, "counters", a)
	if err == nil {
		list, err = e.borneOut(ctx, a, list)
	}
	if err != nil {
		return Counters{}, err
	}
	return Counters{Transactions: int64(len(list.confirmed)), Unconfirmed: int64(len(list.unconfirmed)), Signal: list.status()}, nil
}

// reading is one reading of an address's transactions.
type reading struct {
	electrum
	address chain.Address
	list    listing
	told    map[chainhash.Hash]int32       // yielded, and at which height
	headers map[int32]wire.BlockHeader     // met in this pass
	known   map[chainhash.Hash]*wire.MsgTx // met in this reading
	ofList  map[chainhash.Hash]bool        // what list holds
	began   time.Time                      // the part that is told next
}

// How long one part of a reading takes at most, before what is there is told:
// at a slow pace each question takes seconds, and who waits must see that it
// goes on.
const (
	shortPart   = time.Minute
	longestPart = 5 * time.Minute
)

// mostKnown bounds what a reading keeps in memory.
const mostKnown = 2000

func (e electrum) reading(a chain.Address) *reading {
	return &reading{electrum: e, address: a, told: map[chainhash.Hash]int32{}, known: map[chainhash.Hash]*wire.MsgTx{}}
}

// refresh asks for the list.
func (h *reading) refresh(ctx context.Context, what string) (err error) {
	if h.list, err = h.electrum.list(ctx, what, h.address); err != nil {
		return err
	}
	h.headers, h.ofList = map[int32]wire.BlockHeader{}, map[chainhash.Hash]bool{}
	for _, one := range slices.Concat(h.list.confirmed, h.list.unconfirmed) {
		h.ofList[one.id] = true
	}
	return nil
}

// electrumPage is how many transactions are told at once. Each is a question,
// and who reads what is new needs few.
const electrumPage = 10

// History asks for the list, and for each transaction on it, newest first; then
// for the list again, until all that is on it is told.
func (e electrum) History(ctx context.Context, a chain.Address) iter.Seq2[[]*chain.Transaction, error] {
	return func(yield func([]*chain.Transaction, error) bool) {
		h := e.reading(a)
		for range historyPasses {
			if err := h.refresh(ctx, "history"); err != nil {
				yield(nil, err)
				return
			}
			news := h.untold()
			if len(news) == 0 {
				return
			}
			switch err := h.pass(ctx, news, yield); {
			case errors.Is(err, errStopped):
				return
			case err != nil && !errors.Is(err, errMoved):
				yield(nil, err)
				return
			}
		}
		yield(nil, h.moving("history"))
	}
}

func (h *reading) moving(what string) error {
	moving := &Error{Kind: ErrUnavailable, Detail: "its history changes while it is read"}
	return h.client.about(question{words: what + " of " + h.address.Text}, h.client.count(moving))
}

// untold gives what is on the list and not told yet at its height, newest first.
func (h *reading) untold() (news []entry) {
	for _, one := range slices.Backward(h.list.confirmed) {
		if height, ok := h.told[one.id]; !ok || height != one.height {
			news = append(news, one)
		}
	}
	return news
}

func (h *reading) pass(ctx context.Context, news []entry, yield func([]*chain.Transaction, error) bool) error {
	var page []*chain.Transaction
	h.began = h.client.pace.now()
	for i, one := range news {
		tx, err := h.fetch(ctx, one)
		if err != nil {
			return err
		}
		if page = append(page, tx); len(page) < electrumPage && i+1 < len(news) && h.took() < shortPart {
			continue
		}
		for _, tx := range page {
			h.told[tx.ID] = tx.Place.Height
		}
		if !yield(page, nil) {
			return errStopped
		}
		page, h.began = nil, h.client.pace.now()
	}
	return nil
}

// Mempool asks for the list, and for each unconfirmed transaction on it.
func (e electrum) Mempool(ctx context.Context, a chain.Address) ([]*chain.Transaction, bool, error) {
	h := e.reading(a)
	for range historyPasses {
		if err := h.refresh(ctx, "mempool"); err != nil {
			return nil, false, err
		}
		txs, err := h.unconfirmed(ctx)
		if !errors.Is(err, errMoved) {
			return txs, err == nil && len(txs) == len(h.list.unconfirmed), err
		}
	}
	return nil, false, h.moving("mempool")
}

// unconfirmed gives the unconfirmed transactions, or as many of them as can be
// waited for.
func (h *reading) unconfirmed(ctx context.Context) (txs []*chain.Transaction, err error) {
	h.began = h.client.pace.now()
	for _, one := range h.list.unconfirmed {
		if h.took() >= longestPart {
			break
		}
		tx, err := h.fetch(ctx, one)
		if err != nil {
			return nil, err
		}
		txs = append(txs, tx)
	}
	return txs, nil
}

// fetch gets a transaction of the list. One that is not there any more has left
// the list too.
func (h *reading) fetch(ctx context.Context, one entry) (*chain.Transaction, error) {
	msg, err := h.get(ctx, one.id)
	if errors.Is(err, ErrNotFound) {
		return nil, errMoved
	}
	if err != nil {
		return nil, err
	}
	tx := &chain.Transaction{ID: one.id, Msg: msg}
	// What the address spends was paid to it by a transaction on the list.
	from := parents{get: h.get, known: h.known, may: h.may}
	if tx.Spent, err = from.spent(ctx, msg); err != nil {
		return nil, h.wrong(err)
	}
	if one.height > 0 {
		if tx.Place, err = h.placeAt(ctx, one.height); err != nil {
			return nil, err
		}
	}
	return tx, h.wrong(checkTouches(tx, h.address))
}

// may says whether a parent is asked for: one on the list, by which it is seen
// what the address spends, as long as that can be waited for; another, which
// only says who paid, for a shorter time.
func (h *reading) may(id chainhash.Hash, asked int) bool {
	if h.ofList[id] {
		return h.took() < longestPart
	}
	return asked < mostParents && h.took() < shortPart
}

// took is how long the part being read has taken so far.
func (h *reading) took() time.Duration { return h.client.pace.now().Sub(h.began) }

// wrong counts what is wrong with answers that were each sound.
func (h *reading) wrong(err error) error {
	var own *Error
	if !errors.As(err, &own) || own.Explorer != "" {
		return err
	}
	return h.client.about(question{words: "transactions of " + h.address.Text}, h.client.count(err))
}

func (h *reading) get(ctx context.Context, id chainhash.Hash) (*wire.MsgTx, error) {
	if tx := h.known[id]; tx != nil {
		return tx, nil
	}
	tx, err := h.transaction(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(h.known) >= mostKnown {
		clear(h.known)
	}
	h.known[id] = tx
	return tx, nil
}

func (h *reading) placeAt(ctx context.Context, height int32) (*chain.Place, error) {
	header, ok := h.headers[height]
	if !ok {
		var err error
		if header, err = h.headerAt(ctx, height, false); err != nil {
			return nil, err
		}
		h.headers[height] = header
	}
	return placeAt(height, header), nil
}
