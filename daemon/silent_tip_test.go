package daemon

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain/explorer"
)

// gone is an explorer that fell silent.
type gone struct{ voice }

func (gone) Tip(context.Context) (int32, error) { return 0, errUnavailable }

// TestATipOfTheDead: one explorer shows a block and dies before it gives it, the
// other stands still. That nothing new comes is told as if the first had never
// been.
func TestATipOfTheDead(t *testing.T) {
	t.Parallel()
	l := newLookout(t, 5)
	l.health.settings.NoBlockAfter = 2 * time.Hour
	l.explorer("still", honest(l.ledger, 3))
	l.explorer("dead", voice{4, func(int32) (chainhash.Hash, error) { return chainhash.Hash{}, errUnavailable }, nil})
	_ = l.watch(time.Minute) // the block cannot be had
	l.explorers[1] = &explorer.Explorer{Name: "dead", Operator: "dead", Chain: gone{}, Blocks: gone{}}
	_ = l.watch(12 * time.Hour)
	if !l.health.outages[noBlock+" "] {
		t.Errorf("half a day without a block, and out is only %v", l.health.outages)
	}
}

// TestAKindOffTheScheduleIsForgotten: what is not asked for any more is no
// outage for ever.
func TestAKindOffTheScheduleIsForgotten(t *testing.T) {
	t.Parallel()
	l := newLookout(t, 5)
	for _, kind := range []string{forBlocks, forMempool, backlog, noBlock} {
		if err := l.writer.BeginOutage(t.Context(), kind, "", "nobody answered", l.at); err != nil {
			t.Fatal(err)
		}
	}
	loaded := func(schedule Schedule) (kinds []string) {
		h := newHealth(HealthSettings{BlindAfter: 5 * time.Minute, NoBlockAfter: time.Hour}, l.writer, l.store, l.now, l.log)
		h.watches(&Config{Schedule: schedule}, newPulse(l.now))
		if err := h.load(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, o := range must(l.store.OpenOutages(t.Context())) {
			kinds = append(kinds, o.Kind)
		}
		return kinds
	}
	if got := loaded(Schedule{Blocks: "@every 1s"}); !slices.Equal(got, []string{forBlocks, backlog, noBlock}) {
		t.Errorf("without a mempool, open are %v", got)
	}
	if got := loaded(Schedule{History: "@daily"}); len(got) > 0 {
		t.Errorf("without blocks, open are %v", got)
	}
}

// TestABoasterMakesNothingLate: the tip that somebody can back is covered, and
// so payments in it are in time, whatever another one shows.
func TestABoasterMakesNothingLate(t *testing.T) {
	t.Parallel()
	l := newLookout(t, 5)
	l.explorer("honest", honest(l.ledger, 5))
	l.explorer("boaster", voice{9000, func(int32) (chainhash.Hash, error) { return chainhash.Hash{}, errNotFound },
		func(chainhash.Hash) ([]byte, error) { return nil, errUnavailable }})
	_ = l.watch(5 * time.Minute)
	if p := must(l.store.Position(t.Context())); p.Height != 5 || p.ReachedAt.IsZero() {
		t.Errorf("block %d is covered, and is the tip since %v", p.Height, p.ReachedAt)
	}
}
