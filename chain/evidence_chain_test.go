package chain_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
)

// pastEvidence is that of a payment from before the watch: nobody said how many
// transactions its block has, and the start lies above it.
func (c caseOf) pastEvidence(start int32) *chain.Evidence {
	e := c.evidence()
	e.Proof.Block.TxCount = nil
	e.Stated.Starts[0].Height = start
	e.Stated.Starts[0].Parent = chain.HashText(c.chain.BlockAt(start - 1).BlockHash())
	return e
}

// TestEvidenceFromBeforeTheStart: the branch without a number of transactions,
// and the start that is built on the block.
func TestEvidenceFromBeforeTheStart(t *testing.T) {
	for _, count := range []int{2, 3, 4, 5, 6, 7, 8, 9, 13, 1000} {
		c := newCase(count)
		for _, start := range []int32{5, 6, 7} { // the last has no header in the file but its parent's
			file := encoded(t, c.pastEvidence(start))
			v, err := judged(file)
			if err != nil {
				t.Fatalf("%d transactions, start %d: %v", count, start, err)
			}
			if s := v.Block.Chain.Start; s == nil || s.Height != start {
				t.Errorf("rests on %+v", s)
			}
			if got, err := second(file); err != nil || got != says(v) {
				t.Errorf("the second reader says %s, %v, and the first %s", got, err, says(v))
			}
		}
	}
	e := newCase(4).pastEvidence(6)
	start := e.Stated.Starts[0]
	before := start
	before.Height, before.Parent = 3, chain.HashText(chainhash.DoubleHashH(e.Proof.Block.Headers[0]))
	e.Stated.Starts = append(e.Stated.Starts, before)
	v, err := judged(encoded(t, e))
	if err != nil || v.Block.Chain.Start.Height != 3 {
		t.Errorf("with a start below it rests on %+v, %v", v, err)
	}
	e.Stated.Starts = []chain.EvidenceStart{start}
	e.Stated.Starts[0].Height = 8 // above all headers
	if v, err = judged(encoded(t, e)); err != nil || v.Block.Chain.Start != nil {
		t.Errorf("where the headers do not lead to a start: %+v, %v", v, err)
	}
	e.Stated.Starts[0].Height, e.Stated.Starts[0].Parent = 4, chain.HashText{1} // which the chain left
	if err := e.Leave(); err != nil || !e.Stated.Starts[0].Left {
		t.Errorf("%+v, %v", e.Stated.Starts, err)
	}
	file := encoded(t, e)
	if v, err = judged(file); err != nil || v.Block.Chain.Start != nil {
		t.Errorf("with a start that the chain left: %+v, %v", v, err)
	}
	if got, err := second(file); err != nil || got != says(v) {
		t.Errorf("the second reader says %s, %v", got, err)
	}
}

// TestLyingEvidenceOfThePast: what takes the place of the number has to be
// refused as well as a false number.
func TestLyingEvidenceOfThePast(t *testing.T) {
	c := newCase(7)
	other := chain.HashText{5}
	for name, lie := range map[string]func(e *chain.Evidence, b *chain.EvidenceBlock){
		"another place":              func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Index++ },
		"a place beyond the branch":  func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Index += 8 },
		"a place below none":         func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Index -= 8 },
		"a sibling":                  func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Siblings[0] = other },
		"a sibling less":             func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Siblings = b.Siblings[1:] },
		"a sibling more":             func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Siblings = append(b.Siblings, other) },
		"many siblings":              func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Siblings = make([]chain.HashText, 70) },
		"no siblings":                func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.Siblings = nil },
		"the coinbase not so deep":   func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.CoinbaseSiblings = b.CoinbaseSiblings[:2] },
		"another coinbase's branch":  func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.CoinbaseSiblings[0] = other },
		"no transactions":            func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.TxCount = new(0) },
		"too many transactions":      func(_ *chain.Evidence, b *chain.EvidenceBlock) { b.TxCount = new(9) },
		"a start of another chain":   func(e *chain.Evidence, _ *chain.EvidenceBlock) { e.Stated.Starts[0].Parent = other },
		"made before its last block": func(e *chain.Evidence, _ *chain.EvidenceBlock) { e.Stated.MadeAt = e.Stated.MadeAt.AddDate(-9, 0, 0) },
	} {
		e := c.pastEvidence(6)
		lie(e, e.Proof.Block)
		file := encoded(t, e)
		refuseFile(t, name, file)
		if _, err := second(file); err == nil {
			t.Errorf("%s: the second reader takes it", name)
		}
	}
}

