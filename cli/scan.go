package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/watchlist"
)

type scanCommand struct {
	Watch   string   `placeholder:"FILE" help:"The addresses to look for, one a line; # begins a comment. Without it the blocks are only checked."`
	Network string   `default:"mainnet" help:"mainnet, testnet3, testnet4, signet or regtest (${default})."`
	NoHints bool     `help:"Do not show inputs that reveal a key or script of an address but spend no output of it in these blocks. Takes about half the time."`
	JSON    bool     `name:"json" help:"One JSON object a line, as they are found."`
	Blocks  []string `arg:"" name:"block" help:"Raw blocks, Bitcoin Core's blk*.dat (with xor.dat beside them), or a folder of these."`
}

// hitRow is one credit or debit, in the words of report.movements.
type hitRow struct {
	BlockHash   string    `json:"block_hash"`
	BlockHeight *int32    `json:"block_height"` // null: the block does not say
	BlockTime   time.Time `json:"block_time"`
	TxID        string    `json:"txid"`
	Address     string    `json:"address"`
	Direction   string    `json:"direction"`  // in, out
	Index       int       `json:"index"`      // of the output (in) or input (out)
	AmountSat   *int64    `json:"amount_sat"` // null for a hint
	Hint        bool      `json:"hint"`       // an input shows a key or script of the address; what it spends is no output of it in these blocks
}

// Run looks for addresses in blocks that lie here. It needs neither database
// nor configuration nor network.
func (c *scanCommand) Run(s *session) error {
	params, err := chain.Network(c.Network)
	if err != nil {
		return wrongUse{err.Error()}
	}
	addresses, err := c.addresses(params)
	if err != nil {
		return err
	}
	files, err := blockFiles(c.Blocks)
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	sc := newScan(ctx, s, params, addresses, files)
	sc.stream = c.JSON
	if len(addresses) > 0 && !c.NoHints {
		sc.match.Reveal()
		sc.hinting = true
	}
	defer sc.progress.end()
	err = sc.run()
	sc.progress.end()
	if err != nil {
		return err
	}
	if err := sc.tellHints(); err != nil {
		return err
	}
	if len(sc.rows) > 0 {
		if err := hitTable(sc.rows).print(s.Terminal); err != nil {
			return err
		}
	}
	sc.sumUp()
	if sc.faults > 0 {
		return exitCode(1)
	}
	return nil
}

// comment is the rest of a line that is not read. Within a word # has other
// uses, as in an address of the web.
func comment() *regexp.Regexp { return regexp.MustCompile(`(?m)(^|\s)#.*$`) }

// addresses reads the list. What looks like an address and is none is a fault:
// a scan for it would find nothing and seem to say something.
func (c *scanCommand) addresses(params *chaincfg.Params) ([]chain.Address, error) {
	if c.Watch == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Watch)
	if err != nil {
		return nil, fmt.Errorf("read the list: %w", err)
	}
	found, err := watchlist.Extract(strings.NewReader(comment().ReplaceAllString(string(text), "$1")), params)
	if err != nil {
		return nil, fmt.Errorf("look for addresses in %s: %w", c.Watch, err)
	}
	var list []chain.Address
	var faults []string
	known := map[string]bool{}
	for _, f := range found {
		switch {
		case f.NearMiss():
			faults = append(faults, fmt.Sprintf("%s:%d: %s is no address: %s", c.Watch, f.Line, tame(f.Text), f.Reason))
		case !known[f.Address.Text]:
			known[f.Address.Text] = true
			list = append(list, f.Address)
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s\ncorrect them, or put # before what is not meant", strings.Join(faults, "\n"))
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no address of %s: nothing would be looked for", c.Watch, c.Network)
	}
	return list, nil
}

func hitTable(rows []hitRow) *table {
	t := &table{columns: []column{
		{name: "BLOCK", right: true}, {name: "TIME (UTC)"}, {name: "IN/OUT", paint: directionColour}, {name: "AMOUNT BTC", right: true},
		{name: "ADDRESS", below: true}, {name: "INDEX", right: true}, {name: "TRANSACTION", below: true},
	}}
	for _, row := range rows {
		block := "not known"
		if row.BlockHeight != nil {
			block = grouped(int64(*row.BlockHeight))
		}
		amount := "hint only"
		if row.AmountSat != nil {
			amount = btc(*row.AmountSat)
		}
		t.add(block, minute(&row.BlockTime), row.Direction, amount, row.Address, fmt.Sprint(row.Index), row.TxID)
	}
	return t
}

// openError is what went wrong with a file, without the words of the system's
// call around it.
func openError(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it became shorter while it was read")
	}
	return err
}
