package chaintest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
)

// Blockbook is an HTTP server in the shape of Trezor's, over a Node or a Chain,
// with its quirks. Its interface is under /api/v2. Set the fields before the
// first request.
type Blockbook struct {
	keyed
	// Holes puts the mempool before the first page and counts pages without it,
	// as versions before August 2026 did: what it pushes off that page is on none.
	Holes bool
	// NoRawBlocks leaves out /rawblock, as old versions did.
	NoRawBlocks bool
	// NoHex leaves the bytes out of transactions.
	NoHex bool
	// Prices is what its tickers say; nil: it has none.
	Prices *Prices

	once   sync.Once
	routes http.Handler
}

// NewBlockbook makes a server over a source, with the addresses of a network.
func NewBlockbook(source Source, params *chaincfg.Params) *Blockbook {
	return &Blockbook{keyed: newKeyed(source, params)}
}

// Serve listens on a free port of 127.0.0.1; url ends in /api/v2. stop ends all
// connections.
func (b *Blockbook) Serve() (url string, stop func()) {
	url, stop = Serve(b)
	return url + "/api/v2", stop
}

// ServeHTTP answers a request, through the faults.
func (b *Blockbook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.once.Do(func() { b.routes = b.Faults.Wrap(b.handler()) })
	b.routes.ServeHTTP(w, r)
}

func (b *Blockbook) handler() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string]func(*http.Request) (any, error){
		"/api/":                        b.status, // also for what it does not know
		"/api/v2/block-index/{height}": b.blockIndex,
		"/api/v2/block/{block}":        b.blockPage,
		"/api/v2/rawblock/{block}":     b.rawBlock,
		"/api/v2/tx/{id}":              b.transaction,
		"/api/v2/tx-specific/{id}":     b.specific,
		"/api/v2/address/{address}":    b.addressPage,
		"/api/v2/tickers":              b.Prices.ticker,
	} {
		if b.NoRawBlocks && path == "/api/v2/rawblock/{block}" {
			continue
		}
		mux.HandleFunc("GET "+path, b.serveJSON(answer, func(text string) any { return map[string]string{"error": text} }))
	}
	return mux
}

func bookRefusal(format string, args ...any) error {
	return refusal(http.StatusBadRequest, fmt.Sprintf(format, args...))
}

func (b *Blockbook) status(*http.Request) (any, error) {
	height, best := int32(0), ""
	if tip := b.tip(); tip != nil {
		height, best = tip.height, tip.hash.String()
	}
	at := time.Unix(0, 0).UTC()
	return map[string]any{
		"blockbook": map[string]any{"coin": "Regtest", "network": "rBTC", "host": "test", "version": "unknown", "gitCommit": "unknown", "buildTime": "unknown",
			"syncMode": true, "initialSync": false, "inSync": true, "bestHeight": height, "lastBlockTime": at,
			"inSyncMempool": true, "lastMempoolTime": at, "mempoolSize": len(b.index.pool), "decimals": 8, "dbSize": 1, "about": "a stand-in"},
		"backend": map[string]any{"chain": "regtest", "blocks": height, "headers": height, "bestBlockHash": best, "difficulty": "4.656542373906925e-10",
			"sizeOnDisk": 1, "version": "270000", "subversion": "/test/", "protocolVersion": "70016"},
	}, nil
}

// blockIndex gives an empty hash beyond the tip.
func (b *Blockbook) blockIndex(r *http.Request) (any, error) {
	found := b.tip()
	if height, err := strconv.ParseInt(r.PathValue("height"), 10, 64); err == nil {
		found = b.at(height)
	}
	if found == nil {
		return map[string]string{"blockHash": ""}, nil
	}
	return map[string]string{"blockHash": found.hash.String()}, nil
}

// named finds a block by hash or height.
func (b *Blockbook) named(r *http.Request) (*indexedBlock, error) {
	text := r.PathValue("block")
	found := (*indexedBlock)(nil)
	if hash, err := parseHash(text); err == nil {
		found = b.index.byHash[hash]
	} else if height, err := strconv.ParseInt(text, 10, 64); err == nil {
		found = b.at(height)
	}
	if found == nil {
		return nil, bookRefusal("Block not found")
	}
	return found, nil
}

func (b *Blockbook) rawBlock(r *http.Request) (any, error) {
	found, err := b.named(r)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	err = found.msg.Serialize(&raw)
	return map[string]string{"hex": hex.EncodeToString(raw.Bytes())}, err
}

