package sql_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

// nightly is a bench with a chat that is never quiet, a mailbox that is at night,
// and a program; three addresses of which people are told in the three ways.
type nightly struct {
	*flooded
	listed map[watchlist.Notify]chain.Address
	got    map[string][]string // by channel: "time alert-id", as it was carried
	nth    int
}

func newNightly(t *testing.T, burst int) *nightly {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night, err := alerts.ParseHours("22:00-07:00")
	if err != nil {
		t.Fatal(err)
	}
	morning, err := alerts.ParseClock("08:00")
	if err != nil {
		t.Fatal(err)
	}
	tell := sql.Telling{
		Confirmations: []int32{1}, Burst: burst, Zone: zone, Digest: morning,
		Channels: []alerts.Settings{{Name: "mail", Kind: "email", Quiet: night}, {Name: "chat", Kind: "slack"}, {Name: "hook", Kind: "webhook"}},
	}
	f := &flooded{bench: newBench(t, tell), ledger: chaintest.NewChain(), clock: time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC)}
	sql.SetClock(f.store, func() time.Time { return f.clock })
	f.ledger.MineEmpty(3)
	f.begin(f.ledger, 3)
	n := &nightly{flooded: f, got: map[string][]string{}, listed: map[watchlist.Notify]chain.Address{
		watchlist.NotifyEach: address(1), watchlist.NotifyDigest: address(3), watchlist.NotifyRecord: address(5),
	}}
	for notify, a := range n.listed {
		l := listing(a)
		l.Notify = notify
		f.watch(l)
	}
	return n
}

// pay has money come to or leave an address, and gives the id of the alert.
func (n *nightly) pay(a chain.Address, out bool) string {
	n.Helper()
	n.nth++
	from, to, other := uint32(n.nth), a, pays(address(9), 1_000)
	fund := transaction(from, []wire.OutPoint{stranger(byte(n.nth))}, pays(to, 50_000), other)
	if !out {
		n.ledger.Mine(fund)
		n.follow(n.ledger)
		return n.newest()
	}
	// What it spends came in long ago, and was told then.
	n.ledger.Mine(fund)
	n.follow(n.ledger)
	n.exec(`DELETE FROM btcwatch.delivery WHERE alert_id = (SELECT id FROM btcwatch.alert ORDER BY seq DESC LIMIT 1)`)
	id := fund.TxHash()
	n.ledger.Mine(transaction(from, []wire.OutPoint{*wire.NewOutPoint(&id, 0)}, pays(address(9), 49_000)))
	n.follow(n.ledger)
	return n.newest()
}

func (n *nightly) newest() string {
	n.Helper()
	return n.lines(`SELECT encode(id, 'hex') FROM btcwatch.alert ORDER BY seq DESC LIMIT 1`)[0]
}

// collect lets what is due be summed up, and takes all that waits. A sum stands
// for the alerts that it names.
func (n *nightly) collect() {
	n.Helper()
	n.must(n.writer.TellSums(n.Context()))
	for _, channel := range []string{"mail", "chat", "hook"} {
		for _, b := range n.deliverAll(channel) {
			stamp := n.clock.Format("02 15:04 ")
			if b.Data.Summed == nil {
				n.got[channel] = append(n.got[channel], stamp+b.Data.ID)
				continue
			}
			if int64(len(b.Data.Summed.IDs)) != b.Data.Summed.Count {
				n.Errorf("a sum of %d names %d", b.Data.Summed.Count, len(b.Data.Summed.IDs))
			}
			for _, id := range b.Data.Summed.IDs {
				n.got[channel] = append(n.got[channel], stamp+b.Data.Summed.Reason+" "+id)
			}
		}
	}
}

