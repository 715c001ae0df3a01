package sql_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// model is what the record should say, kept as plain maps and worked out from
// the design alone.
type model struct {
	listed  []chain.Address // ever, in the order of listing
	inForce map[string]bool // by script
	joined  map[string]int32
	covered map[string]bool
	height  int32 // covered

	txs    map[chainhash.Hash]*modelTx
	stated map[wire.OutPoint]*wire.TxOut
	page   []*chain.Transaction // what is being told at once
}

// modelTx is one recorded transaction.
type modelTx struct {
	msg       *wire.MsgTx
	state     string
	proof     string
	height    int32
	block     chainhash.Hash
	time      time.Time
	fee       *int64
	moves     []move
	touched   map[string]bool // by script: whether it was historic when first recorded
	firstSeen bool
	reorged   bool

	told      map[string]bool     // by script: something must have been told
	confirmed map[string][]string // by script: blocks whose confirmation must have been told
}

// move is one credit or debit.
type move struct {
	script string
	out    bool
	n      int
	amount int64
	stated bool
}

func newModel() *model {
	return &model{
		inForce: map[string]bool{}, joined: map[string]int32{}, covered: map[string]bool{},
		txs: map[chainhash.Hash]*modelTx{}, stated: map[wire.OutPoint]*wire.TxOut{},
	}
}

func (m *model) watched(script []byte) bool {
	return slices.ContainsFunc(m.listed, func(a chain.Address) bool { return string(a.Script) == string(script) })
}

func (m *model) watch(a chain.Address) {
	if !m.watched(a.Script) {
		m.listed = append(m.listed, a)
		m.joined[string(a.Script)] = m.height
	}
	m.inForce[string(a.Script)] = true
}

// output is what is known of an output: held where its transaction is recorded.
func (m *model) output(at wire.OutPoint) (out *wire.TxOut, held bool) {
	if tx, ok := m.txs[at.Hash]; ok {
		return tx.msg.TxOut[at.Index], true
	}
	for _, tx := range m.page {
		if tx.ID == at.Hash {
			return tx.Msg.TxOut[at.Index], false
		}
	}
	return m.stated[at], false
}

// moves are the credits and debits that can be known of a transaction.
func (m *model) moves(msg *wire.MsgTx, said []*wire.TxOut) (moves []move, fee *int64) {
	var left int64
	all := true
	for i, in := range msg.TxIn {
		out, held := m.output(in.PreviousOutPoint)
		if out == nil && said != nil {
			out = said[i]
		}
		if out == nil {
			all = false
			continue
		}
		left += out.Value
		if m.watched(out.PkScript) {
			moves = append(moves, move{string(out.PkScript), true, i, out.Value, !held})
		}
	}
	for i, out := range msg.TxOut {
		left -= out.Value
		if m.watched(out.PkScript) {
			moves = append(moves, move{string(out.PkScript), false, i, out.Value, false})
		}
	}
	if all {
		fee = &left
	}
	return moves, fee
}

// shows says whether a block alone shows that a transaction is of interest.
func (m *model) shows(msg *wire.MsgTx) bool {
	for _, in := range msg.TxIn {
		if out, held := m.output(in.PreviousOutPoint); held && m.watched(out.PkScript) {
			return true
		}
	}
	return slices.ContainsFunc(msg.TxOut, func(out *wire.TxOut) bool { return m.watched(out.PkScript) })
}

// tell takes in what was said of some transactions at once.
func (m *model) tell(txs []*chain.Transaction, proof string) {
	// What pays a watched address is held before the rest is looked at: pages
	// come newest first.
	for _, tx := range txs {
		if slices.ContainsFunc(tx.Msg.TxOut, func(out *wire.TxOut) bool { return m.watched(out.PkScript) }) {
			m.hold(tx)
		}
	}
	m.page = txs
	defer func() { m.page = nil }()
	changed := map[*modelTx]bool{}
	for _, tx := range txs {
		moves, fee := m.moves(tx.Msg, tx.Spent)
		if len(moves) == 0 {
			continue
		}
		t := m.hold(tx)
		state, block := t.state, t.block
		m.moveOn(t, tx.Place, proof)
		changed[t] = state != t.state || block != t.block
		t.moves = moves
		if fee != nil {
			t.fee = fee
		}
	}
	// Only now: an output of one may be spent by another of them.
	for _, tx := range txs {
		t, ok := m.txs[tx.ID]
		if !ok {
			continue
		}
		for i, in := range tx.Msg.TxIn {
			if tx.Spent[i] != nil && m.stated[in.PreviousOutPoint] == nil {
				m.stated[in.PreviousOutPoint] = tx.Spent[i]
			}
		}
		m.touch(t, changed[t])
	}
}

