package chaintest

import (
	"crypto/sha256"
	"net/http"
	"slices"

	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

func (e *Esplora) address(r *http.Request, h *scriptHistory) ([]byte, error) {
	kind, text := "address", r.PathValue("address")
	if text == "" {
		kind, text = "scripthash", r.PathValue("scripthash")
	}
	body := append([]byte(`{"`), kind+`":"`+text+`","chain_stats":`...)
	body = h.chainSum.append(body)
	body = append(body, `,"mempool_stats":`...)
	return append(h.poolSum.append(body), '}'), nil
}

// addressTxs gives the mempool, oldest first, and then the newest confirmed.
func (e *Esplora) addressTxs(_ *http.Request, h *scriptHistory) ([]byte, error) {
	unconfirmed := first(h.pool, mempoolPage)
	if e.Flavour == BlockstreamElectrs {
		return e.list(slices.Concat(unconfirmed, e.chainAfter(h, nil, chainPage))), nil
	}
	twice := slices.Concat(unconfirmed, unconfirmed)
	return e.list(append(twice, e.chainAfter(h, nil, max(0, sharedPage-len(twice)))...)), nil
}

// addressChain gives a page of confirmed transactions, newest first. A cursor
// that is no hash counts as none, and one that is not found gives nothing.
func (e *Esplora) addressChain(r *http.Request, h *scriptHistory) ([]byte, error) {
	var after *chainhash.Hash
	if last, err := parseHash(r.PathValue("last")); err == nil {
		after = &last
	}
	return e.list(e.chainAfter(h, after, chainPage)), nil
}

func (e *Esplora) chainAfter(h *scriptHistory, after *chainhash.Hash, n int) []*entry {
	end := len(h.confirmed)
	if after != nil {
		end = 0
		if last := e.index.txs[*after]; last != nil {
			end = max(0, slices.Index(h.confirmed, last))
		}
	}
	page := slices.Clone(h.confirmed[max(0, end-n):end])
	if !e.Unordered {
		slices.Reverse(page)
	}
	return page
}

func (e *Esplora) addressMempool(_ *http.Request, h *scriptHistory) ([]byte, error) {
	return e.list(first(h.pool, mempoolPage)), nil
}

func (e *Esplora) list(txs []*entry) []byte {
	body := []byte{'['}
	for i, tx := range txs {
		body = e.render.transaction(comma(body, i), tx)
	}
	return append(body, ']')
}

// addressUTXO gives the outputs that nobody spends, not even in the mempool.
func (e *Esplora) addressUTXO(_ *http.Request, h *scriptHistory) ([]byte, error) {
	body, n := []byte{'['}, 0
	for _, tx := range slices.Concat(h.confirmed, h.pool) {
		for i, out := range tx.tx.TxOut {
			at := wire.OutPoint{Hash: tx.id, Index: uint32(i)}
			if _, spent := e.index.spent(at); spent || sha256.Sum256(out.PkScript) != h.script {
				continue
			}
			body = append(comma(body, n), `{"txid":"`+tx.id.String()+`","vout":`...)
			body = append(appendInt(body, int64(i)), `,"status":`...)
			body = append(appendInt(append(tx.appendStatus(body), `,"value":`...), out.Value), '}')
			n++
		}
	}
	if n > maxUTXOs {
		return nil, errTooManyOutputs
	}
	return append(body, ']'), nil
}

func first(txs []*entry, n int) []*entry { return txs[:min(n, len(txs))] }
