package sql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"btcwatch/alerts"
	"btcwatch/watchlist"
)

// road is how a message goes to a channel. It is decided in the commit of the
// fact, and never again: a kill can neither lose a message between two decisions
// nor send it twice, and a reload changes nothing for what waits.
type road struct {
	none   bool    // it is not sent there at all
	folded bool    // it goes into a sum, or by itself when few are in it
	why    *string // it waits, until due
	due    time.Time
}

// roadTo decides it. Programs get each alert at once. To people a message of
// high severity goes at once too, unless there are many of its address; what is
// below waits for the digest or for the end of the quiet hours.
func (c *commit) roadTo(ctx context.Context, channel alerts.Settings, a alerts.Alert, s subject) (road, error) {
	if !alerts.ForPeople(channel) {
		return road{}, nil
	}
	ofAddress := s.script != nil && (strings.HasPrefix(string(a.Type), "transaction.") || a.Type.Rule() != "")
	low := a.Severity < alerts.High
	if ofAddress && low {
		r, decided, err := c.roadOfListing(ctx, channel, a, s)
		if err != nil || decided {
			return r, err
		}
	}
	if end, within := channel.Quiet.End(c.at, c.zone()); within && low {
		return waits("quiet", end, ofAddress), nil
	}
	folds, err := c.folds(ctx, channel, a, s)
	if err != nil || !folds {
		return road{}, err
	}
	due := c.at.Add(burstHour)
	if end, within := channel.Quiet.End(due, c.zone()); within && low {
		due = end
	}
	return waits("burst", due, true), nil
}

func waits(why string, due time.Time, folded bool) road {
	return road{why: &why, due: due, folded: folded}
}

// roadOfListing follows what the listings of an address say. What corrects a
// message that was sent by itself is sent, so that nothing wrong is left standing.
func (c *commit) roadOfListing(ctx context.Context, channel alerts.Settings, a alerts.Alert, s subject) (r road, decided bool, err error) {
	script := c.set.scripts[*s.script]
	if script == nil {
		return road{}, false, nil
	}
	notify := watchlist.Loudest(script.listings)
	if notify == watchlist.NotifyEach {
		return road{}, false, nil
	}
	if a.Type != alerts.TransactionSeen && a.Type != alerts.TransactionConfirmed {
		var sent bool
		err := c.tx.QueryRow(ctx, `
			SELECT EXISTS (
			    SELECT FROM btcwatch.alert f
			    JOIN btcwatch.delivery d ON d.alert_id = f.id AND d.channel = $2 AND d.state <> 'folded'
			    WHERE f.thread = $1
			      AND f.thread <> ''
			      AND f.id <> $3)`, a.Thread, channel.Name, a.ID[:]).Scan(&sent)
		if err != nil {
			return road{}, false, fmt.Errorf("look for what it corrects: %w", err)
		}
		if sent {
			return road{}, false, nil
		}
	}
	if notify == watchlist.NotifyRecord {
		return road{none: true}, true, nil
	}
	due := c.tell.Digest.Next(c.at, c.zone())
	if end, within := channel.Quiet.End(due, c.zone()); within {
		due = end
	}
	return waits("digest", due, true), true, nil
}

func (c *commit) zone() *time.Location {
	if c.tell.Zone == nil {
		return time.UTC
	}
	return c.tell.Zone
}