func (m *model) hold(tx *chain.Transaction) *modelTx {
	t, ok := m.txs[tx.ID]
	if !ok {
		t = &modelTx{msg: tx.Msg, touched: map[string]bool{}, told: map[string]bool{}, confirmed: map[string][]string{}}
		m.txs[tx.ID] = t
	}
	return t
}

func (m *model) moveOn(t *modelTx, place *chain.Place, proof string) {
	switch {
	case place == nil:
		if t.state == "" || t.state == "dropped" {
			t.state, t.proof = "unconfirmed", proof
		}
	case t.state == "confirmed" && t.block == place.Block:
		if proof == "proven" {
			t.proof = proof
		}
	case t.state == "confirmed" && t.proof == "proven" && proof == "reported":
	default:
		t.state, t.proof, t.height, t.block, t.time = "confirmed", proof, place.Height, place.Block, place.Time
	}
}

func (m *model) historic(t *modelTx, script string) bool {
	return t.state == "confirmed" && t.height <= m.joined[script]
}

// touch notes what must have been told: of a payment that is new, or has moved.
func (m *model) touch(t *modelTx, moved bool) {
	fresh := map[string]bool{}
	for _, mv := range t.moves {
		historic := m.historic(t, mv.script)
		if _, ok := t.touched[mv.script]; !ok {
			t.touched[mv.script], fresh[mv.script] = historic, true
			t.told[mv.script] = t.told[mv.script] || !historic && m.inForce[mv.script]
		}
		if !historic && (moved || fresh[mv.script]) {
			t.firstSeen = t.firstSeen || moved
			if t.state == "confirmed" && m.inForce[mv.script] && !slices.Contains(t.confirmed[mv.script], t.block.String()) {
				t.confirmed[mv.script] = append(t.confirmed[mv.script], t.block.String())
			}
		}
	}
}

// stepBack takes the blocks above a height off.
func (m *model) stepBack(height int32) {
	for _, t := range m.txs {
		if t.state == "confirmed" && t.height > height {
			m.unconfirm(t)
		}
	}
	m.height = height
	// What is above the fork is no longer from before any watch.
	for script, joined := range m.joined {
		m.joined[script] = min(joined, height)
	}
}

// cover moves on to a block: what was said to be at its height and is not in it
// is unconfirmed.
func (m *model) cover(block *chain.Block) {
	for id, t := range m.txs {
		if t.state == "confirmed" && t.height == block.Height && !slices.Contains(block.IDs, id) {
			m.unconfirm(t)
		}
	}
	m.height = block.Height
}

func (m *model) unconfirm(t *modelTx) {
	t.state, t.proof, t.height, t.block, t.time = "unconfirmed", "reported", 0, chainhash.Hash{}, time.Time{}
	t.reorged = true
	if t.msg.TxIn[0].PreviousOutPoint.Index == wire.MaxPrevOutIndex {
		t.state = "dropped"
		return
	}
	moves, fee := m.moves(t.msg, nil)
	t.moves = moves
	if fee != nil {
		t.fee = fee
	}
	for _, mv := range moves {
		if _, ok := t.touched[mv.script]; !ok {
			t.touched[mv.script] = false
		}
	}
}

func (m *model) address(script string) string {
	a, ok := chain.AddressOf([]byte(script), regtest())
	if !ok {
		return ""
	}
	return a.Text
}

// stillStated says whether a debit rests on somebody's word now.
func (m *model) stillStated(t *modelTx, mv move) bool {
	_, held := m.output(t.msg.TxIn[max(0, min(mv.n, len(t.msg.TxIn)-1))].PreviousOutPoint)
	return mv.out && !held
}

func number[T any](p *T) string {
	if p == nil {
		return "null"
	}
	return fmt.Sprint(*p)
}

func way(out bool) string {
	if out {
		return "out"
	}
	return "in"
}

// live are the movements that count, by script.
func (m *model) live() (all []move, of []*modelTx) {
	for _, t := range m.txs {
		if t.state == "dropped" {
			continue
		}
		for _, mv := range t.moves {
			all, of = append(all, mv), append(of, t)
		}
	}
	return all, of
}

