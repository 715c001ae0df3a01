package explorer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

const (
	// bookPage is how many transactions are asked for at a time; it lists 1,000
	// at most, which in full can be more than an answer may be.
	bookPage = 50
	// bookNewest is how many of the newest are enough to see that something
	// happened.
	bookNewest = 25
	// bookRows is how far into a list it goes by page numbers.
	bookRows = 100_000
)

// bookAddress is one page about an address.
type bookAddress struct {
	page, perPage int64
	confirmed     int64 // all of the address, not of the page
	unconfirmed   int64
	sums          []string // balance, received, sent, and what is unconfirmed of it
	ids           []chainhash.Hash
	txs           []*bookTransaction
}

// readBookAddress reads an address object, which must be about this address:
// one that belongs to another network may be answered for its namesake.
func readBookAddress(r *jsonReader, a chain.Address, params *chaincfg.Params) *bookAddress {
	p := &bookAddress{sums: make([]string, 4)}
	r.object(func(key string) {
		switch key {
		case "address":
			if r.string() != a.Text {
				r.lies("the answer is about another address")
			}
		case "page":
			p.page = r.integer(1, math.MaxInt32)
		case "itemsOnPage":
			p.perPage = r.integer(1, math.MaxInt32)
		case "txs":
			p.confirmed = r.integer(0, math.MaxInt32)
		case "unconfirmedTxs":
			p.unconfirmed = r.integer(0, math.MaxInt32)
		case "balance", "totalReceived", "totalSent", "unconfirmedBalance":
			p.sums[slices.Index(bookSums(), key)] = readSum(r)
		case "txids": // left out when there are none
			r.array(func() { p.ids = append(p.ids, r.hash()) })
		case "transactions":
			r.array(func() { p.read(r, a, params) })
		default:
			r.skip()
		}
	}, "address", "page", "itemsOnPage", "txs", "unconfirmedTxs", "balance", "totalReceived", "totalSent")
	return p
}

func bookSums() []string {
	return []string{"balance", "totalReceived", "totalSent", "unconfirmedBalance"}
}

// readSum reads a sum that is only compared with the one before: what is
// unconfirmed can be negative, and servers have counted wrongly.
func readSum(r *jsonReader) string {
	text := r.string()
	if strings.Trim(text, "-0123456789") != "" || text == "" || len(text) > 24 {
		r.fail("not a whole number")
	}
	return text
}

func (p *bookAddress) read(r *jsonReader, a chain.Address, params *chaincfg.Params) {
	t := readBookTransaction(r, params)
	p.txs = append(p.txs, t)
	if r.err == nil && t.tx != nil {
		r.err = checkMentions(t.tx, a)
	}
}

// askAddress asks for a page of an address.
func (b blockbook) askAddress(ctx context.Context, a chain.Address, words string, query url.Values) (*bookAddress, error) {
	return askBlockbook(ctx, b.client, b.addressQuestion(a, words, query), func(r *jsonReader) *bookAddress {
		p := readBookAddress(r, a, b.params)
		if r.err == nil && !query.Has("to") && p.confirmed+p.unconfirmed > 0 && len(p.ids)+len(p.txs) == 0 {
			r.err = malformed("it counts transactions, and lists none")
		}
		return p
	})
}

func (b blockbook) addressQuestion(a chain.Address, words string, query url.Values) question {
	return question{words: words + " of " + a.Text, path: addressPath(a, "?"+query.Encode()), limit: jsonLimit}
}

func bookQuery(details string, page, size int) url.Values {
	return url.Values{"details": {details}, "page": {fmt.Sprint(page)}, "pageSize": {fmt.Sprint(size)}}
}

// Counters asks for the totals of an address, and for the ids of its newest
// transactions: not every version counts what is unconfirmed without a list,
// and of a replacement that pays the same only the id is new.
func (b blockbook) Counters(ctx context.Context, a chain.Address) (Counters, error) {
	p, err := b.askAddress(ctx, a, "counters", bookQuery("txids", 1, bookNewest))
	if err != nil {
		return Counters{}, err
	}
	var newest []string
	for _, id := range p.ids {
		newest = append(newest, id.String())
	}
	slices.Sort(newest)
	signal := fmt.Sprintf("%d %d %v %x", p.confirmed, p.unconfirmed, p.sums, sha256.Sum256([]byte(strings.Join(newest, " "))))
	return Counters{Transactions: p.confirmed, Unconfirmed: p.unconfirmed, Signal: signal}, nil
}

// bookMost is the largest page that it gives.
const bookMost = 1000

