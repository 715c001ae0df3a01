package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// old is a world whose address was paid long before the watch: by the coinbase
// of block 5, by payments in blocks 112 and 118, and by one in block 130 that was
// covered before the address was listed. It is listed in block 133, after a
// spend of the payment in block 118, in block 132.
type old struct {
	*world
	ledger *chaintest.Chain
	wallet *chaintest.Wallet
	a      chain.Address

	payments map[int32]*wire.MsgTx // by height
}

const (
	oldStart  = 125 // the first block covered
	oldJoined = 133
)

// newOld makes it and lets it cover the chain; prepare is called before the
// address is listed.
func newOld(t *testing.T, prepare func(*old)) *old {
	t.Parallel()
	o := &old{ledger: chaintest.NewChain(), payments: map[int32]*wire.MsgTx{}}
	o.ledger.Time = chainTime()
	o.wallet = chaintest.NewWallet(o.ledger, "")
	o.a = o.wallet.Address(chain.P2WPKH, 1)
	others := o.ledger.CoinbaseScript
	o.ledger.MineEmpty(4)
	o.ledger.CoinbaseScript = o.a.Script
	o.payments[5] = o.ledger.Mine().Transactions[0]
	o.ledger.CoinbaseScript = others
	o.ledger.MineEmpty(106)
	o.world = newWorld(t, o.ledger)
	o.config.Start = Start{Height: oldStart}
	o.watch(o.wallet.Address(chain.P2TR, 7), "another address")
	o.pay(112, 70_000)
	o.pay(118, 50_000)
	o.mineTo(127)
	o.start()
	o.covered(127)
	o.pay(130, 30_000)
	o.mineTo(131)
	spend := must(o.wallet.Build(t.Context(), chaintest.Payment{
		Outputs: []chaintest.Output{{Script: o.wallet.Address(chain.P2TR, 9).Script, Value: 20_000}},
		Spend:   outpoints(o.payments[118], o.a.Script), Fee: 1_000,
	}))
	o.ledger.Mine(spend)
	o.payments[132] = spend
	o.mineTo(oldJoined)
	o.covered(oldJoined)
	o.stop()
	o.watch(o.a, "label")
	prepare(o)
	o.start()
	return o
}

func chainTime() func(int32) time.Time {
	began := time.Now().Add(-24 * time.Hour)
	return func(height int32) time.Time { return began.Add(time.Duration(height) * time.Minute) }
}

func (o *old) mineTo(height int32) {
	tip, _ := o.ledger.Tip()
	o.ledger.MineEmpty(int(height - tip))
}

// pay puts a payment to the address into the block at a height.
func (o *old) pay(height int32, amount int64) {
	o.mineTo(height - 1)
	o.payments[height] = must(o.wallet.Build(o.t.Context(), chaintest.Payment{Outputs: []chaintest.Output{{Script: o.a.Script, Value: amount}}}))
	o.ledger.Mine(o.payments[height])
}

// proven waits until all is, and holds it against the chain.
func (o *old) proven() {
	o.t.Helper()
	o.await("5", `SELECT count(*) FROM report.transactions WHERE address = $1 AND state = 'confirmed' AND proof = 'proven'`, o.a.Text)
	o.await("true", `SELECT history_known FROM report.balances WHERE address = $1`, o.a.Text)
	m := replay(o.t, o.ledger, oldJoined, o.a, o.wallet.Address(chain.P2TR, 7))
	o.compare(m)
	o.expect("0", `SELECT count(*) FROM report.alerts WHERE type LIKE 'transaction.%'`)
	o.checkDelivered()
}

// TestThePastIsProven: every payment from before the watch is raised to proven,
// of covered blocks and of blocks far below the start, the headers of which come
// in the background, and nobody is told of it.
func TestThePastIsProven(t *testing.T) {
	o := newOld(t, func(*old) {})
	o.proven()
	o.expect("5 112 118", `SELECT string_agg(height::text, ' ' ORDER BY height) FROM btcwatch.past_branch`)
	o.expect("2", `SELECT count(*) FROM btcwatch.placement p JOIN btcwatch.touch u ON u.tx_id = p.tx_id WHERE u.historic`)
	o.expect("5", `SELECT min(height) FROM btcwatch.ancestor`)
	o.awaitLog("headers to prove the past")
	o.expect("reported", `SELECT grade FROM report.coverage WHERE address = $1 AND to_height = 133`, o.a.Text)
	for _, s := range o.servers {
		if n := s.Faults.Count("/block/*/raw"); n > 20 {
			t.Errorf("%d blocks were asked for", n)
		}
	}
}

