package chain_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"pgregory.net/rapid"

	"btcwatch/chain"
)

// naive is what Watched should know, kept as plain lists and searched from end
// to end.
type naive struct {
	watched [][]byte // the number of a script is its place
	made    []*wire.MsgTx
	held    []wire.OutPoint
}

func (n *naive) number(script []byte) int {
	return slices.IndexFunc(n.watched, func(w []byte) bool { return slices.Equal(w, script) })
}

func (n *naive) output(at wire.OutPoint) *wire.TxOut {
	for _, tx := range n.made {
		if tx.TxHash() == at.Hash && int(at.Index) < len(tx.TxOut) {
			return tx.TxOut[at.Index]
		}
	}
	return nil
}

// effects says one movement a line, sorted, so that order is no matter.
func (n *naive) effects(tx *chain.Transaction) []string {
	var lines []string
	for i, in := range tx.Msg.TxIn {
		out, held := n.output(in.PreviousOutPoint), slices.Contains(n.held, in.PreviousOutPoint)
		if held && n.number(out.PkScript) >= 0 {
			lines = append(lines, fmt.Sprint(n.number(out.PkScript), " out ", i, out.Value, false))
		} else if tx.Spent != nil && tx.Spent[i] != nil && n.number(tx.Spent[i].PkScript) >= 0 {
			lines = append(lines, fmt.Sprint(n.number(tx.Spent[i].PkScript), " out ", i, tx.Spent[i].Value, true))
		}
	}
	for i, out := range tx.Msg.TxOut {
		if n.number(out.PkScript) >= 0 {
			lines = append(lines, fmt.Sprint(n.number(out.PkScript), " in ", i, out.Value, false))
		}
	}
	slices.Sort(lines)
	return lines
}

func linesOf(effects []chain.Effect) []string {
	var lines []string
	for _, e := range effects {
		for _, m := range e.Debits {
			lines = append(lines, fmt.Sprint(e.Script, " out ", m.Index, m.Amount, m.Stated))
		}
		for _, m := range e.Credits {
			lines = append(lines, fmt.Sprint(e.Script, " in ", m.Index, m.Amount, m.Stated))
		}
	}
	slices.Sort(lines)
	return lines
}

// drawTx makes a transaction over few scripts and earlier outputs, so that
// everything meets everything.
func drawTx(r *rapid.T, n *naive, scripts [][]byte, salt int) *chain.Transaction {
	msg := wire.NewMsgTx(2)
	msg.LockTime = uint32(salt)
	tx := &chain.Transaction{Msg: msg}
	for i := range rapid.IntRange(1, 4).Draw(r, "inputs") {
		at := wire.OutPoint{Hash: chainhash.Hash{9, byte(salt), byte(i)}, Index: uint32(i)}
		if len(n.made) > 0 && rapid.Bool().Draw(r, "spends ours") {
			from := rapid.SampledFrom(n.made).Draw(r, "from")
			at = wire.OutPoint{Hash: from.TxHash(), Index: uint32(rapid.IntRange(0, len(from.TxOut)-1).Draw(r, "output"))}
		}
		msg.AddTxIn(wire.NewTxIn(&at, nil, nil))
		var stated *wire.TxOut
		if rapid.Bool().Draw(r, "stated") {
			stated = n.output(at)
			if stated == nil {
				stated = wire.NewTxOut(rapid.Int64Range(0, 5000).Draw(r, "stated amount"), rapid.SampledFrom(scripts).Draw(r, "stated script"))
			}
		}
		tx.Spent = append(tx.Spent, stated)
	}
	if rapid.IntRange(0, 9).Draw(r, "says nothing of what it spends") == 0 {
		tx.Spent = nil
	}
	for range rapid.IntRange(1, 5).Draw(r, "outputs") {
		msg.AddTxOut(wire.NewTxOut(rapid.Int64Range(0, 3000).Draw(r, "amount"), rapid.SampledFrom(scripts).Draw(r, "script")))
	}
	tx.ID = msg.TxHash()
	return tx
}

func TestEffectsAgreeWithNaiveModel(t *testing.T) {
	scripts := [][]byte{{}, {0x6a}, {0x51}, {0x52}, {0x53}, {0x54}}
	rapid.Check(t, func(r *rapid.T) {
		n := &naive{watched: scripts[3:]}
		w := chain.NewWatched()
		for i, script := range n.watched {
			w.Watch(script, int64(i))
		}
		if w.Scripts() != 3 {
			r.Fatalf("%d scripts", w.Scripts())
		}
		for i := range rapid.IntRange(1, 12).Draw(r, "transactions") {
			tx := drawTx(r, n, scripts, i)
			n.made = append(n.made, tx.Msg)
			if rapid.Bool().Draw(r, "held") {
				w.HoldOutputs(tx)
				for o := range tx.Msg.TxOut {
					n.held = append(n.held, wire.OutPoint{Hash: tx.ID, Index: uint32(o)})
				}
			}
			effects := w.Effects(tx)
			if got, want := linesOf(effects), n.effects(tx); !slices.Equal(got, want) {
				r.Fatalf("effects\n%q, want\n%q", got, want)
			}
			checkSums(r, n, tx, effects)
		}
	})
}

