package cli_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
	"btcwatch/chain/chaintest/recorded"
)

// walked is a transaction as the bytes have it, read by none of the code under
// test.
type walked struct {
	id        string
	inputs    []string // outpoints
	sigs      [][]byte // signature scripts
	witnesses [][][]byte
	outputs   []struct {
		amount int64
		script []byte
	}
}

// bytesReader takes a block apart by BIP141 and the older rules.
type bytesReader struct{ rest []byte }

func (r *bytesReader) take(n uint64) []byte {
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *bytesReader) count() uint64 {
	switch first := r.take(1)[0]; first {
	case 0xfd:
		return uint64(binary.LittleEndian.Uint16(r.take(2)))
	case 0xfe:
		return uint64(binary.LittleEndian.Uint32(r.take(4)))
	case 0xff:
		return binary.LittleEndian.Uint64(r.take(8))
	default:
		return uint64(first)
	}
}

func display(hash []byte) string {
	turned := bytes.Clone(hash)
	slices.Reverse(turned)
	return hex.EncodeToString(turned)
}

func twice(data []byte) []byte {
	first := sha256.Sum256(data)
	second := sha256.Sum256(first[:])
	return second[:]
}

func (r *bytesReader) transaction() (tx walked) {
	whole := r.rest
	version := r.take(4)
	witness := r.rest[0] == 0 && r.rest[1] == 1
	if witness {
		r.take(2)
	}
	body := r.rest
	inputs := r.count()
	for range inputs {
		at := r.take(36)
		tx.inputs = append(tx.inputs, fmt.Sprintf("%s:%d", display(at[:32]), binary.LittleEndian.Uint32(at[32:])))
		tx.sigs = append(tx.sigs, r.take(r.count()))
		r.take(4)
	}
	tx.witnesses = make([][][]byte, inputs)
	for range r.count() {
		var out struct {
			amount int64
			script []byte
		}
		out.amount = int64(binary.LittleEndian.Uint64(r.take(8)))
		out.script = r.take(r.count())
		tx.outputs = append(tx.outputs, out)
	}
	body = body[:len(body)-len(r.rest)]
	if witness {
		for i := range inputs {
			for range r.count() {
				tx.witnesses[i] = append(tx.witnesses[i], r.take(r.count()))
			}
		}
	}
	lockTime := r.take(4)
	tx.id = display(twice(slices.Concat(version, body, lockTime)))
	if !witness {
		tx.id = display(twice(whole[:len(whole)-len(r.rest)]))
	}
	return tx
}

func walkBlock(raw []byte) (hash string, txs []walked) {
	r := &bytesReader{raw}
	hash = display(twice(r.take(80)))
	for range r.count() {
		txs = append(txs, r.transaction())
	}
	return hash, txs
}

