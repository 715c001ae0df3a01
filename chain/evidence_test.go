package chain_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/blockchain"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// payer and payee are addresses that nobody has a key for.
func payer() chain.Address { return pubkeyHash(1) }
func payee() chain.Address { return pubkeyHash(2) }

func pubkeyHash(n byte) chain.Address {
	script := slices.Concat([]byte{0x76, 0xa9, 0x14}, bytes.Repeat([]byte{n}, 20), []byte{0x88, 0xac})
	a, _ := chain.AddressOf(script, regtest())
	return a
}

// caseOf is a payment of 7,000 satoshis from payer to payee, in a block of so
// many transactions with two on top; the money came with a recorded
// transaction, and a second input is what an explorer states.
type caseOf struct {
	chain    *chaintest.Chain
	tx, from *wire.MsgTx
	block    *wire.MsgBlock
}

func newCase(count int) caseOf {
	var c caseOf
	c.chain = chaintest.NewChain()
	c.chain.MineEmpty(3)
	c.from = spend(0, wire.OutPoint{Hash: chainhash.Hash{9}}, wire.NewTxOut(50, nil), wire.NewTxOut(9_000, payer().Script))
	c.tx = spend(1, wire.OutPoint{Hash: c.from.TxHash(), Index: 1}, wire.NewTxOut(7_000, payee().Script), wire.NewTxOut(1_500, payer().Script))
	c.tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: chainhash.Hash{8}, Index: 5}, nil, nil))
	var txs []*wire.MsgTx
	for n := range count - 2 {
		txs = append(txs, spend(uint32(n+2), wire.OutPoint{Hash: chainhash.Hash{7}, Index: uint32(n)}, wire.NewTxOut(1, []byte{0x51})))
	}
	txs = slices.Insert(txs, len(txs)/2, c.tx)
	c.block = c.chain.Mine(txs...)
	c.chain.MineEmpty(2)
	return c
}

func spend(salt uint32, at wire.OutPoint, outs ...*wire.TxOut) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	tx.LockTime = salt
	tx.AddTxIn(wire.NewTxIn(&at, []byte{1, 2, 3}, nil))
	for _, out := range outs {
		tx.AddTxOut(out)
	}
	return tx
}

func rawTx(tx *wire.MsgTx) []byte {
	var raw bytes.Buffer
	_ = tx.Serialize(&raw)
	return raw.Bytes()
}

func texts(hashes []chainhash.Hash) (all []chain.HashText) {
	for _, h := range hashes {
		all = append(all, chain.HashText(h))
	}
	return all
}

