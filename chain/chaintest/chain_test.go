package chaintest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// Every block must pass btcd's own checks of what a block is.
func TestChainBlocksAreSane(t *testing.T) {
	c, w := funded(t)
	must(w.Pay(t.Context(), Output{w.Address(chain.P2WPKH, 1).Script, 5000})) // has witnesses
	c.MineMempool()
	c.History(w.Address(chain.P2SH, 1).Script, 1200)
	c.Reorg(2)
	height, _ := c.Tip()
	commitments := 0
	for ; height > 0; height-- {
		block := c.BlockAt(height)
		b := btcutil.NewBlock(block)
		if err := blockchain.CheckBlockSanity(b, chaincfg.RegressionNetParams.PowLimit, blockchain.NewMedianTime()); err != nil {
			t.Fatalf("height %d: %v", height, err)
		}
		if err := blockchain.CheckSerializedHeight(b.Transactions()[0], height); err != nil {
			t.Fatalf("height %d: %v", height, err)
		}
		if err := blockchain.ValidateWitnessCommitment(b); err != nil {
			t.Fatalf("height %d: %v", height, err)
		}
		if _, found := blockchain.ExtractWitnessCommitment(b.Transactions()[0]); found {
			commitments++
		}
		if parent := c.BlockAt(height - 1); block.Header.PrevBlock != parent.BlockHash() || !block.Header.Timestamp.After(parent.Header.Timestamp) {
			t.Fatalf("height %d does not follow its parent", height)
		}
	}
	if commitments != 2 { // the payment and what the reorg left of the history (1 of 3 blocks)
		t.Errorf("%d blocks with a witness commitment", commitments)
	}
}

func TestSealAfterAChange(t *testing.T) {
	c, w := funded(t)
	must(w.Pay(t.Context(), Output{w.Address(chain.P2WPKH, 1).Script, 5000}))
	block := c.MineMempool()
	before := block.BlockHash()
	block.Transactions[1].TxIn[0].Witness[0][5] ^= 1
	if err := blockchain.ValidateWitnessCommitment(btcutil.NewBlock(block)); err == nil {
		t.Error("a changed witness passes the old commitment")
	}
	Seal(block)
	if err := blockchain.ValidateWitnessCommitment(btcutil.NewBlock(block)); err != nil {
		t.Error(err)
	}
	if block.BlockHash() == before {
		t.Error("the hash is the old one")
	}
	Seal(block)
	if n := len(block.Transactions[0].TxOut); n != 2 {
		t.Errorf("%d outputs in the coinbase after two seals", n)
	}
}

func TestChainReorg(t *testing.T) {
	ctx := t.Context()
	c, w := funded(t)
	script := w.Address(chain.P2WPKH, 1).Script
	one := must(w.Pay(ctx, Output{script, 1000}))
	c.Mine(one)
	two := must(w.Pay(ctx, Output{script, 2000}))
	old := c.Mine(two)
	three := must(w.Pay(ctx, Output{script, 3000}))

	tip := c.Reorg(2, two)
	if height, got := c.Tip(); height != 123 || got != tip {
		t.Errorf("the tip is at %d", height)
	}
	// What left its block comes first, what the branch holds is not in it.
	if got := must(c.Mempool(ctx)); !slices.Equal(ids(got...), ids(one, three)) {
		t.Errorf("mempool after the reorg: %v", ids(got...))
	}
	c.Switch(old.BlockHash())
	if got := must(c.Mempool(ctx)); !slices.Equal(ids(got...), ids(three)) {
		t.Errorf("mempool after going back: %v", ids(got...))
	}
	c.Fork(120)
	if got := must(c.Mempool(ctx)); !slices.Equal(ids(got...), ids(one, two, three)) {
		t.Errorf("mempool after the cut: %v", ids(got...))
	}
	side := c.MineOn(must(c.BlockHash(ctx, 119)), three)
	if height, _ := c.Tip(); height != 120 {
		t.Errorf("a block beside moved the tip to %d", height)
	}
	c.Switch(side.BlockHash())
	if got := must(c.Mempool(ctx)); !slices.Equal(ids(got...), ids(one, two)) {
		t.Errorf("mempool on the side branch: %v", ids(got...))
	}
}

