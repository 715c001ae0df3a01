package sql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/sql"
)

// alertIDs are those of all alerts, oldest first.
func (b *bench) alertIDs() (ids []alerts.ID) {
	b.Helper()
	for _, line := range b.lines(`SELECT to_char(seq, 'FM0000') || encode(id, 'hex') FROM btcwatch.alert`) {
		id, err := alerts.ParseID(line[4:])
		b.must(err)
		ids = append(ids, id)
	}
	return ids
}

// An alert goes from hand to hand: what each step leaves it in, and which steps
// are refused.
func TestWorkOnAlert(t *testing.T) {
	b := told(t, 1)
	id := b.alertIDs()[0]
	for i, step := range []struct {
		sql.Action
		state, refused string
	}{
		{Action: sql.Action{Kind: "reopen", Note: "why not"}, refused: "not closed, but open"},
		{Action: sql.Action{Kind: "note", Note: " \n"}, refused: "a note is missing"},
		{Action: sql.Action{Kind: "note", Note: "asked the bank"}, state: "open"},
		{Action: sql.Action{Kind: "acknowledge"}, state: "acknowledged"},
		{Action: sql.Action{Kind: "acknowledge", Note: "me too"}, state: "acknowledged"},
		{Action: sql.Action{Kind: "close", Note: "done"}, refused: "needs a disposition"},
		{Action: sql.Action{Kind: "close", Note: "done", Disposition: "fine"}, refused: "needs a disposition"},
		{Action: sql.Action{Kind: "close", Disposition: "reported"}, refused: "a note is missing"},
		{Action: sql.Action{Kind: "close", Disposition: "reported", Note: strings.Repeat("é", 4001)}, refused: "4001 characters"},
		{Action: sql.Action{Kind: "close", Disposition: "reported", Note: "bell \a"}, refused: "control character"},
		{Action: sql.Action{Kind: "close", Disposition: "reported", Note: strings.Repeat("é", 3999) + "\n"}, state: "closed"},
		{Action: sql.Action{Kind: "close", Disposition: "duplicate", Note: "again"}, refused: "closed already, by ann on 20"},
		{Action: sql.Action{Kind: "acknowledge"}, refused: "closed already"},
		{Action: sql.Action{Kind: "note", Note: "late word"}, state: "closed"},
		{Action: sql.Action{Kind: "note", Note: "from\r\nWindows\r\n"}, state: "closed"},
		{Action: sql.Action{Kind: "note", Note: "a line\rover another"}, refused: "control character"},
		{Action: sql.Action{Kind: "reopen", Note: "new facts"}, state: "open"},
		{Action: sql.Action{Kind: "close", Disposition: "no_action", Note: "none"}, state: "closed"},
	} {
		step.Actor = "ann"
		state, err := b.store.Act(t.Context(), id, step.Action)
		switch {
		case step.refused == "" && (err != nil || state != step.state):
			t.Errorf("step %d: %s, %v; want %s", i, state, err, step.state)
		case step.refused != "" && (!errors.Is(err, sql.ErrNotDone) || !strings.Contains(err.Error(), step.refused)):
			t.Errorf("step %d: %v; want %q", i, err, step.refused)
		}
	}
	b.expect(`SELECT string_agg(action || coalesce(' ' || disposition, ''), ', ' ORDER BY at) FROM report.alert_actions WHERE actor = 'ann'`,
		"note, acknowledge, acknowledge, close reported, note, note, reopen, close no_action")
	b.expect(`SELECT state || ' ' || disposition || ' ' || closed_by FROM report.alerts`, "closed no_action ann")
	b.expect(`SELECT note FROM report.alert_actions WHERE note LIKE 'from%'`, "from\nWindows\n")
}

