package sql

import (
	"context"
	"fmt"
	"time"

	"btcwatch/chain"
)

// ListedRow is what a list said of an address for a time, as report.listings
// gives it.
type ListedRow struct {
	List            string     `json:"list"`
	Label           string     `json:"label,omitempty"`
	Entity          string     `json:"entity,omitempty"`
	Category        string     `json:"category,omitempty"`
	Basis           string     `json:"basis,omitempty"`
	Confidence      *int16     `json:"confidence,omitempty"`
	Version         string     `json:"version,omitempty"`
	SourceTitle     string     `json:"source_title,omitempty"`
	SourceAuthor    string     `json:"source_author,omitempty"`
	SourcePublisher string     `json:"source_publisher,omitempty"`
	SourceDate      string     `json:"source_date,omitempty"`
	SourceURL       string     `db:"source_url" json:"source_url,omitempty"`
	SourceLocator   string     `json:"source_locator,omitempty"`
	SourceQuote     string     `json:"source_quote,omitempty"`
	InForceFrom     *time.Time `json:"in_force_from,omitempty"`
	InForceTo       *time.Time `json:"in_force_to,omitempty"`
	Confidential    bool       `json:"confidential"`
	Notify          string     `json:"notify,omitempty"`
	KnownFrom       time.Time  `json:"known_from"`
	KnownTo         *time.Time `json:"known_to"` // null: it stood at the instant that was asked about
	Origin          string     `json:"origin"`
	Actor           string     `json:"actor,omitempty"`
}

// HeldAs is an entry of a list that names a text and is not watched.
type HeldAs struct {
	List      string    `json:"list"`
	Line      int64     `json:"line"`
	Symbol    string    `json:"symbol,omitempty"`
	Reason    string    `json:"reason"`
	Words     string    `json:"words"`
	Label     string    `json:"label,omitempty"`
	HeldSince time.Time `json:"held_since"`
}

// Contact is a listed address that an address dealt with, by what is recorded.
type Contact struct {
	Address   string     `json:"address"` // of the listed one
	Label     string     `json:"label,omitempty"`
	Lists     []string   `json:"lists"`
	InForce   bool       `json:"in_force"`  // of its listings one is
	Direction string     `json:"direction"` // out: the address asked about paid it; in: it paid the address asked about
	AmountSat int64      `json:"amount_sat"`
	TxCount   int64      `json:"tx_count"`
	FirstAt   *time.Time `json:"first_at"`
	LastAt    *time.Time `json:"last_at"`
	Proof     string     `json:"proof"` // the weakest grade among them
}

// CoverageRow is a stretch of the chain in which an address was watched, and how.
type CoverageRow struct {
	FromHeight int32   `json:"from_height"`
	ToHeight   int32   `json:"to_height"`
	Grade      string  `json:"grade"`
	How        string  `json:"how"`
	NotSeen    *string `json:"not_seen,omitempty"`
}

// ListedAs gives every listing of an address that was known here by an instant,
// those in force first, then the newest.
func (s *Store) ListedAs(ctx context.Context, a chain.Address, asOf time.Time) ([]ListedRow, error) {
	all, err := rows[ListedRow](ctx, s.pool, `
		SELECT list, label, entity, category, basis, confidence, version, source_title, source_author, source_publisher, source_date,
		       source_url, source_locator, source_quote, in_force_from, in_force_to, confidential, notify, known_from,
		       CASE WHEN known_to <= $2 THEN known_to END AS known_to, origin, actor
		FROM report.listings
		WHERE address = $1
		  AND known_from <= $2
		ORDER BY known_to <= $2 NULLS FIRST, known_from DESC, list`, a.Text, asOf)
	if err != nil {
		return nil, fmt.Errorf("read the listings of %s: %w", a.Text, err)
	}
	return all, nil
}

