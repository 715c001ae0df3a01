package explorer

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// forEachKind runs a test over every kind in the table; a kind without a line
// in subjects fails it.
func forEachKind(t *testing.T, test func(t *testing.T, of subject)) {
	t.Helper()
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			i := slices.IndexFunc(subjects(), func(s subject) bool { return s.kind == k.name })
			if i < 0 {
				t.Fatalf("the kind %s has no line in subjects: every kind is held to the same", k.name)
			}
			test(t, subjects()[i])
		})
	}
}

// abilities lists what of an explorer is not nil.
func abilities(e *Explorer) string {
	var all []string
	v := reflect.ValueOf(*e)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Type.Kind() == reflect.Interface && !v.Field(i).IsNil() {
			all = append(all, f.Name)
		}
	}
	return strings.Join(all, " ")
}

// What a kind can do is what its line says: a capability that gets lost would
// be no failure, only silence.
func TestKindsCanWhatTheySay(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		if got := abilities(of.open(t, newScene(t), &badWire{})); got != of.can {
			t.Errorf("can %q, its line says %q", got, of.can)
		}
	})
}

func TestKindsShowTheChain(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Chain == nil {
			t.Skip("does not show the chain")
		}
		if tip, err := e.Chain.Tip(t.Context()); tip != s.height() || err != nil {
			t.Errorf("tip %d, %v; want %d", tip, err, s.height())
		}
		for _, height := range []int32{0, 1, s.paidAt, s.height()} {
			if hash, err := e.Chain.BlockHash(t.Context(), height); hash != s.blockAt(height) || err != nil {
				t.Errorf("block %d: %s, %v; want %s", height, hash, err, s.blockAt(height))
			}
		}
		if hash, err := e.Chain.BlockHash(t.Context(), s.height()+1); !errors.Is(err, ErrNotFound) || hash != (chainhash.Hash{}) {
			t.Errorf("beyond the tip: %s, %v", hash, err)
		}
		s.chain.Mine()
		if tip, err := e.Chain.Tip(t.Context()); tip != s.height() || err != nil {
			t.Errorf("after another block: tip %d, %v; want %d", tip, err, s.height())
		}
	})
}

func TestKindsFollowAReorganisation(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Chain == nil {
			t.Skip("does not show the chain")
		}
		before, err := e.Chain.BlockHash(t.Context(), s.height())
		if err != nil {
			t.Fatal(err)
		}
		s.chain.Reorg(2)
		for height := s.height() - 3; height <= s.height(); height++ {
			if hash, err := e.Chain.BlockHash(t.Context(), height); hash != s.blockAt(height) || hash == before || err != nil {
				t.Errorf("block %d: %s, %v; want %s", height, hash, err, s.blockAt(height))
			}
		}
	})
}

func TestKindsGiveBlocks(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Blocks == nil {
			t.Skip("gives no blocks")
		}
		for _, height := range []int32{1, s.paidAt, s.place(t, s.history[0].TxHash()).Height} {
			want, err := s.chain.RawBlock(t.Context(), s.blockAt(height))
			if err != nil {
				t.Fatal(err)
			}
			if raw, err := e.Blocks.Block(t.Context(), s.blockAt(height)); string(raw) != string(want) || err != nil {
				t.Errorf("block %d: %d bytes, %v; want %d", height, len(raw), err, len(want))
			}
		}
		if raw, err := e.Blocks.Block(t.Context(), chainhash.Hash{7}); len(raw) > 0 || !errors.Is(err, ErrNotFound) {
			t.Errorf("of no block: %d bytes, %v", len(raw), err)
		}
	})
}

func TestKindsGiveHeaders(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Headers == nil {
			t.Skip("gives no headers")
		}
		for _, height := range []int32{0, 1, 9, 100, s.height()} {
			headers, err := e.Headers.Headers(t.Context(), height, s.blockAt(height))
			if err != nil || len(headers) == 0 || !of.oneHeader && height >= 9 && len(headers) < 10 {
				t.Fatalf("from %d: %d headers, %v", height, len(headers), err)
			}
			for i := range headers {
				if at := height - int32(i); at < 0 || headers[i].BlockHash() != s.blockAt(at) {
					t.Fatalf("from %d: header %d of the answer is another", height, i)
				}
			}
		}
		if headers, err := e.Headers.Headers(t.Context(), 50, chainhash.Hash{7}); len(headers) > 0 || !errors.Is(err, ErrNotFound) {
			t.Errorf("of no block: %d headers, %v", len(headers), err)
		}
	})
}

// readAll reads a history to its end.
func readAll(ctx context.Context, e *Explorer, a chain.Address) (all []*chain.Transaction, err error) {
	for page, err := range e.Addresses.History(ctx, a) {
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
	}
	return all, nil
}

