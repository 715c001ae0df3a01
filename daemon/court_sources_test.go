package daemon

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain/chaintest"
)

// Lies that are told by showing another chain or mempool than there is: all that
// an explorer says then fits together, in whatever shape it says it.

// shows lets an explorer see the world through a mask.
func (s *court) shows(w *witness, m *mask) bool {
	m.Source = s.ledger
	w.follow(m)
	return true
}

// ofNews says whether a block came after the watch began. The first of all
// states no height, but words.
func ofNews(height int32) bool { return height > courtJoined && height < 1_000 }

// inventedInThePast puts a payment that never was into a block long covered.
func inventedInThePast(s *court, w *witness) bool {
	tx := s.forge("past of "+w.name, 7_000_001, s.a, s.b)
	return s.shows(w, &mask{block: func(height int32, b *wire.MsgBlock) {
		if height == 113 {
			b.Transactions = append(b.Transactions, tx)
		}
	}})
}

// inventedInNews puts one into each new block, under its true header.
func inventedInNews(s *court, w *witness) bool {
	tx := s.forge("news of "+w.name, 7_000_002, s.a, s.b)
	return s.shows(w, &mask{block: func(height int32, b *wire.MsgBlock) {
		if ofNews(height) {
			b.Transactions = append(b.Transactions, tx)
		}
	}})
}

// leftOutOfNews leaves every payment out of new blocks, under the true header.
func leftOutOfNews(s *court, w *witness) bool {
	return s.shows(w, &mask{block: func(height int32, b *wire.MsgBlock) {
		if ofNews(height) {
			b.Transactions = b.Transactions[:1]
		}
	}})
}

// leftOutOfThePast knows nothing of what was paid to an address that is listed
// while it lies.
func leftOutOfThePast(s *court, w *witness) bool {
	defer s.list()
	return s.shows(w, &mask{block: func(height int32, b *wire.MsgBlock) {
		if !ofNews(height) {
			b.Transactions = slices.DeleteFunc(b.Transactions, func(tx *wire.MsgTx) bool { return len(outpoints(tx, s.late.Script)) > 0 })
		}
	}})
}

// list puts the address that was paid before the watch on the list.
func (s *court) list() {
	if len(s.world.config.Watch) == 3 {
		return
	}
	s.world.watch(s.late, "late")
	must(s.l.store.SyncConfig(s.world.t.Context(), s.world.config.Watch))
}

// mempoolEmpty shows nothing that is unconfirmed.
func mempoolEmpty(s *court, w *witness) bool {
	return s.shows(w, &mask{pool: func([]*wire.MsgTx) []*wire.MsgTx { return nil }})
}

// mempoolInvented shows an unconfirmed payment of its own invention.
func mempoolInvented(s *court, w *witness) bool {
	tx := s.forge("mempool of "+w.name, 7_000_003, s.a, s.b)
	return s.shows(w, &mask{pool: func(txs []*wire.MsgTx) []*wire.MsgTx { return append(txs, tx) }})
}

// mempoolColluding shows the same invented payment as every other liar.
func mempoolColluding(s *court, w *witness) bool {
	tx := s.forge("mempool of all", 7_000_004, s.a, s.b)
	return s.shows(w, &mask{pool: func(txs []*wire.MsgTx) []*wire.MsgTx { return append(txs, tx) }})
}

// pastColluding shows the same invented past as every other liar.
func pastColluding(s *court, w *witness) bool {
	tx := s.forge("past of all", 7_000_005, s.a, s.b)
	return s.shows(w, &mask{block: func(height int32, b *wire.MsgBlock) {
		if height == 112 {
			b.Transactions = append(b.Transactions, tx)
		}
	}})
}

// dust shows a dozen unconfirmed payments of dust.
func dust(s *court, w *witness) bool {
	var all []*wire.MsgTx
	for i := range 12 {
		all = append(all, s.forge(w.name+" dust "+string(rune('0'+i)), 546, s.a))
	}
	return s.shows(w, &mask{pool: func(txs []*wire.MsgTx) []*wire.MsgTx { return append(all, txs...) }})
}

// amountInNews has other amounts in new blocks, with a header and work of its
// own, under the name of the true one.
func amountInNews(s *court, w *witness) bool {
	return s.shows(w, &mask{block: func(height int32, b *wire.MsgBlock) {
		if ofNews(height) {
			b.Transactions[len(b.Transactions)-1].TxOut[0].Value += 1_000_000
			chaintest.Seal(b)
		}
	}})
}

// twice has the last transaction of new blocks twice, which leaves the Merkle
// root as it is (CVE-2012-2459).
func twice(s *court, w *witness) bool {
	return s.shows(w, &mask{block: func(height int32, b *wire.MsgBlock) {
		if ofNews(height) {
			b.Transactions = append(b.Transactions, b.Transactions[len(b.Transactions)-1])
		}
	}})
}

