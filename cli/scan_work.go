package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

// scan is one passage through files of blocks, or two: a node keeps blocks in
// the order of their arrival, so that money may be spent before the block that
// brought it was read.
type scan struct {
	*session
	context   context.Context
	params    *chaincfg.Params
	files     []blockFile
	addresses []chain.Address
	match     *chain.Watched
	progress  *progress
	began     time.Time
	stream    bool     // print hits at once
	rows      []hitRow // else

	total, before int64 // bytes in all, and in the files read to the end
	second        bool  // the second passage
	again         bool  // it is needed

	found         map[hit]bool
	hinting       bool
	hints         []hint // told at the end: what is spent may be read later
	touched       map[string]bool
	blocks        int64
	hits, faults  int
	faultsOfFile  int
	lowest        int32
	highest       int32
	last          chainhash.Hash
	withoutHeight bool
}

// hit tells one movement from another: a block may be read twice.
type hit struct {
	block, tx chainhash.Hash
	out       bool
	index     int
	address   string
}

// hint is an input that shows a key or script of an address, where what it
// spends is not known.
type hint struct {
	hit
	row hitRow
}

func newScan(ctx context.Context, s *session, params *chaincfg.Params, addresses []chain.Address, files []blockFile) *scan {
	sc := &scan{
		session: s, context: ctx, params: params, files: files, addresses: addresses, match: chain.NewWatched(),
		progress: s.progress("scanning"), began: s.Now(),
		found: map[hit]bool{}, touched: map[string]bool{}, lowest: chain.UnknownHeight, highest: chain.UnknownHeight,
	}
	for i, a := range addresses {
		sc.match.Watch(a.Script, int64(i))
	}
	for _, f := range files {
		sc.total += f.size
	}
	return sc
}

// run reads all files, and once more where that may find what the first time
// could not: the faults are told by then.
func (sc *scan) run() error {
	if err := sc.passage(); err != nil || !sc.again {
		return err
	}
	sc.second, sc.before, sc.began = true, 0, sc.Now()
	return sc.passage()
}

func (sc *scan) passage() error {
	for _, f := range sc.files {
		if err := sc.file(f); err != nil {
			return err
		}
		sc.before += f.size
	}
	return nil
}

// file reads one file to its end. What is wrong with it is told and counted;
// an error ends the scan.
func (sc *scan) file(f blockFile) error {
	sc.faultsOfFile = 0
	file, err := os.Open(f.path)
	if err != nil {
		sc.fault("%s: %s", f.path, openError(err))
		return nil
	}
	defer file.Close()
	source, err := f.open(file, sc.params)
	if err != nil {
		sc.fault("%s: %s", f.path, err)
		return nil
	}
	for {
		if sc.context.Err() != nil {
			return errInterrupted
		}
		sc.tell(f, source)
		raw, offset, err := source.Next()
		var damage *chain.Damage
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &damage):
			sc.fault("%s %s", f.path, damage)
			continue
		case err != nil:
			sc.fault("%s: %s", f.path, explainFile(err))
			return nil
		}
		if err := sc.block(raw); errors.Is(err, chain.ErrFalseBlock) {
			sc.fault("%s at byte %d: %s", f.path, offset, err)
			if err := source.Doubt(); err != nil {
				sc.fault("%s: %s", f.path, openError(err))
				return nil
			}
		} else if err != nil {
			return err
		}
	}
}

func explainFile(err error) string {
	var foreign *chain.ForeignFile
	if errors.As(err, &foreign) {
		return fmt.Sprintf("%s: use --network %s", foreign, foreign.Network)
	}
	return openError(err).Error()
}

// mostFaults is how many are told of one file; the rest are counted.
const mostFaults = 20

func (sc *scan) fault(format string, args ...any) {
	if sc.second {
		return // told the first time
	}
	sc.faults++
	sc.faultsOfFile++
	if sc.faultsOfFile <= mostFaults {
		sc.progress.say(format, args...)
	} else if sc.faultsOfFile == mostFaults+1 {
		sc.progress.say("… and more of that file, which are only counted")
	}
}

