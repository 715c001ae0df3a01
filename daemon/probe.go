package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// prober asks explorers in quarantine for what can be verified here: the block
// at the position, or its header, and a transaction of it. Nothing that is asked
// tells what is watched.
type prober struct {
	*asker
	params *chaincfg.Params
	pause  time.Duration
}

// mostProbePause is how long there is between two probes at most.
const mostProbePause = 10 * time.Minute

func probePause(quarantine time.Duration) time.Duration {
	return min(mostProbePause, max(quarantine/6, 100*time.Millisecond))
}

// round probes each explorer in quarantine once.
func (p *prober) round(ctx context.Context) error {
	bad := p.health.inQuarantine()
	for _, e := range p.explorers {
		if !bad[e.Name] || e.Chain == nil {
			continue
		}
		position, err := p.store.Position(ctx)
		if err != nil || !position.Set {
			return err // without a chain of our own there is nothing to hold it to
		}
		clean, err := p.probe(ctx, e, position)
		p.beat()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			p.log.Info("probe of an explorer in quarantine", "explorer", e.Name, "error", err)
		}
		if clean {
			p.health.probed(e.Name, p.pause)
		}
	}
	return nil
}

// probe says whether an explorer answered and nothing false was seen. One on
// another branch of the chain tells nothing, good or bad.
func (p *prober) probe(ctx context.Context, e *explorer.Explorer, position sql.Position) (clean bool, err error) {
	hash, err := e.Chain.BlockHash(ctx, position.Height)
	if err != nil || hash != position.Hash {
		return false, err
	}
	switch {
	case e.Blocks != nil:
		return p.probeBlock(ctx, e, position)
	case e.Headers != nil:
		headers, err := e.Headers.Headers(ctx, position.Height, hash)
		if err == nil && !descends(headers, hash) {
			err = badAnswer(e.Name, fmt.Sprintf("headers up to %d", position.Height), errors.New("they do not follow each other"))
		}
		p.health.note(e.Name, forBlocks, err)
		return err == nil, err
	}
	return false, nil
}

func (p *prober) probeBlock(ctx context.Context, e *explorer.Explorer, position sql.Position) (clean bool, err error) {
	raw, err := e.Blocks.Block(ctx, position.Hash)
	p.beat()
	if err != nil {
		return false, err
	}
	block, err := chain.CheckBlock(raw, p.params, p.now())
	if err == nil && block.Hash != position.Hash {
		err = fmt.Errorf("%w: another block came: %s", chain.ErrFalseBlock, block.Hash)
	}
	if err != nil {
		err = badAnswer(e.Name, fmt.Sprintf("block %d", position.Height), err)
	}
	p.health.note(e.Name, forBlocks, err)
	if err != nil || e.Transactions == nil {
		return err == nil, err
	}
	return p.probeTransaction(ctx, e, position, block.Transactions[len(block.Transactions)-1])
}

// probeTransaction asks for a transaction of a block of which everything is
// known. That it is not known there says nothing: not every kind keeps them.
func (p *prober) probeTransaction(ctx context.Context, e *explorer.Explorer, position sql.Position, msg *wire.MsgTx) (clean bool, err error) {
	id := msg.TxHash()
	told, err := e.Transactions.Transaction(blindly(ctx), id)
	if errors.Is(err, errPrivate) || errors.Is(err, explorer.ErrNotFound) || errors.Is(err, explorer.ErrRefused) {
		return true, nil
	}
	if err == nil && told.Place != nil && told.Place.Block != (chainhash.Hash{}) && told.Place.Block != position.Hash {
		hash, again := e.Chain.BlockHash(ctx, position.Height)
		if again != nil || hash != position.Hash {
			return false, again // its chain is another one by now
		}
		err = badAnswer(e.Name, fmt.Sprintf("place of %s", id), fmt.Errorf("block %d holds it", position.Height))
	}
	p.health.note(e.Name, forTransactions, err)
	return err == nil, err
}
