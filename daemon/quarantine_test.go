package daemon

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

func severe() HealthSettings {
	return HealthSettings{FailingAfter: 10 * time.Minute, BlindAfter: 5 * time.Minute,
		LaggingAfter: 10 * time.Minute, StaleAfter: time.Hour, Quarantine: 24 * time.Hour}
}

// TestStatesOfAnExplorer reaches all six.
func TestStatesOfAnExplorer(t *testing.T) {
	w := newWard(t)
	w.settings = severe()
	shows := func(tip, verified int32, length time.Duration) {
		for end := w.at.Add(length); w.at.Before(end); w.at = w.at.Add(30 * time.Second) {
			w.note("one", forTip, nil)
			w.sawTip("one", tip)
			w.sawTip("boaster", 1_000_000)
			w.stands(sql.Position{Set: true, Height: verified})
			w.verdicts()
		}
	}
	shows(100, 100, time.Hour)
	w.wantsWord("at the verified tip, below a claimed one", "ok")
	shows(100, 101, 2*time.Hour)
	w.wantsWord("one block behind for two hours", "ok")
	shows(101, 103, 9*time.Minute)
	w.wantsWord("two blocks behind for nine minutes", "ok")
	shows(101, 103, 2*time.Minute)
	w.wantsWord("for eleven", "lagging")
	w.wants("lagging is no outage", "explorer one", "well")
	for tip := int32(102); tip < 112; tip++ {
		shows(tip, tip+2, 10*time.Minute)
	}
	w.wantsWord("behind and moving, for more than an hour", "lagging")
	shows(112, 114, 65*time.Minute)
	w.wantsWord("behind and standing still", "stale")
	w.wants("stale is told", "explorer one", "out")
	shows(114, 114, time.Minute)
	w.wantsWord("there again", "ok")
	w.note("one", forMempool, errLimited)
	w.wantsWord("asks for patience", "limited")
	w.note("one", forMempool, errUnavailable)
	w.wantsWord("does not answer", "failing")
	w.note("one", forMempool, nil)
	w.wantsWord("answers", "ok")
	w.note("one", forBlocks, errLie)
	w.wantsWord("lies", "lying")
}

// TestSpentBudgetIsNoFailure: it is limited, never failing, and blind only where
// nobody is left for blocks.
func TestSpentBudgetIsNoFailure(t *testing.T) {
	spent := fmt.Errorf("%w: not asked: %w", explorer.ErrRateLimited, explorer.ErrSpent)
	w := newWard(t)
	w.settings = severe()
	for range 240 {
		w.note("two", forTip, nil)
		w.note("one", forTip, spent)
		w.at = w.at.Add(30 * time.Second)
	}
	w.wantsWord("for two hours", "limited")
	w.wants("for two hours", "explorer one", "undecided")
	w.wants("another one shows blocks", "blocks ", "well")
	w.note("two", forTip, spent)
	w.every(30*time.Second, 4*time.Minute, "two", forTip, spent)
	w.wants("nobody for four minutes", "blocks ", "well")
	w.every(30*time.Second, 2*time.Minute, "two", forTip, spent)
	w.wants("nobody for six", "blocks ", "out")
	verdicts, _ := w.verdicts()
	for _, v := range verdicts {
		if v.kind == forBlocks && !strings.Contains(v.reason, "budget") {
			t.Errorf("the reason is %q", v.reason)
		}
	}
}

// TestHonestIsNotQuarantined: what the operator, this machine's clock, a
// reorganisation or delay may explain is no proof.
func TestHonestIsNotQuarantined(t *testing.T) {
	for what, err := range map[string]error{
		"silence": errUnavailable, "refusal": errRefused, "patience": errLimited, "nothing there": errNotFound,
		"another block than is vouched for": badAnswer("one", "block 5", contested{errors.New("another hash")}),
		"a clock that is slow":              badAnswer("one", "block 5", fmt.Errorf("%w: %w", chain.ErrFalseBlock, chain.ErrEarly)),
	} {
		w := newWard(t)
		w.settings = severe()
		w.every(time.Minute, time.Hour, "one", forBlocks, err)
		if !w.trusted("one") {
			t.Errorf("in quarantine for %s", what)
		}
	}
	w := newWard(t)
	w.settings = severe()
	w.note("two", forBlocks, errLie)
	if !w.trusted("one") || w.trusted("two") {
		t.Error("the quarantine is not that of who lied")
	}
}

