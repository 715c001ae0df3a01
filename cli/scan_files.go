package cli

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
)

// blockFile is one file to scan.
type blockFile struct {
	path string
	size int64
}

// nodeFiles is how Bitcoin Core names its files, and xorFile where it keeps
// the key to all those in a folder.
const (
	nodeFiles = "blk*.dat"
	xorFile   = "xor.dat"
)

// blockFiles finds out what there is to read, before anything is read. A
// folder stands for the block files in it.
func blockFiles(names []string) ([]blockFile, error) {
	var files []blockFile
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", name, openError(err))
		}
		if !info.IsDir() {
			files = append(files, blockFile{name, info.Size()})
			continue
		}
		inside, err := filepath.Glob(filepath.Join(globbed(name), nodeFiles))
		if err != nil || len(inside) == 0 {
			return nil, fmt.Errorf("%s holds no %s: name the files themselves", name, nodeFiles)
		}
		more, err := blockFiles(inside)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

// globbed keeps the signs of a folder's own name from being read as a pattern.
func globbed(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

// blocks is what a file gives, block by block.
type blocks interface {
	Next() (raw []byte, offset int64, err error)
	Doubt() error // the last one was none
	Done() int64  // bytes
}

// open finds out what kind of file it is.
func (f blockFile) open(file io.ReaderAt, params *chaincfg.Params) (blocks, error) {
	ofNode, _ := filepath.Match(nodeFiles, filepath.Base(f.path)) // the pattern is well-formed
	var key []byte
	if ofNode {
		var err error
		if key, err = xorKey(filepath.Dir(f.path)); err != nil {
			return nil, err
		}
	}
	first := make([]byte, 4)
	if n, err := file.ReadAt(first, 0); err != nil && err != io.EOF {
		return nil, openError(err)
	} else if ofNode || chain.HasMagic(first[:n]) {
		return chain.NewBlockFile(file, f.size, key, params), nil
	}
	return &singleBlock{file: file, size: f.size}, nil
}

// xorKey reads the key under which a folder's blocks lie; none where there is
// no such file, as before version 28.
func xorKey(folder string) ([]byte, error) {
	const keySize = 8
	path := filepath.Join(folder, xorFile)
	key, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the key %s: %w", path, openError(err))
	case len(key) != keySize:
		return nil, fmt.Errorf("the key %s has %d bytes and not %d: take it from where the blocks come from", path, len(key), keySize)
	}
	return key, nil
}

// singleBlock is a file that holds one block, as bytes or in hexadecimal.
type singleBlock struct {
	file io.ReaderAt
	size int64
	done int64
}

func (b *singleBlock) Done() int64 { return b.done }

func (b *singleBlock) Doubt() error { return nil }

// Next gives the block, and io.EOF after it.
func (b *singleBlock) Next() ([]byte, int64, error) {
	const mostText = 2*chain.MaxBlockSize + 2 // with the end of a line
	if b.done > 0 || b.size == 0 && b.done == 0 {
		if b.size == 0 {
			b.size, b.done = -1, 1
			return nil, 0, &chain.Damage{Reason: "the file is empty"}
		}
		return nil, 0, io.EOF
	}
	b.done = b.size
	if b.size > mostText {
		return nil, 0, &chain.Damage{Reason: fmt.Sprintf("%s bytes are too many for a block, and it begins like no file of blocks (a %s of Bitcoin Core 28 or later needs its name, and its %s beside it)",
			grouped(b.size), nodeFiles, xorFile)}
	}
	raw := make([]byte, b.size)
	if n, err := b.file.ReadAt(raw, 0); int64(n) < b.size {
		return nil, 0, openError(err)
	}
	text := bytes.TrimSpace(raw)
	if decoded := make([]byte, hex.DecodedLen(len(text))); len(text) > 0 {
		if _, err := hex.Decode(decoded, text); err == nil {
			return decoded, 0, nil
		}
	}
	return raw, 0, nil
}
