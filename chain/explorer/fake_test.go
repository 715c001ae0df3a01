package explorer

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"go.uber.org/goleak"

	"btcwatch/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched is a P2PKH address of the mainnet; its script is written out by hand.
func watched() chain.Address {
	script := unhex("76a9140fe12b8604250a155ee986a29c2955352c720e6488ac")
	return chain.Address{Text: "12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk", Kind: chain.P2PKH, Script: script}
}

// payment is a transaction that pays the watched script n satoshis, spending
// n+1000 of a made-up output.
func payment(n int64) *chain.Transaction {
	msg := wire.NewMsgTx(2)
	var previous chainhash.Hash
	binary.LittleEndian.PutUint64(previous[:], uint64(n)+1)
	msg.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: previous, Index: 3}, SignatureScript: []byte{1, 2}, Sequence: 0xfffffffd})
	msg.AddTxOut(&wire.TxOut{Value: n, PkScript: watched().Script})
	return &chain.Transaction{ID: msg.TxHash(), Msg: msg, Spent: []*wire.TxOut{{Value: n + 1000, PkScript: []byte{0x51}}}}
}

// confirmed puts a transaction into a made-up block at a height.
func confirmed(tx *chain.Transaction, height int32) *chain.Transaction {
	placed := *tx
	placed.Place = &chain.Place{Height: height, Block: blockHashAt(height, 0), Time: time.Unix(1_600_000_000+int64(height), 0).UTC(), Index: -1}
	return &placed
}

func blockHashAt(height int32, branch byte) chainhash.Hash {
	var hash chainhash.Hash
	binary.LittleEndian.PutUint32(hash[:], uint32(height))
	hash[8] = branch
	return hash
}

// payments gives the newest first: n transactions, two to a height, the lowest
// at height 100.
func payments(n int) []*chain.Transaction {
	var txs []*chain.Transaction
	for i := n - 1; i >= 0; i-- {
		txs = append(txs, confirmed(payment(int64(1000+i)), int32(100+i/2)))
	}
	return txs
}

// stated writes a transaction as an Esplora does, by encoding/json.
func stated(tx *chain.Transaction) map[string]any {
	ins, outs := []any{}, []any{}
	for i, in := range tx.Msg.TxIn {
		stated := map[string]any{"txid": in.PreviousOutPoint.Hash.String(), "vout": in.PreviousOutPoint.Index,
			"scriptsig": hex.EncodeToString(in.SignatureScript), "sequence": in.Sequence, "prevout": nil,
			"is_coinbase": tx.Spent[i] == nil && in.PreviousOutPoint.Index == 0xffffffff}
		if spent := tx.Spent[i]; spent != nil {
			stated["prevout"] = statedOutput(spent)
		}
		if len(in.Witness) > 0 {
			var witness []string
			for _, item := range in.Witness {
				witness = append(witness, hex.EncodeToString(item))
			}
			stated["witness"] = witness
		}
		ins = append(ins, stated)
	}
	for _, out := range tx.Msg.TxOut {
		outs = append(outs, statedOutput(out))
	}
	size := tx.Msg.SerializeSize()
	return map[string]any{"txid": tx.ID.String(), "version": uint32(tx.Msg.Version), "locktime": tx.Msg.LockTime, "vin": ins, "vout": outs,
		"size": size, "weight": size + 3*tx.Msg.SerializeSizeStripped(), "sigops": 4, "fee": 1000, "status": statedPlace(tx.Place)}
}

func statedOutput(out *wire.TxOut) map[string]any {
	return map[string]any{"scriptpubkey": hex.EncodeToString(out.PkScript), "scriptpubkey_asm": "OP_…", "value": out.Value}
}

func statedPlace(place *chain.Place) map[string]any {
	if place == nil {
		return map[string]any{"confirmed": false}
	}
	return map[string]any{"confirmed": true, "block_height": place.Height, "block_hash": place.Block.String(), "block_time": place.Time.Unix()}
}

func asJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

func listed(txs []*chain.Transaction) []byte {
	all := []any{}
	for _, tx := range txs {
		all = append(all, stated(tx))
	}
	return asJSON(all)
}