// blockPage gives a block with a page of its transactions.
func (b *Blockbook) blockPage(r *http.Request) (any, error) {
	found, err := b.named(r)
	if err != nil {
		return nil, err
	}
	p := pageOf(r, len(found.entries), maxBookPage)
	txs := []any{}
	for _, e := range found.entries[p.from:p.to] {
		tx := b.render(e, false)
		delete(tx, "hex") // light ones
		txs = append(txs, tx)
	}
	h := found.msg.Header
	answer := map[string]any{"page": p.page, "totalPages": p.pages, "itemsOnPage": p.size,
		"hash": found.hash.String(), "height": found.height, "confirmations": b.confirmations(found), "size": found.msg.SerializeSize(),
		"time": h.Timestamp.Unix(), "version": h.Version, "merkleRoot": h.MerkleRoot.String(), "nonce": fmt.Sprint(h.Nonce),
		"bits": fmt.Sprintf("%08x", h.Bits), "difficulty": fmt.Sprint(difficulty(h.Bits)), "txCount": len(found.entries), "txs": txs}
	if h.PrevBlock != (chainhash.Hash{}) {
		answer["previousBlockHash"] = h.PrevBlock.String()
	}
	return answer, nil
}

func (b *Blockbook) confirmations(block *indexedBlock) int32 {
	if !b.onChain(block) {
		return 0
	}
	return b.tip().height - block.height + 1
}

func (b *Blockbook) found(r *http.Request) (*entry, error) {
	text := r.PathValue("id")
	if id, err := parseHash(text); err == nil {
		if e := b.index.find(id); e != nil {
			return e, nil
		}
	}
	return nil, bookRefusal("Transaction '%s' not found", text)
}

func (b *Blockbook) transaction(r *http.Request) (any, error) {
	e, err := b.found(r)
	if err != nil {
		return nil, err
	}
	spending, _ := strconv.ParseBool(r.URL.Query().Get("spending"))
	return b.render(e, spending), nil
}

// specific is the node's own answer, of which this knows little.
func (b *Blockbook) specific(r *http.Request) (any, error) {
	e, err := b.found(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"txid": e.id.String(), "hex": rawHex(e), "size": e.tx.SerializeSize()}, nil
}

const maxBookPage = 1000

// bookPaging is a page of a list. One beyond the last is the last.
type bookPaging struct{ page, pages, size, from, to int }

func pageOf(r *http.Request, count, size int) bookPaging {
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	pages := max(1, (count+size-1)/size)
	page = min(max(1, page), pages)
	from := min((page-1)*size, count)
	return bookPaging{page: page, pages: pages, size: size, from: from, to: min(from+size, count)}
}

// addressPage gives a page about an address: the mempool, without a height to
// go up to, comes on the first.
func (b *Blockbook) addressPage(r *http.Request) (any, error) {
	query := r.URL.Query()
	text := r.PathValue("address")
	script, err := addressScript(text, b.params)
	if err != nil {
		return nil, bookRefusal("Invalid address, checksum mismatch")
	}
	pool, all := b.of(script)
	list := all
	to, limited := query.Get("to"), false
	if height, err := strconv.Atoi(to); err == nil && height > 0 {
		limited = true
		list = slices.DeleteFunc(slices.Clone(all), func(e *entry) bool { return int(e.block.height) > height })
	}
	size, _ := strconv.Atoi(query.Get("pageSize"))
	if size <= 0 || size > maxBookPage {
		size = maxBookPage
	}
	p, shown := b.shown(r, pool, list, size, limited)
	received, sent := sums(script, all)
	newReceived, newSent := sums(script, pool)
	answer := map[string]any{"address": text, "balance": fmt.Sprint(received - sent), "totalReceived": fmt.Sprint(received), "totalSent": fmt.Sprint(sent),
		"unconfirmedTxs": len(pool), "txs": len(all)}
	details := query.Get("details")
	if details == "basic" {
		return answer, nil
	}
	answer["page"], answer["totalPages"], answer["itemsOnPage"] = p.page, p.pages, p.size
	answer["unconfirmedBalance"] = fmt.Sprint(newReceived - newSent)
	if limited && p.page < p.pages {
		answer["totalPages"] = -1
	}
	b.addList(answer, shown, details)
	return answer, nil
}

// shown is what a page lists.
func (b *Blockbook) shown(r *http.Request, pool, list []*entry, size int, limited bool) (bookPaging, []*entry) {
	if limited {
		p := pageOf(r, len(list), size)
		return p, list[p.from:p.to]
	}
	if !b.Holes {
		list = slices.Concat(pool, list)
		p := pageOf(r, len(list), size)
		return p, list[p.from:p.to]
	}
	p := pageOf(r, len(list), size)
	if p.page > 1 {
		return p, list[p.from:p.to]
	}
	return p, first(slices.Concat(pool, list), size)
}

// addList leaves an empty list out.
func (b *Blockbook) addList(answer map[string]any, list []*entry, details string) {
	var ids []string
	var txs []any
	for _, e := range list {
		ids = append(ids, e.id.String())
		txs = append(txs, b.render(e, false))
	}
	switch {
	case len(list) == 0:
	case details == "txs":
		answer["transactions"] = txs
	default:
		answer["txids"] = ids
	}
}

func rawHex(e *entry) string {
	var raw bytes.Buffer
	if err := e.tx.Serialize(&raw); err != nil {
		panic(err) // a buffer takes everything
	}
	return hex.EncodeToString(raw.Bytes())
}
