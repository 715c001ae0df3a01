package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
)

// Unshown is a payment from within the watch, in the state it is in now, that a
// configured explorer has not shown so.
type Unshown struct {
	Script, Tx int64
	Address    string
	TxID       chainhash.Hash
	State      alerts.State
	Proof      alerts.Proof
	Height     int32     // 0 while unconfirmed
	Block      string    // empty while unconfirmed
	Since      time.Time // when it came to be in that state, here
	Explorer   string    // that has not shown it
	By         string    // that showed it first; empty where none is known
}

// recent is how deep payments lie of which every explorer has long been asked.
const recent = 432

// Unshown gives those that are not deep in the chain yet: of the explorers that
// list what happened at an address, and, of what is unconfirmed, of those that
// know transactions alone.
func (s *Store) Unshown(ctx context.Context, listing, knowing []string, most int) ([]Unshown, error) {
	found, err := s.pool.Query(ctx, `
		SELECT u.script_id, n.tx_id, s.address, t.txid, n.state, n.proof, coalesce(n.height, 0),
		       coalesce(btcwatch.display(n.block_hash), ''), v.since, e.name,
		       coalesce((
		           SELECT f.name
		           FROM btcwatch.observation o
		           JOIN btcwatch.explorer f ON f.id = o.explorer_id
		           WHERE o.tx_id = n.tx_id AND o.block_hash = coalesce(n.block_hash, '')
		           ORDER BY o.at, f.name
		           LIMIT 1), '')
		FROM btcwatch.tx_now n
		JOIN btcwatch.tx t ON t.id = n.tx_id
		JOIN btcwatch.touch u ON u.tx_id = n.tx_id AND NOT u.historic
		JOIN btcwatch.script s ON s.id = u.script_id
		CROSS JOIN btcwatch.position p
		CROSS JOIN LATERAL (
		    SELECT min(v.at) AS since
		    FROM btcwatch.tx_event v
		    WHERE v.tx_id = n.tx_id AND v.turn = n.turn AND v.state = n.state AND v.block_hash IS NOT DISTINCT FROM n.block_hash
		) v
		JOIN btcwatch.explorer_now x ON x.configured
		JOIN btcwatch.explorer e ON e.id = x.explorer_id
		WHERE (n.state = 'unconfirmed' OR n.state = 'confirmed' AND n.height > p.height - $2)
		  AND (e.name = ANY($1) OR n.state = 'unconfirmed' AND e.name = ANY($4))
		  AND btcwatch.askable(n.tx_id)
		  AND EXISTS (SELECT FROM btcwatch.listing_now l WHERE l.script_id = u.script_id)
		  AND NOT EXISTS (
		      SELECT FROM btcwatch.observation o
		      WHERE o.tx_id = n.tx_id AND o.explorer_id = e.id AND o.block_hash = coalesce(n.block_hash, ''))
		ORDER BY v.since DESC, n.tx_id, e.name
		LIMIT $3`, orNone(listing), recent, most, orNone(knowing))
	if err != nil {
		return nil, fmt.Errorf("read what explorers have not shown: %w", err)
	}
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (u Unshown, err error) {
		var txid []byte
		if err = row.Scan(&u.Script, &u.Tx, &u.Address, &txid, &u.State, &u.Proof, &u.Height, &u.Block, &u.Since, &u.Explorer, &u.By); err == nil {
			u.TxID = chainhash.Hash(txid)
		}
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what explorers have not shown: %w", err)
	}
	return all, nil
}