// electrs is a small server after explorer-apis.md §1: the confirmed
// transactions of one address in their true order, newest first.
type electrs struct {
	mu       sync.Mutex
	chain    []*chain.Transaction
	mempool  []*chain.Transaction
	pageSize int
	present  func(page []*chain.Transaction) []*chain.Transaction // how a page comes out
	asked    []string
	before   func(path string) // called before each answer, with the lock held
}

func (s *electrs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.Path)
	if s.before != nil {
		s.before(r.URL.Path)
	}
	if body, ok := s.answer(strings.Split(strings.Trim(r.URL.Path, "/"), "/")); ok {
		w.Write(body)
		return
	}
	http.Error(w, "Transaction not found", http.StatusNotFound)
}

func (s *electrs) answer(path []string) (body []byte, ok bool) {
	last := path[len(path)-1]
	switch {
	case path[0] == "address" && len(path) >= 4 && path[3] == "chain":
		if len(path) == 5 {
			return listed(s.after(last)), true
		}
		return listed(s.page(s.chain)), true
	case path[0] == "address" && last == "mempool":
		return listed(s.mempool), true
	case path[0] == "tx" && last == "status":
		for _, tx := range s.chain {
			if tx.ID.String() == path[1] {
				return asJSON(statedPlace(tx.Place)), true
			}
		}
		return []byte(`{"confirmed":false}`), true // of a txid never seen as well
	case path[0] == "tx" && len(path) == 2:
		for _, tx := range append(s.chain, s.mempool...) {
			if tx.ID.String() == path[1] {
				return asJSON(stated(tx)), true
			}
		}
	}
	return nil, false
}

// after skips to the cursor and past it; an unknown cursor skips everything,
// one that is no txid skips nothing.
func (s *electrs) after(cursor string) []*chain.Transaction {
	if len(cursor) != 64 {
		return s.page(s.chain)
	}
	for i, tx := range s.chain {
		if tx.ID.String() == cursor {
			return s.page(s.chain[i+1:])
		}
	}
	return nil
}

func (s *electrs) page(rest []*chain.Transaction) []*chain.Transaction {
	size := s.pageSize
	if size == 0 {
		size = 25
	}
	page := append([]*chain.Transaction{}, rest[:min(size, len(rest))]...)
	if s.present != nil {
		page = s.present(page)
	}
	return page
}

// paths are the requests that came, and how many.
func (s *electrs) paths() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.asked...)
}

// opened is an Esplora at the address of a handler, without a pace.
func opened(t testing.TB, handler http.Handler, change ...func(*Settings)) *Explorer {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return openedAt(t, server.URL, change...)
}

func openedAt(t testing.TB, url string, change ...func(*Settings)) *Explorer {
	t.Helper()
	s := Settings{Name: "witness", Kind: "esplora", URL: url}
	for _, c := range change {
		c(&s)
	}
	e, err := Open(s, &chaincfg.MainNetParams)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// fakeClock stands still but when somebody sleeps.
type fakeClock struct {
	mu    sync.Mutex
	at    time.Time
	slept []time.Duration
}

func newFakeClock(p *Pace) *fakeClock {
	c := &fakeClock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	p.now, p.sleep, p.chance = c.now, c.sleep, func() float64 { return 0 }
	return c
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *fakeClock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > 0 {
		c.at = c.at.Add(d)
		c.slept = append(c.slept, d)
	}
	return ctx.Err()
}

func text(format string, args ...any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, format, args...) }
}

func unhex(text string) []byte {
	data, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return data
}

// openedOn is an explorer of a kind at the address of a handler.
func openedOn(t testing.TB, handler http.Handler, kind string, params *chaincfg.Params) *Explorer {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	url := server.URL
	if kind == "blockbook" {
		url += "/api/v2"
	}
	e, err := Open(Settings{Name: "witness", Kind: kind, URL: url}, params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// rawOf gives the bytes of a transaction or block.
func rawOf(of interface{ Serialize(w io.Writer) error }) []byte {
	var raw bytes.Buffer
	if err := of.Serialize(&raw); err != nil {
		panic(err) // a buffer takes everything
	}
	return raw.Bytes()
}
