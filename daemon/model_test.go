package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// model is what a chain says of watched scripts: its blocks replayed from the
// first with btcd's types, and nothing that the daemon knows. Each row is a
// line of text, in the order of the columns of the report.
type model struct {
	addresses map[string]string // by script
	joined    int32             // payments up to there are historic
	tip       int32
	outputs   map[wire.OutPoint]*wire.TxOut
	sums      map[string]*modelSum // by address

	movements    []string
	transactions []string
	balances     []string
	told         []string // address, txid and amount of each payment that a block after joined confirms
}

type modelSum struct{ received, sent, pending, count int64 }

// replay reads a source from its first block to its mempool.
func replay(t *testing.T, source chaintest.Source, joined int32, watched ...chain.Address) *model {
	t.Helper()
	m := &model{addresses: map[string]string{}, joined: joined, outputs: map[wire.OutPoint]*wire.TxOut{}, sums: map[string]*modelSum{}}
	for _, a := range watched {
		m.addresses[string(a.Script)] = a.Text
		m.sums[a.Text] = &modelSum{}
	}
	height, hash := must2(source.Best(t.Context()))
	m.tip = height
	blocks := make([]*wire.MsgBlock, height+1)
	for ; height >= 0; height-- {
		block := new(wire.MsgBlock)
		if err := block.Deserialize(bytes.NewReader(must(source.RawBlock(t.Context(), hash)))); err != nil {
			t.Fatal(err)
		}
		blocks[height], hash = block, block.Header.PrevBlock
	}
	for height, block := range blocks {
		for _, tx := range block.Transactions {
			m.add(tx, int32(height), block)
		}
	}
	for _, tx := range must(source.Mempool(t.Context())) {
		m.add(tx, -1, nil)
	}
	for address, s := range m.sums {
		m.balances = append(m.balances, fmt.Sprint(address, " ", s.received-s.sent, " ", s.received, " ", s.sent, " ", s.pending, " ", s.count))
	}
	return m
}

// effect is what a transaction does to one address.
type modelEffect struct {
	received, sent  int64
	credits, debits int
	others          bool // an output with money pays somebody else
}

func (m *model) add(tx *wire.MsgTx, height int32, block *wire.MsgBlock) {
	id := tx.TxHash()
	place, when := "-", "-"
	if block != nil {
		place, when = fmt.Sprint(height), fmt.Sprint(block.Header.Timestamp.Unix())
	}
	effects := map[string]*modelEffect{}
	move := func(script []byte, direction string, n int, amount int64) {
		address, ok := m.addresses[string(script)]
		if !ok {
			return
		}
		if effects[address] == nil {
			effects[address] = &modelEffect{}
		}
		e := effects[address]
		if direction == "in" {
			e.received, e.credits = e.received+amount, e.credits+1
		} else {
			e.sent, e.debits = e.sent+amount, e.debits+1
		}
		m.movements = append(m.movements, fmt.Sprint(address, " ", id, " ", direction, " ", n, " ", amount, " ", place, " ", when, " false"))
	}
	var fee int64
	for n, in := range tx.TxIn {
		if out, ok := m.outputs[in.PreviousOutPoint]; ok {
			move(out.PkScript, "out", n, out.Value)
			fee += out.Value
		}
	}
	for n, out := range tx.TxOut {
		m.outputs[wire.OutPoint{Hash: id, Index: uint32(n)}] = out
		move(out.PkScript, "in", n, out.Value)
		fee -= out.Value
	}
	cost := fmt.Sprint(fee)
	if tx.TxIn[0].PreviousOutPoint.Index == wire.MaxPrevOutIndex {
		cost = "-"
	}
	for address, e := range effects {
		for _, out := range tx.TxOut {
			e.others = e.others || out.Value > 0 && m.addresses[string(out.PkScript)] != address
		}
		m.sum(address, e, block != nil)
		m.describe(address, id.String(), e, cost, height, block)
	}
}

func (m *model) sum(address string, e *modelEffect, confirmed bool) {
	s := m.sums[address]
	if !confirmed {
		s.pending += e.received - e.sent
		return
	}
	s.received, s.sent, s.count = s.received+e.received, s.sent+e.sent, s.count+1
}

func (m *model) describe(address, id string, e *modelEffect, fee string, height int32, block *wire.MsgBlock) {
	net := e.received - e.sent
	direction := "out"
	switch {
	case e.debits == 0:
		direction = "in"
	case e.credits > 0 && !e.others:
		direction = "self"
	case net >= 0:
		direction = "in"
	}
	amount := max(net, -net)
	if block == nil {
		m.transactions = append(m.transactions, fmt.Sprint(address, " ", id, " ", direction, " ", amount, " ", fee, " unconfirmed 0 - - - false reported"))
		return
	}
	if height > m.joined {
		m.told = append(m.told, fmt.Sprint(address, " ", id, " ", amount))
	}
	m.transactions = append(m.transactions, fmt.Sprint(address, " ", id, " ", direction, " ", amount, " ", fee, " confirmed ", m.tip-height+1,
		" ", height, " ", block.BlockHash(), " ", block.Header.Timestamp.Unix(), " ", height <= m.joined, " proven"))
}

