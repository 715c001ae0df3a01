package daemon

import (
	"context"
	"fmt"
	"testing"

	"btcwatch/sql/sqltest"
)

// deaths are where a daemon is killed that follows a reorganisation. The first
// moment of all needs none: every run begins with a new daemon.
func deaths() []death {
	old := func(depth int32) int32 { return depth }
	return []death{
		{"when the tips are read", func(_ *scene, d *dying) { d.path, d.nth = "/block-height/", 1 }, old},
		{"while the branch is verified", func(s *scene, d *dying) { d.path, d.nth = s.raw(s.depth/2+1), 1 }, old},
		{"before the step back is committed", func(_ *scene, d *dying) { d.kind, d.nth, d.dies = "reorg", 1, lost }, old},
		{"after the step back is committed", func(_ *scene, d *dying) { d.kind, d.nth, d.dies = "reorg", 1, unheard }, func(int32) int32 { return 0 }},
		{"between blocks of the branch", func(s *scene, d *dying) {
			d.path, d.nth = s.raw(amid(s.depth)+1), 2 // once to verify it, once to record it
			if amid(s.depth) == s.depth {
				d.nth = 3 // and it was the tip with which all began
			}
		}, amid},
		{"before the last block is committed", func(s *scene, d *dying) { d.kind, d.nth, d.dies = "block", s.depth+1, lost }, old},
		{"after the last block is committed", func(s *scene, d *dying) { d.kind, d.nth, d.dies = "block", s.depth+1, unheard }, func(depth int32) int32 { return depth + 1 }},
	}
}

func amid(depth int32) int32 { return (depth + 1) / 2 }

// TestDeepReorganisations is each depth, with each thing that can become of a
// payment, with each moment at which the daemon is killed: 7 × 8 × 7 = 392
// cases. What is recorded and told in the end follows from the two ends of the
// chain; and it is, row for row, what a daemon records that was never killed.
func TestDeepReorganisations(t *testing.T) {
	t.Parallel()
	cases := 0
	t.Run("all", func(t *testing.T) {
		for _, depth := range []int32{1, 2, 3, 6, 7, 36, deepestReorg} {
			cases += len(fates()) * len(deaths())
			t.Run(fmt.Sprint(depth, " deep"), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, depth)
				unkilled := s.run(t, nil)
				t.Run("never killed", func(t *testing.T) { s.judgeAll(t, unkilled) })
				for _, death := range deaths() {
					t.Run("killed "+death.name, func(t *testing.T) {
						killed := s.run(t, &death)
						s.judgeAll(t, killed)
						sameLines(t, "the database of a daemon that was never killed", unkilled.dump, killed.dump)
					})
				}
			})
		}
	})
	if cases != 392 {
		t.Errorf("%d cases", cases)
	}
}

// run lets a daemon follow the reorganisation on a copy of the database, and
// another one go on where that is killed.
func (s *scene) run(t *testing.T, death *death) *outcome {
	t.Helper()
	database := sqltest.Copy(t, s.database)
	if death != nil {
		s.killed(t, database, *death)
	}
	l := s.live(t.Context(), t, database, nil)
	defer l.end()
	l.work(l.follow.round)
	for _, server := range s.servers {
		server.Thaw()
	}
	l.settle()
	return s.outcome(t, database)
}

// killed is the life that ends in the midst of the reorganisation.
func (s *scene) killed(t *testing.T, database string, death death) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	d := &dying{}
	death.stage(s, d)
	d.cable = newCable(t, database, d.commits, stop)
	l := s.live(ctx, t, d.cable.url, d.meets)
	err := l.follow.round(ctx)
	l.end()
	if err == nil || !d.struck() {
		t.Fatalf("it was to be killed %s, and its round ended with %v\n%s", death.name, err, l.log)
	}
	w := &world{t: t, config: testConfig(database), log: l.log}
	w.expect(fmt.Sprint(s.split+death.at(s.depth)), `SELECT height FROM btcwatch.position`)
	w.conn().Close(context.Background())
}

// TestKilledWhileAnExplorerLags: the explorer that is asked first still shows
// the blocks that left. A daemon that is killed in the midst of the branch is
// not led back to them by who goes on in its place: nobody is told again what
// was taken back already.
func TestKilledWhileAnExplorerLags(t *testing.T) {
	t.Parallel()
	s := newFollowed(t, 3)
	s.servers[0].Freeze()
	s.turn()
	unkilled := s.run(t, nil)
	s.judgeAll(t, unkilled)
	for _, death := range deaths() {
		t.Run("killed "+death.name, func(t *testing.T) {
			s.ledger.Switch(s.old)
			s.servers[0].Freeze()
			s.ledger.Switch(s.end)
			s.forget()
			killed := s.run(t, &death)
			s.judgeAll(t, killed)
			sameLines(t, "the database of a daemon that was never killed", unkilled.dump, killed.dump)
		})
	}
}
