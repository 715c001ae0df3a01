package chain_test

// A second reader of evidence, written after docs/evidence.md with the standard
// library alone. It shares no line with the first one.

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
)

type secondFile struct {
	Format, About, Network, TxID, SHA256 string
	Proof                                struct {
		Transaction string
		Previous    []string `json:"previous_transactions"`
		Block       *struct {
			Height           int64
			Hash             string
			Index            int64
			TxCount          int64 `json:"tx_count"`
			Siblings         []string
			Coinbase         string
			CoinbaseSiblings []string `json:"coinbase_siblings"`
			First            int64    `json:"first_header_height"`
			Headers          []string
		}
	}
	Stated struct {
		Starts []struct {
			Height int64
			Parent string
		}
		Spent []struct {
			Input  int
			Script string
			Amount int64 `json:"amount_sat"`
		} `json:"spent_outputs"`
		Addresses []struct {
			Address, Script string
			Movements       []secondMovement
			Revealed        []int `json:"revealed_inputs"`
		}
		States []struct {
			State, Grade string
			Height       *int64  `json:"block_height"`
			Block        *string `json:"block_hash"`
			By           *string `json:"replaced_by"`
		}
	}
}

type secondMovement struct {
	Direction string
	Index     int
	Amount    int64 `json:"amount_sat"`
	Proven    bool
}

type secondTx struct {
	id      string
	size    int // without witness
	spends  []string
	indexes []uint32
	input0  []byte
	scripts []string
	amounts []int64
}

func twice(data []byte) []byte {
	once := sha256.Sum256(data)
	again := sha256.Sum256(once[:])
	return again[:]
}

func reversed(data []byte) []byte {
	turned := slices.Clone(data)
	slices.Reverse(turned)
	return turned
}

func wired(hash string) []byte {
	data, _ := hex.DecodeString(hash)
	return reversed(data)
}

// secondTransaction reads a transaction; it panics where the bytes end early.
func secondTransaction(text string) (tx secondTx) {
	data, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	rest := data
	take := func(n uint64) []byte {
		taken := rest[:n]
		rest = rest[n:]
		return taken
	}
	count := func() uint64 {
		switch c := take(1)[0]; c {
		case 253:
			return uint64(binary.LittleEndian.Uint16(take(2)))
		case 254:
			return uint64(binary.LittleEndian.Uint32(take(4)))
		case 255:
			return binary.LittleEndian.Uint64(take(8))
		default:
			return uint64(c)
		}
	}
	version := take(4)
	witness := rest[0] == 0 && rest[1] == 1
	if witness {
		take(2)
	}
	body := rest
	inputs := count()
	for i := range inputs {
		tx.spends = append(tx.spends, hex.EncodeToString(reversed(take(32))))
		tx.indexes = append(tx.indexes, binary.LittleEndian.Uint32(take(4)))
		script := take(count())
		if i == 0 {
			tx.input0 = script
		}
		take(4)
	}
	for range count() {
		tx.amounts = append(tx.amounts, int64(binary.LittleEndian.Uint64(take(8))))
		tx.scripts = append(tx.scripts, hex.EncodeToString(take(count())))
	}
	body = body[:len(body)-len(rest)]
	for range inputs {
		for n := uint64(0); witness && n == 0; n++ {
			for range count() {
				take(count())
			}
		}
	}
	plain := slices.Concat(version, body, take(4))
	if len(rest) > 0 {
		panic("more behind a transaction")
	}
	tx.id, tx.size = hex.EncodeToString(reversed(twice(plain))), len(plain)
	return tx
}

