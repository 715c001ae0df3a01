package explorer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// scene is a chain in which something of everything happened, and what a
// truthful explorer shows of it. What is expected is what was built, not what
// any server or adapter makes of it.
type scene struct {
	chain *chaintest.Chain

	busy  chain.Address // was paid, paid, and has two unconfirmed transactions
	long  chain.Address // has a history of many pages, and an unconfirmed payment
	empty chain.Address // was never used
	bare  chain.Address // its bare public key was paid, and it was not

	paid, spent     *wire.MsgTx   // confirmed at busy: in, and out again
	pending, child  *wire.MsgTx   // unconfirmed at busy: in, and out again
	elsewhere       *wire.MsgTx   // unconfirmed at long
	history         []*wire.MsgTx // of long, oldest first
	toKey           *wire.MsgTx   // pays the bare public key
	paidAt, spentAt int32         // heights
}

const (
	paidValue    = 50_000_123 // satoshis; no other number in the scene looks like it
	historyCount = 130
)

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{chain: chaintest.NewChain()}
	s.chain.MineEmpty(110)
	wallet := chaintest.NewWallet(s.chain, "")
	s.busy, s.long = wallet.Address(chain.P2WPKH, 1), wallet.Address(chain.P2WPKH, 2)
	s.empty, s.bare = wallet.Address(chain.P2WPKH, 3), wallet.Address(chain.P2PKH, 4)
	other := wallet.Address(chain.P2SH, 5).Script
	send := func(p chaintest.Payment) *wire.MsgTx {
		t.Helper()
		tx, err := wallet.Send(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	pay := func(script []byte, value int64) *wire.MsgTx {
		return send(chaintest.Payment{Outputs: []chaintest.Output{{Script: script, Value: value}}})
	}
	spend := func(tx *wire.MsgTx, value int64) *wire.MsgTx {
		return send(chaintest.Payment{Spend: []wire.OutPoint{{Hash: tx.TxHash()}}, Outputs: []chaintest.Output{{Script: other, Value: value}}})
	}
	s.paid = pay(s.busy.Script, paidValue)
	s.chain.MineMempool()
	s.paidAt, _ = s.chain.Tip()
	s.spent = spend(s.paid, 20_000_000)
	s.chain.MineMempool()
	s.spentAt, _ = s.chain.Tip()
	s.history = s.chain.History(s.long.Script, historyCount)
	s.toKey = pay(wallet.BareKey(4), 33_333)
	s.chain.MineMempool()
	s.chain.MineEmpty(3)
	s.pending = pay(s.busy.Script, 777_777)
	s.child = spend(s.pending, 700_000)
	s.elsewhere = pay(s.long.Script, 123_456)
	return s
}

func (s *scene) height() int32 {
	height, _ := s.chain.Tip()
	return height
}

func (s *scene) blockAt(height int32) chainhash.Hash { return s.chain.BlockAt(height).BlockHash() }

// place finds the block of a transaction by looking into all of them.
func (s *scene) place(t *testing.T, id chainhash.Hash) *chain.Place {
	t.Helper()
	for height := s.height(); height >= 0; height-- {
		block := s.chain.BlockAt(height)
		if slices.ContainsFunc(block.Transactions, func(tx *wire.MsgTx) bool { return tx.TxHash() == id }) {
			return &chain.Place{Height: height, Block: block.BlockHash(), Time: block.Header.Timestamp.UTC()}
		}
	}
	t.Fatalf("the scene has no block with %s", id)
	return nil
}

// ids gives the ids of transactions, sorted.
func ids(txs ...*wire.MsgTx) (all []string) {
	for _, tx := range txs {
		all = append(all, tx.TxHash().String())
	}
	slices.Sort(all)
	return all
}

func told(txs []*chain.Transaction) (all []string) {
	for _, tx := range txs {
		all = append(all, tx.ID.String())
	}
	slices.Sort(all)
	return all
}

// instead makes a server understand one thing where another is asked for, in
// whatever way a kind spells it.
func instead(pairs ...string) func(string) string {
	return func(text string) string { return strings.NewReplacer(pairs...).Replace(text) }
}

// hashes spells two hashes, as shown and as on the wire.
func hashes(one, other chainhash.Hash) []string {
	return []string{one.String(), other.String(), hex.EncodeToString(one[:]), hex.EncodeToString(other[:])}
}

// addresses spells two addresses: as text, script, and the two forms of a
// script's hash.
func addresses(one, other chain.Address) (all []string) {
	all = append(all, one.Text, other.Text)
	spell := func(a chain.Address) []string {
		hash := sha256.Sum256(a.Script)
		reversed := bytes.Clone(hash[:])
		slices.Reverse(reversed)
		return []string{hex.EncodeToString(a.Script), hex.EncodeToString(hash[:]), hex.EncodeToString(reversed)}
	}
	for i, text := range spell(one) {
		all = append(all, text, spell(other)[i])
	}
	return all
}

// amounts spells two amounts: in satoshis, in bitcoin, and as in a raw
// transaction.
func amounts(one, other int64) []string {
	spell := func(n int64) []string {
		return []string{strconv.FormatInt(n, 10), "0." + strconv.FormatInt(n, 10), hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, uint64(n)))}
	}
	var all []string
	for i, text := range spell(one) {
		all = append(all, text, spell(other)[i])
	}
	return all
}

// paymentTo is a transaction of its own that pays a script so much.
func paymentTo(script []byte, value int64) *wire.MsgTx {
	tx := payment(value).Msg
	tx.TxOut[0].PkScript = script
	return tx
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
