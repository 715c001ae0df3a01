package explorer

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// node asks a Bitcoin Core or btcd of one's own by JSON-RPC. It has no history
// of addresses, and no list of who spent what.
type node struct {
	client *client
	params *chaincfg.Params
}

func openNode(e *Explorer, c *client, params *chaincfg.Params) {
	asked := node{c, params}
	e.Chain, e.Blocks, e.Headers, e.Transactions = asked, asked, asked, asked
}

// askCall asks one call and reads its result.
func askCall[T any](ctx context.Context, n node, q question, one call, read func(r *jsonReader) T) (T, error) {
	q.calls = []call{one}
	return ask(ctx, n.client, q, func(body []byte) (T, error) {
		return readCall(body, firstID, n.refusal(q), read)
	})
}

// Tip asks for the height of the best block.
func (n node) Tip(ctx context.Context) (int32, error) {
	q := question{words: "tip height", limit: textLimit, urgent: true}
	return askCall(ctx, n, q, call{method: "getblockcount"}, readHeight)
}

func readHeight(r *jsonReader) int32 { return int32(r.integer(0, math.MaxInt32)) }

// BlockHash asks for the hash of the block at a height.
func (n node) BlockHash(ctx context.Context, height int32) (chainhash.Hash, error) {
	q := question{words: fmt.Sprintf("block hash at height %d", height), limit: textLimit, absent: true, urgent: true}
	return askCall(ctx, n, q, call{"getblockhash", []any{height}}, (*jsonReader).hash)
}

// Block asks for a raw block.
func (n node) Block(ctx context.Context, hash chainhash.Hash) ([]byte, error) {
	q := question{words: fmt.Sprintf("block %s", hash), limit: 2*blockLimit + textLimit, absent: true, urgent: true}
	q.calls = []call{{"getblock", []any{hash.String(), 0}}}
	return ask(ctx, n.client, q, func(body []byte) ([]byte, error) {
		raw, err := readCall(body, firstID, n.refusal(q), (*jsonReader).hex)
		if err == nil {
			err = checkBlock(raw, hash, n.params)
		}
		if err != nil {
			return nil, err
		}
		return raw, nil
	})
}

// nodeHeaders is how many headers are asked for at once.
const nodeHeaders = 200

// Headers asks for the hashes below a height and then for all those headers. A
// block that is not on the node's chain comes alone.
func (n node) Headers(ctx context.Context, height int32, hash chainhash.Hash) ([]wire.BlockHeader, error) {
	top, err := n.headers(ctx, height, []chainhash.Hash{hash})
	if err != nil || height == 0 {
		return top, err
	}
	hashes, err := n.hashesBelow(ctx, height)
	if err != nil {
		return nil, err
	}
	if hashes[0] != top[0].PrevBlock {
		return top, nil
	}
	below, err := n.headers(ctx, height-1, hashes)
	if err != nil {
		return nil, err
	}
	return append(top, below...), nil
}

// hashesBelow gives the hashes of the blocks below a height, highest first.
func (n node) hashesBelow(ctx context.Context, height int32) ([]chainhash.Hash, error) {
	q := question{words: fmt.Sprintf("block hashes below height %d", height), limit: textLimit}
	for at := height - 1; at >= max(0, height-nodeHeaders); at-- {
		q.calls = append(q.calls, call{"getblockhash", []any{at}})
	}
	return ask(ctx, n.client, q, func(body []byte) ([]chainhash.Hash, error) {
		return readAnswers(body, q, n.refusal(q), (*jsonReader).hash)
	})
}

// headers gives the headers with these hashes, each of which the one before it
// names.
func (n node) headers(ctx context.Context, height int32, hashes []chainhash.Hash) ([]wire.BlockHeader, error) {
	q := question{words: fmt.Sprintf("headers up to height %d", height), limit: 4 * textLimit, absent: true}
	for _, hash := range hashes {
		q.calls = append(q.calls, call{"getblockheader", []any{hash.String(), false}})
	}
	return ask(ctx, n.client, q, func(body []byte) ([]wire.BlockHeader, error) {
		headers, err := readAnswers(body, q, n.refusal(q), readRawHeader)
		if err == nil {
			err = checkDescent(headers, hashes[0])
		}
		if err != nil {
			return nil, err
		}
		return headers, nil
	})
}

// readAnswers reads the replies to the calls of a question, in their order.
func readAnswers[T any](body []byte, q question, refuse func(refusedCall) error, read func(r *jsonReader) T) ([]T, error) {
	if len(q.calls) > 1 {
		return readCalls(body, len(q.calls), refuse, read)
	}
	answer, err := readCall(body, firstID, refuse, read)
	if err != nil {
		return nil, err
	}
	return []T{answer}, nil
}

