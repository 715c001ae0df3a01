package sql_test

import (
	"testing"
	"time"

	"btcwatch/sql"
)

// TestHolesAreTold: what an outage hid, and whether it has been made up for.
func TestHolesAreTold(t *testing.T) {
	b, _ := started(t)
	since := time.Now().Add(-time.Hour)
	begin := func(kind, name string) { b.must(b.writer.BeginOutage(t.Context(), kind, name, "a reason", since)) }
	begin("schedule", "mempool")
	begin("schedule", "report")
	begin("quiet", "")
	begin("delivery", "desk")
	begin("explorer", "desk") // of the same name
	b.expect(`SELECT type || ' ' || severity FROM report.alerts`,
		"chain.quiet low explorer.failing low watch.blind severe watch.blind severe watch.blind severe")
	b.must(b.writer.ForgetOutage(t.Context(), "quiet", ""))
	b.must(b.writer.EndFlapping(t.Context(), "desk", 7))
	b.must(b.writer.EndOutage(t.Context(), "schedule", "mempool"))
	b.must(b.writer.EndOutage(t.Context(), "schedule", "report"))
	b.must(b.writer.BeginOutage(t.Context(), "channel", "desk", "it gave up", since))
	b.must(b.writer.EndOutage(t.Context(), "delivery", "desk"))
	b.expect(`SELECT convert_from(body, 'UTF8')::json #>> '{data,job}' || ' ' || coalesce(convert_from(body, 'UTF8')::json #>> '{data,closed}', 'not known')
		FROM btcwatch.alert WHERE type = 'watch.restored'`, "mempool false report not known")
	b.expect(`SELECT kind || ': ' || reason FROM report.gaps`, "schedule: the job mempool did not run: a reason schedule: the job report did not run: a reason")
	b.expect(`SELECT count(*)::text FROM report.alerts WHERE type = 'explorer.recovered' AND summary LIKE '%went bad 7 times%'`, "1")

	begin("blocks", "")
	b.must(b.writer.EndOutage(t.Context(), "blocks", ""))
	begin("blocks", "")
	b.exec(`INSERT INTO btcwatch.gap (kind, from_height, reason, at) VALUES ('blocks', 5, 'lost', now())`)
	b.must(b.writer.EndOutage(t.Context(), "blocks", ""))
	b.expect(`SELECT convert_from(body, 'UTF8')::json #>> '{data,closed}' FROM btcwatch.alert
		WHERE type = 'watch.restored' AND convert_from(body, 'UTF8')::json #>> '{data,kind}' = 'blocks'`, "false true")

	ends, err := b.store.LastRecoveries(t.Context())
	b.must(err)
	if over := ends["desk"]; len(ends) != 1 || time.Since(over) > time.Minute {
		t.Errorf("recovered: %v", ends)
	}
}

// TestFiguresAddUp: what is counted on from the last time is what all at once
// gives.
func TestFiguresAddUp(t *testing.T) {
	b, _ := started(t)
	var last *sql.Figures
	for i, kind := range []string{"blocks", "mempool", "tip"} {
		var err error
		b.must(b.writer.BeginOutage(t.Context(), kind, "", "a reason", time.Now()))
		last, err = b.store.Figures(t.Context(), last)
		b.must(err)
		if last.Alerts["watch.blind"] != int64(i+1) || last.Outages[kind] != 1 {
			t.Errorf("after %d: %+v", i+1, last)
		}
	}
	all, err := b.store.Figures(t.Context(), nil)
	b.must(err)
	again, err := b.store.Figures(t.Context(), last)
	b.must(err)
	if all.Alerts["watch.blind"] != 3 || again.Alerts["watch.blind"] != 3 || all.Watched != again.Watched || !all.Position.Set {
		t.Errorf("all at once %+v, and added up %+v", all, again)
	}
	watched := b.count(`SELECT count(*) FROM report.addresses WHERE retired_at IS NULL`)
	if all.Watched != watched {
		t.Errorf("%d watched, want %d", all.Watched, watched)
	}
}

// TestLateDeliveriesAreThoseOfWorkingChannels: by the time they wait, and not
// those of a channel that has given up.
func TestLateDeliveriesAreThoseOfWorkingChannels(t *testing.T) {
	b, _ := started(t)
	put := func(id byte, channel string, minutes int, state string) {
		b.exec(`INSERT INTO btcwatch.alert (id, type, severity, about, quiet, opened_at, body)
			VALUES (decode(lpad(to_hex($1::integer), 32, '0'), 'hex'), 'list.changed', 'low', 'list', false, now() - $2::integer * interval '1 minute', '{}')`, int(id), minutes)
		b.exec(`INSERT INTO btcwatch.delivery (alert_id, channel, state, next_at, last_error)
			VALUES (decode(lpad(to_hex($1::integer), 32, '0'), 'hex'), $2, $3, now(), 'it refused')`, int(id), channel, state)
	}
	put(1, "young", 4, "waiting")
	put(2, "late", 6, "waiting")
	put(3, "late", 9, "waiting")
	put(4, "late", 1, "waiting")
	put(5, "dead", 60, "waiting")
	put(6, "done", 60, "delivered")
	b.must(b.writer.BeginOutage(t.Context(), "channel", "dead", "gone", time.Now()))
	late, err := b.store.LateDeliveries(t.Context())
	b.must(err)
	if len(late) != 1 || late[0].Channel != "late" || late[0].Waiting != 2 || late[0].Count != 3 || late[0].Reason != "it refused" ||
		time.Since(late[0].Since).Round(time.Minute) != 9*time.Minute {
		t.Errorf("late: %+v", late)
	}
}
