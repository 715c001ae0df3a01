package sql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Canary is how the canary does. Times are UTC; nil: never, or none.
type Canary struct {
	Since   time.Time  // when it became the canary
	Arrived *time.Time // when a payment of it last came through
	Waited  float64    // seconds in which blocks were followed since then
	Told    *time.Time // when the outage of it that is open was told
	Watched bool       // its address is or was watched for its own sake: it is no canary then

	Last        *CanaryPayment // the last that came through, of those kept
	Seen        int64          // of those kept, how many were seen unconfirmed
	Missed      int64          // and how many were not, though a complete list was had
	Unsighted   int64          // and of how many that is not known
	OnTheirWay  int64          // recorded, and not come through
	OldestOnWay *time.Time     // when the first of these was recorded
}

// CanaryPayment is when one payment of the canary did what.
type CanaryPayment struct {
	Height   int32
	Arrived  time.Time
	Took     float64 // seconds since its block was verified
	Recorded time.Time
}

// Canary reads how the canary does; nil where there is none.
func (s *Store) Canary(ctx context.Context) (*Canary, error) { return readCanary(ctx, s.pool) }

func readCanary(ctx context.Context, from asks) (*Canary, error) {
	var c Canary
	err := from.QueryRow(ctx, `
		SELECT k.since, k.arrived_at, k.waited,
		       (SELECT max(o.at)
		        FROM btcwatch.outage o
		        WHERE o.kind = 'canary' AND NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)),
		       EXISTS (
		           SELECT
		           FROM btcwatch.script s
		           JOIN btcwatch.listing l ON l.script_id = s.id
		           WHERE s.sha256 = sha256(k.script)),
		       p.seen, p.missed, p.unsighted, p.waits, p.oldest
		FROM btcwatch.canary k,
		     LATERAL (
		         SELECT count(*) FILTER (WHERE unconfirmed) AS seen,
		                count(*) FILTER (WHERE NOT unconfirmed) AS missed,
		                count(*) FILTER (WHERE unconfirmed IS NULL) AS unsighted,
		                count(*) FILTER (WHERE arrived_at IS NULL) AS waits,
		                min(recorded_at) FILTER (WHERE arrived_at IS NULL) AS oldest
		         FROM btcwatch.canary_payment
		         WHERE script = k.script) p`).
		Scan(&c.Since, &c.Arrived, &c.Waited, &c.Told, &c.Watched, &c.Seen, &c.Missed, &c.Unsighted, &c.OnTheirWay, &c.OldestOnWay)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read how the canary does: %w", err)
	}
	var p CanaryPayment
	err = from.QueryRow(ctx, `
		SELECT p.height, p.arrived_at, extract(epoch FROM p.arrived_at - p.verified_at)::double precision, p.recorded_at
		FROM btcwatch.canary_payment p
		JOIN btcwatch.canary k ON k.script = p.script
		WHERE p.arrived_at IS NOT NULL
		ORDER BY p.arrived_at DESC
		LIMIT 1`).Scan(&p.Height, &p.Arrived, &p.Took, &p.Recorded)
	if errors.Is(err, pgx.ErrNoRows) {
		return &c, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the canary's last payment: %w", err)
	}
	c.Last = &p
	return &c, nil
}

// CanaryWaits adds to how long blocks were followed without a payment of the
// canary, unless one has come since the one that the caller knows of, and gives
// how it does now; nil where there is none.
func (s *Store) CanaryWaits(ctx context.Context, longer time.Duration, since *time.Time) (*Canary, error) {
	if longer > 0 {
		_, err := s.pool.Exec(ctx, `
			UPDATE btcwatch.canary
			SET waited = waited + $1
			WHERE arrived_at IS NOT DISTINCT FROM $2`, longer.Seconds(), since)
		if err != nil {
			return nil, fmt.Errorf("note how long the canary is waited for: %w", err)
		}
	}
	return s.Canary(ctx)
}

// ForgetCanaries deletes the payments of canaries, of the one of now and of
// earlier ones, that were recorded so long ago.
func (s *Store) ForgetCanaries(ctx context.Context, kept time.Duration) error {
	now := s.now().UTC()
	_, err := s.pool.Exec(ctx, `DELETE FROM btcwatch.canary_payment WHERE recorded_at < $1`, now.Add(-kept))
	if err == nil {
		_, err = s.pool.Exec(ctx, `DELETE FROM btcwatch.canary_sight WHERE at < $1`, now.Add(-sightsKept))
	}
	if err != nil {
		return fmt.Errorf("forget old payments of the canary: %w", err)
	}
	return nil
}
