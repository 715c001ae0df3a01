package daemon

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
)

// scene is a chain that has two ends, and a database that has followed it to
// the first of them. Blocks above the fork leave; one more than those take
// their place. Each fate has an address and coins of its own, so that none can
// hide what goes wrong with another. It is built once; each run of it works on
// a copy of the database.
type scene struct {
	t       *testing.T
	params  *chaincfg.Params
	joined  int32 // what is confirmed up to there is from before the watch
	depth   int32 // how many blocks leave
	length  int32 // how many come
	split   int32 // the last height that both have
	ledger  *chaintest.Chain
	wallet  *chaintest.Wallet
	servers []*chaintest.Esplora
	watched []chain.Address // one for each fate, in their order, and one for what stays

	leave, come [][]*wire.MsgTx        // by height above the fork
	coinbases   map[int32][]byte       // whom blocks that leave pay, by height above the fork
	forgotten   []chainhash.Hash       // in nobody's mempool in the end
	sighted     map[chainhash.Hash]int // seen unconfirmed before a block held them

	old, end chainhash.Hash   // the tip that leaves, and the one that stays
	gone     []chainhash.Hash // the blocks that leave, lowest first
	before   *model           // what the chain says up to it
	after    *model           // and in the end
	database string
	made     time.Time // what is later is a run's own
}

// fate is what becomes of a payment. Where the reorganisation is deeper than
// one block, most have one in the lowest and one in the highest that leaves.
type fate struct {
	name string
	make func(s *scene, a chain.Address)
}

func fates() []fate {
	return []fate{
		{"again at the same height", func(s *scene, a chain.Address) {
			s.each(func(at int32) { tx := s.pay(a, at); s.leaves(at, tx); s.comes(min(at, s.length), tx) })
		}},
		{"again at another height", func(s *scene, a chain.Address) {
			s.each(func(at int32) { tx := s.pay(a, at); s.leaves(at, tx); s.comes(s.elsewhere(at), tx) })
		}},
		{"left out and unconfirmed", func(s *scene, a chain.Address) {
			s.each(func(at int32) { s.leaves(at, s.pay(a, at)) })
		}},
		{"left out and known to nobody", func(s *scene, a chain.Address) {
			s.each(func(at int32) { tx := s.pay(a, at); s.leaves(at, tx); s.forgotten = append(s.forgotten, tx.TxHash()) })
		}},
		{"double spent", func(s *scene, a chain.Address) {
			s.each(func(at int32) { // the lowest still pays the address, but less
				tx := s.pay(a, at)
				s.leaves(at, tx)
				to := chaintest.Output{Script: s.stranger(), Value: 20_000}
				if at == 1 {
					to.Script = a.Script
				}
				s.comes(s.elsewhere(at), s.build(chaintest.Payment{Spend: inputs(tx), Outputs: []chaintest.Output{to}}))
			})
		}},
		{"credited again and its debit not", func(s *scene, a chain.Address) {
			credit := s.pay(a, 1)
			s.leaves(1, credit)
			s.leaves(s.depth, s.spend(credit, a))
			s.comes(2, credit)
		}},
		{"coinbases", func(s *scene, a chain.Address) {
			s.each(func(at int32) { s.coinbases[at] = a.Script })
		}},
		{"spent from what left for good", func(s *scene, a chain.Address) {
			credit := s.pay(a, 1)
			s.leaves(1, credit)
			s.leaves(s.depth, s.spend(credit, a))
			s.comes(1, s.build(chaintest.Payment{Spend: inputs(credit), Outputs: []chaintest.Output{{Script: s.stranger(), Value: 20_000}}}))
		}},
	}
}

// newScene builds the scene of a depth.
func newScene(t *testing.T, depth int32) *scene {
	t.Helper()
	s := newFollowed(t, depth)
	s.turn()
	return s
}

// newFollowed builds a scene up to the end of the chain that will leave.
func newFollowed(t *testing.T, depth int32) *scene {
	t.Helper()
	s := &scene{t: t, params: &chaincfg.RegressionNetParams, joined: 149, depth: depth, length: depth + 1}
	s.follow()
	return s
}

// newHeavier builds the scene of four blocks that leave for two with more work.
// The first of them ends a period of the strict network: where it comes fast, the
// next one has to be four times as hard.
func newHeavier(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, params: strict(), joined: 148, depth: 4, length: 2}
	s.follow()
	s.turn()
	return s
}

// begin makes the chain from before the watch, and whom to watch.
func (s *scene) begin() {
	s.leave, s.come = make([][]*wire.MsgTx, s.depth+1), make([][]*wire.MsgTx, s.length+1)
	s.coinbases, s.sighted = map[int32][]byte{}, map[chainhash.Hash]int{}
	s.ledger = chaintest.NewChain()
	began := time.Now().Add(-24 * time.Hour)
	s.ledger.Time = func(height int32) time.Time { return began.Add(time.Duration(height) * time.Minute) }
	s.ledger.MineEmpty(int(s.joined) + 1) // so many that each payment has a coinbase of its own to spend
	s.wallet = chaintest.NewWallet(s.ledger, "")
	for n := range len(fates()) + 1 {
		s.watched = append(s.watched, s.wallet.Address(chain.P2WPKH, n+1))
	}
	for range 2 {
		s.servers = append(s.servers, chaintest.NewEsplora(s.ledger, s.params))
	}
}

// mine adds a block; slow says that it comes long after the one before it. In
// a network without changes of difficulty it makes no difference.
func (s *scene) mine(at int32, slow bool, txs ...*wire.MsgTx) {
	bits, minutes := uint32(easiest), 1
	switch {
	case s.params.PoWNoRetargeting:
		s.ledger.Mine(txs...)
		return
	case slow:
		minutes = 80
	case at > 1:
		bits = fourth
	}
	mineAs(s.ledger, bits, minutes, txs...)
}

