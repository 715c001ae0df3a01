package sql_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
)

// pastBench is a watch that begins at block 31 of a chain which holds a payment
// in block 12; the headers are known from block 5 on.
func pastBench(t *testing.T) (b *bench, c *chaintest.Chain, in *wire.MsgTx) {
	b, c = newBench(t, telling()), chaintest.NewChain()
	c.MineEmpty(11)
	in = transaction(1, []wire.OutPoint{stranger(1)}, wire.NewTxOut(5_000, address(1).Script))
	c.Mine(append(crowd(4), in)...)
	c.MineEmpty(18)
	b.watch(pressed(address(1)))
	b.begin(c, 30)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 30, 26), "alpha"))
	b.report("alpha", confirmed(in, c, 12))
	return b, c, in
}

// provePast records what an explorer serves of a payment from before the start.
func (b *bench) provePast(tx *wire.MsgTx, block *wire.MsgBlock, height int32) {
	b.Helper()
	var ids []chainhash.Hash
	for _, tx := range block.Transactions {
		ids = append(ids, tx.TxHash())
	}
	index := slices.Index(ids, tx.TxHash())
	branches := chain.Branches(ids, []int{index, 0})
	flat := func(hashes []chainhash.Hash) (all []byte) {
		for _, h := range hashes {
			all = append(all, h[:]...)
		}
		return all
	}
	txid := tx.TxHash()
	b.exec(`
		INSERT INTO btcwatch.past_branch (tx_id, start_id, height, index, siblings, coinbase, coinbase_siblings, at)
		SELECT t.id, (SELECT min(id) FROM btcwatch.start), $2, $3, $4, $5, $6, now()
		FROM btcwatch.tx t
		WHERE t.txid = $1`,
		txid[:], height, index, flat(branches[0].Siblings), bytesOf(block.Transactions[0]), flat(branches[1].Siblings))
}

func bytesOf(tx *wire.MsgTx) []byte {
	var raw bytes.Buffer
	_ = tx.Serialize(&raw) // a bytes.Buffer takes everything
	return raw.Bytes()
}

// TestEvidenceOfThePast: a payment from before the watch is proven by its own
// branch, and by the headers up to the start that was built on it.
func TestEvidenceOfThePast(t *testing.T) {
	b, c, in := pastBench(t)
	if v := b.prove(in); v.Block != nil {
		t.Errorf("without a branch it proves %+v", v.Block)
	}
	b.provePast(in, c.BlockAt(12), 12)
	v := b.prove(in) // before anything was covered
	if p := v.Block; p == nil || p.Chain.First != 5 || p.Chain.Last != 30 || p.Chain.Start == nil || p.Chain.Start.Height != 31 {
		t.Fatalf("proves %+v", p)
	}
	c.MineEmpty(10)
	b.follow(c)
	v = b.prove(in)
	p := v.Block
	if p == nil || p.Hash != c.BlockAt(12).BlockHash() || p.Height != 12 || p.Index != 5 || p.Depth != 29 || !p.SaysHeight {
		t.Fatalf("proves %+v", p)
	}
	if p.Chain.First != 5 || p.Chain.Last != 40 || p.Chain.Start == nil || p.Chain.Start.Height != 31 || p.Chain.Below != nil {
		t.Errorf("stands on %+v", p.Chain)
	}
	if got := moves(v, address(1)); got != "[{in 0 5000 true}]" {
		t.Errorf("movements %s", got)
	}

	b.must(b.writer.AddAncestors(t.Context(), below(c, 4, 5), "alpha"))
	v = b.prove(in)
	if p := v.Block; p.Chain.First != 0 || p.Chain.Below == nil || p.Chain.Below.Height != 0 {
		t.Errorf("with all headers it stands on %+v", p.Chain)
	}
	later := transaction(2, []wire.OutPoint{stranger(2)}, wire.NewTxOut(6_000, address(1).Script))
	c.Mine(later)
	b.follow(c)
	v = b.prove(later)
	if p := v.Block; p == nil || p.Height != 41 || p.Chain.First != 0 || p.Chain.Below == nil || p.Chain.Start == nil || p.Chain.Start.Height != 31 {
		t.Errorf("a payment that was followed proves %+v", p)
	}
}

// TestEvidenceOfThePastAfterReorg: where the chain left the block, its branch
// proves nothing any more.
func TestEvidenceOfThePastAfterReorg(t *testing.T) {
	b, c, in := pastBench(t)
	c.MineEmpty(3)
	b.follow(c)
	b.provePast(in, c.BlockAt(12), 12)

	b.must(b.writer.StepBack(t.Context(), 20)) // below the start, above the payment
	c.Fork(20)
	c.MineEmpty(20)
	b.follow(c)
	v := b.prove(in)
	if p := v.Block; p == nil || p.Chain.First != 5 || p.Chain.Last != 40 || p.Depth != 29 {
		t.Fatalf("after a reorganisation above it: %+v", p)
	}
	if s := v.Evidence.Stated.Starts; v.Block.Chain.Start != nil || len(s) != 1 || !s[0].Left {
		t.Errorf("the chain left the start, and rests on %+v of %+v", v.Block.Chain.Start, s)
	}
	b.must(b.writer.StepBack(t.Context(), 10)) // and below the payment
	c.Fork(10)
	c.MineEmpty(50)
	b.follow(c)
	if v := b.prove(in); v.Block != nil {
		t.Errorf("of a block that left the chain it proves %+v", v.Block)
	}
}

