package chaintest

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// index is what an Esplora server knows: the chain and the mempool of its
// source, by script, transaction and output. One goroutine syncs at a time;
// readers hold mu.
type index struct {
	mu     sync.RWMutex
	trail  trail
	blocks []*indexedBlock // of the chain, along the trail
	byHash map[chainhash.Hash]*indexedBlock
	txs    map[chainhash.Hash]*entry // confirmed
	spends map[wire.OutPoint]spender // by confirmed transactions

	scripts map[scriptHash]*scriptHistory

	pool       map[chainhash.Hash]*entry
	poolSpends map[wire.OutPoint]spender
	poolSource []*wire.MsgTx // as the source last gave it
}

// scriptHash is SHA-256 of a script, not reversed, as Esplora has it.
type scriptHash = [sha256.Size]byte

// indexedBlock is a block that was once on the chain. It stays known after it
// has left: electrs serves the bytes of stale blocks too.
type indexedBlock struct {
	msg     *wire.MsgBlock
	hash    chainhash.Hash
	height  int32
	entries []*entry
	status  []byte // the status of its transactions, as JSON
}

// entry is a transaction with the outputs it spends.
type entry struct {
	tx    *wire.MsgTx
	id    chainhash.Hash
	block *indexedBlock // nil while unconfirmed
	pos   int           // in the block
	spent []*wire.TxOut // nil for a coinbase's and for unknown ones

	once sync.Once
	body []byte // JSON up to the status, made when first asked for
}

type spender struct {
	by  *entry
	vin int
}

// scriptHistory is what happened to one script, oldest first.
type scriptHistory struct {
	script    scriptHash
	confirmed []*entry
	pool      []*entry
	chainSum  tally
	poolSum   tally
}

// tally are the counters that Esplora shows of an address.
type tally struct {
	fundedCount, fundedSum, spentCount, spentSum, txs int64
}

func newIndex() *index {
	return &index{
		byHash:     map[chainhash.Hash]*indexedBlock{},
		txs:        map[chainhash.Hash]*entry{},
		spends:     map[wire.OutPoint]spender{},
		scripts:    map[scriptHash]*scriptHistory{},
		pool:       map[chainhash.Hash]*entry{},
		poolSpends: map[wire.OutPoint]spender{},
	}
}

// errRestless says that a source changed each time it was read.
var errRestless = errors.New("the source changes while it is read")

// sync reads the source and takes over what changed. Blocks and mempool fit
// each other: the tip is the same before and after.
func (x *index) sync(ctx context.Context, from Source) error {
	for range 20 {
		read, err := x.trail.read(ctx, from)
		if err != nil {
			return err
		}
		pool, err := from.Mempool(ctx)
		if err != nil {
			return err
		}
		_, tip, err := from.Best(ctx)
		if err != nil {
			return err
		}
		if tip == x.tipAfter(read) {
			x.apply(read, pool)
			return nil
		}
	}
	return errRestless
}

func (x *index) tipAfter(read stretch) chainhash.Hash {
	if n := len(read.hashes); n > 0 {
		return read.hashes[n-1]
	}
	return x.trail.hashes[read.above-x.trail.base]
}

func (x *index) apply(read stretch, pool []*wire.MsgTx) {
	still := len(read.blocks) == 0 && read.above == x.trail.height()
	if still && slices.Equal(pool, x.poolSource) {
		return // pointers: both sources keep a transaction where it is
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.blocks) > 0 && x.blocks[len(x.blocks)-1].height > read.above {
		x.disconnect(x.blocks[len(x.blocks)-1])
		x.blocks = x.blocks[:len(x.blocks)-1]
	}
	x.trail.follow(read)
	for i, block := range read.blocks {
		b := x.connect(block, read.hashes[i], read.above+1+int32(i))
		x.blocks = append(x.blocks, b)
	}
	x.takePool(pool)
}

func (x *index) connect(msg *wire.MsgBlock, hash chainhash.Hash, height int32) *indexedBlock {
	b := &indexedBlock{msg: msg, hash: hash, height: height, status: renderStatus(height, hash, msg.Header.Timestamp)}
	x.byHash[hash] = b
	b.entries = make([]*entry, len(msg.Transactions))
	for pos, tx := range msg.Transactions {
		e := &entry{tx: tx, id: tx.TxHash(), block: b, pos: pos}
		x.resolve(e)
		b.entries[pos] = e
		x.txs[e.id] = e
		record(e, x.spends)
		for script, sum := range e.touches() {
			h := x.history(script)
			h.confirmed = append(h.confirmed, e)
			h.chainSum.add(sum, 1)
		}
	}
	return b
}

