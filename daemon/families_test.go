package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql/sqltest"
)

// standIn is a server of any kind over a source.
type standIn interface {
	http.Handler
	Serve() (url string, stop func())
}

// explorerOf adds an explorer of a kind, and gives the faults before it.
func (w *world) explorerOf(kind string, source chaintest.Source) *chaintest.Faults {
	w.t.Helper()
	var server standIn
	var faults *chaintest.Faults
	switch kind {
	case "blockbook":
		s := chaintest.NewBlockbook(source, w.config.Network)
		server, faults = s, s.Faults
	case "blockchaininfo":
		s := chaintest.NewBlockchainInfo(source, w.config.Network)
		s.Trims = true
		server, faults = s, s.Faults
	default:
		s := chaintest.NewEsplora(source, w.config.Network)
		server, faults = s, s.Faults
	}
	url, stop := server.Serve()
	w.t.Cleanup(stop)
	name := fmt.Sprint(kind, len(w.config.Explorers)+1)
	w.config.Explorers = append(w.config.Explorers, explorer.Settings{
		Name: name, Kind: kind, URL: url, Operator: "operator " + name, Timeout: 5 * time.Second})
	return faults
}

// TestKindsOfExplorers: whichever kinds tell of it, together or two of one, what is
// recorded is what the chain says: history from before the watch, payments in
// and out, unconfirmed and confirmed, a reorganisation; and a payment to the
// bare key of a watched address, which some kinds list, is none to the address.
func TestKindsOfExplorers(t *testing.T) {
	t.Parallel()
	for _, kinds := range []string{"esplora blockbook blockchaininfo", "blockbook blockbook", "blockchaininfo blockchaininfo"} {
		t.Run(kinds, func(t *testing.T) {
			t.Parallel()
			ledger, wallet := newLedger()
			a, b := wallet.Address(chain.P2WPKH, 1), wallet.Address(chain.P2PKH, 2)
			pay := func(outputs ...chaintest.Output) { must(wallet.Pay(t.Context(), outputs...)) }
			ledger.History(a.Script, 70)
			for range 2 {
				pay(chaintest.Output{Script: b.Script, Value: 41_000}, chaintest.Output{Script: wallet.BareKey(2), Value: 1_234})
				ledger.MineMempool()
			}
			pay(chaintest.Output{Script: wallet.BareKey(2), Value: 9_876}) // listed by some, of no address
			ledger.MineMempool()
			early := must(wallet.Pay(t.Context(), chaintest.Output{Script: b.Script, Value: 55_000}))
			ledger.MineMempool()
			must(wallet.Send(t.Context(), chaintest.Payment{Spend: outpoints(early, b.Script), NoChange: true,
				Outputs: []chaintest.Output{{Script: wallet.Address(chain.P2TR, 9).Script, Value: 54_000}}}))
			ledger.MineMempool()
			joined, _ := ledger.Tip()
			ledger.MineEmpty(1)

			w := newWorldOver(t, sqltest.Migrated(t))
			w.headerless = kinds == "blockchaininfo blockchaininfo"
			agrees := func() {
				t.Helper()
				m := replay(t, ledger, joined, a, b)
				if w.headerless {
					m.reportedPast()
				}
				w.compare(m)
			}
			var all []*chaintest.Faults
			for kind := range strings.FieldsSeq(kinds) {
				all = append(all, w.explorerOf(kind, ledger))
			}
			for _, sight := range Look(t.Context(), w.config, "test", nil, nil) {
				if sight.Err != nil || sight.Tip != joined+1 {
					t.Errorf("check sees %s at %d, %v", sight.Explorer.Name, sight.Tip, sight.Err)
				}
			}
			w.watch(a, "label")
			w.watch(b, "another")
			w.began(ledger)
			w.await("74", `SELECT sum(tx_count) FROM report.balances`)
			agrees()

			paid := must(wallet.Pay(t.Context(), chaintest.Output{Script: a.Script, Value: 30_000}, chaintest.Output{Script: wallet.BareKey(2), Value: 4_321}))
			w.word(alerts.TransactionSeen, paid, a)
			ledger.MineMempool()
			w.word(alerts.TransactionConfirmed, paid, a)
			all[0].SetDown(true) // the others are enough
			spend := must(wallet.Send(t.Context(), chaintest.Payment{Spend: outpoints(paid, a.Script), NoChange: true,
				Outputs: []chaintest.Output{{Script: b.Script, Value: 29_000}}}))
			w.word(alerts.TransactionSeen, spend, a)
			ledger.MineMempool()
			w.word(alerts.TransactionConfirmed, spend, b)
			ledger.Reorg(1)
			w.word(alerts.TransactionReorged, spend, b)
			w.caughtUp(ledger)
			ledger.MineMempool()
			w.caughtUp(ledger)
			pending := must(wallet.Pay(t.Context(), chaintest.Output{Script: b.Script, Value: 7_000}))
			w.word(alerts.TransactionSeen, pending, b)
			agrees()
			w.checkDelivered()
			w.expect("0", `SELECT count(*) FROM report.explorers WHERE state = 'lying'`)
		})
	}
}
