package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// Outage is a stretch in which something did not work; its row is the episode.
type Outage struct {
	ID     int64
	Kind   string // explorer, channel, blocks, mempool, tip, quiet, backlog, schedule, delivery, canary
	Name   string // of the explorer, the channel or the job; else empty
	Reason string
	Since  time.Time // the last time it worked
	At     time.Time // when it was told
}

// OpenOutages gives the outages that have not ended.
func (s *Store) OpenOutages(ctx context.Context) ([]Outage, error) {
	open, err := rows[Outage](ctx, s.pool, `
		SELECT o.id, o.kind, o.name, o.reason, o.since, o.at
		FROM btcwatch.outage o
		WHERE NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)
		ORDER BY o.id`)
	if err != nil {
		return nil, fmt.Errorf("read open outages: %w", err)
	}
	return open, nil
}

// LastRecoveries gives when the last outage of each explorer ended.
func (s *Store) LastRecoveries(ctx context.Context) (map[string]time.Time, error) {
	found, err := s.pool.Query(ctx, `
		SELECT o.name, max(e.at)
		FROM btcwatch.outage_end e
		JOIN btcwatch.outage o ON o.id = e.outage_id
		WHERE o.kind = 'explorer'
		GROUP BY o.name`)
	if err != nil {
		return nil, fmt.Errorf("read when explorers recovered: %w", err)
	}
	ends := map[string]time.Time{}
	var (
		name string
		at   time.Time
	)
	_, err = pgx.ForEachRow(found, []any{&name, &at}, func() error { ends[name] = at; return nil })
	if err != nil {
		return nil, fmt.Errorf("read when explorers recovered: %w", err)
	}
	return ends, nil
}

// SilentSince is the last good answer of any explorer, where each of them has
// failed since then: a daemon that ended so goes on where it was. nil where one
// answered last, or none ever did.
func (s *Store) SilentSince(ctx context.Context) (*time.Time, error) {
	var since *time.Time
	err := s.pool.QueryRow(ctx, `
		SELECT CASE WHEN bool_and(last_error_at > last_success_at) THEN max(last_success_at) END
		FROM btcwatch.explorer_now
		WHERE configured`).Scan(&since)
	if err != nil {
		return nil, fmt.Errorf("read when explorers last answered: %w", err)
	}
	return since, nil
}

// BeginOutage records an outage with its alert, unless it is open already.
func (w *Writer) BeginOutage(ctx context.Context, kind, name, reason string, since time.Time) error {
	err := w.commit(ctx, "outage", func(c *commit) error {
		o, isNew, err := c.openOutage(ctx, kind, name, reason, since)
		if err != nil || !isNew {
			return err
		}
		told := c.outage(o)
		switch kind {
		case "explorer":
			return c.alert(ctx, told.ExplorerFailing(c.store.key), subject{})
		case "quiet":
			return c.alert(ctx, told.Quiet(c.store.key, c.tell.BlindWithoutBlock), subject{})
		}
		return c.alert(ctx, told.Blind(c.store.key), subject{})
	})
	if err != nil {
		return fmt.Errorf("record that %s %s is out: %w", kind, name, err)
	}
	return nil
}

// EndOutage records that an outage is over, with its alert.
func (w *Writer) EndOutage(ctx context.Context, kind, name string) error {
	return w.endOutage(ctx, kind, name, 0)
}

// EndFlapping is EndOutage of an explorer that came and went: its answers went
// bad so many times.
func (w *Writer) EndFlapping(ctx context.Context, explorer string, times int) error {
	return w.endOutage(ctx, "explorer", explorer, times)
}

func (w *Writer) endOutage(ctx context.Context, kind, name string, times int) error {
	err := w.commit(ctx, "outage over", func(c *commit) error {
		o, err := c.ongoing(ctx, kind, name)
		if err != nil || o == nil {
			return err
		}
		if err := c.closeOutage(ctx, o.ID, "over"); err != nil {
			return err
		}
		told := c.outage(*o)
		told.Until, told.Times = c.at, times
		switch kind {
		case "explorer":
			return c.alert(ctx, told.ExplorerRecovered(c.store.key), subject{})
		case "channel":
			return nil
		}
		if err := c.gap(ctx, *o); err != nil {
			return err
		}
		if died, err := c.died(ctx, *o); err != nil || died {
			return err
		}
		if told.Hole, err = c.hole(ctx, *o); err != nil {
			return err
		}
		return c.alert(ctx, told.Restored(c.store.key), subject{})
	})
	if err != nil {
		return fmt.Errorf("record that %s %s is back: %w", kind, name, err)
	}
	return nil
}

