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
	"os"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
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
			TxCount          *int64 `json:"tx_count"`
			Siblings         []string
			Coinbase         string
			CoinbaseSiblings []string `json:"coinbase_siblings"`
			First            int64    `json:"first_header_height"`
			Headers          []string
		}
	}
	Stated struct {
		MadeAt time.Time `json:"made_at"`
		Starts []struct {
			Height int64
			Parent string
			Left   bool `json:"left_chain"`
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
// their work; the checkpoint below and the work in between, the one above, and
// the start.
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
		must(secondAddress(a.Script, f.Network) == a.Address, "the script of an address")
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
	var headers []secondHeader
	work, between := new(big.Int), new(big.Int)
	points := secondCheckpoints(f.Network)
	below, beyond := int64(-1), int64(-1)
	anchor := func(height int64, hash string) {
		point, is := points[height]
		must(!is || point == hash, "a checkpoint")
		if is && height <= b.Height {
			below = height
			between = new(big.Int)
		} else if is && beyond < 0 {
			beyond = height
		}
	}
	for i, text := range b.Headers {
		raw, _ := hex.DecodeString(text)
		must(len(raw) == 80, "a header's size")
		h := secondHeaderOf(raw)
		if i == 0 {
			anchor(b.First-1, h.parent)
		}
		must(i == 0 || h.parent == headers[i-1].hash, "a link")
		must(new(big.Int).SetBytes(wired(reverseHex(h.hash))).Cmp(h.target) <= 0, "work")
		must(int64(h.time) <= f.Stated.MadeAt.Unix()+7200, "a time to come")
		secondRules(f.Network, b.First+int64(i), h, headers, must)
		if b.First+int64(i) >= b.Height {
			work.Add(work, h.work())
		} else {
			between.Add(between, h.work())
		}
		anchor(b.First+int64(i), h.hash)
		headers = append(headers, h)
	}
	n := b.Height - b.First
	must(n >= 0 && n < int64(len(headers)) && headers[n].hash == b.Hash, "the block")

	coinbase := secondTransaction(b.Coinbase)
	must(coinbase.size != 64 && len(coinbase.spends) == 1 && coinbase.spends[0] == strings.Repeat("0", 64) && coinbase.indexes[0] == 1<<32-1, "the coinbase")
	must((coinbase.id == tx.id) == (b.Index == 0), "the coinbase's place")
	must(f.Network == "mainnet" && b.Height < 227931 || bytes.HasPrefix(coinbase.input0, secondHeight(b.Height)), "the height")
	count := secondCount(b.TxCount, tx.id, b.Index, b.Siblings)
	for _, branch := range []struct {
		id       string
		index    int64
		siblings []string
	}{{tx.id, b.Index, b.Siblings}, {coinbase.id, 0, b.CoinbaseSiblings}} {
		must(count > 0 && count <= 16666 && branch.index >= 0 && branch.index < count, "a place")
		must(len(branch.siblings) == bits.Len64(uint64(count-1)), "a branch's length")
		node := wired(branch.id)
		for level, s := range branch.siblings {
			at, sibling := branch.index>>level, wired(s)
			must(bytes.Equal(node, sibling) == (at == (count-1)>>level && at%2 == 0), "equal hashes")
			if at%2 == 1 {
				node = twice(append(sibling, node...))
			} else {
				node = twice(append(node, sibling...))
			}
		}
		must(hex.EncodeToString(node) == headers[n].root, "a branch")
	}
	start := int64(-1)
	for _, s := range f.Stated.Starts {
		at := s.Height - b.First
		if at < 0 || at > int64(len(headers)) {
			must(!s.Left, "a start that is out of sight and said to have been left")
			continue
		}
		must(s.Left != (at == 0 && headers[0].parent == s.Parent || at > 0 && headers[at-1].hash == s.Parent), "a start")
		if s.Left {
			continue
		}
		if s.Height <= b.Height || start < 0 || start > b.Height && s.Height < start {
			start = s.Height
		}
	}
	last := states[len(states)-1]
	must(last.Block != nil && *last.Block == b.Hash && *last.Height == b.Height, "the last state")
	return fmt.Sprintf("%s %d %s; %d %s %d %d", b.Hash, len(headers)-int(n), work, below, between, beyond, start), nil
}

type secondHeader struct {
	hash, parent, root  string
	version, time, bits uint32
	target              *big.Int
}

func secondHeaderOf(raw []byte) secondHeader {
	number := func(at int) uint32 { return binary.LittleEndian.Uint32(raw[at:]) }
	return secondHeader{
		hash: hex.EncodeToString(reversed(twice(raw))), parent: hex.EncodeToString(reversed(raw[4:36])), root: hex.EncodeToString(raw[36:68]),
		version: number(0), time: number(68), bits: number(72), target: secondTarget(number(72)),
	}
}

func (h secondHeader) work() *big.Int {
	return new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 256), new(big.Int).Add(h.target, big.NewInt(1)))
}