// TestBranchWithoutCount walks every place of every small block, and what
// CVE-2012-2459 makes of them.
func TestBranchWithoutCount(t *testing.T) {
	for count := 1; count <= 70; count++ {
		ids := idsOf(count)
		root := rootOf(ids)
		for index := range count {
			b := chain.Branch{Index: index, Siblings: siblingsOf(ids, index)}
			if err := b.Check(ids[index], b.Most(ids[index]), root); err != nil {
				t.Fatalf("place %d of %d: %v", index, count, err)
			}
			if most := b.Most(ids[index]); chain.Depth(most) != chain.Depth(count) || most < count {
				t.Fatalf("place %d of %d: most %d", index, count, most)
			}
			for level := range b.Siblings { // the same path as if the odd end stood to the right
				wrong := b
				wrong.Index |= 1 << level
				if wrong.Index != index && wrong.Check(ids[index], wrong.Most(ids[index]), root) == nil {
					t.Fatalf("place %d of %d is taken for %d", index, count, wrong.Index)
				}
			}
		}
	}
}

// siblingsOf builds the tree as the protocol's text has it.
func siblingsOf(ids []chainhash.Hash, index int) (siblings []chainhash.Hash) {
	for level := slices.Clone(ids); len(level) > 1; index /= 2 {
		if len(level)%2 == 1 {
			level = append(level, level[len(level)-1])
		}
		siblings = append(siblings, level[index^1])
		level = pairs(level)
	}
	return siblings
}

func pairs(level []chainhash.Hash) (above []chainhash.Hash) {
	for i := 0; i < len(level); i += 2 {
		above = append(above, chainhash.DoubleHashH(slices.Concat(level[i][:], level[i+1][:])))
	}
	return above
}

// realEvidence is that of one transaction of a real block of which no header
// but its own is at hand.
func realEvidence(block *wire.MsgBlock, height int32, index int) *chain.Evidence {
	var ids []chainhash.Hash
	for _, tx := range block.Transactions {
		ids = append(ids, tx.TxHash())
	}
	tx, hash, when := block.Transactions[index], chain.HashText(block.BlockHash()), block.Header.Timestamp.UTC()
	e := &chain.Evidence{Network: "mainnet", TxID: chain.HashText(ids[index])}
	e.Proof.Transaction = rawTx(tx)
	e.Proof.Block = &chain.EvidenceBlock{
		Height: height, Hash: hash, Index: index, TxCount: new(len(ids)),
		Siblings: texts(siblingsOf(ids, index)), Coinbase: rawTx(block.Transactions[0]), CoinbaseSiblings: texts(siblingsOf(ids, 0)),
		FirstHeight: height, Headers: []chain.Hex{serialized(block)[:80]},
	}
	e.Stated.MadeAt = when.Add(time.Hour)
	e.Stated.States = []chain.EvidenceState{{State: "confirmed", Grade: "proven", Height: &height, Block: &hash, Time: &when, At: when}}
	for _, out := range tx.TxOut {
		if a, ok := chain.AddressOf(out.PkScript, mainnet()); ok && a.Kind == chain.P2PKH && len(e.Stated.Addresses) == 0 {
			e.Stated.Addresses = []chain.EvidenceAddress{{Address: a.Text, Script: a.Script}}
		}
	}
	if err := e.Move(); err != nil {
		panic(err)
	}
	return e
}

