package sql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
)

// ErrNoTransaction says that a transaction is not recorded.
var ErrNoTransaction = errors.New("no such transaction is recorded")

// The bounds of one file of evidence.
const (
	mostHeaders  = 105_120  // two years, before the block and after it
	headersAfter = 2_016    // two weeks: more work on top adds nothing to what a court can ask
	mostPrevious = 12 << 20 // bytes of previous transactions
)

// Evidence gathers what is recorded of a transaction, for others to check, as
// of one moment. ErrNoTransaction where it is not recorded.
func (s *Store) Evidence(ctx context.Context, txid chainhash.Hash) (*chain.Evidence, error) {
	e := &chain.Evidence{Network: chain.NetworkName(s.params), TxID: chain.HashText(txid)}
	e.Stated.MadeAt = s.now().UTC().Truncate(time.Second)
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		g := &gathering{tx: tx, e: e, params: s.params}
		err := tx.QueryRow(ctx, `
			SELECT t.id, coalesce(b.raw, t.raw)
			FROM btcwatch.tx t
			LEFT JOIN btcwatch.tx_bytes b ON b.tx_id = t.id
			WHERE t.txid = $1`, txid[:]).Scan(&g.id, (*[]byte)(&e.Proof.Transaction))
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNoTransaction
		}
		if err != nil {
			return err
		}
		for _, read := range []func(context.Context) error{
			g.previous, g.spent, g.place, g.starts, g.block, g.headers, g.addresses, g.listings, g.reports, g.states, g.alerts,
		} {
			if err := read(ctx); err != nil {
				return err
			}
		}
		return e.Move()
	})
	if err != nil {
		return nil, fmt.Errorf("gather the evidence of %s: %w", txid, err)
	}
	return e, nil
}

// gathering is one reading for one transaction.
type gathering struct {
	tx     pgx.Tx
	params *chaincfg.Params
	id     int64
	e      *chain.Evidence
}

// previous takes the transactions that made what is spent, where they are
// recorded: first those that paid a watched address, by which a debit is proven.
func (g *gathering) previous(ctx context.Context) error {
	found, err := g.tx.Query(ctx, `
		SELECT p.raw, q.watched, q.total <= $2
		FROM (
		    SELECT id, n, watched, sum(size) OVER (ORDER BY watched DESC, n) AS total
		    FROM (
		        SELECT p.id, min(i.n) AS n, min(octet_length(p.raw)) AS size,
		               bool_or(EXISTS (SELECT FROM btcwatch.listing l WHERE l.script_id = o.script_id)) AS watched
		        FROM btcwatch.tx_input i
		        JOIN btcwatch.tx p ON p.txid = i.prev_txid
		        LEFT JOIN btcwatch.tx_output o ON o.tx_id = p.id AND o.n = i.prev_n
		        WHERE i.tx_id = $1
		        GROUP BY p.id
		    ) r
		) q
		JOIN btcwatch.tx p ON p.id = q.id
		ORDER BY q.n`, g.id, mostPrevious)
	if err != nil {
		return err
	}
	var raw []byte
	var watched, fits bool
	_, err = pgx.ForEachRow(found, []any{&raw, &watched, &fits}, func() error {
		if watched && !fits {
			return fmt.Errorf("the transactions that it spends from have more than %d bytes, too many for one file", mostPrevious)
		}
		if fits {
			g.e.Proof.Previous = append(g.e.Proof.Previous, bytes.Clone(raw))
		}
		return nil
	})
	return err
}

// spent takes what explorers state of the rest of what is spent.
func (g *gathering) spent(ctx context.Context) (err error) {
	g.e.Stated.Spent, err = gather(ctx, g, `
		SELECT i.n, s.script, t.amount, coalesce(e.name, '')
		FROM btcwatch.tx_input i
		JOIN btcwatch.stated_output t ON t.txid = i.prev_txid AND t.n = i.prev_n
		JOIN btcwatch.script s ON s.id = t.script_id
		LEFT JOIN btcwatch.explorer e ON e.id = t.explorer_id
		WHERE i.tx_id = $1
		  AND NOT EXISTS (SELECT FROM btcwatch.tx p WHERE p.txid = i.prev_txid)
		ORDER BY i.n`, func(row pgx.CollectableRow) (s chain.EvidenceSpent, err error) {
		err = row.Scan(&s.Input, (*[]byte)(&s.Script), &s.Amount, &s.StatedBy)
		return s, err
	})
	return err
}