// TestThePastIsProvenByBlocks: an explorer without Merkle proofs gives the block.
func TestThePastIsProvenByBlocks(t *testing.T) {
	newOld(t, func(o *old) {
		o.both("/tx/*/merkle-proof", chaintest.Fault{Status: http.StatusNotFound, Body: []byte("endpoint does not exist")})
	}).proven()
}

// TestHeadersForThePastSurviveARestart: what came is not asked for again.
func TestHeadersForThePastSurviveARestart(t *testing.T) {
	o := newOld(t, func(o *old) { o.both("/blocks/5*", chaintest.Fault{Status: http.StatusServiceUnavailable}) })
	o.await("4", `SELECT count(*) FROM report.transactions WHERE address = $1 AND proof = 'proven'`, o.a.Text)
	o.await("true", `SELECT min(height) < 65 FROM btcwatch.ancestor`)
	o.stop()
	asked := func() (n int) {
		for _, s := range o.servers {
			n += s.Faults.Count("/blocks/6*") + s.Faults.Count("/blocks/7*") + s.Faults.Count("/blocks/8*") + s.Faults.Count("/blocks/9*") + s.Faults.Count("/blocks/1??")
		}
		return n
	}
	before := asked()
	o.clear()
	o.start()
	o.proven()
	if after := asked(); after != before {
		t.Errorf("headers that are known were asked for again, %d times", after-before)
	}
}

// rewriteProofs changes the Merkle proofs of one explorer.
func (o *old) rewriteProofs(change func(proof map[string]any, path string)) {
	o.servers[0].Faults.Set("/tx/*/merkle-proof", chaintest.Fault{Rewrite: func(path string, body []byte) []byte {
		var proof map[string]any
		if json.Unmarshal(body, &proof) != nil {
			return body
		}
		change(proof, path)
		return must(json.Marshal(proof))
	}})
}

// TestFalseProofs: an explorer that gives a false proof is named, and the truth
// is proven by another.
func TestFalseProofs(t *testing.T) {
	for name, change := range map[string]func(o *old, proof map[string]any, path string){
		"a sibling of its own": func(_ *old, proof map[string]any, _ string) {
			if siblings := proof["merkle"].([]any); len(siblings) > 0 {
				siblings[0] = strings.Repeat("ab", 32)
			}
		},
		"another place": func(_ *old, proof map[string]any, _ string) { proof["pos"] = proof["pos"].(float64) + 1 },
		"a coinbase deeper": func(o *old, proof map[string]any, path string) {
			if proof["pos"].(float64) == 0 {
				proof["merkle"] = append(proof["merkle"].([]any), strings.Repeat("cd", 32))
			}
		},
		"the proof of another transaction": func(o *old, proof map[string]any, path string) {
			if proof["pos"].(float64) > 0 {
				proof["merkle"] = append([]any{strings.Repeat("12", 32)}, proof["merkle"].([]any)...)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOld(t, func(o *old) {
				o.rewriteProofs(func(proof map[string]any, path string) { change(o, proof, path) })
			})
			o.awaitLog(`"explorer said what is not true" explorer=one`)
			o.proven()
			o.expect("ok", `SELECT state FROM report.explorers WHERE name = 'two'`)
			// The coinbase of block 5 stands alone: there is nothing to change about its proof but its place.
			o.expect("two", `SELECT string_agg(DISTINCT e.name, ' ') FROM btcwatch.past_branch p JOIN btcwatch.explorer e ON e.id = p.explorer_id WHERE p.height > 5`)
		})
	}
}