// HeldFor gives the entries of lists that spelled a text so and were not watched at
// an instant.
func (s *Store) HeldFor(ctx context.Context, text string, asOf time.Time) ([]HeldAs, error) {
	all, err := rows[HeldAs](ctx, s.pool, `
		SELECT i.list, h.line, h.symbol, h.reason, h.words, h.label, i.at AS held_since
		FROM (
		    SELECT DISTINCT ON (list) id, list, at
		    FROM btcwatch.import
		    WHERE held_digest IS NOT NULL
		      AND at <= $2
		    ORDER BY list, id DESC
		) i
		JOIN btcwatch.held h ON h.import_id = i.id
		WHERE h.text = $1
		ORDER BY i.list, h.n`, text, asOf)
	if err != nil {
		return nil, fmt.Errorf("look for what is held: %w", err)
	}
	return all, nil
}

// Contacts gives the listed addresses, of any time up to an instant, that an
// address paid or was paid by, in payments recorded by then; as those stand now.
// The address need not be watched: it is enough that one of theirs names it.
func (s *Store) Contacts(ctx context.Context, a chain.Address, asOf time.Time) ([]Contact, error) {
	all, err := rows[Contact](ctx, s.pool, `
		WITH asked AS (
		    SELECT id FROM btcwatch.script WHERE sha256 = $1
		), met AS (
		    SELECT CASE WHEN c.payer = k.id THEN c.payee ELSE c.payer END AS other,
		           CASE WHEN c.payer = k.id THEN 'out' ELSE 'in' END AS direction,
		           `+contactSums+`
		    FROM asked k
		    CROSS JOIN LATERAL btcwatch.contacts(ARRAY[k.id]) c
		    JOIN btcwatch.tx_now n ON n.tx_id = c.tx_id
		    WHERE EXISTS (SELECT FROM btcwatch.touch t WHERE t.tx_id = c.tx_id AND t.recorded_at <= $2)
		    GROUP BY 1, 2
		)
		SELECT s.address, l.label, l.lists, l.in_force, m.direction, m.amount_sat, m.tx_count, m.first_at, m.last_at, m.proof
		FROM met m
		JOIN btcwatch.script s ON s.id = m.other
		JOIN LATERAL (
		    SELECT (array_agg(l.label ORDER BY l.id DESC))[1] AS label, array_agg(DISTINCT l.list) AS lists,
		           bool_or(n.recorded_at IS NULL OR n.recorded_at > $2) AS in_force
		    FROM btcwatch.listing l
		    LEFT JOIN btcwatch.listing n ON n.supersedes = l.id
		    WHERE l.script_id = m.other
		      AND NOT l.retired
		      AND l.recorded_at <= $2
		) l ON l.lists IS NOT NULL
		ORDER BY m.amount_sat DESC, s.address, m.direction`, digest(a.Script), asOf)
	if err != nil {
		return nil, fmt.Errorf("look for the contacts of %s: %w", a.Text, err)
	}
	return all, nil
}

// Coverage says over which blocks an address is covered, and how; none where it
// was never watched.
func (s *Store) Coverage(ctx context.Context, a chain.Address) ([]CoverageRow, error) {
	all, err := rows[CoverageRow](ctx, s.pool, `
		SELECT from_height, to_height, grade, how, not_seen
		FROM report.coverage
		WHERE address = $1
		ORDER BY from_height, to_height`, a.Text)
	if err != nil {
		return nil, fmt.Errorf("read the coverage of %s: %w", a.Text, err)
	}
	return all, nil
}

// RetireList takes every address off a list. What is recorded stays.
// ErrNotWatched where nothing is on it.
func (s *Store) RetireList(ctx context.Context, list, actor string) (Changed, error) {
	if list == ConfigList {
		return Changed{}, fmt.Errorf("retire the list %s: %w", list, ErrReserved)
	}
	changed, err := s.changeList(ctx, &listChange{list: list, origin: CommandList, actor: actor, whole: true, rows: rowsOf()})
	if err == nil && changed.Retired == 0 {
		return Changed{}, fmt.Errorf("retire the list %s: %w", list, ErrNotWatched)
	}
	return changed, err
}
