package chain_test

import (
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/btcutil/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest/recorded"
)

// BenchmarkVerifyAndMatch verifies and matches block 702861 (1.4 MB, 2,500
// transactions) against what btcd alone costs for equal work, by the time of the
// processor and round by round in one run: decoding, the Merkle root and the
// commitment to witnesses on both sides, and in a second row what inputs reveal
// on both sides. Goal: at most 1.3 times.
func BenchmarkVerifyAndMatch(b *testing.B) {
	raw := recorded.Read(b, "vectors", "block702861.raw")
	block, err := btcutil.NewBlockFromBytes(raw)
	if err != nil {
		b.Fatal(err)
	}
	header := block.MsgBlock().Header
	tip := chain.Tip{Height: 702860, Hash: header.PrevBlock, Bits: header.Bits}
	for _, row := range []struct {
		name            string
		reveals, commit bool
		goal            bool
	}{
		{"witness commitment on both sides", false, true, true},
		{"witness commitment and reveals on both sides", true, true, true},
		{"btcd without the commitment, for comparison", false, false, false},
	} { // the Merkle root is computed in all of them, and no check is left out
		b.Run(row.name, func(b *testing.B) {
			watched := watchThousand(row.reveals)
			ours := func() {
				checked, err := chain.VerifyBlock(raw, *block.Hash(), tip, &chaincfg.MainNetParams, header.Timestamp)
				if err != nil || len(watched.Match(checked)) != 0 {
					b.Fatal("the block of the benchmark is not taken as it is", err)
				}
			}
			theirs := func() { byBtcd(b, raw, row.commit, row.reveals) }
			var ratios, mine []float64
			for b.Loop() {
				for range 9 {
					one, other := cpu(ours), cpu(theirs)
					ratios, mine = append(ratios, one.Seconds()/other.Seconds()), append(mine, float64(one.Microseconds()))
				}
			}
			ratio := median(ratios)
			b.ReportMetric(ratio, "ours/btcd")
			b.ReportMetric(median(mine), "ours-µs")
			if row.goal {
				met := "met"
				if ratio > 1.3 {
					met = "NOT MET"
				}
				b.Logf("%-60s %10.2f %-6s goal: at most %.2f  %s", "block 702861 over btcd, "+row.name, ratio, "", 1.3, met)
			}
		})
	}
}

// watchThousand is a set of addresses that the block does not touch.
func watchThousand(reveals bool) *chain.Watched {
	watched := chain.NewWatched()
	for i := range 1000 {
		watched.Watch([]byte{0, 20, byte(i), byte(i >> 8), 21: 1}, int64(i))
	}
	if reveals {
		watched.Reveal()
	}
	return watched
}

// byBtcd decodes a block and computes its Merkle root, and where asked checks the
// commitment to its witnesses and hashes what its inputs reveal.
func byBtcd(b *testing.B, raw []byte, commit, reveals bool) {
	block, err := btcutil.NewBlockFromBytes(raw)
	if err != nil {
		b.Fatal(err)
	}
	if root := blockchain.CalcMerkleRoot(block.Transactions(), false); root != block.MsgBlock().Header.MerkleRoot {
		b.Fatal("another Merkle root")
	}
	if commit {
		if err := blockchain.ValidateWitnessCommitment(block); err != nil {
			b.Fatal(err)
		}
	}
	if !reveals {
		return
	}
	for _, tx := range block.MsgBlock().Transactions {
		for _, in := range tx.TxIn {
			chain.Reveals(in)
		}
	}
}

// cpu is the processor's time that work takes, with the collection of the
// garbage of whoever worked before behind it.
func cpu(work func()) time.Duration {
	runtime.GC()
	before := used()
	work()
	return used() - before
}

func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // Linux always answers
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
