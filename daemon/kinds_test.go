package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/explorer"
	"btcwatch/sql/sqltest"
)

// Three explorers of different kinds over one real btcd, which is the third of
// them itself: blocks come from who gives them, payments from who knows
// addresses, and when the only Esplora is gone the others carry on.
func TestEsploraElectrumAndNodeOverOneBtcd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts btcd")
	}
	node := must(chaintest.StartNode(t.Context(), chaintest.NodeOptions{}))
	t.Cleanup(node.Stop)
	wallet := chaintest.NewWallet(node, "")
	must(node.Generate(t.Context(), 110))
	watched := wallet.Address(chain.P2WPKH, 1)
	before := must(wallet.Pay(t.Context(), chaintest.Output{Script: watched.Script, Value: 30_000}))
	must(node.Generate(t.Context(), 2))

	w := newWorldOver(t, sqltest.Migrated(t), node)
	electrum := chaintest.NewElectrum(node, w.config.Network)
	url, stop := electrum.Serve()
	t.Cleanup(stop)
	address, user, password := node.RPC()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	w.config.Explorers = append(w.config.Explorers,
		explorer.Settings{Name: "electrum", Kind: "electrum", URL: url, Operator: "operator electrum", Timeout: 5 * time.Second},
		explorer.Settings{Name: "node", Kind: "node", URL: address, Operator: "ourselves", User: user, PasswordFile: secret, Timeout: 5 * time.Second})
	for _, sight := range Look(t.Context(), w.config, "test", nil, nil) {
		if sight.Err != nil || sight.Tip != 112 {
			t.Errorf("check sees %s at %d, %v", sight.Explorer.Name, sight.Tip, sight.Err)
		}
	}
	w.watch(watched, "the watched one")
	w.began(node)
	w.await("111", `SELECT block_height FROM report.transactions WHERE txid = $1`, before.TxHash().String())

	// One payment that all three see.
	first := must(wallet.Pay(t.Context(), chaintest.Output{Script: watched.Script, Value: 50_000}))
	w.await("unconfirmed", `SELECT state FROM report.transactions WHERE txid = $1`, first.TxHash().String())
	must(node.Generate(t.Context(), 1))
	w.await("proven", `SELECT proof FROM report.transactions WHERE txid = $1 AND state = 'confirmed'`, first.TxHash().String())

	// Without Esplora blocks come from the node, and what is unconfirmed from the
	// Electrum server.
	w.servers[0].Faults.SetDown(true)
	second := must(wallet.Pay(t.Context(), chaintest.Output{Script: watched.Script, Value: 70_000}))
	w.await("electrum", `SELECT first_seen_by FROM report.transactions WHERE txid = $1 AND state = 'unconfirmed'`, second.TxHash().String())
	must(node.Generate(t.Context(), 1))
	w.await("proven", `SELECT proof FROM report.transactions WHERE txid = $1 AND state = 'confirmed'`, second.TxHash().String())
	w.caughtUp(node)
	w.expect("150000", `SELECT balance_sat FROM report.balances WHERE address = $1`, watched.Text)
	w.expect("0", `SELECT count(*) FROM report.explorers WHERE name IN ('electrum', 'node') AND state <> 'ok'`)
}

// A configuration without anybody who gives blocks is refused.
func TestSomebodyHasToGiveBlocks(t *testing.T) {
	c := &Config{Network: must(chain.Network("regtest")), Explorers: []explorer.Settings{
		{Name: "one", Kind: "electrum", URL: "ssl://one.example:50002"}, {Name: "two", Kind: "electrum", URL: "ssl://two.example:50002"}}}
	faults := &Faults{}
	CheckExplorers(c, faults)
	if err := faults.Err(); err == nil || !strings.Contains(err.Error(), "none of them gives blocks") {
		t.Errorf("%v", err)
	}
	c.Explorers = append(c.Explorers, explorer.Settings{Name: "three", Kind: "node", URL: "http://127.0.0.1:8332"})
	faults = &Faults{}
	if CheckExplorers(c, faults); errors.Join(faults.Err()) != nil {
		t.Error(faults.Err())
	}
}
