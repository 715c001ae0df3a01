package sql

import (
	"bytes"
	"context"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// putScripts makes sure of a row for every script that the facts speak of, and
// gives their ids by the script's bytes.
func (c *commit) putScripts(ctx context.Context, facts []*fact) (map[string]int64, error) {
	met := map[string]bool{}
	var digests, scripts [][]byte
	var addresses []*string
	add := func(script []byte) {
		if met[string(script)] {
			return
		}
		met[string(script)] = true
		script = append([]byte{}, script...) // nil, a script of no bytes, would be NULL
		digests, scripts = append(digests, digest(script)), append(scripts, script)
		addresses = append(addresses, c.addressOf(script))
	}
	for _, f := range facts {
		for _, out := range f.tx.Msg.TxOut {
			add(out.PkScript)
		}
		for _, out := range f.tx.Spent {
			if out != nil {
				add(out.PkScript)
			}
		}
	}
	known, err := c.findScripts(ctx, digests)
	if err != nil {
		return nil, err
	}
	return known, c.addScripts(ctx, known, scripts, addresses)
}

func (c *commit) findScripts(ctx context.Context, digests [][]byte) (map[string]int64, error) {
	found, err := c.tx.Query(ctx, `
		SELECT id, script
		FROM btcwatch.script
		WHERE sha256 = ANY($1)`, digests)
	if err != nil {
		return nil, fmt.Errorf("find scripts: %w", err)
	}
	return scriptIDs(map[string]int64{}, found)
}

// addScripts stores those that are not known yet. All who record hold the lock
// of the position, so nobody adds the same meanwhile.
func (c *commit) addScripts(ctx context.Context, known map[string]int64, scripts [][]byte, addresses []*string) error {
	var digests, missing [][]byte
	var named []*string
	for i, script := range scripts {
		if _, ok := known[string(script)]; !ok {
			digests, missing, named = append(digests, digest(script)), append(missing, script), append(named, addresses[i])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	added, err := c.tx.Query(ctx, `
		INSERT INTO btcwatch.script (sha256, script, address)
		SELECT *
		FROM unnest($1::bytea[], $2::bytea[], $3::text[])
		RETURNING id, script`, digests, missing, named)
	if err != nil {
		return fmt.Errorf("record scripts: %w", err)
	}
	_, err = scriptIDs(known, added)
	return err
}

func scriptIDs(ids map[string]int64, found pgx.Rows) (map[string]int64, error) {
	var id int64
	var script []byte
	_, err := pgx.ForEachRow(found, []any{&id, &script}, func() error {
		ids[string(script)] = id
		return nil
	})
	return ids, err
}

func (c *commit) addressOf(script []byte) *string {
	a, ok := chain.AddressOf(script, c.store.params)
	if !ok {
		return nil
	}
	return &a.Text
}

// putTransactions stores the transactions that are not held yet, whole, and
// fills in the id of each fact.
func (c *commit) putTransactions(ctx context.Context, facts []*fact, scripts map[string]int64) error {
	byHash := map[chainhash.Hash]*fact{}
	for _, f := range facts {
		byHash[f.tx.ID] = f
	}
	if err := c.findOld(ctx, byHash); err != nil {
		return err
	}
	var txids, raws [][]byte
	for _, f := range facts {
		if f.id == 0 {
			f.isNew = true
			txids, raws = append(txids, f.tx.ID[:]), append(raws, rawBytes(f.tx))
			c.note("tx %s", f.tx.ID)
		}
	}
	found, err := c.tx.Query(ctx, `
		INSERT INTO btcwatch.tx (txid, raw, recorded_at)
		SELECT u.txid, u.raw, $3
		FROM unnest($1::bytea[], $2::bytea[]) AS u (txid, raw)
		RETURNING id, txid`, txids, raws, c.at)
	if err != nil {
		return fmt.Errorf("record transactions: %w", err)
	}
	var id int64
	var txid []byte
	_, err = pgx.ForEachRow(found, []any{&id, &txid}, func() error {
		byHash[chainhash.Hash(txid)].id = id
		return nil
	})
	if err != nil {
		return fmt.Errorf("record transactions: %w", err)
	}
	return c.putParts(ctx, facts, scripts)
}

// unlessKnown is what an insertion of rows of these facts needs where some of
// the transactions were held before. Where none was it costs half as much again.
func unlessKnown(facts []*fact) string {
	for _, f := range facts {
		if !f.isNew {
			return "\n\t\tON CONFLICT DO NOTHING"
		}
	}
	return ""
}

// findOld fills in the ids of transactions that are held already. Where a
// verified block has other bytes for one than the explorer gave before (the
// txid does not cover the witness), the block's are kept beside them.
func (c *commit) findOld(ctx context.Context, byHash map[chainhash.Hash]*fact) error {
	var old [][]byte
	for hash := range byHash {
		old = append(old, bytes.Clone(hash[:]))
	}
	found, err := c.tx.Query(ctx, `
		SELECT id, txid, raw
		FROM btcwatch.tx
		WHERE txid = ANY($1)`, old)
	if err != nil {
		return err
	}
	var id int64
	var txid, raw []byte
	var differ []*fact
	_, err = pgx.ForEachRow(found, []any{&id, &txid, &raw}, func() error {
		f := byHash[chainhash.Hash(txid)]
		f.id = id
		if f.proof == alerts.Proven && !bytes.Equal(raw, rawBytes(f.tx)) {
			differ = append(differ, f)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("find recorded transactions: %w", err)
	}
	for _, f := range differ {
		_, err := c.tx.Exec(ctx, `
			INSERT INTO btcwatch.tx_bytes (tx_id, raw)
			VALUES ($1, $2)
			ON CONFLICT DO NOTHING`, f.id, rawBytes(f.tx))
		if err != nil {
			return fmt.Errorf("record the bytes of %s: %w", f.tx.ID, err)
		}
	}
	return nil
}

func rawBytes(tx *chain.Transaction) []byte {
	var buf bytes.Buffer
	buf.Grow(tx.Msg.SerializeSize())
	_ = tx.Msg.Serialize(&buf) // a bytes.Buffer takes everything
	return buf.Bytes()
}

// putParts stores the inputs and outputs of new transactions, and what is
// stated of the outputs that all of them spend.
func (c *commit) putParts(ctx context.Context, facts []*fact, scripts map[string]int64) error {
	var in, out, stated partRows
	said, here := map[wire.OutPoint]bool{}, map[chainhash.Hash]bool{}
	for _, f := range facts {
		here[f.tx.ID] = true
	}
	for _, f := range facts {
		for i, txIn := range f.tx.Msg.TxIn {
			prev := txIn.PreviousOutPoint
			if f.isNew {
				in.add(f.id, int64(i), prev.Hash[:], int64(prev.Index), 0)
			}
			// What is recorded here needs nobody's word.
			if i < len(f.tx.Spent) && f.tx.Spent[i] != nil && !said[prev] && !here[prev.Hash] {
				said[prev] = true
				stated.add(int64(f.statedBy()), 0, prev.Hash[:], int64(prev.Index), scripts[string(f.tx.Spent[i].PkScript)])
				stated.amounts = append(stated.amounts, f.tx.Spent[i].Value)
			}
		}
		for i, txOut := range f.tx.Msg.TxOut {
			if f.isNew {
				out.add(f.id, int64(i), nil, 0, scripts[string(txOut.PkScript)])
				out.amounts = append(out.amounts, txOut.Value)
			}
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO btcwatch.tx_input (tx_id, n, prev_txid, prev_n)
		SELECT *
		FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[])`, in.ids, in.ns, in.hashes, in.prevs)
	batch.Queue(`
		INSERT INTO btcwatch.tx_output (tx_id, n, script_id, amount)
		SELECT *
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])`, out.ids, out.ns, out.scripts, out.amounts)
	batch.Queue(`
		INSERT INTO btcwatch.stated_output (txid, n, script_id, amount, explorer_id)
		SELECT *
		FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
		ON CONFLICT DO NOTHING`, stated.hashes, stated.prevs, stated.scripts, stated.amounts, stated.ids)
	if err := c.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record inputs and outputs: %w", err)
	}
	return c.putFurtherWords(ctx, facts, stated)
}

// partRows are the columns of inputs, outputs or stated outputs.
type partRows struct {
	ids, ns, prevs, scripts, amounts []int64
	hashes                           [][]byte
}

func (r *partRows) add(id, n int64, hash []byte, prev, script int64) {
	r.ids, r.ns = append(r.ids, id), append(r.ns, n)
	r.hashes, r.prevs = append(r.hashes, hash), append(r.prevs, prev)
	r.scripts = append(r.scripts, script)
}

// putObservations notes who said it, once for unconfirmed and once for each
// block.
func (c *commit) putObservations(ctx context.Context, facts []*fact) error {
	var ids []int64
	var sources []int32
	var blocks [][]byte
	for _, f := range facts {
		block := []byte{}
		if f.tx.Place != nil {
			block = f.tx.Place.Block[:]
		}
		ids, sources, blocks = append(ids, f.id), append(sources, f.source), append(blocks, block)
	}
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.observation (tx_id, explorer_id, block_hash, at)
		SELECT u.tx_id, u.explorer_id, u.block_hash, $4
		FROM unnest($1::bigint[], $2::integer[], $3::bytea[]) AS u (tx_id, explorer_id, block_hash)`+unlessKnown(facts), ids, sources, blocks, c.at)
	if err != nil {
		return fmt.Errorf("record who said it: %w", err)
	}
	return nil
}

// putStates appends the new states and rewrites their projection.
func (c *commit) putStates(ctx context.Context, changed []*fact) error {
	if len(changed) == 0 {
		return nil
	}
	var r stateRows
	for _, f := range changed {
		c.note("state %s %s %s %d %s", f.tx.ID, f.now.state, f.now.proof, f.now.height, f.now.block)
		r.add(f, c.live(f))
	}
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO btcwatch.tx_event (tx_id, turn, state, proof, height, block_hash, block_time, covered_at, at)
		SELECT u.tx_id, u.turn, u.state, u.proof, u.height, u.block_hash, u.block_time,
		       CASE WHEN u.live AND u.height IS NOT NULL THEN $9::timestamptz END, $10
		FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::integer[], $6::bytea[], $7::timestamptz[], $8::boolean[])
		     AS u (tx_id, turn, state, proof, height, block_hash, block_time, live)`,
		r.ids, r.turns, r.states, r.proofs, r.heights, r.blocks, r.times, r.lives, timeOrNil(c.position.ReachedAt), c.at)
	batch.Queue(`
		INSERT INTO btcwatch.tx_now AS n (tx_id, turn, state, proof, height, block_hash, block_time, fee, first_seen_at, first_seen_by)
		SELECT u.tx_id, u.turn, u.state, u.proof, u.height, u.block_hash, u.block_time, u.fee,
		       CASE WHEN u.live THEN $11::timestamptz END, CASE WHEN u.live THEN u.source END
		FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::integer[], $6::bytea[], $7::timestamptz[],
		            $8::bigint[], $9::boolean[], $10::integer[])
		     AS u (tx_id, turn, state, proof, height, block_hash, block_time, fee, live, source)
		ON CONFLICT (tx_id) DO UPDATE
		SET turn = excluded.turn,
		    state = excluded.state,
		    proof = excluded.proof,
		    height = excluded.height,
		    block_hash = excluded.block_hash,
		    block_time = excluded.block_time,
		    fee = coalesce(excluded.fee, n.fee),
		    first_seen_at = coalesce(n.first_seen_at, excluded.first_seen_at),
		    first_seen_by = coalesce(n.first_seen_by, excluded.first_seen_by)`,
		r.ids, r.turns, r.states, r.proofs, r.heights, r.blocks, r.times, r.fees, r.lives, r.sources, c.at)
	// Since when nobody knew it says nothing of one that comes back.
	batch.Queue(`DELETE FROM btcwatch.known_now WHERE tx_id = ANY($1)`, r.ids)
	if err := c.tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("record the states of transactions: %w", err)
	}
	return nil
}

// putFees fills in fees that were not known when the states were recorded.
func (c *commit) putFees(ctx context.Context, facts []*fact) error {
	var ids, fees []int64
	for _, f := range facts {
		ids, fees = append(ids, f.id), append(fees, *f.whole.Fee())
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := c.tx.Exec(ctx, `
		UPDATE btcwatch.tx_now n
		SET fee = u.fee
		FROM unnest($1::bigint[], $2::bigint[]) AS u (tx_id, fee)
		WHERE n.tx_id = u.tx_id
		  AND n.fee IS NULL`, ids, fees)
	if err != nil {
		return fmt.Errorf("record fees: %w", err)
	}
	return nil
}

// live says whether a transaction is news from within the watch of at least
// one of its addresses.
func (c *commit) live(f *fact) bool {
	for _, e := range f.effects {
		if !c.historic(e.Script, f.now) {
			return true
		}
	}
	return false
}

// historic says whether a payment is from before the watch of an address.
func (c *commit) historic(script int64, s standing) bool {
	joined := c.set.scripts[script].joined
	return s.state == alerts.Confirmed && joined != nil && s.height <= *joined
}
