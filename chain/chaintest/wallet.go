package chaintest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// Output is what a payment pays: satoshis to a script. Two outputs to one
// script are two outputs.
type Output struct {
	Script []byte
	Value  int64
}

// Payment is a transaction to be made. The zero values let the wallet decide.
type Payment struct {
	Outputs []Output // in this order; the change comes last
	// Spend names the inputs, in this order and no others. Empty: the wallet
	// spends coinbases, the oldest first and one is nearly always enough, and
	// its change when those run out; so payments do not depend on each other.
	Spend    []wire.OutPoint
	Fee      int64  // satoshis; 0: two a virtual byte
	Change   []byte // where the rest goes; nil: a script of the wallet
	NoChange bool   // the rest is fee too
	Final    bool   // does not signal that it may be replaced
}

// Wallet holds keys on regtest and pays with the coinbases of a Node or Chain.
// What it pays to its own addresses it can spend, when told to. It is safe for
// concurrent use.
type Wallet struct {
	ledger Ledger
	seed   string
	change []byte

	mu    sync.Mutex
	keys  map[string]*owned // by script
	txs   map[chainhash.Hash]*wire.MsgTx
	spent map[wire.OutPoint]chainhash.Hash // by which transaction
	pool  []coin                           // what may be spent without being told to
	chain trail
}

// coin is an output of which the wallet may dispose by itself.
type coin struct {
	at     wire.OutPoint
	value  int64
	height int32 // of a coinbase, which must mature; -1 for change
}

// NewWallet makes the wallet of a seed. The node's or chain's coinbases pay the
// wallet with the seed that the node was started with.
func NewWallet(ledger Ledger, seed string) *Wallet {
	w := &Wallet{
		ledger: ledger, seed: seed,
		keys:  map[string]*owned{},
		txs:   map[chainhash.Hash]*wire.MsgTx{},
		spent: map[wire.OutPoint]chainhash.Hash{},
	}
	w.own("mining", chain.P2WPKH)
	w.change = w.own("change", chain.P2WPKH).Script
	return w
}

// Address is the n-th address of a kind, on regtest. The key of n is the same
// in every kind. P2SH holds a nested P2WPKH and P2WSH a public key.
func (w *Wallet) Address(kind chain.Kind, n int) chain.Address {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own(fmt.Sprint(n), kind)
}

// BareKey is the script that pays to the n-th public key itself (P2PK).
func (w *Wallet) BareKey(n int) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own(fmt.Sprint(n), bareKey).Script
}

func (w *Wallet) own(use string, kind chain.Kind) chain.Address {
	own, err := newOwned(privateKey(w.seed, use), kind)
	if err != nil {
		panic(err)
	}
	w.keys[string(own.address.Script)] = own
	return own.address
}

// Pay builds, signs and sends a transaction with these outputs first.
func (w *Wallet) Pay(ctx context.Context, outputs ...Output) (*wire.MsgTx, error) {
	return w.Send(ctx, Payment{Outputs: outputs})
}

// Send builds, signs and sends a transaction.
func (w *Wallet) Send(ctx context.Context, p Payment) (*wire.MsgTx, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tx, err := w.build(ctx, p)
	if err != nil {
		return nil, err
	}
	if _, err := w.ledger.SendRaw(ctx, tx); err != nil {
		return nil, fmt.Errorf("send %s: %w", tx.TxHash(), err)
	}
	w.record(tx)
	return tx, nil
}

// Build builds and signs a transaction and does not send it. The wallet holds
// it for sent.
func (w *Wallet) Build(ctx context.Context, p Payment) (*wire.MsgTx, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	tx, err := w.build(ctx, p)
	if err != nil {
		return nil, err
	}
	w.record(tx)
	return tx, nil
}

// Replace sends a transaction that spends the inputs of an older one, pays
// these outputs (none: all goes to change, a double spend away) and has thrice
// its fee and 1,000 satoshis more.
func (w *Wallet) Replace(ctx context.Context, old *wire.MsgTx, outputs ...Output) (*wire.MsgTx, error) {
	fee, err := w.Fee(old)
	if err != nil {
		return nil, err
	}
	return w.Send(ctx, Payment{Outputs: outputs, Spend: inputsOf(old), Fee: 3*fee + 1000})
}

// Fee is what a transaction leaves to the miner, in satoshis. The wallet must
// know what it spends.
func (w *Wallet) Fee(tx *wire.MsgTx) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fee int64
	for _, in := range tx.TxIn {
		out, err := w.output(in.PreviousOutPoint)
		if err != nil {
			return 0, err
		}
		fee += out.Value
	}
	for _, out := range tx.TxOut {
		fee -= out.Value
	}
	return fee, nil
}

// Learn tells the wallet of a transaction made elsewhere that pays it, so that
// it can be spent.
func (w *Wallet) Learn(tx *wire.MsgTx) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.txs[tx.TxHash()] = tx
}

// errTooLittle says that the inputs do not cover outputs and fee.
var errTooLittle = errors.New("the wallet's coins do not cover it (a coinbase matures after 100 blocks)")

func (w *Wallet) build(ctx context.Context, p Payment) (*wire.MsgTx, error) {
	height, err := w.refresh(ctx)
	if err != nil {
		return nil, err
	}
	if len(p.Spend) > 0 {
		return w.assemble(p, p.Spend)
	}
	var inputs []wire.OutPoint
	for _, c := range w.pool {
		if _, gone := w.spent[c.at]; gone || c.height >= 0 && height+1-c.height < 100 {
			continue
		}
		inputs = append(inputs, c.at)
		tx, err := w.assemble(p, inputs)
		if !errors.Is(err, errTooLittle) {
			return tx, err
		}
	}
	return nil, errTooLittle
}