// disconnect undoes connect for the newest block.
func (x *index) disconnect(b *indexedBlock) {
	for _, e := range slices.Backward(b.entries) {
		for script, sum := range e.touches() {
			h := x.history(script)
			h.confirmed = h.confirmed[:len(h.confirmed)-1]
			h.chainSum.add(sum, -1)
		}
		for _, in := range e.tx.TxIn {
			delete(x.spends, in.PreviousOutPoint)
		}
		delete(x.txs, e.id)
	}
}

// takePool replaces the mempool, and keeps entries that are still in it.
func (x *index) takePool(source []*wire.MsgTx) {
	known := make(map[*wire.MsgTx]*entry, len(x.pool))
	for _, e := range x.pool {
		known[e.tx] = e
		for script := range e.touches() {
			h := x.history(script)
			h.pool, h.poolSum = nil, tally{}
		}
	}
	clear(x.pool)
	clear(x.poolSpends)
	x.poolSource = source
	entries := make([]*entry, 0, len(source))
	for _, tx := range source {
		e := known[tx]
		if e == nil || slices.Contains(e.spent, nil) {
			e = &entry{tx: tx, id: tx.TxHash()}
		}
		if x.txs[e.id] == nil { // a node may hold it a moment longer
			x.pool[e.id] = e
			entries = append(entries, e)
		}
	}
	for _, e := range entries {
		if e.spent == nil {
			x.resolve(e) // parents can come later than children
		}
		record(e, x.poolSpends)
		for script, sum := range e.touches() {
			h := x.history(script)
			h.pool = append(h.pool, e)
			h.poolSum.add(sum, 1)
		}
	}
}

func (x *index) history(script scriptHash) *scriptHistory {
	h := x.scripts[script]
	if h == nil {
		h = &scriptHistory{script: script}
		x.scripts[script] = h
	}
	return h
}

// find gives a transaction, confirmed or not; nil where there is none.
func (x *index) find(id chainhash.Hash) *entry {
	if e := x.txs[id]; e != nil {
		return e
	}
	return x.pool[id]
}

// spent says who spends an output; a confirmed spend comes before another.
func (x *index) spent(at wire.OutPoint) (spender, bool) {
	if s, ok := x.spends[at]; ok {
		return s, true
	}
	s, ok := x.poolSpends[at]
	return s, ok
}

func (x *index) resolve(e *entry) {
	e.spent = make([]*wire.TxOut, len(e.tx.TxIn))
	for i, in := range e.tx.TxIn {
		at := in.PreviousOutPoint
		if parent := x.find(at.Hash); parent != nil && int(at.Index) < len(parent.tx.TxOut) {
			e.spent[i] = parent.tx.TxOut[at.Index]
		}
	}
}

func record(e *entry, spends map[wire.OutPoint]spender) {
	for i, in := range e.tx.TxIn {
		spends[in.PreviousOutPoint] = spender{by: e, vin: i}
	}
}

// touches gives for each script in inputs and outputs what it adds to the
// counters. Like electrs it leaves out what can never be spent.
func (e *entry) touches() map[scriptHash]tally {
	sums := make(map[scriptHash]tally, len(e.tx.TxOut)+len(e.spent))
	for _, out := range e.spent {
		if out != nil {
			script := sha256.Sum256(out.PkScript)
			sums[script] = sums[script].plus(tally{spentCount: 1, spentSum: out.Value, txs: 1})
		}
	}
	for _, out := range e.tx.TxOut {
		if !unspendable(out.PkScript) {
			script := sha256.Sum256(out.PkScript)
			sums[script] = sums[script].plus(tally{fundedCount: 1, fundedSum: out.Value, txs: 1})
		}
	}
	return sums
}

// plus sums two tallies of one transaction, which counts once.
func (t tally) plus(o tally) tally {
	t.add(o, 1)
	t.txs = 1
	return t
}

func (t *tally) add(o tally, sign int64) {
	t.fundedCount += sign * o.fundedCount
	t.fundedSum += sign * o.fundedSum
	t.spentCount += sign * o.spentCount
	t.spentSum += sign * o.spentSum
	t.txs += sign * o.txs
}
