package chain_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// TestFirstHeadersByTheRealRules follows the first 2,017 headers of the main
// chain from the genesis block on, so that every rule can be asked.
func TestFirstHeadersByTheRealRules(t *testing.T) {
	headers := firstHeaders(t)
	last := chain.NewHeader(0, &headers[0], nil)
	for height := 1; height < len(headers); height++ {
		next, err := chain.VerifyHeader(&headers[height], last.Tip(), mainnet(), someTime())
		if err != nil {
			t.Fatalf("height %d: %v", height, err)
		}
		last = next
	}
	if last.Height != 2016 || last.Oldest() != 0 || last.Hash != headers[2016].BlockHash() {
		t.Errorf("ends at %d %s, linked back to %d", last.Height, last.Hash, last.Oldest())
	}
	for _, height := range []int32{0, 1, 1000, 2016} {
		if h := last.Ancestor(height); h.Height != height || h.Hash != headers[height].BlockHash() {
			t.Errorf("the ancestor at %d is %d %s", height, h.Height, h.Hash)
		}
	}
	if last.Ancestor(2017) != nil || last.Ancestor(-1) != nil {
		t.Error("there are headers where there are none")
	}
	// Each of difficulty 1 takes 2^32 / (1 - 2^-16) hashes: 4295032833.
	if want := new(big.Int).Mul(big.NewInt(4295032833), big.NewInt(16)); last.WorkAbove(2000).Cmp(want) != 0 {
		t.Errorf("sixteen headers of difficulty 1 are %d hashes, want %d", last.WorkAbove(2000), want)
	}
}

// TestMutatedHeaders spoils one thing at a time. The work that a spoilt header
// no longer has is not looked at, so that nothing but the rule refuses it.
func TestMutatedHeaders(t *testing.T) {
	headers := firstHeaders(t)
	median := func(height int) time.Time { // of the eleven before, the slow way
		var times []int64
		for _, h := range headers[height-11 : height] {
			times = append(times, h.Timestamp.Unix())
		}
		for i := range times {
			for j := range times {
				if times[i] < times[j] {
					times[i], times[j] = times[j], times[i]
				}
			}
		}
		return time.Unix(times[5], 0)
	}
	for _, height := range []int{11, 12, 500, 1500, 2015, 2016} {
		link, err := chain.LinkHeaders(0, headers[:height])
		if err != nil {
			t.Fatal(err)
		}
		tip := link.Tip()
		check := func(what string, h wire.BlockHeader, params *chaincfg.Params, want error) {
			t.Helper()
			if err := chain.CheckHeader(&h, tip, int32(height), params); !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("height %d, %s: %v", height, what, err)
			}
		}
		h := headers[height]
		check("untouched", h, mainnet(), nil)
		for _, bits := range []uint32{0x1d00fffe, 0x1d010000, 0x1c7fff80, 0x1b0404cb, 0x207fffff, 0} {
			h = headers[height]
			h.Bits = bits
			check("other bits", h, mainnet(), chain.ErrFalseBlock)
		}
		h = headers[height]
		h.Timestamp = median(height)
		check("at the median time", h, mainnet(), chain.ErrFalseBlock)
		h.Timestamp = median(height).Add(-time.Hour)
		check("below the median time", h, mainnet(), chain.ErrFalseBlock)
		h.Timestamp = median(height).Add(time.Second)
		check("just above the median time", h, mainnet(), nil)
		h = headers[height]
		h.PrevBlock[3]++
		check("another parent", h, mainnet(), chain.ErrUnlinked)
		later := *mainnet() // a network on which the versions are long decided
		later.BIP0034Height, later.BIP0066Height, later.BIP0065Height = 10, 11, 12
		check("of version 1 where 2 is the least", headers[height], &later, chain.ErrFalseBlock)
		h = headers[height]
		h.Version = 3
		want := chain.ErrFalseBlock
		if height < 12 {
			want = nil
		}
		check("of version 3 where 4 is the least", h, &later, want)
		h.Version = 4
		check("of version 4", h, &later, nil)
	}
}

func TestFutureHeaders(t *testing.T) {
	headers := firstHeaders(t)
	link, err := chain.LinkHeaders(0, headers[:2016])
	if err != nil {
		t.Fatal(err)
	}
	at := headers[2016].Timestamp
	if _, err := chain.VerifyHeader(&headers[2016], link.Tip(), mainnet(), at.Add(-2*time.Hour)); err != nil {
		t.Error(err)
	}
	if _, err := chain.VerifyHeader(&headers[2016], link.Tip(), mainnet(), at.Add(-2*time.Hour-time.Second)); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("more than two hours ahead: %v", err)
	}
	h := headers[2016]
	h.Nonce++
	if _, err := chain.VerifyHeader(&h, link.Tip(), mainnet(), at); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("without work: %v", err)
	}
}

