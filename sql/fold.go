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
//
// It is decided here, in the commit of the fact, and never again: a kill can
// neither lose a message between two decisions nor send it twice.
func (c *commit) folds(ctx context.Context, channel alerts.Settings, a alerts.Alert, s subject) (bool, error) {
	if c.tell.Burst == 0 || s.script == nil || !strings.HasPrefix(string(a.Type), "transaction.") || !alerts.ForPeople(channel) {
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

// foldedGroup is what waits to be summed up for one channel and address.
type foldedGroup struct {
	Channel string
	Script  int64
}

// TellSums sums up what was folded an hour ago or earlier, with all that was since:
// one message for each channel and address, each in a commit of its own.
func (w *Writer) TellSums(ctx context.Context) error {
	due, err := rows[foldedGroup](ctx, w.store.pool, `
		SELECT d.channel, a.script_id AS script
		FROM btcwatch.delivery d
		JOIN btcwatch.alert a ON a.id = d.alert_id
		WHERE d.state = 'folded'
		  AND d.carried_by IS NULL
		GROUP BY d.channel, a.script_id
		HAVING min(a.opened_at) <= $1
		ORDER BY min(a.opened_at)`, w.store.now().UTC().Add(-burstHour))
	if err != nil {
		return fmt.Errorf("find messages to sum up: %w", err)
	}
	for _, g := range due {
		if !slices.ContainsFunc(w.tell.Channels, func(s alerts.Settings) bool { return s.Name == g.Channel }) {
			continue // it is gone, and what waits for it is given up
		}
		if err := w.commit(ctx, "messages summed", func(c *commit) error { return c.tellSum(ctx, g) }); err != nil {
			return fmt.Errorf("sum up the messages for %s: %w", g.Channel, err)
		}
	}
	return nil
}

func (c *commit) tellSum(ctx context.Context, g foldedGroup) error {
	s := alerts.Summary{Network: c.network(), Burst: c.tell.Burst, At: c.at, Summed: alerts.Summed{Channel: g.Channel}}
	if script := c.set.scripts[g.Script]; script != nil {
		s.Address, s.Listings = script.address.Text, listingsOf(script.listings)
		if n := len(script.listings); n > 0 {
			s.Label, s.Entity = script.listings[n-1].Label, script.listings[n-1].Entity
		}
	}
	for _, read := range []func(context.Context, foldedGroup, *alerts.Summary) error{c.sumTypes, c.sumAmounts, c.sumIDs} {
		if err := read(ctx, g, &s); err != nil {
			return err
		}
	}
	if s.Summed.Count == 0 {
		return nil // another has summed it up, or the channel is gone
	}
	a := s.Alert(c.store.key)
	if err := c.alert(ctx, a, subject{script: &g.Script}); err != nil {
		return err
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.delivery (alert_id, channel, next_at)
		VALUES ($1, $2, now())`, a.ID[:], g.Channel)
	if err != nil {
		return err
	}
	_, err = c.tx.Exec(ctx, `
		UPDATE btcwatch.delivery d
		SET carried_by = $1
		FROM btcwatch.alert a
		WHERE a.id = d.alert_id
		  AND a.script_id = $3
		  AND d.channel = $2
		  AND d.state = 'folded'
		  AND d.carried_by IS NULL`, a.ID[:], g.Channel, g.Script)
	c.told = true
	c.note("sum of %d messages for %s", s.Summed.Count, g.Channel)
	return err
}

// foldedFor are the alerts of a group.
const foldedFor = `
	FROM btcwatch.delivery d
	JOIN btcwatch.alert a ON a.id = d.alert_id
	WHERE d.channel = $1
	  AND a.script_id = $2
	  AND d.state = 'folded'
	  AND d.carried_by IS NULL`

func (c *commit) sumTypes(ctx context.Context, g foldedGroup, s *alerts.Summary) error {
	found, err := c.tx.Query(ctx, `
		SELECT a.type, a.severity, count(*), min(a.opened_at), max(a.opened_at)`+foldedFor+`
		GROUP BY a.type, a.severity
		ORDER BY array_position(ARRAY['severe', 'high', 'medium', 'low', 'info'], a.severity), a.type`, g.Channel, g.Script)
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
		    SELECT DISTINCT ON (a.tx_id) a.type, a.amount, a.direction`+foldedFor+`
		    ORDER BY a.tx_id, a.seq DESC
		) x
		WHERE type IN ('transaction.seen', 'transaction.confirmed')`, g.Channel, g.Script).Scan(&s.Summed.InSat, &s.Summed.OutSat, &s.Summed.Unknown)
}

func (c *commit) sumIDs(ctx context.Context, g foldedGroup, s *alerts.Summary) error {
	var first []byte
	err := c.tx.QueryRow(ctx, `
		SELECT a.id`+foldedFor+`
		ORDER BY a.seq
		LIMIT 1`, g.Channel, g.Script).Scan(&first)
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
		LIMIT $3`, g.Channel, g.Script, alerts.MostSummedIDs)
	if err != nil {
		return err
	}
	s.Summed.IDs, err = pgx.CollectRows(found, pgx.RowTo[string])
	s.Summed.More = s.Summed.Count - int64(len(s.Summed.IDs))
	return err
}