func TestChainMempoolConflicts(t *testing.T) {
	ctx := t.Context()
	c, w := funded(t)
	a := w.Address(chain.P2WPKH, 1)
	first := must(w.Pay(ctx, Output{a.Script, 10_000}))
	must(w.Send(ctx, Payment{Spend: []wire.OutPoint{{Hash: first.TxHash()}}, Fee: 200}))
	beside := must(w.Pay(ctx, Output{a.Script, 1}))
	second := must(w.Replace(ctx, first))
	if got := must(c.Mempool(ctx)); !slices.Equal(ids(got...), ids(beside, second)) {
		t.Errorf("after the replacement: %v", ids(got...))
	}
	c.Mine(first)
	if got := must(c.Mempool(ctx)); !slices.Equal(ids(got...), ids(beside)) {
		t.Errorf("after the block with the replaced one: %v", ids(got...))
	}
	c.DropMempool(beside.TxHash())
	if got := must(c.Mempool(ctx)); len(got) != 0 {
		t.Errorf("after the drop: %v", ids(got...))
	}
}

func TestChainOfStartsAnywhere(t *testing.T) {
	c := NewChain()
	c.MineEmpty(10)
	part := ChainOf(4, c.BlockAt(4), c.BlockAt(5), c.BlockAt(6))
	if height, block := part.Tip(); height != 6 || block.BlockHash() != c.BlockAt(6).BlockHash() {
		t.Errorf("the tip is at %d", height)
	}
	if _, err := part.BlockHash(context.Background(), 3); !errors.Is(err, ErrNoBlock) {
		t.Errorf("below the first block: %v", err)
	}
	b := serve(t, NewEsplora(part, part.Params()))
	b.want("/blocks/tip/height", 200, "6")
	b.want("/block-height/4", 200, c.BlockAt(4).BlockHash().String())
	b.want("/block-height/3", 404, "Block not found")
	part.Fork(4)
	part.MineEmpty(1)
	b.want("/blocks/tip/height", 200, "5")
}

// The same steps give the same chain, so that a test can name its hashes.
func TestChainIsTheSameEachTime(t *testing.T) {
	build := func() chainhash.Hash {
		c, w := funded(t)
		must(w.Pay(t.Context(), Output{w.Address(chain.P2TR, 1).Script, 5000}))
		c.MineMempool()
		c.History(w.Address(chain.P2PKH, 1).Script, 10)
		_, block := c.Tip()
		return block.BlockHash()
	}
	if a, b := build(), build(); a != b {
		t.Errorf("%s and %s", a, b)
	}
}

func TestHistoryIsWhatItSays(t *testing.T) {
	c := NewChain()
	script := NewWallet(c, "").Address(chain.P2WPKH, 1).Script
	txs := c.History(script, 1001)
	if height, _ := c.Tip(); height != 4 { // one block to fund it, then 500, 500 and 1
		t.Errorf("the tip is at %d", height)
	}
	for i, tx := range txs {
		if out := tx.TxOut[0]; !bytes.Equal(out.PkScript, script) || out.Value != int64(1000+i) {
			t.Fatalf("%d pays %d", i, out.Value)
		}
		if spends := len(tx.TxIn) == 2; spends != (i%4 == 3) || spends && tx.TxIn[1].PreviousOutPoint.Hash != txs[i-1].TxHash() {
			t.Fatalf("%d has %d inputs", i, len(tx.TxIn))
		}
	}
}

func TestWalletTellsTooLittle(t *testing.T) {
	c := NewChain()
	w := NewWallet(c, "")
	c.MineEmpty(99)
	if _, err := w.Pay(t.Context(), Output{[]byte{0x51}, 1}); !errors.Is(err, errTooLittle) {
		t.Errorf("with no mature coinbase: %v", err)
	}
	c.MineEmpty(1) // 100 confirmations of the first
	if _, err := w.Pay(t.Context(), Output{[]byte{0x51}, 50_0000_0000}); !errors.Is(err, errTooLittle) {
		t.Errorf("with nothing left for the fee: %v", err)
	}
	tx := must(w.Send(t.Context(), Payment{Outputs: []Output{{[]byte{0x51}, 49_0000_0000}}, Fee: 777}))
	if fee := must(w.Fee(tx)); fee != 777 || len(tx.TxOut) != 2 {
		t.Errorf("fee %d, %d outputs", fee, len(tx.TxOut))
	}
	if _, err := w.Send(t.Context(), Payment{Spend: []wire.OutPoint{{Hash: chainhash.Hash{1}}}}); err == nil {
		t.Error("it spends what it does not know")
	}
}
