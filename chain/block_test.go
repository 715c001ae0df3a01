package chain_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
)

// realBlock is a block of the main chain with its height and hash, which are
// facts of the chain, not of this code.
type realBlock struct {
	path   []string
	height int32
	hash   string
	txs    int
}

func realBlocks() []realBlock {
	return []realBlock{
		{[]string{"recorded", "raw", "block169482.dat"}, 169482, "0000000000000756935f1ee9d5987857b604046f846d3df56d024cdb5f368665", 14},
		{[]string{"recorded", "raw", "block227835.dat"}, 227835, "00000000000001aa077d7aa84c532a4d69bdbff519609d1da0835261b7a74eb6", 122},
		{[]string{"recorded", "raw", "block227836.dat"}, 227836, "00000000000000d0dfd4c9d588d325dce4f32c1b31b7c0064cba7025a9b9adcc", 100},
		{[]string{"recorded", "raw", "block481815.dat"}, 481815, "000000000000000000893c019d81f2d48ee33892c12428f3121bbd16ed6db926", 2097},
		{[]string{"recorded", "raw", "block481829.dat"}, 481829, "000000000000000000917cba69f69b758fe396c8e30ae97bbcf08c4eb975e726", 2020},
		{[]string{"vectors", "block300025.raw"}, 300025, "", 0},
		{[]string{"vectors", "block413567.raw"}, 413567, "", 0},
		{[]string{"vectors", "block482683.raw"}, 482683, "", 0},
		{[]string{"vectors", "block702861.raw"}, 702861, "", 0},
	}
}

// headerOf reads the first 80 bytes without any of the code under test.
func headerOf(t *testing.T, raw []byte) (h wire.BlockHeader) {
	t.Helper()
	if err := h.Deserialize(bytes.NewReader(raw[:80])); err != nil {
		t.Fatal(err)
	}
	return h
}

func mainnet() *chaincfg.Params { return &chaincfg.MainNetParams }

func someTime() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func TestVerifyRealBlocks(t *testing.T) {
	for _, b := range realBlocks() {
		t.Run(fmt.Sprint(b.height), func(t *testing.T) {
			raw := recorded.Read(t, b.path...)
			h := headerOf(t, raw)
			hash := h.BlockHash()
			if b.hash != "" && hash.String() != b.hash {
				t.Fatalf("the recording is %s", hash)
			}
			block, err := chain.VerifyBlock(raw, hash, chain.Tip{Height: b.height - 1, Hash: h.PrevBlock}, mainnet(), someTime())
			if err != nil {
				t.Fatal(err)
			}
			if block.Hash != hash || block.Height != b.height || block.Header != h || !block.Time().Equal(h.Timestamp) {
				t.Errorf("read as %d %s", block.Height, block.Hash)
			}
			if !bytes.Equal(block.HeaderBytes(), raw[:80]) {
				t.Error("header bytes are others")
			}
			if len(block.IDs) != len(block.Transactions) || b.txs != 0 && len(block.IDs) != b.txs {
				t.Errorf("%d ids, %d transactions, want %d", len(block.IDs), len(block.Transactions), b.txs)
			}
			var whole bytes.Buffer
			whole.Write(raw[:80])
			_ = wire.WriteVarInt(&whole, 0, uint64(len(block.Transactions)))
			for _, tx := range block.Transactions {
				_ = tx.Serialize(&whole)
			}
			if !bytes.Equal(whole.Bytes(), raw) {
				t.Error("the transactions are not those of the bytes")
			}
		})
	}
}

// The Merkle proofs beside the recordings were derived by other code.
func TestBlockIDs(t *testing.T) {
	for _, height := range []int32{169482, 227835, 227836} {
		raw := recorded.Read(t, "recorded", "raw", fmt.Sprintf("block%d.dat", height))
		h := headerOf(t, raw)
		block, err := chain.VerifyBlock(raw, h.BlockHash(), chain.Tip{Height: height - 1, Hash: h.PrevBlock}, mainnet(), someTime())
		if err != nil {
			t.Fatal(err)
		}
		derived := string(recorded.Read(t, "recorded", "derived", fmt.Sprintf("merkle_%d.json", height)))
		if !strings.Contains(derived, block.IDs[0].String()) {
			t.Errorf("block %d: coinbase %s is not in the derived file", height, block.IDs[0])
		}
	}
}

