package sql

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"

	"btcwatch/watchlist"
)

// bring copies the rows to tables of this transaction, however many they are,
// without holding them in memory.
func (c *listChange) bring(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, `
		CREATE TEMPORARY TABLE incoming ON COMMIT DROP AS
		SELECT 0::bigint AS n, s.sha256, s.script, s.address, h.line, h.text, h.symbol, h.reason, h.words, `+columnsOf("l", listingColumns())+`
		FROM btcwatch.listing l
		JOIN btcwatch.script s ON s.id = l.script_id
		JOIN btcwatch.held h ON h.import_id = l.import_id
		WITH NO DATA`)
	if err == nil {
		_, err = c.tx.Exec(ctx, `
		CREATE TEMPORARY TABLE difference ON COMMIT DROP AS
		SELECT 0::bigint AS n, l.script_id, l.list, l.supersedes, l.retired, ''::text AS how, `+columnsOf("l", listingColumns())+`
		FROM btcwatch.listing l
		WITH NO DATA`)
	}
	if err != nil {
		return fmt.Errorf("make room for the rows: %w", err)
	}
	if c.rows == nil {
		return nil
	}
	next, stop := iter.Pull2(c.rows)
	defer stop()
	source := &incoming{next: next, held: sha256.New()}
	columns := append([]string{"n", "sha256", "script", "address", "line", "text", "symbol", "reason", "words"}, listingColumns()...)
	_, err = c.tx.CopyFrom(ctx, pgx.Identifier{"incoming"}, columns, pgx.CopyFromFunc(source.row))
	switch {
	case source.err != nil:
		return source.err
	case err != nil:
		return fmt.Errorf("bring the rows: %w", err)
	}
	c.changed.Entries, c.changed.Held, c.heldDigest = source.n, source.nHeld, source.held.Sum(nil)
	if c.file != nil && c.file.SHA256 != nil {
		c.sum = c.file.SHA256()
	}
	_, err = c.tx.Exec(ctx, `ANALYZE incoming`)
	return err
}

// incoming gives the rows as the database is to have them, one after the other.
type incoming struct {
	next  func() (watchlist.Row, error, bool)
	err   error // of the rows: the one that the database gives says less
	n     int64
	nHeld int64
	held  hash.Hash // over the rows held
}

func (in *incoming) row() ([]any, error) {
	row, err, more := in.next()
	if err != nil || !more {
		in.err = err
		return nil, err
	}
	in.n++
	if row.Held == nil {
		a := row.Listing.Address
		return append([]any{in.n, digest(a.Script), a.Script, a.Text, nil, nil, nil, nil, nil}, said(row.Listing)...), nil
	}
	in.nHeld++
	fmt.Fprintf(in.held, "%d %q %q %s %q %q %q\n", row.Line, row.Text, row.Symbol, row.Held.Reason, row.Held.Words, row.Listing.Label, row.Listing.Entity)
	why := []any{in.n, nil, nil, nil, int64(row.Line), storable(row.Text), storable(row.Symbol), string(row.Held.Reason), storable(row.Held.Words)}
	return append(why, said(row.Listing)...), nil
}

// apply finds out what the change is, under the position's lock, and writes it.
func (c *listChange) apply(ctx context.Context) error {
	steps := []func(context.Context) error{c.recordScripts, c.compare, c.count, c.checkSize, c.showEach, c.write, c.recordReading}
	if c.retire != nil {
		steps = []func(context.Context) error{c.compareRetired, c.count, c.write}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *listChange) recordScripts(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.script (sha256, script, address)
		SELECT DISTINCT ON (sha256) sha256, script, address
		FROM incoming i
		WHERE reason IS NULL
		  AND NOT EXISTS (SELECT FROM btcwatch.script s WHERE s.sha256 = i.sha256)
		ORDER BY sha256, n
		ON CONFLICT DO NOTHING`)
	if err != nil {
		return fmt.Errorf("record the scripts: %w", err)
	}
	return nil
}

// compare lays the rows beside the list as it stands. Of two rows with one
// script the later counts.
func (c *listChange) compare(ctx context.Context) error {
	columns := listingColumns()
	var either []string
	for _, name := range columns {
		either = append(either, fmt.Sprintf("CASE WHEN w.script_id IS NULL THEN b.%s ELSE w.%[1]s END", name))
	}
	_, err := c.tx.Exec(ctx, `
		WITH wanted AS (
		    SELECT DISTINCT ON (s.id) i.n, s.id AS script_id, `+columnsOf("i", columns)+`
		    FROM incoming i
		    JOIN btcwatch.script s ON s.sha256 = i.sha256 -- those held have none
		    ORDER BY s.id, i.n DESC
		), standing AS (
		    SELECT l.id, l.script_id, l.retired, `+columnsOf("l", columns)+`
		    FROM btcwatch.listing l
		    WHERE l.list = $1
		      AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)
		)
		INSERT INTO difference
		SELECT w.n, script_id, $1, b.id, w.script_id IS NULL,
		       CASE WHEN w.script_id IS NULL THEN 'retired' WHEN b.id IS NULL OR b.retired THEN 'added' ELSE 'changed' END,
		       `+strings.Join(either, ", ")+`
		FROM wanted w
		FULL JOIN standing b USING (script_id)
		WHERE CASE WHEN w.script_id IS NULL THEN $2 AND NOT b.retired
		           ELSE b.id IS NULL OR b.retired OR (`+columnsOf("w", columns)+`) IS DISTINCT FROM (`+columnsOf("b", columns)+`) END`,
		c.list, c.whole)
	if err != nil {
		return fmt.Errorf("compare with the list as it stands: %w", err)
	}
	return nil
}

// compareRetired finds the lists that have an address, but the configuration's.
func (c *listChange) compareRetired(ctx context.Context) error {
	columns := columnsOf("l", listingColumns())
	_, err := c.tx.Exec(ctx, `
		INSERT INTO difference
		SELECT NULL, l.script_id, l.list, l.id, true, 'retired', `+columns+`
		FROM btcwatch.listing l
		JOIN btcwatch.script s ON s.id = l.script_id
		WHERE s.sha256 = $1
		  AND l.list <> $2
		  AND NOT l.retired
		  AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)`, digest(c.retire.Script), ConfigList)
	if err != nil {
		return fmt.Errorf("find the lists of %s: %w", c.retire.Text, err)
	}
	return nil
}

func (c *listChange) count(ctx context.Context) error {
	return c.tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE how = 'added'), count(*) FILTER (WHERE how = 'changed'), count(*) FILTER (WHERE how = 'retired')
		FROM difference`).Scan(&c.changed.Added, &c.changed.Changed, &c.changed.Retired)
}

