package sql_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// forked is a store that follows blocks 4 to 12 of a chain which has a payment in
// each of the blocks 5 and 9; the chain then leaves it after block 6, and is at 15.
func forked(t *testing.T) (*bench, *chaintest.Chain) {
	a := address(1)
	b := newBench(t, telling())
	b.watch(listing(a))
	c := chaintest.NewChain()
	c.MineEmpty(4)
	b.begin(c, 3)
	pay := func(n byte) *wire.MsgTx {
		return transaction(uint32(n), []wire.OutPoint{stranger(n)}, pays(a, int64(n)*1000))
	}
	c.Mine(pay(5))
	c.MineEmpty(3)
	c.Mine(pay(9))
	c.MineEmpty(3)
	b.follow(c)
	c.Fork(6)
	c.MineEmpty(9)
	return b, c
}

// vouched is what tracing a block of the chain against the position finds.
func (b *bench) vouched(c *chaintest.Chain, height, common int32) sql.Vouched {
	b.Helper()
	return sql.Vouched{
		Height: height, Hash: c.BlockAt(height).BlockHash(), Parent: c.BlockAt(height).Header.PrevBlock, Common: common, Joined: common >= 0,
		Traced: b.position(), Actor: "somebody", Reason: "a reason",
	}
}

func (b *bench) refollow(v sql.Vouched) sql.Refollow {
	b.Helper()
	plan, err := b.store.PlanRefollow(b.Context(), v)
	b.must(err)
	b.must(b.store.RefollowFrom(b.Context(), telling(), v, plan))
	return plan
}

// again takes the lead anew, as a daemon that was fenced does.
func (b *bench) again() {
	b.Helper()
	b.lead.Release(b.Context())
	b.lead = b.takeLead()
	b.writer = b.store.Writer(b.lead, telling(), nil)
}

const followedLines = `SELECT concat_ws(' ', from_height, to_height, grade) FROM report.coverage WHERE how = 'followed by blocks'`

// TestRefollow: one commit makes following go on elsewhere, fences whoever leads,
// and does nothing when it is asked for again.
func TestRefollow(t *testing.T) {
	b, c := forked(t)
	ctx := t.Context()
	b.must(b.writer.BeginStop(ctx, alerts.Stopped{Explorer: "alpha", Height: 12, Fork: 6, Weighed: true, From: 7, Theirs: "h"}))
	b.must(b.writer.BeginStop(ctx, alerts.Stopped{Explorer: "beta", Height: 12, Fork: 6, Weighed: true, From: 7, Theirs: "h"}))
	v := b.vouched(c, 9, 6)
	plan := b.refollow(v)
	if plan.Stays != 6 || plan.First != 4 || *plan.Gap != (sql.BlockRange{From: 7, To: 8}) || len(plan.Payments) != 1 || plan.Payments[0].Height != 9 || *plan.Payments[0].AmountSat != 9000 {
		t.Errorf("planned %+v", plan)
	}
	if p := b.position(); p.Height != 8 || p.Hash != v.Parent || p.Epoch != b.lead.Epoch+1 {
		t.Errorf("the position is %+v", p)
	}
	b.expect(followedLines, "4 6 proven")
	b.expect(`SELECT concat_ws(' ', from_height, to_height, reason) FROM report.gaps`, "7 8 somebody made following go on with block 9: a reason")
	b.expect(`SELECT concat_ws(' ', block_height, state, proof) FROM report.transactions`, "5 confirmed proven unconfirmed reported")
	b.expect(`SELECT concat_ws(' ', type, severity) FROM report.alerts WHERE type NOT IN ('transaction.confirmed', 'list.changed')`,
		"chain.reorged severe chain.stuck severe transaction.reorged medium")
	if stop, err := b.store.Stopped(ctx); stop != nil || err != nil {
		t.Errorf("it is still stopped: %+v, %v", stop, err)
	}
	before := b.dump()
	if _, err := b.writer.Unknown(ctx, b.next(c)); !errors.Is(err, sql.ErrFenced) {
		t.Errorf("whoever led records on: %v", err)
	}
	if err := b.lead.Held(ctx); !errors.Is(err, sql.ErrFenced) {
		t.Errorf("whoever led does not notice: %v", err)
	}
	if again := b.refollow(v); !again.Followed {
		t.Errorf("planned again: %+v", again)
	}
	if b.dump() != before {
		t.Error("the same once more changed something")
	}
	b.again()
	b.follow(c)
	b.expect(followedLines, "4 6 proven 9 15 proven")
	if again := b.refollow(v); !again.Followed {
		t.Errorf("planned after it was followed: %+v", again)
	}
	if err := b.writer.BeginAgain(ctx, sql.Start{Height: 4, Parent: chainhash.Hash{1}}); err == nil {
		t.Error("following begins again at a start that is behind")
	}
	b.dangling()
}