func TestNoSuchAlert(t *testing.T) {
	b := told(t, 1)
	_, err := b.store.Act(t.Context(), alerts.ID{1}, sql.Action{Kind: "acknowledge", Actor: "ann"})
	if !errors.Is(err, sql.ErrNotDone) || !strings.Contains(err.Error(), "no alert has the id 01") {
		t.Error(err)
	}
	for _, id := range []string{"", "xyz", "'; DROP TABLE btcwatch.alert; --", strings.Repeat("0", 33)} {
		if _, err := b.conn.Exec(t.Context(), `SELECT desk.acknowledge($1)`, id); err == nil || !strings.Contains(err.Error(), "no alert has the id") {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// Whoever works through a front end of their own is known by their login, can
// do nothing but work on alerts, and can change nothing that was done.
func TestDeskOfAnotherLogin(t *testing.T) {
	b := told(t, 1)
	id := b.alertIDs()[0]
	login := "desk_" + strings.ToLower(strings.Map(letters, t.Name()))
	b.exec(`DROP ROLE IF EXISTS ` + login)
	b.exec(`CREATE ROLE ` + login)
	t.Cleanup(func() {
		for _, statement := range []string{`DROP OWNED BY `, `DROP ROLE `} {
			if _, err := b.conn.Exec(context.Background(), statement+login); err != nil {
				t.Error(err)
			}
		}
	})
	as := func(statement string, args ...any) error {
		return pgx.BeginFunc(t.Context(), b.conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), `SET LOCAL SESSION AUTHORIZATION `+login); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), statement, args...)
			return err
		})
	}
	if err := as(`SELECT desk.acknowledge($1)`, id.String()); err == nil {
		t.Error("a login without any right works on alerts")
	}
	b.exec(`GRANT USAGE ON SCHEMA desk TO ` + login)
	b.exec(`GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA desk TO ` + login)
	b.must(as(`SELECT desk.close($1, 'reported', 'case 7')`, id.String()))
	b.expect(`SELECT actor || ' ' || action || ' ' || note FROM report.alert_actions`, login+" close case 7")
	for _, refused := range []string{
		`SELECT btcwatch.act('` + id.String() + `', 'reopen', NULL, 'as somebody else', 'ann')`,
		`UPDATE btcwatch.staff_action SET actor = 'ann'`, `DELETE FROM btcwatch.staff_action`, `SELECT FROM btcwatch.alert`,
	} {
		if as(refused) == nil {
			t.Errorf("done: %s", refused)
		}
	}
}

func letters(r rune) rune {
	if r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}

