package chaintest

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// BlockchainInfo is an HTTP server in the shape of blockchain.info's data
// interface, over a Node or a Chain, with its quirks. Set the fields before the
// first request.
type BlockchainInfo struct {
	keyed
	// Trims leaves out of an address's list what does not pay it, of transactions
	// that it does not spend in.
	Trims bool
	// Unknown500 answers 500 for what does not exist, as some of its machines do.
	Unknown500 bool

	once   sync.Once
	routes http.Handler
}

// NewBlockchainInfo makes a server over a source, with the addresses of a network.
func NewBlockchainInfo(source Source, params *chaincfg.Params) *BlockchainInfo {
	return &BlockchainInfo{keyed: newKeyed(source, params)}
}

// Serve listens on a free port of 127.0.0.1. stop ends all connections.
func (b *BlockchainInfo) Serve() (url string, stop func()) { return Serve(b) }

// ServeHTTP answers a request, through the faults.
func (b *BlockchainInfo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.once.Do(func() { b.routes = b.Faults.Wrap(b.handler()) })
	b.routes.ServeHTTP(w, r)
}

func (b *BlockchainInfo) handler() http.Handler {
	mux := http.NewServeMux()
	for path, answer := range map[string]func(*http.Request) (any, error){
		"/latestblock":           b.latestBlock,
		"/block-height/{height}": b.blocksAt,
		"/rawblock/{hash}":       b.rawBlock,
		"/rawtx/{id}":            b.rawTx,
		"/rawaddr/{address}":     b.rawAddr,
		"/":                      func(*http.Request) (any, error) { return nil, refusal(http.StatusNotFound, "no such page") },
	} {
		mux.HandleFunc("GET "+path, b.serveJSON(answer, b.refuse))
	}
	return mux
}

func (b *BlockchainInfo) refuse(text string) any {
	if b.Unknown500 {
		return text
	}
	return map[string]string{"error": "not-found-or-invalid-arg", "message": text}
}

func (b *BlockchainInfo) unknown(what string) error {
	if b.Unknown500 {
		return refusal(http.StatusInternalServerError, what+" not found")
	}
	return refusal(http.StatusNotFound, "Item not found or argument invalid")
}

func (b *BlockchainInfo) latestBlock(*http.Request) (any, error) {
	tip := b.tip()
	if tip == nil {
		return nil, b.unknown("Block")
	}
	indexes := []int64{}
	for _, e := range tip.entries {
		indexes = append(indexes, txIndex(e.id))
	}
	return map[string]any{"hash": tip.hash.String(), "time": tip.msg.Header.Timestamp.Unix(), "block_index": tip.height, "height": tip.height, "txIndexes": indexes}, nil
}

// txIndex is a number of its own that it gives a transaction.
func txIndex(id chainhash.Hash) int64 { return int64(binary.LittleEndian.Uint64(id[:]) >> 11) }

func (b *BlockchainInfo) blocksAt(r *http.Request) (any, error) {
	height, err := strconv.ParseInt(r.PathValue("height"), 10, 64)
	found := b.at(height)
	if err != nil || found == nil {
		return nil, b.unknown("Block")
	}
	return map[string]any{"blocks": []any{b.renderBlock(found)}}, nil
}

func (b *BlockchainInfo) rawBlock(r *http.Request) (any, error) {
	hash, err := parseHash(r.PathValue("hash"))
	found := b.index.byHash[hash]
	if err != nil || found == nil {
		return nil, b.unknown("Block")
	}
	if r.URL.Query().Get("format") != "hex" {
		return b.renderBlock(found), nil
	}
	var raw bytes.Buffer
	err = found.msg.Serialize(&raw)
	return hex.EncodeToString(raw.Bytes()), err
}

// renderBlock writes a block of the chain as one that is not on it: what it
// says of that was seen to be false.
func (b *BlockchainInfo) renderBlock(block *indexedBlock) map[string]any {
	h := block.msg.Header
	next, txs := []string{}, []any{}
	if above := b.at(int64(block.height) + 1); above != nil {
		next = append(next, above.hash.String())
	}
	for _, e := range block.entries {
		txs = append(txs, b.render(e, nil))
	}
	return map[string]any{"hash": block.hash.String(), "ver": h.Version, "prev_block": h.PrevBlock.String(), "mrkl_root": h.MerkleRoot.String(),
		"time": h.Timestamp.Unix(), "bits": h.Bits, "next_block": next, "fee": 0, "nonce": h.Nonce, "n_tx": len(block.entries),
		"size": block.msg.SerializeSize(), "block_index": block.height, "main_chain": false, "height": block.height,
		"weight": 3*block.msg.SerializeSizeStripped() + block.msg.SerializeSize(), "tx": txs}
}

