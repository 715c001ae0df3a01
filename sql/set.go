package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
	"btcwatch/watchlist"
)

// watchedSet is the list as it stands at one version, ready for matching.
// Retired addresses stay in it: what happens there is recorded, and not told.
type watchedSet struct {
	version int64
	match   *chain.Watched
	scripts map[int64]*watchedScript
}

// watchedScript is one script that is or was on a list.
type watchedScript struct {
	address  chain.Address
	joined   *int32 // what is confirmed up to there is historic
	since    *time.Time
	listings []watchlist.Listing // in force; none: retired
	secret   bool                // it is or was confidential
}

// load reads the list, the outputs known to belong to it and the explorers,
// within the transaction that is about to use them.
func (c *commit) load(ctx context.Context) error {
	if err := joinAll(ctx, c.tx, c.position, c.at); err != nil {
		return err
	}
	set := &watchedSet{version: c.position.ListVersion, match: chain.NewWatched(), scripts: map[int64]*watchedScript{}}
	for _, read := range []func(context.Context, pgx.Tx, *watchedSet) error{readScripts, readForks, readListings, readHeld, readWhole} {
		if err := read(ctx, c.tx, set); err != nil {
			return fmt.Errorf("load the watch list: %w", err)
		}
	}
	if c.tell.Canary != nil {
		set.match.Canary(c.tell.Canary.Script)
	}
	if err := c.loadSources(ctx); err != nil {
		return err
	}
	c.set = set
	return nil
}

func readScripts(ctx context.Context, tx pgx.Tx, set *watchedSet) error {
	found, err := tx.Query(ctx, `
		SELECT s.id, s.script, s.address, j.height, j.at, l.secret
		FROM (SELECT script_id, bool_or(confidential) AS secret FROM btcwatch.listing GROUP BY script_id) l
		JOIN btcwatch.script s ON s.id = l.script_id
		LEFT JOIN btcwatch.joined j ON j.script_id = s.id`)
	if err != nil {
		return err
	}
	var id int64
	var s watchedScript
	_, err = pgx.ForEachRow(found, []any{&id, &s.address.Script, &s.address.Text, &s.joined, &s.since, &s.secret}, func() error {
		script := s
		set.scripts[id] = &script
		set.match.Watch(script.address.Script, id)
		s = watchedScript{}
		return nil
	})
	return err
}

// readForks lowers the heights at which scripts joined to where the chain was
// reorganised since.
func readForks(ctx context.Context, tx pgx.Tx, set *watchedSet) error {
	found, err := tx.Query(ctx, `
		SELECT min(b.height) - 1, e.at
		FROM btcwatch.block_event e
		JOIN btcwatch.block b ON b.id = e.block_id
		WHERE NOT e.on_chain
		GROUP BY e.at
		UNION ALL
		SELECT fork, at
		FROM btcwatch.start
		WHERE begins
		  AND fork IS NOT NULL`)
	if err != nil {
		return err
	}
	var height int32
	var at time.Time
	_, err = pgx.ForEachRow(found, []any{&height, &at}, func() error {
		set.forkAt(height, at)
		return nil
	})
	return err
}

// forkAt lowers the heights at which scripts joined before that time (zero:
// now). What a new branch holds above the fork is from after their watch began,
// however low it lies, and is told.
func (s *watchedSet) forkAt(height int32, at time.Time) {
	for _, script := range s.scripts {
		if script.joined != nil && *script.joined > height && (at.IsZero() || !at.Before(*script.since)) {
			script.joined = &height
		}
	}
}

func readListings(ctx context.Context, tx pgx.Tx, set *watchedSet) error {
	listings, err := currentListings(ctx, tx, `true`)
	if err != nil {
		return err
	}
	for _, l := range listings {
		s := set.scripts[l.script]
		s.listings = append(s.listings, l.listing)
	}
	return nil
}

func readHeld(ctx context.Context, tx pgx.Tx, set *watchedSet) error {
	found, err := tx.Query(ctx, `
		SELECT t.txid, o.n, o.script_id, o.amount
		FROM (SELECT DISTINCT script_id FROM btcwatch.listing) l
		JOIN btcwatch.tx_output o ON o.script_id = l.script_id
		JOIN btcwatch.tx t ON t.id = o.tx_id`)
	if err != nil {
		return err
	}
	var (
		txid []byte
		n    int32
		held chain.Held
	)
	_, err = pgx.ForEachRow(found, []any{&txid, &n, &held.Script, &held.Amount}, func() error {
		out := wire.OutPoint{Index: uint32(n)}
		copy(out.Hash[:], txid)
		set.match.Hold(out, held)
		return nil
	})
	return err
}

// readWhole lets inputs count by what they reveal while the past of an address
// is not read: not all that it holds is known then. A confidential address is
// never asked about, so that for it this is so for ever.
func readWhole(ctx context.Context, tx pgx.Tx, set *watchedSet) error {
	var missing bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (
		    SELECT FROM btcwatch.listing_now l
		    WHERE NOT EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = l.script_id))`).Scan(&missing)
	if missing {
		set.match.Reveal()
	}
	return err
}

func (c *commit) loadSources(ctx context.Context) error {
	found, err := c.tx.Query(ctx, `SELECT name, id FROM btcwatch.explorer`)
	if err != nil {
		return err
	}
	var name string
	var id int32
	_, err = pgx.ForEachRow(found, []any{&name, &id}, func() error {
		c.ids[name] = id
		return nil
	})
	if err != nil {
		return fmt.Errorf("load the explorers: %w", err)
	}
	err = c.tx.QueryRow(ctx, `
		SELECT rests_on, proves
		FROM btcwatch.start_now`).Scan(&c.restsOn, &c.proves)
	if err == pgx.ErrNoRows {
		c.restsOn, c.proves = "", false
		return nil
	}
	return err
}