// Every byte of the header, and one in five of the rest.
func TestRealBlockWithBytesChanged(t *testing.T) {
	raw := recorded.Read(t, "recorded", "raw", "block169482.dat")
	h := headerOf(t, raw)
	tip := chain.Tip{Height: 169481, Hash: h.PrevBlock}
	for i := range raw {
		if i > 85 && i%5 > 0 {
			continue
		}
		refuse(t, changed(raw, i, 1<<(i%8)), h.BlockHash(), tip, mainnet(), someTime(), chain.ErrFalseBlock, fmt.Sprintf("byte %d", i))
		if t.Failed() {
			return
		}
	}
}

func TestRealBlocksWithSomeBytesChanged(t *testing.T) {
	for _, b := range realBlocks()[1:] {
		raw := recorded.Read(t, b.path...)
		h := headerOf(t, raw)
		tip := chain.Tip{Height: b.height - 1, Hash: h.PrevBlock}
		random := rand.New(rand.NewPCG(uint64(b.height), 1))
		places := []int{0, 4, 36, 68, 72, 76, 79, 80, 81, len(raw) - 1, len(raw) - 5}
		for range 8 {
			places = append(places, random.IntN(len(raw)))
		}
		for _, i := range places {
			refuse(t, changed(raw, i, byte(1+random.IntN(255))), h.BlockHash(), tip, mainnet(), someTime(),
				chain.ErrFalseBlock, fmt.Sprintf("block %d, byte %d", b.height, i))
		}
	}
}

func TestRealBlocksCutAndStretched(t *testing.T) {
	for _, b := range realBlocks() {
		raw := recorded.Read(t, b.path...)
		h := headerOf(t, raw)
		tip := chain.Tip{Height: b.height - 1, Hash: h.PrevBlock}
		for _, n := range []int{0, 1, 79, 80, 81, len(raw) / 2, len(raw) - 1} {
			refuse(t, raw[:n], h.BlockHash(), tip, mainnet(), someTime(), chain.ErrFalseBlock, fmt.Sprintf("first %d bytes", n))
		}
		for _, extra := range []string{"\x00", "more", string(raw[:80])} {
			refuse(t, slices.Concat(raw, []byte(extra)), h.BlockHash(), tip, mainnet(), someTime(), chain.ErrFalseBlock, "bytes too many")
		}
		refuse(t, raw, h.PrevBlock, tip, mainnet(), someTime(), chain.ErrFalseBlock, "another hash asked for")
		refuse(t, raw, h.BlockHash(), chain.Tip{Height: b.height - 1, Hash: h.BlockHash()}, mainnet(), someTime(), chain.ErrUnlinked, "another parent")
		before := h.Timestamp.Add(-2*time.Hour - time.Second)
		refuse(t, raw, h.BlockHash(), tip, mainnet(), before, chain.ErrFalseBlock, "time in the future")
	}
}

// A block at another height than its coinbase says (BIP34), be it of version 1,
// which the rule forbids there.
func TestRealBlocksAtAnotherHeight(t *testing.T) {
	for _, b := range realBlocks() {
		raw := recorded.Read(t, b.path...)
		h := headerOf(t, raw)
		for _, off := range []int32{-1, 1, 2016} {
			tip := chain.Tip{Height: b.height - 1 + off, Hash: h.PrevBlock}
			if b.height+off >= mainnet().BIP0034Height {
				refuse(t, raw, h.BlockHash(), tip, mainnet(), someTime(), chain.ErrFalseBlock, fmt.Sprintf("block %d as %d", b.height, b.height+off))
			}
		}
	}
}

