package explorer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

const (
	infoPage   = 50 // the most that it lists at a time
	infoNewest = 10 // enough to see that something happened
	// infoOverlap is how much of a page the next one repeats. Pages are counted
	// from the newest transaction on: where one leaves the mempool they shift, and
	// without a common part one would be missed.
	infoOverlap = 5
	// infoPool is how many pages of unconfirmed transactions are read at most.
	infoPool = 4
)

// infoAddress is a page about an address.
type infoAddress struct {
	total int64    // transactions, unconfirmed ones too
	sums  [3]int64 // received, sent, balance
	txs   []*infoTransaction
}

func readInfoAddress(r *jsonReader, a chain.Address) *infoAddress {
	p := &infoAddress{}
	r.object(func(key string) {
		switch key {
		case "address":
			if r.string() != a.Text {
				r.lies("the answer is about another address")
			}
		case "n_tx":
			p.total = r.integer(0, math.MaxInt32)
		case "total_received":
			p.sums[0] = r.integer(math.MinInt64, math.MaxInt64)
		case "total_sent":
			p.sums[1] = r.integer(math.MinInt64, math.MaxInt64)
		case "final_balance":
			p.sums[2] = r.integer(math.MinInt64, math.MaxInt64)
		case "txs":
			r.array(func() { p.txs = append(p.txs, readInfoTransaction(r)) })
		default:
			r.skip()
		}
	}, "address", "n_tx", "total_received", "total_sent", "final_balance", "txs")
	if r.err == nil && int64(len(p.txs)) > p.total {
		r.fail("more transactions than there are in all")
	}
	return p
}

func infoQuestion(a chain.Address, words string, limit, offset int) question {
	return question{words: words + " of " + a.Text, limit: jsonLimit,
		path: fmt.Sprintf("/rawaddr/%s?limit=%d&offset=%d", a.Text, limit, offset)}
}

func (b blockchainInfo) askAddress(ctx context.Context, a chain.Address, words string, limit, offset int) (*infoAddress, error) {
	return askInfo(ctx, b.client, infoQuestion(a, words, limit, offset), func(r *jsonReader) *infoAddress {
		return readInfoAddress(r, a)
	})
}

// unconfirmed gives the unconfirmed transactions, which come first; whole is
// false where the reading was given up before the first confirmed one.
func (b blockchainInfo) unconfirmed(ctx context.Context, a chain.Address, words string, limit int) (first *infoAddress, pool []*infoTransaction, whole bool, err error) {
	seen := map[chainhash.Hash]bool{}
	for offset, pages := 0, 0; pages < infoPool; pages++ {
		p, err := b.askAddress(ctx, a, words, limit, offset)
		if err != nil {
			return nil, nil, false, err
		}
		if first == nil {
			first = p
		}
		more := len(p.txs) > 0
		for _, t := range p.txs {
			if t.height == 0 && !seen[t.id] {
				seen[t.id] = true
				pool = append(pool, t)
			}
			more = more && t.height == 0
		}
		if offset += len(p.txs); !more || int64(offset) >= p.total {
			return first, pool, true, nil
		}
		offset -= infoOverlap
		limit = infoPage
	}
	return first, pool, false, nil
}

// Counters asks for the totals of an address. They count unconfirmed
// transactions too, so these are counted and taken off; and of a replacement
// that pays the same only the id is new.
func (b blockchainInfo) Counters(ctx context.Context, a chain.Address) (Counters, error) {
	p, pool, _, err := b.unconfirmed(ctx, a, "counters", infoNewest)
	if err != nil {
		return Counters{}, err
	}
	signal := fmt.Sprint(p.total, p.sums)
	for _, t := range p.txs {
		signal += fmt.Sprintf(" %s@%d", t.id.String()[:16], t.height)
	}
	open := int64(len(pool))
	return Counters{Transactions: max(0, p.total-open), Unconfirmed: open, Signal: signal}, nil
}

// Mempool asks for the unconfirmed transactions of an address.
func (b blockchainInfo) Mempool(ctx context.Context, a chain.Address) ([]*chain.Transaction, bool, error) {
	_, pool, whole, err := b.unconfirmed(ctx, a, "mempool", infoPage)
	if err != nil {
		return nil, false, err
	}
	var txs []*chain.Transaction
	for _, t := range pool {
		tx, err := b.ofAddress(ctx, a, t)
		if errors.Is(err, ErrNotFound) { // replaced this moment, or another machine: it is no answer
			err = b.client.about(infoQuestion(a, "mempool", infoPage, 0), &Error{Kind: ErrUnavailable, Detail: "it lists a transaction that it does not have"})
		}
		if err != nil {
			return nil, false, err
		}
		txs = append(txs, tx)
	}
	return txs, whole, nil
}

