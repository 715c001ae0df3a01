package sql

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/watchlist"
)

// tellFacts makes the alerts of what changed: the first word about a payment,
// and the first depth it reached. Historic payments are told in sum with the
// change of the list that brought them; a change of grade alone is not told.
func (c *commit) tellFacts(ctx context.Context, facts []*fact, news map[touch]bool) error {
	for _, f := range facts {
		// What was confirmed above the covered chain may have been passed over
		// in silence (see doubted) until now, when its block is covered.
		moved := f.now.state != f.was.state || f.now.block != f.was.block ||
			f.now.state == alerts.Confirmed && f.now.height == c.position.Height
		for _, e := range c.listedFirst(f.effects) {
			first := !f.was.known || news[touch{e.Script, f.id}]
			if !moved && !first {
				continue
			}
			if c.historic(e.Script, f.now) || len(c.set.scripts[e.Script].listings) == 0 {
				continue
			}
			if silent, err := c.silent(ctx, f.id, f.effects, e); err != nil {
				return err
			} else if silent {
				continue
			}
			if err := c.tellPayment(ctx, f, e, first); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellPayment tells of a payment that is new or has moved; first says that
// nothing was told of it before.
func (c *commit) tellPayment(ctx context.Context, f *fact, e chain.Effect, first bool) error {
	depth := c.depth(f.now)
	reached := slices.DeleteFunc(slices.Clone(c.tell.Confirmations), func(d int32) bool { return d > depth })
	if len(reached) == 0 && f.now.state == alerts.Confirmed && !first {
		return nil // it was told when it was unconfirmed, and comes again at the first depth
	}
	p, err := c.payment(ctx, f.whole, f.id, f.now, e)
	if err != nil {
		return err
	}
	p.Confirmations = depth
	if err := c.countOverTime(ctx, p, e.Script, f.id); err != nil {
		return err
	}
	if p.Ahead && !first {
		if doubted, err := c.doubted(ctx, f); err != nil || doubted {
			return err
		}
	}
	if len(reached) == 0 {
		if f.was.state == alerts.Replaced || f.was.state == alerts.Dropped {
			if p.Corrects, err = c.lastTold(ctx, e.Script, f.id); err != nil {
				return err
			}
		}
		a, ok := p.Seen(c.store.key)
		if p.Root != "" && !a.Quiet && f.was.state != alerts.Dropped {
			// Its thread tells by transaction.replaced what it changes, but as
			// severely as what is replaced was told.
			if a.Quiet, err = c.threadTold(ctx, a); err != nil {
				return err
			}
		}
		return c.tellIf(ctx, ok, a, e.Script, f.id, p)
	}
	for _, d := range reached {
		a, ok := p.Confirmed(c.store.key, d, d == c.tell.Confirmations[0])
		if err := c.tellIf(ctx, ok, a, e.Script, f.id, p); err != nil {
			return err
		}
	}
	return nil
}

// doubted says whether a confirmation that only an explorer states is not the
// first one so stated of its transaction. An explorer can make up one block
// after the other; people hear of the first, and then of what blocks show.
func (c *commit) doubted(ctx context.Context, f *fact) (doubted bool, err error) {
	err = c.tx.QueryRow(ctx, `
		SELECT EXISTS (
		    SELECT FROM btcwatch.tx_event
		    WHERE tx_id = $1
		      AND state = 'confirmed'
		      AND block_hash <> $2
		      AND NOT EXISTS (SELECT FROM btcwatch.block b WHERE b.hash = block_hash))`, f.id, f.now.block[:]).Scan(&doubted)
	if err != nil {
		return false, fmt.Errorf("ask where %s was said to be confirmed: %w", f.tx.ID, err)
	}
	return doubted, nil
}

// depth is how many confirmations the covered chain gives; at least one for
// what an explorer calls confirmed.
func (c *commit) depth(s standing) int32 {
	if s.state != alerts.Confirmed {
		return 0
	}
	return max(1, c.position.Height-s.height+1)
}

func (c *commit) tellIf(ctx context.Context, ok bool, a alerts.Alert, script, tx int64, p alerts.Payment) error {
	if !ok {
		return nil
	}
	return c.alert(ctx, a, subject{script: &script, tx: &tx, amount: p.AmountSat, proof: string(p.Proof)})
}

// payment gathers all that is known about one address in one transaction, of
// which all is there that the record knows of the outputs it spends.
func (c *commit) payment(ctx context.Context, tx *chain.Transaction, id int64, s standing, e chain.Effect) (alerts.Payment, error) {
	script := c.set.scripts[e.Script]
	p := alerts.Payment{
		Network:    chain.NetworkName(c.store.params),
		Address:    script.address.Text,
		Listings:   listingsOf(script.listings),
		TxID:       tx.ID.String(),
		Direction:  direction(e),
		Spends:     len(e.Debits) > 0,
		FeeSat:     tx.Fee(),
		State:      s.state,
		Proof:      s.proof,
		ObservedAt: c.at,
		OccurredAt: c.at,
		Turn:       int(s.turn),
		Depths:     c.tell.Confirmations,
		Rules:      c.tell.Rules,
	}
	if len(script.listings) > 0 {
		newest := script.listings[len(script.listings)-1]
		p.Label, p.Entity = newest.Label, newest.Entity
	}
	if amount := max(e.Net(), -e.Net()); !e.Unknown() {
		p.AmountSat = &amount
	}
	p.Revealed = e.Unknown()
	var err error
	var borneOut []string // who states the same of what it spends
	if e.Stated() {
		if borneOut, err = c.restated(ctx, tx, e); err != nil {
			return p, err
		}
		if p.Proof != alerts.Reported && len(borneOut) > 0 {
			p.Proof = alerts.Corroborated
		} else {
			p.Proof = alerts.Reported
		}
	}
	if p.Proof == alerts.Proven {
		p.RestsOn = c.restsOn + c.alone
	}
	if s.state == alerts.Confirmed {
		height := s.height
		p.BlockHeight, p.BlockHash, p.OccurredAt = &height, s.block.String(), s.time
		p.Ahead = c.position.Set && height > c.position.Height
	}
	seen, err := c.context(ctx, &p, id, e.Script, s)
	if err != nil {
		return p, err
	}
	if err := c.worth(ctx, &p, s, seen); err != nil {
		return p, err
	}
	if p.Proof == alerts.Corroborated && len(borneOut) > 0 {
		p.ReportedBy = borneOut
	} else if e.Stated() {
		by, err := c.statedBy(ctx, tx, e)
		if err != nil {
			return p, err
		}
		if len(by) > 0 {
			p.ReportedBy = by
		}
	}
	var stated map[int][]string
	if len(e.Debits) == 0 && slices.ContainsFunc(tx.Spent, func(out *wire.TxOut) bool { return out != nil }) {
		if stated, err = c.stated(ctx, id, tx.Spent, p.ReportedBy); err != nil {
			return p, err
		}
	}
	p.Counterparties = c.addOwn(c.counterparties(tx, stated, e), tx, e)
	if err := c.addFormer(ctx, p.Counterparties); err != nil {
		return p, err
	}
	if p.Rules.Rests() {
		if p.RestingSince, err = c.restingSince(ctx, e.Script, id); err != nil {
			return p, err
		}
	}
	return p, nil
}

// context adds what the record knows around a payment, in one question, for
// there is one of them for each alert: who said it, the balance after it, since
// when there was activity, when it was found in its block, and its thread.
// It gives when the transaction was first seen; nil where it never was.
func (c *commit) context(ctx context.Context, p *alerts.Payment, tx, script int64, s standing) (seen *time.Time, err error) {
	var root []byte
	var found, covered *time.Time
	err = c.tx.QueryRow(ctx, `
		SELECT ARRAY(
		           SELECT DISTINCT e.name
		           FROM btcwatch.observation o
		           JOIN btcwatch.explorer e ON e.id = o.explorer_id
		           WHERE o.tx_id = $1
		             AND (NOT $4 OR o.block_hash = $3)
		           ORDER BY e.name),
		       CASE WHEN b.unknown_debits = 0 AND EXISTS (SELECT FROM btcwatch.coverage v WHERE v.script_id = $2)
		            THEN b.received - b.sent END,
		       b.first_at,
		       (SELECT t.txid
		        FROM btcwatch.thread_root r
		        JOIN btcwatch.tx t ON t.id = r.root_tx_id
		        WHERE r.script_id = $2 AND r.tx_id = $1),
		       f.at, f.covered_at, n.first_seen_at
		FROM btcwatch.tx_now n
		LEFT JOIN btcwatch.balance b ON b.script_id = $2
		LEFT JOIN LATERAL (
		    SELECT e.at, e.covered_at
		    FROM btcwatch.tx_event e
		    WHERE e.tx_id = $1 AND e.state = 'confirmed' AND e.block_hash = $3
		    ORDER BY e.id
		    LIMIT 1
		) f ON true
		WHERE n.tx_id = $1`, tx, script, s.block[:], s.proof == alerts.Corroborated && s.state == alerts.Confirmed).
		Scan(&p.ReportedBy, &p.BalanceSat, &p.FirstActivityAt, &root, &found, &covered, &seen)
	if err != nil {
		return nil, fmt.Errorf("gather what is known of %s: %w", p.TxID, err)
	}
	if root != nil {
		p.Root = chainhash.Hash(root).String()
	}
	if found != nil {
		p.FoundAt, p.CoveredAt, p.SeenBefore = found.UTC(), timeOrZero(covered), seen != nil && seen.Before(*found)
	}
	return seen, nil
}

// statedBy names the explorers on whose word alone debits of an effect rest;
// none where it cannot be told of each of them whose word it is.
func (c *commit) statedBy(ctx context.Context, tx *chain.Transaction, e chain.Effect) ([]string, error) {
	var txids [][]byte
	var ns, amounts []int64
	for _, d := range e.Debits {
		if d.Stated {
			at := &tx.Msg.TxIn[d.Index].PreviousOutPoint
			txids, ns, amounts = append(txids, at.Hash[:]), append(ns, int64(at.Index)), append(amounts, d.Amount)
		}
	}
	found, err := c.tx.Query(ctx, `
		SELECT e.name
		FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) AS u (txid, n, amount)
		LEFT JOIN btcwatch.stated_output t ON t.txid = u.txid AND t.n = u.n AND t.amount = u.amount AND t.script_id = $4
		LEFT JOIN btcwatch.explorer e ON e.id = t.explorer_id
		ORDER BY e.name`, txids, ns, amounts, e.Script)
	if err != nil {
		return nil, fmt.Errorf("find who stated what %s spends: %w", tx.ID, err)
	}
	names, err := pgx.CollectRows(found, pgx.RowTo[*string])
	if err != nil || slices.Contains(names, nil) {
		return nil, err
	}
	var all []string
	for _, name := range names {
		all = append(all, *name)
	}
	return slices.Compact(all), nil
}

// stated names, by input, the explorers on whose word rests what it spends: of
// the inputs that spend what is not recorded. all are those that told of the
// transaction, any of whom it was where nobody else is known to have said so.
func (c *commit) stated(ctx context.Context, tx int64, spent []*wire.TxOut, all []string) (map[int][]string, error) {
	found, err := c.tx.Query(ctx, `
		SELECT i.n, coalesce(s.script, ''), coalesce(e.name, '')
		FROM btcwatch.tx_input i
		LEFT JOIN btcwatch.stated_output t ON t.txid = i.prev_txid AND t.n = i.prev_n
		LEFT JOIN btcwatch.script s ON s.id = t.script_id
		LEFT JOIN btcwatch.explorer e ON e.id = t.explorer_id
		WHERE i.tx_id = $1
		  AND NOT EXISTS (SELECT FROM btcwatch.tx p WHERE p.txid = i.prev_txid)`, tx)
	if err != nil {
		return nil, fmt.Errorf("find who stated what is spent: %w", err)
	}
	by := map[int][]string{}
	var n int
	var script []byte
	var name string
	_, err = pgx.ForEachRow(found, []any{&n, &script, &name}, func() error {
		by[n] = all
		if out := spent[n]; name != "" && out != nil && string(out.PkScript) == string(script) {
			by[n] = []string{name}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find who stated what is spent: %w", err)
	}
	return by, nil
}

// direction is where the money went, seen from the script.
func direction(e chain.Effect) alerts.Direction {
	switch {
	case len(e.Debits) == 0:
		return alerts.In
	case e.Unknown():
		return alerts.Out
	case len(e.Credits) > 0 && e.Alone:
		return alerts.Within
	case e.Net() >= 0:
		return alerts.In
	}
	return alerts.Out
}

// counterparties are the other side of a payment: the owners of the inputs of
// what came in, the outputs other than change of what went out. What each
// brought in is known; how much of it reached the address is not, so amounts
// are given for what went out only. stated is whose word each input rests on.
func (c *commit) counterparties(tx *chain.Transaction, stated map[int][]string, e chain.Effect) []alerts.Counterparty {
	outputs, own := tx.Spent, c.set.scripts[e.Script].address.Script
	if len(e.Debits) > 0 {
		outputs, stated = tx.Msg.TxOut, nil
	}
	var all []alerts.Counterparty
	place := map[string]int{}
	for n, out := range outputs {
		if out == nil || out.Value == 0 || string(out.PkScript) == string(own) {
			continue
		}
		a, ok := chain.AddressOf(out.PkScript, c.store.params)
		if !ok {
			continue
		}
		i, met := place[a.Text]
		if !met {
			i = len(all)
			place[a.Text] = i
			all = append(all, alerts.Counterparty{Address: a.Text, Listings: c.listedAs(out.PkScript), StatedBy: stated[n]})
		}
		if _, word := stated[n]; !word {
			all[i].StatedBy = nil // one input that is recorded bears it out
		}
		if len(e.Debits) > 0 {
			sum := out.Value
			if all[i].AmountSat != nil {
				sum += *all[i].AmountSat
			}
			all[i].AmountSat = &sum
		}
	}
	return all
}

// listedAs gives the listings of a counterparty that is watched too.
func (c *commit) listedAs(script []byte) []alerts.Listing {
	if id, ok := c.set.match.Number(script); ok {
		return listingsOf(c.set.scripts[id].listings)
	}
	return nil
}

func listingsOf(listings []watchlist.Listing) []alerts.Listing {
	var all []alerts.Listing
	for _, l := range listings {
		all = append(all, alerts.Listing{
			List: l.List, Basis: string(l.Basis), Category: l.Category, Source: l.Source.String(), URL: l.Source.URL,
		})
	}
	return all
}

// subject is what an alert row points to.
type subject struct {
	script, tx, amount *int64
	proof              string
}

// alert stores an alert with its waiting deliveries, unless it exists.
func (c *commit) alert(ctx context.Context, a alerts.Alert, s subject) error {
	var proof *string
	if s.proof != "" {
		proof = &s.proof
	}
	done, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.alert (id, type, severity, about, quiet, thread, script_id, tx_id, amount, proof, opened_at, body, direction, late_seconds)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, convert_from($12, 'UTF8')::json #>> '{data,direction}',
		        (convert_from($12, 'UTF8')::json #>> '{data,late_seconds}')::bigint)
		ON CONFLICT (id) DO NOTHING`,
		a.ID[:], string(a.Type), a.Severity.String(), a.About, a.Quiet, a.Thread, s.script, s.tx, s.amount, proof, a.At, a.Body)
	if err != nil {
		return fmt.Errorf("record the alert %s: %w", a.ID, err)
	}
	if done.RowsAffected() == 0 {
		return nil
	}
	c.note("alert %s", a.ID)
	for _, channel := range c.tell.Channels {
		if !channel.Wants(a) {
			continue
		}
		if err := c.queue(ctx, channel, a, s); err != nil {
			return fmt.Errorf("queue the alert %s for %s: %w", a.ID, channel.Name, err)
		}
	}
	return nil
}

// queue puts an alert on its way to a channel: by itself, or to be summed up.
func (c *commit) queue(ctx context.Context, channel alerts.Settings, a alerts.Alert, s subject) error {
	r, err := c.roadTo(ctx, channel, a, s)
	if err != nil || r.none {
		return err
	}
	state, wait, due := "waiting", time.Duration(0), (*time.Time)(nil)
	if r.why != nil {
		wait, due = r.due.Sub(c.at), &r.due
	}
	if r.folded {
		state = "folded"
	}
	c.told = c.told || !r.folded
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.delivery (alert_id, channel, state, next_at, held_for, due_at)
		VALUES ($1, $2, $3, now() + $4::interval, $5, $6)`, // by the clock of who claims it
		a.ID[:], channel.Name, state, wait, r.why, due)
	return err
}
