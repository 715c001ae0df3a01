package chaintest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

func (e *Esplora) tip() *indexedBlock {
	if n := len(e.index.blocks); n > 0 {
		return e.index.blocks[n-1]
	}
	return nil
}

func (e *Esplora) tipHeight(*http.Request) ([]byte, error) {
	tip := e.tip()
	if tip == nil {
		return nil, errBlockNotFound
	}
	return strconv.AppendInt(nil, int64(tip.height), 10), nil
}

func (e *Esplora) tipHash(*http.Request) ([]byte, error) {
	tip := e.tip()
	if tip == nil {
		return nil, errBlockNotFound
	}
	return []byte(tip.hash.String()), nil
}

// at is the block of the chain at a height; nil where there is none.
func (e *Esplora) at(height int64) *indexedBlock {
	i := height - int64(e.index.trail.base)
	if i < 0 || i >= int64(len(e.index.blocks)) {
		return nil
	}
	return e.index.blocks[i]
}

func (e *Esplora) onChain(b *indexedBlock) bool { return b != nil && e.at(int64(b.height)) == b }

func (e *Esplora) blockHeight(r *http.Request) ([]byte, error) {
	height, err := strconv.ParseUint(r.PathValue("height"), 10, 63)
	if err != nil {
		return nil, errInvalidNumber
	}
	if b := e.at(int64(height)); b != nil {
		return []byte(b.hash.String()), nil
	}
	return nil, errBlockNotFound
}

// block reads the hash of the path. stale says whether a block that left the
// chain is good enough.
func (e *Esplora) block(r *http.Request, stale bool) (*indexedBlock, error) {
	hash, err := parseHash(r.PathValue("hash"))
	if err != nil {
		return nil, err
	}
	b := e.index.byHash[hash]
	if b == nil || !stale && !e.onChain(b) {
		return nil, errBlockNotFound
	}
	return b, nil
}

func (e *Esplora) blockSummary(r *http.Request) ([]byte, error) {
	b, err := e.block(r, false)
	if err != nil {
		return nil, err
	}
	return e.summary(b), nil
}

func (e *Esplora) summary(b *indexedBlock) []byte {
	var times []int64
	for height := int64(b.height); height > int64(b.height)-11 && e.at(height) != nil; height-- {
		times = append(times, e.at(height).msg.Header.Timestamp.Unix())
	}
	slices.Sort(times)
	return e.render.block(b, times[len(times)/2])
}

// blockList is the ten newest blocks at and below a height, newest first; from
// the tip on where the height is none or beyond it, as electrs does.
func (e *Esplora) blockList(r *http.Request) ([]byte, error) {
	start, err := strconv.ParseUint(r.PathValue("start"), 10, 31)
	b := e.at(int64(start))
	if err != nil || b == nil {
		b = e.tip()
	}
	body := []byte{'['}
	for i := 0; i < blocksPage && b != nil; i++ {
		body = append(comma(body, i), e.summary(b)...)
		b = e.at(int64(b.height) - 1)
	}
	return append(body, ']'), nil
}

func (e *Esplora) blockStatus(r *http.Request) ([]byte, error) {
	hash, err := parseHash(r.PathValue("hash"))
	if err != nil {
		return nil, err
	}
	b := e.index.byHash[hash]
	if !e.onChain(b) {
		return []byte(`{"in_best_chain":false,"height":null,"next_best":null}`), nil
	}
	next := "null"
	if above := e.at(int64(b.height) + 1); above != nil {
		next = `"` + above.hash.String() + `"`
	}
	return fmt.Appendf(nil, `{"in_best_chain":true,"height":%d,"next_best":%s}`, b.height, next), nil
}

func (e *Esplora) blockHeader(r *http.Request) ([]byte, error) {
	b, err := e.block(r, false)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	err = b.msg.Header.Serialize(&raw)
	return hex.AppendEncode(nil, raw.Bytes()), err
}

func (e *Esplora) blockRaw(r *http.Request) ([]byte, error) {
	b, err := e.block(r, true)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	raw.Grow(b.msg.SerializeSize())
	err = b.msg.Serialize(&raw)
	return raw.Bytes(), err
}

func (e *Esplora) blockTxids(r *http.Request) ([]byte, error) {
	b, err := e.block(r, true)
	if err != nil {
		return nil, err
	}
	body := []byte{'['}
	for i, tx := range b.entries {
		body = append(comma(body, i), `"`+tx.id.String()+`"`...)
	}
	return append(body, ']'), nil
}

// blockTxid gives the id of one transaction of a block.
func (e *Esplora) blockTxid(r *http.Request) ([]byte, error) {
	b, err := e.block(r, true)
	if err != nil {
		return nil, err
	}
	index, err := strconv.ParseUint(r.PathValue("index"), 10, 32)
	if err != nil {
		return nil, errInvalidNumber
	}
	if index >= uint64(len(b.entries)) {
		return nil, errTxNotFound
	}
	return []byte(b.entries[index].id.String()), nil
}
