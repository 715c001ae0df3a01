package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

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
	transactions, words, threads := s.expected(a)
	sameLines(t, "transactions", transactions, of(a, o.transactions))
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
	sameLines(t, "alerts", words, said)
	checkThreads(t, o.told, threads)
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

// expected works out what must stand in report.transactions and what must have
// been told of an address, from the two ends of the chain and its mempool alone.
func (s *scene) expected(a chain.Address) (transactions, words []string, threads map[string]string) {
	transactions = of(a, s.after.transactions)
	threads = map[string]string{}
	was, is := s.ends(a)
	tip, _ := s.ledger.Tip()
	met := map[string]bool{}
	say := func(tx chainhash.Hash, typ alerts.Type, state alerts.State, in string, depth int, by, corrects string) {
		line := fmt.Sprint(typ, " ", tx, " ", state, " in ", in, " ", depth, " by ", by, " corrects ", corrects)
		if !met[line] { // what stands on both ends is told once
			words, met[line] = append(words, line), true
		}
	}
	confirmed := func(tx chainhash.Hash, at stand, tip int32) {
		for _, depth := range []int32{1, 6} {
			if tip-at.height+1 >= depth {
				say(tx, alerts.TransactionConfirmed, alerts.Confirmed, at.hash.String(), int(depth), "", "-")
			}
		}
	}
	for tx, at := range was {
		threads[tx.String()+" "+a.Text] = tx.String()
		if s.sighted[tx] > 0 {
			say(tx, alerts.TransactionSeen, alerts.Unconfirmed, "-", 0, "", "-")
		}
		confirmed(tx, at, s.split+s.depth)
		if at.height <= s.split {
			continue
		}
		state := alerts.Unconfirmed
		if s.coinbases[at.height-s.split] != nil && s.isCoinbase(tx, at.height) {
			state = alerts.Dropped
		}
		say(tx, alerts.TransactionReorged, state, at.hash.String(), 0, "", fmt.Sprint(alerts.TransactionConfirmed, " ", at.hash, " 1"))
		correction := fmt.Sprint(alerts.TransactionReorged, " ", at.hash)
		gone := ""
		if _, still := is[tx]; !still {
			if by := s.rival(tx); by != nil {
				gone = "replaced"
				say(tx, alerts.TransactionReplaced, alerts.Replaced, "-", 0, by.TxHash().String(), correction)
				threads[by.TxHash().String()+" "+a.Text] = tx.String()
			} else if gone = "dropped"; state != alerts.Dropped {
				say(tx, alerts.TransactionDropped, alerts.Dropped, "-", 0, "", correction)
			}
			transactions = append(transactions, s.vanished(a, tx, gone))
		}
	}
	for tx, at := range is {
		if name := tx.String() + " " + a.Text; threads[name] == "" {
			threads[name] = tx.String()
		}
		if at.height >= 0 {
			confirmed(tx, at, tip)
		}
	}
	for name := range threads { // a rival that does not touch the address is not told
		id := *must(chainhash.NewHashFromStr(strings.Fields(name)[0]))
		_, one := was[id]
		if _, other := is[id]; !one && !other {
			delete(threads, name)
		}
	}
	return transactions, words, threads
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
