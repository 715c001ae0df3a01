package sql

import (
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
)

// ErrMoved says that the chain followed is not any more what a person was shown.
var ErrMoved = errors.New("the chain followed has moved meanwhile")

// ErrNotBegun says that no block is followed yet.
var ErrNotBegun = errors.New("following has not begun yet")

// Vouched is the block with which a person says that following goes on.
type Vouched struct {
	Height int32
	Hash   chainhash.Hash
	Parent chainhash.Hash
	Common int32    // the highest block that its chain and ours are shown to share; -1 where none is
	Joined bool     // Common is where they part; false: nobody serves as many headers as would show that
	Traced Position // of ours, when Common and Joined were found; of another one they say nothing
	Actor  string
	Reason string
}

// Refollow is what making following go on with a vouched block comes to.
type Refollow struct {
	Followed bool     // it is followed already, or waited for: nothing is to be done
	Moved    bool     // the block was traced against another position: the rest is not known
	Position Position // before
	Stays    int32    // what is covered up to there stays
	First    int32    // height of the lowest block covered; above Stays: nothing covered stays
	Gap      *BlockRange
	Payments []LeavingPayment // that are unconfirmed again
}

// BlockRange are heights, both included.
type BlockRange struct{ From, To int32 }

// LeavingPayment is a payment whose block leaves the chain.
type LeavingPayment struct {
	Address   string
	TxID      string
	Height    int32
	AmountSat *int64 // nil: not known
}

// PlanRefollow says what RefollowFrom would do, and changes nothing.
func (s *Store) PlanRefollow(ctx context.Context, v Vouched) (Refollow, error) {
	var plan Refollow
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		position, err := scanPosition(tx.QueryRow(ctx, selectPosition))
		if err != nil {
			return err
		}
		plan, err = planRefollow(ctx, tx, position, v)
		return err
	})
	if err != nil {
		return plan, fmt.Errorf("see what following from block %d comes to: %w", v.Height, err)
	}
	return plan, nil
}