// place takes how far the chain was followed then.
func (g *gathering) place(ctx context.Context) error {
	p, err := scanPosition(g.tx.QueryRow(ctx, selectPosition))
	if err == nil && p.Set {
		g.e.Stated.Tip = &chain.EvidencePlace{Height: p.Height, Hash: chain.HashText(p.Hash)}
	}
	return err
}

// starts takes those of which something is followed now: on what a later one
// left behind nothing rests any more.
func (g *gathering) starts(ctx context.Context) (err error) {
	g.e.Stated.Starts, err = gather(ctx, g, `
		SELECT f.from_height, f.parent_hash, f.rests_on, f.proves, f.at
		FROM btcwatch.followed f
		WHERE $1::bigint IS NOT NULL
		ORDER BY f.id`, func(row pgx.CollectableRow) (s chain.EvidenceStart, err error) {
		var parent []byte
		err = row.Scan(&s.Height, &parent, &s.RestsOn, &s.Proves, &s.At)
		copy(s.Parent[:], parent)
		return s, err
	})
	return err
}

func (g *gathering) addresses(ctx context.Context) (err error) {
	g.e.Stated.Addresses, err = gather(ctx, g, `
		SELECT s.address, s.script
		FROM btcwatch.touch u
		JOIN btcwatch.script s ON s.id = u.script_id
		WHERE u.tx_id = $1
		ORDER BY s.id`, func(row pgx.CollectableRow) (a chain.EvidenceAddress, err error) {
		err = row.Scan(&a.Address, (*[]byte)(&a.Script))
		return a, err
	})
	return err
}

// listings takes every listing that there ever was of the addresses.
func (g *gathering) listings(ctx context.Context) error {
	for i := range g.e.Stated.Addresses {
		a := &g.e.Stated.Addresses[i]
		found, err := g.tx.Query(ctx, `
			SELECT l.list, l.label, l.entity, l.category, l.basis, l.title, l.author, l.publisher, l.date, l.url,
			       l.confidential, l.retired, l.recorded_at
			FROM btcwatch.listing l
			JOIN btcwatch.script s ON s.id = l.script_id
			WHERE s.sha256 = $1
			ORDER BY l.id`, digest(a.Script))
		if err != nil {
			return err
		}
		a.Listings, err = pgx.CollectRows(found, pgx.RowToStructByPos[chain.EvidenceListing])
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) reports(ctx context.Context) (err error) {
	g.e.Stated.Reports, err = gather(ctx, g, `
		SELECT e.name, coalesce(n.operator, ''), o.block_hash, o.at
		FROM btcwatch.observation o
		JOIN btcwatch.explorer e ON e.id = o.explorer_id
		LEFT JOIN btcwatch.explorer_now n ON n.explorer_id = e.id
		WHERE o.tx_id = $1
		ORDER BY o.at, e.name, o.block_hash`, func(row pgx.CollectableRow) (r chain.EvidenceReport, err error) {
		var block []byte
		err = row.Scan(&r.Explorer, &r.Operator, &block, &r.At)
		r.Block = hashText(block)
		return r, err
	})
	return err
}

func (g *gathering) states(ctx context.Context) (err error) {
	g.e.Stated.States, err = gather(ctx, g, `
		SELECT e.state, e.proof, e.height, e.block_hash, e.block_time, r.by_txid, e.at
		FROM btcwatch.tx_event e
		LEFT JOIN btcwatch.replacement r ON r.tx_id = e.tx_id AND r.turn = e.turn AND e.state = 'replaced'
		WHERE e.tx_id = $1
		ORDER BY e.id`, func(row pgx.CollectableRow) (s chain.EvidenceState, err error) {
		var block, by []byte
		err = row.Scan(&s.State, &s.Grade, &s.Height, &block, &s.Time, &by, &s.At)
		s.Block, s.By = hashText(block), hashText(by)
		return s, err
	})
	return err
}

func (g *gathering) alerts(ctx context.Context) (err error) {
	g.e.Stated.Alerts, err = gather(ctx, g, `
		SELECT encode(id, 'hex'), type, severity, opened_at
		FROM btcwatch.alert
		WHERE tx_id = $1
		ORDER BY seq`, pgx.RowToStructByPos[chain.EvidenceAlert])
	return err
}

// gather reads what a query about the transaction gives.
func gather[T any](ctx context.Context, g *gathering, query string, scan pgx.RowToFunc[T]) ([]T, error) {
	found, err := g.tx.Query(ctx, query, g.id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, scan)
}

func hashText(hash []byte) *chain.HashText {
	if len(hash) != chainhash.HashSize {
		return nil
	}
	text := chain.HashText(hash)
	return &text
}
