package sql

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
	"btcwatch/watchlist"
)

// ErrNotWatched says that an address is on no list, or on no list that the
// caller may change.
var ErrNotWatched = errors.New("not watched")

// ConfigList is the list that the configuration file keeps.
const ConfigList = "config"

// Changed says what one change of the list did. Import is 0 when it changed
// nothing.
type Changed struct {
	Import  int64
	Added   []chain.Address
	Changed []chain.Address
	Retired []chain.Address
}

// SyncConfig makes the list of the configuration file what the file says: new
// listings are added, changed ones superseded, missing ones retired.
func (s *Store) SyncConfig(ctx context.Context, listings []watchlist.Listing) (Changed, error) {
	return s.changeList(ctx, ConfigList, "", func(c *listChange) error {
		keep := map[int64]bool{}
		for _, l := range listings {
			l.List = ConfigList
			script, err := c.put(ctx, l)
			if err != nil {
				return err
			}
			keep[script] = true
		}
		return c.retireRest(ctx, ConfigList, keep)
	})
}

// Watch adds a listing or supersedes the one that the same list has for the
// address. actor is who did it.
func (s *Store) Watch(ctx context.Context, l watchlist.Listing, actor string) (Changed, error) {
	return s.changeList(ctx, "command", actor, func(c *listChange) error {
		_, err := c.put(ctx, l)
		return err
	})
}

// Retire takes an address off every list but the configuration file's, which
// only the file changes. What is recorded stays. ErrNotWatched where there is
// nothing to retire.
func (s *Store) Retire(ctx context.Context, a chain.Address, actor string) (Changed, error) {
	return s.changeList(ctx, "command", actor, func(c *listChange) error {
		found, err := c.current(ctx, `l.list <> $1 AND s.sha256 = $2`, ConfigList, digest(a.Script))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("retire %s: %w", a.Text, ErrNotWatched)
		}
		for _, l := range found {
			if err := c.retire(ctx, l); err != nil {
				return err
			}
		}
		return nil
	})
}

// listChange is one change of the list under the position's lock.
type listChange struct {
	tx      pgx.Tx
	store   *Store
	origin  string
	actor   string
	at      time.Time
	changed Changed
}

func (s *Store) changeList(ctx context.Context, origin, actor string, apply func(*listChange) error) (Changed, error) {
	c := &listChange{store: s, origin: origin, actor: actor, at: s.now().UTC()}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		c.tx = tx
		position, err := lockPosition(ctx, tx)
		if err != nil {
			return err
		}
		if err := apply(c); err != nil {
			return err
		}
		if c.changed.Import == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE btcwatch.position SET list_version = list_version + 1`); err != nil {
			return err
		}
		return joinAll(ctx, tx, position, c.at)
	})
	if err != nil {
		return Changed{}, fmt.Errorf("change the watch list: %w", err)
	}
	return c.changed, nil
}

// joinAll lets every listed script join the watch at the position: what is
// confirmed up to there is historic for it. Before following has a start
// nothing joins.
func joinAll(ctx context.Context, tx pgx.Tx, p Position, at time.Time) error {
	if !p.Set {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO btcwatch.joined (script_id, height, at)
		SELECT DISTINCT script_id, $1::integer, $2::timestamptz
		FROM btcwatch.listing
		ON CONFLICT DO NOTHING`, p.Height, at)
	if err != nil {
		return fmt.Errorf("join the watch at height %d: %w", p.Height, err)
	}
	return nil
}

func (c *listChange) imported(ctx context.Context) error {
	if c.changed.Import != 0 {
		return nil
	}
	return c.tx.QueryRow(ctx, `
		INSERT INTO btcwatch.import (origin, actor, at)
		VALUES ($1, $2, $3)
		RETURNING id`, c.origin, c.actor, c.at).Scan(&c.changed.Import)
}

// put makes l the current listing of its list for its address, unless it is
// already.
func (c *listChange) put(ctx context.Context, l watchlist.Listing) (script int64, err error) {
	script, err = c.script(ctx, l.Address)
	if err != nil {
		return 0, err
	}
	before, err := c.newest(ctx, script, l.List)
	if err != nil {
		return 0, err
	}
	if before != nil && !before.retired && before.same(l) {
		return script, nil
	}
	if before == nil || before.retired {
		c.changed.Added = append(c.changed.Added, l.Address)
	} else {
		c.changed.Changed = append(c.changed.Changed, l.Address)
	}
	return script, c.insert(ctx, script, l, before, false)
}

