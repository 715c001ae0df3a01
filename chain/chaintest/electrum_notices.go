package chaintest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
)

// wishes is what one connection wished to be told of. Only the goroutine that
// writes to the connection uses it.
type wishes struct {
	conn    net.Conn
	blocks  bool
	tip     chainhash.Hash    // told last
	scripts map[string]string // to the status told last, by the hash as it was spelt
}

type wishesKey struct{}

func wishesOf(ctx context.Context) *wishes {
	w, _ := ctx.Value(wishesKey{}).(*wishes)
	return w
}

var errTooManyWishes = &electrumError{1, "too many subscriptions"}

// wish takes the wish to be told of a script, and gives its status.
func (e *Electrum) wish(w *wishes, params []json.RawMessage) (any, error) {
	status, text, err := e.statusOf(params)
	if err != nil {
		return nil, err
	}
	if _, again := w.scripts[text]; !again && e.MostWishes > 0 && len(w.scripts) >= e.MostWishes {
		return nil, errTooManyWishes
	}
	w.scripts[text] = status
	return orNull(status), nil
}

func (e *Electrum) unwish(w *wishes, params []json.RawMessage) (any, error) {
	_, text, err := e.statusOf(params)
	_, wished := w.scripts[text]
	delete(w.scripts, text)
	return wished, err
}

func orNull(status string) any {
	if status == "" {
		return nil
	}
	return status
}

// statusOf works out the status of the history of the first parameter: empty
// for none.
func (e *Electrum) statusOf(params []json.RawMessage) (status, text string, err error) {
	list, err := e.history(params)
	if err := param(params, 0, &text); err != nil {
		return "", "", err
	}
	entries, _ := list.([]any)
	if err != nil || len(entries) == 0 {
		return "", text, err
	}
	// From 1.6 on what is unconfirmed has an order of its own.
	if e.Flavour == Fulcrum {
		first := slices.IndexFunc(entries, func(one any) bool { return heightOf(one) < 1 })
		if first >= 0 {
			slices.SortFunc(entries[first:], func(a, b any) int {
				if heightOf(a) != heightOf(b) {
					return heightOf(b) - heightOf(a)
				}
				if idOf(a) < idOf(b) {
					return -1
				}
				return 1
			})
		}
	}
	hash := sha256.New()
	for _, one := range entries {
		fmt.Fprintf(hash, "%s:%d:", idOf(one), heightOf(one))
	}
	return hex.EncodeToString(hash.Sum(nil)), text, nil
}

func idOf(one any) string { return one.(map[string]any)["tx_hash"].(string) }

func heightOf(one any) int {
	switch height := one.(map[string]any)["height"].(type) {
	case int32:
		return int(height)
	case int:
		return height
	}
	return 0
}

func (e *Electrum) best() any {
	tip := e.esplora.tip()
	return map[string]any{"height": tip.height, "hex": tip.rawHeader()}
}

// tell writes what has changed since it was told last; false where the
// connection is gone.
func (e *Electrum) tell(ctx context.Context, w *wishes) bool {
	if !w.blocks && len(w.scripts) == 0 {
		return true
	}
	e.esplora.refresh(ctx)
	e.esplora.index.mu.RLock()
	notices := e.news(w)
	e.esplora.index.mu.RUnlock()
	for _, notice := range notices {
		text, err := json.Marshal(notice)
		if err != nil {
			panic(err) // notices are made of strings and numbers
		}
		if _, err := w.conn.Write(append(text, '\n')); err != nil {
			return false
		}
	}
	return true
}

func (e *Electrum) news(w *wishes) (notices []any) {
	notice := func(method string, params ...any) {
		notices = append(notices, map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
	}
	if tip := e.esplora.tip(); w.blocks && tip != nil && tip.hash != w.tip {
		w.tip = tip.hash
		notice("blockchain.headers.subscribe", e.best())
	}
	for text, before := range w.scripts {
		quoted, err := json.Marshal(text)
		if err != nil {
			panic(err) // a string can be written
		}
		now, _, err := e.statusOf([]json.RawMessage{quoted})
		if err == nil && now != before {
			w.scripts[text] = now
			notice("blockchain.scripthash.subscribe", text, orNull(now))
		}
	}
	return notices
}
