package explorer

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
)

// samples are transactions of every shape that matters to the reader.
func samples() map[string]*chain.Transaction {
	witness := payment(700)
	witness.Msg.TxIn[0].Witness = wire.TxWitness{{}, {1, 2, 3}, bytes.Repeat([]byte{9}, 300)}
	odd := payment(800)
	odd.Msg.Version = -7 // printed as 4294967289
	odd.Msg.LockTime = 0xffffffff
	odd.ID = odd.Msg.TxHash()
	genesis := chaincfg.MainNetParams.GenesisBlock.Transactions[0]
	coinbase := confirmed(&chain.Transaction{ID: genesis.TxHash(), Msg: genesis, Spent: []*wire.TxOut{nil}}, 0)
	two := payment(900)
	two.Msg.AddTxIn(&wire.TxIn{Sequence: 1})
	two.Msg.AddTxOut(&wire.TxOut{Value: 0, PkScript: []byte{0x6a}})
	two.Spent = append(two.Spent, nil) // nobody said what the second input spends
	two.ID = two.Msg.TxHash()
	return map[string]*chain.Transaction{"plain": payment(600), "confirmed": confirmed(payment(600), 9), "witness": witness,
		"odd numbers": odd, "coinbase": coinbase, "an unresolved input": two}
}

func TestTransactionsComeThroughWhole(t *testing.T) {
	for name, want := range samples() {
		got, err := readJSON(asJSON(stated(want)), readTransaction)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.ID != want.ID || !bytes.Equal(serialized(got.Msg), serialized(want.Msg)) {
			t.Errorf("%s: came as another transaction", name)
		}
		for i, spent := range want.Spent {
			if (spent == nil) != (got.Spent[i] == nil) || spent != nil && (spent.Value != got.Spent[i].Value || !bytes.Equal(spent.PkScript, got.Spent[i].PkScript)) {
				t.Errorf("%s: input %d spends %v, want %v", name, i, got.Spent[i], spent)
			}
		}
		if (got.Place == nil) != (want.Place == nil) || got.Place != nil && *got.Place != *want.Place {
			t.Errorf("%s: stands at %v, want %v", name, got.Place, want.Place)
		}
	}
}

func serialized(msg *wire.MsgTx) []byte {
	var buffer bytes.Buffer
	if err := msg.Serialize(&buffer); err != nil {
		panic(err)
	}
	return buffer.Bytes()
}