// lines gives the rows of a query with one text column.
func (w *world) lines(query string, args ...any) []string {
	w.t.Helper()
	found, err := w.conn().Query(w.t.Context(), query, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// reportedPast is for where nobody serves the headers to which payments from
// before the watch could be proven.
func (m *model) reportedPast() {
	for i, line := range m.transactions {
		if past, ok := strings.CutSuffix(line, " true proven"); ok {
			m.transactions[i] = past + " true reported"
		}
	}
}

// provenPast waits until what is confirmed is proven, also from before the watch
// where anybody serves headers.
func (w *world) provenPast() {
	w.t.Helper()
	if w.headerless {
		return
	}
	w.await("0", `SELECT count(*) FROM report.transactions WHERE state = 'confirmed' AND proof <> 'proven'`)
}

// compare holds the report against the model: every movement, balance and
// transaction of every watched address, and every payment told once.
func (w *world) compare(m *model) {
	w.t.Helper()
	w.provenPast()
	w.same("report.movements", m.movements, w.lines(movementLines))
	w.same("report.balances", m.balances, w.lines(balanceLines))
	w.same("report.transactions", m.transactions, w.lines(transactionLines+` WHERE state IN ('confirmed', 'unconfirmed')`))
}

// agrees waits until the tip of newLedger's chain is covered, and holds the
// report against the chain.
func (w *world) agrees(ledger *chaintest.Chain, watched ...chain.Address) {
	w.t.Helper()
	w.caughtUp(ledger)
	w.compare(replay(w.t, ledger, 109, watched...))
}

// The report in the lines that the model writes.
const (
	movementLines = `
		SELECT concat_ws(' ', address, txid, direction, index, coalesce(amount_sat::text, '?'),
		       coalesce(block_height::text, '-'), coalesce(extract(epoch FROM block_time)::bigint::text, '-'),
		       CASE WHEN stated THEN 'true' ELSE 'false' END)
		FROM report.movements`
	balanceLines = `
		SELECT concat_ws(' ', address, coalesce(balance_sat::text, '?'), received_sat, sent_sat, unconfirmed_sat, tx_count)
		FROM report.balances`
	transactionLines = `
		SELECT concat_ws(' ', address, txid, direction, coalesce(amount_sat::text, '?'), coalesce(fee_sat::text, '-'), state,
		       confirmations, coalesce(block_height::text, '-'), coalesce(block_hash, '-'),
		       coalesce(extract(epoch FROM block_time)::bigint::text, '-'), CASE WHEN historic THEN 'true' ELSE 'false' END, proof)
		FROM report.transactions`
)

// comparePaymentsTold holds the confirmations told against the model.
func (w *world) comparePaymentsTold(m *model) {
	w.t.Helper()
	w.same("transaction.confirmed", m.told, w.lines(`
		SELECT concat_ws(' ', r.address, r.txid, r.amount_sat)
		FROM report.alerts r
		JOIN btcwatch.alert a ON a.id = decode(r.id, 'hex')
		WHERE r.type = 'transaction.confirmed'
		  AND (convert_from(a.body, 'UTF8')::jsonb #>> '{data,confirmations}')::integer = 1`))
}

func (w *world) same(what string, want, got []string) {
	w.t.Helper()
	slices.Sort(want)
	slices.Sort(got)
	if slices.Equal(want, got) {
		return
	}
	missing, extra := less(want, got), less(got, want)
	w.t.Errorf("%s differs from the chain: %d rows, want %d\n missing:\n  %s\n wrong:\n  %s", what, len(got), len(want),
		strings.Join(missing[:min(5, len(missing))], "\n  "), strings.Join(extra[:min(5, len(extra))], "\n  "))
}

// less gives what is in a and not, or not as often, in b.
func less(a, b []string) []string {
	left := map[string]int{}
	for _, line := range b {
		left[line]++
	}
	var all []string
	for _, line := range a {
		if left[line]--; left[line] < 0 {
			all = append(all, line)
		}
	}
	return all
}

// checkDelivered waits until nothing waits, and holds the file channel against
// the alerts recorded: each told alert in it, byte for byte, nothing else, and
// no fact told twice. It gives how many lines were repeats.
func (w *world) checkDelivered() (repeats int) {
	w.t.Helper()
	w.await("0", `SELECT count(*) FROM report.deliveries WHERE state <> 'delivered'`)
	bodies := map[string]string{}
	for _, body := range w.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE NOT quiet`) {
		bodies[idOf(w.t, body)] = body
	}
	data, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	met := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		id := idOf(w.t, line)
		if bodies[id] != line {
			w.t.Errorf("the file channel has a line that differs from the alert %s:\n%s\n%s", id, line, bodies[id])
		}
		if met[id] {
			repeats++
		}
		met[id] = true
	}
	if len(met) != len(bodies) {
		w.t.Errorf("%d alerts are in the file, %d were to be told", len(met), len(bodies))
	}
	w.expect("", `
		SELECT string_agg(DISTINCT concat_ws(' ', type, address, txid, said), ', ')
		FROM (
		    SELECT type, address, txid, said, count(*) OVER (PARTITION BY type, address, txid, said) AS times
		    FROM (
		        SELECT r.type, r.address, r.txid, concat_ws(' ', b.data #>> '{data,block_hash}', b.data #>> '{data,confirmations}', b.data #>> '{data,list_change,import}', (
		               SELECT count(*) FROM btcwatch.alert z WHERE z.type = 'transaction.reorged' AND z.tx_id = a.tx_id AND z.seq < a.seq)) AS said
		        FROM report.alerts r
		        JOIN btcwatch.alert a ON a.id = decode(r.id, 'hex')
		        CROSS JOIN LATERAL (SELECT convert_from(a.body, 'UTF8')::jsonb AS data) b
		        WHERE r.type LIKE 'transaction.%' OR r.type = 'list.changed'
		    ) x
		) y
		WHERE times > 1`)
	return repeats
}

func idOf(t *testing.T, body string) string {
	t.Helper()
	var b struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil || b.Data.ID == "" {
		t.Fatalf("no alert: %v\n%s", err, body)
	}
	return b.Data.ID
}
