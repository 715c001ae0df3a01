package chaintest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// The answers that are no transactions have the keys and types of real ones.
func TestAnswersHaveRecordedShapes(t *testing.T) {
	ctx := t.Context()
	c, w := funded(t)
	b := serve(t, NewEsplora(c, c.Params()))
	a := w.Address(chain.P2WPKH, 1)
	at := "/address/" + a.Text
	read := func(elem ...string) []byte { return recorded.Read(t, append([]string{"recorded"}, elem...)...) }
	like := func(path string, want []byte) {
		t.Helper()
		wantShape(t, path, b.ok(path), want)
	}

	like(at, read("regtest/s0-empty/electrs_address.json"))
	like(at+"/txs", read("regtest/s0-empty/electrs_address_txs.json"))
	like(at+"/utxo", read("regtest/s0-empty/electrs_address_utxo.json"))

	tx := must(w.Pay(ctx, Output{a.Script, 5000}))
	id := "/tx/" + tx.TxHash().String()
	like(at, read("regtest/s1-unconfirmed/electrs_address.json"))
	like(at+"/txs", read("regtest/s1-unconfirmed/electrs_address_txs.json"))
	like(at+"/txs/mempool", read("regtest/s1-unconfirmed/electrs_address_txs_mempool.json"))
	like(at+"/utxo", read("regtest/s1-unconfirmed/electrs_address_utxo.json"))
	like(id, read("regtest/s1-unconfirmed/electrs_tx.json"))
	like(id+"/status", read("regtest/s1-unconfirmed/electrs_tx_status.json"))
	like(id+"/outspends", read("regtest/s1-unconfirmed/electrs_tx_outspends.json"))
	if n := len(b.txs(at + "/txs")); n != 2 {
		t.Errorf("/txs has the unconfirmed transaction %d times, mempool/electrs twice", n)
	}

	block := c.MineMempool()
	like(at, read("regtest/s3-confirmed/electrs_address.json"))
	like(at+"/txs", read("regtest/s3-confirmed/electrs_address_txs.json"))
	like(at+"/utxo", read("regtest/s3-confirmed/electrs_address_utxo.json"))
	like(id, read("regtest/s3-confirmed/electrs_tx.json"))
	like(id+"/status", read("mempool/tx_status.json"))
	like(id+"/merkle-proof", read("mempool/merkle_proof_15e10745.json"))
	like("/block/"+block.BlockHash().String(), read("mempool/block.json"))
	c.MineEmpty(1)
	like("/block/"+block.BlockHash().String()+"/status", read("mempool/block_status.json"))

	must(w.Send(ctx, Payment{Spend: []wire.OutPoint{{Hash: tx.TxHash()}, {Hash: tx.TxHash(), Index: 1}}, Fee: 500}))
	like(id+"/outspend/0", []byte(`{"spent":true,"txid":"","vin":0,"status":{"confirmed":false}}`))
	c.MineMempool()
	like(id+"/outspend/0", read("mempool/outspend_15e10745_3.json"))
	like(id+"/outspends", read("esplora/outspends_breez_4da22eff.json"))
}

func TestErrorsAreElectrs(t *testing.T) {
	c := NewChain()
	b := serve(t, NewEsplora(c, c.Params()))
	read := func(name string) string { return string(recorded.Read(t, "recorded", "regtest", "errors", name)) }
	const unknown = "00000000000000000000000000000000000000000000000000000000000000ff"
	const mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"

	b.want("/address/nonsense", 400, read("electrs_badaddr"))
	b.want("/address/"+mainnet, 400, read("electrs_mainnetaddr"))
	b.want("/address/"+mainnet+"/txs", 400, read("electrs_mainnet_txs"))
	b.want("/address/1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa/txs", 400, "Address on invalid network")
	b.want("/address/0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", 400, "Invalid Bitcoin address")
	b.want("/tx/"+unknown, 404, "Transaction not found")
	b.want("/tx/"+unknown+"/hex", 404, "Transaction not found")
	b.want("/tx/"+unknown+"/outspends", 404, "Transaction not found")
	b.want("/tx/"+unknown+"/merkle-proof", 404, "Transaction not found or is unconfirmed")
	b.want("/tx/"+unknown+"/status", 200, `{"confirmed":false}`)
	b.want("/tx/"+unknown+"/outspend/3", 200, `{"spent":false}`)
	b.want("/tx/zz", 400, "Invalid hex string")
	b.want("/block-height/1", 404, "Block not found")
	b.want("/block-height/x", 400, "Invalid number")
	b.want("/block/"+unknown, 404, "Block not found")
	b.want("/block/"+unknown+"/raw", 404, "Block not found")
	b.want("/block/"+unknown+"/status", 200, `{"in_best_chain":false,"height":null,"next_best":null}`)
	b.want("/no/such", 404, `endpoint does not exist "/no/such"`)
}