// movementsOf gives what scripts gain and lose in blocks, one line a movement,
// sorted. What is spent counts when it was made in one of these blocks.
func movementsOf(blocks [][]byte, scripts map[string]string) (lines []string) {
	type output struct {
		address string
		amount  int64
	}
	made := map[string]output{}
	for _, raw := range blocks {
		_, txs := walkBlock(raw)
		for _, tx := range txs {
			for i, out := range tx.outputs {
				if address, ok := scripts[string(out.script)]; ok {
					made[fmt.Sprintf("%s:%d", tx.id, i)] = output{address, out.amount}
				}
			}
		}
	}
	for _, raw := range blocks {
		hash, txs := walkBlock(raw)
		for _, tx := range txs {
			for i, out := range tx.outputs {
				if address, ok := scripts[string(out.script)]; ok {
					lines = append(lines, fmt.Sprint(hash, " ", tx.id, " ", address, " in ", i, " ", out.amount))
				}
			}
			for i, at := range tx.inputs {
				if from, ok := made[at]; ok {
					lines = append(lines, fmt.Sprint(hash, " ", tx.id, " ", from.address, " out ", i, " ", from.amount))
				} else if address := shownBy(tx.sigs[i], tx.witnesses[i], scripts); address != "" {
					lines = append(lines, fmt.Sprint(hash, " ", tx.id, " ", address, " out ", i, " hint"))
				}
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// shownBy gives the address, out of some scripts, whose key or script an input
// shows, by the text of BIP16 and BIP141.
func shownBy(sig []byte, witness [][]byte, scripts map[string]string) string {
	var pushes [][]byte
	for rest := sig; len(rest) > 0; {
		op, size := rest[0], 0
		rest = rest[1:]
		switch {
		case op <= 75:
			size = int(op)
		case op == 76:
			size, rest = int(rest[0]), rest[1:]
		case op == 77:
			size, rest = int(binary.LittleEndian.Uint16(rest)), rest[2:]
		case op <= 96: // a small number, which is the hash of nothing here
		default:
			return "" // no push
		}
		if size > len(rest) {
			return ""
		}
		pushes, rest = append(pushes, rest[:size]), rest[size:]
	}
	key := func(data []byte) bool {
		return len(data) == 33 && (data[0] == 2 || data[0] == 3) || len(data) == 65 && data[0] == 4
	}
	var candidates [][]byte
	if n := len(pushes); n > 0 {
		hash := address.Hash160(pushes[n-1])
		candidates = append(candidates, slices.Concat([]byte{0xa9, 20}, hash, []byte{0x87}))
		if n == 2 && key(pushes[1]) {
			candidates = append(candidates, slices.Concat([]byte{0x76, 0xa9, 20}, hash, []byte{0x88, 0xac}))
		}
	}
	if n := len(witness); n > 0 && len(pushes) <= 1 {
		hash := sha256.Sum256(witness[n-1])
		candidates = append(candidates, append([]byte{0, 32}, hash[:]...))
		if n == 2 && key(witness[1]) {
			candidates = append(candidates, append([]byte{0, 20}, address.Hash160(witness[1])...))
		}
	}
	for _, script := range candidates {
		if text, ok := scripts[string(script)]; ok {
			return text
		}
	}
	return ""
}

// choose gives some scripts of a block that have addresses: the one paid most
// often, those whose money is spent again in the block, and every fiftieth.
func choose(raw []byte, params *chaincfg.Params) map[string]string {
	chosen, count, made := map[string]string{}, map[string]int{}, map[string][]byte{}
	_, txs := walkBlock(raw)
	most, n := []byte(nil), 0
	take := func(script []byte) {
		if a, ok := chain.AddressOf(script, params); ok {
			chosen[string(script)] = a.Text
		}
	}
	for _, tx := range txs {
		for i, out := range tx.outputs {
			made[fmt.Sprintf("%s:%d", tx.id, i)] = out.script
			if count[string(out.script)]++; count[string(out.script)] > count[string(most)] {
				most = out.script
			}
			if n++; n%50 == 0 {
				take(out.script)
			}
		}
	}
	take(most)
	for _, tx := range txs {
		for _, at := range tx.inputs {
			if script, ok := made[at]; ok && len(chosen) < 60 {
				take(script)
			}
		}
	}
	return chosen
}

func writeList(t *testing.T, scripts map[string]string) string {
	t.Helper()
	text := "# a list\n\n"
	for _, address := range scripts {
		text += address + "   # one of them\n"
	}
	return write(t, "list.txt", []byte(text))
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hits scans and gives what was printed as movementsOf gives it.
func hits(t *testing.T, want int, args ...string) (lines []string, said string) {
	t.Helper()
	p := sit("")
	p.ErrIsTerminal = false
	if code := p.types(append([]string{"scan", "--json"}, args...)...); code != want {
		t.Fatalf("exit code %d, not %d: %s", code, want, &p.err)
	}
	for line := range strings.Lines(p.out.String()) {
		var row struct {
			BlockHash   string `json:"block_hash"`
			BlockHeight *int32 `json:"block_height"`
			BlockTime   string `json:"block_time"`
			TxID        string
			Address     string
			Direction   string
			Index       int
			AmountSat   *int64 `json:"amount_sat"`
			Hint        bool
		}
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&row); err != nil {
			t.Fatal(err)
		}
		amount := "hint"
		if row.Hint == (row.AmountSat != nil) {
			t.Errorf("a hint with an amount, or a movement without: %s", line)
		} else if !row.Hint {
			amount = fmt.Sprint(*row.AmountSat)
		}
		lines = append(lines, fmt.Sprint(row.BlockHash, " ", row.TxID, " ", row.Address, " ", row.Direction, " ", row.Index, " ", amount))
	}
	slices.Sort(lines)
	return lines, p.err.String()
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(want) == 0 {
		t.Errorf("%s: nothing to find", what)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d hits, not %d", what, len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("first difference\n%s\n%s", got[i], want[i])
			}
		}
	}
}

// TestScanRealBlocks finds in real blocks what a walk by other code finds.
func TestScanRealBlocks(t *testing.T) {
	var files []string
	for _, name := range []string{"block300025.raw", "block413567.raw", "block482683.raw", "block702861.raw"} {
		files = append(files, recorded.Path(t, "vectors", name))
	}
	for _, height := range []int{169482, 227835, 227836, 481815, 481829} {
		files = append(files, recorded.Path(t, "recorded", "raw", fmt.Sprintf("block%d.dat", height)))
	}
	all := map[string]string{}
	var raws [][]byte
	within, shown := 0, 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
		chosen := choose(raw, &chaincfg.MainNetParams)
		want := movementsOf([][]byte{raw}, chosen)
		got, _ := hits(t, 0, "--watch", writeList(t, chosen), file)
		same(t, file, got, want)
		for _, line := range want {
			if strings.HasSuffix(line, " hint") {
				shown++
			} else if strings.Contains(line, " out ") {
				within++
			}
		}
		for script, address := range chosen {
			all[script] = address
		}
	}
	if within == 0 || shown == 0 {
		t.Errorf("%d times was money spent in the block that brought it, %d times from before", within, shown)
	}
	// All at once, backwards: money is spent in blocks read before its own.
	slices.Reverse(files)
	got, said := hits(t, 0, append([]string{"--watch", writeList(t, all)}, files...)...)
	same(t, "all at once", got, movementsOf(raws, all))
	if !strings.Contains(said, "9 blocks (heights 227,836 to 702,861, some without) checked in 9 files: ") {
		t.Errorf("summed up as %s", said)
	}
}

// paying makes a regtest chain on which an address is paid, and pays on, also
// within one block. It gives the blocks but the first, and the address.
func paying(t *testing.T) (raws [][]byte, a chain.Address) {
	t.Helper()
	c := chaintest.NewChain()
	w := chaintest.NewWallet(c, "")
	c.MineEmpty(105)
	a = w.Address(chain.P2WPKH, 7)
	var last *wire.MsgTx
	for n := range 12 {
		p := chaintest.Payment{Outputs: []chaintest.Output{{Script: a.Script, Value: int64(10_000 * (n + 1))}}}
		if last != nil && n%3 != 0 {
			p.Spend = []wire.OutPoint{{Hash: last.TxHash()}}
			p.Outputs = []chaintest.Output{{Script: w.Address(chain.P2TR, n).Script, Value: 900}, {Script: a.Script, Value: 5000}}
		}
		tx, err := w.Send(context.Background(), p)
		if err != nil {
			t.Fatal(err)
		}
		if last = tx; n%3 != 0 {
			last = nil
		}
		if n%2 == 1 {
			c.MineMempool()
		}
	}
	c.MineMempool()
	tip, _ := c.Tip()
	for height := int32(1); height <= tip; height++ {
		raw, err := c.RawBlock(context.Background(), c.BlockAt(height).BlockHash())
		if err != nil {
			t.Fatal(err)
		}
		raws = append(raws, raw)
	}
	return raws, a
}

func recordsOf(raws [][]byte) (file []byte) {
	for _, raw := range raws {
		file = binary.LittleEndian.AppendUint32(append(file, 0xfa, 0xbf, 0xb5, 0xda), uint32(len(raw)))
		file = append(file, raw...)
	}
	return file
}

// folder writes block files under a key, with space taken in advance.
func folder(t *testing.T, key []byte, files ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	if key != nil {
		if err := os.WriteFile(filepath.Join(dir, "xor.dat"), key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n, data := range files {
		data = bytes.Clone(data)
		for i := range data {
			if key != nil {
				data[i] ^= key[i%len(key)]
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("blk%05d.dat", n)), append(data, make([]byte, 70_000)...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestScanBlockFiles(t *testing.T) {
	raws, a := paying(t)
	scripts := map[string]string{string(a.Script): a.Text}
	list := writeList(t, scripts)
	want := movementsOf(raws, scripts)
	if text := strings.Join(want, "\n"); strings.Count(text, " out ") < 3 {
		t.Fatalf("the chain spends too little:\n%s", text)
	}
	half := len(raws) - 4
	key := []byte{9, 8, 7, 6, 5, 4, 3, 2}
	turned := slices.Clone(raws)
	slices.Reverse(turned)
	scan := func(what string, code int, args ...string) string {
		t.Helper()
		got, said := hits(t, code, append([]string{"--network", "regtest", "--watch", list}, args...)...)
		same(t, what, got, want)
		return said
	}
	scan("a folder", 0, folder(t, nil, recordsOf(raws)))
	scan("under a key", 0, folder(t, key, recordsOf(raws[:half]), recordsOf(raws[half:])))
	scan("out of order", 0, folder(t, key, recordsOf(turned[:9]), recordsOf(turned[9:])))
	dir := folder(t, key, recordsOf(raws[half:]), recordsOf(raws[:half]))
	scan("files out of order", 0, filepath.Join(dir, "blk00000.dat"), filepath.Join(dir, "blk00001.dat"))
	scan("twice", 0, dir, dir)
	var single []string
	for n, raw := range raws {
		if n%2 == 0 {
			raw = append([]byte(hex.EncodeToString(raw)), '\n')
		}
		single = append(single, write(t, "block", raw))
	}
	scan("one by one", 0, single...)
	scan("under another name", 0, write(t, "blocks", recordsOf(raws)))

	broken := recordsOf(raws)
	broken[60] ^= 1 // the root of the first
	said := scan("damaged", 1, folder(t, key, broken))
	if want := "at byte 0: false block"; !strings.Contains(said, want) || !strings.Contains(said, "blk00000.dat") {
		t.Errorf("said %s", said)
	}
	mixed := folder(t, key, recordsOf(raws))
	foreign := append([]byte{0xf9, 0xbe, 0xb4, 0xd9}, recordsOf(raws)[4:]...)
	said = scan("and another network's", 1, write(t, "blk9.dat", foreign), mixed)
	if !strings.Contains(said, "its blocks are of mainnet: use --network mainnet") {
		t.Errorf("said %s", said)
	}
	cut := recordsOf(raws)
	said = scan("cut off", 1, mixed, write(t, "blk8.dat", cut[:len(cut)-3]))
	if !regexp.MustCompile(`blk8\.dat at byte \d+: the block is cut off after \d+ of \d+ bytes`).MatchString(said) {
		t.Errorf("said %s", said)
	}
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("hello"), "cut": raws[3][:100], "long": make([]byte, 8_000_003)} {
		scan(name, 1, write(t, name, data), mixed)
	}
	alone := write(t, "blk1.dat", must(os.ReadFile(filepath.Join(dir, "blk00000.dat"))))
	if got, said := hits(t, 1, "--network", "regtest", "--watch", list, alone); len(got) > 0 || !strings.Contains(said, "at byte 0: no block begins here") {
		t.Errorf("without its key: %q, %s", got, said)
	}
	short := folder(t, key, recordsOf(raws))
	if err := os.WriteFile(filepath.Join(short, "xor.dat"), key[:7], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, said := hits(t, 1, "--network", "regtest", short); !strings.Contains(said, "has 7 bytes and not 8") {
		t.Errorf("said %s", said)
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// TestScanTable is what a person sees.
func TestScanTable(t *testing.T) {
	raws, a := paying(t)
	p := sit("")
	list := writeList(t, map[string]string{string(a.Script): a.Text})
	if code := p.types("scan", "--network", "regtest", "--watch", list, folder(t, nil, recordsOf(raws))); code != 0 {
		t.Fatalf("exit code %d: %s", code, &p.err)
	}
	lines := strings.Split(strings.TrimSpace(p.out.String()), "\n")
	if !regexp.MustCompile(`^BLOCK +TIME \(UTC\) +IN/OUT +AMOUNT BTC +ADDRESS +INDEX +TRANSACTION$`).MatchString(lines[0]) {
		t.Errorf("head: %s", lines[0])
	}
	want := regexp.MustCompile(`^ *106  2024-01-01 \d\d:\d\d +in +0\.00010000  ` + a.Text + ` +0  [0-9a-f]{64}$`)
	if !want.MatchString(lines[1]) {
		t.Errorf("first: %s", lines[1])
	}
	if !regexp.MustCompile(`^\d+ blocks \(heights 1 to \d+\) checked in 1 file: \d+ movements at 1 of 1 address\.`).MatchString(p.err.String()) {
		t.Errorf("summed up: %s", &p.err)
	}
}

// TestScanHints: of blocks that begin after the money came, a spend is shown by
// the key that it reveals, without an amount, and said to be a hint.
func TestScanHints(t *testing.T) {
	raws, a := paying(t)
	scripts := map[string]string{string(a.Script): a.Text}
	list := writeList(t, scripts)
	var want []string
	var later [][]byte
	hinted := 0
	for from := len(raws) - 1; from > 0 && (hinted == 0 || hinted == len(want)); from-- {
		later, hinted = raws[from:], 0
		want = movementsOf(later, scripts)
		for _, line := range want {
			if strings.HasSuffix(line, " out 0 hint") {
				hinted++
			}
		}
	}
	if hinted == 0 || hinted == len(want) {
		t.Fatalf("%d of %d are hints", hinted, len(want))
	}
	dir := folder(t, nil, recordsOf(later))
	got, said := hits(t, 0, "--network", "regtest", "--watch", list, dir, dir)
	same(t, "the last ones, twice", got, want)
	if text := fmt.Sprintf("%d hint", hinted); !strings.Contains(said, text) || !strings.Contains(said, "Anybody can show another's key") {
		t.Errorf("summed up as %s", said)
	}
	p := sit("")
	if code := p.types("scan", "--network", "regtest", "--watch", list, dir); code != 0 {
		t.Fatalf("exit code %d: %s", code, &p.err)
	}
	if n := len(regexp.MustCompile(`(?m)^ *\d+  2024-01-01 \d\d:\d\d +out +hint only  `+a.Text+` +0  [0-9a-f]{64}$`).FindAllString(p.out.String(), -1)); n != hinted {
		t.Errorf("%d hints in\n%s", n, &p.out)
	}
	want = slices.DeleteFunc(want, func(line string) bool { return strings.HasSuffix(line, " hint") })
	got, said = hits(t, 0, "--network", "regtest", "--watch", list, "--no-hints", dir)
	same(t, "without hints", got, want)
	if !strings.Contains(said, "Money from before these blocks is not seen when it is spent.") {
		t.Errorf("summed up as %s", said)
	}
}

func TestScanLists(t *testing.T) {
	block := write(t, "block", must(os.ReadFile(recorded.Path(t, "vectors", "block482683.raw"))))
	for text, want := range map[string]string{
		"\n12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGx\n":         `list.txt:2: 12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGx is no address: bad checksum`,
		"# 12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk\n":         "has no address of mainnet",
		"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080\n": "list.txt:1",
		"nothing\n": "has no address of mainnet",
		"12SxsxvrE8zrtRveSeFJYA6sgbJZbyHDGk\n\x00\xff\xfe\n": "",
	} {
		p := sit("")
		code := p.types("scan", "--watch", write(t, "list.txt", []byte(text)), block)
		if want != "" && (code != 1 || !strings.Contains(p.err.String(), want)) {
			t.Errorf("%q: exit code %d: %s", text, code, &p.err)
		}
	}
	for _, args := range [][]string{{"scan"}, {"scan", "--network", "moon", block}} {
		if code := sit("").types(args...); code != 2 {
			t.Errorf("%q: exit code %d", args, code)
		}
	}
	for _, args := range [][]string{{"scan", "absent"}, {"scan", "--watch", "absent", block}, {"scan", t.TempDir()}} {
		p := sit("")
		if code := p.types(args...); code != 1 || !regexp.MustCompile(`no such file|holds no blk`).MatchString(p.err.String()) {
			t.Errorf("%q: exit code %d: %s", args, code, &p.err)
		}
	}
	p := sit("")
	if code := p.types("scan", block); code != 0 || !strings.Contains(p.err.String(), "nothing was looked for") {
		t.Errorf("exit code %d: %s", code, &p.err)
	}
}