func reverseHex(text string) string { return hex.EncodeToString(wired(text)) }

// secondRules checks what the headers before allow.
func secondRules(network string, height int64, h secondHeader, before []secondHeader, must func(bool, string)) {
	limit := secondTarget(map[string]uint32{"mainnet": 0x1d00ffff, "testnet3": 0x1d00ffff, "testnet4": 0x1d00ffff, "signet": 0x1e0377ae, "regtest": 0x207fffff}[network])
	must(h.target.Cmp(limit) <= 0, "the limit")
	if len(before) >= 11 {
		var times []uint32
		for _, b := range before[len(before)-11:] {
			times = append(times, b.time)
		}
		slices.Sort(times)
		must(h.time > times[5], "a time")
	}
	if network == "mainnet" {
		for least, from := range map[uint32]int64{2: 227931, 3: 363725, 4: 388381} {
			must(height < from || int32(h.version) >= int32(least), "a version")
		}
		for above, bits := range map[int64]uint32{300025: 0x1900896c, 413567: 0x18058436, 482683: 0x18013ce9, 702861: 0x170ed0eb, 953567: 0x170240c3} {
			must(height <= above || h.target.Cmp(new(big.Int).Mul(secondTarget(bits), big.NewInt(4))) <= 0, "too little work")
		}
	}
	if len(before) == 0 || network[0] == 't' {
		return
	}
	last := before[len(before)-1]
	switch {
	case network == "regtest":
		must(h.bits == 0x207fffff, "bits of regtest")
	case height%2016 != 0:
		must(h.bits == last.bits, "bits within a period")
	case len(before) >= 2016:
		seconds := int64(last.time) - int64(before[len(before)-2016].time)
		target := new(big.Int).Mul(last.target, big.NewInt(min(max(seconds, 302400), 4838400)))
		if target.Div(target, big.NewInt(1209600)).Cmp(limit) > 0 {
			target = limit
		}
		must(h.bits == secondCompact(target), "bits of a new period")
	default:
		must(new(big.Int).Mul(h.target, big.NewInt(100)).Cmp(new(big.Int).Mul(last.target, big.NewInt(401))) <= 0, "easier by far")
		must(new(big.Int).Mul(last.target, big.NewInt(100)).Cmp(new(big.Int).Mul(h.target, big.NewInt(401))) <= 0, "harder by far")
	}
}

func secondCompact(target *big.Int) uint32 {
	data := target.Bytes()
	if data[0] >= 0x80 {
		data = append([]byte{0}, data...)
	}
	size := len(data)
	data = append(data, 0, 0, 0)[:3]
	return uint32(size)<<24 | uint32(data[0])<<16 | uint32(data[1])<<8 | uint32(data[2])
}

// secondCheckpoints are those that the documentation lists.
func secondCheckpoints(network string) map[int64]string {
	text, err := os.ReadFile("../docs/evidence.md")
	if err != nil {
		panic(err)
	}
	points := map[int64]string{}
	for _, row := range regexp.MustCompile(`(?m)^ {4}(\w+) +(\d+) ([0-9a-f]{64})$`).FindAllStringSubmatch(string(text), -1) {
		if height, _ := strconv.ParseInt(row[2], 10, 64); row[1] == network {
			points[height] = row[3]
		}
	}
	return points
}

// secondCount is how many transactions the block has, or can have.
func secondCount(said *int64, id string, index int64, siblings []string) int64 {
	if said != nil {
		return *said
	}
	node := wired(id)
	for level, s := range siblings {
		sibling := wired(s)
		if bytes.Equal(node, sibling) {
			return (index | (int64(1)<<level - 1)) + 1
		}
		if index>>level%2 == 1 {
			node = twice(append(sibling, node...))
		} else {
			node = twice(append(node, sibling...))
		}
	}
	return min(int64(1)<<len(siblings), 16666)
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
// mainnet or a test network; the tests have no others.
func secondAddress(script, network string) string {
	data, err := hex.DecodeString(script)
	if err != nil || len(data) != 25 {
		panic(errors.New("a script"))
	}
	payload := append([]byte{0x6f}, data[3:23]...)
	if network == "mainnet" {
		payload[0] = 0
	}
	n := new(big.Int).SetBytes(append(payload, twice(payload)[:4]...))
	const digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	var text []byte
	for n.Sign() > 0 {
		digit := new(big.Int)
		n.DivMod(n, big.NewInt(58), digit)
		text = append(text, digits[digit.Int64()])
	}
	for i := 0; payload[i] == 0; i++ {
		text = append(text, digits[0])
	}
	slices.Reverse(text)
	return string(text)
}