// standsStill shows what there was when it began to lie, for ever.
func standsStill(_ *court, w *witness) bool {
	w.freeze()
	return true
}

// fallsBack shows a tip of three blocks before.
func fallsBack(s *court, w *witness) bool {
	return s.shows(w, &mask{tip: func(height int32, _ chainhash.Hash) (int32, chainhash.Hash) {
		return height - 3, s.ledger.BlockAt(height - 3).BlockHash()
	}})
}

// ownBlock makes an explorer show a block of its own on the tip of now.
func (s *court) ownBlock(w *witness, change func(*wire.MsgBlock)) bool {
	own := copyOf(s.ledger)
	block := copyOf(s.ledger).MineEmpty(1)
	block.Transactions[0].TxOut[0].PkScript = s.a.Script
	chaintest.Seal(block)
	change(block)
	own.Add(block)
	w.follow(own)
	return true
}

// withoutWork shows a block of which the hash does not meet its target.
func withoutWork(s *court, w *witness) bool {
	return s.ownBlock(w, func(b *wire.MsgBlock) {
		b.Header.Bits = 0x1d00ffff // of mainnet's first block: a try in four thousand million meets it
	})
}

// tooEasy shows a block of another difficulty than the rules say.
func tooEasy(s *court, w *witness) bool {
	return s.ownBlock(w, func(b *wire.MsgBlock) {
		b.Header.Bits = 0x207ffffe
		chaintest.Seal(b)
	})
}

// ofTomorrow shows a block of tomorrow.
func ofTomorrow(s *court, w *witness) bool {
	return s.ownBlock(w, func(b *wire.MsgBlock) {
		b.Header.Timestamp = s.at.Add(24 * time.Hour).Truncate(time.Second)
		chaintest.Seal(b)
	})
}

// nodeAsTransaction shows a block with a transaction of 64 bytes, which could
// stand for a node of a Merkle tree (CVE-2017-12842).
func nodeAsTransaction(s *court, w *witness) bool {
	return s.ownBlock(w, func(b *wire.MsgBlock) {
		tx := wire.NewMsgTx(2)
		tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{9}}, nil, nil))
		tx.AddTxOut(wire.NewTxOut(1_000, []byte{0x51, 0x51, 0x51, 0x51}))
		b.Transactions = append(b.Transactions, tx)
		chaintest.Seal(b)
	})
}

// onMinority stays on a branch that leaves two blocks below the tip and has less
// work: in it, each address was never paid.
func onMinority(s *court, w *witness) bool {
	own := copyOf(s.ledger)
	height, _ := own.Tip()
	own.Fork(height - 2)
	own.MineEmpty(1)
	w.follow(own)
	return true
}

// onTwoBranches shows now the chain, now a branch with less work.
func onTwoBranches(s *court, w *witness) bool {
	own := copyOf(s.ledger)
	height, _ := own.Tip()
	own.Fork(height - 2)
	own.MineEmpty(1)
	_, tip := own.Tip()
	var asked atomic.Int32
	m := &mask{tip: func(height int32, hash chainhash.Hash) (int32, chainhash.Hash) {
		if asked.Add(1)%13 < 7 { // in no step with the questions of a poll
			return height, hash
		}
		return courtJoined - 1, tip.BlockHash()
	}}
	m.Source = both{s.ledger, own}
	w.follow(m)
	return true
}

// both gives the blocks of two chains, and is at the tip of the first.
type both struct {
	*chaintest.Chain
	other *chaintest.Chain
}

// sixOfItsOwn shows six blocks with as much work as any, in which the address is
// paid out of nothing: by the rules that need no unspent outputs they are sound.
func sixOfItsOwn(s *court, w *witness) bool {
	own := copyOf(s.ledger)
	own.Mine(s.forge("six blocks", 7_000_006, s.a))
	own.MineEmpty(5)
	w.follow(own)
	return true
}

// moreThanTheSubsidy shows three blocks of its own, of which one pays the miner
// more than there is.
func moreThanTheSubsidy(s *court, w *witness) bool {
	own := copyOf(s.ledger)
	block := copyOf(s.ledger).MineEmpty(1)
	block.Transactions[0].TxOut[0] = wire.NewTxOut(100_000_000_000, s.a.Script)
	chaintest.Seal(block)
	own.Add(block)
	own.MineEmpty(2)
	w.follow(own)
	return true
}

// RawBlock is a block of either.
func (b both) RawBlock(ctx context.Context, hash chainhash.Hash) ([]byte, error) {
	if raw, err := b.other.RawBlock(ctx, hash); err == nil {
		return raw, nil
	}
	return b.Chain.RawBlock(ctx, hash)
}