func TestHistoryPages(t *testing.T) {
	c := NewChain()
	a := NewWallet(c, "").Address(chain.P2WPKH, 1)
	txs := c.History(a.Script, 103)
	e := NewEsplora(c, c.Params())
	b := serve(t, e)
	at := "/address/" + a.Text

	want := ids(txs...)
	slices.Reverse(want)
	var got []chainhash.Hash
	for path := at + "/txs/chain"; ; path = at + "/txs/chain/" + got[len(got)-1].String() {
		page := idsOf(b.txs(path))
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d, want %d, or in another order", len(got), len(want))
	}
	// A cursor of which electrs knows nothing, or nothing at this address.
	b.want(at+"/txs/chain/"+strings.Repeat("0f", 32), 200, "[]")
	b.want(at+"/txs/chain/"+c.BlockAt(1).Transactions[0].TxHash().String(), 200, "[]")
	// A cursor that is no hash counts as none.
	if got := idsOf(b.txs(at + "/txs/chain/xyz")); !slices.Equal(got, want[:25]) {
		t.Error("an unreadable cursor does not give the first page")
	}
	if got := idsOf(b.txs(at + "/txs")); !slices.Equal(got, want[:50]) {
		t.Errorf("/txs has %d", len(got))
	}
	spent, sum := int64(0), int64(0)
	for i := range txs {
		sum += int64(1000 + i)
		if i%4 == 3 {
			spent += int64(1000 + i - 1)
		}
	}
	if got := b.stats(a.Text); got != [2][5]int64{{103, sum, 25, spent, 103}, {}} {
		t.Errorf("stats: %v, want %d and %d", got, sum, spent)
	}
	key := sha256.Sum256(a.Script)
	if got := idsOf(b.txs(fmt.Sprintf("/scripthash/%x/txs/chain", key))); !slices.Equal(got, want[:25]) {
		t.Error("the script hash has another history")
	}
	e.Unordered = true
	if got := b.txs(at + "/txs/chain"); got[0].TxID != want[24] || got[24].TxID != want[0] {
		t.Error("the page is in order")
	}
}

func TestMempoolIsCappedOldestFirst(t *testing.T) {
	c, w := funded(t)
	a := w.Address(chain.P2WPKH, 1)
	c.MineEmpty(40)
	var want []*wire.MsgTx
	for i := range 60 {
		want = append(want, must(w.Pay(t.Context(), Output{a.Script, int64(1000 + i)})))
	}
	b := serve(t, NewEsplora(c, c.Params()))
	at := "/address/" + a.Text
	if got := idsOf(b.txs(at + "/txs/mempool")); !slices.Equal(got, ids(want[:50]...)) {
		t.Errorf("the mempool list has %d", len(got))
	}
	if n := len(b.txs(at + "/txs")); n != 100 {
		t.Errorf("/txs has %d, mempool/electrs 100", n)
	}
	blockstream := NewEsplora(c, c.Params())
	blockstream.Flavour = BlockstreamElectrs
	s := serve(t, blockstream)
	c.Mine(want[:30]...)
	if got := idsOf(s.txs(at + "/txs")); len(got) != 30+25 || got[0] != want[30].TxHash() {
		t.Errorf("Blockstream's /txs has %d", len(got))
	}
	if strings.Contains(string(s.ok(at+"/txs")), "sigops") {
		t.Error("Blockstream's electrs counts no sigops")
	}
	if got := b.stats(a.Text); got[0][4] != 30 || got[1][4] != 30 {
		t.Errorf("stats: %v", got)
	}
}

