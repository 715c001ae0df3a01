package explorer

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Headers asks for the blocks at a height and below, ten an answer, and for the
// one header alone where the explorer has another block there.
func (e esplora) Headers(ctx context.Context, height int32, hash chainhash.Hash) ([]wire.BlockHeader, error) {
	q := question{words: fmt.Sprintf("headers up to height %d", height),
		path: fmt.Sprintf("/blocks/%d", height), limit: jsonLimit, absent: true}
	headers, err := ask(ctx, e.client, q, func(body []byte) ([]wire.BlockHeader, error) {
		return readJSON(body, readHeaders)
	})
	if err != nil {
		return nil, err
	}
	if len(headers) > 0 && headers[0].BlockHash() == hash {
		return headers, nil
	}
	return e.header(ctx, hash)
}

// header asks for one header by its hash, which may have left the chain.
func (e esplora) header(ctx context.Context, hash chainhash.Hash) ([]wire.BlockHeader, error) {
	q := question{words: fmt.Sprintf("header of block %s", hash),
		path: fmt.Sprintf("/block/%s/header", hash), limit: headerLimit, absent: true}
	return ask(ctx, e.client, q, func(body []byte) ([]wire.BlockHeader, error) {
		text := strings.TrimSpace(string(body))
		if len(text) != 2*wire.MaxBlockHeaderPayload {
			return nil, malformed("not a block header")
		}
		var header wire.BlockHeader
		if err := header.Deserialize(hex.NewDecoder(strings.NewReader(text))); err != nil {
			return nil, malformed("not a block header")
		}
		if header.BlockHash() != hash {
			return nil, lying("another block's header came: %s", header.BlockHash())
		}
		return []wire.BlockHeader{header}, nil
	})
}

// readHeaders reads a list of blocks, each of which must follow the next one.
func readHeaders(r *jsonReader) (headers []wire.BlockHeader) {
	r.array(func() {
		header := readHeader(r)
		if n := len(headers); r.err == nil && n > 0 && headers[n-1].PrevBlock != header.BlockHash() {
			r.fail("blocks that do not follow each other")
		}
		headers = append(headers, header)
	})
	return headers
}

// readHeader reads a block object. Its id is recomputed from the fields, which
// are all that a header holds.
func readHeader(r *jsonReader) wire.BlockHeader {
	var h wire.BlockHeader
	var id chainhash.Hash
	r.object(func(key string) {
		switch key {
		case "id":
			id = r.hash()
		case "version": // printed signed by some, unsigned by others
			h.Version = int32(r.integer(math.MinInt32, math.MaxUint32))
		case "timestamp":
			h.Timestamp = time.Unix(int64(readUint32(r)), 0)
		case "merkle_root":
			h.MerkleRoot = r.hash()
		case "previousblockhash": // null for the first block of all
			if !r.null() {
				h.PrevBlock = r.hash()
			}
		case "nonce":
			h.Nonce = readUint32(r)
		case "bits":
			h.Bits = readUint32(r)
		default:
			r.skip()
		}
	}, "id", "version", "timestamp", "merkle_root", "previousblockhash", "nonce", "bits")
	if r.err == nil && h.BlockHash() != id {
		r.err = lying("a block stated as %s has the hash %s", id, h.BlockHash())
	}
	return h
}
