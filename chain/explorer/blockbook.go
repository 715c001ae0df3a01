package explorer

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// blockbook asks the HTTP interface, version 2, of Trezor's Blockbook. Its
// amounts are decimal strings of satoshis, what is zero or empty is left out,
// and it shows a bare key (P2PK) as the P2PKH address of that key.
type blockbook struct {
	client *client
	params *chaincfg.Params
}

func openBlockbook(e *Explorer, c *client, params *chaincfg.Params) {
	asked := blockbook{c, params}
	e.Chain, e.Blocks, e.Headers = asked, asked, asked
	e.Addresses, e.Transactions, e.Spends, e.Prices = asked, asked, asked, asked
	e.BareKeys = true
}

var (
	// What Blockbook says of what does not exist. With more words behind it, the
	// same means that its own node could not say.
	blockbookAbsent  = regexp.MustCompile(`^\{"error":"(?:transaction '[0-9a-f]+' not found|block not found)"\}$`)
	blockbookTrouble = regexp.MustCompile(`^\{"error":"(?:transaction '[0-9a-f]+' not found \(|block not found, )`)
)

// blockbookReason tells its refusals apart: all come as 400.
func blockbookReason(status int, text string, absent bool) (detail string, kind error) {
	switch {
	case status != 400:
		return "", nil
	case absent && blockbookAbsent.MatchString(text):
		return "", ErrNotFound
	case blockbookTrouble.MatchString(text):
		return "its own node does not answer it", ErrUnavailable
	case strings.Contains(text, "invalid address"):
		return "it does not take the address: its network may be another one", ErrRefused
	}
	return "", nil
}

// askBlockbook sends a question in Blockbook's ways: an endpoint that a version does not
// have is answered with the server's own state, and not with an error.
func askBlockbook[T any](ctx context.Context, c *client, q question, read func(r *jsonReader) T) (T, error) {
	q.reason = blockbookReason
	return ask(ctx, c, q, func(body []byte) (T, error) { return readBlockbook(body, read) })
}

// readBlockbook reads an answer, or finds that the server answered with its state.
func readBlockbook[T any](body []byte, read func(r *jsonReader) T) (T, error) {
	answer, err := readJSON(body, read)
	if err != nil {
		if _, state := readJSON(body, readBlockbookState); state == nil {
			err = &Error{Kind: ErrRefused, Detail: "its version does not serve this question, or not before its index is built"}
		}
	}
	return answer, err
}

// blockbookState is what a server says of itself.
type blockbookState struct {
	chain    string // of its node, in the node's words; empty: it did not say
	height   int32  // of its index
	building bool   // its index, for the first time
	synced   bool
	blocks   int64          // of its node; -1: it did not say
	best     chainhash.Hash // at that height
}

func readBlockbookState(r *jsonReader) blockbookState {
	s := blockbookState{blocks: -1}
	r.object(func(key string) {
		switch key {
		case "blockbook":
			s.readIndex(r)
		case "backend":
			s.readNode(r)
		default:
			r.skip()
		}
	}, "blockbook", "backend")
	return s
}

func (s *blockbookState) readIndex(r *jsonReader) {
	r.object(func(key string) {
		switch key {
		case "bestHeight":
			s.height = int32(r.integer(0, math.MaxInt32))
		case "inSync":
			s.synced = r.boolean()
		case "initialSync":
			s.building = r.boolean()
		default:
			r.skip()
		}
	}, "bestHeight", "inSync")
}

func (s *blockbookState) readNode(r *jsonReader) {
	r.object(func(key string) {
		switch key {
		case "chain":
			s.chain = r.string()
		case "blocks":
			s.blocks = r.integer(0, math.MaxInt32)
		case "bestBlockHash":
			s.best = r.hash() // of its node, which may be at another height than the index
		default:
			r.skip()
		}
	})
}

// state asks a server about itself, and refuses one whose index is not to be
// relied on: what it does not hold yet would read as "none".
func (b blockbook) state(ctx context.Context, urgent bool) (blockbookState, error) {
	q := question{words: "tip height", path: "", limit: jsonLimit, urgent: urgent, reason: blockbookReason}
	return ask(ctx, b.client, q, func(body []byte) (blockbookState, error) {
		s, err := readJSON(body, readBlockbookState)
		if err == nil {
			err = s.check(b.params)
		}
		return s, err
	})
}

func (s blockbookState) check(params *chaincfg.Params) error {
	switch {
	case s.chain != "" && s.chain != nodeChain(params):
		return &Error{Kind: ErrRefused, Detail: "it follows another network"}
	case s.building:
		return &Error{Kind: ErrUnavailable, Detail: "it is still building its index"}
	case !s.synced && (s.blocks < 0 || s.blocks > int64(s.height)+1): // one behind is a block being read
		return &Error{Kind: ErrUnavailable, Detail: "its index is behind its own node, or without one"}
	}
	return nil
}

