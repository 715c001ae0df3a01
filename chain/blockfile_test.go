package chain_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// record is a block as a node writes it into its file.
func record(raw []byte) []byte {
	head := []byte{0xfa, 0xbf, 0xb5, 0xda} // regtest
	return slices.Concat(binary.LittleEndian.AppendUint32(head, uint32(len(raw))), raw)
}

// scrambled puts written bytes under a key; what is taken in advance stays zero.
func scrambled(written, key []byte, padding int) []byte {
	file := bytes.Clone(written)
	for i := range file {
		file[i] ^= key[i%len(key)]
	}
	return append(file, make([]byte, padding)...)
}

// read gives what a block file holds, one line for each block or damage.
func read(t *testing.T, file, key []byte) (lines []string) {
	t.Helper()
	f := chain.NewBlockFile(bytes.NewReader(file), int64(len(file)), key, regtest())
	for range len(file) + 2 {
		raw, offset, err := f.Next()
		var damage *chain.Damage
		switch {
		case err == io.EOF:
			return lines
		case errors.As(err, &damage):
			lines = append(lines, damage.Error())
			continue
		case err != nil:
			return append(lines, err.Error())
		}
		block, err := chain.CheckBlock(raw, regtest(), someTime())
		if err != nil {
			lines = append(lines, fmt.Sprintf("at byte %d: false", offset))
			if err := f.Doubt(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		lines = append(lines, fmt.Sprintf("at byte %d: block %d", offset, block.Height))
	}
	t.Fatal("it never ends")
	return nil
}

func expect(t *testing.T, name string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", name, got, want)
	}
}

func TestBlockFile(t *testing.T) {
	c := chaintest.NewChain()
	var one, two, three []byte
	for _, raw := range []*[]byte{&one, &two, &three} {
		*raw = serialized(c.MineEmpty(1))
	}
	size := len(record(one)) // all three are as long
	at := func(n int, what string) string { return fmt.Sprintf("at byte %d: %s", n, what) }
	whole := slices.Concat(record(one), record(two), record(three))
	first, second, third := at(0, "block 1"), at(size, "block 2"), at(2*size, "block 3")
	key := []byte{0, 1, 2, 3, 250, 251, 252, 0xfa} // under the last a magic begins with zero

	expect(t, "plain", read(t, whole, nil), first, second, third)
	expect(t, "scrambled", read(t, scrambled(whole, key, 0), key), first, second, third)
	for _, n := range []int{1, 7, 8, 9, 200_000} {
		expect(t, "padded", read(t, scrambled(whole, key, n), key), first, second, third)
		expect(t, "padded in the clear", read(t, append(bytes.Clone(whole), make([]byte, n)...), nil), first, second, third)
		expect(t, "padded under the key", read(t, scrambled(append(bytes.Clone(whole), make([]byte, n)...), key, 0), key), first, second, third)
		gap := slices.Concat(record(one), make([]byte, n), record(two))
		expect(t, "a gap", read(t, gap, nil), first, at(size+n, "block 2"))
		junk := slices.Concat(record(one), bytes.Repeat([]byte{7}, n), record(two))
		expect(t, "junk", read(t, junk, nil), first, at(size, "no block begins here"), at(size+n, "block 2"))
	}
	for n := 1; n < size-8; n += 13 {
		expect(t, "cut off", read(t, whole[:len(whole)-n], nil), first, second,
			at(2*size, fmt.Sprintf("the block is cut off after %d of %d bytes", size-8-n, size-8)))
	}
	expect(t, "cut off in the head", read(t, whole[:2*size+6], nil), first, second, at(2*size, "the file ends within the head of a record"))
	expect(t, "out of order", read(t, slices.Concat(record(three), record(one), record(two)), nil), at(0, "block 3"), at(size, "block 1"), at(2*size, "block 2"))

	expect(t, "a changed byte", read(t, changed(whole, size+90, 1), nil), first, at(size, "false"), third)
	for _, other := range []uint32{82, uint32(size - 9), uint32(size - 7), uint32(size + 20)} {
		wrong := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(wrong[size+4:], other)
		expect(t, fmt.Sprintf("size %d", other), read(t, wrong, nil), first, at(size, "false"), third)
	}
	for _, other := range []uint32{0, 80, 4_000_001, 1 << 31, 0xffffffff} {
		wrong := bytes.Clone(whole)
		binary.LittleEndian.PutUint32(wrong[size+4:], other)
		expect(t, fmt.Sprintf("size %d", other), read(t, wrong, nil), first, at(size, fmt.Sprintf("a block of %d bytes, which none can have", other)), third)
	}
	foreign := slices.Concat([]byte{0xf9, 0xbe, 0xb4, 0xd9}, whole[4:])
	expect(t, "another network", read(t, foreign, nil), "its blocks are of mainnet")
	expect(t, "no key", read(t, scrambled(whole, []byte{1, 2, 3, 4, 5, 6, 7, 9}, 0), nil), at(0, "no block begins here"))
	expect(t, "nothing", read(t, nil, key))
	expect(t, "only zeros", read(t, make([]byte, 100_000), key))
}

// A magic may lie across the border of what is read at a time.
func TestBlockFileSearch(t *testing.T) {
	raw := record(serialized(chaintest.NewChain().MineEmpty(1)))
	for n := 64<<10 - 6; n < 64<<10+6; n++ {
		file := append(bytes.Repeat([]byte{1}, n), raw...)
		expect(t, fmt.Sprint(n), read(t, file, nil), "at byte 0: no block begins here", fmt.Sprintf("at byte %d: block 1", n))
	}
}

// FuzzBlockFile: reading ends, and never gives bytes from beyond the file.
func FuzzBlockFile(f *testing.F) {
	raw := record(serialized(chaintest.NewChain().MineEmpty(1)))
	f.Add(raw, []byte{})
	f.Add(append(bytes.Clone(raw), raw[:20]...), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, file, key []byte) {
		read(t, file, key)
	})
}
