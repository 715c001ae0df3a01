package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// longAgo is how much longer than the time of its rule a payment is remembered:
// within that, what is told of it again does not count again.
const longAgo = 60 * 24 * time.Hour

// countOverTime counts a payment for the rules over time of which the conditions
// hold of it, and tells where it completes a window.
func (c *commit) countOverTime(ctx context.Context, p alerts.Payment, script, tx int64) error {
	for _, r := range p.Rules.OverTime(p) {
		told, err := c.countPayment(ctx, r, p, script, tx)
		if err != nil {
			return fmt.Errorf("count %s for the rule %s: %w", p.TxID, r.Name, err)
		}
		if told {
			continue
		}
		if err := c.tellWindow(ctx, r, p, script); err != nil {
			return fmt.Errorf("add up for the rule %s: %w", r.Name, err)
		}
	}
	return nil
}

// countPayment notes that a payment counts for a rule, and says whether it was
// told in a window already. Its time is that of the first word about it.
func (c *commit) countPayment(ctx context.Context, r alerts.Rule, p alerts.Payment, script, tx int64) (told bool, err error) {
	err = c.tx.QueryRow(ctx, `
		INSERT INTO btcwatch.rule_payment AS q (script_id, rule, tx_id, at, amount, proof)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (script_id, rule, tx_id) DO UPDATE SET amount = coalesce(EXCLUDED.amount, q.amount), proof = EXCLUDED.proof
		RETURNING window_id IS NOT NULL`, script, r.Name, tx, p.OccurredAt, p.AmountSat, string(p.Proof)).Scan(&told)
	return told, err
}

// span is the times between which the payments of a window lie.
type span struct{ from, to time.Time }

// tellWindow tells the first window that holds a payment and comes to what its
// rule names, of payments that stand and were told in none.
func (c *commit) tellWindow(ctx context.Context, r alerts.Rule, p alerts.Payment, script int64) error {
	s, err := c.reached(ctx, r, p.OccurredAt, script)
	if err != nil || s == nil {
		return err
	}
	all := alerts.Accumulated{
		Network: p.Network, Address: p.Address, Label: p.Label, Entity: p.Entity, Listings: p.Listings, Rule: r, Proof: alerts.Proven, At: c.at,
	}
	txs, err := c.inWindow(ctx, r, *s, script, &all)
	if err != nil {
		return err
	}
	a := all.Alert(c.store.key)
	if err := c.alert(ctx, a, subject{script: &script, amount: &all.Window.SumSat, proof: string(all.Proof)}); err != nil {
		return err
	}
	_, err = c.tx.Exec(ctx, `
		WITH told AS (
		    INSERT INTO btcwatch.rule_window (alert_id, script_id, rule, from_at, to_at, count, unknown, sum, recorded_at)
		    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		    RETURNING id
		), old AS (
		    DELETE FROM btcwatch.rule_payment
		    WHERE script_id = $2
		      AND rule = $3
		      AND at < $11
		)
		UPDATE btcwatch.rule_payment q
		SET window_id = told.id
		FROM told
		WHERE q.script_id = $2
		  AND q.rule = $3
		  AND q.tx_id = ANY ($10)`,
		a.ID[:], script, r.Name, all.Window.From, all.Window.To, all.Window.Count, all.Window.Unknown, all.Window.SumSat, c.at, txs, p.OccurredAt.Add(-r.Over-longAgo))
	if err == nil {
		c.note("window of %s: %d payments, %d sat", r.Name, all.Window.Count, all.Window.SumSat)
	}
	return err
}

// reached finds the first time, from a payment's own on, at which what came within
// the rule's time comes to what it names; nil where there is none.
func (c *commit) reached(ctx context.Context, r alerts.Rule, at time.Time, script int64) (*span, error) {
	var s span
	err := c.tx.QueryRow(ctx, `
		SELECT x.from_at, x.at
		FROM (
		    SELECT q.at, min(q.at) OVER w AS from_at, count(*) OVER w AS count, coalesce(sum(q.amount) OVER w, 0) AS sum
		    FROM btcwatch.rule_payment q
		    JOIN btcwatch.tx_now n ON n.tx_id = q.tx_id AND n.state IN ('unconfirmed', 'confirmed')
		    WHERE q.script_id = $1
		      AND q.rule = $2
		      AND q.window_id IS NULL
		      AND q.at BETWEEN $3::timestamptz - $4::interval AND $3::timestamptz + $4::interval
		    WINDOW w AS (ORDER BY q.at RANGE BETWEEN $4::interval PRECEDING AND CURRENT ROW)
		) x
		WHERE x.at >= $3
		  AND x.count >= $5
		  AND x.sum >= $6
		ORDER BY x.at
		LIMIT 1`, script, r.Name, at, r.Over, r.Count, amountOr0(r.SumSat)).Scan(&s.from, &s.to)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &s, err
}

func amountOr0(amount *int64) int64 {
	if amount == nil {
		return 0
	}
	return *amount
}

// inWindow adds the payments of a window up, and gives their transactions.
func (c *commit) inWindow(ctx context.Context, r alerts.Rule, s span, script int64, all *alerts.Accumulated) (txs []int64, err error) {
	found, err := c.tx.Query(ctx, `
		SELECT q.tx_id, t.txid, q.at, q.amount, q.proof
		FROM btcwatch.rule_payment q
		JOIN btcwatch.tx t ON t.id = q.tx_id
		JOIN btcwatch.tx_now n ON n.tx_id = q.tx_id AND n.state IN ('unconfirmed', 'confirmed')
		WHERE q.script_id = $1
		  AND q.rule = $2
		  AND q.window_id IS NULL
		  AND q.at BETWEEN $3 AND $4
		ORDER BY q.at, q.tx_id`, script, r.Name, s.from, s.to)
	if err != nil {
		return nil, err
	}
	w := &all.Window
	w.Rule, w.From, w.To = r.Name, s.from.UTC(), s.to.UTC()
	var id int64
	var txid []byte
	var at time.Time
	var amount *int64
	var proof string
	_, err = pgx.ForEachRow(found, []any{&id, &txid, &at, &amount, &proof}, func() error {
		txs = append(txs, id)
		w.Count++
		if amount == nil {
			w.Unknown++
		} else {
			w.SumSat += *amount
		}
		if len(w.TxIDs) < alerts.MostWindowIDs {
			w.TxIDs = append(w.TxIDs, chainhash.Hash(txid).String())
		} else {
			w.More++
		}
		all.Proof = alerts.Weaker(all.Proof, alerts.Proof(proof))
		return nil
	})
	return txs, err
}
