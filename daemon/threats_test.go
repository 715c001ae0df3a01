package daemon

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"btcwatch/alerts"
)

// lie is one way in which an explorer says what is not so, or says nothing.
type lie struct {
	threat string // of the model of threats
	name   string
	tell   func(s *court, w *witness) bool // false: its kind cannot
	cannot string                          // the kinds that cannot
	hides  hides                           // what nobody has who lies so
	words  string                          // one of which is the state of who lies so
	late   string                          // the kinds that are named by the fourth poll, when two more blocks have come
	unseen string                          // the kinds that no answer of theirs gives away who lie so (the reasons are below)

	together bool // who say the same are told of as one: the first that said it is named
}

// hides is what cannot be had from explorers that lie.
type hides int

const (
	nothing   hides = iota
	newBlocks       // and whoever has them shows that there are some
	quietly         // new blocks; where all lie nothing shows that there are any
	oldBlocks
)

const all = "esplora electrum blockbook"

// Why nobody is named for a lie that is marked unseen. Nothing is believed for any
// of them: the truth is recorded in each trial.
//   - A transaction twice, by electrum, is twice on its list, which honest servers
//     show too while a block comes: each is taken once.
//   - Now one branch, now another, is what a balancer before differing servers
//     shows: it is lagging where that lasts, and each branch is weighed by its work.
//   - Hostile words in fields that nobody reads are no answer to any question.
//   - One transaction of each list, by blockbook, under a count of all: versions of
//     it cut lists off, so such an answer counts as incomplete, and as nothing else.

// allLies are those of the model of threats, L1 to L15, and two failures that
// are no lies. L10 is not among them: see TestBlocksOfOneOperator.
func allLies() []lie {
	return []lie{
		{threat: "L1", name: "a payment invented in a block long covered", tell: inventedInThePast, words: "lying"},
		{threat: "L1", name: "a payment invented in a new block", tell: inventedInNews, hides: newBlocks, words: "lying"},
		{threat: "L2", name: "payments left out of a new block", tell: leftOutOfNews, hides: newBlocks, words: "lying"},
		{threat: "L2", name: "payments left out of history", tell: leftOutOfThePast, hides: oldBlocks, words: "lying", late: all},
		{threat: "L2", name: "a new block withheld", tell: withheld, cannot: "electrum", hides: newBlocks, words: "failing", late: all},
		{threat: "L3", name: "an empty mempool", tell: mempoolEmpty},
		{threat: "L3", name: "an unconfirmed payment invented", tell: mempoolInvented},
		{threat: "L4", name: "another amount paid", tell: otherAmounts, words: "lying"},
		{threat: "L4", name: "another amount spent", tell: otherSources, cannot: "electrum", words: "lying"},
		{threat: "L4", name: "another amount in a block with work of its own", tell: amountInNews, hides: newBlocks, words: "lying failing", late: "electrum"},
		{threat: "L5", name: "a tip that stands still", tell: standsStill, hides: quietly, words: "lagging stale"},
		{threat: "L5", name: "a tip that falls back", tell: fallsBack, hides: quietly, words: "lagging stale"},
		{threat: "L6", name: "a tip that nobody can back", tell: boasts, words: "failing", late: all},
		{threat: "L6", name: "a block without work", tell: withoutWork, hides: newBlocks, words: "lying lagging failing", late: "electrum"},
		{threat: "L6", name: "a block of another difficulty", tell: tooEasy, hides: newBlocks, words: "lying lagging failing", late: "electrum"},
		{threat: "L6", name: "a block of tomorrow", tell: ofTomorrow, hides: newBlocks, words: "lying lagging failing", late: "electrum"},
		{threat: "L7", name: "a transaction of 64 bytes", tell: nodeAsTransaction, hides: newBlocks, words: "lying lagging failing", late: "electrum"},
		{threat: "L7", name: "a branch through a transaction", tell: deeperProof, cannot: "electrum blockbook", words: "lying"},
		{threat: "L8", name: "a transaction twice under the same root", tell: twice, hides: newBlocks, words: "lying", unseen: "electrum"},
		{threat: "L8", name: "a branch to a place that there is not", tell: doubledProof, cannot: "electrum blockbook", words: "lying"},
		{threat: "L9", name: "a branch with less work", tell: onMinority, hides: quietly, words: "lagging"},
		{threat: "L9", name: "now one branch, now another", tell: onTwoBranches, words: "lagging failing", unseen: all},
		{threat: "L11", name: "the same invented payment by all", tell: mempoolColluding, together: true},
		{threat: "L11", name: "the same invented past by all", tell: pastColluding, words: "lying"},
		{threat: "L12", name: "what was paid to a look-alike", tell: ofLookalike, words: "lying failing"},
		{threat: "L12", name: "dust by the dozen", tell: dust},
		{threat: "L13", name: "hostile words as errors", tell: hostileErrors, hides: newBlocks, words: "failing"},
		{threat: "L13", name: "hostile words in answers", tell: hostileFields, words: "failing", unseen: "esplora blockbook"},
		{threat: "L14", name: "answers that are too long", tell: tooLong, hides: newBlocks, words: "failing"},
		{threat: "L14", name: "answers that are too deep", tell: tooDeep, hides: newBlocks, words: "failing"},
		{threat: "L14", name: "no answers", tell: silent, hides: newBlocks, words: "failing"},
		{threat: "L15", name: "one transaction of each list", tell: firstOnly, words: "lying", unseen: "blockbook"},
		{threat: "L15", name: "nothing of each list", tell: noneListed, words: "failing lying"},
		{threat: "none", name: "connections closed", tell: hangsUp, hides: newBlocks, words: "failing"},
		{threat: "none", name: "asked too often", tell: limited, hides: newBlocks, words: "limited failing"},
	}
}

