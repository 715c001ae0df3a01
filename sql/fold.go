package sql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// burstHour is the time within which messages about one address are counted, and
// after which those that were folded are summed up.
const burstHour = time.Hour

// folds says whether a message goes into a sum: where a channel for people was
// sent as many about the same address within the hour as the burst allows. One
// more severe than all of these is sent by itself. Corrections may be as many
// again, so that what was sent is not left standing; then they are summed up too.
func (c *commit) folds(ctx context.Context, channel alerts.Settings, a alerts.Alert, s subject) (bool, error) {
	if c.tell.Burst == 0 || s.script == nil || !strings.HasPrefix(string(a.Type), "transaction.") {
		return false, nil
	}
	limit := c.tell.Burst
	if a.Type != alerts.TransactionSeen && a.Type != alerts.TransactionConfirmed {
		limit *= 2
	}
	var sent int
	var matched bool // by one as severe
	err := c.tx.QueryRow(ctx, `
		WITH hour AS NOT MATERIALIZED (
		    SELECT a.severity
		    FROM btcwatch.alert a
		    JOIN btcwatch.delivery d ON d.alert_id = a.id AND d.channel = $2 AND d.state <> 'folded'
		    WHERE a.script_id = $1
		      AND NOT a.quiet
		      AND a.opened_at > $3::timestamptz - $4::interval
		      AND a.id <> $5
		      AND a.type LIKE 'transaction.%'
		    ORDER BY a.opened_at -- what was sent by itself comes first: the rest of the hour is not read
		)
		SELECT (SELECT count(*) FROM (SELECT FROM hour LIMIT $6) x),
		       EXISTS (SELECT FROM hour WHERE array_position($7::text[], severity) >= array_position($7::text[], $8))`,
		*s.script, channel.Name, a.At, burstHour, a.ID[:], limit, severitiesAscending(), a.Severity.String()).Scan(&sent, &matched)
	if err != nil {
		return false, fmt.Errorf("count the messages of the hour: %w", err)
	}
	return sent >= limit && matched, nil
}

func severitiesAscending() (names []string) {
	for s := alerts.Info; s <= alerts.Severe; s++ {
		names = append(names, s.String())
	}
	return names
}

// foldedGroup is what waits to be summed up for one channel: of one address
// where there were too many of it, of all addresses otherwise.
type foldedGroup struct {
	Channel string
	Why     string
	Script  *int64
}

// fewHeld is how many messages come by themselves at the end of quiet hours
// rather than as a sum of them, which says less of each.
const fewHeld = 3

// TellSums sends what waited long enough: one message for each address that had
// too many, one for the digest, and one for the quiet hours or the few messages
// themselves. Each is a commit of its own.
func (w *Writer) TellSums(ctx context.Context) error {
	due, err := rows[foldedGroup](ctx, w.store.pool, `
		SELECT d.channel, d.held_for AS why, CASE WHEN d.held_for = 'burst' THEN a.script_id END AS script
		FROM btcwatch.delivery d
		JOIN btcwatch.alert a ON a.id = d.alert_id
		WHERE d.state = 'folded'
		  AND d.carried_by IS NULL
		GROUP BY 1, 2, 3
		HAVING min(d.due_at) <= $1
		ORDER BY min(d.due_at)`, w.store.now().UTC())
	if err != nil {
		return fmt.Errorf("find messages to sum up: %w", err)
	}
	for _, g := range due {
		if !slices.ContainsFunc(w.tell.Channels, func(s alerts.Settings) bool { return s.Name == g.Channel }) {
			continue // it is gone, and what waits for it is given up
		}
		if err := w.commit(ctx, "messages summed", func(c *commit) error { return c.tellHeld(ctx, g) }); err != nil {
			return fmt.Errorf("sum up the messages for %s: %w", g.Channel, err)
		}
	}
	return nil
}

func (c *commit) tellHeld(ctx context.Context, g foldedGroup) error {
	if g.Why == "quiet" {
		released, err := c.release(ctx, g)
		if err != nil || released {
			return err
		}
	}
	return c.tellSum(ctx, g)
}