// selectSettled gives the disagreements that are over, how, and who was wrong. One
// about a payment that a block holds ends when the explorer shows it there: then
// it was wrong before, unless it was about the mempool, where nobody has to know
// anything. A block that left the chain makes nobody wrong; one that was read and
// does not hold the payment does.
const selectSettled = `
	SELECT d.id,
	       CASE
	           WHEN d.kind = 'mempool' AND n.state = 'unconfirmed' THEN 'agreed'
	           WHEN n.state = 'confirmed' AND n.proof = 'proven' THEN 'shown'
	           WHEN n.state = 'confirmed' THEN 'agreed'
	           WHEN invented.is THEN 'shown'
	           ELSE 'moot'
	       END,
	       coalesce(CASE
	           WHEN d.kind = 'transaction' AND n.state = 'confirmed' AND n.proof = 'proven'
	               AND (d.other_id IS NULL OR EXISTS (
	                   SELECT FROM btcwatch.observation b
	                   WHERE b.tx_id = d.tx_id AND b.explorer_id = d.other_id AND b.block_hash = n.block_hash)) THEN e.name
	           WHEN invented.is THEN o.name
	       END, '')
	FROM btcwatch.disagreement_open d
	JOIN btcwatch.tx_now n ON n.tx_id = d.tx_id
	JOIN btcwatch.explorer e ON e.id = d.explorer_id
	LEFT JOIN btcwatch.explorer o ON o.id = d.other_id
	CROSS JOIN LATERAL (
	    SELECT d.kind = 'transaction' AND n.state <> 'confirmed' AND EXISTS (
	        SELECT FROM btcwatch.observation b
	        WHERE b.tx_id = d.tx_id
	          AND b.explorer_id = d.other_id
	          AND b.block_hash <> ''
	          AND (EXISTS (SELECT FROM btcwatch.absence x WHERE x.tx_id = b.tx_id AND x.block_hash = b.block_hash)
	            OR EXISTS (SELECT FROM btcwatch.block k WHERE k.hash = b.block_hash)
	               AND NOT EXISTS (
	                   SELECT FROM btcwatch.placement p
	                   JOIN btcwatch.block k ON k.id = p.block_id
	                   WHERE p.tx_id = b.tx_id AND k.hash = b.block_hash)
	            OR NOT EXISTS (SELECT FROM btcwatch.block k WHERE k.hash = b.block_hash)
	               AND EXISTS (
	                   SELECT FROM btcwatch.tx_event v
	                   CROSS JOIN btcwatch.position q
	                   WHERE v.tx_id = b.tx_id AND v.block_hash = b.block_hash AND v.height <= q.height - 6))) AS is
	) invented
	WHERE d.kind IN ('transaction', 'mempool')
	  AND (n.state IN ('replaced', 'dropped')
	    OR d.kind = 'transaction' AND n.state = 'unconfirmed'
	    OR d.kind = 'mempool' AND n.state = 'confirmed'
	    OR d.kind = 'transaction' AND d.other_id IS NOT NULL AND n.state = 'confirmed' AND n.proof = 'proven'
	    OR EXISTS (
	        SELECT FROM btcwatch.observation b
	        WHERE b.tx_id = d.tx_id AND b.explorer_id = d.explorer_id AND b.block_hash = coalesce(n.block_hash, '')))
	UNION ALL
	SELECT d.id, 'shown',
	       CASE WHEN f.own AND NOT f.other THEN e.name WHEN f.other AND NOT f.own THEN o.name ELSE '' END
	FROM btcwatch.disagreement_open d
	JOIN btcwatch.explorer e ON e.id = d.explorer_id
	JOIN btcwatch.explorer o ON o.id = d.other_id
	CROSS JOIN LATERAL (
	    SELECT bool_or(w.explorer_id = d.explorer_id AND w.differs) AS own,
	           bool_or(w.explorer_id = d.other_id AND w.differs) AS other
	    FROM (
	        SELECT s.explorer_id, s.script_id IS DISTINCT FROM t.script_id OR s.amount IS DISTINCT FROM t.amount AS differs
	        FROM btcwatch.tx p
	        LEFT JOIN btcwatch.tx_output t ON t.tx_id = p.id AND t.n = split_part(d.subject, ':', 2)::bigint
	        JOIN (
	            SELECT txid, n, explorer_id, script_id, amount FROM btcwatch.stated_output
	            UNION ALL
	            SELECT txid, n, explorer_id, script_id, amount FROM btcwatch.stated_also
	        ) s ON s.txid = p.txid AND s.n = split_part(d.subject, ':', 2)::bigint
	        WHERE p.txid = decode(btcwatch.display(decode(split_part(d.subject, ':', 1), 'hex')), 'hex')
	    ) w
	    HAVING count(*) > 0
	) f
	WHERE d.kind = 'amount'`

// SettleDisagreements ends those about payments and amounts that are over, and
// names who was wrong where the chain, or the transaction that made an output,
// shows it. Others who compare end the rest.
func (w *Writer) SettleDisagreements(ctx context.Context) error {
	err := w.commit(ctx, "disagreements settled", func(c *commit) error {
		found, err := c.tx.Query(ctx, selectSettled)
		if err != nil {
			return err
		}
		type end struct {
			id         int64
			how, wrong string
		}
		ends, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (e end, err error) {
			err = row.Scan(&e.id, &e.how, &e.wrong)
			return e, err
		})
		if err != nil {
			return err
		}
		for _, e := range ends {
			if err := c.agreeAgain(ctx, e.id, e.how, e.wrong); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("settle disagreements: %w", err)
	}
	return nil
}

// orNone makes an empty list of nil, which would be null.
func orNone(names []string) []string { return append([]string{}, names...) }