// second reads a file and says what it proves: the block, the confirmations and
// their work.
func second(file []byte) (verdict string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	must := func(holds bool, what string) {
		if !holds {
			panic(what)
		}
	}
	lines := bytes.SplitAfter(file, []byte("\n"))
	must(len(lines) > 3 && len(lines[len(lines)-1]) == 0, "its end")
	seal := bytes.Join(lines[len(lines)-3:], nil)
	body := file[:len(file)-len(seal)]
	must(string(seal) == fmt.Sprintf(" \"sha256\": \"%x\"\n}\n", sha256.Sum256(body)), "its digest")
	var f secondFile
	if err := json.Unmarshal(file, &f); err != nil {
		return "", err
	}
	must(f.Format == "btcwatch evidence 1", "its format")

	tx := secondTransaction(f.Proof.Transaction)
	must(tx.id == f.TxID && tx.size != 64, "the transaction")
	movements := secondMovements(&f, tx, must)
	known := map[string]bool{}
	for _, a := range f.Stated.Addresses {
		must(!known[a.Address], "an address twice")
		known[a.Address] = true
		must(secondAddress(a.Script) == a.Address, "the script of an address")
		must(len(a.Movements)+len(a.Revealed) > 0, "an address that is not concerned")
		if moved := movements(a.Script); len(moved)+len(a.Movements) > 0 {
			must(reflect.DeepEqual(moved, a.Movements), "movements")
		}
		for _, n := range a.Revealed {
			must(n >= 0 && n < len(tx.spends) && !f.knows(tx, n), "a revealed input")
		}
	}
	states := f.Stated.States
	must(len(states) > 0, "no state")
	for _, s := range states {
		must(regexp.MustCompile(`^(unconfirmed|confirmed|replaced|dropped) (reported|corroborated|proven)$`).MatchString(s.State+" "+s.Grade), "a state")
		must((s.State == "confirmed") == (s.Height != nil) && (s.State == "confirmed") == (s.Block != nil), "a state's block")
		must(s.By == nil || s.State == "replaced", "a replacement")
	}
	b := f.Proof.Block
	if b == nil {
		return "nothing", nil
	}

	must(b.First >= 0 && b.First+int64(len(b.Headers)) < 1<<31, "heights")
	var hashes, roots []string
	var times []uint32
	work := new(big.Int)
	for i, text := range b.Headers {
		h, _ := hex.DecodeString(text)
		must(len(h) == 80, "a header's size")
		hash := reversed(twice(h))
		must(i == 0 || hex.EncodeToString(reversed(h[4:36])) == hashes[i-1], "a link")
		target := secondTarget(binary.LittleEndian.Uint32(h[72:]))
		must(new(big.Int).SetBytes(hash).Cmp(target) <= 0, "work")
		if b.First+int64(i) >= b.Height {
			work.Add(work, new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 256), new(big.Int).Add(target, big.NewInt(1))))
		}
		at := binary.LittleEndian.Uint32(h[68:])
		if i >= 11 {
			last := slices.Clone(times[i-11:])
			slices.Sort(last)
			must(at > last[5], "a time")
		}
		hashes, roots, times = append(hashes, hex.EncodeToString(hash)), append(roots, hex.EncodeToString(h[36:68])), append(times, at)
	}
	n := b.Height - b.First
	must(n >= 0 && n < int64(len(hashes)) && hashes[n] == b.Hash, "the block")

	coinbase := secondTransaction(b.Coinbase)
	must(coinbase.size != 64 && len(coinbase.spends) == 1 && coinbase.spends[0] == strings.Repeat("0", 64) && coinbase.indexes[0] == 1<<32-1, "the coinbase")
	must((coinbase.id == tx.id) == (b.Index == 0), "the coinbase's place")
	must(bytes.HasPrefix(coinbase.input0, secondHeight(b.Height)), "the height")
	for _, branch := range []struct {
		id       string
		index    int64
		siblings []string
	}{{tx.id, b.Index, b.Siblings}, {coinbase.id, 0, b.CoinbaseSiblings}} {
		must(b.TxCount > 0 && b.TxCount <= 16666 && branch.index >= 0 && branch.index < b.TxCount, "a place")
		must(len(branch.siblings) == bits.Len64(uint64(b.TxCount-1)), "a branch's length")
		node := wired(branch.id)
		for level, s := range branch.siblings {
			at, sibling := branch.index>>level, wired(s)
			must(bytes.Equal(node, sibling) == (at == (b.TxCount-1)>>level && at%2 == 0), "equal hashes")
			if at%2 == 1 {
				node = twice(append(sibling, node...))
			} else {
				node = twice(append(node, sibling...))
			}
		}
		must(hex.EncodeToString(node) == roots[n], "a branch")
	}
	for _, s := range f.Stated.Starts {
		at := s.Height - b.First
		switch {
		case at == 0:
			h, _ := hex.DecodeString(b.Headers[0])
			must(hex.EncodeToString(reversed(h[4:36])) == s.Parent, "a start")
		case at > 0 && at <= int64(len(hashes)):
			must(hashes[at-1] == s.Parent, "a start")
		}
	}
	last := states[len(states)-1]
	must(last.Block != nil && *last.Block == b.Hash && *last.Height == b.Height, "the last state")
	return fmt.Sprintf("%s %d %s", b.Hash, len(hashes)-int(n), work), nil
}