// Transaction asks for a transaction, for where its block stands, and for those
// whose outputs it spends, as far as the node has them.
func (n node) Transaction(ctx context.Context, id chainhash.Hash) (*chain.Transaction, error) {
	tx, block, err := n.transaction(ctx, id)
	if err != nil {
		return nil, err
	}
	found := &chain.Transaction{ID: id, Msg: tx}
	if block != nil {
		if found.Place, err = n.place(ctx, id, *block); err != nil {
			return nil, err
		}
	}
	parents := parents{get: func(ctx context.Context, id chainhash.Hash) (*wire.MsgTx, error) {
		tx, _, err := n.transaction(ctx, id)
		return tx, err
	}}
	found.Spent, err = parents.spent(ctx, tx)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// transaction gives a transaction, and the block it is in; nil where there is
// none.
func (n node) transaction(ctx context.Context, id chainhash.Hash) (*wire.MsgTx, *chainhash.Hash, error) {
	type answer struct {
		tx    *wire.MsgTx
		block *chainhash.Hash
	}
	q := question{words: fmt.Sprintf("transaction %s", id), limit: jsonLimit, absent: true}
	got, err := askCall(ctx, n, q, call{"getrawtransaction", []any{id.String(), 1}}, func(r *jsonReader) (a answer) {
		r.object(func(key string) {
			switch key {
			case "hex":
				a.tx = readRawTransaction(r, id)
			case "blockhash": // not there while unconfirmed, and empty at btcd
				a.block = readBlockName(r)
			default:
				r.skip()
			}
		}, "hex")
		return a
	})
	return got.tx, got.block, err
}

// readBlockName reads the hash of a transaction's block; nil where there is none.
func readBlockName(r *jsonReader) *chainhash.Hash {
	text := r.string()
	hash, ok := parseHash(text)
	switch {
	case text == "":
		return nil
	case !ok:
		r.fail("not a hash of 64 hexadecimal digits")
	}
	return &hash
}

// place asks where a block stands. A transaction whose only block has left the
// chain is no more in the chain and not in the mempool either.
func (n node) place(ctx context.Context, id, block chainhash.Hash) (*chain.Place, error) {
	q := question{words: fmt.Sprintf("place of transaction %s", id), limit: textLimit, absent: true}
	return askCall(ctx, n, q, call{"getblockheader", []any{block.String(), true}}, func(r *jsonReader) *chain.Place {
		place, confirmations, named := &chain.Place{Index: -1}, int64(0), chainhash.Hash{}
		r.object(func(key string) {
			switch key {
			case "hash":
				named = r.hash()
			case "height":
				place.Height = readHeight(r)
			case "time":
				place.Time = time.Unix(int64(readUint32(r)), 0).UTC()
			case "confirmations": // -1 of a block that left the chain
				confirmations = r.integer(-1, math.MaxInt32)
			default:
				r.skip()
			}
		}, "hash", "height", "time", "confirmations")
		switch {
		case r.err != nil:
		case named != block:
			r.err = lying("another block's header came: %s", named)
		case confirmations < 1:
			r.err = &Error{Kind: ErrNotFound, Detail: "the node has it in a block that left the chain"}
		}
		place.Block = block
		return place
	})
}

// The codes of errors, by Bitcoin Core's rpc/protocol.h; btcd shares them but
// for -1 where bitcoind has -8.
const (
	codeMisc         = -1
	codeAbsent       = -5
	codeOutOfRange   = -8
	codeWarmingUp    = -28
	codeInternal     = -32603
	codeNoSuchMethod = -32601
)

// refusal gives our words for what a node refuses.
func (n node) refusal(q question) func(refusedCall) error {
	return func(e refusedCall) error {
		switch {
		case e.bare:
			return malformed("an error without a code")
		case e.says("being indexed"), e.code == codeWarmingUp, e.code == codeInternal:
			return &Error{Kind: ErrUnavailable, Detail: "the node is still reading its chain"}
		case e.says("pruned"):
			return &Error{Kind: ErrRefused, Detail: "the node has pruned it: ask another explorer"}
		case e.says("not fully downloaded", "not found on disk"):
			return &Error{Kind: ErrUnavailable, Detail: "the node has the header only, as yet"}
		case q.absent && (e.code == codeAbsent || e.code == codeOutOfRange || e.code == codeMisc && e.says("out of range")):
			return &Error{Kind: ErrNotFound}
		case e.code == codeNoSuchMethod:
			return &Error{Kind: ErrRefused, Detail: "it does not know the question: check that url leads to bitcoind or btcd"}
		}
		return &Error{Kind: ErrRefused, Detail: fmt.Sprintf("it refuses the question, with code %d", e.code)}
	}
}

// readRawHeader reads a header in hexadecimal.
func readRawHeader(r *jsonReader) (header wire.BlockHeader) {
	headers := readRawHeaders(r)
	if r.err == nil && len(headers) != 1 {
		r.fail("not one block header")
	}
	if r.err != nil {
		return header
	}
	return headers[0]
}
