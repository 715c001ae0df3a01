package chain_test

import (
	"slices"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// Every kind that reveals itself is found by what a signed spend of it shows;
// the node of btcd's wallets signs, and the kind's own script is expected.
func TestSpendsRevealTheirScript(t *testing.T) {
	ledger := chaintest.NewChain()
	ledger.CoinbaseScript = chaintest.MiningAddress("").Script
	ledger.MineEmpty(120)
	wallet := chaintest.NewWallet(ledger, "")
	for _, kind := range []chain.Kind{chain.P2PKH, chain.P2SH, chain.P2WPKH, chain.P2WSH, chain.P2TR} {
		t.Run(string(kind), func(t *testing.T) {
			from := wallet.Address(kind, 7)
			paid, err := wallet.Pay(t.Context(), chaintest.Output{Script: from.Script, Value: 100_000})
			if err != nil {
				t.Fatal(err)
			}
			spend, err := wallet.Send(t.Context(), chaintest.Payment{
				Outputs: []chaintest.Output{{Script: wallet.Address(chain.P2WPKH, 8).Script, Value: 50_000}},
				Spend:   []wire.OutPoint{{Hash: paid.TxHash(), Index: 0}},
			})
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(chain.Reveals(spend.TxIn[0]), func(s []byte) bool { return string(s) == string(from.Script) })
			if want := kind != chain.P2TR; found != want {
				t.Errorf("revealed: %v, want %v", found, want)
			}
		})
	}
}

// What an attacker may put into an input neither panics nor costs a hit.
func FuzzReveals(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add([]byte{0x21, 2}, []byte{2}, []byte{0, 1})
	f.Fuzz(func(t *testing.T, script, first, second []byte) {
		for _, s := range chain.Reveals(&wire.TxIn{SignatureScript: script, Witness: wire.TxWitness{first, second}}) {
			if n := len(s); n != 22 && n != 23 && n != 25 && n != 34 {
				t.Errorf("a script of %d bytes", n)
			}
		}
	})
}