func (m *model) movements() (lines []string) {
	all, of := m.live()
	for i, mv := range all {
		t := of[i]
		place := "null|null"
		if t.state == "confirmed" {
			place = fmt.Sprint(t.height, "|", unix(t.time))
		}
		lines = append(lines, strings.Join([]string{m.address(mv.script), t.msg.TxID(), way(mv.out), fmt.Sprint(mv.n), fmt.Sprint(mv.amount), place,
			fmt.Sprint(m.stillStated(t, mv))}, "|"))
	}
	slices.Sort(lines)
	return lines
}

func (m *model) balances() (lines []string) {
	all, of := m.live()
	for _, a := range m.listed {
		var received, sent, pending int64
		txs := map[*modelTx]bool{}
		for i, mv := range all {
			switch {
			case mv.script != string(a.Script):
			case of[i].state == "unconfirmed" && mv.out:
				pending -= mv.amount
			case of[i].state == "unconfirmed":
				pending += mv.amount
			case mv.out:
				sent, txs[of[i]] = sent+mv.amount, true
			default:
				received, txs[of[i]] = received+mv.amount, true
			}
		}
		balance := "null"
		if m.covered[string(a.Script)] {
			balance = fmt.Sprint(received - sent)
		}
		lines = append(lines, fmt.Sprint(a.Text, "|", balance, "|", received, "|", sent, "|", pending, "|", len(txs)))
	}
	slices.Sort(lines)
	return lines
}

func (m *model) transactions() (lines []string) {
	for _, t := range m.txs {
		for script, historic := range t.touched {
			lines = append(lines, m.line(t, script, historic))
		}
	}
	slices.Sort(lines)
	return lines
}

func (m *model) line(t *modelTx, script string, historic bool) string {
	var received, sent int64
	var debits, credits int
	proof := t.proof
	for _, mv := range t.moves {
		switch {
		case mv.script != script:
		case mv.out:
			sent, debits = sent+mv.amount, debits+1
			if m.stillStated(t, mv) {
				proof = "reported"
			}
		default:
			received, credits = received+mv.amount, credits+1
		}
	}
	elsewhere := slices.ContainsFunc(t.msg.TxOut, func(out *wire.TxOut) bool { return out.Value > 0 && string(out.PkScript) != script })
	direction := "out"
	switch {
	case debits == 0:
		direction = "in"
	case credits > 0 && !elsewhere:
		direction = "self"
	case received >= sent:
		direction = "in"
	}
	place := "0|null|null|null"
	if t.state == "confirmed" {
		place = fmt.Sprint(max(1, m.height-t.height+1), "|", t.height, "|", t.block, "|", unix(t.time))
	}
	return strings.Join([]string{m.address(script), t.msg.TxID(), direction, fmt.Sprint(max(received-sent, sent-received)), number(t.fee),
		t.state, proof, place, fmt.Sprint(historic), fmt.Sprint(t.firstSeen || t.reorged)}, "|")
}

// counterparties leaves the times out.
func (m *model) counterparties() (lines []string) {
	type pair struct{ own, other, direction string }
	sums, counts := map[pair]int64{}, map[pair]int{}
	for _, t := range m.txs {
		if t.state == "dropped" {
			continue
		}
		for script := range t.touched {
			var received int64
			debit := false
			for _, mv := range t.moves {
				if mv.script == script {
					debit = debit || mv.out
					if !mv.out {
						received += mv.amount
					}
				}
			}
			others := map[string]int64{}
			if debit {
				for _, out := range t.msg.TxOut {
					if out.Value > 0 {
						others[string(out.PkScript)] += out.Value
					}
				}
			} else {
				for _, in := range t.msg.TxIn {
					if out, _ := m.output(in.PreviousOutPoint); out != nil {
						others[string(out.PkScript)] = received
					}
				}
			}
			for other, amount := range others {
				if other == script || m.address(other) == "" {
					continue
				}
				p := pair{m.address(script), m.address(other), way(debit)}
				sums[p] += amount
				counts[p]++
			}
		}
	}
	for p, sum := range sums {
		lines = append(lines, fmt.Sprint(p.own, "|", p.other, "|", p.direction, "|", sum, "|", counts[p]))
	}
	slices.Sort(lines)
	return lines
}
