package daemon

import (
	"slices"
	"testing"
)

// TestHonestAgain: an explorer is behind, or on a branch that loses, for longer
// than the grace time, and comes back. What it answered meanwhile leaves out what
// it could not know, and nobody calls that lying.
func TestHonestAgain(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*court, *witness) bool{"behind": standsStill, "on a branch that loses": onLosingBranch} {
		for n, kind := range witnessKinds {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				s := newCourt(t)
				leave(s, s.witnesses[n])
				for n := range 4 {
					s.news(n)
					s.poll()
				}
				s.witnesses[n].thaw()
				s.witnesses[n].follow(s.ledger)
				jobs := s.jobs
				s.jobs = slices.Delete(slices.Clone(jobs), 1, 2) // its addresses are not asked about again yet
				s.poll()
				s.jobs = jobs
				for range 8 {
					s.poll()
					s.expect("0", `SELECT count(*) FROM report.explorers WHERE state = 'lying'`)
				}
				s.expect("0", `SELECT count(*) FROM btcwatch.quarantine`)
				s.expect("0", `SELECT count(*) FROM report.disagreements WHERE wrong IS NOT NULL`)
				if differs := s.differs(); differs != "" {
					t.Errorf("the truth is not recorded: %s", differs)
				}
				if t.Failed() {
					t.Logf("%s %s", s.said(), s.lines(`SELECT to_jsonb(d)::text FROM report.disagreements d`))
				}
			})
		}
	}
}

// onLosingBranch shows a block of its own at the height of one that pays and was
// followed first.
func onLosingBranch(s *court, w *witness) bool {
	own := copyOf(s.ledger)
	own.MineEmpty(1)
	s.pay(45_000, s.a, s.b)
	s.mine()
	s.poll()
	w.follow(own)
	return true
}