// The server's index must be the same after a reorg as one that never saw it.
func TestReorgLeavesNoTrace(t *testing.T) {
	ctx := t.Context()
	c, w := funded(t)
	old := NewEsplora(c, c.Params())
	b := serve(t, old)
	a := w.Address(chain.P2TR, 1)
	first := must(w.Pay(ctx, Output{a.Script, 9000}))
	c.MineMempool()
	spend := must(w.Send(ctx, Payment{Spend: []wire.OutPoint{{Hash: first.TxHash()}}, Fee: 300, Change: a.Script}))
	c.MineMempool()
	stale := c.BlockAt(122).BlockHash()
	b.ok("/address/" + a.Text)
	other := must(w.Pay(ctx, Output{a.Script, 100}))
	c.Reorg(2, other)

	fresh := serve(t, NewEsplora(c, c.Params()))
	paths := []string{"/blocks/tip/hash", "/block-height/121"}
	for _, rest := range []string{"", "/txs", "/txs/chain", "/txs/mempool", "/utxo"} {
		paths = append(paths, "/address/"+a.Text+rest)
	}
	for _, tx := range []*wire.MsgTx{first, spend, other} {
		for _, rest := range []string{"", "/status", "/outspends", "/merkle-proof"} {
			paths = append(paths, "/tx/"+tx.TxHash().String()+rest)
		}
	}
	for _, path := range paths {
		status, body := fresh.get(path)
		b.want(path, status, body)
	}
	b.want("/block/"+stale.String(), 404, "Block not found")
	b.want("/block/"+stale.String()+"/status", 200, `{"in_best_chain":false,"height":null,"next_best":null}`)
	if raw := b.ok("/block/" + stale.String() + "/raw"); len(raw) < 100 {
		t.Error("the stale block's bytes are gone")
	}
}

func TestBlocksProveTheirTransactions(t *testing.T) {
	c := NewChain()
	a := NewWallet(c, "").Address(chain.P2SH, 1)
	txs := c.History(a.Script, 37)
	b := serve(t, NewEsplora(c, c.Params()))
	height, block := c.Tip()
	at := "/block/" + block.BlockHash().String()
	b.want("/blocks/tip/hash", 200, block.BlockHash().String())
	raw := b.ok(at + "/raw")
	if got := chainhash.DoubleHashH(raw[:80]); got != block.BlockHash() || len(raw) != block.SerializeSize() {
		t.Errorf("the raw block is %s, %d bytes", got, len(raw))
	}
	b.want(at+"/header", 200, fmt.Sprintf("%x", raw[:80]))
	var listed []chainhash.Hash
	decode(t, b.ok(at+"/txids"), &listed)
	if !slices.Equal(listed, ids(block.Transactions...)) {
		t.Errorf("txids: %v", listed)
	}
	for i, tx := range txs {
		var proof struct {
			Height int32 `json:"block_height"`
			Merkle []chainhash.Hash
			Pos    int
		}
		id := tx.TxHash()
		decode(t, b.ok("/tx/"+id.String()+"/merkle-proof"), &proof)
		if proof.Height != height || proof.Pos != i+1 || len(proof.Merkle) != 6 {
			t.Fatalf("proof %d: %+v", i, proof)
		}
		for p, sibling := i+1, 0; sibling < len(proof.Merkle); p, sibling = p/2, sibling+1 {
			left, right := id, proof.Merkle[sibling]
			if p%2 == 1 {
				left, right = right, left
			}
			id = blockchain.HashMerkleBranches(&left, &right)
		}
		if id != block.Header.MerkleRoot {
			t.Fatalf("the proof of %d leads to %s", i, id)
		}
	}
	var summary struct {
		Mediantime int64
		Previous   *string `json:"previousblockhash"`
		Difficulty float64
	}
	decode(t, b.ok(at), &summary)
	if want := c.BlockAt(1).Header.Timestamp.Unix(); summary.Mediantime != want { // of the heights 0, 1 and 2
		t.Errorf("mediantime %d, want %d", summary.Mediantime, want)
	}
	if summary.Difficulty != 4.6565423739069247e-10 { // Bitcoin Core's for regtest
		t.Errorf("difficulty %g", summary.Difficulty)
	}
	decode(t, b.ok("/block/"+c.BlockAt(0).BlockHash().String()), &summary)
	if summary.Previous != nil {
		t.Errorf("the genesis block follows %s", *summary.Previous)
	}
}

func TestFreezeKeepsTheTip(t *testing.T) {
	c := NewChain()
	e := NewEsplora(c, c.Params())
	b := serve(t, e)
	c.MineEmpty(2)
	e.Freeze()
	c.MineEmpty(2)
	b.want("/blocks/tip/height", 200, "2")
	e.Thaw()
	b.want("/blocks/tip/height", 200, "4")
}

// Mainnet's addresses over our own blocks.
func TestMainnetAddresses(t *testing.T) {
	c := NewChain()
	const text = "3HoWzYwaBbTg7sKGtHz3pAZxdHZoXUJRvG"
	script := unhex(t, "a914b0bcc6231eb0f3085e515b417baec77639120c6c87")
	c.History(script, 3)
	b := serve(t, NewEsplora(c, &chaincfg.MainNetParams))
	if got := b.stats(text); got[0][4] != 3 || got[0][1] != 3003 {
		t.Errorf("stats: %v", got)
	}
	var txs []struct {
		Vout []struct {
			Address string `json:"scriptpubkey_address"`
		}
	}
	decode(t, b.ok("/address/"+text+"/txs/chain"), &txs)
	if txs[0].Vout[0].Address != text {
		t.Errorf("paid %s", txs[0].Vout[0].Address)
	}
}