// ofAddress completes a transaction of an address's list.
func (b blockchainInfo) ofAddress(ctx context.Context, a chain.Address, t *infoTransaction) (*chain.Transaction, error) {
	tx, err := b.whole(ctx, t)
	if err != nil {
		return nil, err
	}
	if err := checkMentions(tx, a); err != nil {
		return nil, b.client.about(infoQuestion(a, "transactions", infoPage, 0), b.client.count(err))
	}
	return tx, nil
}

// History asks for the confirmed transactions of an address, and yields them
// one by one: each costs requests of its own, and the caller may have enough.
func (b blockchainInfo) History(ctx context.Context, a chain.Address) iter.Seq2[[]*chain.Transaction, error] {
	return func(yield func([]*chain.Transaction, error) bool) {
		h := &infoHistory{blockchainInfo: b, paged: newPaged(b.client, a, yield), short: -1}
		h.passes(ctx, h.pass, infoQuestion(a, "history", infoPage, 0))
	}
}

// infoHistory is one reading of one address's history.
type infoHistory struct {
	blockchainInfo
	paged
	short int64 // how many were missing at the end of the last pass; -1: there was none
}

// pass reads all pages from the top until one adds nothing.
func (h *infoHistory) pass(ctx context.Context) error {
	listed := map[chainhash.Hash]bool{}
	at := infoBlock{height: -1}
	var last *infoTransaction
	for offset := 0; ; {
		page, err := patiently(ctx, &h.paged, func() (*infoAddress, error) {
			return h.askAddress(ctx, h.address, "history", infoPage, offset)
		})
		if err != nil {
			return err
		}
		fresh, joined := news(page, listed, last)
		if !joined {
			return errMoved
		}
		if len(fresh) == 0 {
			return h.checkEnd(page.total, int64(len(listed)))
		}
		for _, t := range fresh {
			if at, err = h.tellOne(ctx, t, at); err != nil {
				return err
			}
		}
		if len(page.txs) < infoPage && int64(len(listed)) >= page.total {
			return nil // a page cut short where the count ends
		}
		last = page.txs[len(page.txs)-1]
		offset += max(0, len(page.txs)-infoOverlap)
	}
}

// news gives what a page adds; joined is false where it does not repeat the
// last of the page before, so that something may lie between them.
func news(page *infoAddress, listed map[chainhash.Hash]bool, last *infoTransaction) (fresh []*infoTransaction, joined bool) {
	joined = last == nil
	for _, t := range page.txs {
		joined = joined || t.id == last.id
		if !listed[t.id] {
			listed[t.id] = true
			fresh = append(fresh, t)
		}
	}
	return fresh, joined
}

// tellOne yields a confirmed transaction, unless it was told of that block. at
// is the block that was asked for last.
func (h *infoHistory) tellOne(ctx context.Context, t *infoTransaction, at infoBlock) (infoBlock, error) {
	if t.height == 0 {
		return at, nil
	}
	var err error
	if at.height != t.height {
		if at, err = patiently(ctx, &h.paged, func() (infoBlock, error) { return h.blockAt(ctx, int32(t.height), false) }); err != nil {
			return at, err
		}
	}
	if block, ok := h.told[t.id]; ok && block == at.hash {
		return at, nil
	}
	tx, err := patiently(ctx, &h.paged, func() (*chain.Transaction, error) { return h.ofAddress(ctx, h.address, t) })
	if err != nil {
		return at, err
	}
	if tx, err = h.placed(ctx, tx, at); err != nil {
		return at, err
	}
	if !h.tell([]*chain.Transaction{tx}) {
		return at, errStopped
	}
	return at, nil
}

// checkEnd believes the end when as many came as are counted. What does not come
// in a second pass either is counted wrongly.
func (h *infoHistory) checkEnd(counted, came int64) error {
	missing := counted - came
	if missing <= 0 || missing == h.short && came > 0 {
		return nil
	}
	h.short = missing
	return errMoved
}
