package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/sql"
)

// FiatSettings is the [fiat] table.
type FiatSettings struct {
	Currency chain.Currency // in which amounts are told too; the zero value: in none
	Every    time.Duration  // how often explorers are asked what a bitcoin is worth
	MaxAge   time.Duration  // how far from a payment a rate may be
	CSV      string         // a table of rates of one's own; empty: none
	Table    []sql.Rate     // what it holds
}

// withDays is the age from which rates of noon UTC are of use for a payment at
// any time of the day.
const withDays = 12 * time.Hour

func (l *loader) fiat(s *section) {
	defer s.finish()
	set := &l.config.Fiat
	code := s.text("currency", "")
	set.Every = s.duration("every", 10*time.Minute, time.Minute, 24*time.Hour)
	set.MaxAge = s.duration("max_age", time.Hour, time.Minute, 48*time.Hour)
	set.CSV = s.text("csv", "")
	if code == "" {
		if set.CSV != "" {
			s.fault("csv", `is not read while currency is empty; write the currency of the table, such as "EUR"`)
		}
		return
	}
	currency, err := chain.ParseCurrency(code)
	switch {
	case err != nil:
		s.fault("currency", "%s", err)
		return
	case l.config.Network.Net != chaincfg.MainNetParams.Net:
		s.fault("currency", "coins of %s have no value; leave it empty", chain.NetworkName(l.config.Network))
		return
	}
	set.Currency = currency
	if set.CSV == "" && set.Every > set.MaxAge {
		s.fault("every", "%s is longer than max_age, %s, so that there would often be no rate near a payment; ask more often, or let a rate be further away",
			plain(set.Every), plain(set.MaxAge))
	}
	if set.CSV != "" {
		l.fiatTable(s, set)
	}
}

func (l *loader) fiatTable(s *section, set *FiatSettings) {
	f, err := os.Open(set.CSV)
	if err != nil {
		var what *fs.PathError
		if errors.As(err, &what) {
			err = what.Err
		}
		s.fault("csv", "%s cannot be read: %s; check the path and who may read it", set.CSV, err)
		return
	}
	defer f.Close()
	table, faults := readRates(f, set.Currency)
	for _, fault := range faults {
		s.fault("csv", "%s", fmt.Sprintf("%s %s", set.CSV, fault))
	}
	set.Table = table
}

// checkFiat finds that nobody could say what a bitcoin is worth.
func checkFiat(c *Config, faults *Faults, opened []*explorer.Explorer) {
	if c.Fiat.Currency.Code == "" || c.Fiat.CSV != "" || len(opened) < len(c.Explorers) {
		return
	}
	for _, e := range opened {
		if e.Prices != nil {
			return
		}
	}
	faults.Add(c.Line("fiat.currency"), "fiat.currency", "no explorer is of a kind that knows prices; add mempool.space or a blockbook, or a table of your own with csv")
}