// Mempool asks for the newest transactions, of which the unconfirmed come
// first, all on the first page; some versions cut that page off.
func (b blockbook) Mempool(ctx context.Context, a chain.Address) ([]*chain.Transaction, bool, error) {
	var txs []*chain.Transaction
	for _, size := range []int{bookNewest, bookMost} {
		p, err := b.askAddress(ctx, a, "mempool", bookQuery("txs", 1, size))
		if errors.Is(err, errTooLarge) && len(txs) > 0 {
			return txs, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if txs, err = b.unconfirmed(ctx, a, p); err != nil {
			return nil, false, err
		}
		if int64(len(txs)) >= p.unconfirmed {
			return txs, true, nil
		}
		if p.unconfirmed < bookNewest { // counted and not listed: a larger page shows no more
			break
		}
	}
	return txs, false, nil
}

// unconfirmed gives what is unconfirmed on a page, each once.
func (b blockbook) unconfirmed(ctx context.Context, a chain.Address, p *bookAddress) ([]*chain.Transaction, error) {
	var txs []*chain.Transaction
	seen := map[chainhash.Hash]bool{}
	for _, t := range p.txs {
		if t.block != nil || seen[t.id] {
			continue
		}
		seen[t.id] = true
		tx, err := b.ofAddress(ctx, a, t)
		if err != nil {
			return nil, err
		}
		txs = append(txs, tx)
	}
	return txs, nil
}

// ofAddress completes a transaction of a page.
func (b blockbook) ofAddress(ctx context.Context, a chain.Address, t *bookTransaction) (*chain.Transaction, error) {
	if t.tx != nil {
		return t.tx, nil
	}
	tx, err := b.whole(ctx, t)
	if err == nil {
		err = checkMentions(tx, a)
	}
	return tx, err
}

// History asks for the confirmed transactions of an address.
//
// Its pages are numbered from the newest transaction on, so that a new block
// shifts them; and with unconfirmed ones before them, some versions skip as
// many. Both are avoided by asking for no height above the tip at the beginning.
// What still shifts is a reorganisation, or another machine that answers for the
// same host: a history of several pages is believed only while the block at
// that height is the same, and as many came as are counted.
func (b blockbook) History(ctx context.Context, a chain.Address) iter.Seq2[[]*chain.Transaction, error] {
	return func(yield func([]*chain.Transaction, error) bool) {
		h := &bookHistory{blockbook: b, paged: newPaged(b.client, a, yield), short: -1}
		h.passes(ctx, h.pass, b.addressQuestion(a, "history", bookQuery("txs", 1, bookPage)))
	}
}

// bookHistory is one reading of one address's history.
type bookHistory struct {
	blockbook
	paged
	short int64 // how many were missing at the end of the last pass; -1: there was none
}

// pass reads all pages from the top.
func (h *bookHistory) pass(ctx context.Context) error {
	top, err := h.top(ctx)
	if err != nil {
		return err
	}
	to, below, counted := top.height, int32(math.MaxInt32), int64(0)
	for number, pages := 1, 1; ; number, pages = number+1, pages+1 {
		page, txs, err := h.page(ctx, number, to)
		if err != nil {
			return err
		}
		if pages == 1 {
			counted = page.confirmed
		}
		if page.page != int64(number) || len(txs) == 0 { // beyond the last page comes the last again
			return h.checkEnd(ctx, top, pages, counted)
		}
		if txs[0].Place.Height > below {
			return errMoved
		}
		if !h.tell(txs) {
			return errStopped
		}
		below = txs[len(txs)-1].Place.Height
		if int64(len(txs)) < page.perPage {
			return h.checkEnd(ctx, top, pages, counted)
		}
		if int64(number+1)*page.perPage > bookRows && below < to {
			to, number = below, 0 // page numbers lead no further; heights do
		}
	}
}

// top is where the chain ends, for this reading.
func (h *bookHistory) top(ctx context.Context) (blockbookState, error) {
	top, err := patiently(ctx, &h.paged, func() (blockbookState, error) { return h.state(ctx, false) })
	if err == nil && top.blocks != int64(top.height) { // the hash that came is of another height
		top.best, err = h.hashAt(ctx, top.height)
	}
	return top, err
}

func (h *bookHistory) hashAt(ctx context.Context, height int32) (chainhash.Hash, error) {
	hash, err := patiently(ctx, &h.paged, func() (chainhash.Hash, error) { return h.BlockHash(ctx, height) })
	if errors.Is(err, ErrNotFound) {
		err = errMoved
	}
	return hash, err
}

// page asks for one page of what is confirmed up to a height, newest first.
func (h *bookHistory) page(ctx context.Context, number int, to int32) (*bookAddress, []*chain.Transaction, error) {
	query := bookQuery("txs", number, bookPage)
	query.Set("to", fmt.Sprint(to))
	page, err := patiently(ctx, &h.paged, func() (*bookAddress, error) {
		return h.askAddress(ctx, h.address, "history", query)
	})
	if err != nil {
		return nil, nil, err
	}
	var txs []*chain.Transaction
	for _, t := range page.txs {
		tx, err := patiently(ctx, &h.paged, func() (*chain.Transaction, error) { return h.ofAddress(ctx, h.address, t) })
		if err != nil {
			return nil, nil, err
		}
		if tx.Place == nil || tx.Place.Height > to { // its block has just left the chain
			return nil, nil, errMoved
		}
		txs = append(txs, tx)
	}
	slices.SortStableFunc(txs, func(x, y *chain.Transaction) int { return cmp.Compare(y.Place.Height, x.Place.Height) })
	return page, txs, nil
}

// checkEnd believes the end of a history when nothing can have shifted. What is
// counted and does not come in a second pass either is counted wrongly.
func (h *bookHistory) checkEnd(ctx context.Context, top blockbookState, pages int, counted int64) error {
	if pages > 1 {
		hash, err := h.hashAt(ctx, top.height)
		if err != nil {
			return err
		}
		if hash != top.best {
			return errMoved
		}
	}
	missing := counted - int64(len(h.told))
	if missing <= 0 || missing == h.short && len(h.told) > 0 {
		return nil
	}
	h.short = missing
	return errMoved
}