func (c *commit) closeOutage(ctx context.Context, id int64, how string) error {
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.outage_end (outage_id, at)
		VALUES ($1, $2)`, id, c.at)
	if err != nil {
		return err
	}
	c.note("outage %d %s", id, how)
	return nil
}

// ForgetOutage closes an outage of what is not asked for any more: an explorer
// that left the configuration, a mempool when no address is left, a quiet
// stretch that ended before it was too long. Nobody is told that it works again,
// for nobody knows or nobody was worried.
func (w *Writer) ForgetOutage(ctx context.Context, kind, name string) error {
	err := w.commit(ctx, "outage forgotten", func(c *commit) error {
		o, err := c.ongoing(ctx, kind, name)
		if err != nil || o == nil {
			return err
		}
		if err := c.closeOutage(ctx, o.ID, "forgotten"); err != nil {
			return err
		}
		return c.gap(ctx, *o)
	})
	if err != nil {
		return fmt.Errorf("close the outage of %s %s: %w", kind, name, err)
	}
	return nil
}

func (c *commit) outage(o Outage) alerts.Outage {
	told := alerts.Outage{Network: c.network(), Name: o.Name, Kind: o.Kind, Episode: o.ID, Since: o.Since, Reason: o.Reason, At: c.at}
	switch {
	case o.Kind == "explorer":
		told.Kind = ""
	case o.Name == "":
		told.Name = o.Kind
	}
	return told
}

func (c *commit) network() string { return chain.NetworkName(c.store.params) }

func (c *commit) ongoing(ctx context.Context, kind, name string) (*Outage, error) {
	o := Outage{Kind: kind, Name: name}
	err := c.tx.QueryRow(ctx, `
		SELECT o.id, o.reason, o.since
		FROM btcwatch.outage o
		WHERE o.kind = $1
		  AND o.name = $2
		  AND NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)
		LIMIT 1`, kind, name).Scan(&o.ID, &o.Reason, &o.Since)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &o, err
}

func (c *commit) openOutage(ctx context.Context, kind, name, reason string, since time.Time) (Outage, bool, error) {
	if o, err := c.ongoing(ctx, kind, name); err != nil || o != nil {
		if err != nil {
			return Outage{}, false, err
		}
		return *o, false, nil
	}
	o := Outage{Kind: kind, Name: name, Reason: reason, Since: since}
	err := c.tx.QueryRow(ctx, `
		INSERT INTO btcwatch.outage (kind, name, reason, since, at)
		VALUES ($1, $2, $3, $4, $5)
		RETURNING id`, kind, name, reason, since, c.at).Scan(&o.ID)
	if err != nil {
		return o, false, err
	}
	c.note("outage %d %s %s", o.ID, kind, name)
	return o, true, nil
}

// ExplorerState is how an explorer does now. What is nil is not known, or
// leaves what was known before.
type ExplorerState struct {
	Name        string
	State       string // ok, lagging, stale, failing, limited, lying
	TipHeight   *int32
	LastSuccess *time.Time
	LastError   string
	LastErrorAt *time.Time
	Failovers   int64 // since the last call
}

// SetExplorers names the configured explorers; others are no longer shown.
func (s *Store) SetExplorers(ctx context.Context, configured []explorer.Settings) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE btcwatch.explorer_now SET configured = false WHERE configured`); err != nil {
			return fmt.Errorf("name the explorers: %w", err)
		}
		for _, e := range configured {
			id, err := nameExplorer(ctx, tx, e.Name)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `
				INSERT INTO btcwatch.explorer_now (explorer_id, kind, operator, configured, state)
				VALUES ($1, $2, $3, true, 'ok')
				ON CONFLICT (explorer_id) DO UPDATE
				SET kind = excluded.kind, operator = excluded.operator, configured = true`, id, e.Kind, e.Operator)
			if err != nil {
				return fmt.Errorf("name the explorer %s: %w", e.Name, err)
			}
		}
		return nil
	})
}

// SaveExplorer rewrites what is known of an explorer.
func (s *Store) SaveExplorer(ctx context.Context, e ExplorerState) error {
	var lastError *string
	if e.LastError != "" {
		lastError = &e.LastError
	}
	_, err := s.pool.Exec(ctx, `
		UPDATE btcwatch.explorer_now n
		SET state = $2,
		    tip_height = coalesce($3, n.tip_height),
		    last_success_at = coalesce($4, n.last_success_at),
		    last_error = coalesce($5, n.last_error),
		    last_error_at = coalesce($6, n.last_error_at),
		    failovers = n.failovers + $7
		FROM btcwatch.explorer e
		WHERE e.id = n.explorer_id
		  AND e.name = $1`, e.Name, e.State, e.TipHeight, e.LastSuccess, lastError, e.LastErrorAt, e.Failovers)
	if err != nil {
		return fmt.Errorf("save the state of %s: %w", e.Name, err)
	}
	return nil
}

// LastRun is when a scheduled job began last, as noted; zero when it never did.
func (s *Store) LastRun(ctx context.Context, job string) (time.Time, error) {
	var at time.Time
	err := s.pool.QueryRow(ctx, `SELECT began_at FROM btcwatch.job_run WHERE name = $1`, job).Scan(&at)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read when %s ran last: %w", job, err)
	}
	return at, nil
}

// SaveRun notes when a scheduled job began.
func (s *Store) SaveRun(ctx context.Context, job string, at time.Time) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO btcwatch.job_run (name, began_at)
		VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET began_at = excluded.began_at`, job, at)
	if err != nil {
		return fmt.Errorf("note that %s runs: %w", job, err)
	}
	return nil
}