// What was done stays, also for the owner of the tables.
func TestActionsAreNeverChanged(t *testing.T) {
	b := told(t, 1)
	_, err := b.store.Act(t.Context(), b.alertIDs()[0], sql.Action{Kind: "note", Note: "n", Actor: "ann"})
	b.must(err)
	b.exec(`DROP TRIGGER facts_stay ON btcwatch.staff_action`)
	b.exec(`DROP TRIGGER facts_stay_all ON btcwatch.staff_action`)
	for _, statement := range []string{`UPDATE btcwatch.staff_action SET note = 'm'`, `DELETE FROM btcwatch.staff_action`, `TRUNCATE btcwatch.staff_action`} {
		if _, err := b.conn.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "never changed") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

// Of many who close the same alert at once one does.
func TestClosedOnce(t *testing.T) {
	b := told(t, 1)
	id := b.alertIDs()[0]
	var mu sync.Mutex
	var closed, refused int
	var people sync.WaitGroup
	for i := range 8 {
		people.Go(func() {
			_, err := b.store.Act(t.Context(), id, sql.Action{Kind: "close", Disposition: "duplicate", Note: "n", Actor: fmt.Sprint("p", i)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				closed++
			case errors.Is(err, sql.ErrNotDone):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	people.Wait()
	if closed != 1 || refused != 7 {
		t.Errorf("%d closed, %d refused", closed, refused)
	}
}

// All alerts of an address up to a time are closed, and no others: not those of
// another address, not later ones, not the quiet, not the closed.
func TestCloseAll(t *testing.T) {
	b, _ := started(t)
	insert := func(id byte, script string, at string, quiet bool) {
		b.exec(`
			INSERT INTO btcwatch.alert (id, type, severity, about, quiet, script_id, opened_at, body)
			SELECT decode(repeat(to_hex($1 + 16), 16), 'hex'), 'transaction.seen', 'medium', 'payment', $4, s.id, $3::timestamptz, '{}'
			FROM btcwatch.script s
			WHERE s.address = $2`, int(id), script, at, quiet)
	}
	var addresses []string
	for i := range 2 {
		a, _ := chain.AddressOf(append([]byte{0x00, 0x14, byte(i)}, make([]byte, 19)...), regtest())
		b.exec(`INSERT INTO btcwatch.script (sha256, script, address) VALUES (sha256($1), $1, $2)`, a.Script, a.Text)
		addresses = append(addresses, a.Text)
	}
	before := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	insert(1, addresses[0], "2026-03-30T23:59:59Z", false)
	insert(2, addresses[0], "2026-01-01T00:00:00Z", false)
	insert(3, addresses[0], "2026-03-31T00:00:00Z", false)
	insert(4, addresses[0], "2026-01-01T00:00:00Z", true)
	insert(5, addresses[1], "2026-01-01T00:00:00Z", false)
	insert(6, addresses[0], "2026-01-01T00:00:00Z", false)
	_, err := b.store.Act(t.Context(), alerts.ID([]byte(strings.Repeat("\x16", 16))), sql.Action{Kind: "close", Disposition: "reported", Note: "n", Actor: "bob"})
	b.must(err)
	closable, err := b.store.Closable(t.Context(), addresses[0], before)
	b.must(err)
	if len(closable) != 1 || !closable[0].Newest.Equal(before.Add(-time.Second)) || closable[0].Oldest.Month() != time.January {
		t.Errorf("to be closed are %+v", closable)
	}
	count := closable[0].Count
	closed, err := b.store.CloseAll(t.Context(), addresses[0], before, sql.Action{Disposition: "no_action", Note: "a shop's", Actor: "ann"})
	b.must(err)
	if count != 2 || closed != 2 {
		t.Errorf("%d counted, %d closed, want 2", count, closed)
	}
	b.expect(`SELECT left(id, 2) || ' ' || state || coalesce(' ' || closed_by, '') FROM report.alerts`,
		"11 closed ann 12 closed ann 13 open 14 open 15 open 16 closed bob")
	closed, err = b.store.CloseAll(t.Context(), addresses[0], before, sql.Action{Disposition: "no_action", Note: "again", Actor: "ann"})
	if b.must(err); closed != 0 {
		t.Errorf("%d closed again", closed)
	}
	if _, err := b.store.CloseAll(t.Context(), addresses[0], before, sql.Action{Disposition: "no_action"}); !errors.Is(err, sql.ErrNotDone) {
		t.Error(err)
	}
	if _, err := b.store.CloseAll(t.Context(), addresses[0], before, sql.Action{Disposition: "no_action", Note: "by login"}); err != nil {
		t.Error(err)
	}
}

// What died is delivered again with all its tries, what waits for its next try
// comes at once, and what is being tried just now is left alone.
func TestRetry(t *testing.T) {
	b := told(t, 4)
	all := b.claim("desk", 4, time.Hour)
	b.must(b.store.Delivered(t.Context(), all[0]))
	b.must(b.writer.DeliveryDied(t.Context(), all[1], "gone"))
	b.must(b.store.DeliveryFailed(t.Context(), all[2], "later", 20*time.Hour))
	none, err := b.store.Retry(t.Context(), nil, []string{"log"}, "ann")
	b.must(err)
	if len(none) != 0 {
		t.Errorf("of the other channel: %v", none)
	}
	counts, err := b.store.Retry(t.Context(), nil, []string{"desk"}, "ann")
	b.must(err)
	if counts["desk"] != 2 || len(counts) != 1 {
		t.Errorf("due: %v, want 2 of desk", counts)
	}
	again := b.claim("desk", 9, time.Hour)
	if len(again) != 3 || again[0].Alert != all[1].Alert || again[0].Attempt != 1 || again[1].Alert != all[2].Alert || again[1].Attempt != 2 {
		t.Errorf("claimed %+v", again)
	}
	if string(again[0].Body) != string(all[1].Body) {
		t.Error("not the same bytes")
	}
	if told, err := alerts.Decode(again[2].Body); err != nil || told.Type != alerts.ChannelFailing {
		t.Errorf("the third is %s, %v", told.Type, err)
	}
	// The result of the claim before comes too late.
	b.must(b.store.Delivered(t.Context(), all[1]))
	b.expect(`SELECT state FROM btcwatch.delivery WHERE channel = 'desk' AND alert_id = decode('`+all[1].Alert.String()+`', 'hex')`, "waiting")
	b.expect(`SELECT actor || ' ' || channel || ' ' || count(*) FROM btcwatch.delivery_retry GROUP BY actor, channel`, "ann desk 2")
	list, err := b.store.Deliveries(t.Context(), sql.Queued{Channel: "desk", States: []string{"delivered"}, Most: 9})
	b.must(err)
	if len(list) != 1 || list[0].Alert != all[0].Alert.String() || list[0].DeliveredAt == nil || list[0].NextAt != nil {
		t.Errorf("delivered: %+v", list)
	}
}
