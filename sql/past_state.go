package sql

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// PastState says how far the payments from before the watch are proven.
type PastState struct {
	Unproven int64 // such payments that explorers may be asked about and that are not proven
	Lowest   int32 // the lowest block that holds one
	Known    int32 // headers are known back to there; the start's height where none is
}

// PastState reads it; false before following has begun, or where no proof would
// be worth more than a report.
func (s *Store) PastState(ctx context.Context) (PastState, bool, error) {
	var p PastState
	r, err := readReach(ctx, s.pool)
	if err != nil || !r.proves {
		return p, false, err
	}
	known, begun, err := s.Ancestry(ctx)
	if err != nil || !begun {
		return p, false, err
	}
	p.Known = known.Oldest
	err = s.pool.QueryRow(ctx, `
		SELECT count(*), coalesce(min(n.height), 0)
		FROM btcwatch.tx_now n
		WHERE n.state = 'confirmed'
		  AND n.proof <> 'proven'
		  AND EXISTS (SELECT FROM btcwatch.touch u WHERE u.tx_id = n.tx_id AND u.historic)
		  AND btcwatch.askable(n.tx_id)`).Scan(&p.Unproven, &p.Lowest)
	if err != nil {
		return p, false, fmt.Errorf("count what is not proven: %w", err)
	}
	return p, true, nil
}

// HeadersNeeded gives the lowest block that holds a payment which is not proven
// for want of its header; false where none is needed, or more headers would not
// lead to it.
func (s *Store) HeadersNeeded(ctx context.Context) (int32, bool, error) {
	r, err := readReach(ctx, s.pool)
	if err != nil || !r.proves {
		return 0, false, err
	}
	known, begun, err := s.Ancestry(ctx)
	if err != nil || !begun || r.below == 0 && known.Oldest < known.Start {
		return 0, false, err
	}
	var lowest *int32
	err = s.pool.QueryRow(ctx, `
		SELECT n.height
		FROM btcwatch.tx_now n
		WHERE n.state = 'confirmed'
		  AND n.proof <> 'proven'
		  AND n.height < $1
		  AND EXISTS (SELECT FROM btcwatch.touch u WHERE u.tx_id = n.tx_id AND u.historic)
		  AND btcwatch.askable(n.tx_id)
		ORDER BY n.height
		LIMIT 1`, known.Oldest).Scan(&lowest)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read which headers are needed: %w", err)
	}
	return *lowest, true, nil
}