func (b *BlockchainInfo) rawTx(r *http.Request) (any, error) {
	id, err := parseHash(r.PathValue("id"))
	e := b.index.find(id)
	if err != nil || e == nil {
		return nil, b.unknown("Transaction")
	}
	if r.URL.Query().Get("format") == "hex" {
		return rawHex(e), nil
	}
	return b.render(e, nil), nil
}

const maxInfoPage = 50

// rawAddr lists the unconfirmed first, and counts them with the others.
func (b *BlockchainInfo) rawAddr(r *http.Request) (any, error) {
	text := r.PathValue("address")
	script, err := addressScript(text, b.params)
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "Invalid Bitcoin Address")
	}
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit > maxInfoPage {
		limit = maxInfoPage
	}
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
	pool, confirmed := b.of(script)
	all := slices.Concat(pool, confirmed)
	received, sent := sums(script, all)
	txs := []any{}
	for _, e := range first(all[min(max(0, offset), len(all)):], limit) {
		tx := b.render(e, script)
		in, out := sums(script, []*entry{e})
		tx["result"], tx["balance"] = in-out, 0
		txs = append(txs, tx)
	}
	return map[string]any{"hash160": hex.EncodeToString(scriptHash160(script)), "address": text, "n_tx": len(all), "n_unredeemed": 0,
		"total_received": received, "total_sent": sent, "final_balance": received - sent, "txs": txs}, nil
}

// scriptHash160 is what an address spells out.
func scriptHash160(script []byte) []byte {
	switch {
	case txscript.IsPayToPubKeyHash(script):
		return script[3:23]
	case txscript.IsPayToScriptHash(script):
		return script[2:22]
	}
	return script[2:] // a witness program
}

// render makes the object of a transaction, as the list of a script shows it;
// nil: as it is by itself. It names nothing that it spends.
func (b *BlockchainInfo) render(e *entry, script []byte) map[string]any {
	ins, outs := []any{}, []any{}
	for i, in := range e.tx.TxIn {
		ins = append(ins, b.renderInput(i, in, e.spent[i]))
	}
	_, spent := sums(script, []*entry{e})
	for i, out := range e.tx.TxOut {
		if b.Trims && script != nil && spent == 0 && !bytes.Equal(keyScript(out.PkScript), script) {
			continue
		}
		outs = append(outs, b.renderOut(e.id, uint32(i), out))
	}
	tx := map[string]any{"hash": e.id.String(), "ver": e.tx.Version, "vin_sz": len(e.tx.TxIn), "vout_sz": len(e.tx.TxOut), "size": e.tx.SerializeSize(),
		"weight": weight(e.tx), "fee": e.fee(), "relayed_by": "0.0.0.0", "lock_time": e.tx.LockTime, "tx_index": txIndex(e.id), "double_spend": false,
		"time": 1_700_000_000, "block_index": nil, "block_height": nil, "inputs": ins, "out": outs}
	if e.block != nil { // its time is when this server saw it, which is earlier than the block's
		tx["time"], tx["block_index"], tx["block_height"] = e.block.msg.Header.Timestamp.Unix()-3600, e.block.height, e.block.height
	}
	return tx
}

func (b *BlockchainInfo) renderInput(i int, in *wire.TxIn, spent *wire.TxOut) map[string]any {
	object := map[string]any{"sequence": in.Sequence, "witness": witnessHex(in.Witness), "script": hex.EncodeToString(in.SignatureScript), "index": i, "prev_out": nil}
	if spent != nil {
		object["prev_out"] = b.renderOut(in.PreviousOutPoint.Hash, in.PreviousOutPoint.Index, spent)
	}
	return object
}

// witnessHex is one string, with the counts and lengths of the serialisation.
func witnessHex(witness wire.TxWitness) string {
	if len(witness) == 0 {
		return ""
	}
	var raw bytes.Buffer
	_ = wire.WriteVarInt(&raw, 0, uint64(len(witness))) // a buffer takes everything
	for _, item := range witness {
		_ = wire.WriteVarBytes(&raw, 0, item)
	}
	return hex.EncodeToString(raw.Bytes())
}

func (b *BlockchainInfo) renderOut(id chainhash.Hash, n uint32, out *wire.TxOut) map[string]any {
	s, spent := b.index.spent(wire.OutPoint{Hash: id, Index: n})
	spenders := []any{}
	if spent {
		spenders = append(spenders, map[string]any{"tx_index": txIndex(s.by.id), "n": s.vin})
	}
	object := map[string]any{"type": 0, "spent": spent, "value": out.Value, "spending_outpoints": spenders, "n": n, "tx_index": txIndex(id), "script": hex.EncodeToString(out.PkScript)}
	if address := b.keyAddress(out.PkScript); address != "" {
		object["addr"] = address
	}
	return object
}
