package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// ErrNoAlert says that no alert has the id that was asked for.
var ErrNoAlert = errors.New("no such alert")

// WatchedRow is a watched address as report.addresses and report.balances
// give it.
type WatchedRow struct {
	Address     string     `json:"address"`
	Label       string     `json:"label"`
	Entity      string     `json:"entity"`
	Category    string     `json:"category"`
	Basis       string     `json:"basis"`
	List        string     `json:"list"`
	BalanceSat  *int64     `json:"balance_sat"` // null: not known
	TxCount     int64      `json:"tx_count"`
	LastAt      *time.Time `json:"last_activity_at"`
	AddedAt     time.Time  `json:"added_at"`
	RetiredAt   *time.Time `json:"retired_at"`
	HistoryRead bool       `json:"history_known"`
}

// Watched lists the watched addresses; retired ones too when asked.
func (s *Store) Watched(ctx context.Context, retired bool) ([]WatchedRow, error) {
	list, err := rows[WatchedRow](ctx, s.pool, `
		SELECT a.address, a.label, a.entity, a.category, a.basis, a.list, b.balance_sat, b.tx_count,
		       b.last_activity_at AS last_at, a.added_at, a.retired_at, b.history_known AS history_read
		FROM report.addresses a
		JOIN report.balances b USING (address)
		WHERE a.retired_at IS NULL OR $1
		ORDER BY a.added_at, a.address`, retired)
	if err != nil {
		return nil, fmt.Errorf("list watched addresses: %w", err)
	}
	return list, nil
}

// PaymentRow is a transaction of an address as report.transactions gives it.
type PaymentRow struct {
	Address       string     `json:"address"`
	TxID          string     `db:"txid" json:"txid"`
	Direction     string     `json:"direction"`
	AmountSat     *int64     `json:"amount_sat"` // null: not known
	FeeSat        *int64     `json:"fee_sat"`
	State         string     `json:"state"`
	Proof         string     `json:"proof"`
	Confirmations int32      `json:"confirmations"`
	BlockHeight   *int32     `json:"block_height"`
	BlockTime     *time.Time `json:"block_time"`
	FirstSeenAt   *time.Time `json:"first_seen_at"`
	FirstSeenBy   *string    `json:"first_seen_by"`
	Historic      bool       `json:"historic"`
}

// History lists the transactions of an address, newest first.
func (s *Store) History(ctx context.Context, address string) ([]PaymentRow, error) {
	list, err := rows[PaymentRow](ctx, s.pool, `
		SELECT address, txid, direction, amount_sat, fee_sat, state, proof, confirmations::integer AS confirmations,
		       block_height, block_time, first_seen_at, first_seen_by, historic
		FROM report.transactions
		WHERE address = $1
		ORDER BY block_height DESC NULLS FIRST, first_seen_at DESC, txid`, address)
	if err != nil {
		return nil, fmt.Errorf("list the transactions of %s: %w", address, err)
	}
	return list, nil
}

// AlertRow is an alert as report.alerts gives it.
type AlertRow struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Severity  string    `json:"severity"`
	Address   *string   `json:"address"`
	TxID      *string   `db:"txid" json:"txid"`
	AmountSat *int64    `json:"amount_sat"`
	Proof     *string   `json:"proof"`
	OpenedAt  time.Time `json:"opened_at"`
	State     string    `json:"state"`
	Quiet     bool      `json:"quiet"`
	Summary   string    `json:"summary"`
}

// Chosen says which alerts are meant; what is empty chooses all.
type Chosen struct {
	Quiet    bool // also those for the daily report only
	States   []string
	Address  string
	Type     string
	Severity alerts.Severity // the mildest
	Since    time.Time
	Most     int
}

// Alerts lists alerts, newest first.
func (s *Store) Alerts(ctx context.Context, c Chosen) ([]AlertRow, error) {
	list, err := rows[AlertRow](ctx, s.pool, `
		SELECT r.id, r.type, r.severity, r.address, r.txid, r.amount_sat, r.proof, r.opened_at, r.state, r.quiet, r.summary
		FROM report.alerts r
		WHERE (NOT r.quiet OR $1)
		  AND (coalesce(cardinality($2::text[]), 0) = 0 OR r.state = ANY ($2))
		  AND ($3 = '' OR r.address = $3)
		  AND ($4 = '' OR r.type = $4)
		  AND r.severity = ANY ($5)
		  AND r.opened_at >= $6
		ORDER BY r.seq DESC
		LIMIT $7`, c.Quiet, c.States, c.Address, c.Type, severities(c.Severity), c.Since, c.Most)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	return list, nil
}

// severities names those from one upwards.
func severities(from alerts.Severity) (names []string) {
	for s := from; s <= alerts.Severe; s++ {
		names = append(names, s.String())
	}
	return names
}

// DeliveryRow is a delivery as report.deliveries gives it.
type DeliveryRow struct {
	Channel     string     `json:"channel"`
	State       string     `json:"state"`
	Attempts    int32      `json:"attempts"`
	LastError   *string    `json:"last_error"`
	NextAt      time.Time  `json:"next_at"`
	DeliveredAt *time.Time `json:"delivered_at"`
	Summed      bool       `json:"summed"`     // it goes into a message that sums several up
	CarriedBy   *string    `json:"carried_by"` // the id of that message; null: of none, or it is not made yet
}

// Alert gives an alert's body as it is sent, and its deliveries. ErrNoAlert
// where there is none with that id.
func (s *Store) Alert(ctx context.Context, id alerts.ID) ([]byte, []DeliveryRow, error) {
	var body []byte
	err := s.pool.QueryRow(ctx, `SELECT body FROM btcwatch.alert WHERE id = $1`, id[:]).Scan(&body)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil, fmt.Errorf("%w: %s", ErrNoAlert, id)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the alert %s: %w", id, err)
	}
	list, err := rows[DeliveryRow](ctx, s.pool, `
		SELECT channel, state, attempts, last_error, next_at, delivered_at, summed, carried_by
		FROM report.deliveries
		WHERE alert_id = $1
		ORDER BY channel`, id.String())
	if err != nil {
		return nil, nil, fmt.Errorf("read the deliveries of %s: %w", id, err)
	}
	return body, list, nil
}
