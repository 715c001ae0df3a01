package sql_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/sql"
)

// told makes n alerts, each waiting for both channels.
func told(t *testing.T, n int) *bench {
	t.Helper()
	b, _ := started(t)
	for i := range n {
		b.must(b.writer.BeginOutage(t.Context(), "explorer", fmt.Sprint("e", i), "a reason", time.Now()))
	}
	return b
}

func (b *bench) claim(channel string, most int, lease time.Duration) []sql.Delivery {
	b.Helper()
	claimed, err := b.store.ClaimDeliveries(b.Context(), channel, most, lease, nil)
	b.must(err)
	return claimed
}

func TestClaimersNeverShare(t *testing.T) {
	const all = 60
	b := told(t, all)
	var mu sync.Mutex
	owners := map[alerts.ID]int{}
	var claimers sync.WaitGroup
	for range 6 {
		claimers.Go(func() {
			for {
				claimed, err := b.store.ClaimDeliveries(t.Context(), "desk", 3, time.Hour, nil)
				if err != nil {
					t.Error(err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, d := range claimed {
					owners[d.Alert]++
				}
				mu.Unlock()
				for _, d := range claimed {
					if err := b.store.Delivered(t.Context(), d); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	claimers.Wait()
	// One may have come away empty while others held locks; nothing is lost.
	for _, d := range b.claim("desk", all, time.Hour) {
		owners[d.Alert]++
		b.must(b.store.Delivered(t.Context(), d))
	}
	if len(owners) != all {
		t.Errorf("%d of %d were claimed", len(owners), all)
	}
	for id, n := range owners {
		if n != 1 {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	b.expect(`SELECT DISTINCT channel || ' ' || state || ' ' || attempts FROM report.deliveries`, "desk delivered 1 log waiting 0")
}

func TestClaimsComeInOrderWithTheirBytes(t *testing.T) {
	b := told(t, 5)
	want := b.lines(`SELECT to_char(seq, 'FM0000') || encode(id, 'hex') || encode(body, 'hex') FROM btcwatch.alert`)
	var got []string
	for i, d := range slices.Concat(b.claim("desk", 2, time.Hour), b.claim("desk", 9, time.Hour)) {
		got = append(got, fmt.Sprintf("%04d%s%x", i+1, d.Alert, d.Body))
		if d.Attempt != 1 || d.Channel != "desk" || d.ReplyTo != nil {
			t.Errorf("attempt %d, channel %s, reply %v", d.Attempt, d.Channel, d.ReplyTo)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("claimed\n%q, want\n%q", got, want)
	}
	if more := b.claim("desk", 9, time.Hour); len(more) > 0 {
		t.Errorf("%d claimed twice", len(more))
	}
	if other := b.claim("log", 9, time.Hour); len(other) != 5 {
		t.Errorf("%d for the other channel", len(other))
	}
}

// A result that comes after somebody else took the delivery changes nothing.
func TestLateResultChangesNothing(t *testing.T) {
	b := told(t, 1)
	late := b.claim("desk", 1, -time.Second)[0] // its lease is over at once
	now := b.claim("desk", 1, time.Hour)[0]
	if now.Attempt != 2 || now.Alert != late.Alert || string(now.Body) != string(late.Body) {
		t.Fatalf("attempt %d of %s", now.Attempt, now.Alert)
	}
	before := b.dump()
	b.must(b.store.Delivered(t.Context(), late))
	b.must(b.store.DeliveryFailed(t.Context(), late, "late", time.Hour))
	b.must(b.writer.DeliveryDied(t.Context(), late, "late"))
	if b.dump() != before {
		t.Error("a late result changed something")
	}
	b.must(b.store.Delivered(t.Context(), now))
	b.must(b.store.DeliveryFailed(t.Context(), now, "after all", 0))
	b.must(b.writer.DeliveryDied(t.Context(), now, "after all"))
	b.expect(`SELECT state || coalesce(last_error, '-') FROM report.deliveries WHERE channel = 'desk'`, "delivered-")
}

func TestFailuresAndDeath(t *testing.T) {
	b := told(t, 2)
	both := b.claim("desk", 2, time.Hour)
	b.must(b.store.DeliveryFailed(t.Context(), both[0], "refused", time.Hour))
	wait, some, err := b.store.NextDelivery(t.Context(), "desk")
	if err != nil || !some || wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("next in %v %v %v", wait, some, err)
	}
	b.must(b.store.DeliveryFailed(t.Context(), both[1], "refused", 0))
	if wait, some, err := b.store.NextDelivery(t.Context(), "desk"); err != nil || !some || wait != 0 {
		t.Errorf("next in %v %v %v", wait, some, err)
	}
	again := b.claim("desk", 2, time.Hour)
	if len(again) != 1 || again[0].Alert != both[1].Alert || again[0].Attempt != 2 {
		t.Fatalf("claimed again: %+v", again)
	}
	for range 2 {
		b.must(b.writer.DeliveryDied(t.Context(), again[0], "gone for ever"))
	}
	b.expect(`SELECT count(*)::text FROM report.alerts WHERE type = 'channel.failing'`, "1")
	b.expect(`SELECT state || ' ' || last_error FROM report.deliveries WHERE alert_id = $1 AND channel = 'desk'`, "dead gone for ever", again[0].Alert.String())
	if d := b.claim("log", 9, time.Hour); len(d) != 3 {
		t.Errorf("the other channel has %d", len(d))
	}
	if _, some, err := b.store.NextDelivery(t.Context(), "nobody"); some || err != nil {
		t.Errorf("something waits for a channel that is not there: %v", err)
	}
}

// What is said of one payment hangs together: a later message replies to the
// first that went to the channel, whether or not it has arrived by then.
func TestRepliesWithinAThread(t *testing.T) {
	a := address(1)
	b, c := started(t, a)
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 50_000))
	b.report("alpha", seen(tx))
	first := b.claim("desk", 9, time.Hour)
	b.claim("log", 9, time.Hour) // and never delivered
	if len(first) != 1 || first[0].ReplyTo != nil {
		t.Fatalf("first word: %+v", first)
	}
	b.must(b.store.Delivered(t.Context(), first[0]))
	c.Mine(tx)
	b.follow(c)
	second := b.claim("desk", 9, time.Hour)
	if len(second) != 1 || second[0].ReplyTo == nil || *second[0].ReplyTo != first[0].Alert {
		t.Errorf("the confirmation replies to %+v", second)
	}
	if other := b.claim("log", 9, time.Hour); len(other) != 1 || other[0].ReplyTo == nil || *other[0].ReplyTo != first[0].Alert {
		t.Errorf("where the first has not arrived, the confirmation replies to %+v", other)
	}
}

// TestNotedAndClaimedAtOnce: what one channel took is noted and its next one
// claimed, in order, until nothing is left; a result that comes after its lease
// was taken by another notes nothing.
func TestNotedAndClaimedAtOnce(t *testing.T) {
	const all = 5
	b := told(t, all)
	var order []alerts.ID
	for next := b.claim("desk", 1, time.Hour); len(next) > 0; {
		if len(next) != 1 || next[0].Attempt != 1 {
			t.Fatalf("claimed %+v", next)
		}
		order = append(order, next[0].Alert)
		claimed, err := b.store.DeliveredClaimNext(t.Context(), next[0], time.Hour, nil)
		b.must(err)
		next = claimed
	}
	var want []alerts.ID
	for _, d := range b.claim("log", all, time.Hour) {
		want = append(want, d.Alert)
	}
	if !slices.Equal(order, want) || len(want) != all {
		t.Errorf("order %v, want %v", order, want)
	}
	b.expect(`SELECT DISTINCT channel || ' ' || state || ' ' || attempts FROM report.deliveries`, "desk delivered 1 log waiting 1")

	b.exec(`UPDATE btcwatch.delivery SET state = 'waiting', leased_until = NULL`)
	late := b.claim("desk", 1, 0)[0]
	again := b.claim("desk", 1, time.Hour)[0]
	if late.Alert != again.Alert {
		t.Fatalf("%v is claimed after %v", again.Alert, late.Alert)
	}
	next, err := b.store.DeliveredClaimNext(t.Context(), late, time.Hour, nil)
	b.must(err)
	if len(next) != 1 || next[0].Alert == late.Alert {
		t.Errorf("after a late result comes %+v", next)
	}
	b.expect(`SELECT state FROM btcwatch.delivery WHERE channel = 'desk' AND alert_id = $1`, "waiting", late.Alert[:])
}
