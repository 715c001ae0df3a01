package cli

import (
	"context"
	"fmt"

	"btcwatch/chain"
	"btcwatch/sql"
)

type historyCommand struct {
	Address string `arg:"" help:"A watched address."`
	JSON    bool   `name:"json" help:"One JSON object a line."`
}

// Run lists what is recorded of an address.
func (c *historyCommand) Run(s *session) error {
	config, err := s.config()
	if err != nil {
		return err
	}
	address, err := chain.ParseAddress(c.Address, config.Network)
	if err != nil {
		return wrongUse{err.Error()}
	}
	return s.withStore(config, func(ctx context.Context, store *sql.Store) error {
		watched, ok, err := store.WatchedAddress(ctx, address)
		if err != nil {
			return err
		}
		if !ok {
			if line, kept := keptAt(config, address); kept {
				return fmt.Errorf("%s is in %s:%d and not recorded yet: btcwatch run takes it up", address.Text, config.File, line)
			}
			return fmt.Errorf("%s is not watched, so nothing is known of it here: to watch it: btcwatch watch add %[1]s --title TITLE --basis BASIS, or with --no-source", address.Text)
		}
		rows, err := store.History(ctx, address.Text)
		if err != nil {
			return err
		}
		s.qualify(watched, len(rows))
		if err := s.unseen(ctx, store, address, watched); err != nil {
			return err
		}
		if c.JSON {
			return printJSON(s.Out, rows...)
		}
		if len(rows) == 0 {
			return nil
		}
		return paymentTable(rows).print(s.Terminal)
	})
}

// qualify says what the list leaves open: an empty one must not read as "none".
func (s *session) qualify(watched sql.WatchedRow, count int) {
	if watched.RetiredAt != nil {
		s.say("%s is retired since %s UTC; later payments are not recorded.", watched.Address, minute(watched.RetiredAt))
	}
	switch {
	case watched.HistoryRead && count > 0:
		s.say("What is older than the watch is what explorers show: a payment of that time may be proven, but not that there were no others.")
	case !watched.HistoryRead:
		s.say("The history of %s before the watch has not been read to the end: this is not all of it.", watched.Address)
	case count == 0:
		s.say("No transaction of %s is recorded. Its history was read, as far as an explorer shows it.", watched.Address)
	}
}

// unseen says what the configuration leaves out.
func (s *session) unseen(ctx context.Context, store *sql.Store, address chain.Address, watched sql.WatchedRow) error {
	why, err := store.Unasked(ctx, address)
	if err != nil || why == "" {
		return err
	}
	s.say("No explorer is asked about %s (%s): unconfirmed payments are not seen in this mode.", address.Text, why)
	if !watched.HistoryRead {
		s.say("Nor is what was before the watch: spends of money from then may be missed, and the balance is not known.")
	}
	return nil
}

func paymentTable(rows []sql.PaymentRow) *table {
	t := &table{columns: []column{
		{name: "TIME (UTC)"}, {name: "IN/OUT", paint: directionColour}, {name: "AMOUNT BTC", right: true}, {name: "STATE"},
		{name: "CONF", right: true}, {name: "BLOCK", right: true}, {name: "GRADE"}, {name: "TRANSACTION", below: true},
	}}
	for _, row := range rows {
		at := row.BlockTime
		if at == nil {
			at = row.FirstSeenAt
		}
		block := ""
		if row.BlockHeight != nil {
			block = grouped(int64(*row.BlockHeight))
		}
		t.add(minute(at), row.Direction, known(row.AmountSat), row.State, grouped(int64(row.Confirmations)), block, row.Proof, row.TxID)
	}
	return t
}

func directionColour(text string) colour {
	switch text {
	case "in":
		return green
	case "out":
		return red
	}
	return ordinary
}
