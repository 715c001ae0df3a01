package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// stand is where a transaction stands on one end of the chain.
type stand struct {
	height int32
	hash   chainhash.Hash
}

// ends gives where the transactions of an address stood, and where they stand.
func (s *scene) ends(a chain.Address) (was, is map[chainhash.Hash]stand) {
	return s.stands(s.before, a), s.stands(s.after, a)
}

// stands reads a model's lines: address, txid, direction, amount, fee, state,
// confirmations, height, hash.
func (s *scene) stands(m *model, a chain.Address) map[chainhash.Hash]stand {
	all := map[chainhash.Hash]stand{}
	for _, line := range of(a, m.transactions) {
		parts := strings.Fields(line)
		at := stand{height: -1}
		if parts[5] == "confirmed" {
			at.hash = *must(chainhash.NewHashFromStr(parts[8]))
			fmt.Sscan(parts[7], &at.height)
		}
		all[*must(chainhash.NewHashFromStr(parts[1]))] = at
	}
	return all
}

// amount is what a transaction does to an address, on either end of the chain.
func (s *scene) amount(a chain.Address, txid string) (amount int64) {
	for _, line := range append(of(a, s.before.transactions), of(a, s.after.transactions)...) {
		if parts := strings.Fields(line); parts[1] == txid {
			fmt.Sscan(parts[3], &amount)
		}
	}
	return amount
}

// expected is what must stand in report.transactions and must have been told of
// an address.
type expected struct {
	*scene
	a            chain.Address
	transactions []string
	words        []string
	threads      map[string]string // of each payment, the one with which its thread began
	said         map[string]bool
}

// expected works it out from the two ends of the chain and its mempool alone.
func (s *scene) expected(a chain.Address) *expected {
	e := &expected{scene: s, a: a, transactions: of(a, s.after.transactions), threads: map[string]string{}, said: map[string]bool{}}
	was, is := s.ends(a)
	tip, _ := s.ledger.Tip()
	for tx, at := range was {
		e.threads[tx.String()+" "+a.Text] = tx.String()
		if s.sighted[tx] > 0 {
			e.say(tx, alerts.TransactionSeen, alerts.Unconfirmed, "-", 0, "", "-")
		}
		e.confirmed(tx, at, s.split+s.depth)
	}
	for tx, at := range is {
		e.threads[tx.String()+" "+a.Text] = tx.String()
		if at.height >= 0 {
			e.confirmed(tx, at, tip)
		}
	}
	for tx, at := range was {
		if at.height > s.split {
			e.left(tx, at, is)
		}
	}
	return e
}

// left is what is said of a transaction whose block left: that, and where it
// stands nowhere any more what became of it.
func (e *expected) left(tx chainhash.Hash, at stand, is map[chainhash.Hash]stand) {
	state := alerts.Unconfirmed
	if e.coinbases[at.height-e.split] != nil && e.isCoinbase(tx, at.height) {
		state = alerts.Dropped
	}
	e.say(tx, alerts.TransactionReorged, state, at.hash.String(), 0, "", fmt.Sprint(alerts.TransactionConfirmed, " ", at.hash, " 1"))
	if _, still := is[tx]; still {
		return
	}
	correction := fmt.Sprint(alerts.TransactionReorged, " ", at.hash)
	by := e.rival(tx)
	switch {
	case by != nil:
		e.say(tx, alerts.TransactionReplaced, alerts.Replaced, "-", 0, by.TxHash().String(), correction)
		e.transactions = append(e.transactions, e.vanished(e.a, tx, "replaced"))
		if _, concerns := is[by.TxHash()]; concerns {
			e.threads[by.TxHash().String()+" "+e.a.Text] = tx.String()
		}
		return
	case state != alerts.Dropped:
		e.say(tx, alerts.TransactionDropped, alerts.Dropped, "-", 0, "", correction)
	}
	e.transactions = append(e.transactions, e.vanished(e.a, tx, "dropped"))
}

// confirmed is what is said of a transaction in a block: the first depth and the
// sixth, where the tip gives it that. What stands on both ends is told once.
func (e *expected) confirmed(tx chainhash.Hash, at stand, tip int32) {
	for _, depth := range []int32{1, 6} {
		if tip-at.height+1 >= depth {
			e.say(tx, alerts.TransactionConfirmed, alerts.Confirmed, at.hash.String(), int(depth), "", "-")
		}
	}
}

func (e *expected) say(tx chainhash.Hash, typ alerts.Type, state alerts.State, in string, depth int, by, corrects string) {
	line := fmt.Sprint(typ, " ", tx, " ", state, " in ", in, " ", depth, " by ", by, " corrects ", corrects)
	if !e.said[line] {
		e.words, e.said[line] = append(e.words, line), true
	}
}

// vanished is the line of a transaction that stands nowhere any more: what it
// was, and that no longer.
func (s *scene) vanished(a chain.Address, tx chainhash.Hash, state string) string {
	for _, line := range of(a, s.before.transactions) {
		if parts := strings.Fields(line); parts[1] == tx.String() {
			return strings.Join(parts[:5], " ") + " " + state + " 0 - - - false reported"
		}
	}
	return "nothing is known of " + tx.String()
}

// isCoinbase says whether no block but the one that left can hold a transaction.
func (s *scene) isCoinbase(tx chainhash.Hash, height int32) bool {
	for _, held := range s.leave[height-s.split] {
		if held.TxHash() == tx {
			return false
		}
	}
	return true
}

// rival is the transaction of the new blocks that spends what one that left
// spent; nil where there is none.
func (s *scene) rival(tx chainhash.Hash) *wire.MsgTx {
	var spent []wire.OutPoint
	for _, txs := range s.leave {
		for _, one := range txs {
			if one.TxHash() == tx {
				spent = inputs(one)
			}
		}
	}
	for _, txs := range s.come {
		for _, one := range txs {
			if one.TxHash() != tx && slices.ContainsFunc(inputs(one), func(at wire.OutPoint) bool { return slices.Contains(spent, at) }) {
				return one
			}
		}
	}
	return nil
}
