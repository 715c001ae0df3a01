package chain_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
)

func TestCheckRealBlocks(t *testing.T) {
	for _, b := range realBlocks() {
		raw := recorded.Read(t, b.path...)
		block, err := chain.CheckBlock(raw, mainnet(), someTime())
		if err != nil {
			t.Errorf("block %d: %v", b.height, err)
			continue
		}
		want := b.height
		if h := headerOf(t, raw); h.Version < 2 {
			want = chain.UnknownHeight
		}
		if h := headerOf(t, raw); block.Hash != h.BlockHash() || block.Height != want {
			t.Errorf("block %d was read as %d %s", b.height, block.Height, block.Hash)
		}
		for _, n := range []int{0, 79, 80, 81, len(raw) / 2, len(raw) - 1} {
			falsely(t, raw[:n], mainnet(), "cannot be parsed")
		}
		falsely(t, append(bytes.Clone(raw), 0), mainnet(), "1 bytes too many")
		falsely(t, changed(raw, 40, 1), mainnet(), "")
		falsely(t, changed(raw, len(raw)-1, 1), mainnet(), "")
	}
}

func falsely(t *testing.T, raw []byte, params *chaincfg.Params, why string) {
	t.Helper()
	if _, err := chain.CheckBlock(raw, params, someTime()); !errors.Is(err, chain.ErrFalseBlock) || !strings.Contains(err.Error(), why) {
		t.Errorf("should be refused for %q, and got: %v", why, err)
	}
}

// A block of one network taken for one of another.
func TestCheckForeignBlocks(t *testing.T) {
	ours := recorded.Read(t, "vectors", "block482683.raw")
	for _, p := range []*chaincfg.Params{&chaincfg.RegressionNetParams, &chaincfg.TestNet4Params, &chaincfg.SigNetParams} {
		falsely(t, ours, p, "another network")
	}
	c := chaintest.NewChain()
	own := c.MineEmpty(3)
	falsely(t, serialized(own), mainnet(), "")
	if b, err := chain.CheckBlock(serialized(own), regtest(), own.Header.Timestamp); err != nil || b.Height != 3 {
		t.Errorf("read as %+v, %v", b, err)
	}
	genesis, err := chain.CheckBlock(serialized(mainnet().GenesisBlock), mainnet(), someTime())
	if err != nil || genesis.Height != 0 {
		t.Errorf("the first block of all: %v", err)
	}
}

// An easy block that claims a late height, or hides it, is no block of mainnet.
func TestCheckEasyBlocks(t *testing.T) {
	params := *mainnet()
	params.PowLimit, params.PowLimitBits = regtest().PowLimit, regtest().PowLimitBits // so that one can be made
	for _, c := range []struct {
		height  int32
		version int32
		at      time.Time
		why     string
	}{
		{300026, 2, time.Date(2014, 5, 11, 0, 0, 0, 0, time.UTC), "too little work"},
		{960000, 4, time.Date(2025, 5, 11, 0, 0, 0, 0, time.UTC), "too little work"},
		{0, 1, time.Date(2025, 5, 11, 0, 0, 0, 0, time.UTC), "does not say its height"},
		{0, 2, time.Date(2025, 5, 11, 0, 0, 0, 0, time.UTC), "does not say its height"},
	} {
		from := chaintest.ChainOf(c.height-1, chaincfg.RegressionNetParams.GenesisBlock)
		from.Time = func(int32) time.Time { return c.at }
		block := from.MineEmpty(1)
		block.Header.Version = c.version
		if c.height == 0 {
			block.Transactions[0].TxIn[0].SignatureScript = []byte("no height is here")
		}
		chaintest.Seal(block)
		falsely(t, serialized(block), &params, c.why)
	}
}

func TestCheckLyingBlocks(t *testing.T) {
	c := chaintest.NewChain()
	c.MineEmpty(2)
	with := func(change func(*wire.MsgBlock)) []byte {
		block := c.MineEmpty(1)
		change(block)
		return serialized(block)
	}
	sealed := func(change func(*wire.MsgBlock)) []byte {
		return with(func(b *wire.MsgBlock) { change(b); chaintest.Seal(b) })
	}
	for name, raw := range map[string][]byte{
		"root":     with(func(b *wire.MsgBlock) { b.Header.MerkleRoot[3] ^= 1; chaintest.Solve(&b.Header) }),
		"work":     with(func(b *wire.MsgBlock) { b.Header.Bits = 0x1d00ffff }),
		"coinbase": sealed(func(b *wire.MsgBlock) { b.Transactions = append(b.Transactions, b.Transactions[0]) }),
		"empty": with(func(b *wire.MsgBlock) {
			b.Transactions = nil
			chaintest.Solve(&b.Header)
		}),
		"future": with(func(b *wire.MsgBlock) {
			b.Header.Timestamp = someTime().Add(3 * time.Hour)
			chaintest.Solve(&b.Header)
		}),
		"64 bytes": sealed(func(b *wire.MsgBlock) { b.Transactions = append(b.Transactions, sixtyFour()) }),
	} {
		if _, err := chain.CheckBlock(raw, regtest(), someTime()); !errors.Is(err, chain.ErrFalseBlock) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// sixtyFour is a transaction of 64 bytes.
func sixtyFour() *wire.MsgTx {
	tx := wire.NewMsgTx(1)
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: [32]byte{1}}, nil, nil))
	tx.AddTxOut(wire.NewTxOut(1, []byte{1, 2, 3, 4}))
	if n := tx.SerializeSize(); n != 64 {
		panic(fmt.Sprint(n))
	}
	return tx
}

func serialized(block *wire.MsgBlock) []byte {
	var raw bytes.Buffer
	_ = block.Serialize(&raw)
	return raw.Bytes()
}

// FuzzCheckBlock: whatever the bytes are, they are refused or are the block
// that they say they are.
func FuzzCheckBlock(f *testing.F) {
	c := chaintest.NewChain()
	for _, b := range []*wire.MsgBlock{c.MineEmpty(1), mainnet().GenesisBlock} {
		f.Add(serialized(b))
	}
	f.Add(slices.Repeat([]byte{0xff}, 200))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, params := range []*chaincfg.Params{regtest(), mainnet()} {
			block, err := chain.CheckBlock(raw, params, someTime())
			if err != nil {
				if !errors.Is(err, chain.ErrFalseBlock) {
					t.Fatal(err)
				}
				continue
			}
			var again bytes.Buffer
			again.Write(block.HeaderBytes())
			_ = wire.WriteVarInt(&again, 0, uint64(len(block.Transactions)))
			for _, tx := range block.Transactions {
				_ = tx.Serialize(&again)
			}
			if !bytes.Equal(again.Bytes(), raw) {
				t.Error("a block of other bytes")
			}
			tip := chain.Tip{Height: block.Height - 1, Hash: block.Header.PrevBlock}
			if _, err := chain.VerifyBlock(raw, block.Hash, tip, params, someTime()); err != nil && block.Height > 0 {
				t.Errorf("as the next block it is refused: %v", err)
			}
		}
	})
}

func regtest() *chaincfg.Params { return &chaincfg.RegressionNetParams }
