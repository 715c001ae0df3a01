package daemon

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/alerts"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// TestQuarantineEndsWithoutAddresses: who may hear nothing of what is watched is
// probed too, so that its quarantine ends by itself in the mode blocks, and in
// the mode own where it is somebody else's.
func TestQuarantineEndsWithoutAddresses(t *testing.T) {
	for _, mode := range []string{PrivacyBlocks, PrivacyOwn} {
		l := newLookout(t, 5)
		l.health.settings = severe()
		l.explorer("liar", honest(l.ledger, 5))
		if err := l.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		config := &Config{Network: &chaincfg.RegressionNetParams, Privacy: PrivacySettings{Mode: mode},
			Health: severe(), Explorers: []explorer.Settings{{Name: "liar"}}}
		d := &daemon{Program: Program{Now: l.now, Log: l.log}, store: l.store, pulse: newPulse(l.now)}
		w := &watch{daemon: d, config: config, privacy: newPrivacy(config, l.store, l.now)}
		w.explorers = []*explorer.Explorer{w.privacy.guard(l.explorers[0])}
		lead := &leader{watch: w, writer: l.writer, health: l.health, ancestors: l.ancestors}
		l.health.note("liar", forBlocks, errLie)
		for _, work := range lead.loops() {
			if work.name != "probe" {
				continue
			}
			for range 150 {
				if err := errors.Join(work.round(t.Context()), l.health.judge(t.Context())); err != nil {
					t.Fatal(err)
				}
				l.at = l.at.Add(work.pause)
			}
		}
		if !l.health.trusted("liar") {
			t.Errorf("mode %s: still in quarantine after a clean day", mode)
		}
	}
}

// TestListFromBeforeTheBlock: an explorer that was behind and has caught up is not
// blamed for what it listed when it did not have the block yet, though it has
// been counted anew since.
func TestListFromBeforeTheBlock(t *testing.T) {
	l := newLookout(t, 5)
	l.health.settings = severe()
	l.explorer("late", honest(l.ledger, 5))
	if err := l.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := &asker{store: l.store, explorers: l.explorers, health: l.health, beat: func() {}, now: l.now, log: l.log}
	g := newAgreement(a, &asker{}, time.Minute)
	g.shown, g.accused = map[at]string{}, map[string]bool{}
	block := l.ledger.BlockAt(5).BlockHash().String()
	u := sql.Unshown{Script: 1, Tx: 1, State: alerts.Confirmed, Proof: alerts.Proven, Height: 5, Block: block, Since: l.at.Add(-time.Hour), Explorer: "late"}
	key := askedOf{1, "late"}
	counted := func(tip int32) { g.mempool.given.counted(1, total{explorer: "late", tip: tip, asked: l.at}) }
	counted(4)
	g.mempool.given.listedAll(key, l.at)
	counted(5) // and its list is being read
	if err := g.unlisted(t.Context(), l.explorers[0], u); err != nil || !l.health.trusted("late") {
		t.Errorf("blamed for a list from block 4: %v", err)
	}
	g.mempool.given.complete(key, l.at) // the same counters again say the same list
	g.asked[byID{1, "late"}] = l.at
	g.counted[sql.Disagreement{Kind: sql.DisagreeTransaction, Subject: u.TxID.String(), Explorer: "late"}] = true
	if err := g.unlisted(t.Context(), l.explorers[0], u); err != nil || !l.health.trusted("late") {
		t.Errorf("blamed before it was read again: %v", err)
	}
	g.mempool.given.listedAll(key, l.at)
	if err := g.unlisted(t.Context(), l.explorers[0], u); err != nil || l.health.trusted("late") {
		t.Errorf("not blamed for a list from block 5: %v", err)
	}
}

// TestLieAmidRelease: what is false and comes while a quarantine ends begins
// another one.
func TestLieAmidRelease(t *testing.T) {
	w := newWard(t)
	w.settings = severe()
	w.note("one", forBlocks, errLie)
	judged := w.suspected()["one"]
	judged.lied = false // it was recorded
	w.at = w.at.Add(24 * time.Hour)
	another := fmt.Errorf("another: %w", errLie)
	w.note("one", forBlocks, another)
	w.release("one", judged)
	if w.trusted("one") {
		t.Error("a lie is forgotten that came after the judgement")
	}
	if got := w.suspected()["one"].Reason; got != words(another) || got == words(errLie) {
		t.Errorf("the new quarantine is for %q, not for what was false last", got)
	}
	if s := w.suspected()["one"]; s.ID != 0 || !s.Since.Equal(w.at) {
		t.Errorf("%+v", s)
	}
	judged = w.suspected()["one"]
	judged.lied = false
	w.release("one", judged)
	if !w.trusted("one") {
		t.Error("not released")
	}
}

// TestQuarantineOfAnotherLead: what another daemon saw that led meanwhile is
// not undone by what this one remembers.
func TestQuarantineOfAnotherLead(t *testing.T) {
	l := newLookout(t, 5)
	l.health.settings = severe()
	settings := []explorer.Settings{{Name: "liar", Kind: "esplora", Operator: "o"}}
	if err := l.store.SetExplorers(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	l.health.note("liar", forBlocks, errLie)
	if err := l.health.judge(t.Context()); err != nil {
		t.Fatal(err)
	}
	mine := l.health.suspects["liar"]
	mine.Clean, mine.probed = 23*time.Hour, l.at
	again := func() sql.Quarantine {
		h := newHealth(severe(), l.writer, l.store, l.now, l.log)
		h.takeOver(l.health)
		if err := h.load(t.Context(), settings); err != nil {
			t.Fatal(err)
		}
		return h.suspected()["liar"].Quarantine
	}
	if got := again(); got.Clean != 23*time.Hour {
		t.Errorf("what this one saw is forgotten: %+v", got)
	}
	theirs := mine.Quarantine
	theirs.LastLie, theirs.Clean = l.at.Add(time.Second), 0
	if err := l.store.SaveClean(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if got := again(); got.Clean != 0 {
		t.Errorf("another one caught it since: %+v", got)
	}
}
