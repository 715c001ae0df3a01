package explorer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// electrum asks a server of the Electrum protocol: ElectrumX, Fulcrum, electrs
// and those of Esplora. It has headers, histories and transactions, all of them
// raw, and no blocks.
type electrum struct {
	client *client
	params *chaincfg.Params
	// silent is set once the server says that it tells nothing of a transaction
	// but its bytes, as those of Esplora do.
	silent *atomic.Bool
	told   *statuses // by its feed
}

func openElectrum(e *Explorer, c *client, params *chaincfg.Params) {
	asked := electrum{c, params, &atomic.Bool{}, &statuses{}}
	c.lines.hello = call{"server.version", []any{c.agent, []string{"1.4", "1.6"}}}
	c.lines.greeted = asked.greeted
	e.Chain, e.Headers, e.Addresses, e.Transactions, e.Proofs, e.Hints = asked, asked, asked, asked, asked, asked
}

// greeted reads the answer to server.version, which must come first and once:
// the software, and the protocol it will speak.
func (e electrum) greeted(reply []byte) error {
	said, err := readLine(reply, e.refusal(question{}), func(r *jsonReader) (said []string) {
		r.array(func() { said = append(said, r.string()) })
		return said
	})
	switch {
	case errors.Is(err, ErrRefused):
		return &Error{Kind: ErrRefused, Detail: "it does not speak the Electrum protocol 1.4 to 1.6"}
	case err != nil:
		return err
	case len(said) != 2 || !strings.HasPrefix(said[1], "1."):
		return malformed("not a version of the Electrum protocol")
	}
	e.client.called(said[0])
	return nil
}

// askLine asks one call and reads its result.
func askLine[T any](ctx context.Context, e electrum, q question, one call, read func(r *jsonReader) T) (T, error) {
	q.calls = []call{one}
	return ask(ctx, e.client, q, func(body []byte) (T, error) {
		return readLine(body, e.refusal(q), read)
	})
}

// Tip asks for the best header. The server takes it for a wish to be told of
// further ones; what it tells is passed over.
func (e electrum) Tip(ctx context.Context) (int32, error) {
	q := question{words: "tip height", limit: textLimit, urgent: true}
	return askLine(ctx, e, q, call{method: "blockchain.headers.subscribe"}, func(r *jsonReader) (height int32) {
		r.object(func(key string) {
			switch key {
			case "height":
				height = readHeight(r)
			case "hex":
				readRawHeader(r)
			default:
				r.skip()
			}
		}, "height", "hex")
		return height
	})
}

// BlockHash asks for the header at a height. Servers word "there is none" in
// many ways, so that a refusal is held against the tip.
func (e electrum) BlockHash(ctx context.Context, height int32) (chainhash.Hash, error) {
	header, err := e.headerAt(ctx, height, true)
	if errors.Is(err, ErrRefused) {
		if tip, tipErr := e.Tip(ctx); tipErr == nil && height > tip {
			return chainhash.Hash{}, &Error{Kind: ErrNotFound, Explorer: e.client.name, Question: headerWords(height)}
		}
	}
	if err != nil {
		return chainhash.Hash{}, err
	}
	return header.BlockHash(), nil
}

func headerWords(height int32) string { return fmt.Sprintf("block header at height %d", height) }

func (e electrum) headerAt(ctx context.Context, height int32, urgent bool) (wire.BlockHeader, error) {
	q := question{words: headerWords(height), limit: textLimit, absent: true, urgent: urgent}
	return askLine(ctx, e, q, call{"blockchain.block.header", []any{height}}, readRawHeader)
}

// electrumHeaders is how many headers the protocol gives at most.
const electrumHeaders = 2016

// Headers asks for the headers up to a height. Servers count upwards, and some
// give fewer than the protocol allows: then the last ones are asked for again.
func (e electrum) Headers(ctx context.Context, height int32, hash chainhash.Hash) ([]wire.BlockHeader, error) {
	count := min(height, electrumHeaders-1) + 1
	headers, err := e.headers(ctx, height-count+1, count)
	if n := int32(len(headers)); err == nil && n < count && n > 0 {
		headers, err = e.headers(ctx, height-n+1, n)
		count = n
	}
	if err != nil {
		return nil, err
	}
	if int32(len(headers)) < count || headers[0].BlockHash() != hash {
		absent := &Error{Kind: ErrNotFound, Explorer: e.client.name, Question: fmt.Sprintf("header of block %s", hash)}
		return nil, absent // it has another block there, or none: it cannot be asked by hash
	}
	return headers, nil
}

// headers gives so many headers from a height, or as many as there are, highest
// first.
func (e electrum) headers(ctx context.Context, from, count int32) ([]wire.BlockHeader, error) {
	q := question{words: fmt.Sprintf("%d headers from height %d", count, from), limit: 8 * textLimit}
	return askLine(ctx, e, q, call{"blockchain.block.headers", []any{from, count}}, func(r *jsonReader) []wire.BlockHeader {
		headers := readElectrumHeaders(r)
		if r.err == nil && len(headers) > int(count) {
			r.fail("more headers than were asked for")
		}
		if r.err == nil && len(headers) > 0 {
			r.err = checkDescent(headers, headers[0].BlockHash())
		}
		return headers
	})
}

