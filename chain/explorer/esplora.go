package explorer

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// esplora asks the HTTP interface of Blockstream/electrs and mempool/electrs,
// which blockstream.info, mempool.space and many private servers show.
type esplora struct {
	client *client
	params *chaincfg.Params
}

func openEsplora(e *Explorer, c *client, params *chaincfg.Params) {
	asked := esplora{c, params}
	e.Chain, e.Blocks, e.Headers = asked, asked, asked
	e.Addresses, e.Transactions, e.Spends, e.Proofs = asked, asked, asked, asked
	e.Prices = asked
}

// Tip asks for the height of the best block.
func (e esplora) Tip(ctx context.Context) (int32, error) {
	q := question{words: "tip height", path: "/blocks/tip/height", limit: textLimit, urgent: true}
	return ask(ctx, e.client, q, func(body []byte) (int32, error) {
		text := strings.TrimSpace(string(body))
		height, err := strconv.ParseUint(text, 10, 31)
		if err != nil || strconv.FormatUint(height, 10) != text { // no sign, no leading zeros
			return 0, malformed("not a height")
		}
		return int32(height), nil
	})
}

// BlockHash asks for the hash of the block at a height.
func (e esplora) BlockHash(ctx context.Context, height int32) (chainhash.Hash, error) {
	q := question{words: fmt.Sprintf("block hash at height %d", height),
		path: fmt.Sprintf("/block-height/%d", height), limit: textLimit, absent: true, urgent: true}
	return ask(ctx, e.client, q, func(body []byte) (chainhash.Hash, error) {
		hash, ok := parseHash(strings.TrimSpace(string(body)))
		if !ok {
			return hash, malformed("not a block hash")
		}
		return hash, nil
	})
}

// Block asks for a raw block. That it is whole and its header the one asked for
// is checked here, the rest is for the caller to prove.
func (e esplora) Block(ctx context.Context, hash chainhash.Hash) ([]byte, error) {
	q := question{words: fmt.Sprintf("block %s", hash),
		path: fmt.Sprintf("/block/%s/raw", hash), limit: blockLimit, absent: true, urgent: true}
	return ask(ctx, e.client, q, func(body []byte) ([]byte, error) {
		return body, checkBlock(body, hash, e.params)
	})
}

func checkBlock(body []byte, hash chainhash.Hash, params *chaincfg.Params) error {
	var header wire.BlockHeader
	if err := header.Deserialize(bytes.NewReader(body)); err != nil {
		return malformed("shorter than a block header")
	}
	if header.BlockHash() != hash {
		return otherBlock(&header, params)
	}
	// A block cut off on its way is no lie, but it must not look like one later.
	rest := bytes.NewReader(body)
	if err := new(wire.MsgBlock).Deserialize(rest); err != nil || rest.Len() > 0 {
		return malformed("not a whole block")
	}
	return nil
}

// otherBlock tells a real block that was not asked for, which has its own proof
// of work, from bytes that are no block.
func otherBlock(header *wire.BlockHeader, params *chaincfg.Params) error {
	hash := header.BlockHash()
	target := blockchain.CompactToBig(header.Bits)
	if target.Sign() > 0 && target.Cmp(params.PowLimit) <= 0 && blockchain.HashToBig(&hash).Cmp(target) <= 0 {
		return lying("another block came: %s", hash)
	}
	return malformed("not a block")
}

// Counters asks for the totals of an address.
func (e esplora) Counters(ctx context.Context, a chain.Address) (Counters, error) {
	q := question{words: "counters of " + a.Text, path: addressPath(a, ""), limit: jsonLimit}
	return ask(ctx, e.client, q, func(body []byte) (Counters, error) {
		return readJSON(body, func(r *jsonReader) Counters { return readCounters(r, a.Text) })
	})
}

// readCounters reads an address object. Its numbers may be negative: servers
// are known to count wrongly after reorganisations.
func readCounters(r *jsonReader, address string) Counters {
	var confirmed, unconfirmed [len(statKeys)]int64
	r.object(func(key string) {
		switch key {
		case "address":
			if r.string() != address {
				r.lies("the answer is about another address")
			}
		case "chain_stats":
			confirmed = readStats(r)
		case "mempool_stats":
			unconfirmed = readStats(r)
		default:
			r.skip()
		}
	}, "address", "chain_stats", "mempool_stats")
	return Counters{Transactions: confirmed[0], Unconfirmed: unconfirmed[0],
		Signal: fmt.Sprintf("%d %d", confirmed, unconfirmed)}
}

var statKeys = [...]string{"tx_count", "funded_txo_count", "funded_txo_sum", "spent_txo_count", "spent_txo_sum"}

