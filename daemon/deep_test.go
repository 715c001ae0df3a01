package daemon

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"btcwatch/sql/sqltest"
)

// deaths are where a daemon is killed that follows a reorganisation. The first
// moment of all needs none: every run begins with a new daemon.
func deaths() []death {
	old := func(s *scene) int32 { return s.depth }
	amid := func(s *scene) int32 { return s.length / 2 }
	last := func(kind string, dies hearing) func(*scene, *dying) {
		return func(s *scene, d *dying) {
			d.kind, d.nth, d.dies = kind, 1, dies
			if kind == "block" {
				d.nth = s.length
			}
		}
	}
	return []death{
		{"when the tips are read", func(_ *scene, d *dying) { d.path, d.nth = "/block-height/", 1 }, old},
		{"while the branch is verified", func(s *scene, d *dying) { d.path, d.nth = s.raw((s.length+1)/2), 1 }, old},
		{"before the step back is committed", last("reorg", lost), old},
		{"after the step back is committed", last("reorg", unheard), func(*scene) int32 { return 0 }},
		{"between blocks of the branch", func(s *scene, d *dying) {
			d.path, d.nth = s.raw(amid(s)+1), 2 // once to verify it, once to record it
			if amid(s) == s.depth {
				d.nth = 3 // and it was the tip with which all began
			}
		}, amid},
		{"before the last block is committed", last("block", lost), func(s *scene) int32 { return s.length - 1 }},
		{"after the last block is committed", last("block", unheard), func(s *scene) int32 { return s.length }},
	}
}

// TestDeepReorganisations is each depth, with each thing that can become of a
// payment, with each moment at which the daemon is killed: 7 × 8 × 7 = 392
// cases. What is recorded and told in the end follows from the two ends of the
// chain; and it is, row for row, what a daemon records that was never killed.
func TestDeepReorganisations(t *testing.T) {
	t.Parallel()
	cases := 0
	t.Run("all", func(t *testing.T) {
		for _, depth := range []int32{1, 2, 3, 6, 7, 36, 144} {
			cases += len(fates()) * len(deaths())
			t.Run(fmt.Sprint(depth, " deep"), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, depth)
				s.killedEverywhere(t, func() {})
			})
		}
	})
	if cases != 392 {
		t.Errorf("%d cases", cases)
	}
}

// killedEverywhere judges a daemon that was never killed, and one for each
// moment at which it can be. before is called before each of them begins.
func (s *scene) killedEverywhere(t *testing.T, before func()) {
	unkilled := s.run(t, nil)
	t.Run("never killed", func(t *testing.T) { s.judgeAll(t, unkilled) })
	for _, death := range deaths() {
		t.Run("killed "+death.name, func(t *testing.T) {
			before()
			killed := s.run(t, &death)
			s.judgeAll(t, killed)
			sameLines(t, "the database of a daemon that was never killed", unkilled.dump, killed.dump)
		})
	}
}

// TestShorterBranchWithMoreWork is one case more: what comes is half as long as
// what leaves, and heavier.
func TestShorterBranchWithMoreWork(t *testing.T) {
	t.Parallel()
	newHeavier(t).killedEverywhere(t, func() {})
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
	w.expect(fmt.Sprint(s.split+death.at(s)), `SELECT height FROM btcwatch.position`)
	w.conn().Close(context.Background())
}

// TestDeeperThanFollowed: one block more than is followed by itself. Nothing is
// taken back, and somebody is woken.
func TestDeeperThanFollowed(t *testing.T) {
	t.Parallel()
	s := newScene(t, 145)
	l := s.live(t.Context(), t, s.database, nil)
	defer l.end()
	for range 2 {
		if err := l.follow.round(t.Context()); err == nil {
			t.Error("the round went well")
		}
		if err := l.health.judge(t.Context()); err != nil {
			t.Fatal(err)
		}
		l.health.now = func() time.Time { return time.Now().Add(time.Hour) }
	}
	w := &world{t: t, config: testConfig(s.database), log: l.log}
	w.expect(s.old.String(), `SELECT btcwatch.display(hash) FROM btcwatch.position`)
	w.same("report.transactions", s.before.transactions, w.lines(transactionLines))
	w.expect("0", `SELECT count(*) FROM report.alerts WHERE type IN ('transaction.reorged', 'chain.reorged')`)
	w.expect("true", `SELECT bool_or(severity = 'severe') FROM report.alerts WHERE opened_at >= $1`, s.made)
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
	s.killedEverywhere(t, func() {
		s.ledger.Switch(s.old)
		s.servers[0].Freeze()
		s.ledger.Switch(s.end)
		s.forget()
	})
}

// TestThereAndBack: the branch that left wins after all. What was confirmed in
// its blocks and taken back is confirmed there again, and told again; what the
// other branch confirmed is taken back in its turn.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, 3)
	l := s.live(t.Context(), t, s.database, nil)
	defer l.end()
	l.work(l.follow.round)
	s.ledger.Switch(s.old)
	s.ledger.MineEmpty(2)
	l.work(l.follow.round)
	w := &world{t: t, config: testConfig(s.database), log: l.log}
	defer func() { w.conn().Close(context.Background()) }()
	w.compare(replay(t, s.ledger, s.joined, s.watched...))

	var first, again, taken []string // address, transaction and block
	for _, a := range s.watched {
		was, is := s.ends(a)
		for tx, at := range was {
			first = append(first, fmt.Sprint(a.Text, " ", tx, " ", at.hash))
			if at.height > s.split {
				again = append(again, fmt.Sprint(a.Text, " ", tx, " ", at.hash))
			}
		}
		for tx, at := range is {
			if at.height > s.split {
				taken = append(taken, fmt.Sprint(a.Text, " ", tx, " ", at.hash))
			}
		}
	}
	const told = `SELECT concat_ws(' ', d.data ->> 'address', d.data ->> 'txid', d.data ->> 'block_hash')
		FROM btcwatch.alert a
		CROSS JOIN LATERAL (SELECT convert_from(a.body, 'UTF8')::json -> 'data' AS data) d
		WHERE a.type = $1 AND coalesce(d.data ->> 'confirmations', '1') = '1'`
	w.same("transaction.confirmed", slices.Concat(first, taken, again), w.lines(told, "transaction.confirmed"))
	w.same("transaction.reorged", slices.Concat(again, taken), w.lines(told, "transaction.reorged"))
	w.expect(fmt.Sprint(len(again)+len(taken)), `SELECT count(DISTINCT convert_from(body, 'UTF8')::json #>> '{data,corrects}')
		FROM btcwatch.alert WHERE type = 'transaction.reorged'`)
}