// write records the change, if it is one.
func (c *listChange) write(ctx context.Context) error {
	fresh, err := c.heldChanged(ctx)
	if err != nil {
		return err
	}
	if c.changed.Added+c.changed.Changed+c.changed.Retired == 0 && !fresh {
		return nil
	}
	if err := c.imported(ctx); err != nil {
		return err
	}
	columns := listingColumns()
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.listing (script_id, list, import_id, supersedes, retired, `+strings.Join(columns, ", ")+`, recorded_at)
		SELECT d.script_id, d.list, $1, d.supersedes, d.retired, `+columnsOf("d", columns)+`, $2
		FROM difference d
		ORDER BY d.n, d.supersedes`, c.changed.Import, c.at)
	if err != nil {
		return fmt.Errorf("write the listings: %w", err)
	}
	return c.writeHeld(ctx)
}

func (c *listChange) imported(ctx context.Context) error {
	var format string
	var sum []byte
	var entries *int64
	if c.file != nil {
		format, sum, entries = c.file.Format, c.sum[:], &c.changed.Entries
	}
	err := c.tx.QueryRow(ctx, `
		INSERT INTO btcwatch.import (origin, actor, at, list, format, sha256, entries, held_digest)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		RETURNING id`, c.origin, c.actor, c.at, c.list, format, sum, entries, c.heldOfFile()).Scan(&c.changed.Import)
	if err != nil {
		return fmt.Errorf("record the change: %w", err)
	}
	return nil
}

// heldOfFile is the digest of the rows held; nil where there was no file.
func (c *listChange) heldOfFile() []byte {
	if c.file == nil {
		return nil
	}
	return c.heldDigest
}

// heldChanged says whether other rows are held than when the list was last read.
func (c *listChange) heldChanged(ctx context.Context) (changed bool, err error) {
	if c.file == nil {
		return false, nil
	}
	err = c.tx.QueryRow(ctx, `
		SELECT coalesce((
		    SELECT held_digest
		    FROM btcwatch.import
		    WHERE list = $1
		      AND held_digest IS NOT NULL
		    ORDER BY id DESC
		    LIMIT 1), $2) <> $3`, c.list, sha256.New().Sum(nil), c.heldDigest).Scan(&changed)
	if err != nil {
		return false, fmt.Errorf("compare what is held: %w", err)
	}
	return changed, nil
}

func (c *listChange) writeHeld(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.held (import_id, n, line, text, symbol, reason, words, label, entity)
		SELECT $1, n, line, text, symbol, reason, words, label, entity
		FROM incoming
		WHERE reason IS NOT NULL`, c.changed.Import)
	if err != nil {
		return fmt.Errorf("write what is held: %w", err)
	}
	return nil
}

// recordReading notes that the file was read and taken, also where it says what
// the list said before: a list is as good as it is fresh.
func (c *listChange) recordReading(ctx context.Context) error {
	if c.file == nil {
		return nil
	}
	var change *int64
	if c.changed.Import != 0 {
		change = &c.changed.Import
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.list_read (list, origin, actor, at, format, sha256, entries, held, import_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		c.list, c.origin, c.actor, c.at, c.file.Format, c.sum[:], c.changed.Entries, c.changed.Held, change)
	if err != nil {
		return fmt.Errorf("note that the list %s was read: %w", c.list, err)
	}
	return nil
}
