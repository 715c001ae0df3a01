package chain_test

import (
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// TestCanaryIsFoundApart: by the same pass, and by nothing else. A script that
// is watched is no canary, whichever came first.
func TestCanaryIsFoundApart(t *testing.T) {
	watched, canary, stranger := []byte{0x51, 1}, []byte{0x51, 2}, []byte{0x51, 3}
	pay := func(salt uint32, from *wire.OutPoint, to ...[]byte) *wire.MsgTx {
		tx := wire.NewMsgTx(2)
		tx.LockTime = salt
		if from == nil {
			from = &wire.OutPoint{Hash: chainhash.Hash{byte(salt)}}
		}
		tx.AddTxIn(wire.NewTxIn(from, nil, nil))
		for _, script := range to {
			tx.AddTxOut(wire.NewTxOut(1000, script))
		}
		return tx
	}
	first := pay(1, nil, canary)
	spends := pay(2, &wire.OutPoint{Hash: first.TxHash()}, stranger)
	both := pay(3, nil, watched, canary)
	change := pay(4, &wire.OutPoint{Hash: both.TxHash()}, canary)
	b := &chain.Block{}
	for _, tx := range []*wire.MsgTx{first, spends, both, change, pay(5, nil, stranger), pay(6, nil, canary, watched)} {
		b.Transactions, b.IDs = append(b.Transactions, tx), append(b.IDs, tx.TxHash())
	}
	places := func(txs []*chain.Transaction) (all []int) {
		for _, tx := range txs {
			all = append(all, tx.Place.Index)
		}
		return all
	}
	w := chain.NewWatched()
	w.Watch(watched, 7)
	w.Canary(canary)
	if w.Scripts() != 1 {
		t.Errorf("%d scripts are watched", w.Scripts())
	}
	if _, is := w.Number(canary); is {
		t.Error("the canary has a number among the watched")
	}
	hits, canaries := w.MatchApart(b)
	if got := places(hits); !slices.Equal(got, []int{2, 3, 5}) {
		t.Errorf("watched: %v", got)
	}
	if got := places(canaries); !slices.Equal(got, []int{0, 2, 3, 5}) {
		t.Errorf("canary: %v", got)
	}
	if w.Holds(wire.OutPoint{Hash: first.TxHash()}) {
		t.Error("what the canary holds is kept")
	}
	for _, tx := range canaries {
		for _, e := range w.Effects(tx) {
			if e.Script != 7 {
				t.Errorf("an effect on %d", e.Script)
			}
		}
	}
	w.Watch(canary, 8) // the watch wins
	if hits, canaries = w.MatchApart(b); len(canaries) != 0 || !slices.Equal(places(hits), []int{0, 1, 2, 3, 5}) || w.Scripts() != 2 {
		t.Errorf("watched: %v, canary: %v, %d scripts", places(hits), places(canaries), w.Scripts())
	}
	w = chain.NewWatched()
	w.Watch(canary, 8)
	w.Canary(canary)
	if hits, canaries = w.MatchApart(b); len(canaries) != 0 || len(hits) != 5 {
		t.Errorf("%d hits, %d canaries where the canary is watched", len(hits), len(canaries))
	}
}
