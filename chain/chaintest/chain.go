package chaintest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// Chain is a regtest chain of our own making, without a node: true blocks
// (work, Merkle root, witness commitment, height in the coinbase) whose
// transactions nobody validates, so that it is quick and can hold anything.
// It is safe for concurrent use; set its fields before the first block.
type Chain struct {
	// CoinbaseScript is paid the subsidy; by default that of the wallet with
	// the empty seed.
	CoinbaseScript []byte
	// Time gives the time of the block at a height. By default it is ten
	// minutes after the parent's, and on the genesis block it is the beginning
	// of 2024, so that the same chain has the same hashes everywhere. A daemon
	// on today's clock finds such a tip stale.
	Time func(height int32) time.Time

	mu      sync.Mutex
	blocks  map[chainhash.Hash]*link // every block, also of left branches
	tip     *link
	mempool []*wire.MsgTx
	nonce   int64 // makes each coinbase another
}

// link is a block in the tree of blocks.
type link struct {
	block  *wire.MsgBlock
	hash   chainhash.Hash
	raw    []byte
	height int32
	parent *link
}

// NewChain gives a chain that holds the regtest genesis block.
func NewChain() *Chain { return ChainOf(0, chaincfg.RegressionNetParams.GenesisBlock) }

// ChainOf gives a chain that begins with ready blocks, the first of them at
// that height: real blocks from a recording, for example. What is mined on top
// has regtest's difficulty.
func ChainOf(height int32, blocks ...*wire.MsgBlock) *Chain {
	c := &Chain{CoinbaseScript: MiningAddress("").Script, blocks: map[chainhash.Hash]*link{}}
	c.tip = c.insert(blocks[0], height)
	for _, block := range blocks[1:] {
		c.Add(block)
	}
	return c
}

// Params are the parameters of regtest.
func (c *Chain) Params() *chaincfg.Params { return &chaincfg.RegressionNetParams }

// Mine puts exactly these transactions into a block on the tip. They and all
// that conflicts with them leave the mempool.
func (c *Chain) Mine(txs ...*wire.MsgTx) *wire.MsgBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mine(txs)
}

// MineMempool puts the whole mempool into a block on the tip.
func (c *Chain) MineMempool() *wire.MsgBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mine(slices.Clone(c.mempool))
}

// MineEmpty mines n blocks that hold nothing but their coinbase, and gives the
// last of them.
func (c *Chain) MineEmpty(n int) *wire.MsgBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range n {
		c.mine(nil)
	}
	return c.tip.block
}

func (c *Chain) mine(txs []*wire.MsgTx) *wire.MsgBlock {
	block := c.build(c.tip, txs)
	c.switchTo(c.insert(block, c.tip.height+1))
	return block
}

// MineOn builds a block on any block of any branch. It does not move the tip:
// see Switch.
func (c *Chain) MineOn(parent chainhash.Hash, txs ...*wire.MsgTx) *wire.MsgBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	on := c.must(parent)
	block := c.build(on, txs)
	c.insert(block, on.height+1)
	return block
}

// Add takes a ready block, whatever it holds (see Seal), and makes it the tip.
// It panics when the parent is unknown.
func (c *Chain) Add(block *wire.MsgBlock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.switchTo(c.insert(block, c.must(block.Header.PrevBlock).height+1))
}

// Fork cuts the chain back to a height: what Mine adds now is another branch.
// Transactions of the blocks that leave return to the mempool. Switch with the
// hash of the old tip goes back.
func (c *Chain) Fork(height int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to := c.at(height)
	if to == nil {
		panic(fmt.Sprintf("chaintest: no block at height %d", height))
	}
	c.switchTo(to)
}

// Switch makes a block of any branch the tip, whatever its work: a source may
// lie. Transactions of the blocks that leave return to the mempool, unless the
// new branch holds them or spends what they spend.
func (c *Chain) Switch(tip chainhash.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.switchTo(c.must(tip))
}

// Reorg replaces the newest blocks, as many as depth, by one more than those,
// as the rest of the network would. The first of the new blocks holds the
// transactions, the others hold none. It gives the new tip.
func (c *Chain) Reorg(depth int32, txs ...*wire.MsgTx) *wire.MsgBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	on := c.at(c.tip.height - depth)
	if on == nil {
		panic(fmt.Sprintf("chaintest: no %d blocks to replace", depth))
	}
	for range depth + 1 {
		on = c.insert(c.build(on, txs), on.height+1)
		txs = nil
	}
	c.switchTo(on)
	return on.block
}

