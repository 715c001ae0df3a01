package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"btcwatch/alerts"
)

// ErrNotDone means that the database refused what a person wants to do with an
// alert; the text says why.
var ErrNotDone = errors.New("not done")

// refusedAction is the code by which the functions of the schema desk refuse.
const refusedAction = "BW001"

// Action is something that a person does with an alert.
type Action struct {
	Kind        string // acknowledge, note, close, reopen
	Disposition string // of a close: reported, false_positive, duplicate, no_action
	Note        string
	Actor       string // empty: the login of this session, and nobody else's name is taken
}

// Act does something with one alert and gives the state that this leaves it in.
func (s *Store) Act(ctx context.Context, id alerts.ID, a Action) (state string, err error) {
	query, args := `SELECT btcwatch.act($1, $2, nullif($3, ''), $4, $5)`, []any{id.String(), a.Kind, a.Disposition, a.Note, a.Actor}
	if a.Actor == "" {
		query, args = byLogin(id, a)
	}
	err = s.pool.QueryRow(ctx, query, args...).Scan(&state)
	return state, notDone(err, fmt.Sprintf("%s %s", a.Kind, id))
}

// byLogin names the function that anybody with the right to it may call.
func byLogin(id alerts.ID, a Action) (query string, args []any) {
	switch a.Kind {
	case "close":
		return `SELECT desk.close($1, $2, $3)`, []any{id.String(), a.Disposition, a.Note}
	case "reopen":
		return `SELECT desk.reopen($1, $2)`, []any{id.String(), a.Note}
	case "note":
		return `SELECT desk.note($1, $2)`, []any{id.String(), a.Note}
	}
	return `SELECT desk.acknowledge($1, $2)`, []any{id.String(), a.Note}
}

// CloseAll closes the alerts of an address that were opened before a time, and
// says how many. Those for the daily report only are left.
func (s *Store) CloseAll(ctx context.Context, address string, before time.Time, a Action) (closed int64, err error) {
	query, args := `SELECT btcwatch.close_all($1, $2, $3, $4, $5)`, []any{address, before, a.Disposition, a.Note, a.Actor}
	if a.Actor == "" {
		query, args = `SELECT desk.close_all($1, $2, $3, $4)`, args[:4]
	}
	err = s.pool.QueryRow(ctx, query, args...).Scan(&closed)
	return closed, notDone(err, "close the alerts of "+address)
}

func notDone(err error, doing string) error {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Code == refusedAction:
		return fmt.Errorf("%w: %s", ErrNotDone, refused.Message)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// ActionRow is what a person did with an alert, as report.alert_actions gives it.
type ActionRow struct {
	Action      string    `json:"action"`
	Disposition *string   `json:"disposition"`
	Note        string    `json:"note"`
	Actor       string    `json:"actor"`
	At          time.Time `json:"at"`
}

// Actions lists what was done with an alert, first first.
func (s *Store) Actions(ctx context.Context, id alerts.ID) ([]ActionRow, error) {
	list, err := rows[ActionRow](ctx, s.pool, `
		SELECT action, disposition, note, actor, at
		FROM btcwatch.staff_action
		WHERE alert_id = $1
		ORDER BY id`, id[:])
	if err != nil {
		return nil, fmt.Errorf("read what was done with %s: %w", id, err)
	}
	return list, nil
}

// ClosableRow is how many alerts of one type and severity CloseAll would close.
type ClosableRow struct {
	Type     string    `json:"type"`
	Severity string    `json:"severity"`
	Count    int64     `json:"count"`
	Oldest   time.Time `json:"oldest"`
	Newest   time.Time `json:"newest"`
}

// Closable is what CloseAll would close, the most severe first.
func (s *Store) Closable(ctx context.Context, address string, before time.Time) ([]ClosableRow, error) {
	list, err := rows[ClosableRow](ctx, s.pool, `
		SELECT type, severity, count(*) AS count, min(opened_at) AS oldest, max(opened_at) AS newest
		FROM report.alerts
		WHERE address = $1
		  AND opened_at < $2
		  AND NOT quiet
		  AND state <> 'closed'
		GROUP BY type, severity
		ORDER BY array_position(ARRAY['severe', 'high', 'medium', 'low', 'info'], severity), type`, address, before)
	if err != nil {
		return nil, fmt.Errorf("count the alerts of %s: %w", address, err)
	}
	return list, nil
}