// follow lets a database follow the chain to the tip that will leave.
func (s *scene) follow() {
	s.t.Helper()
	s.begin()
	s.database = sqltest.Migrated(s.t)
	l := s.live(s.t.Context(), s.t, s.database, nil)
	defer l.end()
	l.work(l.follow.round)
	l.work(l.ask.fillRound)
	l.work(l.tellList)
	s.ledger.Mine(s.pay(s.watched[len(fates())], 0)) // it stays
	s.split, _ = s.ledger.Tip()
	for i, f := range fates() {
		f.make(s, s.watched[i])
	}
	for at := int32(1); at <= s.depth; at++ {
		if at == s.depth {
			for _, tx := range s.leave[at] {
				s.sighted[s.ledger.AddMempool(tx)]++
			}
			l.work(l.follow.round)
			l.work(l.ask.mempoolRound)
		}
		s.ledger.CoinbaseScript = chaintest.MiningAddress("").Script
		if script := s.coinbases[at]; script != nil {
			s.ledger.CoinbaseScript = script
		}
		s.mine(at, true, s.leave[at]...)
	}
	l.work(l.follow.round)
	l.work(l.ask.mempoolRound)
	s.before = replay(s.t, s.ledger, s.joined, s.watched...)
	_, tip := s.ledger.Tip()
	s.old = tip.BlockHash()
}

// turn gives the chain its other end.
func (s *scene) turn() {
	s.made = time.Now()
	s.ledger.CoinbaseScript = chaintest.MiningAddress("").Script
	for at := range s.depth {
		s.gone = append(s.gone, s.ledger.BlockAt(s.split+1+at).BlockHash())
	}
	s.ledger.Fork(s.split)
	for at, txs := range s.come {
		if at == 0 {
			continue
		}
		if len(txs) > 0 { // a stranger comes first: what is confirmed again has another place
			stranger := s.build(chaintest.Payment{Outputs: []chaintest.Output{{Script: s.stranger(), Value: 5_000}}})
			txs = append([]*wire.MsgTx{stranger}, txs...)
		}
		s.mine(int32(at), false, txs...)
	}
	s.forget()
	_, tip := s.ledger.Tip()
	s.end = tip.BlockHash()
	s.after = replay(s.t, s.ledger, s.joined, s.watched...)
}

// goOn gives the chain one more block, and nothing leaves.
func (s *scene) goOn() {
	s.made = time.Now()
	s.split, s.depth, s.length = s.split+s.depth, 0, 1
	s.leave, s.come, s.forgotten = nil, nil, nil
	stays := s.watched[len(fates())]
	paid := s.ledger.BlockAt(s.joined + 2).Transactions[1]
	s.ledger.CoinbaseScript = s.watched[1].Script
	s.ledger.Mine(s.pay(s.watched[0], 9), s.spend(paid, stays))
	_, tip := s.ledger.Tip()
	s.end = tip.BlockHash()
	s.after = replay(s.t, s.ledger, s.joined, s.watched...)
}

// forget takes out of the mempool what nobody is to know.
func (s *scene) forget() {
	for _, id := range s.forgotten {
		s.ledger.DropMempool(id)
	}
}

// each gives the lowest and the highest of the blocks that leave.
func (s *scene) each(do func(at int32)) {
	do(1)
	if s.depth > 1 {
		do(s.depth)
	}
}

// elsewhere is a height above the fork that is not the given one.
func (s *scene) elsewhere(at int32) int32 {
	if at == 1 {
		return s.length
	}
	return 1
}

func (s *scene) leaves(at int32, tx *wire.MsgTx) { s.leave[at] = append(s.leave[at], tx) }
func (s *scene) comes(at int32, tx *wire.MsgTx)  { s.come[at] = append(s.come[at], tx) }

func (s *scene) build(p chaintest.Payment) *wire.MsgTx {
	s.t.Helper()
	tx, err := s.wallet.Build(context.Background(), p)
	if err != nil {
		s.t.Fatal(err)
	}
	return tx
}

func (s *scene) pay(a chain.Address, at int32) *wire.MsgTx {
	s.t.Helper()
	return s.build(chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: 30_000 + int64(at)}}})
}

// spend sends what a payment brought on to a stranger.
func (s *scene) spend(tx *wire.MsgTx, a chain.Address) *wire.MsgTx {
	s.t.Helper()
	return s.build(chaintest.Payment{Spend: outpoints(tx, a.Script), Outputs: []chaintest.Output{{Script: s.stranger(), Value: 25_000}}, NoChange: true})
}

func (s *scene) stranger() []byte { return s.wallet.Address(chain.P2TR, 99).Script }

func inputs(tx *wire.MsgTx) []wire.OutPoint {
	var all []wire.OutPoint
	for _, in := range tx.TxIn {
		all = append(all, in.PreviousOutPoint)
	}
	return all
}

// listings are the watch list of the scene.
func (s *scene) listings() []watchlist.Listing {
	var all []watchlist.Listing
	for n, a := range s.watched {
		all = append(all, watchlist.Listing{Address: a, Label: fmt.Sprint("address ", n), Basis: watchlist.Press})
	}
	return all
}

// block is one of either end of the chain.
func (s *scene) block(hash chainhash.Hash) *wire.MsgBlock {
	block := new(wire.MsgBlock)
	if err := block.Deserialize(bytes.NewReader(must(s.ledger.RawBlock(context.Background(), hash)))); err != nil {
		s.t.Fatal(err)
	}
	return block
}