// Taking the witnesses off leaves all ids and the Merkle root as they are.
func TestRealBlockWithoutItsWitnesses(t *testing.T) {
	for _, name := range []string{"block482683.raw", "block702861.raw"} {
		raw := recorded.Read(t, "vectors", name)
		var msg wire.MsgBlock
		if err := msg.Deserialize(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		var stripped bytes.Buffer
		if err := msg.SerializeNoWitness(&stripped); err != nil {
			t.Fatal(err)
		}
		height := int32(482683)
		if name == "block702861.raw" {
			height = 702861
		}
		tip := chain.Tip{Height: height - 1, Hash: msg.Header.PrevBlock}
		refuse(t, stripped.Bytes(), msg.BlockHash(), tip, mainnet(), someTime(), chain.ErrFalseBlock, name+" without witnesses")
	}
}

func changed(raw []byte, i int, by byte) []byte {
	other := bytes.Clone(raw)
	other[i] ^= by
	return other
}

func refuse(t *testing.T, raw []byte, want chainhash.Hash, tip chain.Tip, params *chaincfg.Params, now time.Time, why error, what string) {
	t.Helper()
	block, err := chain.VerifyBlock(raw, want, tip, params, now)
	if err == nil || block != nil {
		t.Errorf("%s: accepted", what)
		return
	}
	if !errors.Is(err, why) {
		t.Errorf("%s: %v", what, err)
	}
	if errors.Is(err, chain.ErrFalseBlock) == errors.Is(err, chain.ErrUnlinked) {
		t.Errorf("%s: false or unlinked, not both: %v", what, err)
	}
}

// forged is a regtest block on a short chain, to be spoilt.
type forged struct {
	*wire.MsgBlock
	tip    chain.Tip
	params *chaincfg.Params
}

// forge makes a sound block at height 4 with a coinbase and n payments.
func forge(n int) forged {
	c := chaintest.NewChain()
	parent := c.MineEmpty(3)
	var txs []*wire.MsgTx
	for i := range n {
		txs = append(txs, payment(byte(i), 20))
	}
	params := chaincfg.RegressionNetParams // a copy that asks for the height
	params.BIP0034Height = 1
	return forged{c.Mine(txs...), chain.Tip{Height: 3, Hash: parent.BlockHash(), Bits: parent.Header.Bits}, &params}
}

// payment spends nothing real and pays a script of that length.
func payment(salt byte, length int) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{1, salt}}, nil, nil))
	tx.AddTxOut(wire.NewTxOut(1000+int64(salt), bytes.Repeat([]byte{0x51}, length)))
	return tx
}

func (f forged) raw() []byte {
	var b bytes.Buffer
	_ = f.Serialize(&b)
	return b.Bytes()
}

// seal makes Merkle root and work right again, and leaves the rest as spoilt.
func (f forged) seal() {
	var txs []*btcutil.Tx
	for _, tx := range f.Transactions {
		txs = append(txs, btcutil.NewTx(tx))
	}
	if len(txs) > 0 {
		f.Header.MerkleRoot = blockchain.CalcMerkleRoot(txs, false)
	}
	chaintest.Solve(&f.Header)
}

func TestForgedBlocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		txs   int
		spoil func(*forged)
		why   error // nil: sound
	}{
		{"sound", 3, func(*forged) {}, nil},
		{"sound, coinbase alone", 0, func(*forged) {}, nil},
		{"sound with witnesses", 2, func(f *forged) { f.witness(); chaintest.Seal(f.MsgBlock) }, nil},
		{"last transaction twice, same root (CVE-2012-2459)", 2, func(f *forged) {
			f.Transactions = append(f.Transactions, f.Transactions[2])
		}, chain.ErrFalseBlock},
		{"last pair twice, same root (CVE-2012-2459)", 5, func(f *forged) {
			f.Transactions = append(f.Transactions, f.Transactions[4:6]...)
		}, chain.ErrFalseBlock},
		{"transactions in another order", 3, func(f *forged) {
			f.Transactions[1], f.Transactions[2] = f.Transactions[2], f.Transactions[1]
		}, chain.ErrFalseBlock},
		{"a transaction left out", 3, func(f *forged) { f.Transactions = f.Transactions[:3] }, chain.ErrFalseBlock},
		{"a transaction added", 3, func(f *forged) { f.Transactions = append(f.Transactions, payment(99, 20)) }, chain.ErrFalseBlock},
		{"the same transaction twice, sealed", 2, func(f *forged) {
			f.Transactions = append(f.Transactions, f.Transactions[1])
			f.seal()
		}, chain.ErrFalseBlock},
		{"63 bytes", 1, func(f *forged) { f.Transactions[1] = payment(1, 3); f.seal() }, nil},
		{"64 bytes (CVE-2017-12842)", 1, func(f *forged) { f.Transactions[1] = payment(1, 4); f.seal() }, chain.ErrFalseBlock},
		{"65 bytes", 1, func(f *forged) { f.Transactions[1] = payment(1, 5); f.seal() }, nil},
		{"no coinbase", 2, func(f *forged) { f.Transactions = f.Transactions[1:]; f.seal() }, chain.ErrFalseBlock},
		{"coinbase second", 2, func(f *forged) {
			f.Transactions[0], f.Transactions[1] = f.Transactions[1], f.Transactions[0]
			f.seal()
		}, chain.ErrFalseBlock},
		{"two coinbases", 2, func(f *forged) {
			second := f.Transactions[0].Copy()
			second.TxOut[0].Value = 1
			f.Transactions = append(f.Transactions, second)
			f.seal()
		}, chain.ErrFalseBlock},
		{"no transaction", 0, func(f *forged) { f.Transactions = nil; f.seal() }, chain.ErrFalseBlock},
		{"height of the coinbase too high", 1, func(f *forged) { f.tip.Height-- }, chain.ErrFalseBlock},
		{"height of the coinbase too low", 1, func(f *forged) { f.tip.Height++ }, chain.ErrFalseBlock},
		{"old version, wrong height", 1, func(f *forged) { f.Header.Version = 1; f.seal(); f.tip.Height++ }, chain.ErrFalseBlock},
		{"another parent", 1, func(f *forged) { f.Header.PrevBlock[0]++; f.seal() }, chain.ErrUnlinked},
		{"a witness uncommitted", 2, func(f *forged) { f.witness(); f.seal() }, chain.ErrFalseBlock},
		{"a witness changed", 2, func(f *forged) {
			f.witness()
			chaintest.Seal(f.MsgBlock)
			f.Transactions[1].TxIn[0].Witness[0][0]++
		}, chain.ErrFalseBlock},
		{"a witness gone", 2, func(f *forged) {
			f.witness()
			chaintest.Seal(f.MsgBlock)
			f.Transactions[1].TxIn[0].Witness = nil
		}, chain.ErrFalseBlock},
		{"all witnesses gone", 2, func(f *forged) {
			f.witness()
			chaintest.Seal(f.MsgBlock)
			f.Transactions[1].TxIn[0].Witness, f.Transactions[0].TxIn[0].Witness = nil, nil
		}, chain.ErrFalseBlock},
		{"the commitment of another block", 2, func(f *forged) {
			f.witness()
			chaintest.Seal(f.MsgBlock)
			f.Transactions[2].LockTime = 5
			f.seal()
		}, chain.ErrFalseBlock},
		{"no work", 1, func(f *forged) {
			for target := blockchain.CompactToBig(f.Header.Bits); ; f.Header.Nonce++ {
				if hash := f.BlockHash(); blockchain.HashToBig(&hash).Cmp(target) > 0 {
					return
				}
			}
		}, chain.ErrFalseBlock},
		{"easier than the limit", 1, func(f *forged) { f.Header.Bits = 0x2100ffff; f.tip.Bits = 0; f.seal() }, chain.ErrFalseBlock},
		{"other bits within the period, where a test network allows it", 1, func(f *forged) { f.Header.Bits = 0x207ffffe; f.seal() }, nil},
		{"other bits within the period", 1, func(f *forged) {
			f.params.ReduceMinDifficulty = false
			f.Header.Bits = 0x207ffffe
			f.seal()
		}, chain.ErrFalseBlock},
		{"target zero", 1, func(f *forged) { f.Header.Bits, f.tip.Bits = 0, 0 }, chain.ErrFalseBlock},
		{"target negative", 1, func(f *forged) { f.Header.Bits, f.tip.Bits = 0x1f800001, 0 }, chain.ErrFalseBlock},
		{"more money than there is", 1, func(f *forged) { f.Transactions[1].TxOut[0].Value = chain.MaxMoney + 1; f.seal() }, chain.ErrFalseBlock},
		{"all the money there is", 1, func(f *forged) { f.Transactions[1].TxOut[0].Value = chain.MaxMoney; f.seal() }, nil},
		{"a negative amount", 1, func(f *forged) { f.Transactions[1].TxOut[0].Value = -1; f.seal() }, chain.ErrFalseBlock},
		{"no input", 1, func(f *forged) { f.Transactions[1].TxIn = nil; f.seal() }, chain.ErrFalseBlock},
		{"no output", 1, func(f *forged) { f.Transactions[1].TxOut = nil; f.seal() }, chain.ErrFalseBlock},
		{"one input twice", 1, func(f *forged) {
			f.Transactions[1].TxIn = append(f.Transactions[1].TxIn, f.Transactions[1].TxIn[0])
			f.seal()
		}, chain.ErrFalseBlock},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := forge(c.txs)
			c.spoil(&f)
			now := f.Header.Timestamp
			if c.why != nil {
				refuse(t, f.raw(), f.BlockHash(), f.tip, f.params, now, c.why, c.name)
				return
			}
			if _, err := chain.VerifyBlock(f.raw(), f.BlockHash(), f.tip, f.params, now); err != nil {
				t.Error(err)
			}
		})
	}
}