// TestHonestReorganisedAmidQuestions: an explorer whose chain changes between
// two questions gives a block that does not follow; that is no lie.
func TestHonestReorganisedAmidQuestions(t *testing.T) {
	l := newLookout(t, 3)
	l.health.settings = severe()
	other := copyOf(l.ledger)
	other.MineEmpty(3)
	l.ledger.MineEmpty(2)
	if err := func() error { l.explorer("honest", honest(l.ledger, 5)); return l.round(t.Context()) }(); err != nil {
		t.Fatal(err)
	}
	moved := false
	v := honest(other, 6)
	v.hash = func(height int32) (chainhash.Hash, error) {
		if !moved && height > 3 && height < 6 {
			return l.ledger.BlockAt(height).BlockHash(), nil // its old branch, up to the position
		}
		if height == 6 {
			moved = true
		}
		return other.BlockAt(height).BlockHash(), nil
	}
	l.explorers = nil
	l.explorer("moving", v)
	l.watch(2 * time.Minute)
	if !l.health.trusted("moving") {
		t.Error("in quarantine for a reorganisation")
	}
	if p := must(l.store.Position(t.Context())); p.Hash != other.BlockAt(6).BlockHash() {
		t.Errorf("its branch is not followed: %d", p.Height)
	}
}

// TestQuarantineOverRestarts: it is told at once, outlives a daemon, gives blocks
// where nobody else does, and ends after a day of probes or by a person's word.
func TestQuarantineOverRestarts(t *testing.T) {
	l := newLookout(t, 5)
	l.health.settings = severe()
	l.explorer("liar", honest(l.ledger, 5))
	if err := l.store.SetExplorers(t.Context(), []explorer.Settings{{Name: "liar", Kind: "esplora", Operator: "o"}}); err != nil {
		t.Fatal(err)
	}
	l.health.note("liar", forProofs, badAnswer("liar", "Merkle proof", errors.New("it leads elsewhere")))
	if err := l.watch(time.Minute); err != nil {
		t.Fatal(err)
	}
	if p := must(l.store.Position(t.Context())); p.Height != 5 {
		t.Errorf("blind, because the only explorer once lied: covered up to %d", p.Height)
	}
	l.wantsWord("liar", "lying")
	l.wantsOut("caught", "explorer liar", true)
	open := must(l.store.OpenOutages(t.Context()))
	if len(open) != 1 || !strings.Contains(open[0].Reason, "Merkle proof") {
		t.Errorf("told: %+v", open)
	}
	listed := must(l.store.Explorers(t.Context()))
	if len(listed) != 1 || listed[0].State != "lying" || listed[0].QuarantinedSince == nil || !strings.Contains(*listed[0].QuarantineReason, "it leads elsewhere") {
		t.Errorf("listed: %+v", listed)
	}

	again := func() {
		l.health = newHealth(severe(), l.writer, l.store, l.now, l.log)
		l.ancestors.health = l.health
		if err := l.health.load(t.Context(), []explorer.Settings{{Name: "liar"}}); err != nil {
			t.Fatal(err)
		}
	}
	again()
	if l.health.trusted("liar") {
		t.Fatal("a restart makes it trusted")
	}
	pause := probePause(24 * time.Hour)
	probe := prober{&asker{store: l.store, writer: l.writer, explorers: l.explorers, health: l.health, beat: func() {}, now: l.now, log: l.log}, l.params, pause}
	day := func(length time.Duration) {
		for end := l.at.Add(length); l.at.Before(end); l.at = l.at.Add(pause) {
			if err := errors.Join(probe.round(t.Context()), l.health.judge(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	day(12 * time.Hour)
	again()
	probe.health = l.health
	day(11 * time.Hour)
	if l.health.trusted("liar") {
		t.Error("trusted before it was clean for a day")
	}
	day(2 * time.Hour)
	if !l.health.trusted("liar") {
		t.Error("not trusted after a clean day")
	}
	l.wantsOut("a clean day", "explorer liar", false)
	if len(must(l.store.Quarantines(t.Context()))) != 0 {
		t.Error("the quarantine is still open in the record")
	}

	l.health.note("liar", forBlocks, errLie)
	if err := l.health.judge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.store.ClearQuarantine(t.Context(), "liar", "officer", "a ticket"); err != nil {
		t.Fatal(err)
	}
	if l.health.trusted("liar") {
		t.Error("trusted before the daemon has looked")
	}
	l.at = l.at.Add(time.Minute)
	if err := l.health.judge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !l.health.trusted("liar") {
		t.Error("a person's word does nothing")
	}
	l.wantsWord("liar", "ok")
	if err := l.store.ClearQuarantine(t.Context(), "liar", "officer", ""); !errors.Is(err, sql.ErrNotQuarantined) {
		t.Errorf("cleared twice: %v", err)
	}
}

// TestProbesFindLies: a block that is false begins the day anew, and who answers
// nothing is not clean.
func TestProbesFindLies(t *testing.T) {
	l := newLookout(t, 5)
	l.health.settings = severe()
	l.explorer("liar", honest(l.ledger, 5))
	if err := l.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.health.note("liar", forProofs, errLie)
	probe := prober{&asker{store: l.store, explorers: l.explorers, health: l.health, beat: func() {}, now: l.now, log: l.log}, l.params, 10 * time.Minute}
	clean := func(what string, want time.Duration) {
		t.Helper()
		for range 4 {
			if err := probe.round(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.at = l.at.Add(10 * time.Minute)
		}
		if got := l.health.suspected()["liar"].Clean; got != want {
			t.Errorf("%s: clean for %v, want %v", what, got, want)
		}
	}
	clean("true answers", 30*time.Minute)
	v := honest(l.ledger, 5)
	truth := v.block
	v.block = func(chainhash.Hash) ([]byte, error) { return nil, errUnavailable }
	l.explorers[0].Chain, l.explorers[0].Blocks = v, v
	clean("no answers", 30*time.Minute)
	v.block = func(hash chainhash.Hash) ([]byte, error) {
		raw, err := truth(hash)
		return append(raw[:len(raw)-1:len(raw)-1], 1), err
	}
	l.explorers[0].Chain, l.explorers[0].Blocks = v, v
	clean("false answers", 0)
}

// TestNobodyIsAskedAboutAddresses: those in quarantine learn and say nothing of
// addresses; where no other is left the watch is blind for the mempool, and that
// is a gap.
func TestNobodyIsAskedAboutAddresses(t *testing.T) {
	var mu sync.Mutex
	count := map[string]int{}
	voiced := func(name string) *explorer.Explorer {
		s := counting(explorer.Counters{})
		before := s.counters
		s.counters = func(a chain.Address) (explorer.Counters, error) {
			mu.Lock()
			defer mu.Unlock()
			count[name]++
			return before(a)
		}
		return scriptedExplorer(name, s)
	}
	a := newAsked(t, 2, voiced("one"), voiced("two"))
	a.begun(t)
	at := time.Now()
	a.health.now = func() time.Time { return at }
	a.health.settings = severe()
	a.health.note("one", forProofs, errLie)
	if err := a.mempoolRound(t.Context()); err != nil || count["one"] != 0 || count["two"] != 2 {
		t.Errorf("asked %v: %v", count, err)
	}
	a.health.note("two", forProofs, errLie)
	for range 14 {
		if err := a.mempoolRound(t.Context()); !errors.Is(err, errNobodyTrusted) {
			t.Errorf("with nobody left: %v", err)
		}
		if err := a.health.judge(t.Context()); err != nil {
			t.Fatal(err)
		}
		at = at.Add(30 * time.Second)
	}
	if count["one"] != 0 || count["two"] != 2 || !a.health.outages["mempool "] {
		t.Errorf("asked %v, out %v", count, a.health.outages)
	}
	for _, name := range []string{"one", "two"} {
		if err := a.store.ClearQuarantine(t.Context(), name, "officer", ""); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := a.health.judge(t.Context()); err != nil {
			t.Fatal(err)
		}
		at = at.Add(30 * time.Second)
		if err := a.mempoolRound(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if a.health.outages["mempool "] {
		t.Error("still blind for the mempool")
	}
	if gaps := must(a.store.Gaps(t.Context(), time.Time{})); len(gaps) != 1 || gaps[0].Kind != "mempool" {
		t.Errorf("gaps: %+v", gaps)
	}
}

// TestBelieved: two that lie do not agree on anything.
func TestBelieved(t *testing.T) {
	w := newWard(t)
	w.settings = severe()
	one, two, three := paced(t, "one", 1), paced(t, "two", 1), paced(t, "three", 1)
	all := []shown{one, two, three}
	w.note("two", forBlocks, errLie)
	if got := w.believed(all); len(got) != 2 || got[0].Name != "one" || got[1].Name != "three" {
		t.Errorf("believed %v", got)
	}
	if got := w.quarantinedLast(all); got[2].Name != "two" {
		t.Errorf("order %v", got)
	}
	w.note("one", forBlocks, errLie)
	w.note("three", forBlocks, errLie)
	if got := w.believed(all); len(got) != 1 {
		t.Errorf("%d believed of three that lie", len(got))
	}
}

// TestWhoGivesMostHeadersIsAsked: after one answer of each, the one with 2,016.
func TestWhoGivesMostHeadersIsAsked(t *testing.T) {
	l := newLookout(t, 3)
	asked := map[string]map[string]int{"single": {}, "many": {}}
	ledger := chaintest.NewChain()
	ledger.MineEmpty(60)
	l.ledger = ledger
	var explorers []*explorer.Explorer
	for _, name := range []string{"single", "many"} {
		explorers = append(explorers, &explorer.Explorer{Name: name, Headers: lister{l, asked[name]}})
	}
	l.ancestors.explorers = explorers
	l.ancestors.gives("single", 1, nil)
	l.ancestors.gives("many", 2016, nil)
	for turn := range 10 {
		if got := l.ancestors.mostFirst(turn); got[0].Name != "many" {
			t.Errorf("turn %d: %s is asked first", turn, got[0].Name)
		}
	}
	for range 12 {
		l.ancestors.gives("many", 0, errUnavailable)
	}
	if got := l.ancestors.mostFirst(0); got[0].Name != "single" {
		t.Error("one that always fails is asked first")
	}
}

// TestRoundLengthsCountWhoCanBeAsked: a node and what is kept for blocks make no
// round shorter.
func TestRoundLengthsCountWhoCanBeAsked(t *testing.T) {
	config := testConfig("")
	config.Explorers = []explorer.Settings{
		{Name: "node", Kind: "node"},
		{Name: "one", Kind: "esplora", RequestsPerSecond: 0.5},
		{Name: "two", Kind: "esplora", RequestsPerSecond: 1, Budget: explorer.Budget{Hour: 3000}},
	}
	// 0.5 and 3,000 * 0.6 / 3,600 = 0.5 a second
	got := RoundLengths(config, 100)
	if len(got) != 2 || got["one"].Round(time.Second) != 100*time.Second || got["two"].Round(time.Second) != 100*time.Second {
		t.Errorf("rounds take %v", got)
	}
}

// TestBlocksSpareWhoKnowsAddresses: at the same pace a node serves four blocks
// of five.
func TestBlocksSpareWhoKnowsAddresses(t *testing.T) {
	node, other := paced(t, "node", 1), paced(t, "other", 1)
	node.Explorer.Addresses = nil
	turns, now, served := newTurns(), time.Now(), map[string]int{}
	for range 100 {
		e := turns.order([]shown{node, other}, now)[0]
		turns.served(e.Explorer)
		served[e.Name]++
	}
	if served["node"] != 80 {
		t.Errorf("served %v", served)
	}
}

// TestBudgetsOverRestarts: what was asked counts in the next life too, with what
// a daemon that is killed may not have saved.
func TestBudgetsOverRestarts(t *testing.T) {
	l := newLookout(t, 3)
	open := func() *explorer.Explorer {
		return must(explorer.Open(explorer.Settings{Name: "one", Kind: "esplora", URL: "http://127.0.0.1:1", RequestsPerSecond: 0.5,
			Budget: explorer.Budget{Hour: 100, Day: 1000}}, l.params))
	}
	at := time.Now().UTC().Truncate(explorer.SpentStretch)
	e := open()
	if err := l.health.resumeBudgets(t.Context(), []*explorer.Explorer{e}); err != nil {
		t.Fatal(err)
	}
	e.Pace.Resume([]explorer.Spent{{At: at, Requests: 30}})
	for range 2 { // nothing new: not counted twice
		if err := l.health.keepBudgets(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	next := open()
	if err := newHealth(severe(), l.writer, l.store, l.now, l.log).resumeBudgets(t.Context(), []*explorer.Explorer{next}); err != nil {
		t.Fatal(err)
	}
	if left := next.Pace.Left(); *left.Hour != 65 || *left.Day != 965 { // 30, and 10 s at one in 2 s
		t.Errorf("left %d and %d", *left.Hour, *left.Day)
	}
}