// TestEleventhIsNotKnown: with ten headers the median of eleven cannot be
// asked, and is not guessed; with eleven it is.
func TestEleventhIsNotKnown(t *testing.T) {
	headers := firstHeaders(t)
	h := headers[1000]
	h.Timestamp = headers[0].Timestamp
	for _, c := range []struct {
		known int
		want  error
	}{{0, nil}, {1, nil}, {10, nil}, {11, chain.ErrFalseBlock}, {12, chain.ErrFalseBlock}} {
		link, err := chain.LinkHeaders(int32(1000-c.known), headers[1000-c.known:1000])
		if err != nil {
			t.Fatal(err)
		}
		tip := chain.Tip{Height: 999, Hash: h.PrevBlock, Bits: h.Bits, Header: link}
		if err := chain.CheckHeader(&h, tip, 1000, mainnet()); !errors.Is(err, c.want) {
			t.Errorf("%d headers known: %v", c.known, err)
		}
	}
}

// made is a chain of headers that nobody worked for.
type made struct {
	height  int32
	headers []wire.BlockHeader
}

func (m *made) add(bits uint32, at int64) {
	h := wire.BlockHeader{Version: 4, Bits: bits, Timestamp: time.Unix(at, 0), Nonce: uint32(len(m.headers))}
	if n := len(m.headers); n > 0 {
		h.PrevBlock = m.headers[n-1].BlockHash()
	}
	m.headers = append(m.headers, h)
}

func (m *made) tip(t *testing.T) chain.Tip {
	t.Helper()
	link, err := chain.LinkHeaders(m.height, m.headers)
	if err != nil {
		t.Fatal(err)
	}
	return link.Tip()
}

// next asks whether a header may follow.
func (m *made) next(t *testing.T, params *chaincfg.Params, bits uint32, at int64) error {
	t.Helper()
	tip := m.tip(t)
	h := wire.BlockHeader{Version: 4, PrevBlock: tip.Hash, Bits: bits, Timestamp: time.Unix(at, 0)}
	return chain.CheckHeader(&h, tip, tip.Height+1, params)
}

// period is a difficulty period that begins and ends at these times.
func period(first int32, bits uint32, from, to int64) *made {
	m := &made{height: first}
	for i := range int64(2016) {
		m.add(bits, from+(to-from)*i/2015)
	}
	return m
}

// TestRetarget: real changes of the main chain, of which Bitcoin Core's own
// tests (pow_tests.cpp) know times and bits.
func TestRetarget(t *testing.T) {
	params := *mainnet()
	params.Checkpoints = nil // the headers between are made up
	params.BIP0034Height, params.BIP0065Height, params.BIP0066Height = 1, 1, 1
	for _, c := range []struct {
		name      string
		last      int32
		from, to  int64
		old, want uint32
	}{
		{"block 32256", 32255, 1261130161, 1262152739, 0x1d00ffff, 0x1d00d86a},
		{"held at the limit", 2015, 1231006505, 1233061996, 0x1d00ffff, 0x1d00ffff},
		{"held at a fourth", 68543, 1279008237, 1279297671, 0x1c05a3f4, 0x1c0168fd},
		{"held at four times", 46367, 1263163443, 1269211443, 0x1c387f6f, 0x1d00e1fd},
	} {
		m := period(c.last-2015, c.old, c.from, c.to)
		if err := m.next(t, &params, c.want, c.to+600); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, bits := range []uint32{c.want + 1, c.want - 1, c.old} {
			if err := m.next(t, &params, bits, c.to+600); bits != c.want && !errors.Is(err, chain.ErrFalseBlock) {
				t.Errorf("%s: taken with bits %08x", c.name, bits)
			}
		}
		// Without the first of the period all that is known is the bound.
		m.headers, m.height = m.headers[1:], m.height+1
		if err := m.next(t, &params, c.old, c.to+600); err != nil {
			t.Errorf("%s, first of the period not known: %v", c.name, err)
		}
	}
}

