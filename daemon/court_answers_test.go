package daemon

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/wire/v2"

	"btcwatch/chain"
	"btcwatch/chain/chaintest"
)

// Lies that are told by changing answers on their way out, each in the words of
// its kind.

// rewrites changes the bodies of all answers of an explorer.
func (w *witness) rewrites(change func(path string, body []byte) []byte) bool {
	w.faults.Set("/**", chaintest.Fault{Rewrite: change})
	return true
}

// answers changes the value that every answer of an explorer holds; what is no
// JSON stays.
func (w *witness) answers(change func(path string, answer any) any) bool {
	return w.rewrites(func(path string, body []byte) []byte {
		var answer any
		if !bytes.ContainsAny(body[:min(1, len(body))], "[{") { // a hash may well begin like a number
			return body
		}
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if decoder.Decode(&answer) != nil {
			return body
		}
		whole, lines := answer.(map[string]any)
		if lines = lines && w.kind == "electrum"; lines {
			whole["result"] = change(path, whole["result"])
			return must(json.Marshal(whole))
		}
		return must(json.Marshal(change(path, answer)))
	})
}

// each walks through a value, and lets every object in it be changed.
func each(value any, change func(object map[string]any)) {
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			each(inner, change)
		}
		change(value)
	case []any:
		for _, inner := range value {
			each(inner, change)
		}
	}
}

// otherAmounts states another amount of everything that is paid to an address.
func otherAmounts(s *court, w *witness) bool {
	script := hex.EncodeToString(s.a.Script)
	if w.kind == "electrum" { // which states nothing but bytes
		return w.answers(func(path string, answer any) any { return otherBytes(answer, s.a.Script) })
	}
	return w.answers(func(path string, answer any) any {
		each(answer, func(out map[string]any) {
			if out["scriptpubkey"] == script && out["value"] != nil {
				out["value"] = 9_999_999
			}
			if out["hex"] == script && out["value"] != nil {
				out["value"] = "9999999"
			}
		})
		return answer
	})
}

// otherBytes changes what a transaction pays to a script, in its bytes.
func otherBytes(answer any, script []byte) any {
	text, _ := answer.(string)
	raw, err := hex.DecodeString(text)
	var tx wire.MsgTx
	if err != nil || len(raw) < 60 || tx.Deserialize(bytes.NewReader(raw)) != nil {
		return answer
	}
	for _, out := range tx.TxOut {
		if bytes.Equal(out.PkScript, script) {
			out.Value = 9_999_999
		}
	}
	var changed bytes.Buffer
	if tx.Serialize(&changed) != nil {
		return answer
	}
	return hex.EncodeToString(changed.Bytes())
}

// otherSources states that whatever is spent was the watched address's, and more.
func otherSources(s *court, w *witness) bool {
	return w.kind != "electrum" && w.answers(func(path string, answer any) any { // which states no spent outputs
		each(answer, func(in map[string]any) {
			if spent, ok := in["prevout"].(map[string]any); ok {
				spent["value"] = json.Number("77")
			}
			if in["txid"] != nil && in["n"] != nil && in["value"] != nil {
				in["value"] = "77"
			}
		})
		return answer
	})
}

// boasts shows a tip five hundred blocks higher than it can show.
func boasts(_ *court, w *witness) bool {
	return w.rewrites(func(path string, body []byte) []byte {
		switch {
		case strings.HasSuffix(path, "/blocks/tip/height"):
			return fmt.Append(nil, courtJoined+500)
		case path == "/blockchain.headers.subscribe", path == "/api/v2", path == "/api/v2/":
			return heightWords.ReplaceAll(body, fmt.Appendf(nil, `"$1":%d`, courtJoined+500))
		}
		return body
	})
}

var heightWords = regexp.MustCompile(`"(height|bestHeight|blocks)":\d+`)

