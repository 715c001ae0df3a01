package sql

import (
	"context"
	"fmt"
	"time"
)

// ExplorerListed is one configured explorer as the leader found it last.
type ExplorerListed struct {
	Name             string     `json:"name"`
	Kind             string     `json:"kind"`
	Operator         string     `json:"operator"`
	State            string     `json:"state"`
	StateSince       *time.Time `json:"state_since"` // since when it is known to be in it; nil: not judged yet
	TipHeight        *int32     `json:"tip_height"`
	LastSuccess      *time.Time `json:"last_success_at"`
	LastError        *string    `json:"last_error"`
	LastErrorAt      *time.Time `json:"last_error_at"`
	Failovers        int64      `json:"failovers"`
	QuarantinedSince *time.Time `json:"quarantined_since"`
	QuarantineReason *string    `json:"quarantine_reason"`
	LeftThisHour     *int64     `json:"left_this_hour"` // nil: no such limit
	LeftThisDay      *int64     `json:"left_this_day"`
}

// Explorers lists the configured explorers.
func (s *Store) Explorers(ctx context.Context) ([]ExplorerListed, error) {
	list, err := rows[ExplorerListed](ctx, s.pool, `
		SELECT name, kind, operator, state, state_since, tip_height, last_success_at AS last_success, last_error, last_error_at,
		       failovers, quarantined_since, quarantine_reason, left_this_hour, left_this_day
		FROM report.explorers
		ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list the explorers: %w", err)
	}
	return list, nil
}
