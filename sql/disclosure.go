package sql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
)

// What a question may be about.
const (
	AboutAddress     = "address"
	AboutTransaction = "transaction"
)

// SetPrivacy records the privacy mode that is in force from now on: ask, own or
// blocks. It gives what was in force before, which is ask in the beginning, and
// since when.
func (s *Store) SetPrivacy(ctx context.Context, mode string) (before string, since time.Time, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT n.mode, coalesce(p.at, i.created_at)
		FROM btcwatch.privacy_now n
		CROSS JOIN btcwatch.installation i
		LEFT JOIN (SELECT at FROM btcwatch.privacy ORDER BY id DESC LIMIT 1) p ON true`).Scan(&before, &since)
	if err == nil && before != mode {
		_, err = s.pool.Exec(ctx, `
			INSERT INTO btcwatch.privacy (mode, at)
			VALUES ($1, $2)`, mode, s.now().UTC())
	}
	if err != nil {
		return "", since, fmt.Errorf("record the privacy mode: %w", err)
	}
	return before, since, nil
}

// Privacy is the privacy mode that the daemon took up last.
func (s *Store) Privacy(ctx context.Context) (mode string, err error) {
	err = s.pool.QueryRow(ctx, `SELECT mode FROM btcwatch.privacy_now`).Scan(&mode)
	if err != nil {
		return "", fmt.Errorf("read the privacy mode: %w", err)
	}
	return mode, nil
}

// Unasked says why nobody is asked about an address; empty where explorers are.
func (s *Store) Unasked(ctx context.Context, a chain.Address) (why string, err error) {
	mode, err := s.Privacy(ctx)
	if err != nil || mode == "blocks" {
		return "privacy mode blocks", err
	}
	_, private, err := s.AddressConcern(ctx, a.Script)
	if err == nil && private {
		return "confidential", nil
	}
	return "", err
}

// AddressConcern gives the row of a watched script, and whether nobody may be
// asked about it; ErrNotWatched for one that was never listed.
func (s *Store) AddressConcern(ctx context.Context, script []byte) (id int64, private bool, err error) {
	err = s.pool.QueryRow(ctx, `
		SELECT id, btcwatch.private(id)
		FROM btcwatch.script
		WHERE sha256 = $1
		  AND EXISTS (SELECT FROM btcwatch.listing l WHERE l.script_id = script.id)`, digest(script)).Scan(&id, &private)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, true, ErrNotWatched
	}
	if err != nil {
		return 0, true, fmt.Errorf("read whether an address may be asked about: %w", err)
	}
	return id, private, nil
}

// TransactionConcern gives which watched scripts questions about transactions
// point to, and whether nobody may be asked about one of these: the scripts that
// recorded transactions of these ids concern, and those of which a recorded
// transaction spends from one of these ids. More scripts may be given. No scripts
// at all says that nothing recorded is concerned, not that one may ask.
func (s *Store) TransactionConcern(ctx context.Context, ids []chainhash.Hash, more []int64) (scripts []int64, private bool, err error) {
	txids := make([][]byte, len(ids))
	for i := range ids {
		txids[i] = ids[i][:]
	}
	err = s.pool.QueryRow(ctx, `
		SELECT coalesce(array_agg(script_id), '{}'), coalesce(bool_or(btcwatch.private(script_id)), false)
		FROM (
		    SELECT u.script_id
		    FROM btcwatch.tx t
		    JOIN btcwatch.touch u ON u.tx_id = t.id
		    WHERE t.txid = ANY($1)
		    UNION
		    SELECT u.script_id
		    FROM btcwatch.tx_input i
		    JOIN btcwatch.touch u ON u.tx_id = i.tx_id
		    WHERE i.prev_txid = ANY($1)
		    UNION
		    SELECT unnest($2::bigint[])
		) x`, txids, more).Scan(&scripts, &private)
	if err != nil {
		return nil, true, fmt.Errorf("read whether a transaction may be asked about: %w", err)
	}
	return scripts, private, nil
}

// Concerned gives, by txid, which watched scripts transactions touch, be they
// recorded or not.
func (w *Writer) Concerned(ctx context.Context, txs []*chain.Transaction) (map[chainhash.Hash][]int64, error) {
	concerned := map[chainhash.Hash][]int64{}
	err := w.commit(ctx, "match", func(c *commit) error {
		for _, tx := range txs {
			for _, e := range c.set.match.Effects(tx) {
				concerned[tx.ID] = append(concerned[tx.ID], e.Script)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("match transactions: %w", err)
	}
	return concerned, nil
}

// Disclosure is that a watched address is heard of in one kind of question.
type Disclosure struct {
	Script int64
	About  string // AboutAddress or AboutTransaction
}

// Hearer is who hears, and on which UTC day (2006-01-02).
type Hearer struct {
	Explorer string
	Operator string
	Day      string
}

// Disclosed is what becomes of the questions of one disclosure: some are
// announced, to be put after this is recorded; of those announced before, some
// were put, and some will never be.
type Disclosed struct {
	Announced, Put, Dropped int64
}

// SaveDisclosures adds to the record of what an explorer was told. It is not
// fenced like facts are: what a daemon that has lost the lead asked all the same
// was disclosed too.
func (s *Store) SaveDisclosures(ctx context.Context, to Hearer, all map[Disclosure]Disclosed) error {
	if len(all) == 0 {
		return nil
	}
	var scripts, announced, put, dropped []int64
	var abouts []string
	for _, d := range inOrder(all) { // the same for all, so that two writers cannot wait for each other
		scripts, abouts = append(scripts, d.Script), append(abouts, d.About)
		announced, put, dropped = append(announced, all[d].Announced), append(put, all[d].Put), append(dropped, all[d].Dropped)
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		hearer, err := hearerID(ctx, tx, to)
		if err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `
			INSERT INTO btcwatch.disclosure AS d (script_id, day, hearer_id, about, announced)
			SELECT u.script, $1::text::date, $2, u.about, u.announced
			FROM unnest($3::bigint[], $4::text[], $5::bigint[]) AS u (script, about, announced)
			WHERE u.announced > 0
			ON CONFLICT (script_id, day, hearer_id, about) DO UPDATE
			SET announced = d.announced + excluded.announced`, to.Day, hearer, scripts, abouts, announced); err != nil {
			return err
		}
		// Where a commit was made and not heard of, what it settled is settled
		// again: the count is then too high, and announced must not fall below 0.
		_, err = tx.Exec(ctx, `
			UPDATE btcwatch.disclosure d
			SET asked = d.asked + u.put, announced = greatest(0, d.announced - u.put - u.dropped)
			FROM unnest($3::bigint[], $4::text[], $5::bigint[], $6::bigint[]) AS u (script, about, put, dropped)
			WHERE d.script_id = u.script
			  AND d.about = u.about
			  AND d.day = $1::text::date
			  AND d.hearer_id = $2
			  AND u.put + u.dropped > 0`, to.Day, hearer, scripts, abouts, put, dropped)
		return err
	})
	if err != nil {
		return fmt.Errorf("record what %s is told: %w", to.Explorer, err)
	}
	return nil
}

func inOrder(all map[Disclosure]Disclosed) []Disclosure {
	ordered := make([]Disclosure, 0, len(all))
	for d := range all {
		ordered = append(ordered, d)
	}
	slices.SortFunc(ordered, func(a, b Disclosure) int {
		return cmp.Or(cmp.Compare(a.Script, b.Script), cmp.Compare(a.About, b.About))
	})
	return ordered
}

func hearerID(ctx context.Context, tx pgx.Tx, to Hearer) (id int32, err error) {
	const read = `
		SELECT h.id
		FROM btcwatch.hearer h
		JOIN btcwatch.explorer e ON e.id = h.explorer_id
		WHERE e.name = $1
		  AND h.operator = $2`
	err = tx.QueryRow(ctx, read, to.Explorer, to.Operator).Scan(&id)
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	named, err := nameExplorer(ctx, tx, to.Explorer) // check may be run before the daemon
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO btcwatch.hearer (explorer_id, operator)
		VALUES ($1, $2)
		ON CONFLICT DO NOTHING`, named, to.Operator)
	if err != nil {
		return 0, err
	}
	return id, tx.QueryRow(ctx, read, to.Explorer, to.Operator).Scan(&id)
}