// ofLookalike shows what was paid to another address, which looks much the same,
// as what was paid to the watched one.
func ofLookalike(s *court, w *witness) bool {
	tx := wire.NewMsgTx(2)
	spent := s.ledger.BlockAt(80).Transactions[0]
	tx.AddTxIn(wire.NewTxIn(&wire.OutPoint{Hash: spent.TxHash()}, nil, nil))
	tx.AddTxOut(wire.NewTxOut(7_000_007, s.wallet.Address(chain.P2WPKH, 77).Script))
	s.shows(w, &mask{pool: func(txs []*wire.MsgTx) []*wire.MsgTx { return append(slices.Clone(txs), tx) }})
	stated := w.object("/tx/" + tx.TxHash().String())
	return w.answers(func(path string, answer any) any {
		switch list := answer.(type) {
		case []any:
			if path == "/blockchain.scripthash.get_history" {
				return append(list, map[string]any{"tx_hash": tx.TxHash().String(), "height": 0, "fee": 1})
			}
			if strings.HasSuffix(path, "/txs/mempool") {
				return append(list, stated)
			}
		case map[string]any:
			if txs, ok := list["transactions"].([]any); ok && strings.Contains(path, "/address/") {
				list["transactions"] = append([]any{stated}, txs...)
			}
			if stats, ok := list["mempool_stats"].(map[string]any); ok {
				stats["tx_count"] = 9
			}
			if list["unconfirmedTxs"] != nil {
				list["unconfirmedTxs"] = 9
			}
		}
		return answer
	})
}