// TestWhoIsToldWhen: three days of payments at random times, over the night in
// which clocks go back. The model knows the rules as docs/channels.md has them:
// each alert comes to each channel once, by itself or in a sum, and when it is to.
func TestWhoIsToldWhen(t *testing.T) {
	n := newNightly(t, 1000)
	n.collect()
	clear(n.got)
	random := rand.New(rand.NewPCG(7, 7))
	want := map[string][]string{}
	type held struct{ at, id string }
	berlin, err := time.LoadLocation("Europe/Berlin")
	n.must(err)
	var nights []held
	for n.clock.Before(time.Date(2026, 10, 27, 12, 0, 0, 0, time.UTC)) {
		n.clock = n.clock.Add(time.Hour)
		n.collect()
		if random.IntN(2) == 0 {
			continue
		}
		notify := watchlist.Notifications()[random.IntN(3)]
		out := random.IntN(4) == 0
		id := n.pay(n.listed[notify], out)
		n.collect() // what goes at once goes now
		now := n.clock.Format("02 15:04 ")
		want["hook"] = append(want["hook"], now+id)
		local := n.clock.In(berlin)
		next := func(hour int) string {
			day := local.Day()
			if local.Hour() >= hour {
				day++
			}
			return time.Date(2026, 10, day, hour, 0, 0, 0, berlin).UTC().Format("02 15:04 ")
		}
		switch {
		case out:
			want["mail"], want["chat"] = append(want["mail"], now+id), append(want["chat"], now+id)
		case notify == watchlist.NotifyRecord:
		case notify == watchlist.NotifyDigest:
			due := next(8) + "digest " + id
			want["mail"], want["chat"] = append(want["mail"], due), append(want["chat"], due)
		default:
			want["chat"] = append(want["chat"], now+id)
			if local.Hour() < 22 && local.Hour() >= 7 {
				want["mail"] = append(want["mail"], now+id)
				continue
			}
			nights = append(nights, held{next(7), id})
		}
	}
	for range 30 { // nothing is left behind
		n.clock = n.clock.Add(time.Hour)
		n.collect()
	}
	for _, h := range nights {
		count := 0
		for _, other := range nights {
			if other.at == h.at {
				count++
			}
		}
		if count > 3 {
			want["mail"] = append(want["mail"], h.at+"quiet "+h.id)
			continue
		}
		want["mail"] = append(want["mail"], h.at+h.id)
	}
	for _, channel := range []string{"hook", "chat", "mail"} {
		got, want := slices.Sorted(slices.Values(n.got[channel])), slices.Sorted(slices.Values(want[channel]))
		if !slices.Equal(got, want) {
			t.Errorf("%s got\n%q\nwant\n%q", channel, got, want)
		}
	}
	n.expect(`SELECT count(*)::text FROM btcwatch.delivery WHERE state = 'folded' AND carried_by IS NULL`, "0")
}

// A correction of what was sent by itself is sent, though the listing has come to
// say record since.
func TestWhatCorrectsAMessageIsSent(t *testing.T) {
	a := address(1)
	n := newNightly(t, 1000)
	n.collect()
	tx := transaction(1, []wire.OutPoint{stranger(1)}, pays(a, 60_000))
	n.report("alpha", seen(tx))
	n.collect()
	l := listing(a)
	l.Notify = watchlist.NotifyRecord
	n.watch(l)
	clear(n.got)
	n.ledger.Mine(transaction(2, []wire.OutPoint{stranger(1)}, pays(address(9), 60_000)))
	n.follow(n.ledger)
	n.collect()
	if len(n.got["chat"]) != 1 || len(n.got["hook"]) != 1 {
		t.Errorf("%v", n.got)
	}
	n.expect(`SELECT type FROM btcwatch.alert ORDER BY seq DESC LIMIT 1`, string(alerts.TransactionReplaced))
}

// What is not about an address waits for the end of the quiet hours by itself.
func TestMessagesOfTheWatchWaitToo(t *testing.T) {
	n := newNightly(t, 1000)
	n.collect()
	n.clock = time.Date(2026, 10, 26, 23, 0, 0, 0, time.UTC)
	n.must(n.writer.BeginOutage(t.Context(), "explorer", "alpha", "timeout", n.clock.Add(-time.Hour)))
	n.expect(`
		SELECT d.channel || ' ' || d.state || ' ' || coalesce(d.held_for, '') || ' ' || coalesce(d.due_at AT TIME ZONE 'UTC', 'epoch')
		FROM report.deliveries d
		JOIN report.alerts a ON a.id = d.alert_id
		WHERE a.type = 'explorer.failing'`,
		"chat waiting  1970-01-01 00:00:00 hook waiting  1970-01-01 00:00:00 mail waiting quiet 2026-10-27 06:00:00")
	n.must(n.writer.BeginOutage(t.Context(), "blocks", "", "nobody answers", n.clock.Add(-time.Hour)))
	severe := n.deliverAll("mail")
	if len(severe) != 1 || severe[0].Type != alerts.WatchBlind {
		t.Errorf("at night came %+v", severe)
	}
}