func vectorBlock(t testing.TB, height int32) *wire.MsgBlock {
	t.Helper()
	block := new(wire.MsgBlock)
	raw := recorded.Read(t, "vectors", fmt.Sprintf("block%d.raw", height))
	if err := block.Deserialize(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return block
}

// TestEvidenceOfRealBlocks: transactions of real blocks of mainnet, the first,
// the last and some within, with and without their number.
func TestEvidenceOfRealBlocks(t *testing.T) {
	paid := 0
	for _, height := range []int32{300025, 413567, 482683, 702861} {
		block := vectorBlock(t, height)
		count := len(block.Transactions)
		for _, index := range []int{0, 1, count / 3, count / 2, count - 2, count - 1} {
			e := realEvidence(block, height, index)
			paid += len(e.Stated.Addresses)
			for _, said := range []*int{&count, nil} {
				e.Proof.Block.TxCount = said
				file := encoded(t, e)
				v, err := judged(file)
				if err != nil {
					t.Fatalf("place %d of block %d: %v", index, height, err)
				}
				b := v.Block
				if !b.SaysHeight || b.Depth != 1 || b.Chain.Below != nil || b.Chain.Beyond != nil || b.Chain.Start != nil {
					t.Errorf("place %d of block %d: %+v", index, height, b)
				}
				if got, err := second(file); err != nil || got != says(v) {
					t.Errorf("place %d of block %d: the second reader says %s, %v", index, height, got, err)
				}
			}
			for name, lie := range map[string]func(b *chain.EvidenceBlock){
				"height":    func(b *chain.EvidenceBlock) { b.Height, b.FirstHeight = height+1, height+1 },
				"place":     func(b *chain.EvidenceBlock) { b.Index ^= 1 },
				"siblings":  func(b *chain.EvidenceBlock) { b.Siblings[len(b.Siblings)-1][7]++ },
				"coinbase":  func(b *chain.EvidenceBlock) { b.CoinbaseSiblings[0][7]++ },
				"a witness": func(b *chain.EvidenceBlock) { b.Coinbase = append(b.Coinbase, 0) },
				"work": func(b *chain.EvidenceBlock) {
					b.Headers[0] = append(slices.Clone(b.Headers[0][:79]), b.Headers[0][79]+1)
				},
			} {
				e := realEvidence(block, height, index)
				lie(e.Proof.Block)
				e.Stated.States[0].Height = &e.Proof.Block.Height
				refuseFile(t, fmt.Sprintf("place %d of block %d, another %s", index, height, name), encoded(t, e))
			}
		}
	}
	if paid < 8 {
		t.Errorf("only %d of them pay an address of the old kind", paid)
	}
}

// TestEvidenceOfBIP37: the Merkle proof that a node makes of a filtered block
// (BIP37), of which we take the branches.
func TestEvidenceOfBIP37(t *testing.T) {
	raw := recorded.Read(t, "vectors", "merkleblock300025.raw")
	block := vectorBlock(t, 300025)
	if !bytes.Equal(raw[:80], serialized(block)[:80]) {
		t.Fatal("of another block")
	}
	var proof wire.MsgMerkleBlock
	if err := proof.BtcDecode(bytes.NewReader(raw), wire.ProtocolVersion, wire.BaseEncoding); err != nil {
		t.Fatal(err)
	}
	count := int(binary.LittleEndian.Uint32(raw[80:]))
	if count != len(block.Transactions) {
		t.Fatalf("%d transactions", count)
	}
	tree := partialTree{proof: proof, nodes: map[[2]int]chainhash.Hash{}}
	top := chain.Depth(count)
	if root := tree.read(top, 0); root != block.Header.MerkleRoot || tree.hashes != len(proof.Hashes) || len(tree.matched) == 0 {
		t.Fatalf("leads to %s, with %d matches", root, len(tree.matched))
	}
	for _, index := range tree.matched {
		var siblings []chainhash.Hash
		for level := range top {
			beside := index>>level ^ 1
			if beside > (count-1)>>level {
				beside--
			}
			siblings = append(siblings, tree.nodes[[2]int{level, beside}])
		}
		id := tree.nodes[[2]int{0, index}]
		if id != block.Transactions[index].TxHash() {
			t.Errorf("place %d holds %s", index, id)
		}
		if err := (chain.Branch{Index: index, Siblings: siblings}).Check(id, count, block.Header.MerkleRoot); err != nil {
			t.Error(err)
		}
		e := realEvidence(block, 300025, index)
		e.Proof.Block.Siblings = texts(siblings)
		if _, err := judged(encoded(t, e)); err != nil {
			t.Error(err)
		}
	}
}

// partialTree reads the proof depth first: a bit for each node that is come by,
// whether something below it matches; a hash where nothing does, and for leaves.
type partialTree struct {
	proof        wire.MsgMerkleBlock
	bits, hashes int
	nodes        map[[2]int]chainhash.Hash
	matched      []int
}

func (p *partialTree) read(level, at int) (hash chainhash.Hash) {
	matches := p.proof.Flags[p.bits/8]>>(p.bits%8)&1 == 1
	p.bits++
	if level == 0 || !matches {
		hash = *p.proof.Hashes[p.hashes]
		p.hashes++
		if level == 0 && matches {
			p.matched = append(p.matched, at)
		}
	} else {
		left := p.read(level-1, 2*at)
		right := left
		if 2*at+1 <= (int(p.proof.Transactions)-1)>>(level-1) {
			right = p.read(level-1, 2*at+1)
		}
		hash = chainhash.DoubleHashH(slices.Concat(left[:], right[:]))
	}
	p.nodes[[2]int{level, at}] = hash
	return hash
}

// firstPayment is block 1 of mainnet, whose id its header commits to.
const firstPayment = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0704ffff001d0104ffffffff" +
	"0100f2052a0100000043410496b538e853519c726a2c91e61ec11600ae1390813a627c66fb8be7947be63c52da7589379515d4e0a604f8141781e6229472" +
	"1166bf621e73a82cbf2342c858eeac00000000"

// firstEvidence is that of the coinbase of block 1, with real headers from one
// height to another.
func firstEvidence(t testing.TB, from, to int) *chain.Evidence {
	t.Helper()
	raw, err := hex.DecodeString(firstPayment)
	if err != nil {
		t.Fatal(err)
	}
	var tx wire.MsgTx
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	all := recorded.Read(t, "vectors", "headers-0-2015.raw")
	block := wire.NewMsgBlock(&wire.BlockHeader{})
	if err := block.Header.Deserialize(bytes.NewReader(all[80:])); err != nil {
		t.Fatal(err)
	}
	block.Transactions = []*wire.MsgTx{&tx}
	e := realEvidence(block, 1, 0)
	e.Proof.Block.FirstHeight, e.Proof.Block.Headers = int32(from), nil
	for at := 80 * from; at < 80*to+80; at += 80 {
		e.Proof.Block.Headers = append(e.Proof.Block.Headers, all[at:at+80])
	}
	e.Stated.MadeAt = someTime()
	return e
}

// TestEvidenceOfRealHeaders: the first 2,017 headers of mainnet, by the rules of
// mainnet, from its first block on.
func TestEvidenceOfRealHeaders(t *testing.T) {
	one := big.NewInt(4295032833) // 2^32 / (1 - 2^-16), rounded down: a header of difficulty 1
	for _, from := range []int{0, 1} {
		file := encoded(t, firstEvidence(t, from, 2016))
		v, err := judged(file)
		if err != nil {
			t.Fatal(err)
		}
		b, c := v.Block, v.Block.Chain
		if b.Depth != 2016 || b.Work.Cmp(new(big.Int).Mul(one, big.NewInt(2016))) != 0 || b.SaysHeight {
			t.Errorf("%+v", b)
		}
		if c.Below == nil || c.Below.Height != 0 || c.Below.Hash != *mainnet().GenesisHash || c.WorkBelow.Sign() != 0 || c.Beyond != nil {
			t.Errorf("leads to %+v, %+v", c.Below, c.Beyond)
		}
		if wantExact := 1 - from; c.Exact != wantExact || len(c.Bounded) != from || c.Last != 2016 {
			t.Errorf("from %d: %d changes exact, %v within bounds", from, c.Exact, c.Bounded)
		}
		if got, err := second(file); err != nil || got != says(v) {
			t.Errorf("the second reader says %s, %v", got, err)
		}
	}
	moved := firstEvidence(t, 0, 40)
	moved.Proof.Block.FirstHeight, moved.Proof.Block.Height = 1, 2
	moved.Stated.States[0].Height = new(int32(2))
	refuseFile(t, "all one higher than they are", encoded(t, moved))
	if _, err := second(encoded(t, moved)); err == nil {
		t.Error("the second reader takes headers that are one higher than they are")
	}
}

// easy is a network on which work is nothing and the difficulty changes every
// twenty blocks, by the rule of mainnet.
func easy() *chaincfg.Params {
	p := chaincfg.RegressionNetParams
	p.PoWNoRetargeting, p.ReduceMinDifficulty = false, false
	p.TargetTimePerBlock, p.TargetTimespan = 10*time.Minute, 200*time.Minute
	return &p
}

// climbing makes headers that come twice as fast as they should, so that each
// period is about half as easy; spoil may change the target of one of them.
func climbing(n int, spoil func(height int, target *big.Int)) (headers []wire.BlockHeader) {
	params := easy()
	headers = []wire.BlockHeader{params.GenesisBlock.Header}
	target := new(big.Int).Set(params.PowLimit)
	for height := 1; height < n; height++ {
		if height%20 == 0 {
			last, first := headers[height-1], headers[height-20]
			took := last.Timestamp.Unix() - first.Timestamp.Unix()
			target = new(big.Int).Div(new(big.Int).Mul(blockchain.CompactToBig(last.Bits), big.NewInt(took)), big.NewInt(12_000))
		}
		asked := new(big.Int).Set(target)
		spoil(height, asked)
		h := wire.BlockHeader{
			Version: 4, PrevBlock: headers[height-1].BlockHash(), Timestamp: headers[height-1].Timestamp.Add(5 * time.Minute),
			Bits: blockchain.BigToCompact(asked),
		}
		chaintest.Solve(&h)
		headers = append(headers, h)
	}
	return headers
}

// TestEvidenceRetargets: a change of difficulty is exact where the period before
// it is in the file, within a factor of four where it is not, and both is said.
func TestEvidenceRetargets(t *testing.T) {
	right := climbing(90, func(int, *big.Int) {})
	wrong := climbing(90, func(height int, target *big.Int) {
		if height >= 40 && height < 60 {
			target.Mul(target, big.NewInt(3)) // far easier than it has to be, within the factor of four
		}
	})
	if blockchain.CompactToBig(right[89].Bits).Cmp(new(big.Int).Rsh(easy().PowLimit, 3)) > 0 {
		t.Fatal("the difficulty does not climb")
	}
	for _, c := range []struct {
		name    string
		headers []wire.BlockHeader
		from    int
		exact   int
		bounded []int32
		refused bool
	}{
		{"all", right, 0, 4, nil, false},
		{"from a period's first", right, 20, 3, nil, false},
		{"from a period's second", right, 21, 2, []int32{40}, false},
		{"from a change on", right, 40, 2, nil, false},
		{"within a period", right, 83, 0, nil, false},
		{"false, all", wrong[:60], 0, 0, nil, true},
		{"false, from a period's first", wrong[:60], 20, 0, nil, true},
		{"false, from a period's second", wrong[:60], 21, 0, []int32{40}, false}, // nothing tells
	} {
		got, err := chain.FollowHeaders(int32(c.from), c.headers[c.from:], int32(c.from)+1, easy(), someTime())
		if c.refused != (err != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && (got.Exact != c.exact || !slices.Equal(got.Bounded, c.bounded)) {
			t.Errorf("%s: %d exact, %v within bounds", c.name, got.Exact, got.Bounded)
		}
	}
}

// TestEvidenceReachesCheckpoints: the nearest below the block and the nearest
// above it; one that the headers contradict is refused, be it just below them.
func TestEvidenceReachesCheckpoints(t *testing.T) {
	headers := climbing(80, func(int, *big.Int) {})
	point := func(height int32) chaincfg.Checkpoint {
		hash := headers[height].BlockHash()
		return chaincfg.Checkpoint{Height: height, Hash: &hash}
	}
	params := easy()
	params.Checkpoints = []chaincfg.Checkpoint{point(10), point(30), point(50), point(70)}
	heightOf := func(c *chain.Checkpoint) int32 {
		if c == nil {
			return -1
		}
		return c.Height
	}
	for _, c := range []struct {
		from, to            int
		height              int32
		below, beyond, work int32 // headers between
	}{
		{0, 79, 40, 30, 50, 9}, {0, 79, 30, 30, 50, 0}, {0, 79, 5, 0, 10, 4}, {0, 79, 75, 70, -1, 4}, {0, 49, 40, 30, -1, 9},
		{31, 49, 40, 30, -1, 9}, {32, 49, 40, -1, -1, 0}, {32, 50, 40, -1, 50, 0}, {31, 79, 31, 30, 50, 0}, {11, 60, 25, 10, 30, 14},
	} {
		got, err := chain.FollowHeaders(int32(c.from), headers[c.from:c.to+1], c.height, params, someTime())
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		work := new(big.Int)
		for _, h := range headers[c.height-c.work : c.height] {
			work.Add(work, blockchain.CalcWork(h.Bits))
		}
		if heightOf(got.Below) != c.below || heightOf(got.Beyond) != c.beyond || got.Below != nil && got.WorkBelow.Cmp(work) != 0 {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	params.Checkpoints[1].Hash = &chainhash.Hash{1}
	for _, from := range []int{0, 30, 31} {
		if _, err := chain.FollowHeaders(int32(from), headers[from:], 40, params, someTime()); err == nil {
			t.Errorf("from %d on, a checkpoint is contradicted", from)
		}
	}
	if _, err := chain.FollowHeaders(32, headers[32:], 40, params, someTime()); err != nil {
		t.Errorf("below the headers and out of sight: %v", err)
	}
}

// TestDocumentedCheckpoints: the list for other programs is the one in use.
func TestDocumentedCheckpoints(t *testing.T) {
	for _, name := range []string{"mainnet", "testnet3", "testnet4", "signet", "regtest"} {
		params, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		want := map[int64]string{0: params.GenesisHash.String()}
		for _, c := range chain.Checkpoints(params) {
			want[int64(c.Height)] = c.Hash.String()
		}
		if got := secondCheckpoints(name); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, and not %v", name, got, want)
		}
	}
}

// BenchmarkEvidence measures 40,000 headers: their size in the file, and what
// it takes to read and check it.
func BenchmarkEvidence(b *testing.B) {
	c := newCase(3)
	c.chain.MineEmpty(40_000 - 5)
	e := c.evidence()
	e.Stated.MadeAt = e.Stated.MadeAt.AddDate(2, 0, 0)
	file := encoded(b, e)
	b.SetBytes(int64(len(file)))
	b.ReportMetric(float64(len(file))/float64(len(e.Proof.Block.Headers)), "B/header")
	for b.Loop() {
		if _, err := judged(file); err != nil {
			b.Fatal(err)
		}
	}
}