func TestKindsShowIncomingAndOutgoing(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Addresses == nil {
			t.Skip("knows no addresses")
		}
		all, err := readAll(t.Context(), e, s.busy)
		if err != nil || len(all) != 2 || all[0].ID != s.spent.TxHash() || all[1].ID != s.paid.TxHash() {
			t.Fatalf("history: %v, %v; want %s and before it %s", told(all), err, s.spent.TxHash(), s.paid.TxHash())
		}
		for _, tx := range all {
			checkPlaced(t, s, tx)
		}
		if out := all[1].Msg.TxOut[0]; out.Value != paidValue || string(out.PkScript) != string(s.busy.Script) {
			t.Errorf("paid %d to %x", out.Value, out.PkScript)
		}
		// What an address spends cannot be seen but by the output spent.
		if in := all[0].Spent[0]; in == nil || in.Value != paidValue || string(in.PkScript) != string(s.busy.Script) {
			t.Errorf("spent %v", in)
		}
		counters, err := e.Addresses.Counters(t.Context(), s.busy)
		if err != nil || counters.Transactions != 2 || counters.Unconfirmed != 2 {
			t.Errorf("counters %+v, %v; want 2 and 2", counters, err)
		}
	})
}

// checkPlaced holds a transaction against the scene: every byte that the txid
// covers, the witness, and where it stands.
func checkPlaced(t *testing.T, s *scene, tx *chain.Transaction) {
	t.Helper()
	want := s.place(t, tx.ID)
	if tx.Place == nil || tx.Place.Height != want.Height || tx.Place.Block != want.Block || !tx.Place.Time.Equal(want.Time) {
		t.Errorf("%s stands at %+v, want %+v", tx.ID, tx.Place, want)
	}
	if tx.Place != nil && tx.Place.Index >= 0 && s.chain.BlockAt(want.Height).Transactions[tx.Place.Index].TxHash() != tx.ID {
		t.Errorf("%s stands at another place of its block than %d", tx.ID, tx.Place.Index)
	}
	if len(tx.Spent) != len(tx.Msg.TxIn) || tx.Msg.TxHash() != tx.ID {
		t.Errorf("%s: %d outputs spent by %d inputs, txid %s", tx.ID, len(tx.Spent), len(tx.Msg.TxIn), tx.Msg.TxHash())
	}
	checkSpent(t, s, tx)
}

// checkSpent holds the outputs spent, as far as they are told, against the
// transactions that made them.
func checkSpent(t *testing.T, s *scene, tx *chain.Transaction) {
	t.Helper()
	for i, spent := range tx.Spent {
		at := tx.Msg.TxIn[i].PreviousOutPoint
		if spent == nil || at.Hash == (chainhash.Hash{}) {
			continue
		}
		parent := s.find(at.Hash)
		if parent == nil || spent.Value != parent.TxOut[at.Index].Value || string(spent.PkScript) != string(parent.TxOut[at.Index].PkScript) {
			t.Errorf("%s: input %d spends %+v", tx.ID, i, spent)
		}
	}
}

func (s *scene) find(id chainhash.Hash) *wire.MsgTx {
	for height := s.height(); height >= 0; height-- {
		for _, tx := range s.chain.BlockAt(height).Transactions {
			if tx.TxHash() == id {
				return tx
			}
		}
	}
	for _, tx := range []*wire.MsgTx{s.pending, s.child, s.elsewhere} {
		if tx.TxHash() == id {
			return tx
		}
	}
	return nil
}

func TestKindsShowTheUnconfirmed(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Addresses == nil {
			t.Skip("knows no addresses")
		}
		txs, complete, err := e.Addresses.Mempool(t.Context(), s.busy)
		if err != nil || !complete || !slices.Equal(told(txs), ids(s.pending, s.child)) {
			t.Fatalf("%v, complete %v, %v; want %v", told(txs), complete, err, ids(s.pending, s.child))
		}
		for _, tx := range txs {
			if tx.Place != nil {
				t.Errorf("%s stands at %+v and is unconfirmed", tx.ID, tx.Place)
			}
			checkSpent(t, s, tx)
			if tx.ID == s.child.TxHash() && (tx.Spent[0] == nil || string(tx.Spent[0].PkScript) != string(s.busy.Script)) {
				t.Error("what the address spends, unconfirmed too, is not told")
			}
		}
		before, err := e.Addresses.Counters(t.Context(), s.busy)
		if err != nil {
			t.Fatal(err)
		}
		same, err := e.Addresses.Counters(t.Context(), s.busy)
		if err != nil || same.Signal != before.Signal {
			t.Errorf("nothing happened, and the signal changed: %v, %v, %v", before, same, err)
		}
		s.chain.MineMempool()
		after, err := e.Addresses.Counters(t.Context(), s.busy)
		if err != nil || after.Signal == before.Signal || after.Transactions != 4 || after.Unconfirmed != 0 {
			t.Errorf("two were confirmed, and %+v became %+v, %v", before, after, err)
		}
		if txs, complete, err := e.Addresses.Mempool(t.Context(), s.busy); len(txs) != 0 || !complete || err != nil {
			t.Errorf("%v are still unconfirmed, %v, %v", told(txs), complete, err)
		}
	})
}