// TestTestNetworks: the rules for test networks by hand. After twenty minutes
// without a block one of the least difficulty may come; the next in time
// returns to the difficulty before.
func TestTestNetworks(t *testing.T) {
	const easy, hard = 0x1d00ffff, 0x1c0ffff0
	three, four := chaincfg.TestNet3Params, chaincfg.TestNet4Params
	three.Checkpoints = nil
	const first, begin = 2016 * 1000, int64(1_700_000_000)
	check := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, params := range []*chaincfg.Params{&three, &four} {
		m := &made{height: first}
		for i := range int64(20) {
			m.add(hard, begin+600*i)
		}
		at := begin + 600*19
		name := params.Name
		check(name+": in time", m.next(t, params, hard, at+1200), nil)
		check(name+": in time and easy", m.next(t, params, easy, at+1200), chain.ErrFalseBlock)
		check(name+": late and easy", m.next(t, params, easy, at+1201), nil)
		check(name+": late and hard", m.next(t, params, hard, at+1201), chain.ErrFalseBlock)
		m.add(easy, at+1201)
		m.add(easy, at+2402+1)
		check(name+": after easy ones, in time", m.next(t, params, hard, at+2500), nil)
		check(name+": after easy ones, in time and easy", m.next(t, params, easy, at+2500), chain.ErrFalseBlock)
		// Where the period is not known to its first, nothing is guessed.
		m.headers, m.height = m.headers[20:], first+20
		check(name+": nothing known but easy ones", m.next(t, params, hard, at+2500), nil)
	}

	// A period in the exact time that ends with a late, easy block: testnet3
	// goes on from that one's bits, testnet4 from those of the first (BIP94).
	m := period(first, hard, begin, begin+14*24*3600)
	end := &m.headers[2015]
	end.Bits = easy
	at := end.Timestamp.Unix()
	check("testnet3 after an easy last block", m.next(t, &three, easy, at+600), nil)
	check("testnet3 after an easy last block, hard", m.next(t, &three, hard, at+600), chain.ErrFalseBlock)
	check("testnet4 after an easy last block", m.next(t, &four, hard, at+600), nil)
	check("testnet4 after an easy last block, easy", m.next(t, &four, easy, at+600), chain.ErrFalseBlock)
	check("testnet4 may go back ten minutes", m.next(t, &four, hard, at-600), nil)
	check("testnet4 may not go back further", m.next(t, &four, hard, at-601), chain.ErrFalseBlock)
	check("testnet3 may", m.next(t, &three, easy, at-601), nil)
}

func TestRegtestAndSignetHeaders(t *testing.T) {
	regtest := &chaincfg.RegressionNetParams
	m := &made{height: 2016}
	for i := range int64(2016) {
		m.add(0x207fffff, 1_700_000_000+i)
	}
	if err := m.next(t, regtest, 0x207fffff, 1_700_003_000); err != nil {
		t.Error(err)
	}
	if err := m.next(t, regtest, 0x207ffffe, 1_700_003_000); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("regtest knows one difficulty: %v", err)
	}
	// Signet retargets as the main chain does: 2016 blocks in half the time.
	s := period(2016, 0x1d0377ae, 1_700_000_000, 1_700_000_000+7*24*3600)
	if err := s.next(t, &chaincfg.SigNetParams, 0x1d01bbd7, 1_700_700_000); err != nil {
		t.Error(err)
	}
	if err := s.next(t, &chaincfg.SigNetParams, 0x1d0377ae, 1_700_700_000); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("signet without a change: %v", err)
	}
}