// TestEvidenceOfThePastAfterRefollow: following goes on from below the first
// block covered. What was proven by the headers of the start before, which the
// new chain shares, is proven still, and its evidence shows it.
func TestEvidenceOfThePastAfterRefollow(t *testing.T) {
	b, c, in := pastBench(t)
	c.MineEmpty(3)
	b.follow(c)
	b.raise(b.unproven()[in.TxHash()], b.inclusion(c, 12, in))
	c.Fork(24)
	c.MineEmpty(20)
	b.refollow(b.vouched(c, 25, 24))
	b.again()
	const graded = `SELECT concat_ws(' ', state, proof, block_height) FROM report.transactions`
	b.expect(graded, "confirmed proven 12")
	if p := b.prove(in).Block; p == nil || p.Height != 12 || p.Chain.First != 5 || p.Chain.Last != 24 {
		t.Errorf("before anything is covered it proves %+v", p)
	}
	b.follow(c)
	b.must(b.writer.AddAncestors(t.Context(), below(c, 24, 11), "alpha")) // known twice then
	b.expect(graded, "confirmed proven 12")
	p := b.prove(in).Block
	if p == nil || p.Height != 12 || p.Depth != 33 || p.Chain.First != 5 || p.Chain.Last != 44 || p.Chain.Start == nil || p.Chain.Start.Height != 25 {
		t.Errorf("it proves %+v", p)
	}

	// And from below the block itself: its headers are of no chain that is followed.
	c.Fork(10)
	c.MineEmpty(40)
	b.refollow(b.vouched(c, 11, 10))
	b.again()
	b.follow(c)
	b.expect(graded, "unconfirmed reported")
	if p := b.prove(in).Block; p != nil {
		t.Errorf("of a block that left the chain it proves %+v", p)
	}
}

// TestEvidenceWhereFollowingBeganAgain: what lies below was never linked.
func TestEvidenceWhereFollowingBeganAgain(t *testing.T) {
	b, c, in := pastBench(t)
	c.MineEmpty(3)
	b.follow(c)
	b.provePast(in, c.BlockAt(12), 12)
	c.Fork(2)
	c.MineEmpty(40)
	b.must(b.writer.BeginAgain(t.Context(), sql.Start{Height: 31, Parent: c.BlockAt(30).BlockHash(), RestsOn: "a second test", Proves: true}))
	b.follow(c)
	if v := b.prove(in); v.Block != nil {
		t.Errorf("proves %+v of a block that left the chain", v.Block)
	}
	later := transaction(2, []wire.OutPoint{stranger(2)}, wire.NewTxOut(6_000, address(1).Script))
	c.Mine(later)
	b.follow(c)
	v := b.prove(later)
	if p := v.Block; p == nil || p.Chain.First != 31 || p.Chain.Start == nil || p.Chain.Start.RestsOn != "a second test" {
		t.Errorf("proves %+v", p)
	}
}

// TestEvidenceAround: by the checkpoints of mainnet. A period has 2,016 blocks:
// 953,568 and 878,976 are the first of one, 810,000 lies in that of 808,416.
func TestEvidenceAround(t *testing.T) {
	for _, c := range []struct{ start, tip, height, from, to int32 }{
		{960_000, 970_000, 965_000, 951_552, 967_016},     // above the last checkpoint, which ends its period
		{960_000, 970_000, 956_000, 951_552, 960_000},     // from before the watch, up to the start
		{960_000, 970_000, 959_000, 951_552, 961_016},     // two weeks are more
		{953_567, 970_000, 953_567, 951_552, 955_583},     // the checkpoint itself
		{870_000, 970_000, 900_000, 878_966, 953_567},     // between two that were followed
		{870_000, 950_000, 900_000, 878_966, 902_016},     // the second is not reached yet
		{870_000, 880_000, 869_000, 808_416, 878_976},     // from before the watch, and a checkpoint was followed
		{820_000, 820_500, 819_000, 808_416, 821_016},     // nothing more yet
		{960_000, 970_000, 450_000, 429_408, 460_000},     // far below, and a checkpoint lies between
		{960_000, 970_000, 810_000, 808_416, 878_976},     // a checkpoint itself
		{2_000, 970_000, 1_000, 0, 11_111},                // back to the first block
		{1_200_000, 1_300_000, 953_600, 951_552, 955_616}, // too far below the start
		{1_200_000, 1_300_000, 1_250_000, 1_144_880, 1_252_016},
	} {
		from, to := sql.EvidenceAround(&chaincfg.MainNetParams, c.start, c.tip, c.height)
		if from != c.from || to != c.to {
			t.Errorf("block %d, followed from %d to %d: headers from %d to %d, and not from %d to %d", c.height, c.start, c.tip, from, to, c.from, c.to)
		}
	}
}

// TestEvidenceBackToACheckpoint: no further than to the checkpoint, and to what
// decides the difficulty behind it.
func TestEvidenceBackToACheckpoint(t *testing.T) {
	b, c, in := pastBench(t)
	c.MineEmpty(20)
	later := transaction(2, []wire.OutPoint{stranger(2)}, wire.NewTxOut(6_000, address(1).Script))
	c.Mine(later)
	b.follow(c)
	b.provePast(in, c.BlockAt(12), 12)
	params := chaincfg.RegressionNetParams
	hash := c.BlockAt(40).BlockHash()
	params.Checkpoints = []chaincfg.Checkpoint{{Height: 40, Hash: &hash}}
	store, err := sql.Open(t.Context(), b.url, &params, quiet())
	b.must(err)
	defer store.Close()
	b.store = store
	if p := b.prove(later).Block; p == nil || p.Height != 51 || p.Chain.First != 30 || p.Chain.Last != 51 { // the median at 41 asks for eleven
		t.Errorf("proves %+v", p)
	}
	if p := b.prove(in).Block; p == nil || p.Chain.First != 5 || p.Chain.Last != 51 {
		t.Errorf("proves %+v", p)
	}
}
