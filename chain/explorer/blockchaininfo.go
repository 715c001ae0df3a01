package explorer

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// blockchainInfo asks the data interface of blockchain.info (blockchain.com).
//
// Its transactions name neither the transactions that they spend nor their
// block, so each is asked for twice, as an object and as bytes, and its block
// once more by height. A block by height is all that it has for a header, and
// is as large as the block: it serves no headers. Who spends an output it says
// in numbers of its own only.
type blockchainInfo struct {
	client *client
	params *chaincfg.Params
}

func openBlockchainInfo(e *Explorer, c *client, params *chaincfg.Params) {
	asked := blockchainInfo{c, params}
	e.Chain, e.Blocks, e.Addresses, e.Transactions = asked, asked, asked, asked
	e.BareKeys = true
}

// A block as an object is larger than its bytes: 1.3 kB for each transaction, a
// witness in hex. 20 MB hold 15,000 transactions, or a block of 4 MB of witness.
const infoBlockLimit = 20 << 20

// infoReason reads its refusals: what does not exist is 404 or, in the words of
// others of its machines, 500.
func infoReason(status int, text string, absent bool) (detail string, kind error) {
	missing := strings.Contains(text, "not-found-or-invalid-arg") || strings.Contains(text, "item not found") ||
		strings.Contains(text, "transaction not found") || strings.Contains(text, "block not found")
	switch {
	case (status == 404 || status == 500) && absent && missing && !strings.HasPrefix(text, "<"):
		return "", ErrNotFound
	case status == 400 && strings.Contains(text, "invalid bitcoin address"):
		return "it does not take the address: its network may be another one", ErrRefused
	}
	return "", nil
}

// askInfo sends a question whose answer is an object.
func askInfo[T any](ctx context.Context, c *client, q question, read func(r *jsonReader) T) (T, error) {
	q.reason = infoReason
	return ask(ctx, c, q, func(body []byte) (T, error) { return readJSON(body, read) })
}

// askInfoHex sends a question whose answer is bytes in hexadecimal.
func askInfoHex[T any](ctx context.Context, c *client, q question, read func(text string) (T, error)) (T, error) {
	q.reason = infoReason
	return ask(ctx, c, q, func(body []byte) (T, error) { return read(strings.TrimSpace(string(body))) })
}

type infoTip struct {
	height int32
	hash   chainhash.Hash
}

func (b blockchainInfo) latest(ctx context.Context, words string) (infoTip, error) {
	q := question{words: words, path: "/latestblock", limit: jsonLimit, urgent: true}
	return askInfo(ctx, b.client, q, func(r *jsonReader) (tip infoTip) {
		r.object(func(key string) {
			switch key {
			case "height":
				tip.height = int32(r.integer(0, math.MaxInt32))
			case "hash":
				tip.hash = r.hash()
			default:
				r.skip()
			}
		}, "height", "hash")
		return tip
	})
}

// Tip asks for the latest block.
func (b blockchainInfo) Tip(ctx context.Context) (int32, error) {
	tip, err := b.latest(ctx, "tip height")
	return tip.height, err
}

// BlockHash asks for the hash of the block at a height: first for the latest
// block, which nearly always is the one and costs little.
func (b blockchainInfo) BlockHash(ctx context.Context, height int32) (chainhash.Hash, error) {
	words := fmt.Sprintf("block hash at height %d", height)
	tip, err := b.latest(ctx, words)
	switch {
	case err != nil:
		return chainhash.Hash{}, err
	case tip.height == height:
		return tip.hash, nil
	case tip.height < height:
		return chainhash.Hash{}, b.client.about(question{words: words}, &Error{Kind: ErrNotFound})
	}
	at, err := b.blockAt(ctx, height, true)
	return at.hash, err
}

// infoBlock is a block at a height, by its header, and what it is said to hold.
type infoBlock struct {
	header wire.BlockHeader
	hash   chainhash.Hash
	height int64
	main   bool // what it says is on its chain; it has said no of blocks that are
	count  int64
	ids    []chainhash.Hash
}