func (f *forged) witness() { f.Transactions[1].TxIn[0].Witness = wire.TxWitness{{1, 2, 3}} }

func TestTwoHoursAhead(t *testing.T) {
	f := forge(1)
	at := f.Header.Timestamp
	if _, err := chain.VerifyBlock(f.raw(), f.BlockHash(), f.tip, f.params, at.Add(-2*time.Hour)); err != nil {
		t.Error(err)
	}
	refuse(t, f.raw(), f.BlockHash(), f.tip, f.params, at.Add(-2*time.Hour-time.Second), chain.ErrFalseBlock, "two hours and a second ahead")
}

// The first 2,017 headers of the main chain follow each other.
func TestHeadersOfTheMainChain(t *testing.T) {
	headers := firstHeaders(t)
	for height := 1; height < len(headers); height++ {
		before := headers[height-1]
		tip := chain.Tip{Height: int32(height - 1), Hash: before.BlockHash(), Bits: before.Bits}
		if err := chain.CheckHeader(&headers[height], tip, int32(height), mainnet()); err != nil {
			t.Fatalf("height %d: %v", height, err)
		}
	}
}

func TestBitsWithinAndBetweenPeriods(t *testing.T) {
	headers := firstHeaders(t)
	check := func(height int, before, after uint32, want error) {
		t.Helper()
		h := headers[height]
		h.Bits = after
		err := chain.CheckHeader(&h, chain.Tip{Height: int32(height - 1), Hash: h.PrevBlock, Bits: before}, int32(height), mainnet())
		if !errors.Is(err, want) {
			t.Errorf("height %d, %08x after %08x: %v", height, after, before, err)
		}
	}
	const easy = 0x1d00ffff
	check(1000, easy, easy, nil)
	check(1000, easy, 0x1d00fffe, chain.ErrFalseBlock)
	check(1000, easy, 0x1c7fff80, chain.ErrFalseBlock)
	check(2015, easy, 0x1c3fffc0, chain.ErrFalseBlock)
	check(2016, easy, 0x1c7fff80, nil) // twice as hard
	check(2016, easy, 0x1c3fffc0, nil) // four times as hard
	check(2016, easy, 0x1c3e0000, chain.ErrFalseBlock)
	check(2016, 0x1c3fffc0, easy, nil) // four times as easy
	check(2016, 0x1c3fffc0, 0x1d010500, chain.ErrFalseBlock)
	check(2016, 0x1b00ffff, easy, chain.ErrFalseBlock)
	check(1000, 0, 0x1b00ffff, nil) // the start: nothing to compare with
}

