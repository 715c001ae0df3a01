package sql

import (
	"context"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
)

// SaveSoftware notes what software an explorer says it runs; empty: it does not
// say, or what it says is not known.
func (s *Store) SaveSoftware(ctx context.Context, name, software string) error {
	_, err := s.pool.Exec(ctx, `
		UPDATE btcwatch.explorer_now n
		SET software = $2
		FROM btcwatch.explorer e
		WHERE e.id = n.explorer_id
		  AND e.name = $1
		  AND n.software <> $2`, name, software)
	if err != nil {
		return fmt.Errorf("note the software of %s: %w", name, err)
	}
	return nil
}

// agreed gives those of the facts that now rest on two independent explorers:
// on one word about the same block, or about being unconfirmed since it last
// became so. Whoever said it before is not asked again for that, so that of a
// transaction which comes back only fresh words count.
func (c *commit) agreed(ctx context.Context, facts []*fact) (map[int64]bool, error) {
	said := map[int64]string{} // the block that each fact speaks of; empty: unconfirmed
	var ids []int64
	for _, f := range facts {
		if f.isNew || f.proof != alerts.Reported {
			continue // one word, or more than words
		}
		ids = append(ids, f.id)
		if said[f.id] = ""; f.tx.Place != nil {
			said[f.id] = string(f.tx.Place.Block[:])
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT o.tx_id, o.block_hash, x.operator, x.software
		FROM btcwatch.observation o
		JOIN btcwatch.explorer_now x ON x.explorer_id = o.explorer_id
		LEFT JOIN btcwatch.tx_now n ON n.tx_id = o.tx_id
		WHERE o.tx_id = ANY($1)
		  AND (o.block_hash <> ''
		    OR o.at >= (SELECT min(e.at) FROM btcwatch.tx_event e WHERE e.tx_id = o.tx_id AND e.turn = n.turn))`, ids)
	if err != nil {
		return nil, fmt.Errorf("read who says the same: %w", err)
	}
	witnesses := map[int64][]explorer.Witness{}
	var id int64
	var block []byte
	var w explorer.Witness
	_, err = pgx.ForEachRow(found, []any{&id, &block, &w.Operator, &w.Software}, func() error {
		if said[id] == string(block) {
			witnesses[id] = append(witnesses[id], w)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read who says the same: %w", err)
	}
	agreed := map[int64]bool{}
	for id, all := range witnesses {
		agreed[id] = explorer.Corroborated(all)
	}
	return agreed, nil
}

// statedBy is the explorer that states what the transaction of a fact spends.
func (f *fact) statedBy() int32 {
	if f.stater != 0 {
		return f.stater
	}
	return f.source
}

// attribute notes who stated what the transactions of a block spend.
func (c *commit) attribute(ctx context.Context, facts []*fact, spent map[chainhash.Hash]Stated) error {
	for _, f := range facts {
		said, ok := spent[f.tx.ID]
		if !ok || said.By == "" {
			continue
		}
		var err error
		if f.stater, err = c.explorer(ctx, said.By); err != nil {
			return err
		}
	}
	return nil
}

// word is what one explorer states of an output.
type word struct {
	explorer.Witness
	explorer       int32
	name           string
	script, amount int64
}

// putFurtherWords keeps what an explorer states of outputs of which another one
// spoke first, where the output is a watched script's or the two differ.
func (c *commit) putFurtherWords(ctx context.Context, facts []*fact, stated partRows) error {
	if len(stated.ids) == 0 {
		return nil
	}
	before, err := c.words(ctx, stated)
	if err != nil {
		return err
	}
	var further partRows
	var corroborates []bool
	var differ []misfit
	for i := range stated.ids {
		own := word{explorer: int32(stated.ids[i]), script: stated.scripts[i], amount: stated.amounts[i]}
		others := before[outputAt{chainhash.Hash(stated.hashes[i]), stated.prevs[i]}]
		if len(others) == 0 || slices.ContainsFunc(others, func(w word) bool { return w.explorer == own.explorer }) {
			continue
		}
		same := slices.DeleteFunc(slices.Clone(others), func(w word) bool { return w.script != own.script || w.amount != own.amount })
		if c.set.scripts[own.script] == nil && len(same) == len(others) {
			continue
		}
		if own.Witness, err = c.witness(ctx, own.explorer); err != nil {
			return err
		}
		further.add(int64(own.explorer), 0, stated.hashes[i], stated.prevs[i], own.script)
		further.amounts = append(further.amounts, own.amount)
		if len(same) < len(others) {
			differ = append(differ, misfit{wire.OutPoint{Hash: chainhash.Hash(stated.hashes[i]), Index: uint32(stated.prevs[i])}, own, others})
		}
		corroborates = append(corroborates, slices.ContainsFunc(same, func(w word) bool { return explorer.Independent(w.Witness, own.Witness) }))
	}
	if len(further.ids) == 0 {
		return nil
	}
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.stated_also (txid, n, explorer_id, script_id, amount, corroborates, at)
		SELECT u.txid, u.n, u.explorer_id, u.script_id, u.amount, u.corroborates, $7
		FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::boolean[])
		     AS u (txid, n, explorer_id, script_id, amount, corroborates)
		ON CONFLICT DO NOTHING`, further.hashes, further.prevs, further.ids, further.scripts, further.amounts, corroborates, c.at)
	if err != nil {
		return fmt.Errorf("record what further explorers state: %w", err)
	}
	c.note("stated also %d", len(further.ids))
	return c.disagreeOnAmounts(ctx, facts, differ)
}

// outputAt is an output, as words about it are found.
type outputAt struct {
	tx chainhash.Hash
	n  int64
}

// words gives what is recorded that explorers stated of outputs.
func (c *commit) words(ctx context.Context, of partRows) (map[outputAt][]word, error) {
	found, err := c.tx.Query(ctx, `
		SELECT w.txid, w.n, w.explorer_id, w.script_id, w.amount, e.name, x.operator, x.software
		FROM unnest($1::bytea[], $2::bigint[]) AS u (txid, n)
		CROSS JOIN LATERAL (
		    SELECT t.txid, t.n, t.explorer_id, t.script_id, t.amount
		    FROM btcwatch.stated_output t
		    WHERE t.txid = u.txid AND t.n = u.n
		    UNION ALL
		    SELECT a.txid, a.n, a.explorer_id, a.script_id, a.amount
		    FROM btcwatch.stated_also a
		    WHERE a.txid = u.txid AND a.n = u.n
		) w
		JOIN btcwatch.explorer e ON e.id = w.explorer_id
		JOIN btcwatch.explorer_now x ON x.explorer_id = w.explorer_id
		ORDER BY e.name`, of.hashes, of.prevs)
	if err != nil {
		return nil, fmt.Errorf("read what explorers stated: %w", err)
	}
	all := map[outputAt][]word{}
	var txid []byte
	var n int64
	var w word
	_, err = pgx.ForEachRow(found, []any{&txid, &n, &w.explorer, &w.script, &w.amount, &w.name, &w.Operator, &w.Software}, func() error {
		at := outputAt{chainhash.Hash(txid), n}
		all[at] = append(all[at], w)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what explorers stated: %w", err)
	}
	return all, nil
}

// witness is what is known of an explorer as a witness.
func (c *commit) witness(ctx context.Context, id int32) (w explorer.Witness, err error) {
	err = c.tx.QueryRow(ctx, `
		SELECT coalesce(max(operator), ''), coalesce(max(software), '')
		FROM btcwatch.explorer_now
		WHERE explorer_id = $1`, id).Scan(&w.Operator, &w.Software)
	if err != nil {
		return w, fmt.Errorf("read whose witness an explorer is: %w", err)
	}
	return w, nil
}

// restated names the explorers that state the same of all outputs on which
// debits of an effect rest, where that are two independent ones for each; none
// where it is not.
func (c *commit) restated(ctx context.Context, tx *chain.Transaction, e chain.Effect) ([]string, error) {
	var rows partRows
	amounts := map[outputAt]int64{}
	for _, d := range e.Debits {
		if d.Stated {
			at := &tx.Msg.TxIn[d.Index].PreviousOutPoint
			rows.add(0, 0, at.Hash[:], int64(at.Index), 0)
			amounts[outputAt{at.Hash, int64(at.Index)}] = d.Amount
		}
	}
	words, err := c.words(ctx, rows)
	if err != nil {
		return nil, err
	}
	var names []string
	for at, amount := range amounts {
		var same []explorer.Witness
		for _, w := range words[at] {
			if w.script == e.Script && w.amount == amount {
				same, names = append(same, w.Witness), append(names, w.name)
			}
		}
		if !explorer.Corroborated(same) {
			return nil, nil
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