// readElectrumHeaders reads headers, as one text up to protocol 1.5 and as a
// list from 1.6, and turns them round.
func readElectrumHeaders(r *jsonReader) (headers []wire.BlockHeader) {
	count, lists := int64(0), 0
	r.object(func(key string) {
		switch key {
		case "count":
			count = r.integer(0, electrumHeaders)
		case "hex":
			lists++
			if r.next() != '"' || !strings.HasPrefix(r.text[r.at:], `""`) { // beyond the tip there are none
				headers = append(headers, readRawHeaders(r)...)
			} else {
				r.string()
			}
		case "headers":
			lists++
			r.array(func() { headers = append(headers, readRawHeader(r)) })
		default:
			r.skip()
		}
	}, "count")
	if r.err == nil && (lists != 1 || int64(len(headers)) != count) {
		r.fail("not as many headers as it counts")
	}
	for i, j := 0, len(headers)-1; i < j; i, j = i+1, j-1 {
		headers[i], headers[j] = headers[j], headers[i]
	}
	return headers
}

// Transaction asks for a transaction, for where it stands, and for those whose
// outputs it spends. A server that gives nothing but bytes cannot say whether it
// is confirmed, and is not taken to say that it is not.
func (e electrum) Transaction(ctx context.Context, id chainhash.Hash) (*chain.Transaction, error) {
	tx, block, depth, err := e.verbose(ctx, id)
	if err != nil {
		return nil, err
	}
	found := &chain.Transaction{ID: id, Msg: tx}
	if block != nil {
		if found.Place, err = e.place(ctx, *block, depth); err != nil {
			return nil, err
		}
	}
	found.Spent, err = parents{get: e.transaction}.spent(ctx, tx)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// verbose gives a transaction with the block it is in, nil where there is none,
// and how deep that is: 1 at the tip.
func (e electrum) verbose(ctx context.Context, id chainhash.Hash) (tx *wire.MsgTx, block *chainhash.Hash, depth int32, err error) {
	q := question{words: fmt.Sprintf("transaction %s", id), limit: jsonLimit, absent: true}
	if e.silent.Load() {
		return nil, nil, 0, e.client.about(q, &Error{Kind: ErrRefused, Detail: noPlaces})
	}
	_, err = askLine(ctx, e, q, call{"blockchain.transaction.get", []any{id.String(), true}}, func(r *jsonReader) bool {
		r.object(func(key string) {
			switch key {
			case "hex":
				tx = readRawTransaction(r, id)
			case "blockhash":
				block = readBlockName(r)
			case "confirmations":
				depth = int32(r.integer(0, math.MaxInt32))
			default:
				r.skip()
			}
		}, "hex")
		if r.err == nil && (block == nil) != (depth == 0) {
			r.err = &Error{Kind: ErrNotFound, Detail: "it has it in a block that left the chain"}
		}
		return true
	})
	return tx, block, depth, err
}

const noPlaces = "this server does not say where a transaction stands: its HTTP side does, as kind esplora"

// place finds a block by its depth below the tip, which may move meanwhile.
func (e electrum) place(ctx context.Context, block chainhash.Hash, depth int32) (*chain.Place, error) {
	tip, err := e.Tip(ctx)
	if err != nil {
		return nil, err
	}
	for _, height := range []int32{tip - depth + 1, tip - depth, tip - depth + 2} {
		if height < 0 || height > tip {
			continue
		}
		header, err := e.headerAt(ctx, height, false)
		if err != nil {
			return nil, err
		}
		if header.BlockHash() == block {
			return placeAt(height, header), nil
		}
	}
	q := question{words: fmt.Sprintf("height of block %s", block)}
	moved := &Error{Kind: ErrUnavailable, Detail: "its chain moved meanwhile"}
	return nil, e.client.about(q, e.client.count(moved))
}

func placeAt(height int32, header wire.BlockHeader) *chain.Place {
	return &chain.Place{Height: height, Block: header.BlockHash(), Time: header.Timestamp.UTC(), Index: -1}
}

// transaction gives the bytes of a transaction.
func (e electrum) transaction(ctx context.Context, id chainhash.Hash) (*wire.MsgTx, error) {
	q := question{words: fmt.Sprintf("transaction %s", id), limit: jsonLimit, absent: true}
	return askLine(ctx, e, q, call{"blockchain.transaction.get", []any{id.String()}}, func(r *jsonReader) *wire.MsgTx {
		return readRawTransaction(r, id)
	})
}

// What ElectrumX says by code; others say it in words, if at all.
const (
	codeHistoryTooLarge = 10001
	codeExcessive       = -101
	codeBusy            = -102
)

// refusal gives our words for what a server refuses. The same thing has many
// wordings, and those of Esplora give words alone.
func (e electrum) refusal(q question) func(refusedCall) error {
	return func(said refusedCall) error {
		switch {
		case said.code == codeExcessive, said.code == codeBusy, said.says("excessive resource", "too many requests", "rate limit", "server busy"):
			return &Error{Kind: ErrRateLimited, RetryAfter: e.client.pace.pause(0), Detail: "asked too often: lower requests_per_second"}
		case said.code == codeHistoryTooLarge, said.says("too large", "too many", "toobig"):
			return &Error{Kind: ErrRefused, Detail: "there is more history than it serves: ask another explorer"}
		case said.says("verbose"):
			e.silent.Store(true)
			return &Error{Kind: ErrRefused, Detail: noPlaces}
		case said.says("being indexed", "warming up", "not ready", "unavailable", "loading", strconv.Itoa(codeWarmingUp)):
			return &Error{Kind: ErrUnavailable, Detail: "it or its node is still reading the chain"}
		case q.absent && said.says("no such mempool", "not found", "missing transaction", "unknown transaction", "no such transaction",
			"not in block", "no transaction matching", "no tx", "unconfirmed"):
			return &Error{Kind: ErrNotFound}
		case said.code == codeNoSuchMethod, said.says("unknown method"):
			return &Error{Kind: ErrRefused, Detail: "it does not know the question"}
		}
		return &Error{Kind: ErrRefused, Detail: "it refuses the question"}
	}
}