func has(kinds, kind string) bool { return slices.Contains(strings.Fields(kinds), kind) }

// choices are the ways to choose liars among three, by their places: each alone,
// two of them, which ones goes by the number of the lie, and all.
func choices(n int) [][]int {
	return [][]int{{0}, {1}, {2}, {n % 3, (n + 1) % 3}, {0, 1, 2}}
}

// TestEveryLieInTheModelOfThreats: of three explorers of different software and
// operators one, two or all lie, in each way and each choice. What is proven is
// on the chain; where anybody honest gives blocks all of the chain is recorded,
// byte for byte; who lies is named within two polls, nobody honest is called a
// liar, no word of theirs gets through, and in the end all is well by itself.
func TestEveryLieInTheModelOfThreats(t *testing.T) {
	t.Parallel()
	var tried, able atomic.Int32
	t.Run("trials", func(t *testing.T) {
		for n, l := range allLies() {
			for _, liars := range choices(n) {
				var names []string
				for _, n := range liars {
					names = append(names, witnessKinds[n])
				}
				if slices.ContainsFunc(names, func(kind string) bool { return has(l.cannot, kind) }) {
					continue
				}
				able.Add(1)
				t.Run(fmt.Sprint(l.threat, " ", l.name, " by ", strings.Join(names, " and ")), func(t *testing.T) {
					t.Parallel()
					newTrial(t, l, names)
					tried.Add(1)
				})
			}
		}
	})
	threats := map[string]int{}
	for _, l := range allLies() {
		threats[l.threat]++
	}
	for n := 1; n <= 15; n++ {
		if threat := fmt.Sprint("L", n); threats[threat] < 2 && n != 10 { // which TestBlocksOfOneOperator has
			t.Errorf("only %d lies of %s", threats[threat], threat)
		}
	}
	t.Logf("%d lies, %d trials", len(allLies()), tried.Load())
	if tried.Load() != able.Load() && !strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		t.Errorf("%d trials were made, want %d", tried.Load(), able.Load())
	}
}

