package sql

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
)

// Question is one address that explorers may be asked about.
type Question struct {
	Script  int64
	Address chain.Address
	Joined  *int32     // height at which its watch began; nil before following has a start
	Pending bool       // an unconfirmed payment of it is recorded
	Known   bool       // its history was read to the end at least once
	ReadAt  *time.Time // when that was last done, with any explorer
	AskedAt *time.Time // last good answer of any explorer that brought news; nil: none yet
	Asked   map[string]Asked
}

// Asked is how the last questions about an address to one explorer went.
type Asked struct {
	Signal string // the counters before its last complete reading; empty: none yet
	Read   bool   // it was read to the end
	Failed bool   // the last question failed, and nothing good came since
}

// Questions gives the addresses in force that may be asked about, in the order
// in which they were listed. Confidential ones are never among them, and none
// is where the privacy mode in force is blocks.
func (s *Store) Questions(ctx context.Context) ([]*Question, error) {
	return s.questions(ctx, false, nil)
}

// QuestionsAbout gives those of the Questions that are about these scripts.
func (s *Store) QuestionsAbout(ctx context.Context, scripts []int64) ([]*Question, error) {
	return s.questions(ctx, false, scripts)
}

// Unread gives those of the Questions whose history was never read to the end:
// few of a long list, and found without reading the rest.
func (s *Store) Unread(ctx context.Context) ([]*Question, error) {
	return s.questions(ctx, true, nil)
}

func (s *Store) questions(ctx context.Context, unread bool, only []int64) ([]*Question, error) {
	found, err := s.pool.Query(ctx, `
		SELECT s.id, s.address, s.script, j.height,
		       EXISTS (SELECT FROM btcwatch.pending p WHERE p.script_id = s.id),
		       EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = s.id),
		       (SELECT max(a.read_at) FROM btcwatch.asked a WHERE a.script_id = s.id),
		       (SELECT max(a.asked_at) FROM btcwatch.asked a WHERE a.script_id = s.id)
		FROM (
		    SELECT script_id, min(id) AS first
		    FROM btcwatch.listing_now n
		    WHERE NOT EXISTS (SELECT FROM btcwatch.privacy_now WHERE mode = 'blocks')
		      AND (NOT $1
		           OR NOT EXISTS (SELECT FROM btcwatch.coverage c WHERE c.script_id = n.script_id))
		      AND ($2::bigint[] IS NULL OR n.script_id = ANY($2))
		    GROUP BY script_id
		    HAVING NOT bool_or(confidential)
		) l
		JOIN btcwatch.script s ON s.id = l.script_id
		LEFT JOIN btcwatch.joined j ON j.script_id = s.id
		ORDER BY l.first`, unread, only)
	if err != nil {
		return nil, fmt.Errorf("read whom to ask about: %w", err)
	}
	byScript := map[int64]*Question{}
	var scripts []int64
	all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) (*Question, error) {
		q := &Question{Asked: map[string]Asked{}}
		err := row.Scan(&q.Script, &q.Address.Text, &q.Address.Script, &q.Joined, &q.Pending, &q.Known, &q.ReadAt, &q.AskedAt)
		byScript[q.Script] = q
		scripts = append(scripts, q.Script)
		return q, err
	})
	if err != nil {
		return nil, fmt.Errorf("read whom to ask about: %w", err)
	}
	return all, s.readAsked(ctx, byScript, scripts)
}

func (s *Store) readAsked(ctx context.Context, questions map[int64]*Question, scripts []int64) error {
	if len(scripts) == 0 {
		return nil
	}
	found, err := s.pool.Query(ctx, `
		SELECT a.script_id, e.name, a.signal, a.read_at IS NOT NULL, a.error IS NOT NULL
		FROM btcwatch.asked a
		JOIN btcwatch.explorer e ON e.id = a.explorer_id
		WHERE a.script_id = ANY($1)`, scripts)
	if err != nil {
		return fmt.Errorf("read what was asked: %w", err)
	}
	var script int64
	var name string
	var asked Asked
	_, err = pgx.ForEachRow(found, []any{&script, &name, &asked.Signal, &asked.Read, &asked.Failed}, func() error {
		questions[script].Asked[name] = asked
		asked = Asked{}
		return nil
	})
	return err
}

// SaveAsked notes a good answer of an explorer about an address. signal, when
// not empty, are the counters with which a reading began that is now recorded.
func (s *Store) SaveAsked(ctx context.Context, script int64, explorer, signal string) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO btcwatch.asked AS a (script_id, explorer_id, signal, asked_at)
		SELECT $1, id, $3, $4
		FROM btcwatch.explorer
		WHERE name = $2
		ON CONFLICT (script_id, explorer_id) DO UPDATE
		SET signal = CASE WHEN excluded.signal = '' THEN a.signal ELSE excluded.signal END,
		    asked_at = excluded.asked_at,
		    error = NULL`, script, explorer, signal, s.now().UTC())
	if err != nil {
		return fmt.Errorf("note an answer of %s: %w", explorer, err)
	}
	return nil
}

// SaveAskFailed notes that a question about an address failed, in our own
// words. The counters are forgotten, so that the next answer is read in full.
func (s *Store) SaveAskFailed(ctx context.Context, script int64, explorer, reason string) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO btcwatch.asked AS a (script_id, explorer_id, error)
		SELECT $1, id, $3
		FROM btcwatch.explorer
		WHERE name = $2
		ON CONFLICT (script_id, explorer_id) DO UPDATE
		SET error = excluded.error, signal = ''
		WHERE a.error IS DISTINCT FROM excluded.error
		   OR a.signal <> ''`, script, explorer, reason)
	if err != nil {
		return fmt.Errorf("note a failure of %s: %w", explorer, err)
	}
	return nil
}

// HistoryRead notes that the history of an address was read to the end and is
// recorded: all up to the height where its watch began is covered, as far as
// that explorer says.
func (w *Writer) HistoryRead(ctx context.Context, q *Question, explorer string) error {
	return w.commit(ctx, "history", func(c *commit) error {
		source, err := c.explorer(ctx, explorer)
		if err != nil {
			return err
		}
		_, err = c.tx.Exec(ctx, `
			INSERT INTO btcwatch.asked AS a (script_id, explorer_id, read_at, asked_at)
			VALUES ($1, $2, $3, $3)
			ON CONFLICT (script_id, explorer_id) DO UPDATE
			SET read_at = excluded.read_at, asked_at = excluded.asked_at, error = NULL`, q.Script, source, c.at)
		if err != nil {
			return fmt.Errorf("note that the history of %s is read: %w", q.Address.Text, err)
		}
		if q.Joined == nil {
			return nil
		}
		if q.Known {
			return c.coverAgain(ctx, q, source)
		}
		c.note("history %d %s", q.Script, explorer)
		_, err = c.tx.Exec(ctx, `
			INSERT INTO btcwatch.coverage (script_id, from_height, to_height, proof, explorer_id, at)
			VALUES ($1, 0, $2, 'reported', $3, $4)`, q.Script, *q.Joined, source, c.at)
		if err != nil {
			return fmt.Errorf("cover the history of %s: %w", q.Address.Text, err)
		}
		return c.coverAgain(ctx, q, source)
	})
}

// Confirmed is how many confirmed transactions are recorded of a script.
func (s *Store) Confirmed(ctx context.Context, script int64) (int64, error) {
	var count int64
	err := s.pool.QueryRow(ctx, `
		SELECT coalesce(max(tx_count), 0)
		FROM btcwatch.balance
		WHERE script_id = $1`, script).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count confirmed transactions: %w", err)
	}
	return count, nil
}