// What waits for the end of quiet hours is not late; what is due is.
func TestWhatWaitsForTheMorningIsNotLate(t *testing.T) {
	clock := func(at time.Time) alerts.Clock { return alerts.Clock(at.Hour()*60 + at.Minute()) }
	now := time.Now().UTC()
	tell := sql.Telling{Confirmations: []int32{1}, Channels: []alerts.Settings{
		{Name: "mail", Kind: "email", Quiet: alerts.Hours{From: clock(now.Add(-2 * time.Hour)), To: clock(now.Add(2 * time.Hour))}},
		{Name: "chat", Kind: "slack"},
	}}
	b := newBench(t, tell)
	sql.SetClock(b.store, func() time.Time { return now.Add(-time.Hour) })
	b.must(b.writer.BeginOutage(t.Context(), "explorer", "alpha", "timeout", now.Add(-time.Hour)))
	late, err := b.store.LateDeliveries(t.Context())
	b.must(err)
	if len(late) != 1 || late[0].Channel != "chat" {
		t.Errorf("late are %+v", late)
	}
}

// A sum that cannot be made leaves what it was to carry, and the next makes it.
func TestABrokenOffSumCarriesNothing(t *testing.T) {
	n := newNightly(t, 1000)
	n.collect()
	n.clock = time.Date(2026, 10, 26, 10, 0, 0, 0, time.UTC)
	for range 5 {
		n.pay(n.listed[watchlist.NotifyDigest], false)
	}
	n.clock = n.clock.Add(24 * time.Hour)
	for _, table := range []string{"alert", "delivery", "journal"} {
		n.exec(`CREATE FUNCTION btcwatch.broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken off'; END $$`)
		n.exec(`CREATE TRIGGER broken BEFORE INSERT OR UPDATE ON btcwatch.` + table + ` FOR EACH ROW EXECUTE FUNCTION btcwatch.broken()`)
		if err := n.writer.TellSums(t.Context()); err == nil {
			t.Errorf("broken at %s, and nothing was said", table)
		}
		n.exec(`DROP FUNCTION btcwatch.broken() CASCADE`)
		n.expect(`SELECT count(*)::text FROM btcwatch.delivery WHERE state = 'folded' AND carried_by IS NULL`, "10")
	}
	n.must(n.writer.TellSums(t.Context()))
	n.must(n.writer.TellSums(t.Context()))
	for _, channel := range []string{"mail", "chat"} {
		got := n.deliverAll(channel)
		if len(got) != 1 || got[0].Data.Summed == nil || got[0].Data.Summed.Count != 5 || got[0].Data.Summed.InSat != 5*50_000 || len(got[0].Data.Summed.Addresses) != 1 {
			raw, _ := json.Marshal(got)
			t.Errorf("%s got %s", channel, raw)
		}
	}
}

// What waits to be summed up is in the list of what waits, with the reason and
// the time; once it is carried, its carrier is in its place.
func TestHeldDeliveriesAreListed(t *testing.T) {
	n := newNightly(t, 1000)
	n.collect()
	id := n.pay(n.listed[watchlist.NotifyDigest], false)
	n.deliverAll("hook")
	listed := func() (all []string) {
		rows, err := n.store.Deliveries(t.Context(), sql.Queued{States: []string{"waiting"}, Most: 10})
		n.must(err)
		for _, row := range rows {
			held := ""
			if row.HeldFor != nil {
				held = " " + *row.HeldFor + " " + row.NextAt.UTC().Format("02 15:04")
			}
			all = append(all, row.Channel+" "+row.State+held+" "+row.Type+map[bool]string{true: " it"}[row.Alert == id])
		}
		return all
	}
	want := []string{"chat waiting digest 25 07:00 transaction.confirmed it", "mail waiting digest 25 07:00 transaction.confirmed it"}
	if got := listed(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	n.clock = n.clock.Add(24 * time.Hour)
	n.must(n.writer.TellSums(t.Context()))
	got := listed()
	slices.Sort(got)
	if want := []string{"chat waiting messages.summed", "mail waiting messages.summed"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