// assemble signs twice where it chooses the fee: the size is known only then.
func (w *Wallet) assemble(p Payment, inputs []wire.OutPoint) (*wire.MsgTx, error) {
	tx, err := w.signed(p, inputs, p.Fee)
	if err != nil || p.Fee != 0 || p.NoChange {
		return tx, err
	}
	// A signature can come out a byte longer the second time.
	return w.signed(p, inputs, 2*(virtualSize(tx)+int64(len(inputs))))
}

func (w *Wallet) signed(p Payment, inputs []wire.OutPoint, fee int64) (*wire.MsgTx, error) {
	tx := wire.NewMsgTx(2)
	fetch := txscript.NewMultiPrevOutFetcher(nil)
	rest := -fee
	for _, at := range inputs {
		out, err := w.output(at)
		if err != nil {
			return nil, err
		}
		in := wire.NewTxIn(&at, nil, nil)
		if !p.Final {
			in.Sequence = wire.MaxTxInSequenceNum - 2
		}
		tx.AddTxIn(in)
		fetch.AddPrevOut(at, out)
		rest += out.Value
	}
	for _, out := range p.Outputs {
		tx.AddTxOut(wire.NewTxOut(out.Value, out.Script))
		rest -= out.Value
	}
	if rest < 0 {
		return nil, errTooLittle
	}
	if rest > 0 && !p.NoChange {
		to := p.Change
		if to == nil {
			to = w.change
		}
		tx.AddTxOut(wire.NewTxOut(rest, to))
	}
	return tx, w.sign(tx, fetch)
}

func (w *Wallet) sign(tx *wire.MsgTx, spent txscript.PrevOutputFetcher) error {
	hashes := txscript.NewTxSigHashes(tx, spent)
	for i, in := range tx.TxIn {
		out := spent.FetchPrevOutput(in.PreviousOutPoint)
		key := w.keys[string(out.PkScript)]
		if key == nil {
			return fmt.Errorf("the wallet has no key for %s, script %x", in.PreviousOutPoint, out.PkScript)
		}
		if err := key.sign(tx, hashes, i, out.Value); err != nil {
			return fmt.Errorf("sign input %d: %w", i, err)
		}
	}
	return nil
}

func (w *Wallet) output(at wire.OutPoint) (*wire.TxOut, error) {
	tx := w.txs[at.Hash]
	if tx == nil || int(at.Index) >= len(tx.TxOut) {
		return nil, fmt.Errorf("the wallet does not know the output %s", at)
	}
	return tx.TxOut[at.Index], nil
}

// record takes a transaction for sent. What it conflicts with is dead, with
// all that it made.
func (w *Wallet) record(tx *wire.MsgTx) {
	id := tx.TxHash()
	w.txs[id] = tx
	for _, in := range tx.TxIn {
		if other, taken := w.spent[in.PreviousOutPoint]; taken && other != id {
			w.forget(other)
		}
		w.spent[in.PreviousOutPoint] = id
	}
	for i, out := range tx.TxOut {
		if string(out.PkScript) == string(w.change) {
			w.pool = append(w.pool, coin{wire.OutPoint{Hash: id, Index: uint32(i)}, out.Value, -1})
		}
	}
}

func (w *Wallet) forget(id chainhash.Hash) {
	w.pool = slices.DeleteFunc(w.pool, func(c coin) bool { return c.at.Hash == id })
	tx := w.txs[id]
	if tx == nil {
		return
	}
	for i := range tx.TxOut {
		if by, taken := w.spent[wire.OutPoint{Hash: id, Index: uint32(i)}]; taken {
			w.forget(by)
		}
	}
	for _, in := range tx.TxIn {
		if w.spent[in.PreviousOutPoint] == id {
			delete(w.spent, in.PreviousOutPoint)
		}
	}
}

// refresh reads the coinbases of new blocks and forgets those of blocks that
// left the chain. It gives the height of the tip.
func (w *Wallet) refresh(ctx context.Context) (int32, error) {
	read, err := w.chain.read(ctx, w.ledger)
	if err != nil {
		return 0, err
	}
	keep := w.chain.follow(read)
	w.pool = slices.DeleteFunc(w.pool, func(c coin) bool { return c.height > keep })
	at := len(w.pool)
	for i, c := range w.pool {
		if c.height < 0 { // change stays behind the coinbases
			at = i
			break
		}
	}
	var mined []coin
	for i, block := range read.blocks {
		first := block.Transactions[0]
		if _, ours := w.keys[string(first.TxOut[0].PkScript)]; ours {
			id := first.TxHash()
			w.txs[id] = first
			mined = append(mined, coin{wire.OutPoint{Hash: id}, first.TxOut[0].Value, keep + 1 + int32(i)})
		}
	}
	w.pool = slices.Insert(w.pool, at, mined...)
	return w.chain.height(), nil
}

func inputsOf(tx *wire.MsgTx) []wire.OutPoint {
	points := make([]wire.OutPoint, len(tx.TxIn))
	for i, in := range tx.TxIn {
		points[i] = in.PreviousOutPoint
	}
	return points
}

// weight is three times the size without witnesses and once with (BIP141).
func weight(tx *wire.MsgTx) int64 {
	return int64(3*tx.SerializeSizeStripped() + tx.SerializeSize())
}

func virtualSize(tx *wire.MsgTx) int64 { return (weight(tx) + 3) / 4 }