// blockAt asks for the block at a height.
func (b blockchainInfo) blockAt(ctx context.Context, height int32, urgent bool) (infoBlock, error) {
	q := question{words: fmt.Sprintf("block at height %d", height),
		path: fmt.Sprintf("/block-height/%d?format=json", height), limit: infoBlockLimit, absent: true, urgent: urgent}
	return askInfo(ctx, b.client, q, func(r *jsonReader) (at infoBlock) {
		var all []infoBlock
		r.object(func(key string) {
			if key == "blocks" {
				r.array(func() { all = append(all, readInfoBlock(r, height)) })
			} else {
				r.skip()
			}
		}, "blocks")
		if r.err == nil {
			at, r.err = chooseBlock(all)
		}
		return at
	})
}

// chooseBlock tells the block of the chain from stale ones of its height. Alone
// it is the one, whatever it says of itself.
func chooseBlock(all []infoBlock) (infoBlock, error) {
	if len(all) > 1 {
		all = slices.DeleteFunc(all, func(b infoBlock) bool { return !b.main })
		if len(all) != 1 {
			return infoBlock{}, &Error{Kind: ErrUnavailable, Detail: "it shows several blocks of one height, and not which is on its chain"}
		}
	}
	if len(all) == 0 {
		return infoBlock{}, malformed("no block")
	}
	return all[0], nil
}

// readInfoBlock reads a block object. Its hash is recomputed from the fields.
func readInfoBlock(r *jsonReader, height int32) (b infoBlock) {
	r.object(func(key string) {
		switch key {
		case "hash":
			b.hash = r.hash()
		case "height":
			b.height = r.integer(0, math.MaxInt32)
		case "main_chain":
			b.main = r.boolean()
		case "n_tx":
			b.count = r.integer(1, math.MaxInt32)
		case "tx":
			r.array(func() { b.ids = append(b.ids, readInfoID(r)) })
		default:
			readInfoHeader(r, key, &b.header)
		}
	}, "hash", "height", "ver", "prev_block", "mrkl_root", "time", "bits", "nonce")
	switch {
	case r.err != nil:
	case b.header.BlockHash() != b.hash:
		r.err = lying("a block stated as %s has the hash %s", b.hash, b.header.BlockHash())
	case b.height != int64(height):
		r.err = lying("a block of another height came: %d", b.height)
	}
	return b
}

func readInfoHeader(r *jsonReader, key string, h *wire.BlockHeader) {
	switch key {
	case "ver": // printed signed by some, unsigned by others
		h.Version = int32(r.integer(math.MinInt32, math.MaxUint32))
	case "prev_block":
		h.PrevBlock = r.hash()
	case "mrkl_root":
		h.MerkleRoot = r.hash()
	case "time":
		h.Timestamp = time.Unix(int64(readUint32(r)), 0)
	case "bits":
		h.Bits = readUint32(r)
	case "nonce":
		h.Nonce = readUint32(r)
	default:
		r.skip()
	}
}

func readInfoID(r *jsonReader) (id chainhash.Hash) {
	r.object(func(key string) {
		if key == "hash" {
			id = r.hash()
		} else {
			r.skip()
		}
	}, "hash")
	return id
}

// place is where a transaction stands that is said to be in this block. A list
// of all that the block holds must show it.
func (b infoBlock) place(id chainhash.Hash) (*chain.Place, error) {
	if int64(len(b.ids)) == b.count && !slices.Contains(b.ids, id) {
		return nil, lying("transaction %s is not in the block at the height where it is said to be", id)
	}
	return &chain.Place{Height: int32(b.height), Block: b.hash, Time: b.header.Timestamp.UTC(), Index: -1}, nil
}

// Block asks for a raw block.
func (b blockchainInfo) Block(ctx context.Context, hash chainhash.Hash) ([]byte, error) {
	q := question{words: fmt.Sprintf("block %s", hash), path: fmt.Sprintf("/rawblock/%s?format=hex", hash),
		limit: 2*blockLimit + textLimit, absent: true, urgent: true}
	return askInfoHex(ctx, b.client, q, func(text string) ([]byte, error) {
		body, err := hex.DecodeString(text)
		if err != nil {
			return nil, malformed("a block that is not hexadecimal")
		}
		return body, checkBlock(body, hash, b.params)
	})
}
