package sql

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/chain"
)

// Ancestry is how far back the headers before the first covered block are
// known.
type Ancestry struct {
	Begun  int64          // which of the starts: it changes when following begins elsewhere
	Start  int32          // height of the first covered block
	Oldest int32          // height of the oldest header known; Start where none is
	Parent chainhash.Hash // of the oldest: the hash of the next header to get
}

const selectAncestry = `
	SELECT s.id, s.height, s.parent_hash, a.height, a.header
	FROM btcwatch.start_begun s
	LEFT JOIN LATERAL (
	    SELECT height, header
	    FROM btcwatch.ancestor
	    WHERE start_id = s.id
	    ORDER BY height
	    LIMIT 1
	) a ON true`

func scanAncestry(row pgx.Row) (id int64, a Ancestry, err error) {
	var (
		parent, header []byte
		oldest         *int32
	)
	if err = row.Scan(&id, &a.Start, &parent, &oldest, &header); err != nil {
		return 0, a, err
	}
	a.Begun, a.Oldest, a.Parent = id, a.Start, chainhash.Hash(parent)
	if oldest != nil {
		var h wire.BlockHeader
		err = h.Deserialize(bytes.NewReader(header))
		a.Oldest, a.Parent = *oldest, h.PrevBlock
	}
	return id, a, err
}

// Ancestry gives how far back the headers before the start are known; false
// before following has begun.
func (s *Store) Ancestry(ctx context.Context) (Ancestry, bool, error) {
	_, a, err := scanAncestry(s.pool.QueryRow(ctx, selectAncestry))
	if errors.Is(err, pgx.ErrNoRows) {
		return a, false, nil
	}
	if err != nil {
		return a, false, fmt.Errorf("read how far back headers are known: %w", err)
	}
	return a, true, nil
}

// AddAncestors records headers below the oldest one known, highest first. Those
// that do not link there are refused with ErrNotNext.
func (w *Writer) AddAncestors(ctx context.Context, headers []wire.BlockHeader, explorer string) error {
	return w.commit(ctx, "headers", func(c *commit) error {
		id, a, err := scanAncestry(c.tx.QueryRow(ctx, selectAncestry))
		if err != nil {
			return fmt.Errorf("read how far back headers are known: %w", err)
		}
		source, err := c.explorer(ctx, explorer)
		if err != nil {
			return err
		}
		next, raws := a.Parent, make([][]byte, len(headers))
		for i := range headers {
			if headers[i].BlockHash() != next || a.Oldest-int32(i) <= 0 {
				return fmt.Errorf("%w: header %s does not belong at %d", ErrNotNext, headers[i].BlockHash(), a.Oldest-1-int32(i))
			}
			var raw bytes.Buffer
			_ = headers[i].Serialize(&raw) // a bytes.Buffer takes everything
			raws[i], next = raw.Bytes(), headers[i].PrevBlock
		}
		c.note("headers %d %d %s", a.Oldest-int32(len(headers)), a.Oldest-1, a.Parent)
		_, err = c.tx.Exec(ctx, `
			INSERT INTO btcwatch.ancestor (start_id, height, header, explorer_id, at)
			SELECT $1, $2 - u.n, u.header, $3, $4
			FROM unnest($5::bytea[]) WITH ORDINALITY AS u (header, n)`, id, a.Oldest, source, c.at, raws)
		if err != nil {
			return fmt.Errorf("record headers before the start: %w", err)
		}
		return nil
	})
}

// SayChecked records, in words, what of the headers before the start was
// checked. It is shown with what following rests on; said once, it is not said
// again until something else was.
func (w *Writer) SayChecked(ctx context.Context, words string) error {
	return w.commit(ctx, "start checked", func(c *commit) error {
		done, err := c.tx.Exec(ctx, `
			INSERT INTO btcwatch.start_checked (start_id, words, at)
			SELECT b.id, $1, $2
			FROM btcwatch.start_begun b
			WHERE $1 IS DISTINCT FROM (SELECT words FROM btcwatch.start_checked WHERE start_id = b.id ORDER BY id DESC LIMIT 1)`, words, c.at)
		if err != nil {
			return fmt.Errorf("record what was checked of the headers before the start: %w", err)
		}
		if done.RowsAffected() == 0 {
			return nil
		}
		c.note("start checked %s", words)
		return c.loadSources(ctx)
	})
}

// LinkedHeader gives a header by its height and hash, covered or from before the
// start, with those before it, at most so many in all; nil where it is not
// known.
func (s *Store) LinkedHeader(ctx context.Context, height int32, hash chainhash.Hash, most int32) (*chain.Header, error) {
	headers, err := s.LinkedHeaders(ctx, height, hash, most)
	if err != nil || len(headers) == 0 {
		return nil, err
	}
	return chain.LinkHeaders(height-int32(len(headers))+1, headers)
}

// LinkedHeaders gives the same headers themselves, lowest first.
func (s *Store) LinkedHeaders(ctx context.Context, height int32, hash chainhash.Hash, most int32) ([]wire.BlockHeader, error) {
	found, err := s.pool.Query(ctx, `
		SELECT b.header
		FROM (
		    SELECT n.height, b.header
		    FROM btcwatch.chain_now n
		    JOIN btcwatch.block b ON b.id = n.block_id
		    WHERE n.height > $2 AND n.height <= $1
		    UNION ALL
		    SELECT a.height, a.header
		    FROM btcwatch.ancestor a
		    WHERE a.height > $2 AND a.height <= $1
		      AND a.start_id = (SELECT id FROM btcwatch.start_begun)
		) b
		ORDER BY b.height DESC`, height, height-most)
	if err != nil {
		return nil, err
	}
	raws, err := pgx.CollectRows(found, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("read the headers up to %d: %w", height, err)
	}
	return linked(raws, hash)
}

// linked picks, out of headers that come highest first, the one with that hash
// and those below it that follow from it, and gives them lowest first. After a
// reorganisation across the start two can be known at one height.
func linked(raws [][]byte, hash chainhash.Hash) ([]wire.BlockHeader, error) {
	var down []wire.BlockHeader
	for _, raw := range raws {
		var h wire.BlockHeader
		if err := h.Deserialize(bytes.NewReader(raw)); err != nil {
			return nil, err
		}
		if h.BlockHash() == hash {
			down, hash = append(down, h), h.PrevBlock
		}
	}
	up := make([]wire.BlockHeader, 0, len(down))
	for i := len(down) - 1; i >= 0; i-- {
		up = append(up, down[i])
	}
	return up, nil
}

// ancestorAt is the header before the start at a height, for a chain that was
// reorganised across the start.
func (c *commit) ancestorAt(ctx context.Context, height int32) (chainhash.Hash, uint32, error) {
	var header []byte
	err := c.tx.QueryRow(ctx, `
		SELECT header
		FROM btcwatch.ancestor
		WHERE height = $1
		  AND start_id = (SELECT id FROM btcwatch.start_begun)`, height).Scan(&header)
	if err != nil {
		return chainhash.Hash{}, 0, err
	}
	var h wire.BlockHeader
	err = h.Deserialize(bytes.NewReader(header))
	return h.BlockHash(), h.Bits, err
}