// trial is one lie, and who tells it.
type trial struct {
	*court
	lie
	liars []string
	named map[string]string // how each liar was named
}

// newTrial makes it, and holds it against all that is promised.
func newTrial(t *testing.T, l lie, liars []string) {
	tr := &trial{court: newCourt(t), lie: l, liars: liars, named: map[string]string{}}
	tr.pay(40_000, tr.a, tr.b)
	tr.pay(41_000, tr.a)
	tr.poll()
	for _, w := range tr.witnesses {
		if slices.Contains(liars, w.name) && !l.tell(tr.court, w) {
			t.Fatalf("%s cannot tell that %s", w.name, l.name)
		}
	}
	for n := range tr.polls() {
		tr.news(n)
		tr.poll()
		tr.noteNames()
		tr.claimsNoMore()
		tr.allNamed(n + 1)
	}
	switch {
	case !tr.blocksHidden():
		tr.wholeTruth()
	case tr.hides == newBlocks || len(liars) < 3:
		tr.saysBlind()
	}
	for _, w := range tr.witnesses {
		w.faults.ClearAll()
		w.thaw()
		w.follow(tr.ledger)
	}
	tr.ledger.MineEmpty(1)
	if !tr.settled(50) {
		t.Errorf("after it there is no truth: %s", tr.differs())
	}
	tr.claimsNoMore()
	if l.threat == "L13" {
		tr.nothingHostile()
	}
	if t.Failed() {
		t.Logf("%s\nlog of the daemon:\n%s", tr.said(), tr.log)
	}
}

// polls is how many there are before the truth is looked for.
func (tr *trial) polls() int {
	if tr.lie.late == "" {
		return 3
	}
	return 4
}

// giversLie says whether everybody lies who gives blocks.
func (tr *trial) giversLie() bool {
	return slices.Contains(tr.liars, "esplora") && slices.Contains(tr.liars, "blockbook")
}

// blocksHidden says whether nobody gives true new blocks.
func (tr *trial) blocksHidden() bool {
	return (tr.hides == newBlocks || tr.hides == quietly) && tr.giversLie()
}

// noteNames takes down what is said of each explorer.
func (tr *trial) noteNames() {
	t := tr.world.t
	t.Helper()
	for _, line := range tr.lines(`SELECT name || ' ' || state FROM report.explorers`) {
		name, word, _ := strings.Cut(line, " ")
		switch {
		case !slices.Contains(tr.liars, name) && word == "lying":
			t.Errorf("after %d polls %s is honest and called lying: %s", tr.polled, name, tr.said())
		case slices.Contains(strings.Fields(tr.lie.words), word):
			tr.named[name] = word
		}
	}
	for _, body := range tr.told(alerts.Type("explorer.disagreed")) {
		for _, name := range tr.liars {
			if strings.Contains(body, `"`+name+`"`) && tr.named[name] == "" {
				tr.named[name] = "disagreed"
			}
		}
	}
}