func TestAssemblerOddScripts(t *testing.T) {
	for script, want := range map[string]string{
		"":                       "",
		"00":                     "OP_0",
		"4f5160":                 "OP_PUSHNUM_NEG1 OP_PUSHNUM_1 OP_PUSHNUM_16",
		"4c03aabbcc":             "OP_PUSHDATA1 aabbcc",
		"4d0200aabb":             "OP_PUSHDATA2 aabb",
		"4c00":                   "OP_PUSHDATA1",
		"4d05":                   "<unexpected end>",
		"03aabb":                 "OP_PUSHBYTES_3 <push past end>",
		"b1b2":                   "OP_CLTV OP_CSV",
		"6a":                     "OP_RETURN",
		"fe":                     "OP_RETURN_254",
		"76a90261ff88ac":         "OP_DUP OP_HASH160 OP_PUSHBYTES_2 61ff OP_EQUALVERIFY OP_CHECKSIG",
		"512102aa":               "OP_PUSHNUM_1 OP_PUSHBYTES_33 <push past end>",
		"6382012088a820aa":       "OP_IF OP_SIZE OP_PUSHBYTES_1 20 OP_EQUALVERIFY OP_SHA256 OP_PUSHBYTES_32 <push past end>",
		"00634d08020061":         "OP_0 OP_IF OP_PUSHDATA2 <push past end>",
		"5152ae5354af":           "OP_PUSHNUM_1 OP_PUSHNUM_2 OP_CHECKMULTISIG OP_PUSHNUM_3 OP_PUSHNUM_4 OP_CHECKMULTISIGVERIFY",
		"0400000000617500677568": "OP_PUSHBYTES_4 00000000 OP_NOP OP_DROP OP_0 OP_ELSE OP_DROP OP_ENDIF",
	} {
		if got := newAssembler().text(unhex(t, script)); got != want {
			t.Errorf("%s: got %q, want %q", script, got, want)
		}
	}
}

// A history of 10,000 in pages of 25, as a client reads it.
func BenchmarkHistory10000(b *testing.B) {
	c := NewChain()
	a := NewWallet(c, "").Address(chain.P2WPKH, 1)
	c.History(a.Script, 10_000)
	e := NewEsplora(c, c.Params())
	if err := e.Sync(context.Background()); err != nil {
		b.Fatal(err)
	}
	url, stop := e.Serve()
	defer stop()
	b.ReportAllocs()
	for b.Loop() {
		n, path := 0, "/address/"+a.Text+"/txs/chain"
		for {
			page := getForBenchmark(b, url+path)
			var txs []struct{ TxID string }
			if err := json.Unmarshal(page, &txs); err != nil {
				b.Fatal(err)
			}
			if len(txs) == 0 {
				break
			}
			n += len(txs)
			path = "/address/" + a.Text + "/txs/chain/" + txs[len(txs)-1].TxID
		}
		if n != 10_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkMakeHistory10000(b *testing.B) {
	script := NewWallet(NewChain(), "").Address(chain.P2WPKH, 1).Script
	for b.Loop() {
		c := NewChain()
		c.History(script, 10_000)
		if err := NewEsplora(c, c.Params()).Sync(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// The list of blocks is ten long and goes down.
func TestBlockList(t *testing.T) {
	c := NewChain()
	b := serve(t, NewEsplora(c, c.Params()))
	c.MineEmpty(25)
	for _, want := range []struct {
		path         string
		first, count int32
	}{{"/blocks", 25, 10}, {"/blocks/25", 25, 10}, {"/blocks/13", 13, 10}, {"/blocks/4", 4, 5}, {"/blocks/0", 0, 1}, {"/blocks/500", 25, 10}, {"/blocks/none", 25, 10}} {
		var list []struct {
			ID     string
			Height int32
		}
		decode(t, b.ok(want.path), &list)
		if len(list) != int(want.count) {
			t.Errorf("%s has %d blocks", want.path, len(list))
			continue
		}
		for i, block := range list {
			if height := want.first - int32(i); block.Height != height || block.ID != c.BlockAt(height).BlockHash().String() {
				t.Errorf("%s, block %d is %+v", want.path, i, block)
			}
		}
	}
}
