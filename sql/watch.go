package sql

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
	"btcwatch/watchlist"
)

// ErrNotWatched says that an address is on no list, or on no list that the
// caller may change.
var ErrNotWatched = errors.New("not watched")

// The lists that are no file's: what the configuration keeps, and what watch add adds.
const (
	ConfigList  = "config"
	CommandList = "command"
)

// Changed counts what one change of the list did. Import is 0 when it changed
// nothing.
type Changed struct {
	Import  int64
	Added   int64
	Changed int64
	Retired int64
	Held    int64 // rows of the file that are not watched
	Entries int64 // rows of the file in all
}

// SyncConfig makes the list of the configuration file what the file says: new
// listings are added, changed ones superseded, missing ones retired.
func (s *Store) SyncConfig(ctx context.Context, listings []watchlist.Listing) (Changed, error) {
	return s.changeList(ctx, &listChange{list: ConfigList, origin: ConfigList, whole: true, rows: rowsOf(listings...)})
}

// Watch adds a listing or supersedes the one that the same list has for the
// address. actor is who did it.
func (s *Store) Watch(ctx context.Context, l watchlist.Listing, actor string) (Changed, error) {
	return s.changeList(ctx, &listChange{list: l.List, origin: CommandList, actor: actor, rows: rowsOf(l)})
}

// Retire takes an address off every list but the configuration file's, which
// only the file changes. What is recorded stays. ErrNotWatched where there is
// nothing to retire.
func (s *Store) Retire(ctx context.Context, a chain.Address, actor string) (Changed, error) {
	changed, err := s.changeList(ctx, &listChange{origin: CommandList, actor: actor, retire: &a})
	if err == nil && changed.Retired == 0 {
		return Changed{}, fmt.Errorf("retire %s: %w", a.Text, ErrNotWatched)
	}
	return changed, err
}

func rowsOf(listings ...watchlist.Listing) iter.Seq2[watchlist.Row, error] {
	return func(yield func(watchlist.Row, error) bool) {
		for l := range slices.Values(listings) {
			if !yield(watchlist.Row{Listing: l}, nil) {
				return
			}
		}
	}
}

// listChange is one change of one list, or a retirement from all.
type listChange struct {
	list   string
	origin string // config, command, or where the file came from
	actor  string
	whole  bool // what is on the list and not among the rows is retired
	rows   iter.Seq2[watchlist.Row, error]
	retire *chain.Address // instead of rows: off every list but the configuration's
	file   *Import        // nil: there is none
	dry    bool           // nothing of it stays

	tx         pgx.Tx
	at         time.Time
	changed    Changed
	heldDigest []byte
	sum        [32]byte // of the file
}

// errDry ends a change that is only to be seen.
var errDry = errors.New("only a trial")

// changeList writes one change, all of it or nothing. What takes long is done
// before the position is locked: the rows are brought to the database, where
// they are compared as a whole.
func (s *Store) changeList(ctx context.Context, c *listChange) (Changed, error) {
	c.at = s.now().UTC()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		c.tx = tx
		if err := c.bring(ctx); err != nil {
			return err
		}
		position, err := lockPosition(ctx, tx)
		if err != nil {
			return err
		}
		if err := c.apply(ctx); err != nil {
			return err
		}
		if c.dry {
			return errDry
		}
		if c.changed.Import == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE btcwatch.position SET list_version = list_version + 1`); err != nil {
			return err
		}
		return joinAll(ctx, tx, position, c.at)
	})
	if err != nil && !errors.Is(err, errDry) {
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
		SELECT DISTINCT l.script_id, $1::integer, $2::timestamptz
		FROM btcwatch.listing l
		WHERE NOT EXISTS (SELECT FROM btcwatch.joined j WHERE j.script_id = l.script_id)
		ON CONFLICT DO NOTHING`, p.Height, at)
	if err != nil {
		return fmt.Errorf("join the watch at height %d: %w", p.Height, err)
	}
	return nil
}

func digest(script []byte) []byte {
	sum := sha256.Sum256(script)
	return sum[:]
}