func (c *listChange) insert(ctx context.Context, script int64, l watchlist.Listing, before *listingRow, retired bool) error {
	if err := c.imported(ctx); err != nil {
		return err
	}
	var supersedes *int64
	if before != nil {
		supersedes = &before.id
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.listing (script_id, list, import_id, supersedes, retired, label, entity, category, basis,
			confidential, title, author, publisher, date, url, recorded_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		script, l.List, c.changed.Import, supersedes, retired, l.Label, l.Entity, l.Category, string(l.Basis),
		l.Confidential, l.Source.Title, l.Source.Author, l.Source.Publisher, l.Source.Date, l.Source.URL, c.at)
	if err != nil {
		return fmt.Errorf("list %s: %w", l.Address.Text, err)
	}
	return nil
}

func (c *listChange) retireRest(ctx context.Context, list string, keep map[int64]bool) error {
	found, err := c.current(ctx, `l.list = $1`, list)
	if err != nil {
		return err
	}
	for _, l := range found {
		if keep[l.script] {
			continue
		}
		if err := c.retire(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (c *listChange) retire(ctx context.Context, l listingRow) error {
	c.changed.Retired = append(c.changed.Retired, l.listing.Address)
	return c.insert(ctx, l.script, l.listing, &l, true)
}

func (c *listChange) script(ctx context.Context, a chain.Address) (id int64, err error) {
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.script (sha256, script, address)
		VALUES ($1, $2, $3)
		ON CONFLICT DO NOTHING`, digest(a.Script), a.Script, a.Text)
	if err == nil {
		err = c.tx.QueryRow(ctx, `SELECT id FROM btcwatch.script WHERE sha256 = $1`, digest(a.Script)).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("record the script of %s: %w", a.Text, err)
	}
	return id, nil
}

// listingRow is a listing as it stands in the database.
type listingRow struct {
	id      int64
	script  int64
	retired bool
	listing watchlist.Listing
}

func (r *listingRow) same(l watchlist.Listing) bool {
	a, b := r.listing, l
	a.Address, b.Address = chain.Address{}, chain.Address{}
	return a.List == b.List && a.Label == b.Label && a.Entity == b.Entity && a.Category == b.Category &&
		a.Basis == b.Basis && a.Confidential == b.Confidential && a.Source == b.Source
}

const selectListing = `
	SELECT l.id, l.script_id, l.retired, l.list, l.label, l.entity, l.category, l.basis, l.confidential,
	       l.title, l.author, l.publisher, l.date, l.url, s.script, s.address
	FROM btcwatch.listing l
	JOIN btcwatch.script s ON s.id = l.script_id`

func scanListing(row pgx.CollectableRow) (r listingRow, err error) {
	var basis string
	l := &r.listing
	err = row.Scan(&r.id, &r.script, &r.retired, &l.List, &l.Label, &l.Entity, &l.Category, &basis, &l.Confidential,
		&l.Source.Title, &l.Source.Author, &l.Source.Publisher, &l.Source.Date, &l.Source.URL,
		&l.Address.Script, &l.Address.Text)
	l.Basis = watchlist.Basis(basis)
	return r, err
}

func (c *listChange) newest(ctx context.Context, script int64, list string) (*listingRow, error) {
	found, err := c.tx.Query(ctx, selectListing+`
		WHERE l.script_id = $1
		  AND l.list = $2
		ORDER BY l.id DESC
		LIMIT 1`, script, list)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(found, scanListing)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// current gives the listings in force that meet a condition.
func (c *listChange) current(ctx context.Context, condition string, args ...any) ([]listingRow, error) {
	return currentListings(ctx, c.tx, condition, args...)
}

func currentListings(ctx context.Context, tx pgx.Tx, condition string, args ...any) ([]listingRow, error) {
	found, err := tx.Query(ctx, selectListing+`
		WHERE NOT l.retired
		  AND NOT EXISTS (SELECT FROM btcwatch.listing n WHERE n.supersedes = l.id)
		  AND `+condition+`
		ORDER BY l.id`, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, scanListing)
}

func digest(script []byte) []byte {
	sum := sha256.Sum256(script)
	return sum[:]
}