// knows says whether the file has what an input spends.
func (f *secondFile) knows(tx secondTx, input int) bool {
	for _, s := range f.Stated.Spent {
		if s.Input == input {
			return true
		}
	}
	for _, text := range f.Proof.Previous {
		if secondTransaction(text).id == tx.spends[input] {
			return true
		}
	}
	return false
}

// secondMovements gives what the transaction does to a script.
func secondMovements(f *secondFile, tx secondTx, must func(bool, string)) func(script string) []secondMovement {
	type spent struct {
		script string
		amount int64
		proven bool
	}
	previous := map[string]secondTx{}
	for _, text := range f.Proof.Previous {
		p := secondTransaction(text)
		_, known := previous[p.id]
		must(!known && slices.Contains(tx.spends, p.id), "a previous transaction")
		previous[p.id] = p
	}
	all := map[int]spent{}
	for i, id := range tx.spends {
		if p, ok := previous[id]; ok {
			all[i] = spent{p.scripts[tx.indexes[i]], p.amounts[tx.indexes[i]], true}
		}
	}
	for _, s := range f.Stated.Spent {
		_, known := all[s.Input]
		must(!known && s.Input >= 0 && s.Input < len(tx.spends) && s.Amount >= 0 && s.Amount <= 21e14, "a stated output")
		all[s.Input] = spent{s.Script, s.Amount, false}
	}
	return func(script string) (found []secondMovement) {
		var inputs []int
		for i, s := range all {
			if s.script == script {
				inputs = append(inputs, i)
			}
		}
		sort.Ints(inputs)
		for _, i := range inputs {
			found = append(found, secondMovement{"out", i, all[i].amount, all[i].proven})
		}
		for i, s := range tx.scripts {
			if s == script {
				found = append(found, secondMovement{"in", i, tx.amounts[i], true})
			}
		}
		return found
	}
}

func secondTarget(compact uint32) *big.Int {
	mantissa := big.NewInt(int64(compact & 0x7fffff))
	return mantissa.Lsh(mantissa, 8*(uint(compact>>24)-3))
}

// secondHeight is how a coinbase begins: a number pushed as a script does it.
func secondHeight(height int64) []byte {
	if height <= 16 {
		return []byte{byte(0x50 + height)}
	}
	var digits []byte
	for n := height; n > 0; n >>= 8 {
		digits = append(digits, byte(n))
	}
	if digits[len(digits)-1] >= 0x80 {
		digits = append(digits, 0)
	}
	return append([]byte{byte(len(digits))}, digits...)
}

// secondAddress is the address of a script that pays to a public key's hash, on
// a test network; the tests have no others.
func secondAddress(script string) string {
	data, err := hex.DecodeString(script)
	if err != nil || len(data) != 25 {
		panic(errors.New("a script"))
	}
	payload := append([]byte{0x6f}, data[3:23]...)
	n := new(big.Int).SetBytes(append(payload, twice(payload)[:4]...))
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	var text []byte
	for n.Sign() > 0 {
		digit := new(big.Int)
		n.DivMod(n, big.NewInt(58), digit)
		text = append(text, digits[digit.Int64()])
	}
	slices.Reverse(text)
	return string(text)
}