// What the txid does not show: the witness, previous outputs, states.
func TestStatementsThatContradictThemselves(t *testing.T) {
	at := func(v any, path ...any) map[string]any {
		for _, step := range path {
			if i, ok := step.(int); ok {
				v = v.([]any)[i]
			} else {
				v = v.(map[string]any)[step.(string)]
			}
		}
		return v.(map[string]any)
	}
	for name, c := range map[string]struct {
		of    string
		spoil func(tx map[string]any)
		kind  error
	}{
		"witness left out":  {"witness", func(tx map[string]any) { delete(at(tx, "vin", 0), "witness") }, ErrMalformed},
		"witness null":      {"witness", func(tx map[string]any) { at(tx, "vin", 0)["witness"] = nil }, ErrMalformed},
		"witness shortened": {"witness", func(tx map[string]any) { at(tx, "vin", 0)["witness"] = []any{"", "010203"} }, ErrMalformed},
		"witness made up":   {"plain", func(tx map[string]any) { at(tx, "vin", 0)["witness"] = []any{"01"} }, ErrMalformed},
		"witness not hex":   {"witness", func(tx map[string]any) { at(tx, "vin", 0)["witness"] = []any{"0x01"} }, ErrMalformed},
		"size wrong":        {"plain", func(tx map[string]any) { tx["size"] = 100 }, ErrMalformed},
		"weight wrong":      {"plain", func(tx map[string]any) { tx["weight"] = 100 }, ErrMalformed},
		"no inputs":         {"plain", func(tx map[string]any) { tx["vin"] = []any{} }, ErrMalformed},
		"no outputs":        {"plain", func(tx map[string]any) { tx["vout"] = []any{} }, ErrMalformed},
		"output changed":    {"plain", func(tx map[string]any) { at(tx, "vout", 0)["value"] = 599 }, ErrLying},
		"script changed":    {"plain", func(tx map[string]any) { at(tx, "vout", 0)["scriptpubkey"] = "51" }, ErrLying},
		"input changed":     {"plain", func(tx map[string]any) { at(tx, "vin", 0)["vout"] = 4 }, ErrLying},
		"sequence changed":  {"plain", func(tx map[string]any) { at(tx, "vin", 0)["sequence"] = 4 }, ErrLying},
		"locktime changed":  {"plain", func(tx map[string]any) { tx["locktime"] = 1 }, ErrLying},
		"version changed":   {"plain", func(tx map[string]any) { tx["version"] = 1 }, ErrLying},
		"version too large": {"plain", func(tx map[string]any) { tx["version"] = 1 << 32 }, ErrMalformed},
		"spends too little": {"plain", func(tx map[string]any) { at(tx, "vin", 0, "prevout")["value"] = 599 }, ErrLying},
		"spends too much":   {"plain", func(tx map[string]any) { at(tx, "vin", 0, "prevout")["value"] = chain.MaxMoney + 1 }, ErrLying},
		"two spend too much": {"an unresolved input", func(tx map[string]any) {
			at(tx, "vin", 0, "prevout")["value"] = chain.MaxMoney
			at(tx, "vin", 1)["prevout"] = at(tx, "vin", 0, "prevout")
		}, ErrLying},
		"spends a negative":       {"plain", func(tx map[string]any) { at(tx, "vin", 0, "prevout")["value"] = -1 }, ErrMalformed},
		"coinbase that is none":   {"plain", func(tx map[string]any) { at(tx, "vin", 0)["is_coinbase"] = true }, ErrMalformed},
		"none that is a coinbase": {"coinbase", func(tx map[string]any) { at(tx, "vin", 0)["is_coinbase"] = false }, ErrMalformed},
		"coinbase that spends": {"coinbase", func(tx map[string]any) {
			at(tx, "vin", 0)["prevout"] = map[string]any{"scriptpubkey": "51", "value": 50e8}
		}, ErrMalformed},
		"unconfirmed in a block": {"confirmed", func(tx map[string]any) { at(tx, "status")["confirmed"] = false }, ErrMalformed},
		"confirmed in no block":  {"plain", func(tx map[string]any) { at(tx, "status")["confirmed"] = true }, ErrMalformed},
		"negative height":        {"confirmed", func(tx map[string]any) { at(tx, "status")["block_height"] = -1 }, ErrMalformed},
		"height too large":       {"confirmed", func(tx map[string]any) { at(tx, "status")["block_height"] = 1 << 31 }, ErrMalformed},
		"time too large":         {"confirmed", func(tx map[string]any) { at(tx, "status")["block_time"] = 1 << 32 }, ErrMalformed},
	} {
		tx := stated(samples()[c.of])
		c.spoil(tx)
		if got, err := readJSON(asJSON(tx), readTransaction); got != nil || !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	// Documentation says null where servers leave the keys out.
	tx := stated(payment(1))
	tx["status"] = map[string]any{"confirmed": false, "first_seen": 1.5, "block_height": nil, "block_hash": nil, "block_time": nil}
	if got, err := readJSON(asJSON(tx), readTransaction); err != nil || got.Place != nil {
		t.Errorf("a status of nulls: %v", err)
	}
}

// A transaction that its txid fits and no node would take.
func TestTransactionsAgainstConsensus(t *testing.T) {
	twice := payment(100)
	twice.Msg.AddTxIn(twice.Msg.TxIn[0])
	twice.Spent = append(twice.Spent, twice.Spent[0])
	rich := payment(100)
	rich.Msg.AddTxOut(&wire.TxOut{Value: chain.MaxMoney, PkScript: []byte{0x51}})
	for name, tx := range map[string]*chain.Transaction{"an output spent twice": twice, "more than there is": rich} {
		tx.ID = tx.Msg.TxHash()
		if _, err := readJSON(asJSON(stated(tx)), readTransaction); !errors.Is(err, ErrLying) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMempoolIsCompleteBelowTheCap(t *testing.T) {
	for n, complete := range map[int]bool{0: true, 1: true, 49: true, 50: false, 60: false} {
		var txs []*chain.Transaction
		for i := range n {
			txs = append(txs, payment(int64(1000+i)))
		}
		got, whole, err := opened(t, &electrs{mempool: txs}).Addresses.Mempool(t.Context(), watched())
		if err != nil || len(got) != n || whole != complete {
			t.Errorf("%d listed: %d, complete %v, %v", n, len(got), whole, err)
		}
	}
}

func TestCountersSignalEachNumber(t *testing.T) {
	good := endpoints()[3].good
	signals := map[string]bool{}
	variants := append([]string{good}, vary(good)...)
	for _, body := range variants {
		counters, err := readJSON([]byte(body), func(r *jsonReader) Counters { return readCounters(r, watched().Text) })
		if err != nil || counters.Signal == "" {
			t.Fatal(err)
		}
		signals[counters.Signal] = true
	}
	if len(signals) != 11 {
		t.Errorf("%d signals for the good answer and ten changes of one number", len(signals))
	}
}

// vary makes each number of a text negative in turn; servers drift that far.
func vary(text string) (varied []string) {
	for _, at := range aNumber.FindAllStringSubmatchIndex(text, -1) {
		varied = append(varied, text[:at[2]]+"-9"+text[at[3]:])
	}
	return varied
}

func TestSpends(t *testing.T) {
	for body, kind := range map[string]error{
		`[{"spent":false,"txid":null,"vin":null,"status":null}]`:                                          nil,
		`[{"spent":true,"txid":"` + strings.Repeat("ab", 32) + `","vin":0,"status":{"confirmed":false}}]`: nil,
		`[]`:               ErrMalformed,
		`[{"spent":true}]`: ErrMalformed,
		`[{"spent":true,"txid":"` + strings.Repeat("ab", 32) + `","vin":0}]`:                               ErrMalformed,
		`[{"spent":false,"txid":"` + strings.Repeat("ab", 32) + `"}]`:                                      ErrMalformed,
		`[{"spent":true,"txid":"` + strings.Repeat("ab", 32) + `","vin":-1,"status":{"confirmed":false}}]`: ErrMalformed,
		`[{"spent":1}]`: ErrMalformed,
	} {
		spends, err := opened(t, text("%s", body)).Spends.Spends(t.Context(), payment(1).ID)
		if !errors.Is(err, kind) || (kind == nil) != (err == nil) || (kind == nil) != (len(spends) == 1) {
			t.Errorf("%s: %v, %v", body, spends, err)
		}
	}
}

// The strict reader takes nothing that is no JSON, and of JSON only what it says.
func TestStrictJSON(t *testing.T) {
	for _, bad := range []string{"", " ", "{", "[", `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{"a":1 "b":2}`, "tru", "truee", "nul", "01", "-", "1.", ".5", "1e", "+1",
		`"`, `"\`, `"\x"`, "\"\n\"", `"\u12"`, "[1]]", "{}{}", "[}", "{]", "NaN", "Infinity", "//x\n1", "'a'", "\ufeff1", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"a":2}}`, `[{"a":[{"b":1,"b":1}]}]`} {
		if _, err := readJSON([]byte(bad), skipped); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"{}", "[]", " [ ] ", `{"a":{"a":[1,-2.5e+7,"x\"\\\u00e9",true,false,null]},"b":0}`, `"é"`, "[[],{},[{}]]", "\t[\r\n1 , 2 ]\n"} {
		if _, err := readJSON([]byte(good), skipped); err != nil || !json.Valid([]byte(good)) {
			t.Errorf("%q: %v", good, err)
		}
	}
	for depth, kind := range map[int]error{maxJSONDepth: nil, maxJSONDepth + 1: ErrMalformed} {
		if _, err := readJSON([]byte(strings.Repeat("[", depth)+strings.Repeat("]", depth)), skipped); !errors.Is(err, kind) {
			t.Errorf("depth %d: %v", depth, err)
		}
	}
	many := "{"
	for i := range maxJSONKeys + 1 {
		many += `"` + strings.Repeat("k", i+1) + `":1,`
	}
	if _, err := readJSON([]byte(strings.TrimSuffix(many, ",")+"}"), skipped); !errors.Is(err, ErrMalformed) {
		t.Errorf("too many keys: %v", err)
	}
}

func skipped(r *jsonReader) bool { r.skip(); return true }

// An explorer's keys are its own words and not for our messages.
func TestMessagesDoNotRepeatKeys(t *testing.T) {
	for _, body := range []string{`{"call +1 555 0100":}`, `{"txid":{"call +1 555 0100":1}}`, `{"x":{"call +1 555 0100":[1,}}`, `{"call +1 555 0100":1,"call +1 555 0100":1}`} {
		if _, err := readJSON([]byte(body), readTransaction); err == nil || strings.Contains(err.Error(), "555") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// Whatever bytes come: no panic, and what is accepted is what it says it is.
func FuzzTransaction(f *testing.F) {
	for _, tx := range samples() {
		f.Add(asJSON(stated(tx)))
	}
	f.Add([]byte(`{"txid":"","vin":[],"vout":[],"status":{"confirmed":false}}`))
	f.Add([]byte(strings.Repeat(`[{"a":`, 40)))
	f.Add([]byte(`{"\u0074xid":1e400,"x":"\ud800"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := readJSON(data, skipped); err == nil && !json.Valid(data) {
			t.Error("took what is no JSON")
		}
		tx, err := readJSON(data, readTransaction)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrLying) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		checkAccepted(t, tx, data)
	})
}

func checkAccepted(t *testing.T, tx *chain.Transaction, data []byte) {
	t.Helper()
	var claimed struct{ TxID string }
	if err := json.Unmarshal(data, &claimed); err != nil || !strings.EqualFold(claimed.TxID, tx.ID.String()) {
		t.Errorf("%s taken for %q, %v", tx.ID, claimed.TxID, err)
	}
	again := wire.NewMsgTx(0)
	if err := again.Deserialize(bytes.NewReader(serialized(tx.Msg))); err != nil || again.TxHash() != tx.ID {
		t.Errorf("does not survive serialisation: %v", err)
	}
	if len(tx.Spent) != len(tx.Msg.TxIn) || len(tx.Spent) == 0 {
		t.Errorf("%d inputs, %d spent outputs", len(tx.Msg.TxIn), len(tx.Spent))
	}
	for _, out := range append(tx.Msg.TxOut, tx.Spent...) {
		if out != nil && (out.Value < 0 || out.Value > chain.MaxMoney) {
			t.Errorf("an amount of %d", out.Value)
		}
	}
}