// TestCheckpoints: what is compiled in is what two wallets agree on, and a
// chain that contradicts it is false.
func TestCheckpoints(t *testing.T) {
	var known struct {
		Mainnet []struct {
			Height int32
			Hash   string
			Header string
		}
	}
	if err := json.Unmarshal(recorded.Read(t, "vectors", "checkpoints.json"), &known); err != nil {
		t.Fatal(err)
	}
	all := chain.Checkpoints(mainnet())
	if len(all) != len(known.Mainnet)+len(mainnet().Checkpoints) || !slices.IsSortedFunc(all, func(a, b chain.Checkpoint) int { return int(a.Height - b.Height) }) {
		t.Fatalf("%d checkpoints, the vectors have %d: %v", len(all), len(known.Mainnet), all)
	}
	compiled := all[len(mainnet().Checkpoints):]
	for i, c := range compiled {
		if c.Height != known.Mainnet[i].Height || c.Hash.String() != known.Mainnet[i].Hash {
			t.Errorf("checkpoint %d is %d %s", i, c.Height, c.Hash)
		}
		h := wire.BlockHeader{Version: 4, Bits: 0x1702c018}
		tip := chain.Tip{Height: c.Height - 1, Bits: h.Bits}
		if err := chain.CheckHeader(&h, tip, c.Height, mainnet()); !errors.Is(err, chain.ErrFalseBlock) || !strings.Contains(err.Error(), "known") {
			t.Errorf("another block at %d: %v", c.Height, err)
		}
		if got, ok := chain.CheckpointBelow(c.Height+1, mainnet()); !ok || got != c {
			t.Errorf("below %d is %v", c.Height+1, got)
		}
		if got, ok := chain.CheckpointBelow(c.Height, mainnet()); !ok || got != all[len(mainnet().Checkpoints)+i-1] {
			t.Errorf("below %d is %v", c.Height, got)
		}
	}
	var h wire.BlockHeader
	if err := h.Deserialize(hex.NewDecoder(strings.NewReader(known.Mainnet[0].Header))); err != nil {
		t.Fatal(err)
	}
	if _, err := chain.VerifyHeader(&h, chain.Tip{Height: 878975, Hash: h.PrevBlock}, mainnet(), someTime()); err != nil {
		t.Errorf("the block of the checkpoint: %v", err)
	}
	if _, err := chain.VerifyHeader(&h, chain.Tip{Height: chain.LastCheckpoint - 1, Hash: h.PrevBlock}, mainnet(), someTime()); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("the same block at the other checkpoint: %v", err)
	}
	if got := chain.Checkpoints(&chaincfg.SigNetParams); got != nil {
		t.Errorf("signet has checkpoints: %v", got)
	}
	if _, ok := chain.CheckpointBelow(11111, mainnet()); ok { // btcd's first
		t.Error("there is a checkpoint below the first")
	}
	other := wire.BlockHeader{Version: 1, Bits: 0x1d00ffff}
	if err := chain.CheckHeader(&other, chain.Tip{Height: 11110}, 11111, mainnet()); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("another block at btcd's first checkpoint: %v", err)
	}
}

// TestPinnedStart: whoever vouches for a block's hash needs no floor.
func TestPinnedStart(t *testing.T) {
	h := wire.BlockHeader{Version: 4, Bits: 0x1903a30c}
	tip := chain.Tip{Height: chain.LastCheckpoint + 5000}
	if err := chain.CheckHeader(&h, tip, tip.Height+1, mainnet()); !errors.Is(err, chain.ErrFalseBlock) {
		t.Errorf("nobody vouches: %v", err)
	}
	tip.Pinned = true
	if err := chain.CheckHeader(&h, tip, tip.Height+1, mainnet()); err != nil {
		t.Errorf("the operator vouches: %v", err)
	}
	for _, height := range []int32{300_000, chain.LastCheckpoint + 1} {
		if err := chain.CheckFloor(&h, height, mainnet()); !errors.Is(err, chain.ErrFalseBlock) {
			t.Errorf("floor at %d: %v", height, err)
		}
	}
	h.Bits = 0x17090300 // just under four times the target after the checkpoint
	if err := chain.CheckFloor(&h, 800_000, mainnet()); err != nil {
		t.Error(err)
	}
	if err := chain.CheckFloor(&wire.BlockHeader{Bits: 0x1d00ffff}, 800_000, &chaincfg.TestNet4Params); err != nil {
		t.Error(err)
	}
}

// TestWhatDecides: which headers the rules ask for, worked out by hand.
func TestWhatDecides(t *testing.T) {
	for _, c := range []struct{ height, from int32 }{
		{1, 0}, {2015, 0}, {2016, 0}, {2017, 2006}, {2030, 2016}, {4031, 2016}, {4032, 2016}, {4033, 4022}, {5000, 4032},
	} {
		if got := chain.DifficultyFrom(c.height, mainnet()); got != c.from {
			t.Errorf("block %d: from %d, want %d", c.height, got, c.from)
		}
	}
	if got := chain.DifficultyFrom(5000, &chaincfg.RegressionNetParams); got != 4989 {
		t.Errorf("regtest: from %d", got)
	}
	// A header that does not link is as good as none.
	a := chain.NewHeader(5, &wire.BlockHeader{}, nil)
	for _, b := range []*chain.Header{
		chain.NewHeader(6, &wire.BlockHeader{PrevBlock: chainhash.Hash{1}}, a),
		chain.NewHeader(7, &wire.BlockHeader{PrevBlock: a.Hash}, a),
	} {
		if b.Oldest() != b.Height || b.Ancestor(5) != nil {
			t.Errorf("%d is linked to a header that it does not follow", b.Height)
		}
	}
}