// release sends the messages that waited by themselves, where they are few.
func (c *commit) release(ctx context.Context, g foldedGroup) (bool, error) {
	done, err := c.tx.Exec(ctx, `
		WITH held AS (
		    SELECT d.alert_id, d.channel`+foldedFor+`
		)
		UPDATE btcwatch.delivery d
		SET state = 'waiting', next_at = now()
		FROM held h
		WHERE d.alert_id = h.alert_id
		  AND d.channel = h.channel
		  AND (SELECT count(*) FROM held) <= $5`, append(g.args(c.at), fewHeld)...)
	if err != nil {
		return false, fmt.Errorf("send what waited: %w", err)
	}
	if done.RowsAffected() == 0 {
		return false, nil
	}
	c.told = true
	c.note("%d messages for %s after quiet hours", done.RowsAffected(), g.Channel)
	return true, nil
}

func (c *commit) tellSum(ctx context.Context, g foldedGroup) error {
	s := alerts.Summary{Network: c.network(), Burst: c.tell.Burst, At: c.at, Summed: alerts.Summed{Channel: g.Channel, Reason: g.Why}}
	c.nameSummed(g.Script, &s)
	for _, read := range []func(context.Context, foldedGroup, *alerts.Summary) error{c.sumTypes, c.sumAmounts, c.sumAddresses, c.sumIDs} {
		if err := read(ctx, g, &s); err != nil {
			return err
		}
	}
	if s.Summed.Count == 0 {
		return nil // another has summed it up, or the channel is gone
	}
	a := s.Alert(c.store.key)
	if err := c.alert(ctx, a, subject{script: g.Script}); err != nil {
		return err
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.delivery (alert_id, channel, next_at)
		VALUES ($1, $2, now())`, a.ID[:], g.Channel)
	if err != nil {
		return err
	}
	_, err = c.tx.Exec(ctx, `
		WITH held AS (
		    SELECT d.alert_id, d.channel`+foldedFor+`
		)
		UPDATE btcwatch.delivery d
		SET carried_by = $5
		FROM held h
		WHERE d.alert_id = h.alert_id
		  AND d.channel = h.channel`, append(g.args(c.at), a.ID[:])...)
	c.told = true
	c.note("sum of %d messages for %s", s.Summed.Count, g.Channel)
	return err
}

// nameSummed says whom a sum of one address is about.
func (c *commit) nameSummed(id *int64, s *alerts.Summary) {
	if id == nil || c.set.scripts[*id] == nil {
		return
	}
	script := c.set.scripts[*id]
	s.Address, s.Listings = script.address.Text, listingsOf(script.listings)
	if n := len(script.listings); n > 0 {
		s.Label, s.Entity = script.listings[n-1].Label, script.listings[n-1].Entity
	}
}

// foldedFor are the alerts of a group, for the arguments that args gives: of an
// address that had too many all that wait, otherwise those that are due.
const foldedFor = `
	FROM btcwatch.delivery d
	JOIN btcwatch.alert a ON a.id = d.alert_id
	WHERE d.channel = $1
	  AND d.held_for = $2
	  AND CASE WHEN $3::bigint IS NULL THEN d.due_at <= $4::timestamptz ELSE a.script_id = $3 END
	  AND d.state = 'folded'
	  AND d.carried_by IS NULL`

func (g foldedGroup) args(at time.Time) []any { return []any{g.Channel, g.Why, g.Script, at} }

func (c *commit) sumTypes(ctx context.Context, g foldedGroup, s *alerts.Summary) error {
	found, err := c.tx.Query(ctx, `
		SELECT a.type, a.severity, count(*), min(a.opened_at), max(a.opened_at)`+foldedFor+`
		GROUP BY a.type, a.severity
		ORDER BY array_position(ARRAY['severe', 'high', 'medium', 'low', 'info'], a.severity), a.type`, g.args(c.at)...)
	if err != nil {
		return err
	}
	var one alerts.SummedOf
	var from, to time.Time
	_, err = pgx.ForEachRow(found, []any{&one.Type, &one.Severity, &one.Count, &from, &to}, func() error {
		severity, err := alerts.ParseSeverity(one.Severity)
		if err != nil {
			return err
		}
		s.Severity = max(s.Severity, severity)
		s.Summed.Of, s.Summed.Count = append(s.Summed.Of, one), s.Summed.Count+one.Count
		if s.Summed.From.IsZero() || from.Before(s.Summed.From) {
			s.Summed.From = from.UTC()
		}
		if to.After(s.Summed.To) {
			s.Summed.To = to.UTC()
		}
		return nil
	})
	return err
}

// sumAmounts counts each payment once, by the newest word about it, and not what
// was taken back.
func (c *commit) sumAmounts(ctx context.Context, g foldedGroup, s *alerts.Summary) error {
	return c.tx.QueryRow(ctx, `
		SELECT coalesce(sum(amount) FILTER (WHERE direction = 'in'), 0)::bigint,
		       coalesce(sum(amount) FILTER (WHERE direction <> 'in'), 0)::bigint,
		       count(*) FILTER (WHERE amount IS NULL)
		FROM (
		    SELECT DISTINCT ON (a.tx_id, a.script_id) a.type, a.amount, a.direction`+foldedFor+`
		    ORDER BY a.tx_id, a.script_id, a.seq DESC
		) x
		WHERE type IN ('transaction.seen', 'transaction.confirmed')`, g.args(c.at)...).Scan(&s.Summed.InSat, &s.Summed.OutSat, &s.Summed.Unknown)
}

// sumAddresses adds up for each address, where there are several: those with the
// most severe alerts first.
func (c *commit) sumAddresses(ctx context.Context, g foldedGroup, s *alerts.Summary) error {
	if g.Script != nil {
		return nil
	}
	found, err := c.tx.Query(ctx, `
		WITH held AS (
		    SELECT a.script_id, a.tx_id, a.type, a.severity, a.amount, a.direction, a.seq`+foldedFor+`
		), standing AS ( -- of each payment the newest word
		    SELECT DISTINCT ON (tx_id, script_id) script_id, type, amount, direction
		    FROM held
		    ORDER BY tx_id, script_id, seq DESC
		), sums AS (
		    SELECT script_id,
		           sum(amount) FILTER (WHERE direction = 'in') AS received,
		           sum(amount) FILTER (WHERE direction <> 'in') AS sent
		    FROM standing
		    WHERE type IN ('transaction.seen', 'transaction.confirmed')
		    GROUP BY script_id
		)
		SELECT h.script_id, count(*), min(array_position(ARRAY['severe', 'high', 'medium', 'low', 'info'], h.severity)),
		       coalesce(max(s.received), 0)::bigint, coalesce(max(s.sent), 0)::bigint, count(*) OVER ()
		FROM held h
		LEFT JOIN sums s ON s.script_id = h.script_id
		GROUP BY h.script_id
		ORDER BY 3, 2 DESC, 1
		LIMIT $5`, append(g.args(c.at), alerts.MostSummedAddresses)...)
	if err != nil {
		return err
	}
	var script, addresses int64
	var rank int
	var one alerts.SummedAddress
	_, err = pgx.ForEachRow(found, []any{&script, &one.Count, &rank, &one.InSat, &one.OutSat, &addresses}, func() error {
		one.Severity, one.Address, one.Label = (alerts.Severe - alerts.Severity(rank-1)).String(), "", ""
		if script := c.set.scripts[script]; script != nil {
			one.Address = script.address.Text
			if n := len(script.listings); n > 0 {
				one.Label = script.listings[n-1].Label
			}
		}
		s.Summed.Addresses = append(s.Summed.Addresses, one)
		return nil
	})
	s.Summed.MoreAddresses = addresses - int64(len(s.Summed.Addresses))
	return err
}

func (c *commit) sumIDs(ctx context.Context, g foldedGroup, s *alerts.Summary) error {
	var first []byte
	err := c.tx.QueryRow(ctx, `
		SELECT a.id`+foldedFor+`
		ORDER BY a.seq
		LIMIT 1`, g.args(c.at)...).Scan(&first)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	s.First = alerts.ID(first)
	found, err := c.tx.Query(ctx, `
		SELECT encode(a.id, 'hex')`+foldedFor+`
		ORDER BY array_position(ARRAY['severe', 'high', 'medium', 'low', 'info'], a.severity), a.seq
		LIMIT $5`, append(g.args(c.at), alerts.MostSummedIDs)...)
	if err != nil {
		return err
	}
	s.Summed.IDs, err = pgx.CollectRows(found, pgx.RowTo[string])
	s.Summed.More = s.Summed.Count - int64(len(s.Summed.IDs))
	return err
}
