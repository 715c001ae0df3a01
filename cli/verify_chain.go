package cli

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"btcwatch/chain"
)

// chain says what the block stands on, and what stands on it.
func (v verdict) chain() {
	b := v.Block
	c := b.Chain
	v.line("  - The file has %s, from block %s to %s, each with its own work and each following the one before.",
		counted(int(c.Last-c.First)+1, "header", "headers"), grouped(int64(c.First)), grouped(int64(c.Last)))
	v.difficulty()
	v.checkpoints()
	switch {
	case c.Start == nil:
		if c.Below == nil && c.Beyond == nil {
			v.line("  - Where this chain comes from rests on the issuer's word.")
		}
		for _, s := range v.Evidence.Stated.Starts {
			left := ""
			if s.Left {
				left = "; the chain has left that block since"
			}
			v.line("    Stated: followed from block %s on, which rests on %s%s.", grouped(int64(s.Height)), s.RestsOn, left)
		}
	case c.Start.Height > b.Height:
		v.line("  - The payment is from before the watch. Following began with block %s, which is built on it and rests, by the issuer's word, on %s.",
			grouped(int64(c.Start.Height)), alone(c.Start))
	default:
		v.line("  - From block %s on it rests, by the issuer's word, on %s.", grouped(int64(c.Start.Height)), alone(c.Start))
	}
}

// alone is what following rested on, and whether that is one operator's word.
func alone(s *chain.EvidenceStart) string {
	if s.Proves {
		return s.RestsOn
	}
	return "one operator alone: " + s.RestsOn
}

// difficulty says how the difficulty of the headers was checked.
func (v verdict) difficulty() {
	c := v.Block.Chain
	if v.Params.ReduceMinDifficulty {
		return // of that nothing is to be said but that it is nominal
	}
	if len(c.Bounded) == 0 && c.Exact == 0 {
		v.line("  - All of them ask for the same work, as those of one period have to. How that came about is not in the file.")
		return
	}
	if c.Exact > 0 {
		v.line("  - Where a period begins (%s), the difficulty is exactly what the rule makes of the headers before.", counted(c.Exact, "time", "times"))
	}
	for _, height := range c.Bounded {
		v.line("  - At block %s, where a period begins, the difficulty is only known to have changed by a factor of four at most: the period before is not whole in the file.", grouped(int64(height)))
	}
}

// checkpoints says which blocks that are compiled into this program the headers
// reach.
func (v verdict) checkpoints() {
	b := v.Block
	below, beyond := b.Chain.Below, b.Chain.Beyond
	switch {
	case below == nil && beyond == nil:
		v.line("  - They reach no block that is compiled into this program.")
	case below == nil:
	case below.Height == b.Height:
		v.line("  - The payment's block itself is compiled into this program.")
	default:
		what := "which is"
		if below.Height == 0 {
			what = "the first of " + v.Evidence.Network + ","
		}
		v.line("  - They lead back to block %s, %s compiled into this program:", grouped(int64(below.Height)), what)
		v.line("    %s", below.Hash)
		if b.Chain.WorkBelow.Sign() > 0 {
			v.line("    Between it and the payment's block stand %s.", hashes(b.Chain.WorkBelow))
		}
		if beyond == nil {
			v.line("    A false chain could begin there, too, at the cost of all the work from there on.")
		}
	}
	if beyond != nil {
		v.line("  - They lead on to block %s, which is compiled into this program and built on the payment's block:", grouped(int64(beyond.Height)))
		v.line("    %s", beyond.Hash)
		v.line("    So it is on the same chain whatever the issuer of the file says.")
	}
}

// hashes writes an amount of work for people: in words and as a power of two.
func hashes(work *big.Int) string {
	amount, _ := new(big.Float).SetInt(work).Float64()
	return fmt.Sprintf("%s hashes (2^%.1f)", inWords(amount), math.Log2(amount))
}

// inWords writes a number with words that nobody takes for another number.
func inWords(amount float64) string {
	if amount < 1e6 {
		return grouped(int64(amount))
	}
	power := min(int(math.Log10(amount))/3, 27) * 3
	words := []string{fmt.Sprintf("about %.3g", amount/math.Pow10(power))}
	if part := power % 9 / 3; part > 0 {
		words = append(words, []string{"thousand", "million"}[part-1])
	}
	for range power / 9 {
		words = append(words, "billion")
	}
	return strings.Join(words, " ")
}

// inBlocks says how much work that is for the whole network, at the difficulty
// that the last header shows.
func inBlocks(work *big.Int, c chain.ProvenChain) string {
	const each = 10 * time.Minute
	count, _ := new(big.Rat).SetFrac(work, c.LastWork).Float64()
	blocks := fmt.Sprintf("%.1f blocks", count)
	if whole := math.Round(count); math.Abs(count-whole) < 0.05 {
		blocks = counted(int64(whole), "block", "blocks")
	}
	return fmt.Sprintf("That is the work of %s at the difficulty of block %s (%s), the last in the file, which is set so that the whole network takes about %s for so much.",
		blocks, grouped(int64(c.Last)), second(c.LastTime), long(count*each.Seconds()))
}

// long writes seconds, of which there may be more than a time.Duration holds.
func long(seconds float64) string {
	for _, unit := range []struct {
		length float64
		name   string
	}{{365.25 * 86400, "years"}, {86400, "days"}, {3600, "hours"}} {
		if n := seconds / unit.length; n >= 2 {
			return grouped(int64(math.Round(n))) + " " + unit.name
		}
	}
	return grouped(int64(math.Round(seconds/60))) + " minutes"
}
