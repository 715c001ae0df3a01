package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// outcome is what a run of a scene left behind.
type outcome struct {
	movements, balances, transactions []string // the report in the model's lines
	told                              []told   // in the order of recording
	waiting                           []string // alerts on their way to the channel
	chain                             []string // height and hash of the covered chain
	gaps, reorgs                      []string
	dump                              []string // of every table
}

// told is one alert.
type told struct {
	id    string
	quiet bool
	alerts.Data
	typ alerts.Type
}

func (s *scene) outcome(t *testing.T, database string) *outcome {
	t.Helper()
	w := &world{t: t, config: testConfig(database)}
	defer func() { w.conn().Close(context.Background()) }()
	o := &outcome{
		movements: w.lines(movementLines), balances: w.lines(balanceLines), transactions: w.lines(transactionLines),
		waiting: w.lines(`SELECT encode(alert_id, 'hex') FROM btcwatch.delivery WHERE channel = 'record'`),
		chain: w.lines(`SELECT concat_ws(' ', n.height, btcwatch.display(b.hash)) FROM btcwatch.chain_now n JOIN btcwatch.block b ON b.id = n.block_id
			UNION ALL SELECT concat_ws(' ', 'tip', height, btcwatch.display(hash)) FROM btcwatch.position
			UNION ALL SELECT concat_ws(' ', 'left', b.height, btcwatch.display(b.hash)) FROM btcwatch.block b
			WHERE NOT (SELECT e.on_chain FROM btcwatch.block_event e WHERE e.block_id = b.id ORDER BY e.id DESC LIMIT 1)`),
		gaps:   w.lines(`SELECT reason FROM report.gaps`),
		reorgs: w.lines(`SELECT severity FROM report.alerts WHERE type = 'chain.reorged'`),
		dump:   s.dump(w),
	}
	found, err := w.conn().Query(t.Context(), `SELECT encode(id, 'hex'), quiet, body FROM btcwatch.alert ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var one told
		var raw []byte
		var body alerts.Body
		if err := found.Scan(&one.id, &one.quiet, &raw); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &body); err != nil {
			t.Fatal(err)
		}
		one.typ, one.Data = body.Type, body.Data
		o.told = append(o.told, one)
	}
	return o
}

// judgeAll holds an outcome against the two ends of the chain.
func (s *scene) judgeAll(t *testing.T, o *outcome) {
	for i, f := range append(fates(), fate{name: "stays"}) {
		t.Run(f.name, func(t *testing.T) { s.judge(t, o, s.watched[i]) })
	}
	var blocks []string
	tip, last := s.ledger.Tip()
	for height := s.joined + 1; height <= tip; height++ {
		blocks = append(blocks, fmt.Sprint(height, " ", s.ledger.BlockAt(height).BlockHash()))
	}
	for i, hash := range s.gone {
		blocks = append(blocks, fmt.Sprint("left ", s.split+1+int32(i), " ", hash))
	}
	sameLines(t, "the covered chain", append(blocks, fmt.Sprint("tip ", tip, " ", last.BlockHash())), o.chain)
	sameLines(t, "report.gaps", nil, o.gaps)
	sameLines(t, "chain.reorged", s.deep(), o.reorgs)
	var loud []string
	for _, a := range o.told {
		if !a.quiet {
			loud = append(loud, a.id)
		}
	}
	sameLines(t, "the queue of deliveries", loud, o.waiting)
}

// deep is the severity of the word about the reorganisation itself, if it is
// worth one.
func (s *scene) deep() []string {
	switch {
	case s.depth < 3:
		return nil
	case s.depth < 7:
		return []string{"medium"}
	}
	return []string{"severe"}
}

// judge holds what became of one address against the chain.
func (s *scene) judge(t *testing.T, o *outcome, a chain.Address) {
	t.Helper()
	sameLines(t, "movements", of(a, s.after.movements), of(a, o.movements))
	sameLines(t, "balances", of(a, s.after.balances), of(a, o.balances))
	want := s.expected(a)
	sameLines(t, "transactions", want.transactions, of(a, o.transactions))
	var said []string
	byID := map[string]told{}
	for _, one := range o.told {
		byID[one.id] = one
		if one.Address == a.Text {
			said = append(said, one.words(byID))
			if one.AmountSat == nil || *one.AmountSat != s.amount(a, one.TxID) {
				t.Errorf("%s of %s tells the amount %v", one.typ, one.TxID, one.AmountSat)
			}
		}
	}
	sameLines(t, "alerts", want.words, said)
	checkThreads(t, o.told, want.threads)
}

// words are an alert in the model's line. What it corrects must have been told
// before it, in the same thread.
func (one told) words(before map[string]told) string {
	place, depth, corrects := "-", int32(0), "-"
	if one.BlockHash != "" {
		place = one.BlockHash
	}
	if one.Confirmations != nil {
		depth = *one.Confirmations
	}
	if first, ok := before[one.Corrects]; ok && first.Thread == one.Thread && first.TxID == one.TxID {
		corrects = fmt.Sprint(first.typ, " ", first.BlockHash)
		if first.Confirmations != nil {
			corrects += fmt.Sprint(" ", *first.Confirmations)
		}
	} else if one.Corrects != "" {
		corrects = "something else"
	}
	if strings.Contains(one.Summary, "according to") { // a block shows all that is told here
		corrects += " on hearsay"
	}
	return fmt.Sprint(one.typ, " ", one.TxID, " ", one.State, " in ", place, " ", depth, " by ", one.ReplacedBy, " corrects ", corrects)
}

// checkThreads: what is said of one payment, and of what replaced it, is one
// thread and no other's. threads names that of each payment.
func checkThreads(t *testing.T, all []told, threads map[string]string) {
	t.Helper()
	names := map[string]string{}
	for _, one := range all {
		name, ok := threads[one.TxID+" "+one.Address]
		if !ok {
			continue
		}
		if known, met := names[one.Thread]; met && known != name {
			t.Errorf("the thread %s is that of %s and of %s", one.Thread, known, name)
		}
		names[one.Thread] = name
	}
	if len(names) != len(distinct(threads)) {
		t.Errorf("%d threads, want %d", len(names), len(distinct(threads)))
	}
}

func distinct(of map[string]string) map[string]bool {
	all := map[string]bool{}
	for _, value := range of {
		all[value] = true
	}
	return all
}

// of gives the lines about an address.
func of(a chain.Address, lines []string) []string {
	var all []string
	for _, line := range lines {
		if strings.HasPrefix(line, a.Text+" ") {
			all = append(all, line)
		}
	}
	return all
}

func sameLines(t *testing.T, what string, want, got []string) {
	t.Helper()
	(&world{t: t}).same(what, slices.Clone(want), slices.Clone(got))
}
