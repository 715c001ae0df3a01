package chain

import (
	"bytes"
	"math/big"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// ProvenChain is what the headers of a file come to: each has its own work,
// follows the one before it, and is as btcd's rules demand.
type ProvenChain struct {
	First, Last int32     // heights of the first and the last header
	LastTime    time.Time // of the last header
	LastWork    *big.Int  // of the last header alone, in hashes

	// Below is the highest block at or below the payment's that is compiled into
	// this program and which the headers lead back to, and WorkBelow the work of
	// those between the two, in hashes; nil where they do not reach one.
	Below     *Checkpoint
	WorkBelow *big.Int

	// Beyond is the lowest such block above the payment's: what it is built on
	// needs nobody's word.
	Beyond *Checkpoint

	// Start is what following rested on, by the issuer's word: the newest one at
	// or before the block, else the first one after it; nil where the headers
	// reach neither.
	Start *EvidenceStart

	Exact   int     // changes of difficulty that are what the rule demands
	Bounded []int32 // heights of those that could only be held within a factor of four
}

// headers reads the headers, which have 80 bytes each.
func (b *EvidenceBlock) headers() ([]wire.BlockHeader, error) {
	if b.FirstHeight < 0 || int64(b.FirstHeight)+int64(len(b.Headers)) > 1<<31-1 {
		return nil, falsef("heights from %d on", b.FirstHeight)
	}
	headers := make([]wire.BlockHeader, len(b.Headers))
	for i, raw := range b.Headers {
		if err := headers[i].Deserialize(bytes.NewReader(raw)); err != nil || len(raw) != headerSize {
			return nil, falsef("the header of block %d has %d bytes and not %d", b.FirstHeight+int32(i), len(raw), headerSize)
		}
	}
	return headers, nil
}

// chain checks the headers and says what they rest on.
func (v *Verdict) chain(b *EvidenceBlock, headers []wire.BlockHeader) (ProvenChain, error) {
	last := headers[len(headers)-1]
	c := ProvenChain{
		First: b.FirstHeight, Last: b.FirstHeight + int32(len(headers)) - 1,
		LastTime: last.Timestamp.UTC(), LastWork: blockchain.CalcWork(last.Bits),
	}
	if err := c.follow(headers, v.Params, v.Evidence.Stated.MadeAt); err != nil {
		return c, err
	}
	if err := c.anchor(b, headers, v.Params); err != nil {
		return c, err
	}
	start, err := v.start(b, headers)
	c.Start = start
	return c, err
}

// follow checks each header after those before it. What a rule asks for that is
// not in the file is not guessed: see checkHeader.
func (c *ProvenChain) follow(headers []wire.BlockHeader, params *chaincfg.Params, madeAt time.Time) error {
	// Of what is below the first, nothing is known but its hash.
	tip := Tip{Height: c.First - 1, Hash: headers[0].PrevBlock, Pinned: true}
	for i := range headers {
		h, height := &headers[i], tip.Height+1
		if err := checkFloor(h.Bits, height, params); err != nil {
			return falsef("%v", err)
		}
		next, err := VerifyHeader(h, tip, params, madeAt)
		if err != nil {
			return falsef("%v", err)
		}
		if i > 0 && Retargets(height, params) {
			if decided(tip.known(), params) {
				c.Exact++
			} else {
				c.Bounded = append(c.Bounded, height)
			}
		}
		tip = next.Tip()
	}
	return nil
}

// anchor finds the nearest blocks below and above the payment's that are
// compiled in, the network's first among them. One that the headers contradict
// is refused; of the block below the first header, the header names the hash.
func (c *ProvenChain) anchor(b *EvidenceBlock, headers []wire.BlockHeader, params *chaincfg.Params) error {
	all := append([]Checkpoint{{Height: 0, Hash: *params.GenesisHash}}, Checkpoints(params)...)
	for _, point := range all {
		at := int64(point.Height) - int64(c.First)
		if at < -1 || at >= int64(len(headers)) {
			continue
		}
		if hash := hashBehind(headers, at); hash != point.Hash {
			return falsef("block %d is known to be %s and not %s", point.Height, point.Hash, hash)
		}
		switch {
		case point.Height <= b.Height:
			c.Below = &point
			c.WorkBelow = workOf(headers[at+1 : max(at+1, int64(b.Height-c.First))])
		case c.Beyond == nil:
			c.Beyond = &point
		}
	}
	return nil
}

// hashBehind is the hash of the header at a place; -1 stands for the one that
// the first of them follows.
func hashBehind(headers []wire.BlockHeader, at int64) chainhash.Hash {
	if at < 0 {
		return headers[0].PrevBlock
	}
	return headers[at].BlockHash()
}

func workOf(headers []wire.BlockHeader) *big.Int {
	work := new(big.Int)
	for i := range headers {
		work.Add(work, blockchain.CalcWork(headers[i].Bits))
	}
	return work
}

// start finds what the block rests on: the newest start at or before it, or the
// first one after it; nil where the headers reach neither. Whatever start lies
// within the headers has to be of this chain, or said to be none of it.
func (v *Verdict) start(b *EvidenceBlock, headers []wire.BlockHeader) (before *EvidenceStart, err error) {
	var after *EvidenceStart
	for i := range v.Evidence.Stated.Starts {
		s := &v.Evidence.Stated.Starts[i]
		within, left := s.within(b, headers)
		switch {
		case left != s.Left:
			return nil, falsef("what is stated as start %d lies on another chain than is said", s.Height)
		case !within || left:
		case s.Height <= b.Height:
			before = s
		case after == nil || s.Height <= after.Height:
			after = s
		}
	}
	if before == nil {
		return after, nil
	}
	return before, nil
}

// within says whether headers lead over the block that a start follows, and
// whether they lead past it.
func (s *EvidenceStart) within(b *EvidenceBlock, headers []wire.BlockHeader) (within, left bool) {
	at := int64(s.Height) - 1 - int64(b.FirstHeight)
	if at < -1 || at >= int64(len(headers)) {
		return false, false
	}
	return true, hashBehind(headers, at) != chainhash.Hash(s.Parent)
}

// Leave fills in, for each start, whether the headers lead past it: after a
// reorganisation across the start.
func (e *Evidence) Leave() error {
	b := e.Proof.Block
	if b == nil {
		return nil
	}
	headers, err := b.headers()
	if err != nil {
		return err
	}
	for i := range e.Stated.Starts {
		s := &e.Stated.Starts[i]
		_, s.Left = s.within(b, headers)
	}
	return nil
}
