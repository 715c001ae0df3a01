package explorer

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"btcwatch/chain"
)

// A list of the unconfirmed that is cut off at 50 is completed by a server that
// takes max_txs, as mempool/electrs does, which repeats the unconfirmed ones.
// One that does not know it, or whose answer does not show where they end, leaves
// the list cut off, and nothing that was listed is lost.
func TestUnconfirmedBeyondTheCap(t *testing.T) {
	var pool []*chain.Transaction
	for n := range 120 {
		pool = append(pool, payment(int64(5000+n)))
	}
	old := confirmed(payment(1), 700)
	for name, c := range map[string]struct {
		wide     []*chain.Transaction
		status   int
		want     int
		complete bool
	}{
		"mempool/electrs":               {wide: append(append(slices.Clone(pool), pool...), old), want: 120, complete: true},
		"Blockstream/electrs":           {wide: append(slices.Clone(pool[:50]), old), want: 50},
		"no confirmed one after them":   {wide: pool, want: 50},
		"a cap of its own":              {wide: pool[:100], want: 50},
		"nothing any more":              {wide: []*chain.Transaction{}, want: 50},
		"a proxy that does not like it": {status: http.StatusBadRequest, want: 50},
		"too often":                     {status: http.StatusTooManyRequests, want: 50},
	} {
		e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/txs/mempool"):
				w.Write(listed(pool[:50]))
			case r.URL.Query().Get("max_txs") != "1000" || !strings.HasSuffix(r.URL.Path, "/txs"):
				t.Errorf("%s: asked %s", name, r.URL)
			case c.status != 0:
				http.Error(w, "no", c.status)
			default:
				w.Write(listed(c.wide))
			}
		}))
		txs, complete, err := e.Addresses.Mempool(t.Context(), watched())
		if err != nil || len(txs) != c.want || complete != c.complete {
			t.Errorf("%s: %d, complete %v, %v; want %d, %v", name, len(txs), complete, err, c.want, c.complete)
		}
		for i, tx := range txs {
			if tx.ID != pool[i].ID || tx.Place != nil {
				t.Errorf("%s: %s at %d", name, tx.ID, i)
			}
		}
	}
}

// What is false in the wider list is called a lie, as in any other.
func TestLiesBeyondTheCap(t *testing.T) {
	var pool []*chain.Transaction
	for n := range 60 {
		pool = append(pool, payment(int64(5000+n)))
	}
	other := paymentTo([]byte{0x51}, 700)
	pool[55] = &chain.Transaction{ID: other.TxHash(), Msg: other, Spent: pool[0].Spent}
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/txs/mempool") {
			w.Write(listed(pool[:50]))
			return
		}
		w.Write(listed(append(slices.Clone(pool), confirmed(payment(1), 700))))
	}))
	if txs, complete, err := e.Addresses.Mempool(t.Context(), watched()); txs != nil || complete || !errors.Is(err, ErrLying) {
		t.Errorf("%d, complete %v, %v", len(txs), complete, err)
	}
}