// AddMempool puts a transaction into the mempool. As with full replacement,
// what it conflicts with leaves, and so does what spends from that.
func (c *Chain) AddMempool(tx *wire.MsgTx) chainhash.Hash {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mempool = append(without(c.mempool, tx), tx)
	return tx.TxHash()
}

// DropMempool makes the mempool forget a transaction and what spends from it.
func (c *Chain) DropMempool(id chainhash.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := map[chainhash.Hash]bool{id: true}
	c.mempool = slices.DeleteFunc(c.mempool, func(tx *wire.MsgTx) bool { return leaves(tx, nil, gone) })
}

// Tip is the newest block and its height.
func (c *Chain) Tip() (int32, *wire.MsgBlock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tip.height, c.tip.block
}

// BlockAt is the block of the chain at a height; nil where there is none.
func (c *Chain) BlockAt(height int32) *wire.MsgBlock {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.at(height); l != nil {
		return l.block
	}
	return nil
}

// BlockHash is the hash of the block at a height, or ErrNoBlock.
func (c *Chain) BlockHash(_ context.Context, height int32) (chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.at(height); l != nil {
		return l.hash, nil
	}
	return chainhash.Hash{}, fmt.Errorf("%w at height %d", ErrNoBlock, height)
}

// Best is the height and the hash of the tip.
func (c *Chain) Best(context.Context) (int32, chainhash.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tip.height, c.tip.hash, nil
}

// RawBlock is a block of any branch, or ErrNoBlock.
func (c *Chain) RawBlock(_ context.Context, hash chainhash.Hash) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.blocks[hash]; l != nil {
		return l.raw, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrNoBlock, hash)
}

// Mempool gives the unconfirmed transactions, oldest first.
func (c *Chain) Mempool(context.Context) ([]*wire.MsgTx, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.mempool), nil
}

// SendRaw is AddMempool in the shape that a Wallet wants.
func (c *Chain) SendRaw(_ context.Context, tx *wire.MsgTx) (chainhash.Hash, error) {
	return c.AddMempool(tx), nil
}

func (c *Chain) must(hash chainhash.Hash) *link {
	l := c.blocks[hash]
	if l == nil {
		panic("chaintest: no block " + hash.String())
	}
	return l
}

// at walks back from the tip; nil where the chain has no such height.
func (c *Chain) at(height int32) *link {
	l := c.tip
	for l != nil && l.height > height {
		l = l.parent
	}
	if l == nil || l.height != height {
		return nil
	}
	return l
}

func (c *Chain) insert(block *wire.MsgBlock, height int32) *link {
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		panic(err) // a buffer takes everything
	}
	l := &link{block: block, hash: block.BlockHash(), raw: raw.Bytes(), height: height, parent: c.blocks[block.Header.PrevBlock]}
	c.blocks[l.hash] = l
	return l
}

// switchTo moves the tip and keeps the mempool as a node would: what left
// blocks comes first, because the rest may spend it.
func (c *Chain) switchTo(to *link) {
	var left, joined []*wire.MsgTx
	from, on := c.tip, to
	for from != on {
		if from != nil && (on == nil || from.height >= on.height) {
			left = append(slices.Clone(from.block.Transactions[1:]), left...)
			from = from.parent
			continue
		}
		joined = append(slices.Clone(on.block.Transactions[1:]), joined...)
		on = on.parent
	}
	c.tip = to
	c.mempool = without(append(left, c.mempool...), joined...)
}

// build makes a block on a parent.
func (c *Chain) build(on *link, txs []*wire.MsgTx) *wire.MsgBlock {
	height := on.height + 1
	c.nonce++
	block := &wire.MsgBlock{Header: wire.BlockHeader{
		Version:   0x20000000,
		PrevBlock: on.hash,
		Timestamp: on.block.Header.Timestamp.Add(10 * time.Minute),
		Bits:      chaincfg.RegressionNetParams.PowLimitBits,
	}}
	if on.hash == *chaincfg.RegressionNetParams.GenesisHash {
		// The genesis block is of 2011: before P2SH, which goes by time.
		block.Header.Timestamp = time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	if c.Time != nil {
		block.Header.Timestamp = c.Time(height).Truncate(time.Second)
	}
	subsidy := blockchain.CalcBlockSubsidy(height, &chaincfg.RegressionNetParams)
	block.Transactions = append([]*wire.MsgTx{coinbase(height, c.nonce, subsidy, c.CoinbaseScript)}, txs...)
	Seal(block)
	return block
}
