package daemon

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
)

// all does something to each explorer.
func (s *court) all(do func(w *witness)) {
	for _, w := range s.witnesses {
		do(w)
	}
}

// blindSince waits, in steps, until it is said that the watch is blind, and
// checks that this takes as long as is configured.
func (s *court) blindSince(began time.Time, limit, step time.Duration) {
	t := s.world.t
	t.Helper()
	for len(s.told(alerts.WatchBlind)) == 0 {
		if past := s.at.Sub(began); past > limit+2*step {
			t.Fatalf("after %s it is not said that the watch is blind: %s\n%s", past, s.said(), s.log)
		}
		s.at = s.at.Add(step - pollPause)
		s.poll()
	}
	if past := s.at.Sub(began); past < limit-step {
		t.Errorf("it is said after %s, and %s are configured", past, limit)
	}
}

// neverAllQuiet checks that the report of a day in which nothing could be seen
// does not say that nothing happened.
func (s *court) neverAllQuiet() {
	t := s.world.t
	t.Helper()
	if err := s.l.tellDaily(t.Context(), s.at); err != nil {
		t.Fatal(err)
	}
	report := strings.Join(s.told(alerts.ReportDaily), "\n")
	if !strings.Contains(report, "not all is well") || strings.Contains(strings.ToLower(strings.Join(s.lines(`SELECT convert_from(body, 'UTF8') FROM btcwatch.alert`), "\n")), "no activity") {
		t.Errorf("the report says: %s", report)
	}
}

// TestAllThreeDown: nobody answers, each in its way. It is said in time, and
// when they are back all of the chain is recorded, and that is said.
func TestAllThreeDown(t *testing.T) {
	t.Parallel()
	s := newCourt(t)
	hostileErrors(s, s.witnesses[0])
	hangsUp(s, s.witnesses[1])
	limited(s, s.witnesses[2])
	began := s.at
	s.news(1)
	s.blindSince(began, s.world.config.Health.BlindAfter, pollPause)
	s.neverAllQuiet()
	s.news(2)
	s.poll()
	s.all(func(w *witness) { w.faults.ClearAll() })
	if !s.settled(20) {
		t.Errorf("after it there is no truth: %s\n%s", s.differs(), s.log)
	}
	if len(s.told(alerts.WatchRestored)) == 0 {
		t.Errorf("it is not said that the watch sees again: %s\n%s", s.said(), s.log)
	}
}

// TestAllThreeStale: each shows the same old tip, which looks like a quiet
// chain. It is said that no block came for as long as is configured.
func TestAllThreeStale(t *testing.T) {
	t.Parallel()
	s := newCourt(t)
	s.l.health.settings.NoBlockAfter = 2 * time.Hour
	s.news(1)
	s.poll()
	s.all(func(w *witness) { w.freeze() })
	began := s.at
	for n := range 3 {
		s.news(n)
	}
	s.blindSince(began, 2*time.Hour, 10*time.Minute)
	s.neverAllQuiet()
	s.all(func(w *witness) { w.thaw() })
	s.at = time.Now() // blocks are dated by the database's clock
	if !s.settled(20) {
		t.Errorf("after it there is no truth: %s\n%s", s.differs(), s.log)
	}
	if len(s.told(alerts.WatchRestored)) == 0 {
		t.Errorf("it is not said that the watch sees again: %s\n%s", s.said(), s.log)
	}
}

// TestBlocksOfOneOperator: one of three shows blocks of its own, with as much work
// as any and more than the others, that no rule which a block shows by itself is
// against (L10). They are followed, for work decides, and what is told of them is
// taken back when the others' chain has more.
func TestBlocksOfOneOperator(t *testing.T) {
	t.Parallel()
	for _, l := range []lie{{name: "six sound blocks of its own", tell: sixOfItsOwn}, {name: "more than the subsidy", tell: moreThanTheSubsidy}} {
		for _, liar := range []int{0, 2} {
			t.Run(fmt.Sprint(l.name, " by ", witnessKinds[liar]), func(t *testing.T) {
				t.Parallel()
				s := newCourt(t)
				s.pay(40_000, s.a, s.b)
				s.pay(41_000, s.b)
				l.tell(s, s.witnesses[liar])
				s.news(1)
				s.poll()
				s.seenAlone("operator " + witnessKinds[liar])
				const own = `SELECT count(*) FROM report.transactions WHERE proof = 'proven' AND block_height = 115 AND block_hash <> $1`
				s.expect("1", own, s.ledger.BlockAt(115).BlockHash().String())
				for range 4 {
					s.poll()
				}
				s.expect("2", `SELECT count(*) FROM report.disagreements WHERE kind = 'block' AND other IS NULL AND explorer <> $1 AND ended_at IS NULL`, witnessKinds[liar])
				for n := range 7 {
					s.news(n)
				}
				before := len(s.told(alerts.TransactionConfirmed))
				s.witnesses[liar].follow(s.ledger)
				if !s.settled(20) {
					t.Errorf("the chain with more work is not followed: %s\n%s", s.differs(), s.log)
				}
				s.expect("0", own, s.ledger.BlockAt(115).BlockHash().String())
				if told := s.told(alerts.TransactionReorged); len(told) == 0 {
					t.Error("what was told of the lone blocks is not taken back")
				}
				s.expect("0", `SELECT count(*) FROM report.explorers WHERE state = 'lying'`)
				for _, body := range s.told(alerts.TransactionConfirmed)[before:] {
					if strings.Contains(body, "one operator only") {
						t.Errorf("all show it, and it is said that one does: %s", body)
					}
				}
			})
		}
	}
}

// seenAlone checks that what is told of the blocks of one operator says so, and
// of others not.
func (s *court) seenAlone(operator string) {
	t := s.world.t
	t.Helper()
	alone := 0
	for _, body := range s.told(alerts.TransactionConfirmed) {
		var b alerts.Body
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			t.Fatal(err)
		}
		own := *b.Data.BlockHeight == 115 && b.Data.BlockHash != s.ledger.BlockAt(115).BlockHash().String()
		if said := strings.Contains(b.Data.RestsOn, "seen from one operator only, "+operator); said != own {
			t.Errorf("that one operator alone shows it is said: %v, want %v: %s", said, own, body)
		}
		if own {
			alone++
		}
	}
	if alone == 0 {
		t.Error("nothing is told of the blocks of one operator")
	}
}
