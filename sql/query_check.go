package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// Leads says whether a daemon leads on this database now.
func (s *Store) Leads(ctx context.Context) (bool, error) {
	var held bool
	// A lock on a bigint shows as its two halves.
	err := s.pool.QueryRow(ctx, `
		SELECT EXISTS (
		    SELECT FROM pg_locks
		    WHERE locktype = 'advisory'
		      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		      AND (classid::bigint << 32) | objid::bigint = $1
		      AND objsubid = 1
		      AND granted)`, leadLock).Scan(&held)
	if err != nil {
		return false, fmt.Errorf("ask whether a daemon leads: %w", err)
	}
	return held, nil
}

// MovedAt is when the position moved last; zero before following has begun.
func (s *Store) MovedAt(ctx context.Context) (time.Time, error) {
	var at *time.Time
	if err := s.pool.QueryRow(ctx, `SELECT moved_at FROM btcwatch.position`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read when the position moved: %w", err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return *at, nil
}

// BlockGapRow are blocks that were not covered and are not to be.
type BlockGapRow struct {
	From   *int32 // nil: all before
	To     int32
	Reason string
}

// BlockGaps gives the blocks that following left out, newest first.
func (s *Store) BlockGaps(ctx context.Context) ([]BlockGapRow, error) {
	list, err := rows[BlockGapRow](ctx, s.pool, `
		SELECT from_height AS "from", to_height AS "to", reason
		FROM report.gaps
		WHERE kind = 'blocks'
		  AND to_height IS NOT NULL
		ORDER BY to_time DESC, to_height DESC`)
	if err != nil {
		return nil, fmt.Errorf("read which blocks were left out: %w", err)
	}
	return list, nil
}

// ChannelRow says how the deliveries to one channel stand.
type ChannelRow struct {
	Channel string
	Waiting int64
	Dead    int64
	Oldest  *time.Time // when the oldest waiting alert was opened
	Error   *string    // of the last try of what waits
}

const selectChannels = `
	SELECT d.channel,
	       count(*) FILTER (WHERE d.state = 'waiting') AS waiting,
	       count(*) FILTER (WHERE d.state = 'dead') AS dead,
	       min(a.opened_at) FILTER (WHERE d.state = 'waiting') AS oldest,
	       max(d.last_error) FILTER (WHERE d.state = 'waiting') AS error
	FROM btcwatch.delivery d
	JOIN btcwatch.alert a ON a.id = d.alert_id
	WHERE d.state IN ('waiting', 'dead')
	  AND a.type <> 'channel.test'
	GROUP BY d.channel
	ORDER BY d.channel`

// ChannelStates says for each channel what waits and what died.
func (s *Store) ChannelStates(ctx context.Context) ([]ChannelRow, error) {
	list, err := rows[ChannelRow](ctx, s.pool, selectChannels)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	return list, nil
}

// AlertsLike gives the ids that begin with a prefix of hexadecimal digits,
// newest first, at most as many as asked for.
func (s *Store) AlertsLike(ctx context.Context, prefix string, most int) ([]alerts.ID, error) {
	found, err := s.pool.Query(ctx, `
		SELECT id
		FROM btcwatch.alert
		WHERE starts_with(encode(id, 'hex'), lower($1))
		ORDER BY seq DESC
		LIMIT $2`, prefix, most)
	if err != nil {
		return nil, fmt.Errorf("look for the alert %s: %w", prefix, err)
	}
	ids, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (alerts.ID, error) {
		var raw []byte
		if err := row.Scan(&raw); err != nil {
			return alerts.ID{}, err
		}
		return alerts.ID(raw), nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for the alert %s: %w", prefix, err)
	}
	return ids, nil
}