func TestKindsPageToTheEnd(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Addresses == nil {
			t.Skip("knows no addresses")
		}
		all, err := readAll(t.Context(), e, s.long)
		if err != nil || !slices.Equal(told(all), ids(s.history...)) {
			t.Fatalf("%d transactions, %v; want each of %d once", len(all), err, historyCount)
		}
		for i, tx := range all {
			if i > 0 && tx.Place.Height > all[i-1].Place.Height {
				t.Fatalf("height %d comes after %d: newest first", tx.Place.Height, all[i-1].Place.Height)
			}
			checkPlaced(t, s, tx)
		}
	})
}

// A caller that has enough of a history leaves nothing behind that hangs.
func TestKindsLetGoOfAHistory(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Addresses == nil {
			t.Skip("knows no addresses")
		}
		for page, err := range e.Addresses.History(t.Context(), s.long) {
			if err != nil || len(page) == 0 {
				t.Errorf("%d, %v", len(page), err)
			}
			break
		}
		if counters, err := e.Addresses.Counters(t.Context(), s.empty); err != nil || counters.Transactions != 0 {
			t.Errorf("%v, %v", counters, err)
		}
	})
}

func TestKindsSayNoneOfAnEmptyAddress(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Addresses == nil {
			t.Skip("knows no addresses")
		}
		all, err := readAll(t.Context(), e, s.empty)
		txs, complete, err2 := e.Addresses.Mempool(t.Context(), s.empty)
		counters, err3 := e.Addresses.Counters(t.Context(), s.empty)
		if len(all)+len(txs) != 0 || !complete || counters.Transactions != 0 || counters.Unconfirmed != 0 || errors.Join(err, err2, err3) != nil {
			t.Errorf("%v, %v, complete %v, %+v, %v", told(all), told(txs), complete, counters, errors.Join(err, err2, err3))
		}
	})
}

// Kinds differ in whether a payment to a bare public key belongs to the address
// of that key. What a kind's line says is what it must do.
func TestKindsAttributeBareKeysAsTheySay(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Addresses == nil {
			t.Skip("knows no addresses")
		}
		want := ids()
		if of.bareKeys {
			want = ids(s.toKey)
		}
		if all, err := readAll(t.Context(), e, s.bare); err != nil || !slices.Equal(told(all), want) {
			t.Errorf("%v, %v; want %v", told(all), err, want)
		}
	})
}

func TestKindsKnowTransactions(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Transactions == nil {
			t.Skip("knows no transactions")
		}
		for _, want := range []*wire.MsgTx{s.paid, s.spent, s.history[0], s.toKey, s.chain.BlockAt(s.paidAt).Transactions[0]} {
			tx, err := e.Transactions.Transaction(t.Context(), want.TxHash())
			if err != nil || tx.Msg.TxHash() != want.TxHash() || tx.Msg.WitnessHash() != want.WitnessHash() {
				t.Errorf("%s: %v, %v", want.TxHash(), tx, err)
				continue
			}
			checkPlaced(t, s, tx)
		}
		tx, err := e.Transactions.Transaction(t.Context(), s.pending.TxHash())
		if err != nil || tx.ID != s.pending.TxHash() || tx.Place != nil {
			t.Errorf("unconfirmed: %+v, %v", tx, err)
		}
		if tx, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{7}); tx != nil || !errors.Is(err, ErrNotFound) {
			t.Errorf("one that does not exist: %v, %v", tx, err)
		}
		s.chain.DropMempool(s.pending.TxHash())
		if tx, err := e.Transactions.Transaction(t.Context(), s.pending.TxHash()); tx != nil || !errors.Is(err, ErrNotFound) {
			t.Errorf("one that is gone: %v, %v", tx, err)
		}
	})
}

func TestKindsKnowSpends(t *testing.T) {
	forEachKind(t, func(t *testing.T, of subject) {
		s := newScene(t)
		e := of.open(t, s, &badWire{})
		if e.Spends == nil {
			t.Skip("does not know who spends")
		}
		spends, err := e.Spends.Spends(t.Context(), s.paid.TxHash())
		if err != nil || len(spends) != len(s.paid.TxOut) || spends[0] == nil || spends[0].TxID != s.spent.TxHash() || spends[0].Input != 0 ||
			spends[0].Place == nil || spends[0].Place.Height != s.spentAt || !of.lightSpends && spends[0].Place.Block != s.blockAt(s.spentAt) {
			t.Errorf("confirmed: %+v, %v", spends, err)
		}
		spends, err = e.Spends.Spends(t.Context(), s.pending.TxHash())
		unseen := of.lightSpends && err == nil && spends[0] == nil
		if !unseen && (err != nil || spends[0] == nil || spends[0].TxID != s.child.TxHash() || spends[0].Place != nil) {
			t.Errorf("unconfirmed: %+v, %v", spends, err)
		}
		spends, err = e.Spends.Spends(t.Context(), s.elsewhere.TxHash())
		if err != nil || len(spends) != len(s.elsewhere.TxOut) || spends[0] != nil {
			t.Errorf("unspent: %+v, %v", spends, err)
		}
	})
}
