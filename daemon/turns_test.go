package daemon

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain/explorer"
)

// paced opens an explorer that is never asked, for its pace.
func paced(t *testing.T, name string, perSecond float64) shown {
	t.Helper()
	settings := explorer.Settings{Name: name, Kind: "esplora", URL: "http://127.0.0.1:1", RequestsPerSecond: perSecond}
	return shown{must(explorer.Open(settings, &chaincfg.RegressionNetParams)), 100}
}

// TestTurnsByPace: each serves as many blocks as its pace allows, and whoever
// was away does not make up for it.
func TestTurnsByPace(t *testing.T) {
	one, two, three := paced(t, "one", 2), paced(t, "two", 1), paced(t, "three", 2)
	turns, now := newTurns(), time.Now()
	serve := func(seen []shown, blocks int) map[string]int {
		served := map[string]int{}
		for range blocks {
			e := turns.order(seen, now)[0]
			turns.served(e.Explorer)
			served[e.Name]++
		}
		return served
	}
	if got := serve([]shown{one, two}, 300); got["one"] != 200 || got["two"] != 100 {
		t.Errorf("of twice the pace: %v", got)
	}
	if got := serve([]shown{one, two, three}, 50); got["three"] < 19 || got["three"] > 21 {
		t.Errorf("who was away serves %v", got)
	}
	fresh := newTurns()
	fresh.failed("one", now, time.Second)
	if got := fresh.order([]shown{one, two, three}, now); got[0].Name != "two" || got[1].Name != "three" || got[2].Name != "one" {
		t.Errorf("after a failure of one the order is %s %s %s", got[0].Name, got[1].Name, got[2].Name)
	}
	if got := fresh.order([]shown{one, two, three}, now.Add(4*time.Second)); got[0].Name != "one" {
		t.Errorf("four times as long later %s comes first", got[0].Name)
	}
}

// TestBlocksInTurn: both explorers serve blocks, with fewer questions than two
// a block; one that begins to lie is passed over, and the other serves all.
func TestBlocksInTurn(t *testing.T) {
	l := newLookout(t, 40)
	asked := map[string]map[string]int{"a": {}, "b": {}}
	lying := false
	for _, name := range []string{"a", "b"} {
		truth := honest(l.ledger, 40)
		v := truth
		v.hash = func(height int32) (chainhash.Hash, error) {
			if height > 40-12 { // each is also asked there what it shows where another one's block is about to be recorded
				asked[name]["near"]++
			} else {
				asked[name]["hash"]++
			}
			return truth.hash(height)
		}
		v.block = func(hash chainhash.Hash) ([]byte, error) {
			asked[name]["block"]++
			raw, err := truth.block(hash)
			if lying && name == "b" && err == nil {
				raw = append(raw[:len(raw)-1:len(raw)-1], 1)
			}
			return raw, err
		}
		l.explorer(name, v)
		l.explorers[len(l.explorers)-1].Headers = lister{l, asked[name]}
	}
	if err := l.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := must(l.store.Position(t.Context())); p.Height != 40 {
		t.Fatalf("covered up to %d", p.Height)
	}
	for name, n := range asked {
		if n["block"] < 18 || n["block"] > 19 {
			t.Errorf("%s served %d of 37 blocks", name, n["block"])
		}
		if n["near"] > 12 {
			t.Errorf("%s was asked for %d hashes of the newest 12 blocks", name, n["near"])
		}
		if n["hash"]+n["list"] > n["block"]/2 {
			t.Errorf("%s was asked for %d hashes and %d lists over %d blocks", name, n["hash"], n["list"], n["block"])
		}
	}
	lying = true
	l.ledger.MineEmpty(20)
	for i := range l.explorers {
		v := l.explorers[i].Chain.(voice)
		v.tip, v.hash = 60, honest(l.ledger, 60).hash
		l.explorers[i].Chain = v
	}
	if err := l.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := must(l.store.Position(t.Context())); p.Height != 60 || p.Hash != l.ledger.BlockAt(60).BlockHash() {
		t.Errorf("covered up to %d", p.Height)
	}
	l.wantsWord("b", "lying")
	l.wantsWord("a", "ok")
}

// lister gives ten headers an answer.
type lister struct {
	*lookout
	asked map[string]int
}

func (l lister) Headers(_ context.Context, height int32, hash chainhash.Hash) (headers []wire.BlockHeader, err error) {
	l.asked["list"]++
	if l.ledger.BlockAt(height).BlockHash() != hash {
		return nil, errors.New("another block stands there")
	}
	for h := height; h > height-10; h-- {
		headers = append(headers, l.ledger.BlockAt(h).Header)
	}
	return headers, nil
}

// TestAsksWhileBehind: while blocks are missing, who paid is asked of one
// transaction a block over time; at the tip of as many as may be.
func TestAsksWhileBehind(t *testing.T) {
	f := &follower{behind: 5000}
	total := 0
	for range 300 {
		total += f.mayAsk(100)
	}
	if total != 300 {
		t.Errorf("%d questions over 300 blocks", total)
	}
	for range 300 {
		f.mayAsk(0)
	}
	if got := f.mayAsk(100); got != mostAsked {
		t.Errorf("after blocks without a payment %d may be asked after, want %d", got, mostAsked)
	}
	f.behind = 1
	if got := fmt.Sprint(f.mayAsk(7), f.mayAsk(100)); got != fmt.Sprint(7, mostAsked) {
		t.Errorf("at the tip: %s", got)
	}
}

// TestWayToTheTip: what is told of it is worked out by hand.
func TestWayToTheTip(t *testing.T) {
	var told []CatchingUp
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := newWard(t)
	c := catching{follower: &follower{now: func() time.Time { return at }, told: func(c CatchingUp) { told = append(told, c) }, log: w.log}, best: 1100}
	for _, height := range []int32{100, 110, 1099} {
		c.at(height)
		at = at.Add(5 * time.Second)
	}
	c.end()
	want := []CatchingUp{{Height: 100, Tip: 1100}, {Height: 110, Tip: 1100, Done: 10, Rate: 2, Left: 495 * time.Second}, {Height: 1100, Tip: 1100}}
	if fmt.Sprint(told) != fmt.Sprint(want) { // one block is not worth a line
		t.Errorf("told %+v, want %+v", told, want)
	}
}
