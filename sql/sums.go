package sql

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// stateRows are the columns of states.
type stateRows struct {
	ids            []int64
	turns, sources []int32
	states, proofs []string
	heights        []*int32
	blocks         [][]byte
	times          []*time.Time
	fees           []*int64
	lives          []bool
}

func (r *stateRows) add(f *fact, live bool) {
	r.ids, r.turns, r.sources = append(r.ids, f.id), append(r.turns, f.now.turn), append(r.sources, f.source)
	r.states, r.proofs = append(r.states, string(f.now.state)), append(r.proofs, string(f.now.proof))
	r.fees, r.lives = append(r.fees, f.whole.Fee()), append(r.lives, live)
	if f.now.state != alerts.Confirmed {
		r.heights, r.blocks, r.times = append(r.heights, nil), append(r.blocks, nil), append(r.times, nil)
		return
	}
	now := f.now
	r.heights, r.blocks, r.times = append(r.heights, &now.height), append(r.blocks, now.block[:]), append(r.times, &now.time)
}

// putTouches notes which watched scripts each transaction concerns, and gives
// those that are new.
func (c *commit) putTouches(ctx context.Context, facts []*fact) (map[touch]bool, error) {
	var scripts, ids []int64
	var historic []bool
	for _, f := range facts {
		for _, e := range f.effects {
			scripts, ids = append(scripts, e.Script), append(ids, f.id)
			historic = append(historic, c.historic(e.Script, f.now))
		}
	}
	found, err := c.tx.Query(ctx, `
		INSERT INTO btcwatch.touch (script_id, tx_id, historic, recorded_at)
		SELECT u.script_id, u.tx_id, u.historic, $4
		FROM unnest($1::bigint[], $2::bigint[], $3::boolean[]) AS u (script_id, tx_id, historic)`+unlessKnown(facts)+`
		RETURNING script_id, tx_id`, scripts, ids, historic, c.at)
	if err != nil {
		return nil, fmt.Errorf("record which addresses are touched: %w", err)
	}
	news := map[touch]bool{}
	var t touch
	_, err = pgx.ForEachRow(found, []any{&t.script, &t.tx}, func() error {
		news[t] = true
		return nil
	})
	return news, err
}

// touch is a watched script in a transaction, by their rows.
type touch struct{ script, tx int64 }

// putMovements stores the credits and debits where they belong: confirmed ones
// for ever at their height, unconfirmed ones among the pending.
func (c *commit) putMovements(ctx context.Context, facts []*fact) error {
	var confirmed, pending movementRows
	var settled []int64
	for _, f := range facts {
		rows := &pending
		if f.now.state != alerts.Unconfirmed {
			settled = append(settled, f.id)
		}
		switch f.now.state {
		case alerts.Confirmed:
			rows = &confirmed
		case alerts.Replaced, alerts.Dropped:
			continue
		}
		for _, e := range f.effects {
			for _, m := range e.Credits {
				rows.add(e.Script, f, 0, m, false)
			}
			for _, m := range e.Debits {
				rows.add(e.Script, f, 1, m, m.Stated || m.Unknown)
			}
		}
	}
	for i, id := range confirmed.ids {
		c.note("movement %d %d %d %d %s", confirmed.scripts[i], id, confirmed.directions[i], confirmed.ns[i], satoshis(confirmed.amounts[i]))
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		DELETE FROM btcwatch.pending
		WHERE tx_id = ANY($1)`, settled)
	batch.Queue(`
		INSERT INTO btcwatch.movement (script_id, height, tx_id, direction, n, amount, stated)
		SELECT *
		FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::smallint[], $5::integer[], $6::bigint[], $7::boolean[])`+unlessKnown(facts),
		confirmed.scripts, confirmed.heights, confirmed.ids, confirmed.directions, confirmed.ns, confirmed.amounts, confirmed.stated)
	if unlessKnown(facts) != "" {
		batch.Queue(`
			INSERT INTO btcwatch.debit_amount (script_id, tx_id, n, amount, proven, at)
			SELECT DISTINCT m.script_id, m.tx_id, m.n, u.amount, NOT u.stated, $5::timestamptz
			FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $6::smallint[], $7::boolean[])
			     AS u (script_id, tx_id, n, amount, direction, stated)
			JOIN btcwatch.movement m USING (script_id, tx_id, n, direction)
			WHERE m.direction = 1
			  AND m.stated
			  AND u.amount IS NOT NULL
			  AND (m.amount IS NULL OR NOT u.stated AND m.amount <> u.amount)
			ON CONFLICT DO NOTHING`,
			confirmed.scripts, confirmed.ids, confirmed.ns, confirmed.amounts, c.at, confirmed.directions, confirmed.stated)
	}
	batch.Queue(`
		INSERT INTO btcwatch.pending (script_id, tx_id, direction, n, amount, stated)
		SELECT *
		FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::integer[], $5::bigint[], $6::boolean[])`+unlessBetter(facts),
		pending.scripts, pending.ids, pending.directions, pending.ns, pending.amounts, pending.stated)
	if err := c.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record credits and debits: %w", err)
	}
	return nil
}

// unlessBetter is unlessKnown for pending movements: what is known of a debit
// takes the place of what was stated of it.
func unlessBetter(facts []*fact) string {
	if unlessKnown(facts) == "" {
		return ""
	}
	return `
		ON CONFLICT (tx_id, script_id, direction, n) DO UPDATE
		SET amount = excluded.amount, stated = excluded.stated
		WHERE pending.stated AND NOT excluded.stated OR pending.amount IS NULL AND excluded.amount IS NOT NULL`
}

// movementRows are the columns of movements.
type movementRows struct {
	scripts, ids []int64
	amounts      []*int64 // nil: not known
	heights, ns  []int32
	directions   []int16
	stated       []bool
}

func satoshis(amount *int64) string {
	if amount == nil {
		return "unknown"
	}
	return strconv.FormatInt(*amount, 10)
}

func (r *movementRows) add(script int64, f *fact, direction int16, m chain.Movement, stated bool) {
	amount := &m.Amount
	if m.Unknown {
		amount = nil
	}
	r.scripts, r.ids, r.amounts = append(r.scripts, script), append(r.ids, f.id), append(r.amounts, amount)
	r.heights, r.ns = append(r.heights, f.now.height), append(r.ns, int32(m.Index))
	r.directions, r.stated = append(r.directions, direction), append(r.stated, stated)
}

// total is what some transactions add to one script.
type total struct {
	received, sent, pendingReceived, pendingSent, count, unknown int64
	first, last                                                  *time.Time
}

// sums adds up the live movements of transactions, by script.
func (c *commit) sums(ctx context.Context, ids []int64) (map[int64]total, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT x.script_id,
		       coalesce(sum(x.amount) FILTER (WHERE x.confirmed AND x.direction = 0), 0)::bigint,
		       coalesce(sum(x.amount) FILTER (WHERE x.confirmed AND x.direction = 1), 0)::bigint,
		       coalesce(sum(x.amount) FILTER (WHERE NOT x.confirmed AND x.direction = 0), 0)::bigint,
		       coalesce(sum(x.amount) FILTER (WHERE NOT x.confirmed AND x.direction = 1), 0)::bigint,
		       count(DISTINCT x.tx_id) FILTER (WHERE x.confirmed),
		       count(*) FILTER (WHERE x.amount IS NULL),
		       min(x.at),
		       max(x.at)
		FROM (
		    SELECT m.script_id, m.tx_id, m.direction, m.amount, true AS confirmed, n.block_time AS at
		    FROM btcwatch.moved m
		    JOIN btcwatch.tx_now n ON n.tx_id = m.tx_id AND n.state = 'confirmed' AND n.height = m.height
		    WHERE m.tx_id = ANY($1)
		    UNION ALL
		    SELECT p.script_id, p.tx_id, p.direction, p.amount, false, n.first_seen_at
		    FROM btcwatch.pending p
		    JOIN btcwatch.tx_now n ON n.tx_id = p.tx_id
		    WHERE p.tx_id = ANY($1)
		) x
		GROUP BY x.script_id`, ids)
	if err != nil {
		return nil, fmt.Errorf("add up movements: %w", err)
	}
	all := map[int64]total{}
	var script int64
	var t total
	_, err = pgx.ForEachRow(found, []any{&script, &t.received, &t.sent, &t.pendingReceived, &t.pendingSent, &t.count, &t.unknown, &t.first, &t.last}, func() error {
		all[script] = t
		t = total{}
		return nil
	})
	return all, err
}

