package explorer

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain/chaintest/recorded"
)

// firstHeaders are the first headers of the main chain.
func firstHeaders(t *testing.T, n int) (headers []wire.BlockHeader) {
	t.Helper()
	raw := bytes.NewReader(recorded.Read(t, "vectors", "headers-0-2015.raw"))
	for range n {
		var h wire.BlockHeader
		if err := h.Deserialize(raw); err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
	}
	return headers
}

// blockObject states a header as electrs does.
func blockObject(height int, h wire.BlockHeader) map[string]any {
	o := map[string]any{
		"id": h.BlockHash().String(), "height": height, "version": uint32(h.Version), "timestamp": h.Timestamp.Unix(), "tx_count": 1,
		"size": 215, "weight": 752, "merkle_root": h.MerkleRoot.String(), "previousblockhash": h.PrevBlock.String(),
		"mediantime": h.Timestamp.Unix(), "nonce": h.Nonce, "bits": h.Bits, "difficulty": 1.0,
	}
	if height == 0 {
		o["previousblockhash"] = nil
	}
	return o
}

// page states ten headers, highest first.
func page(headers []wire.BlockHeader, from int) []map[string]any {
	all := []map[string]any{}
	for height := from; height > from-10 && height >= 0; height-- {
		all = append(all, blockObject(height, headers[height]))
	}
	return all
}

func headerHex(h wire.BlockHeader) string {
	var raw bytes.Buffer
	_ = h.Serialize(&raw)
	return hex.EncodeToString(raw.Bytes())
}

func TestHeadersOfTheMainChain(t *testing.T) {
	headers := firstHeaders(t, 31)
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var from int
		if _, err := fmt.Sscanf(r.URL.Path, "/blocks/%d", &from); err != nil {
			t.Errorf("asked %s", r.URL.Path)
		}
		w.Write(asJSON(page(headers, from)))
	}))
	for _, from := range []int{30, 20, 9, 3, 0} {
		got, err := e.Headers.Headers(t.Context(), int32(from), headers[from].BlockHash())
		if err != nil || len(got) != min(10, from+1) {
			t.Fatalf("from %d: %d headers, %v", from, len(got), err)
		}
		for i, h := range got {
			if h.BlockHash() != headers[from-i].BlockHash() {
				t.Errorf("from %d: header %d is another", from, i)
			}
		}
	}
}

// TestRecordedBlockObject: what a real server says of a block hashes to its id.
func TestRecordedBlockObject(t *testing.T) {
	body := "[" + string(recorded.Read(t, "recorded", "mempool", "block.json")) + "]"
	e := opened(t, text("%s", body))
	hash := txid(t, "000000000000000015dc777b3ff2611091336355d3f0ee9766a2cf3be8e4b1ce")
	got, err := e.Headers.Headers(t.Context(), 363366, hash)
	if err != nil || len(got) != 1 || got[0].BlockHash() != hash {
		t.Errorf("%v, %v", got, err)
	}
}

// TestFalseHeaders: a list that does not hold together is not taken; one of
// another branch is asked for by hash.
func TestFalseHeaders(t *testing.T) {
	headers := firstHeaders(t, 31)
	want := headers[30].BlockHash()
	for _, c := range []struct {
		name   string
		list   func() []map[string]any
		single string // what is said of the header by hash
		kind   error
		count  int
	}{
		{name: "a nonce changed", list: func() []map[string]any { p := page(headers, 30); p[4]["nonce"] = 5; return p }, kind: ErrLying},
		{name: "bits changed", list: func() []map[string]any { p := page(headers, 30); p[0]["bits"] = 0x207fffff; return p }, kind: ErrLying},
		{name: "time changed", list: func() []map[string]any { p := page(headers, 30); p[9]["timestamp"] = 1; return p }, kind: ErrLying},
		{name: "one left out", list: func() []map[string]any { p := page(headers, 30); return append(p[:3], p[4:]...) }, kind: ErrMalformed},
		{name: "out of order", list: func() []map[string]any { p := page(headers, 30); p[3], p[4] = p[4], p[3]; return p }, kind: ErrMalformed},
		{name: "a field missing", list: func() []map[string]any { p := page(headers, 30); delete(p[2], "nonce"); return p }, kind: ErrMalformed},
		{name: "another branch, known by hash", list: func() []map[string]any { return page(headers, 29) }, single: headerHex(headers[30]), count: 1},
		{name: "no block at all, known by hash", list: func() []map[string]any { return []map[string]any{} }, single: headerHex(headers[30]), count: 1},
		{name: "another branch, not known", list: func() []map[string]any { return page(headers, 29) }, kind: ErrNotFound},
		{name: "another branch, and another header", list: func() []map[string]any { return page(headers, 29) }, single: headerHex(headers[29]), kind: ErrLying},
		{name: "another branch, and half a header", list: func() []map[string]any { return page(headers, 29) }, single: headerHex(headers[30])[:80], kind: ErrMalformed},
		{name: "another branch, and no header", list: func() []map[string]any { return page(headers, 29) }, single: strings.Repeat("zz", 80), kind: ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/blocks/30":
					w.Write(asJSON(c.list()))
				case "/block/" + want.String() + "/header":
					if c.single == "" {
						http.Error(w, "Block not found", http.StatusNotFound)
						return
					}
					_, _ = w.Write([]byte(c.single))
				default:
					t.Errorf("asked %s", r.URL.Path)
				}
			}))
			got, err := e.Headers.Headers(t.Context(), 30, want)
			if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) || len(got) != c.count {
				t.Errorf("%d headers, %v; want %v", len(got), err, c.kind)
			}
			if len(got) > 0 && got[0].BlockHash() != want {
				t.Error("another header")
			}
		})
	}
}
