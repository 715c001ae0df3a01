package sql

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// ListingChange is what became of one listing between two states of a list.
type ListingChange struct {
	Address string        `json:"address"`
	Label   string        `json:"label,omitempty"`
	How     string        `json:"how"` // added, changed or retired
	Fields  []FieldChange `json:"fields,omitempty"`
}

// FieldChange is one thing that a list says otherwise than before; empty where
// it said, or says, nothing.
type FieldChange struct {
	Name   string `json:"name"` // as the column of report.listings
	Before string `json:"before"`
	After  string `json:"after"`
}

// saidAs makes one object of what a listing says.
func saidAs(alias string) string {
	var pairs []string
	for _, name := range listingColumns() {
		pairs = append(pairs, fmt.Sprintf("'%s', %s.%[1]s", name, alias))
	}
	return "jsonb_build_object(" + strings.Join(pairs, ", ") + ")"
}

// showEach hands out what a file changes, one listing after the other.
func (c *listChange) showEach(ctx context.Context) error {
	if c.file == nil || c.file.Each == nil {
		return nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT s.address, d.how, d.label, `+saidAs("b")+`, `+saidAs("d")+`
		FROM difference d
		JOIN btcwatch.script s ON s.id = d.script_id
		LEFT JOIN btcwatch.listing b ON b.id = d.supersedes
		ORDER BY d.n, d.supersedes`)
	if err != nil {
		return fmt.Errorf("read what changes: %w", err)
	}
	return eachChange(found, c.file.Each)
}

// ListDiff gives what changed on a list between two instants, as it was known
// here, in the order of the addresses.
func (s *Store) ListDiff(ctx context.Context, list string, from, to time.Time, each func(ListingChange) error) error {
	standing := func(at string) string {
		return `
		    SELECT l.script_id, l.id, ` + columnsOf("l", listingColumns()) + `
		    FROM btcwatch.listing l
		    LEFT JOIN btcwatch.listing n ON n.supersedes = l.id
		    WHERE l.list = $1
		      AND NOT l.retired
		      AND l.recorded_at <= ` + at + `
		      AND (n.recorded_at IS NULL OR n.recorded_at > ` + at + `)`
	}
	found, err := s.pool.Query(ctx, `
		WITH b AS (`+standing("$2")+`
		), a AS (`+standing("$3")+`
		)
		SELECT s.address,
		       CASE WHEN b.id IS NULL THEN 'added' WHEN a.id IS NULL THEN 'retired' ELSE 'changed' END,
		       coalesce(a.label, b.label), `+saidAs("b")+`, `+saidAs("a")+`
		FROM b
		FULL JOIN a USING (script_id)
		JOIN btcwatch.script s ON s.id = script_id
		WHERE a.id IS DISTINCT FROM b.id
		ORDER BY s.address`, list, from, to)
	if err != nil {
		return fmt.Errorf("compare the list %s: %w", list, err)
	}
	return eachChange(found, each)
}

func eachChange(found pgx.Rows, each func(ListingChange) error) error {
	defer found.Close()
	for found.Next() {
		var one ListingChange
		var before, after []byte
		if err := found.Scan(&one.Address, &one.How, &one.Label, &before, &after); err != nil {
			return fmt.Errorf("read what changes: %w", err)
		}
		if one.How == "changed" {
			var err error
			if one.Fields, err = fieldChanges(before, after); err != nil {
				return err
			}
			if len(one.Fields) == 0 {
				continue // taken off and put on again, as it was
			}
		}
		if err := each(one); err != nil {
			return err
		}
	}
	return found.Err()
}

func fieldChanges(before, after []byte) (all []FieldChange, err error) {
	var was, is map[string]any
	if err := json.Unmarshal(before, &was); err != nil {
		return nil, fmt.Errorf("read what a list said: %w", err)
	}
	if err := json.Unmarshal(after, &is); err != nil {
		return nil, fmt.Errorf("read what a list says: %w", err)
	}
	text := func(v any) string {
		if v == nil {
			return ""
		}
		return fmt.Sprint(v)
	}
	for name, value := range is {
		if b, a := text(was[name]), text(value); b != a {
			all = append(all, FieldChange{name, b, a})
		}
	}
	slices.SortFunc(all, func(a, b FieldChange) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}