// rebalance brings the balances up to what changed since before was read.
func (c *commit) rebalance(ctx context.Context, ids []int64, before map[int64]total) error {
	after, err := c.sums(ctx, ids)
	if err != nil {
		return err
	}
	for script := range before {
		if _, ok := after[script]; !ok {
			after[script] = total{}
		}
	}
	batch := &pgx.Batch{}
	for script, a := range after {
		b := before[script]
		batch.Queue(`
			INSERT INTO btcwatch.balance AS o (script_id, received, sent, pending_received, pending_sent, tx_count, unknown_debits, first_at, last_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (script_id) DO UPDATE
			SET received = o.received + excluded.received,
			    sent = o.sent + excluded.sent,
			    pending_received = o.pending_received + excluded.pending_received,
			    pending_sent = o.pending_sent + excluded.pending_sent,
			    tx_count = o.tx_count + excluded.tx_count,
			    unknown_debits = o.unknown_debits + excluded.unknown_debits,
			    first_at = least(o.first_at, excluded.first_at),
			    last_at = greatest(o.last_at, excluded.last_at)`,
			script, a.received-b.received, a.sent-b.sent, a.pendingReceived-b.pendingReceived, a.pendingSent-b.pendingSent,
			a.count-b.count, a.unknown-b.unknown, a.first, a.last)
	}
	if err := c.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("add up balances: %w", err)
	}
	return nil
}

// retime takes first and last activity anew for the scripts of facts that left
// their place: rebalance only widens them.
func (c *commit) retime(ctx context.Context, facts []*fact) error {
	var scripts []int64
	for _, f := range facts {
		for _, e := range f.effects {
			scripts = append(scripts, e.Script)
		}
	}
	_, err := c.tx.Exec(ctx, `
		UPDATE btcwatch.balance b
		SET first_at = x.first_at, last_at = x.last_at
		FROM (
		    SELECT s.script_id, min(coalesce(n.block_time, n.first_seen_at)) AS first_at, max(coalesce(n.block_time, n.first_seen_at)) AS last_at
		    FROM unnest($1::bigint[]) AS s (script_id)
		    LEFT JOIN btcwatch.touch u ON u.script_id = s.script_id AND NOT btcwatch.refuted(u.script_id, u.tx_id)
		    LEFT JOIN btcwatch.tx_now n ON n.tx_id = u.tx_id AND n.state IN ('unconfirmed', 'confirmed')
		    GROUP BY s.script_id
		) x
		WHERE b.script_id = x.script_id`, scripts)
	if err != nil {
		return fmt.Errorf("find the last activity: %w", err)
	}
	return nil
}