// nodeChain is what a node calls a network.
func nodeChain(params *chaincfg.Params) string {
	switch params.Net {
	case chaincfg.MainNetParams.Net:
		return "main"
	case chaincfg.TestNet3Params.Net:
		return "test"
	case chaincfg.TestNet4Params.Net:
		return "testnet4"
	case chaincfg.SigNetParams.Net:
		return "signet"
	}
	return "regtest"
}

// Tip asks for the height of its index.
func (b blockbook) Tip(ctx context.Context) (int32, error) {
	s, err := b.state(ctx, true)
	return s.height, err
}

// BlockHash asks for the hash of the block at a height. Beyond the tip the hash
// comes empty.
func (b blockbook) BlockHash(ctx context.Context, height int32) (chainhash.Hash, error) {
	q := question{words: fmt.Sprintf("block hash at height %d", height),
		path: fmt.Sprintf("/block-index/%d", height), limit: textLimit, absent: true, urgent: true}
	hash, err := askBlockbook(ctx, b.client, q, func(r *jsonReader) (hash *chainhash.Hash) {
		r.object(func(key string) {
			if key != "blockHash" {
				r.skip()
			} else if text := r.string(); text != "" {
				if found, ok := parseHash(text); ok {
					hash = &found
				} else {
					r.fail("not a block hash")
				}
			}
		}, "blockHash")
		return hash
	})
	if err != nil {
		return chainhash.Hash{}, err
	}
	if hash == nil {
		return chainhash.Hash{}, b.client.about(q, &Error{Kind: ErrNotFound})
	}
	return *hash, nil
}

// Block asks for a raw block, which older versions do not serve.
func (b blockbook) Block(ctx context.Context, hash chainhash.Hash) ([]byte, error) {
	q := question{words: fmt.Sprintf("block %s", hash), path: fmt.Sprintf("/rawblock/%s", hash),
		limit: 2*blockLimit + textLimit, absent: true, urgent: true}
	return askBlockbook(ctx, b.client, q, func(r *jsonReader) (body []byte) {
		r.object(func(key string) {
			if key == "hex" {
				body = r.hex()
			} else {
				r.skip()
			}
		}, "hex")
		if r.err == nil {
			r.err = checkBlock(body, hash, b.params)
		}
		return body
	})
}

// lastPage is beyond the last page of any block: Blockbook answers the last
// one, which holds the fewest transactions.
const lastPage = 1_000_000

// Headers asks for a block without most of its transactions, and makes its
// header of the fields: one an answer, since Blockbook serves no headers.
func (b blockbook) Headers(ctx context.Context, height int32, hash chainhash.Hash) ([]wire.BlockHeader, error) {
	q := question{words: fmt.Sprintf("header of block %s", hash),
		path: fmt.Sprintf("/block/%s?page=%d", hash, lastPage), limit: jsonLimit, absent: true}
	return askBlockbook(ctx, b.client, q, func(r *jsonReader) []wire.BlockHeader {
		header := readBlockbookHeader(r)
		if r.err == nil && header.BlockHash() != hash {
			r.err = lying("another block's header came: %s", header.BlockHash())
		}
		return []wire.BlockHeader{header}
	})
}

func readBlockbookHeader(r *jsonReader) wire.BlockHeader {
	var h wire.BlockHeader
	r.object(func(key string) {
		switch key {
		case "version": // printed signed by some, unsigned by others
			h.Version = int32(r.integer(math.MinInt32, math.MaxUint32))
		case "time":
			h.Timestamp = time.Unix(int64(readUint32(r)), 0)
		case "merkleRoot":
			h.MerkleRoot = r.hash()
		case "previousBlockHash": // left out for the first block of all
			h.PrevBlock = r.hash()
		case "nonce": // a number, as a string
			h.Nonce = uint32(readDecimal(r, math.MaxUint32))
		case "bits":
			h.Bits = readBits(r)
		default:
			r.skip()
		}
	}, "version", "time", "merkleRoot", "nonce", "bits")
	return h
}

// readBits reads a target as eight hexadecimal digits.
func readBits(r *jsonReader) uint32 {
	text := r.string()
	bits, err := strconv.ParseUint(text, 16, 32)
	if r.err == nil && (err != nil || len(text) != 8) {
		r.fail("not a target of eight hexadecimal digits")
	}
	return uint32(bits)
}

// readDecimal reads a whole number that is written as a string.
func readDecimal(r *jsonReader, most int64) int64 {
	text := r.string()
	if r.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != text || n < 0 || n > most { // no sign, no leading zeros
		r.fail("not a whole number in its range")
		return 0
	}
	return n
}