// TestRefollowIsWhole: broken off anywhere, it leaves nothing.
func TestRefollowIsWhole(t *testing.T) {
	b, c := forked(t)
	ctx := t.Context()
	b.must(b.writer.BeginStop(ctx, alerts.Stopped{Explorer: "alpha", Height: 12, Fork: 6, Weighed: true, From: 7, Theirs: "h"}))
	b.exec(`
		CREATE FUNCTION public.break_off() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			RAISE EXCEPTION 'broken off at %', TG_TABLE_NAME;
		END $$`)
	v := b.vouched(c, 9, 6)
	plan, err := b.store.PlanRefollow(ctx, v)
	b.must(err)
	for _, table := range []string{"start", "gap", "tx_event", "tx_now", "balance", "block_event", "chain_now", "alert", "delivery", "outage_end", "position", "journal"} {
		b.exec(fmt.Sprintf(`CREATE TRIGGER breaks AFTER INSERT OR UPDATE OR DELETE ON btcwatch.%s EXECUTE FUNCTION public.break_off()`, table))
		before := b.dump()
		if err := b.store.RefollowFrom(ctx, telling(), v, plan); err == nil {
			t.Errorf("nothing is written to %s", table)
		}
		if b.dump() != before {
			t.Errorf("broken off at %s, something stays", table)
		}
		b.exec(fmt.Sprintf(`DROP TRIGGER breaks ON btcwatch.%s`, table))
	}
	b.must(b.store.RefollowFrom(ctx, telling(), v, plan))

	moved := b.vouched(c, 8, 6)
	plan, err = b.store.PlanRefollow(ctx, moved)
	b.must(err)
	b.again()
	b.follow(c)
	before := b.dump()
	if err := b.store.RefollowFrom(ctx, telling(), moved, plan); !errors.Is(err, sql.ErrMoved) {
		t.Errorf("from a chain that has moved: %v", err)
	}
	if b.dump() != before {
		t.Error("from a chain that has moved, something is recorded")
	}
}

// TestRefollowUnjoined: where the new chain joins the one followed is not known.
// Nothing that was covered stays, and nothing that was proven.
func TestRefollowUnjoined(t *testing.T) {
	b, c := forked(t)
	old := transaction(2, []wire.OutPoint{stranger(2)}, pays(address(1), 2000))
	b.report("alpha", confirmed(old, c, 2))
	b.exec(`INSERT INTO btcwatch.tx_event (tx_id, turn, state, proof, height, block_hash, block_time, at)
		SELECT tx_id, turn, state, 'proven', height, block_hash, block_time, now() FROM btcwatch.tx_now WHERE height = 2`)
	b.exec(`UPDATE btcwatch.tx_now SET proof = 'proven' WHERE height = 2`)
	heard := transaction(3, []wire.OutPoint{stranger(3)}, pays(address(1), 3000))
	b.report("alpha", confirmed(heard, c, 2))
	plan := b.refollow(b.vouched(c, 9, -1))
	if plan.Stays != 3 || *plan.Gap != (sql.BlockRange{From: 4, To: 8}) || len(plan.Payments) != 3 {
		t.Errorf("planned %+v", plan)
	}
	b.expect(`SELECT concat_ws(' ', amount_sat, block_height, state, proof) FROM report.transactions`,
		"2000 unconfirmed reported 3000 2 confirmed reported 5000 unconfirmed reported 9000 unconfirmed reported")
	b.expect(followedLines, "")
	b.expect(`SELECT concat_ws(' ', from_height, to_height) FROM report.gaps`, "4 8")
	b.again()
	b.follow(c)
	b.expect(followedLines, "9 15 proven")

	// The same chain from below: the gap becomes shorter.
	b.refollow(b.vouched(c, 7, -1))
	b.again()
	b.follow(c)
	b.expect(followedLines, "7 15 proven")
	b.dangling()
}

