package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/sql"
	"btcwatch/watchlist"
)

// TestRulesTest: what is recorded is judged by the rules of the configuration,
// and said by rule: matches, sums and windows are those of the chain that was made.
func TestRulesTest(t *testing.T) {
	c, store, file := followed(t)
	wallet := chaintest.NewWallet(c, "")
	a, own := wallet.Address(chain.P2WPKH, 1), wallet.Address(chain.P2WPKH, 2)
	for _, l := range []watchlist.Listing{{Address: a, List: "command", Basis: watchlist.Press}, {Address: own, List: "command", Basis: watchlist.Own}} {
		if _, err := store.Watch(t.Context(), l, "tester"); err != nil {
			t.Fatal(err)
		}
	}
	var txs []*chain.Transaction
	pay := func(height int32, to chain.Address, amount int64) {
		msg := wire.NewMsgTx(2)
		msg.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: [32]byte{7, byte(len(txs))}}, nil, nil))
		msg.AddTxOut(wire.NewTxOut(amount, to.Script))
		block := c.BlockAt(height)
		txs = append(txs, &chain.Transaction{ID: msg.TxHash(), Msg: msg, Spent: make([]*wire.TxOut, 1),
			Place: &chain.Place{Height: height, Block: block.BlockHash(), Time: block.Header.Timestamp.UTC(), Index: -1}})
	}
	for height := int32(6); height < 12; height++ { // ten minutes apart
		pay(height, a, int64(height)*10_000)
	}
	pay(13, a, 900)
	pay(14, own, 500_000)
	paid := txs[len(txs)-1]
	pay(15, a, 400_000) // by the own address
	met := txs[len(txs)-1]
	met.Msg.TxIn[0].PreviousOutPoint = wire.OutPoint{Hash: paid.ID}
	met.ID, met.Spent = met.Msg.TxHash(), []*wire.TxOut{paid.Msg.TxOut[0]}
	leading(t, store, func(w *sql.Writer) error {
		_, err := w.Record(t.Context(), "a", txs)
		return err
	})
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	run := func(rules string, args ...string) (code int, out, said string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(string(text)+rules), 0o600); err != nil {
			t.Fatal(err)
		}
		p := sit("")
		code = p.types(append([]string{"--config", file, "rules", "test"}, args...)...)
		return code, p.out.String(), p.err.String()
	}
	const rules = "[rules.large]\nseverity = \"severe\"\nmin_sat = 100_000\n[rules.often]\nseverity = \"high\"\nover = \"20m\"\ncount = 3\n"
	code, out, said := run(rules, "--json")
	got := map[string]struct {
		Severity, Kind string
		Alerts, SumSat int64 `json:"-"`
		A              int64 `json:"alerts"`
		S              int64 `json:"sum_sat"`
		FirstAt        *time.Time
	}{}
	for line := range strings.Lines(out) {
		var v struct {
			Rule, Severity, Kind string
			Alerts               int64
			SumSat               int64 `json:"sum_sat"`
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		one := got[v.Rule]
		one.Severity, one.Kind, one.A, one.S = v.Severity, v.Kind, v.Alerts, v.SumSat
		got[v.Rule] = one
	}
	for rule, want := range map[string]string{
		"money-in":          "medium payment 7 910000", // 60 to 110 thousand, and what the own address paid
		"dust":              "info payment 1 900",
		"large":             "severe payment 3 610000",
		"often":             "high window 2 510000", // 60, 70, 80, and 90, 100, 110
		"money-out":         "high payment 0 0",
		"own-meets-listing": "severe payment 1 400000",
	} {
		v := got[rule]
		if s := fmt.Sprint(v.Severity, " ", v.Kind, " ", v.A, " ", v.S); code != 0 || s != want {
			t.Errorf("exit %d, %s: %s, want %s\n%s", code, rule, s, want, said)
		}
	}
	code, out, said = run(rules)
	if code != 0 || !strings.Contains(out, "often") || !strings.Contains(out, "0.00510000") ||
		!strings.Contains(said, "10 payments from") || !strings.Contains(said, "told: 3 severe, 4 medium; in the daily report only: 1; of own addresses, told only by the listed ones that they met: 2") {
		t.Errorf("exit %d\n%s\n%s", code, out, said)
	}
	if code, _, said := run(rules, "--rule", "oftn"); code != 2 || !strings.Contains(said, `no such rule`) || !strings.Contains(said, "often") {
		t.Errorf("exit %d: %s", code, said)
	}
	from := c.BlockAt(9).Header.Timestamp.UTC().Format(time.RFC3339)
	if code, out, _ := run(rules, "--rule", "large", "--json", "--to", from); code != 0 || !strings.Contains(out, `"alerts":0`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, _, said := run("", "--from", "2030-01-01"); code != 0 || !strings.Contains(said, "No payment of that time is recorded") || !strings.Contains(said, "has no [rules.NAME]") {
		t.Errorf("exit %d: %s", code, said)
	}
}