// told gives the bodies of alerts of a type, oldest first.
func (s *court) told(typ alerts.Type) []string {
	return s.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE type = $1 ORDER BY seq`, string(typ))
}

// allNamed checks that everybody who can be caught is, after so many polls. Where
// all three lie the same there is nobody by whom to tell; nor where all that give
// blocks show an old chain: then that is told, that nobody gives the new ones.
func (tr *trial) allNamed(polls int) {
	tr.world.t.Helper()
	for _, name := range tr.liars {
		due := 2
		if has(tr.lie.late, name) {
			due = 4
		}
		if tr.lie.together && len(tr.named) > 0 {
			continue
		}
		if polls == due && tr.named[name] == "" && !has(tr.lie.unseen, name) && len(tr.liars) < 3 && (tr.hides != quietly || !tr.giversLie()) {
			tr.world.t.Errorf("%s is not named within %d polls: %s", name, polls, tr.said())
		}
	}
	if polls == tr.polls() && len(tr.liars) == 3 && len(tr.named) == 0 && tr.lie.unseen == "" && tr.lie.words != "" && tr.hides != quietly && tr.hides != oldBlocks {
		tr.world.t.Errorf("all three lie, and nobody is named: %s", tr.said())
	}
}

// claimsNoMore checks that nothing is proven that is not on the chain, and that
// what is not is told on the word of the liars alone.
func (tr *trial) claimsNoMore() {
	t := tr.world.t
	t.Helper()
	m := tr.truth()
	places, true1 := map[string]bool{}, map[string]bool{}
	for _, line := range m.transactions {
		parts := strings.Fields(line)
		places[strings.Join([]string{parts[0], parts[1], parts[3], parts[7], parts[8]}, " ")] = true
		true1[parts[1]] = true
	}
	for _, line := range tr.lines(`SELECT concat_ws(' ', address, txid, amount_sat, block_height, block_hash) FROM report.transactions WHERE proof = 'proven'`) {
		if !places[line] {
			t.Errorf("proven, and not on the chain: %s", line)
		}
	}
	for _, body := range tr.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert WHERE type LIKE 'transaction.%'`) {
		var b alerts.Body
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			t.Fatal(err)
		}
		if true1[b.Data.TxID] {
			continue
		}
		if b.Data.Proof == alerts.Proven || b.Data.Proof == alerts.Corroborated && len(tr.liars) < 2 {
			t.Errorf("told as %s, and it never was: %s", b.Data.Proof, body)
		}
		for _, name := range b.Data.ReportedBy {
			if !slices.Contains(tr.liars, name) {
				t.Errorf("laid at the door of %s, who is honest: %s", name, body)
			}
		}
	}
}

// wholeTruth checks that all that is confirmed is recorded, byte for byte, and
// proven where the block can be had. A history that was read from a liar may need
// some more polls.
func (tr *trial) wholeTruth() {
	t := tr.world.t
	t.Helper()
	if len(tr.liars) == 3 && len(tr.world.config.Watch) == 3 {
		return // nobody is left by whom to tell what they leave out of the past
	}
	differs := tr.confirmedTruth
	switch {
	case len(tr.liars) == 3: // nobody is left to say what a block does not show
		differs = tr.feelessTruth
	case tr.hides == oldBlocks && tr.giversLie():
		differs = tr.ungradedTruth
	}
	for range 6 {
		if differs() == "" {
			return
		}
		tr.poll()
		tr.claimsNoMore()
	}
	t.Errorf("the truth is not recorded: %s", differs())
}

// saysBlind checks that it is said in time that no block can be had.
func (tr *trial) saysBlind() {
	t := tr.world.t
	t.Helper()
	for range int(tr.world.config.Health.BlindAfter/pollPause) + 1 {
		if len(tr.told(alerts.WatchBlind)) > 0 {
			return
		}
		tr.poll()
		tr.claimsNoMore()
	}
	if len(tr.told(alerts.WatchBlind)) == 0 {
		t.Errorf("nobody gives true blocks, and after %s it is not said: %s", time.Duration(tr.polled)*pollPause, tr.said())
	}
}

// nothingHostile checks that no word of an explorer is in the log, the record, or
// what people are told.
func (tr *trial) nothingHostile() {
	t := tr.world.t
	t.Helper()
	everything := map[string]string{"the log": tr.log.String(), "an alert": strings.Join(tr.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert`), "\n")}
	for _, table := range tr.lines(`SELECT tablename::text FROM pg_tables WHERE schemaname = 'btcwatch'`) {
		everything["table "+table] = strings.Join(tr.lines(`SELECT to_jsonb(t)::text FROM btcwatch.`+table+` t`), "\n")
	}
	for where, text := range everything {
		for _, mark := range hostileMarks {
			if strings.Contains(text, mark) {
				t.Errorf("%s holds hostile words: %q", where, mark)
			}
		}
	}
}