// block checks one block and tells its hits.
func (sc *scan) block(raw []byte) error {
	block, err := chain.CheckBlock(raw, sc.params, sc.Now())
	if err != nil {
		return err
	}
	late := sc.follows(block)
	for _, tx := range sc.match.Match(block) {
		for _, e := range sc.match.Effects(tx) {
			for _, m := range e.Debits {
				if err := sc.hit(block, tx, e.Script, "out", m); err != nil {
					return err
				}
			}
			for _, m := range e.Credits {
				sc.again = sc.again || late
				if err := sc.hit(block, tx, e.Script, "in", m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// follows counts a block and says whether one that was read before it may come
// after it on the chain.
func (sc *scan) follows(block *chain.Block) (late bool) {
	if sc.second {
		return false
	}
	switch {
	case sc.blocks == 0:
	case block.Height == chain.UnknownHeight || sc.withoutHeight:
		late = block.Header.PrevBlock != sc.last
	default:
		late = block.Height <= sc.highest
	}
	sc.blocks++
	sc.last = block.Hash
	if block.Height == chain.UnknownHeight {
		sc.withoutHeight = true
		return late
	}
	if sc.lowest == chain.UnknownHeight {
		sc.lowest = block.Height
	}
	sc.lowest, sc.highest = min(sc.lowest, block.Height), max(sc.highest, block.Height)
	return late
}

// hit takes a movement, once; a hint is kept until all is read.
func (sc *scan) hit(block *chain.Block, tx *chain.Transaction, number int64, direction string, m chain.Movement) error {
	address := sc.addresses[number].Text
	this := hit{block.Hash, tx.ID, direction == "out", m.Index, address}
	row := hitRow{
		BlockHash: block.Hash.String(), BlockTime: block.Time(), TxID: tx.ID.String(),
		Address: address, Direction: direction, Index: m.Index, Hint: m.Unknown,
	}
	if block.Height != chain.UnknownHeight {
		row.BlockHeight = &block.Height
	}
	if m.Unknown {
		sc.hints = append(sc.hints, hint{this, row})
		return nil
	}
	if sc.found[this] {
		return nil
	}
	sc.found[this] = true
	sc.touched[address] = true
	sc.hits++
	row.AmountSat = &m.Amount
	return sc.print(row)
}

// tellHints tells those that did not become movements: the money came before
// these blocks, or from elsewhere, for anybody can show another's key.
func (sc *scan) tellHints() error {
	all := sc.hints
	sc.hints = nil
	for _, h := range all {
		if sc.found[h.hit] {
			continue
		}
		sc.found[h.hit] = true // a block may be read twice
		sc.hints = append(sc.hints, h)
		if err := sc.print(h.row); err != nil {
			return err
		}
	}
	return nil
}

func (sc *scan) print(row hitRow) error {
	if !sc.stream {
		sc.rows = append(sc.rows, row)
		return nil
	}
	return printJSON(sc.Out, row)
}

// tell says how far the scan is, how fast it goes and how long it will take.
func (sc *scan) tell(f blockFile, source blocks) {
	done := sc.before + min(source.Done(), f.size)
	text := fmt.Sprintf("scanning %s, %s of %s", f.path, megabytes(done), megabytes(sc.total))
	if sc.second {
		text = fmt.Sprintf("scanning once more for money spent before its block was read, %s of %s", megabytes(done), megabytes(sc.total))
	}
	if took := sc.Now().Sub(sc.began); took > 0 && done > 0 {
		rate := float64(done) / took.Seconds()
		left := time.Duration(float64(sc.total-done) / rate * float64(time.Second))
		text += fmt.Sprintf(", %s/s, %s left", megabytes(int64(rate)), span(left))
	}
	sc.progress.now(text)
}

func megabytes(n int64) string {
	if n < 10_000_000 {
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return grouped(n/1_000_000) + " MB"
}

// sumUp says what was done, and what that does not mean.
func (sc *scan) sumUp() {
	text := counted(sc.blocks, "block", "blocks")
	if sc.lowest != chain.UnknownHeight {
		text += fmt.Sprintf(" (heights %s to %s", grouped(int64(sc.lowest)), grouped(int64(sc.highest)))
		if sc.withoutHeight {
			text += ", some without"
		}
		text += ")"
	}
	text += " checked in " + counted(len(sc.files), "file", "files")
	if len(sc.addresses) == 0 {
		text += "; nothing was looked for: --watch FILE names addresses"
	} else {
		text += fmt.Sprintf(": %s at %s of %s", counted(sc.hits, "movement", "movements"), grouped(int64(len(sc.touched))), counted(len(sc.addresses), "address", "addresses"))
	}
	sc.say("%s.", text)
	if n := len(sc.hints); n > 0 {
		sc.say("%s besides: an input shows a key or script of an address, and spends no output of it that these blocks hold. Anybody can show another's key.", counted(n, "hint", "hints"))
	}
	if sc.faults > 0 {
		sc.say("%s: what is damaged was not searched.", counted(sc.faults, "fault", "faults"))
	}
	before := "Money from before these blocks is not seen when it is spent."
	if sc.hinting {
		before = "Money from before these blocks is seen when it is spent only by such hints, and not where none is given (Taproot keys, bare keys)."
	}
	if sc.blocks > 0 {
		sc.say("Each block that was searched is sound by itself; that it is on the chain was not looked at. %s", before)
	}
}
