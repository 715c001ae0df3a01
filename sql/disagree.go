package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// Kinds of disagreements.
const (
	DisagreeTransaction = "transaction" // a confirmed payment that one shows and the other does not
	DisagreeMempool     = "mempool"     // the same of an unconfirmed one
	DisagreeAmount      = "amount"      // an output that they state differently
	DisagreeCounters    = "counters"    // how many payments there are at an address
	DisagreeBlock       = "block"       // another block at the same height
)

// Disagreement is that an explorer says something else than another one, or than
// the chain followed, of one subject. What they say is in our own words.
type Disagreement struct {
	ID              int64
	Kind, Subject   string
	Explorer, Other string // Other empty: the chain followed
	Script, Tx      *int64 // rows; nil: none in particular
	Said, OtherSaid string
	Since           time.Time // when it was first noticed
}

// How many disagreements of the same two are kept on a UTC day, and how many of
// those are sent: who disagrees about a thousand payments is not told of a
// thousand times.
const (
	mostKept = 20
	mostTold = 5
)

// Disagree records a disagreement with its alert, unless it is open already. It
// is false where there were too many that day: it is only counted, so that the
// caller does not come again with it.
func (w *Writer) Disagree(ctx context.Context, d Disagreement) (kept bool, err error) {
	err = w.commit(ctx, "disagreement", func(c *commit) error {
		kept, err = c.disagree(ctx, d)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("record that %s disagrees: %w", d.Explorer, err)
	}
	return kept, nil
}

func (c *commit) disagree(ctx context.Context, d Disagreement) (kept bool, err error) {
	source, err := c.explorer(ctx, d.Explorer)
	if err != nil {
		return false, err
	}
	var other *int32
	if d.Other != "" {
		id, err := c.explorer(ctx, d.Other)
		if err != nil {
			return false, err
		}
		other = &id
	}
	var open, lately bool
	var today, told int
	err = c.tx.QueryRow(ctx, `
		SELECT coalesce(bool_or(same AND open), false), coalesce(bool_or(same AND told), false),
		       count(*) FILTER (WHERE today), count(*) FILTER (WHERE today AND told)
		FROM (
		    SELECT d.kind = $3 AND d.subject = $4 AS same, d.told,
		           NOT EXISTS (SELECT FROM btcwatch.disagreement_end e WHERE e.disagreement_id = d.id) AS open,
		           (d.at AT TIME ZONE 'UTC')::date = ($5::timestamptz AT TIME ZONE 'UTC')::date AS today
		    FROM btcwatch.disagreement d
		    WHERE d.explorer_id = $1
		      AND d.other_id IS NOT DISTINCT FROM $2
		      AND (d.at > $5::timestamptz - interval '24 hours' OR d.kind = $3 AND d.subject = $4)
		) x
		`, source, other, d.Kind, d.Subject, c.at).Scan(&open, &lately, &today, &told)
	if err != nil || open {
		return true, err
	}
	if today >= mostKept {
		_, err := c.tx.Exec(ctx, `
			INSERT INTO btcwatch.disagreement_more AS m (explorer_id, other_id, day, count)
			VALUES ($1, coalesce($2, 0), ($3::timestamptz AT TIME ZONE 'UTC')::date, 1)
			ON CONFLICT (explorer_id, other_id, day) DO UPDATE SET count = m.count + 1`, source, other, c.at)
		return false, err
	}
	tell := !lately && told < mostTold
	err = c.tx.QueryRow(ctx, `
		INSERT INTO btcwatch.disagreement (kind, subject, explorer_id, other_id, script_id, tx_id, said, other_said, told, since, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		RETURNING id`, d.Kind, d.Subject, source, other, d.Script, d.Tx, d.Said, d.OtherSaid, tell, d.Since.UTC(), c.at).Scan(&d.ID)
	if err != nil {
		return false, err
	}
	c.note("disagreement %d %s %s", d.ID, d.Kind, d.Subject)
	return true, c.tellDisagreement(ctx, d, tell, told+1 == mostTold)
}

func (c *commit) tellDisagreement(ctx context.Context, d Disagreement, tell, last bool) error {
	told := alerts.Disagreement{
		Network: c.network(), Kind: d.Kind, Explorer: d.Explorer, Other: d.Other, Said: d.Said, OtherSaid: d.OtherSaid,
		Episode: d.ID, Since: d.Since, At: c.at, Told: tell, Last: last,
	}
	if d.Script != nil {
		if script := c.set.scripts[*d.Script]; script != nil {
			told.Address = script.address.Text
			if n := len(script.listings); n > 0 {
				told.Label = script.listings[n-1].Label
			}
		}
	}
	if d.Tx != nil {
		err := c.tx.QueryRow(ctx, `
			SELECT btcwatch.display(t.txid), coalesce(n.proof, 'reported')
			FROM btcwatch.tx t
			LEFT JOIN btcwatch.tx_now n ON n.tx_id = t.id
			WHERE t.id = $1`, *d.Tx).Scan(&told.TxID, &told.Proof)
		if err != nil {
			return fmt.Errorf("read what is disagreed about: %w", err)
		}
	}
	return c.alert(ctx, told.Alert(c.store.key), subject{script: d.Script, tx: d.Tx, proof: string(told.Proof)})
}

// OpenDisagreements gives those that have not ended.
func (s *Store) OpenDisagreements(ctx context.Context) ([]Disagreement, error) {
	open, err := rows[Disagreement](ctx, s.pool, `
		SELECT d.id, d.kind, d.subject, e.name AS explorer, coalesce(o.name, '') AS other, d.script_id AS script, d.tx_id AS tx, d.said, d.other_said, d.since
		FROM btcwatch.disagreement_open d
		JOIN btcwatch.explorer e ON e.id = d.explorer_id
		LEFT JOIN btcwatch.explorer o ON o.id = d.other_id
		ORDER BY d.id`)
	if err != nil {
		return nil, fmt.Errorf("read open disagreements: %w", err)
	}
	return open, nil
}

// AgreeAgain records that a disagreement is over. how is "agreed", "shown" or
// "moot"; wrong, where not empty, is the explorer that is shown to have been
// wrong. Nobody is told but the daily report.
func (w *Writer) AgreeAgain(ctx context.Context, id int64, how, wrong string) error {
	err := w.commit(ctx, "disagreement over", func(c *commit) error { return c.agreeAgain(ctx, id, how, wrong) })
	if err != nil {
		return fmt.Errorf("record the end of disagreement %d: %w", id, err)
	}
	return nil
}

func (c *commit) agreeAgain(ctx context.Context, id int64, how, wrong string) error {
	done, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.disagreement_end (disagreement_id, how, wrong_id, at)
		VALUES ($1, $2, (SELECT e.id FROM btcwatch.explorer e WHERE e.name = $3), $4)
		ON CONFLICT DO NOTHING`, id, how, wrong, c.at)
	if err == nil && done.RowsAffected() > 0 {
		c.note("disagreement %d over %s %s", id, how, wrong)
	}
	return err
}

// misfit is an output of which an explorer says something else than others did
// before.
type misfit struct {
	at     wire.OutPoint
	own    word
	others []word
}

// disagreeOnAmounts records that outputs were stated differently. Where one
// belongs to a watched script, it is about the payment that spends it.
func (c *commit) disagreeOnAmounts(ctx context.Context, facts []*fact, differ []misfit) error {
	for _, m := range differ {
		name, err := c.nameOf(ctx, m.own.explorer)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(m.others, func(w word) bool { return w.script != m.own.script || w.amount != m.own.amount })
		other := m.others[i]
		d := Disagreement{Kind: DisagreeAmount, Subject: m.at.String(), Explorer: name, Other: other.name, Since: c.at}
		for _, w := range []word{other, m.own} {
			if c.set.scripts[w.script] != nil {
				script := w.script
				d.Script, d.Tx = &script, spender(facts, m.at)
			}
		}
		if d.Said, err = c.statement(ctx, m.at, m.own); err != nil {
			return err
		}
		if d.OtherSaid, err = c.statement(ctx, m.at, other); err != nil {
			return err
		}
		if _, err := c.disagree(ctx, d); err != nil {
			return fmt.Errorf("record what %s states otherwise: %w", name, err)
		}
	}
	return nil
}

// spender is the row of the transaction that spends an output.
func spender(facts []*fact, at wire.OutPoint) *int64 {
	for _, f := range facts {
		for _, in := range f.tx.Msg.TxIn {
			if in.PreviousOutPoint == at && f.id != 0 {
				return &f.id
			}
		}
	}
	return nil
}

func (c *commit) statement(ctx context.Context, at wire.OutPoint, w word) (string, error) {
	var address *string
	err := c.tx.QueryRow(ctx, `SELECT address FROM btcwatch.script WHERE id = $1`, w.script).Scan(&address)
	if err != nil {
		return "", fmt.Errorf("read whose output is stated: %w", err)
	}
	whose := "a script without an address"
	if address != nil {
		whose = *address
	}
	return fmt.Sprintf("says that the output %s holds %d satoshis of %s", at, w.amount, whose), nil
}

func (c *commit) nameOf(ctx context.Context, explorer int32) (name string, err error) {
	err = c.tx.QueryRow(ctx, `SELECT name FROM btcwatch.explorer WHERE id = $1`, explorer).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return name, err
}