func readStats(r *jsonReader) (stats [len(statKeys)]int64) {
	r.object(func(key string) {
		for i, want := range statKeys {
			if key == want {
				stats[i] = r.integer(math.MinInt64, math.MaxInt64)
				return
			}
		}
		r.skip()
	}, statKeys[:]...)
	return stats
}

// mempoolCap is how many unconfirmed transactions an Esplora lists at most;
// there are no further pages.
const mempoolCap = 50

// Mempool asks for the unconfirmed transactions of an address. One that got
// into a block meanwhile may come with its place.
func (e esplora) Mempool(ctx context.Context, a chain.Address) ([]*chain.Transaction, bool, error) {
	q := question{words: "mempool of " + a.Text, path: addressPath(a, "/txs/mempool"), limit: jsonLimit}
	all, err := ask(ctx, e.client, q, func(body []byte) ([]*chain.Transaction, error) {
		return readAddressTransactions(body, a)
	})
	if err != nil {
		return nil, false, err
	}
	txs, complete := each(all), len(all) < mempoolCap
	if !complete {
		wider, err := e.beyondCap(ctx, a)
		if err != nil {
			return nil, false, err
		}
		if len(wider) > len(txs) {
			return wider, true, nil
		}
	}
	return txs, complete, nil
}

// Transaction asks for one transaction.
func (e esplora) Transaction(ctx context.Context, id chainhash.Hash) (*chain.Transaction, error) {
	q := question{words: fmt.Sprintf("transaction %s", id),
		path: fmt.Sprintf("/tx/%s", id), limit: jsonLimit, absent: true}
	return ask(ctx, e.client, q, func(body []byte) (*chain.Transaction, error) {
		tx, err := readJSON(body, readTransaction)
		if err == nil && tx.ID != id {
			return nil, lying("another transaction came: %s", tx.ID)
		}
		return tx, err
	})
}

// Spends asks who spends the outputs of a transaction.
func (e esplora) Spends(ctx context.Context, id chainhash.Hash) ([]*Spend, error) {
	q := question{words: fmt.Sprintf("spends of %s", id),
		path: fmt.Sprintf("/tx/%s/outspends", id), limit: jsonLimit, absent: true}
	return ask(ctx, e.client, q, func(body []byte) ([]*Spend, error) {
		spends, err := readJSON(body, readSpends)
		if err == nil && len(spends) == 0 { // every transaction has an output
			return nil, malformed("no outputs")
		}
		return spends, err
	})
}

func readSpends(r *jsonReader) []*Spend {
	var spends []*Spend
	r.array(func() { spends = append(spends, readSpend(r)) })
	return spends
}

func readSpend(r *jsonReader) *Spend {
	spent, stated, spend := false, 0, &Spend{}
	spender := func(read func()) {
		if !r.null() {
			stated++
			read()
		}
	}
	r.object(func(key string) {
		switch key {
		case "spent":
			spent = r.boolean()
		case "txid":
			spender(func() { spend.TxID = r.hash() })
		case "vin":
			spender(func() { spend.Input = readUint32(r) })
		case "status":
			spender(func() { spend.Place = readPlace(r) })
		default:
			r.skip()
		}
	}, "spent")
	switch {
	case spent && stated < 3:
		r.fail("spent, without txid, vin and status")
	case !spent && stated > 0:
		r.fail("unspent, with a spender")
	}
	if r.err != nil || !spent {
		return nil
	}
	return spend
}

// readAddressTransactions reads a list of transactions, each of which must
// touch the address.
func readAddressTransactions(body []byte, a chain.Address) ([]*chain.Transaction, error) {
	return readJSON(body, func(r *jsonReader) (txs []*chain.Transaction) {
		r.array(func() {
			if tx := readTransaction(r); tx != nil {
				txs = append(txs, tx)
				r.err = checkTouches(tx, a)
			}
		})
		return txs
	})
}

// checkTouches refuses a transaction that neither pays nor spends the address.
// Where a spent output is not known, it may be the address's.
func checkTouches(tx *chain.Transaction, a chain.Address) error {
	for _, out := range tx.Msg.TxOut {
		if bytes.Equal(out.PkScript, a.Script) {
			return nil
		}
	}
	for i, spent := range tx.Spent {
		if spent == nil && !isCoinbase(tx.Msg.TxIn[i]) || spent != nil && bytes.Equal(spent.PkScript, a.Script) {
			return nil
		}
	}
	return lying("transaction %s neither pays nor spends the address", tx.ID)
}

func addressPath(a chain.Address, rest string) string {
	return "/address/" + url.PathEscape(a.Text) + rest
}