func checkSums(r *rapid.T, n *naive, tx *chain.Transaction, effects []chain.Effect) {
	met := map[int64]bool{}
	for _, e := range effects {
		if met[e.Script] {
			r.Fatalf("two effects on script %d", e.Script)
		}
		met[e.Script] = true
		var in, out int64
		stated := false
		for _, m := range e.Credits {
			in += m.Amount
		}
		for _, m := range e.Debits {
			out += m.Amount
			stated = stated || m.Stated
		}
		if e.Received() != in || e.Sent() != out || e.Net() != in-out || e.Stated() != stated {
			r.Fatalf("sums of %+v", e)
		}
		alone := true
		for _, o := range tx.Msg.TxOut {
			if o.Value != 0 && n.number(o.PkScript) != int(e.Script) {
				alone = false
			}
		}
		if e.Alone != alone {
			r.Fatalf("alone is %v", e.Alone)
		}
	}
}

// Match finds a payment and its spending within one block, and all that
// follows from it in later blocks.
func TestMatchAgreesWithNaiveModel(t *testing.T) {
	scripts := [][]byte{{}, {0x6a}, {0x51}, {0x52}, {0x53}, {0x54}, {0x55}, {0x56}}
	rapid.Check(t, func(r *rapid.T) {
		n := &naive{watched: scripts[6:]}
		w := chain.NewWatched()
		for i, script := range n.watched {
			w.Watch(script, int64(i))
		}
		salt := 0
		for height := range int32(rapid.IntRange(1, 4).Draw(r, "blocks")) {
			b := &chain.Block{Height: height, Hash: chainhash.Hash{byte(height)}, Header: wire.BlockHeader{Timestamp: time.Unix(int64(height), 0)}}
			var want []chainhash.Hash
			for range rapid.IntRange(0, 6).Draw(r, "transactions") {
				salt++
				tx := drawTx(r, n, scripts, salt)
				tx.Spent = nil
				n.made = append(n.made, tx.Msg)
				b.Transactions, b.IDs = append(b.Transactions, tx.Msg), append(b.IDs, tx.ID)
				for o := range tx.Msg.TxOut {
					n.held = append(n.held, wire.OutPoint{Hash: tx.ID, Index: uint32(o)})
				}
				if len(n.effects(tx)) > 0 {
					want = append(want, tx.ID)
				}
			}
			var got []chainhash.Hash
			for _, hit := range w.Match(b) {
				got = append(got, hit.ID)
				if hit.Place == nil || hit.Place.Height != height || hit.Place.Block != b.Hash || b.IDs[hit.Place.Index] != hit.ID {
					r.Fatalf("place %+v", hit.Place)
				}
				if got, want := linesOf(w.Effects(hit)), n.effects(hit); !slices.Equal(got, want) {
					r.Fatalf("effects\n%q, want\n%q", got, want)
				}
			}
			if !slices.Equal(got, want) {
				r.Fatalf("hits %v, want %v", got, want)
			}
		}
	})
}

func TestFee(t *testing.T) {
	out := func(v int64) *wire.TxOut { return wire.NewTxOut(v, []byte{0x51}) }
	known := func(v int64) *int64 { return &v }
	for _, c := range []struct {
		name  string
		spent []*wire.TxOut
		want  *int64
	}{
		{"both known", []*wire.TxOut{out(700), out(900)}, known(600)},
		{"nothing left", []*wire.TxOut{out(700), out(300)}, known(0)},
		{"one not known", []*wire.TxOut{out(7000), nil}, nil},
		{"nobody said", nil, nil},
		{"too few", []*wire.TxOut{out(7000)}, nil},
		{"more out than in", []*wire.TxOut{out(700), out(299)}, nil},
	} {
		msg := wire.NewMsgTx(2)
		for i := range 2 {
			msg.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{1}, Index: uint32(i)}, nil, nil))
		}
		msg.AddTxOut(out(1000))
		fee := (&chain.Transaction{Msg: msg, Spent: c.spent}).Fee()
		if (fee == nil) != (c.want == nil) || fee != nil && *fee != *c.want {
			t.Errorf("%s: fee %v", c.name, fee)
		}
	}
}

func TestCoinbase(t *testing.T) {
	tx := func(ins ...wire.OutPoint) *chain.Transaction {
		msg := wire.NewMsgTx(2)
		for _, in := range ins {
			msg.AddTxIn(wire.NewTxIn(&in, nil, nil))
		}
		msg.AddTxOut(wire.NewTxOut(50, []byte{0x51}))
		return &chain.Transaction{ID: msg.TxHash(), Msg: msg, Spent: make([]*wire.TxOut, len(ins))}
	}
	none := wire.OutPoint{Index: wire.MaxPrevOutIndex}
	if c := tx(none); !c.Coinbase() || c.Fee() != nil {
		t.Error("a coinbase is not seen as one, or has a fee")
	}
	for _, other := range []*chain.Transaction{
		tx(none, none), tx(wire.OutPoint{}), tx(wire.OutPoint{Hash: chainhash.Hash{1}, Index: wire.MaxPrevOutIndex}), tx(),
	} {
		if other.Coinbase() {
			t.Errorf("%v is no coinbase", other.Msg.TxIn)
		}
	}
	w := chain.NewWatched()
	w.Watch([]byte{0x51}, 7)
	effects := w.Effects(tx(none))
	if len(effects) != 1 || effects[0].Script != 7 || effects[0].Net() != 50 || len(effects[0].Debits) != 0 || !effects[0].Alone {
		t.Errorf("a watched coinbase has the effects %+v", effects)
	}
}