// evidence is what an honest issuer writes of the case.
func (c caseOf) evidence() *chain.Evidence {
	var ids []chainhash.Hash
	for _, tx := range c.block.Transactions {
		ids = append(ids, tx.TxHash())
	}
	index := slices.Index(ids, c.tx.TxHash())
	branches := chain.Branches(ids, []int{0, index})
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	height, hash, when := int32(4), chain.HashText(c.block.BlockHash()), c.block.Header.Timestamp.UTC()
	e := &chain.Evidence{Network: "regtest", TxID: chain.HashText(c.tx.TxHash())}
	e.Proof.Transaction = rawTx(c.tx)
	e.Proof.Previous = []chain.Hex{rawTx(c.from)}
	e.Proof.Block = &chain.EvidenceBlock{
		Height: height, Hash: hash, Index: index, TxCount: new(len(ids)),
		Siblings: texts(branches[1].Siblings), Coinbase: rawTx(c.block.Transactions[0]), CoinbaseSiblings: texts(branches[0].Siblings),
		FirstHeight: 2,
	}
	tip, _ := c.chain.Tip()
	for height := int32(2); height <= tip; height++ {
		e.Proof.Block.Headers = append(e.Proof.Block.Headers, serialized(c.chain.BlockAt(height))[:80])
	}
	e.Stated = chain.EvidenceWord{
		MadeAt: at, Version: "1.2.3", Configuration: strings.Repeat("ab", 32),
		Tip:    &chain.EvidencePlace{Height: tip, Hash: chain.HashText(c.chain.BlockAt(tip).BlockHash())},
		Starts: []chain.EvidenceStart{{Height: 2, Parent: chain.HashText(c.chain.BlockAt(1).BlockHash()), RestsOn: "a test", Proves: true, At: at}},
		Spent:  []chain.EvidenceSpent{{Input: 1, Script: payer().Script, Amount: 600, StatedBy: "alpha"}},
		Addresses: []chain.EvidenceAddress{
			{Address: payee().Text, Script: payee().Script, Listings: []chain.EvidenceListing{{List: "config", Label: "<b>\u202e", Title: "A title", RecordedAt: at}}},
			{Address: payer().Text, Script: payer().Script},
		},
		Reports: []chain.EvidenceReport{{Explorer: "alpha", Operator: "A", At: at}, {Explorer: "alpha", Operator: "A", Block: &hash, At: at}},
		States: []chain.EvidenceState{
			{State: "unconfirmed", Grade: "reported", At: at},
			{State: "confirmed", Grade: "proven", Height: &height, Block: &hash, Time: &when, At: at},
		},
		Alerts: []chain.EvidenceAlert{{ID: strings.Repeat("0a", 16), Type: "transaction.seen", Severity: "medium", OpenedAt: at}},
	}
	if err := e.Move(); err != nil {
		panic(err)
	}
	return e
}

func encoded(t testing.TB, e *chain.Evidence) []byte {
	t.Helper()
	file, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func judged(file []byte) (*chain.Verdict, error) {
	e, err := chain.ReadEvidence(file)
	if err != nil {
		return nil, err
	}
	return e.Verify()
}

// says is what a verdict comes to, as the second reader says it.
func says(v *chain.Verdict) string {
	b := v.Block
	c, below, beyond, start, work := b.Chain, int32(-1), int32(-1), int32(-1), new(big.Int)
	if c.Below != nil {
		below = c.Below.Height
	}
	for _, h := range v.Evidence.Proof.Block.Headers[:b.Height-c.First] {
		if c.Below == nil { // else it is said by the verdict
			work.Add(work, blockchain.CalcWork(binary.LittleEndian.Uint32(h[72:])))
		}
	}
	if c.Below != nil {
		work = c.WorkBelow
	}
	if c.Beyond != nil {
		beyond = c.Beyond.Height
	}
	if c.Start != nil {
		start = c.Start.Height
	}
	return fmt.Sprintf("%s %d %s; %d %s %d %d", b.Hash, b.Depth, b.Work, below, work, beyond, start)
}

func TestEvidence(t *testing.T) {
	for _, count := range []int{2, 3, 4, 5, 9, 1000} {
		c := newCase(count)
		v, err := judged(encoded(t, c.evidence()))
		if err != nil {
			t.Errorf("%d transactions: %v", count, err)
			continue
		}
		b := v.Block
		if b.Hash != c.block.BlockHash() || b.Height != 4 || !b.SaysHeight || b.Depth != 3 || b.Chain.First != 2 || b.Chain.Last != 6 || b.Chain.Start == nil {
			t.Errorf("%d transactions: proves %+v", count, b)
		}
		if want := big.NewInt(3 * 2); b.Work.Cmp(want) != 0 { // regtest's target takes two tries
			t.Errorf("%d transactions: work %s, not %s", count, b.Work, want)
		}
		if v.Fee != nil {
			t.Errorf("a fee of %d, though an input is only stated", *v.Fee)
		}
		if got, err := second(encoded(t, c.evidence())); err != nil || got != says(v) {
			t.Errorf("%d transactions: the second reader says %s, %v", count, got, err)
		}
		want := "[{in 0 7000 true}] [{out 0 9000 true} {out 1 600 false} {in 1 1500 true}]"
		if got := fmt.Sprint(v.Evidence.Stated.Addresses[0].Movements, " ", v.Evidence.Stated.Addresses[1].Movements); got != want {
			t.Errorf("movements %s", got)
		}
	}
}

// The documentation has every key of the file, and its text about itself.
func TestEvidenceIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	file := encoded(t, newCase(3).evidence())
	for _, found := range regexp.MustCompile(`"(\w+)": `).FindAllSubmatch(file, -1) {
		if !regexp.MustCompile("[`.]" + string(found[1]) + "[`\"]|\"" + string(found[1]) + "\"").Match(text) {
			t.Errorf("the key %s is not described", found[1])
		}
	}
	about := regexp.MustCompile(`"about": "(.*)"`).FindSubmatch(file)[1]
	if !bytes.Contains(text, append([]byte("    "), about...)) {
		t.Errorf("its text is not described: %s", about)
	}
}

