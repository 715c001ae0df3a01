package chain

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// BlockFile reads the blocks of one blk*.dat file as Bitcoin Core keeps them:
// each after the network's magic and its size, in the order of their arrival,
// with zeros where space was taken in advance, and since version 28 all of it
// under an XOR key. One block is held in memory at a time.
type BlockFile struct {
	file   io.ReaderAt
	size   int64
	key    []byte
	params *chaincfg.Params

	at    int64 // where the next record begins
	last  int64 // where the last one did
	block []byte
}

// Damage is a place in a block file where no sound record begins. Reading goes
// on behind it.
type Damage struct {
	Offset int64 // in bytes from the file's beginning
	Reason string
}

// Error says where and what.
func (d *Damage) Error() string { return fmt.Sprintf("at byte %d: %s", d.Offset, d.Reason) }

// ForeignFile says that a file holds the blocks of another network.
type ForeignFile struct{ Network string }

// Error names the network.
func (f *ForeignFile) Error() string { return "its blocks are of " + f.Network }

// The parts of a record in a block file.
const (
	magicSize  = 4
	recordHead = magicSize + 4
	headerSize = 80
	readAhead  = 64 << 10
)

// NewBlockFile reads a file of that size. key is what xor.dat beside it holds,
// or empty.
func NewBlockFile(file io.ReaderAt, size int64, key []byte, params *chaincfg.Params) *BlockFile {
	return &BlockFile{file: file, size: size, key: key, params: params}
}

// HasMagic says whether a file's first bytes, in the clear, begin a record of
// any network.
func HasMagic(first []byte) bool { return magicOf(first) != "" }

// magicOf names the network whose magic the bytes begin with.
func magicOf(first []byte) string {
	if len(first) < magicSize {
		return ""
	}
	for _, n := range networks() {
		if bytes.Equal(first[:magicSize], magic(n.params)) {
			return n.name
		}
	}
	return ""
}

func magic(params *chaincfg.Params) []byte {
	return binary.LittleEndian.AppendUint32(nil, uint32(params.Net))
}

// Done is how many bytes have been read.
func (f *BlockFile) Done() int64 { return f.at }

// Next gives the raw bytes of the next block, which are overwritten by the
// call after, and where its record begins. io.EOF ends the file; after a
// *Damage it goes on.
func (f *BlockFile) Next() ([]byte, int64, error) {
	head, err := f.head()
	if err != nil {
		return nil, f.last, err
	}
	if name := magicOf(head); name != NetworkName(f.params) {
		return nil, f.last, &ForeignFile{name}
	}
	if len(head) < recordHead {
		return f.damaged("the file ends within the head of a record")
	}
	size := int64(binary.LittleEndian.Uint32(head[magicSize:]))
	switch {
	case size <= headerSize || size > MaxBlockSize:
		return f.damaged(fmt.Sprintf("a block of %d bytes, which none can have", size))
	case f.at+recordHead+size > f.size:
		return f.damaged(fmt.Sprintf("the block is cut off after %d of %d bytes", f.size-f.at-recordHead, size))
	}
	if f.block, err = f.read(f.block, f.at+recordHead, size); err != nil {
		return nil, f.last, err
	}
	f.at += recordHead + size
	return f.block, f.last, nil
}

// head goes to the next record and gives its first bytes.
func (f *BlockFile) head() ([]byte, error) {
	for {
		f.last = f.at
		head, err := f.read(nil, f.at, recordHead)
		if err != nil || magicOf(head) != "" {
			return head, err
		}
		if f.at >= f.size {
			return nil, io.EOF
		}
		if f.at, err = f.search(f.at); err != nil {
			return nil, err
		}
		blank, err := f.blank(f.last, f.at)
		if err != nil {
			return nil, err
		}
		if !blank {
			return nil, &Damage{Offset: f.last, Reason: "no block begins here"}
		}
	}
}

// Doubt says that the last block was none. Where no record begins behind it
// either, its size was wrong, and the next is looked for from its beginning.
func (f *BlockFile) Doubt() error {
	head, err := f.read(nil, f.at, magicSize)
	if err != nil || f.at >= f.size || magicOf(head) != "" {
		return err
	}
	if blank, err := f.blank(f.at, min(f.at+magicSize, f.size)); err != nil || blank {
		return err
	}
	f.at, err = f.search(f.last + magicSize)
	return err
}

func (f *BlockFile) damaged(reason string) ([]byte, int64, error) {
	next, err := f.search(f.last + 1)
	if err != nil {
		return nil, f.last, err
	}
	f.at = next
	return nil, f.last, &Damage{Offset: f.last, Reason: reason}
}

// blank says whether nothing was ever written between two places. Space that a
// node takes in advance is zero on the disk, whatever the key.
func (f *BlockFile) blank(from, to int64) (bool, error) {
	clear, raw := true, true
	var window []byte
	var err error
	for at := from; at < to; at += int64(len(window)) {
		if window, err = f.read(window, at, min(readAhead, to-at)); err != nil {
			return false, err
		}
		for i, b := range window {
			clear = clear && b == 0
			raw = raw && b == f.keyAt(at+int64(i))
		}
		if !clear && !raw {
			return false, nil
		}
	}
	return true, nil
}

// search finds the next magic; the file's end where there is none.
func (f *BlockFile) search(from int64) (int64, error) {
	want := magic(f.params)
	var window []byte
	var err error
	for from < f.size {
		if window, err = f.read(window, from, readAhead); err != nil {
			return 0, err
		}
		if i := bytes.Index(window, want); i >= 0 {
			return from + int64(i), nil
		}
		from += int64(max(len(window)-magicSize+1, 1)) // it may lie across the border
	}
	return f.size, nil
}

// read gives bytes of the file in the clear, fewer only at its end.
func (f *BlockFile) read(into []byte, at, n int64) ([]byte, error) {
	n = min(n, max(f.size-at, 0))
	if int64(cap(into)) < n {
		into = make([]byte, n)
	}
	into = into[:n]
	switch got, err := f.file.ReadAt(into, at); {
	case int64(got) == n: // with or without io.EOF
	case err == io.EOF:
		return nil, io.ErrUnexpectedEOF // it became shorter meanwhile
	default:
		return nil, err
	}
	for i := range into {
		into[i] ^= f.keyAt(at + int64(i))
	}
	return into, nil
}

func (f *BlockFile) keyAt(at int64) byte {
	if len(f.key) == 0 {
		return 0
	}
	return f.key[at%int64(len(f.key))]
}