// TestRefollowAhead: blocks are left out above the position. What is covered
// stays, and a payment that reaches a depth within them is told all the same.
func TestRefollowAhead(t *testing.T) {
	a := address(1)
	b := newBench(t, telling())
	b.watch(listing(a))
	c := chaintest.NewChain()
	c.MineEmpty(4)
	if _, err := b.store.PlanRefollow(t.Context(), b.vouched(c, 4, 3)); !errors.Is(err, sql.ErrNotBegun) {
		t.Errorf("before following has begun: %v", err)
	}
	b.begin(c, 3)
	c.Mine(transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 900)))
	b.follow(c)
	c.MineEmpty(20)
	const depths = `SELECT convert_from(a.body, 'UTF8')::jsonb #>> '{data,confirmations}' FROM btcwatch.alert a WHERE type = 'transaction.confirmed'`
	b.expect(depths, "1")
	plan := b.refollow(b.vouched(c, 20, 5))
	if plan.Stays != 5 || *plan.Gap != (sql.BlockRange{From: 6, To: 19}) || len(plan.Payments) != 0 {
		t.Errorf("planned %+v", plan)
	}
	b.expect(depths, "1 3")
	b.again()
	b.follow(c)
	b.expect(depths, "1 3")
	b.expect(followedLines, "20 25 proven 4 5 proven")
	b.expect(`SELECT concat_ws(' ', state, proof, confirmations) FROM report.transactions`, "confirmed proven 21")
}

// Where it could not be seen that the old blocks are shared, payments in them are
// found again by what explorers list.
func TestPaymentsOfAnUnjoinedPastAreFoundAgain(t *testing.T) {
	a := address(1)
	b := newBench(t, telling())
	b.watch(listing(a))
	c := chaintest.NewChain()
	c.MineEmpty(9)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 50_000))
	c.Mine(tx) // 10
	c.MineEmpty(20)
	b.begin(c, 5)
	for b.position().Height < 20 {
		_, err := b.writer.RecordBlock(t.Context(), b.next(c), "alpha", nil)
		b.must(err)
	}
	b.refollow(b.vouched(c, 26, -1))
	b.again()
	if r := b.report("honest", confirmed(tx, c, 10)); r.News != 1 || r.Astray != 0 {
		t.Errorf("recorded as %+v", r)
	}
	b.expect(`SELECT concat_ws(' ', block_height, state, proof) FROM report.transactions`, "10 confirmed reported")
}

// TestRefollowAfterTheChainMoved: while the person thinks, the daemon covers more
// of the same chain, or a reorganisation takes away what was shared. What was
// found before holds no more, planned anew or not.
func TestRefollowAfterTheChainMoved(t *testing.T) {
	for name, back := range map[string]bool{"on": false, "back": true} {
		t.Run(name, func(t *testing.T) {
			b, ctx := newBench(t, telling()), t.Context()
			b.watch(listing(address(1)))
			c := chaintest.NewChain()
			c.MineEmpty(20)
			b.begin(c, 5)
			b.follow(c)
			c.MineEmpty(10)
			v := b.vouched(c, 26, 20)
			shown, err := b.store.PlanRefollow(ctx, v)
			b.must(err)
			common := int32(24)
			if back {
				common = 15
				b.must(b.writer.StepBack(ctx, common))
			} else {
				for b.position().Height < common {
					_, err := b.writer.RecordBlock(ctx, b.next(c), "alpha", nil)
					b.must(err)
				}
			}
			before := b.dump()
			plan, err := b.store.PlanRefollow(ctx, v)
			b.must(err)
			if !plan.Moved || plan.Gap != nil || shown.Moved {
				t.Errorf("planned %+v, and anew %+v", shown, plan)
			}
			for _, plan := range []sql.Refollow{shown, plan} {
				if err := b.store.RefollowFrom(ctx, telling(), v, plan); !errors.Is(err, sql.ErrMoved) {
					t.Errorf("planned at %d: %v", plan.Position.Height, err)
				}
			}
			if b.dump() != before {
				t.Error("something is recorded")
			}
			b.refollow(b.vouched(c, 26, common))
			b.again()
			b.follow(c)
			b.expect(followedLines, fmt.Sprintf("26 30 proven 6 %d proven", common))
			b.expect(`SELECT concat_ws(' ', from_height, to_height) FROM report.gaps`, fmt.Sprintf("%d 25", common+1))
			b.dangling()
		})
	}
}