// object asks an explorer itself; nil of one that knows no HTTP.
func (w *witness) object(path string) (object map[string]any) {
	if w.kind == "electrum" {
		return nil
	}
	if w.kind == "blockbook" {
		path = "/api/v2" + path
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
	if err := json.Unmarshal(answer.Body.Bytes(), &object); err != nil {
		panic(err) // it knows the transaction
	}
	return object
}

// hostile is text that does harm where it is shown: a terminal's escapes, text
// that runs backwards, a page, a spreadsheet's formula, a line of a log.
const hostile = "\x1b[2J\x1b]0;owned\a\u202eevil\u2066<script>alert(1)</script>=HYPERLINK(\"http://evil.example\")\r\nlevel=INFO msg=forged \x00"

// hostileMarks must never be found in what the daemon writes.
var hostileMarks = []string{"\x1b", "\u202e", "\u2066", "owned", "evil", "<script", "HYPERLINK", "msg=forged", `\u001b`, `\u202e`}

// hostileErrors refuses every question with hostile words.
func hostileErrors(_ *court, w *witness) bool {
	text, _ := json.Marshal(hostile)
	if w.kind == "electrum" {
		return w.answers2error(text)
	}
	w.faults.Set("/**", chaintest.Fault{Status: http.StatusBadRequest, Body: []byte(hostile), Header: http.Header{"Content-Type": {"text/plain"}, "X-Evil": {"evil"}}})
	return true
}

// answers2error makes an error of every answer of an Electrum server.
func (w *witness) answers2error(text []byte) bool {
	return w.rewrites(func(path string, body []byte) []byte {
		var reply struct {
			ID json.RawMessage `json:"id"`
		}
		if path == "/server.version" || json.Unmarshal(body, &reply) != nil {
			return body
		}
		return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"error":{"code":1,"message":%s}}`, reply.ID, text)
	})
}

// hostileFields has hostile words wherever an answer has text that nothing hangs on,
// and as names of fields.
func hostileFields(_ *court, w *witness) bool {
	return w.answers(func(path string, answer any) any {
		each(answer, func(object map[string]any) {
			for _, key := range []string{"scriptpubkey_asm", "scriptpubkey_type", "scriptpubkey_address", "asm", "addresses", "about", "version", "merkle_root"} {
				if _, ok := object[key].(string); ok {
					object[key] = hostile
				}
				if _, ok := object[key].([]any); ok {
					object[key] = []string{hostile}
				}
			}
			object[hostile] = hostile
		})
		if list, ok := answer.([]any); ok && path == "/server.version" {
			return []any{hostile, list[1]}
		}
		if text, ok := answer.(string); ok && w.kind == "electrum" {
			return text + hostile
		}
		return answer
	})
}

// tooLong answers with more than an answer may hold, packed small.
func tooLong(_ *court, w *witness) bool {
	if w.kind == "electrum" {
		return w.rewrites(func(string, []byte) []byte { return bytes.Repeat([]byte("9"), 11<<20) })
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for range 12 {
		_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	_ = z.Close()
	w.faults.Set("/**", chaintest.Fault{Status: 200, Body: packed.Bytes(),
		Header: http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}})
	return true
}

// tooDeep answers with brackets in brackets.
func tooDeep(_ *court, w *witness) bool {
	return w.rewrites(func(path string, body []byte) []byte {
		if path == "/server.version" {
			return body
		}
		return bytes.Repeat([]byte("["), 1<<20)
	})
}

// silent takes every question and answers none.
func silent(_ *court, w *witness) bool {
	w.faults.Set("/**", chaintest.Fault{Hang: true})
	return true
}

// firstOnly counts as ever and lists one transaction of each list.
func firstOnly(s *court, w *witness) bool {
	s.list()
	return w.answers(func(path string, answer any) any {
		if list, ok := answer.([]any); ok && len(list) > 1 && listsTransactions(path) {
			return list[:1]
		}
		if book, ok := answer.(map[string]any); ok {
			for _, key := range []string{"transactions", "txids"} {
				if list, ok := book[key].([]any); ok && len(list) > 1 {
					book[key] = list[:1]
				}
			}
		}
		return answer
	})
}

// noneListed counts as ever and lists nothing.
func noneListed(s *court, w *witness) bool {
	s.list()
	return w.answers(func(path string, answer any) any {
		if _, ok := answer.([]any); ok && listsTransactions(path) {
			return []any{}
		}
		if book, ok := answer.(map[string]any); ok && strings.Contains(path, "/address/") {
			delete(book, "transactions")
			delete(book, "txids")
		}
		return answer
	})
}

func listsTransactions(path string) bool {
	return strings.Contains(path, "/address/") || path == "/blockchain.scripthash.get_history"
}

// withheld names new blocks and does not have them.
func withheld(_ *court, w *witness) bool {
	switch w.kind {
	case "esplora":
		w.faults.Set("/block/*/raw", chaintest.Fault{Status: http.StatusNotFound, Body: []byte("Block not found")})
	case "blockbook":
		w.faults.Set("/api/v2/rawblock/*", chaintest.Fault{Status: http.StatusBadRequest, Body: []byte(`{"error":"Block not found"}`)})
	default:
		return false // it has none
	}
	return true
}

// proofs changes the Merkle branches of an explorer that gives any.
func (s *court) proofs(w *witness, change func(siblings []any, place int64) ([]any, int64)) bool {
	s.list()
	if w.kind != "esplora" {
		return false
	}
	return w.answers(func(path string, answer any) any {
		proof, ok := answer.(map[string]any)
		if !ok || !strings.HasSuffix(path, "/merkle-proof") {
			return answer
		}
		place, _ := proof["pos"].(json.Number).Int64()
		proof["merkle"], proof["pos"] = change(proof["merkle"].([]any), place)
		return proof
	})
}

// deeperProof gives a branch that goes one level deeper than the tree: what
// leads to a transaction within a transaction of 64 bytes.
func deeperProof(s *court, w *witness) bool {
	return s.proofs(w, func(siblings []any, place int64) ([]any, int64) {
		if place == 0 {
			return siblings, place
		}
		return append([]any{strings.Repeat("12", 32)}, siblings...), 2 * place
	})
}

// doubledProof gives a branch that ends in its own double, for a place that
// there is not.
func doubledProof(s *court, w *witness) bool {
	return s.proofs(w, func(siblings []any, place int64) ([]any, int64) {
		return siblings, place + 1<<len(siblings)
	})
}

// limited refuses everything as asked too often.
func limited(_ *court, w *witness) bool {
	if w.kind == "electrum" {
		return w.answers2error([]byte(`"excessive resource usage"`))
	}
	w.faults.Set("/**", chaintest.TooMany(1))
	return true
}

// hangsUp closes every connection.
func hangsUp(_ *court, w *witness) bool {
	w.faults.SetDown(true)
	return true
}