// Every byte of a file changed, taken out, put in, and every beginning of it: of
// a payment that was followed, of one from before the watch, and of real headers.
func TestEvidenceWithEveryByteChanged(t *testing.T) {
	for name, e := range map[string]*chain.Evidence{
		"followed": newCase(3).evidence(), "past": newCase(3).pastEvidence(6), "real": firstEvidence(t, 0, 25),
	} {
		t.Run(name, func(t *testing.T) {
			file := encoded(t, e)
			if _, err := judged(file); err != nil {
				t.Fatal(err)
			}
			refuseEveryChange(t, file)
		})
	}
}

func refuseEveryChange(t *testing.T, file []byte) {
	random := byte(7)
	for i := range file {
		for _, other := range []byte{file[i] ^ 1, file[i] ^ 0x20, file[i] ^ 0x80, file[i] + random} {
			if other == file[i] {
				continue
			}
			wrong := bytes.Clone(file)
			wrong[i] = other
			refuseFile(t, fmt.Sprintf("byte %d is %q", i, other), wrong)
		}
		random = random*5 + 3
		refuseFile(t, fmt.Sprintf("byte %d taken out", i), slices.Concat(file[:i], file[i+1:]))
		refuseFile(t, fmt.Sprintf("byte %d doubled", i), slices.Concat(file[:i+1], file[i:]))
		refuseFile(t, fmt.Sprintf("the first %d bytes", i), file[:i])
	}
	for _, more := range []string{"\n", " ", "\x00", "{}", "}", string(file)} {
		refuseFile(t, "more behind its end", append(bytes.Clone(file), more...))
		refuseFile(t, "more before it", append([]byte(more), file...))
	}
	refuseFile(t, "other ends of lines", bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")))
	refuseFile(t, "more than is read", append(bytes.Clone(file), make([]byte, chain.MaxEvidence)...))
}

func refuseFile(t *testing.T, what string, file []byte) {
	t.Helper()
	_, err := judged(file)
	if testing.Verbose() && strings.Contains(t.Name(), "Lying") {
		t.Log(what, err)
	}
	if !errors.Is(err, chain.ErrFalseEvidence) {
		t.Errorf("%s: %v", what, err)
	}
}

// resealed is a body with a digest that fits: anybody can make one.
func resealed(body string) []byte {
	return fmt.Appendf(nil, "%s \"sha256\": \"%x\"\n}\n", body, sha256.Sum256([]byte(body)))
}

// bodyOf is a file without its last two lines.
func bodyOf(file []byte) string {
	return string(file[:bytes.LastIndex(file, []byte(` "sha256"`))])
}

// What readers could read differently is refused, with a digest that fits.
func TestEvidenceOfOtherShape(t *testing.T) {
	body := bodyOf(encoded(t, newCase(3).evidence()))
	if _, err := judged(resealed(body)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"a key twice", ` "network": "regtest",`, ` "network": "mainnet",` + "\n" + ` "network": "regtest",`},
		{"a key twice, in another case", ` "network": "regtest",`, ` "Network": "mainnet",` + "\n" + ` "network": "regtest",`},
		{"a key twice, escaped", ` "network": "regtest",`, ` "net\u0077ork": "mainnet",` + "\n" + ` "network": "regtest",`},
		{"an unknown key", ` "network": "regtest",`, ` "network": "regtest", "note": "proven by a court",`},
		{"another format", "btcwatch evidence 1", "btcwatch evidence 2"},
		{"another text", "Scripts and signatures are not validated.", "Everything here is validated."},
		{"a null", `"stated_by": "alpha"`, `"stated_by": null`},
		{"a fraction", `"amount_sat": 600`, `"amount_sat": 600.0`},
		{"an exponent", `"amount_sat": 600`, `"amount_sat": 6e2`},
		{"a huge number", `"amount_sat": 600`, `"amount_sat": 6` + strings.Repeat("0", 400)},
		{"a number in quotes", `"amount_sat": 600`, `"amount_sat": "600"`},
		{"a negative place", `"index": 1,`, `"index": -1,`},
		{"a negative amount", `"amount_sat": 600`, `"amount_sat": -600`},
		{"more than there is", `"amount_sat": 600`, `"amount_sat": 2100000000000001`},
		{"depth", `"stated_by": "alpha"`, `"stated_by": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)},
		{"upper case", `"transaction": "02`, `"transaction": "0A`},
		{"a short hash", `"parent": "`, `"parent": "00`},
		{"a second digest", ` "network": "regtest",`, ` "sha256": "` + strings.Repeat("00", 32) + `", "network": "regtest",`},
		{"no network of ours", `"regtest"`, `"moon"`},
		{"another network", `"regtest"`, `"mainnet"`},
		{"a time that is none", `"made_at": "2026`, `"made_at": "20xx`},
	} {
		if !strings.Contains(body, c.old) {
			t.Fatalf("%s: the file has no %s", c.name, c.old)
		}
		refuseFile(t, c.name, resealed(strings.Replace(body, c.old, c.new, 1)))
	}
	refuseFile(t, "no key at all", resealed("{\n"))
	refuseFile(t, "an empty object, with a comma", resealed("{\n,\n"))
	refuseFile(t, "brackets", resealed("{\n"+strings.Repeat("[", 1<<20)+",\n"))
	refuseFile(t, "objects", resealed("{\n"+strings.Repeat(`"a":{`, 1<<20)+",\n"))
}

// What a lying issuer would write, with a digest that fits. The second reader
// of it, which is written after the documentation, has to agree.
func TestLyingEvidence(t *testing.T) {
	c := newCase(7)
	for name, lie := range lyingIssuers(c) {
		e := c.evidence()
		lie(e)
		file := encoded(t, e)
		refuseFile(t, name, file)
		if _, err := second(file); err == nil {
			t.Errorf("%s: the second reader takes it", name)
		}
	}
}

func lyingIssuers(c caseOf) map[string]func(*chain.Evidence) {
	other := chain.HashText{5}
	twoBlocks := newCase(7)
	return map[string]func(*chain.Evidence){
		"another transaction's id": func(e *chain.Evidence) { e.TxID = other },
		"another amount":           func(e *chain.Evidence) { e.Proof.Transaction = altered(c.tx, 0, 8_000) },
		"its id with it": func(e *chain.Evidence) {
			e.Proof.Transaction = altered(c.tx, 0, 8_000)
			e.TxID = idOf(e.Proof.Transaction)
		},
		"and all that follows from it": func(e *chain.Evidence) {
			e.Proof.Transaction = altered(c.tx, 0, 8_000)
			e.TxID = idOf(e.Proof.Transaction)
			_ = e.Move()
		},
		"bytes behind the transaction": func(e *chain.Evidence) { e.Proof.Transaction = append(e.Proof.Transaction, 0) },
		"no transaction":               func(e *chain.Evidence) { e.Proof.Transaction = nil },
		"another previous transaction": func(e *chain.Evidence) { e.Proof.Previous[0] = altered(c.from, 1, 90_000) },
		"a previous one twice":         func(e *chain.Evidence) { e.Proof.Previous = append(e.Proof.Previous, e.Proof.Previous[0]) },
		"a previous one left out":      func(e *chain.Evidence) { e.Proof.Previous = nil },
		"a movement more":              func(e *chain.Evidence) { m := &e.Stated.Addresses[0].Movements; *m = append(*m, (*m)[0]) },
		"a movement less":              func(e *chain.Evidence) { e.Stated.Addresses[1].Movements = e.Stated.Addresses[1].Movements[:2] },
		"a movement's amount":          func(e *chain.Evidence) { e.Stated.Addresses[0].Movements[0].Amount++ },
		"a stated movement as proven":  func(e *chain.Evidence) { e.Stated.Addresses[1].Movements[1].Proven = true },
		"an address it does not touch": func(e *chain.Evidence) {
			a := pubkeyHash(3)
			e.Stated.Addresses = append(e.Stated.Addresses, chain.EvidenceAddress{Address: a.Text, Script: a.Script})
		},
		"a hint where all is known":      func(e *chain.Evidence) { e.Stated.Addresses[0].Revealed = []int{0} },
		"a hint of no input":             func(e *chain.Evidence) { e.Stated.Addresses[0].Revealed = []int{2} },
		"an address with another script": func(e *chain.Evidence) { e.Stated.Addresses[0].Address = pubkeyHash(3).Text },
		"an address twice":               func(e *chain.Evidence) { e.Stated.Addresses = append(e.Stated.Addresses, e.Stated.Addresses[0]) },
		"what a known input spends":      func(e *chain.Evidence) { e.Stated.Spent[0].Input = 0 },
		"what no input spends":           func(e *chain.Evidence) { e.Stated.Spent[0].Input = 2 },
		"what an input spends, twice":    func(e *chain.Evidence) { e.Stated.Spent = append(e.Stated.Spent, e.Stated.Spent[0]) },
		"another height":                 func(e *chain.Evidence) { e.Proof.Block.Height++ },
		"heights moved":                  func(e *chain.Evidence) { move(e, 1) },
		"heights below zero":             func(e *chain.Evidence) { move(e, -5) },
		"heights beyond all":             func(e *chain.Evidence) { move(e, 1<<31-5) },
		"another block":                  func(e *chain.Evidence) { e.Proof.Block.Hash = other },
		"another place":                  func(e *chain.Evidence) { e.Proof.Block.Index++ },
		"the coinbase's place":           func(e *chain.Evidence) { e.Proof.Block.Index = 0 },
		"more transactions":              func(e *chain.Evidence) { e.Proof.Block.TxCount = new(9) },
		"fewer transactions":             func(e *chain.Evidence) { e.Proof.Block.TxCount = new(4) },
		"no transactions":                func(e *chain.Evidence) { e.Proof.Block.TxCount = new(0) },
		"a sibling":                      func(e *chain.Evidence) { e.Proof.Block.Siblings[1] = other },
		"a sibling less":                 func(e *chain.Evidence) { e.Proof.Block.Siblings = e.Proof.Block.Siblings[1:] },
		"a sibling of the coinbase":      func(e *chain.Evidence) { e.Proof.Block.CoinbaseSiblings[2] = other },
		"another coinbase":               func(e *chain.Evidence) { e.Proof.Block.Coinbase = e.Proof.Transaction },
		"no coinbase":                    func(e *chain.Evidence) { e.Proof.Block.Coinbase = nil },
		"no headers":                     func(e *chain.Evidence) { e.Proof.Block.Headers = nil },
		"a header less, within":          func(e *chain.Evidence) { b := e.Proof.Block; b.Headers = slices.Delete(slices.Clone(b.Headers), 1, 2) },
		"a header twice": func(e *chain.Evidence) {
			b := e.Proof.Block
			b.Headers = append(b.Headers, b.Headers[len(b.Headers)-1])
		},
		"a header of 81 bytes":  func(e *chain.Evidence) { b := e.Proof.Block; b.Headers[0] = append(b.Headers[0], 0) },
		"a header without work": func(e *chain.Evidence) { e.Proof.Block.Headers[4] = unsolved(e.Proof.Block.Headers[4]) },
		"headers of another chain": func(e *chain.Evidence) {
			o := twoBlocks.evidence()
			e.Proof.Block.Headers[4] = o.Proof.Block.Headers[3]
		},
		"another start":                   func(e *chain.Evidence) { e.Stated.Starts[0].Parent = other },
		"a start said to have been left":  func(e *chain.Evidence) { e.Stated.Starts[0].Left = true },
		"a start out of sight, left":      func(e *chain.Evidence) { s := &e.Stated.Starts[0]; s.Height, s.Left = 50, true },
		"a start within":                  func(e *chain.Evidence) { e.Stated.Starts[0].Height = 5 },
		"no state":                        func(e *chain.Evidence) { e.Stated.States = nil },
		"an older state":                  func(e *chain.Evidence) { e.Stated.States = e.Stated.States[:1] },
		"a state in another block":        func(e *chain.Evidence) { e.Stated.States[1].Block = &other },
		"a state without its block":       func(e *chain.Evidence) { e.Stated.States[1].Block = nil },
		"a replacement of what stands":    func(e *chain.Evidence) { e.Stated.States[0].By = &other },
		"a state that there is not":       func(e *chain.Evidence) { e.Stated.States[0].State = "settled" },
		"a grade that there is not":       func(e *chain.Evidence) { e.Stated.States[0].Grade = "certain" },
		"an unconfirmed state in a block": func(e *chain.Evidence) { e.Stated.States[1].State = "unconfirmed" },
	}
}

func altered(tx *wire.MsgTx, output int, amount int64) []byte {
	other := tx.Copy()
	other.TxOut[output].Value = amount
	return rawTx(other)
}

func idOf(raw []byte) chain.HashText {
	var tx wire.MsgTx
	_ = tx.Deserialize(bytes.NewReader(raw))
	return chain.HashText(tx.TxHash())
}

func move(e *chain.Evidence, by int32) {
	e.Proof.Block.Height += by
	e.Proof.Block.FirstHeight += by
	height := e.Proof.Block.Height
	e.Stated.States[1].Height = &height
	e.Stated.Starts[0].Height += by
}

// unsolved is the header with the next nonce that has no work.
func unsolved(raw []byte) []byte {
	var h wire.BlockHeader
	_ = h.Deserialize(bytes.NewReader(raw))
	for {
		h.Nonce++
		if hash := h.BlockHash(); hash[31] > 0x7f {
			var out bytes.Buffer
			_ = h.Serialize(&out)
			return out.Bytes()
		}
	}
}

// A file without a block proves the bytes and nothing more.
func TestEvidenceWithoutBlock(t *testing.T) {
	e := newCase(3).evidence()
	e.Proof.Block = nil
	e.Stated.States = e.Stated.States[:1]
	v, err := judged(encoded(t, e))
	if err != nil || v.Block != nil {
		t.Errorf("%+v, %v", v, err)
	}
	if got, err := second(encoded(t, e)); err != nil || got != "nothing" {
		t.Errorf("the second reader says %s, %v", got, err)
	}
}

// The coinbase itself is a payment like others.
func TestEvidenceOfCoinbase(t *testing.T) {
	for _, count := range []int{1, 4} {
		c := newCase(count + 2)
		c.chain.CoinbaseScript = payee().Script
		c.block = c.chain.Mine(c.block.Transactions[3:]...)
		if count == 1 {
			c.block = c.chain.Mine()
		}
		c.tx = c.block.Transactions[0]
		height, _ := c.chain.Tip()
		c.chain.MineEmpty(1)
		e := c.evidence0(height)
		v, err := judged(encoded(t, e))
		if err != nil {
			t.Errorf("%d transactions: %v", count, err)
		} else if v.Block.Index != 0 || v.Block.Depth != 2 {
			t.Errorf("%+v", v.Block)
		} else if got, err := second(encoded(t, e)); err != nil || got != says(v) {
			t.Errorf("the second reader says %s, %v", got, err)
		}
	}
}

// evidence0 is the evidence of a coinbase.
func (c caseOf) evidence0(height int32) *chain.Evidence {
	var ids []chainhash.Hash
	for _, tx := range c.block.Transactions {
		ids = append(ids, tx.TxHash())
	}
	siblings := texts(chain.Branches(ids, []int{0})[0].Siblings)
	hash, when := chain.HashText(c.block.BlockHash()), c.block.Header.Timestamp.UTC()
	e := &chain.Evidence{Network: "regtest", TxID: chain.HashText(c.tx.TxHash())}
	e.Proof.Transaction = rawTx(c.tx)
	e.Proof.Block = &chain.EvidenceBlock{
		Height: height, Hash: hash, TxCount: new(len(ids)), Siblings: siblings, Coinbase: rawTx(c.tx), CoinbaseSiblings: siblings,
		FirstHeight: height, Headers: []chain.Hex{serialized(c.block)[:80], serialized(c.chain.BlockAt(height + 1))[:80]},
	}
	e.Stated.MadeAt = when.Add(time.Hour)
	e.Stated.States = []chain.EvidenceState{{State: "confirmed", Grade: "proven", Height: &height, Block: &hash, Time: &when, At: when}}
	e.Stated.Addresses = []chain.EvidenceAddress{{Address: payee().Text, Script: payee().Script}}
	if err := e.Move(); err != nil {
		panic(err)
	}
	return e
}

// Sixty-four bytes could be two hashes of the tree (CVE-2017-12842).
func TestEvidenceOfSixtyFourBytes(t *testing.T) {
	c := newCase(3)
	e := c.evidence()
	e.Proof.Transaction, e.TxID = rawTx(sixtyFour()), chain.HashText(sixtyFour().TxHash())
	e.Proof.Block = nil
	if _, err := judged(encoded(t, e)); err == nil || !strings.Contains(err.Error(), "64 bytes") {
		t.Errorf("%v", err)
	}
}

// FuzzEvidence: whatever stands under a digest that fits is refused, or says
// the same when it is written again.
func FuzzEvidence(f *testing.F) {
	e := newCase(3).evidence()
	f.Add(bodyOf(encoded(f, e)))
	e.Proof.Block = nil
	e.Stated.States = e.Stated.States[:1]
	f.Add(bodyOf(encoded(f, e)))
	f.Add(bodyOf(encoded(f, newCase(3).pastEvidence(6))))
	f.Add(bodyOf(encoded(f, firstEvidence(f, 0, 12))))
	f.Add("{\n \"format\": \"btcwatch evidence 1\",\n")
	f.Fuzz(func(t *testing.T, body string) {
		for _, file := range [][]byte{[]byte(body), resealed(body)} {
			e, err := chain.ReadEvidence(file)
			if err != nil {
				if !errors.Is(err, chain.ErrFalseEvidence) {
					t.Fatal(err)
				}
				continue
			}
			v, err := e.Verify()
			if err != nil {
				if !errors.Is(err, chain.ErrFalseEvidence) {
					t.Fatal(err)
				}
				continue
			}
			again, err := judged(encoded(t, v.Evidence))
			if err != nil || (again.Block == nil) != (v.Block == nil) {
				t.Errorf("written again: %v", err)
			}
		}
	})
}