func planRefollow(ctx context.Context, tx pgx.Tx, position Position, v Vouched) (Refollow, error) {
	plan := Refollow{Position: position}
	if !position.Set {
		return plan, ErrNotBegun
	}
	start, _, _, err := begun(ctx, tx)
	if err != nil {
		return plan, err
	}
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
		           SELECT FROM btcwatch.chain_now n
		           JOIN btcwatch.block b ON b.id = n.block_id
		           WHERE n.height = $1 AND b.hash = $2),
		       coalesce((SELECT min(height) FROM btcwatch.chain_now), $3)`, v.Height, v.Hash[:], position.Height+1).
		Scan(&plan.Followed, &plan.First)
	if err != nil {
		return plan, err
	}
	if waited := start.Pinned != nil && start.Height == v.Height && *start.Pinned == v.Hash; plan.Followed || waited {
		plan.Followed = true
		return plan, nil
	}
	if plan.Moved = !position.same(v.Traced); plan.Moved {
		return plan, nil
	}
	plan.Stays = v.Common
	if !v.Joined { // what explorers said of blocks that were never followed stays what it is: their word
		plan.Stays = max(v.Common, plan.First-1)
	}
	if from := max(v.Common+1, min(plan.First, plan.Stays+1)); from < v.Height {
		plan.Gap = &BlockRange{From: from, To: v.Height - 1}
	}
	plan.Payments, err = leaving(ctx, tx, plan.Stays, v.Common)
	return plan, err
}

// same says whether both end with the same block, and so have the same chain.
func (p Position) same(other Position) bool {
	return p.Height == other.Height && p.Hash == other.Hash
}

// leaving gives the payments that are confirmed above a height, and those that
// are proven above another one.
func leaving(ctx context.Context, tx pgx.Tx, above, provenAbove int32) ([]LeavingPayment, error) {
	found, err := tx.Query(ctx, `
		SELECT coalesce(address, ''), txid, block_height, amount_sat
		FROM report.transactions
		WHERE state = 'confirmed'
		  AND (block_height > $1 OR block_height > $2 AND proof = 'proven')
		ORDER BY block_height, txid, address`, above, provenAbove)
	if err != nil {
		return nil, fmt.Errorf("find the payments whose blocks leave the chain: %w", err)
	}
	all, err := pgx.CollectRows(found, pgx.RowToStructByPos[LeavingPayment])
	if err != nil {
		return nil, fmt.Errorf("find the payments whose blocks leave the chain: %w", err)
	}
	return all, nil
}

// RefollowFrom makes following go on with a vouched block, in one commit: the
// start that says on whose word, the blocks and payments that leave the chain,
// the gap, the end of the stop, and the alert. It begins an epoch, so that the
// daemon that leads begins anew from there. plan is what the person was shown:
// ErrMoved where the position is another one by now, or another one than the
// block was traced against. What is followed already is not begun again.
func (s *Store) RefollowFrom(ctx context.Context, tell Telling, v Vouched, plan Refollow) error {
	w := &Writer{store: s, tell: tell, ids: map[string]int32{}, aside: true}
	err := w.commit(ctx, "follow from", func(c *commit) error {
		now, err := planRefollow(ctx, c.tx, c.position, v)
		switch {
		case err != nil || now.Followed:
			return err
		case now.Moved || !now.Position.same(plan.Position):
			return ErrMoved
		}
		return c.refollow(ctx, v, now)
	})
	if err != nil {
		return fmt.Errorf("follow from block %d: %w", v.Height, err)
	}
	return nil
}

func (c *commit) refollow(ctx context.Context, v Vouched, plan Refollow) error {
	start := Start{
		Height: v.Height, Parent: v.Parent, Proves: true, Pinned: &v.Hash,
		RestsOn: fmt.Sprintf("the word of %s for block %d (%s)", v.Actor, v.Height, v.Reason),
	}
	c.note("start %d %s %s", start.Height, start.Parent, start.RestsOn)
	id, err := c.putStart(ctx, start, &plan.Stays)
	if err != nil {
		return err
	}
	if plan.Gap != nil {
		gap := blockGap{start: id, from: &plan.Gap.From, to: plan.Gap.To, reason: gapReason(v, plan)}
		if err := c.putBlockGap(ctx, gap); err != nil {
			return err
		}
	}
	if err := c.loadSources(ctx); err != nil {
		return err
	}
	old := c.position
	if err := c.unproven(ctx, plan.Stays, v.Common); err != nil {
		return err
	}
	if err := c.leaveAbove(ctx, plan.Stays, chain.Tip{Height: v.Height - 1, Hash: v.Parent}); err != nil {
		return err
	}
	if err := c.tellSkipped(ctx, plan.Stays, v.Height-1); err != nil {
		return err
	}
	if err := c.askAnew(ctx); err != nil {
		return err
	}
	corrects, err := c.endStop(ctx)
	if err != nil {
		return err
	}
	told := alerts.Refollowed{
		Network: c.network(), Start: id, Height: v.Height, Hash: v.Hash.String(), Stays: plan.Stays, Old: old.Height,
		OldTip: old.Hash.String(), Payments: len(plan.Payments), Joined: v.Joined, Actor: v.Actor, Reason: v.Reason,
		Episode: corrects, At: c.at,
	}
	if plan.First > plan.Stays {
		told.Stays = -1
	}
	if plan.Gap != nil {
		told.GapFrom, told.GapTo = &plan.Gap.From, &plan.Gap.To
	}
	if err := c.alert(ctx, told.Alert(c.store.key), subject{}); err != nil {
		return err
	}
	_, err = c.tx.Exec(ctx, `UPDATE btcwatch.position SET epoch = epoch + 1`)
	return err
}

func gapReason(v Vouched, plan Refollow) string {
	reason := fmt.Sprintf("%s made following go on with block %d: %s", v.Actor, v.Height, v.Reason)
	if !v.Joined {
		reason += fmt.Sprintf("; where its chain leaves the one followed before is not known, so blocks %d to %d count as covered no more",
			plan.Stays+1, plan.Position.Height)
	}
	return reason
}

// unproven makes unconfirmed again what is proven up to a height and above
// another, by headers of which it is not known whether the chain followed now
// has them.
func (c *commit) unproven(ctx context.Context, to, above int32) error {
	if above >= to {
		return nil
	}
	found, err := c.tx.Query(ctx, `
		SELECT tx_id
		FROM btcwatch.tx_now
		WHERE height > $1
		  AND height <= $2
		  AND state = 'confirmed'
		  AND proof = 'proven'
		ORDER BY tx_id`, above, to)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(found, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	return c.unconfirmAll(ctx, ids, false)
}

// tellSkipped tells the payments at or below a height that reach a configured
// depth by blocks which are not covered: no block of theirs comes by to tell it.
func (c *commit) tellSkipped(ctx context.Context, stays, to int32) error {
	for _, depth := range c.tell.Confirmations {
		for height := max(0, stays-depth+2); height <= min(stays, to-depth+1); height++ {
			ids, err := c.confirmedAt(ctx, height)
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := c.tellDepth(ctx, id, depth); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// askAnew forgets the counters of all histories, so that each is read again:
// what they hold between the heights followed, no block will show.
func (c *commit) askAnew(ctx context.Context) error {
	_, err := c.tx.Exec(ctx, `UPDATE btcwatch.asked SET signal = '' WHERE signal <> ''`)
	if err != nil {
		return fmt.Errorf("forget what explorers counted: %w", err)
	}
	return nil
}

// endStop closes the stop that waited for a person's word and gives its episode;
// nil where there was none.
func (c *commit) endStop(ctx context.Context) (*int64, error) {
	o, err := oneOutage(c.tx.QueryRow(ctx, selectStop))
	if err != nil || o == nil {
		return nil, err
	}
	_, err = c.tx.Exec(ctx, `
		INSERT INTO btcwatch.outage_end (outage_id, at)
		VALUES ($1, $2)`, o.ID, c.at)
	c.note("outage %d over", o.ID)
	return &o.ID, err
}

// blockGap are blocks that a start leaves out.
type blockGap struct {
	start  int64
	from   *int32 // nil: all before it
	to     int32
	reason string
}

// putBlockGap records it with its times: of the last block before it, and of the
// decision.
func (c *commit) putBlockGap(ctx context.Context, g blockGap) error {
	_, err := c.tx.Exec(ctx, `
		INSERT INTO btcwatch.gap (kind, from_height, to_height, from_time, to_time, reason, start_id, at)
		SELECT 'blocks', $1::integer, $2, (
		           SELECT b.time
		           FROM btcwatch.chain_now n
		           JOIN btcwatch.block b ON b.id = n.block_id
		           WHERE n.height = $1 - 1), $3, $4, $5, $3`, g.from, g.to, c.at, g.reason, g.start)
	if err != nil {
		return fmt.Errorf("record the gap: %w", err)
	}
	return nil
}

// BeginStop records, once while it lasts, that following stops until a person
// says with which chain it goes on, and tells people.
func (w *Writer) BeginStop(ctx context.Context, stop alerts.Stopped) error {
	err := w.commit(ctx, "stop", func(c *commit) error {
		if open, err := oneOutage(c.tx.QueryRow(ctx, selectStop)); err != nil || open != nil {
			return err
		}
		o, isNew, err := c.openOutage(ctx, "chain", stop.Explorer, stop.Words(), c.at)
		if err != nil || !isNew {
			return err
		}
		stop.Network, stop.Episode, stop.At = c.network(), o.ID, c.at
		return c.alert(ctx, stop.Alert(c.store.key), subject{})
	})
	if err != nil {
		return fmt.Errorf("record that following stops: %w", err)
	}
	return nil
}

// EndStop records that following goes on by itself, since what stopped it is not
// shown any more, and tells people.
func (w *Writer) EndStop(ctx context.Context) error {
	err := w.commit(ctx, "stop over", func(c *commit) error {
		episode, err := c.endStop(ctx)
		if err != nil || episode == nil {
			return err
		}
		over := alerts.GoesOn{Network: c.network(), Episode: *episode, Height: c.position.Height, At: c.at}
		return c.alert(ctx, over.Alert(c.store.key), subject{})
	})
	if err != nil {
		return fmt.Errorf("record that following goes on: %w", err)
	}
	return nil
}

// Stopped gives the stop that waits for a person's word, its name that of the
// explorer which shows the other chain; nil where following does not wait.
func (s *Store) Stopped(ctx context.Context) (*Outage, error) {
	return oneOutage(s.pool.QueryRow(ctx, selectStop))
}

const selectStop = `
	SELECT o.id, o.kind, o.name, o.reason, o.since
	FROM btcwatch.outage o
	WHERE o.kind = 'chain'
	  AND NOT EXISTS (SELECT FROM btcwatch.outage_end e WHERE e.outage_id = o.id)
	ORDER BY o.id
	LIMIT 1`

func oneOutage(row pgx.Row) (*Outage, error) {
	var o Outage
	err := row.Scan(&o.ID, &o.Kind, &o.Name, &o.Reason, &o.Since)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read whether following has stopped: %w", err)
	}
	return &o, nil
}