// Above the compiled-in checkpoint nothing is taken that is more than four
// times as easy as the period after it.
func TestFloorOfTheMainChain(t *testing.T) {
	var known struct {
		Mainnet []struct {
			Height int32  `json:"height"`
			Target string `json:"target_of_next_period"`
		} `json:"mainnet"`
	}
	if err := json.Unmarshal(recorded.Read(t, "vectors", "checkpoints.json"), &known); err != nil {
		t.Fatal(err)
	}
	last := known.Mainnet[len(known.Mainnet)-1]
	if got := fmt.Sprintf("%064x", blockchain.CompactToBig(chain.MainnetFloor)); got != last.Target || last.Height != chain.LastCheckpoint {
		t.Errorf("the floor is %s at %d, the checkpoint says %s at %d", got, chain.LastCheckpoint, last.Target, last.Height)
	}
	for _, c := range []struct {
		height int32
		bits   uint32
		want   error
	}{
		{chain.LastCheckpoint + 1, chain.MainnetFloor, nil},
		{chain.LastCheckpoint + 1, 0x170240c2, chain.ErrFalseBlock}, // its bits are known
		{chain.LastCheckpoint + 2, 0x17090300, nil},                 // just under four times the target
		{chain.LastCheckpoint + 2, 0x170a0000, chain.ErrFalseBlock}, // above it
		{chain.LastCheckpoint + 1, 0x1d00ffff, chain.ErrFalseBlock},
		{chain.LastCheckpoint + 5000, 0x1903a30c, chain.ErrFalseBlock},
		{chain.LastCheckpoint - 1, 0x1d00ffff, nil}, // below it the checkpoints decide, and see chain.CheckFloor
	} {
		h := wire.BlockHeader{Version: 4, Bits: c.bits}
		if err := chain.CheckHeader(&h, chain.Tip{Height: c.height - 1}, c.height, mainnet()); !errors.Is(err, c.want) {
			t.Errorf("height %d, bits %08x: %v", c.height, c.bits, err)
		}
	}
}

// Whoever spends a minute of one machine on a block cannot put it on the tip.
func TestCheapBlockAboveTheCheckpoint(t *testing.T) {
	f := forge(1)
	tip := chain.Tip{Height: chain.LastCheckpoint + 100, Hash: f.Header.PrevBlock}
	refuse(t, f.raw(), f.BlockHash(), tip, mainnet(), someTime(), chain.ErrFalseBlock, "regtest's work on mainnet")
}

func firstHeaders(t *testing.T) []wire.BlockHeader {
	t.Helper()
	raw := recorded.Read(t, "vectors", "headers-0-2015.raw")
	var headers []wire.BlockHeader
	for at := 0; at < len(raw); at += 80 {
		headers = append(headers, headerOf(t, raw[at:]))
	}
	if len(headers) != 2017 {
		t.Fatalf("%d headers", len(headers))
	}
	return headers
}

func FuzzVerifyBlock(f *testing.F) {
	sound := forge(2)
	f.Add(sound.raw())
	f.Add(binary.LittleEndian.AppendUint32(nil, 1))
	f.Fuzz(func(t *testing.T, raw []byte) {
		block, err := chain.VerifyBlock(raw, sound.BlockHash(), sound.tip, sound.params, sound.Header.Timestamp)
		if err == nil && !bytes.Equal(raw, sound.raw()) {
			t.Errorf("other bytes are taken for block %s", block.Hash)
		}
	})
}

// A transaction that is marked to have a witness and has none is none to the
// network. Its id would be another one by where its bytes lie than by what they
// say.
func TestMarkedForAWitnessWithoutOne(t *testing.T) {
	ledger := chaintest.NewChain()
	block := ledger.MineEmpty(1)
	var raw bytes.Buffer
	if err := block.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	const version, lockTime = 80 + 1 + 4, 4 // header, count of transactions, version
	plain := raw.Bytes()
	marked := slices.Concat(plain[:version], []byte{0, 1}, plain[version:len(plain)-lockTime], []byte{0}, plain[len(plain)-lockTime:])
	tip := chain.Tip{Height: 0, Hash: block.Header.PrevBlock}
	verify := func(raw []byte) error {
		_, err := chain.VerifyBlock(raw, block.BlockHash(), tip, ledger.Params(), someTime())
		return err
	}
	if err := verify(plain); err != nil {
		t.Fatal(err)
	}
	if err := verify(marked); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("it gives %v", err)
	}
}
