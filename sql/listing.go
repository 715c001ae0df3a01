package sql

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/watchlist"
)

// listingColumns are what a list says of an address, in the order of said and
// of scanListing: whoever adds one adds it in these three, and all that writes,
// compares and reads listings follows.
func listingColumns() []string {
	return []string{
		"label", "entity", "category", "basis", "confidential", "title", "author", "publisher", "date", "url",
		"version", "confidence", "locator", "quote", "in_force_from", "in_force_to", "notify",
	}
}

// said are the values of a listing for its columns.
func said(l watchlist.Listing) []any {
	var confidence *int16
	if l.Confidence.Said {
		percent := int16(l.Confidence.Percent)
		confidence = &percent
	}
	return []any{
		storable(l.Label), storable(l.Entity), storable(l.Category), string(l.Basis), l.Confidential,
		storable(l.Source.Title), storable(l.Source.Author), storable(l.Source.Publisher), storable(l.Source.Date), storable(l.Source.URL),
		storable(l.Version), confidence, storable(l.Source.Locator), storable(l.Source.Quote), day(l.From), day(l.To), string(l.Notify),
	}
}

// storable is a text that Postgres takes: it has no place for a zero byte or
// for what is not UTF-8.
func storable(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\ufffd"), "\ufffd")
}

func day(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// listingRow is a listing as it stands in the database.
type listingRow struct {
	id      int64
	script  int64
	retired bool
	at      time.Time // when it was recorded
	listing watchlist.Listing
}

// selectListing reads rows for scanListing.
func selectListing() string {
	return `
	SELECT l.id, l.script_id, l.retired, l.recorded_at, l.list, s.script, s.address, ` + columnsOf("l", listingColumns()) + `
	FROM btcwatch.listing l
	JOIN btcwatch.script s ON s.id = l.script_id`
}

// columnsOf names the columns of a table by its alias.
func columnsOf(alias string, names []string) string {
	return alias + "." + strings.Join(names, ", "+alias+".")
}

func scanListing(row pgx.CollectableRow) (r listingRow, err error) {
	var basis, notify string
	var confidence *int16
	var from, to *time.Time
	l := &r.listing
	err = row.Scan(&r.id, &r.script, &r.retired, &r.at, &l.List, &l.Address.Script, &l.Address.Text,
		&l.Label, &l.Entity, &l.Category, &basis, &l.Confidential,
		&l.Source.Title, &l.Source.Author, &l.Source.Publisher, &l.Source.Date, &l.Source.URL,
		&l.Version, &confidence, &l.Source.Locator, &l.Source.Quote, &from, &to, &notify)
	l.Basis, l.Notify = watchlist.Basis(basis), watchlist.Notify(notify)
	if confidence != nil {
		l.Confidence = watchlist.Confidence{Percent: int(*confidence), Said: true}
	}
	if from != nil {
		l.From = from.UTC()
	}
	if to != nil {
		l.To = to.UTC()
	}
	return r, err
}

func currentListings(ctx context.Context, tx pgx.Tx, condition string, args ...any) ([]listingRow, error) {
	found, err := tx.Query(ctx, selectListing()+`
		WHERE NOT l.retired
		  AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)
		  AND `+condition+`
		ORDER BY l.id`, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, scanListing)
}