// TestAFalsePlaceInThePast: an explorer places payments in other blocks than
// those that hold them, where the header is known when it says so, and where it
// comes to be known. It is named and they are proven where they are.
func TestAFalsePlaceInThePast(t *testing.T) {
	for _, from := range []int32{5, 112, 130} {
		for _, kind := range []string{"the next block", "a block that is none"} {
			t.Run(fmt.Sprint("of block ", from, ": ", kind), func(t *testing.T) {
				o := newOld(t, func(o *old) {
					truth, lie := o.ledger.BlockAt(from).BlockHash().String(), strings.Repeat("ab", 32)
					height := from
					if kind == "the next block" {
						height, lie = from+1, o.ledger.BlockAt(from+1).BlockHash().String()
					}
					swap := chaintest.Fault{Rewrite: func(_ string, body []byte) []byte {
						text := strings.ReplaceAll(string(body), fmt.Sprintf(`"block_height":%d,`, from), fmt.Sprintf(`"block_height":%d,`, height))
						return []byte(strings.ReplaceAll(text, truth, lie))
					}}
					o.servers[0].Faults.Set("/address/**", swap)
					o.servers[0].Faults.Set("/tx/**", swap)
					o.servers[1].Faults.Set("/address/**", chaintest.Fault{Status: http.StatusServiceUnavailable})
				})
				if kind == "a block that is none" && from != 5 { // the header is known, so that it is not even recorded
					o.awaitLog("in blocks that are not on the chain followed")
				} else {
					o.awaitLog(`"explorer said what is not true" explorer=one`)
				}
				o.servers[1].Faults.ClearAll()
				o.proven()
			})
		}
	}
}

// TestAFalseAmountInThePast: an explorer states another amount for what a
// payment spent. The transaction that made it says what is true.
func TestAFalseAmountInThePast(t *testing.T) {
	o := newOld(t, func(o *old) {
		spent := o.payments[118].TxHash().String()
		o.servers[1].Faults.Set("/address/**", chaintest.Fault{Status: http.StatusServiceUnavailable})
		o.servers[0].Faults.Set("/address/**", chaintest.Fault{Drop: spent, Rewrite: func(_ string, body []byte) []byte {
			return []byte(strings.ReplaceAll(string(body), `"value":50000}`, `"value":90000}`))
		}})
	})
	o.await("50000", `SELECT amount_sat FROM report.movements WHERE address = $1 AND direction = 'out'`, o.a.Text)
	o.awaitLog("another script or amount")
	o.clear()
	o.proven()
}

// TestAReorgOfThePast: a covered block with a payment from before the watch
// leaves the chain, and the payment is proven again where it comes to stand.
func TestAReorgOfThePast(t *testing.T) {
	o := newOld(t, func(*old) {})
	o.proven()
	o.ledger.Reorg(4) // 130 to 133
	o.ledger.Mine(o.payments[130], o.payments[132])
	o.caughtUp(o.ledger)
	tip, _ := o.ledger.Tip()
	o.await(fmt.Sprint(tip, " ", tip), `SELECT string_agg(block_height::text, ' ') FROM report.transactions WHERE address = $1 AND block_height > 125 AND proof = 'proven'`, o.a.Text)
	o.await("5", `SELECT count(*) FROM report.transactions WHERE address = $1 AND proof = 'proven'`, o.a.Text)
}

// TestARevealedSpendIsProven: what a spend revealed of an address is told at
// once, and becomes exact when an explorer gives the transaction that it spends
// from, though none gives the history of the address.
func TestARevealedSpendIsProven(t *testing.T) {
	w, spend := spendOld(t, chain.P2WPKH, func(w *world) {
		w.both("/address/**", chaintest.Fault{Status: 503})
		w.both("/tx/**", chaintest.Fault{Status: 503})
	})
	told := w.awaitDelivered(alerts.TransactionConfirmed, 1)[0].Data
	if told.TxID != spend.TxHash().String() || !told.Revealed || told.AmountSat != nil {
		t.Errorf("the spend says %+v", told)
	}
	for _, s := range w.servers {
		s.Faults.Clear("/tx/**")
	}
	w.await("out 60000 proven", `SELECT concat_ws(' ', direction, amount_sat, proof) FROM report.transactions WHERE txid = $1`, spend.TxHash().String())
	w.expect("", `SELECT balance_sat FROM report.balances`)
	w.expect("1", `SELECT count(*) FROM report.alerts WHERE type LIKE 'transaction.%'`)
}

// TestAProofThatCannotBeRecorded does not hold up the others.
func TestAProofThatCannotBeRecorded(t *testing.T) {
	o := newOld(t, func(o *old) {
		o.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$`)
		o.exec(`CREATE TRIGGER refuse BEFORE INSERT ON btcwatch.past_branch FOR EACH ROW WHEN (NEW.height = 118) EXECUTE FUNCTION refuse()`)
	})
	o.await("5 112", `SELECT string_agg(height::text, ' ' ORDER BY height) FROM btcwatch.past_branch`)
	o.exec(`DROP TRIGGER refuse ON btcwatch.past_branch`)
	o.proven()
}
