package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// mostTraced is how many headers are followed back from a vouched block, to find
// where its chain joins ours: ten weeks.
const mostTraced = 10_080

// ErrNotShown says that no explorer shows a block where it is said to stand.
var ErrNotShown = errors.New("no explorer shows that block at that height")

// Vouch looks at a block with which a person wants following to go on: whether an
// explorer shows it there, whether it is a sound block of the network, and where
// its chain joins the one followed, by its headers, each of which the one above
// it names. What it finds holds for the position that it notes. It changes
// nothing; progress is told how many headers were had.
func Vouch(ctx context.Context, config *Config, version string, store *sql.Store, v sql.Vouched, progress func(headers int)) (sql.Vouched, error) {
	var open []*explorer.Explorer
	for _, settings := range config.Explorers {
		if settings.UserAgent == "" {
			settings.UserAgent = "btcwatch/" + version
		}
		e, err := explorer.Open(settings, config.Network)
		if err != nil {
			return v, fmt.Errorf("open the explorer %s: %w", settings.Name, err)
		}
		defer e.Close()
		open = append(open, e)
	}
	t := &tracer{store: store, explorers: open, config: config, progress: progress}
	header, err := t.block(ctx, v.Height, v.Hash)
	if err != nil {
		return v, err
	}
	v.Parent = header.PrevBlock
	return t.trace(ctx, v)
}

// tracer follows a vouched block back.
type tracer struct {
	store     *sql.Store
	explorers []*explorer.Explorer
	config    *Config
	progress  func(headers int)
}

// block gets the block from an explorer that shows it at its height, and checks
// it as following will.
func (t *tracer) block(ctx context.Context, height int32, hash chainhash.Hash) (header wire.BlockHeader, err error) {
	var said []string
	var untrue error // one that serves false bytes says nothing of what another one has
	for _, e := range t.explorers {
		if e.Chain == nil || e.Blocks == nil {
			continue
		}
		shown, err := e.Chain.BlockHash(ctx, height)
		switch {
		case errors.Is(err, explorer.ErrNotFound):
			said = append(said, fmt.Sprintf("%s shows no block %d", e.Name, height))
			continue
		case err != nil:
			said = append(said, fmt.Sprintf("%s: %s", e.Name, words(err)))
			continue
		case shown != hash:
			said = append(said, fmt.Sprintf("%s shows %s there", e.Name, shown))
			continue
		}
		raw, err := e.Blocks.Block(ctx, hash)
		if err == nil {
			header, err = t.sound(raw, height, hash)
		}
		switch {
		case err == nil:
			return header, nil
		case untrue == nil && errors.Is(err, chain.ErrFalseBlock):
			untrue = fmt.Errorf("%s: %w", e.Name, err)
		}
		said = append(said, fmt.Sprintf("%s: %s", e.Name, words(err)))
	}
	if untrue != nil {
		return header, untrue
	}
	return header, fmt.Errorf("%w: %s", ErrNotShown, strings.Join(said, "; "))
}

func (t *tracer) sound(raw []byte, height int32, hash chainhash.Hash) (header wire.BlockHeader, err error) {
	if len(raw) < wire.MaxBlockHeaderPayload {
		return header, fmt.Errorf("%w: it has %d bytes", chain.ErrFalseBlock, len(raw))
	}
	tip := chain.Tip{Height: height - 1, Pinned: true}
	copy(tip.Hash[:], raw[4:4+chainhash.HashSize]) // of its parent, which only its hash can vouch for
	block, err := chain.VerifyBlock(raw, hash, tip, t.config.Network, time.Now())
	if err != nil {
		return header, err
	}
	return block.Header, nil
}

// trace walks back from the block until it meets the chain followed.
func (t *tracer) trace(ctx context.Context, v sql.Vouched) (sql.Vouched, error) {
	position, err := t.store.Position(ctx)
	if err != nil {
		return v, err
	}
	lowest, err := t.store.Lowest(ctx)
	if err != nil {
		return v, err
	}
	from := &ancestors{explorers: t.explorers, beat: func() {}, health: newHealth(t.config.Health, nil, nil, time.Now, nil)}
	v.Traced = position
	height, hash := v.Height-1, v.Parent
	for had := 0; height >= max(0, lowest); {
		if height <= position.Height {
			ours, known, err := t.store.ChainHash(ctx, height)
			if err != nil {
				return v, err
			}
			if known && ours == hash {
				v.Common, v.Joined = height, true
				return v, nil
			}
		}
		if had >= mostTraced {
			break
		}
		headers, _, err := from.ask(ctx, height, hash)
		if unserved(err) {
			headers, err = t.headerOf(ctx, height, hash)
		}
		if errors.Is(err, errUnserved) {
			break
		}
		if err != nil {
			return v, fmt.Errorf("follow the block back to the chain that is followed: %w", err)
		}
		had += len(headers)
		t.progress(had)
		if height, hash, err = t.meet(ctx, headers, height, position); err != nil {
			return v, err
		}
	}
	return t.common(ctx, v, min(height, position.Height))
}

// headerOf takes a header out of its block, where nobody serves headers alone.
func (t *tracer) headerOf(ctx context.Context, height int32, hash chainhash.Hash) ([]wire.BlockHeader, error) {
	var failures []error
	for _, e := range t.explorers {
		if e.Blocks == nil {
			continue
		}
		raw, err := e.Blocks.Block(ctx, hash)
		var header wire.BlockHeader
		if err == nil && header.Deserialize(bytes.NewReader(raw)) == nil && header.BlockHash() == hash {
			return []wire.BlockHeader{header}, nil
		}
		if err != nil && !errors.Is(err, explorer.ErrNotFound) {
			failures = append(failures, err)
		}
	}
	if len(failures) == 0 {
		return nil, fmt.Errorf("header of block %d: %w", height, errUnserved)
	}
	return nil, errors.Join(failures...)
}

// meet goes down a page of headers as far as the chain followed does not have
// them, and gives where to go on.
func (t *tracer) meet(ctx context.Context, headers []wire.BlockHeader, height int32, position sql.Position) (int32, chainhash.Hash, error) {
	hash := chainhash.Hash{}
	for _, header := range headers {
		height, hash = height-1, header.PrevBlock
		if height > position.Height {
			continue
		}
		ours, known, err := t.store.ChainHash(ctx, height)
		if err != nil || known && ours == hash {
			return height, hash, err
		}
	}
	return height, hash, nil
}

// common falls back on what every chain of the network has to share: the
// highest checkpoint below, if the chain followed is known to have it.
func (t *tracer) common(ctx context.Context, v sql.Vouched, height int32) (sql.Vouched, error) {
	v.Common, v.Joined = -1, false
	point, ok := chain.CheckpointBelow(height+1, t.config.Network)
	if !ok {
		return v, nil
	}
	ours, known, err := t.store.ChainHash(ctx, point.Height)
	if err == nil && known && ours == point.Hash {
		v.Common = point.Height
	}
	return v, err
}
