package chaintest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"btcwatch/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fetch gives the answer with all that can go wrong with it.
func fetch(ctx context.Context, url string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func TestFaultsOfTheWire(t *testing.T) {
	ctx := t.Context()
	c := NewChain()
	e := NewEsplora(c, c.Params())
	b := serve(t, e)
	const path = "/blocks/tip/height"

	e.Faults.Set("/blocks/**", TooMany(7))
	resp, body, err := fetch(ctx, b.url+path)
	if err != nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "7" || string(body) != "Too Many Requests" {
		t.Errorf("429: %v %s %v", resp, body, err)
	}
	b.want("/block-height/0", 200, c.BlockAt(0).BlockHash().String()) // another path is well

	e.Faults.Set("/blocks/**", HTML())
	if resp, body, err := fetch(ctx, b.url+path); err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(body), "<!DOCTYPE") || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		t.Errorf("HTML: %v %s %v", resp, body, err)
	}
	e.Faults.Set("/blocks/**", Fault{Close: true})
	if _, _, err := fetch(ctx, b.url+path); !errors.Is(err, io.EOF) {
		t.Errorf("closed: %v", err)
	}
	e.Faults.Set("/blocks/**", Fault{Truncate: true})
	if _, body, err := fetch(ctx, b.url+"/blocks/tip/hash"); !errors.Is(err, io.ErrUnexpectedEOF) || len(body) != 32 {
		t.Errorf("truncated: %q %v", body, err)
	}
	e.Faults.Set("/blocks/**", Fault{Status: 503, Times: 2})
	for _, want := range []int{503, 503, 200} {
		if status, _ := b.get(path); status != want {
			t.Errorf("got %d, want %d", status, want)
		}
	}
	e.Faults.Set("/blocks/**", Fault{Delay: 30 * time.Millisecond})
	if start := time.Now(); string(b.ok(path)) != "0" || time.Since(start) < 30*time.Millisecond {
		t.Error("not slow")
	}
	e.Faults.Clear("/blocks/**")
	e.Faults.SetDown(true)
	if _, _, err := fetch(ctx, b.url+path); err == nil {
		t.Error("a server that is down answers")
	}
	e.Faults.ClearAll()
	b.want(path, 200, "0")
}

func TestFaultHangs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := NewChain()
	e := NewEsplora(c, c.Params())
	b := serve(t, e)
	e.Faults.Set("/**", Fault{Hang: true})
	failed := make(chan error, 1)
	go func() {
		_, _, err := fetch(ctx, b.url+"/blocks/tip/hash")
		failed <- err
	}()
	if err := e.Faults.Await(ctx, "/blocks/tip/hash", 1); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		t.Fatalf("it answers: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the client that left: %v", err)
	}

	// Clearing the fault ends the wait too.
	go func() {
		_, _, err := fetch(t.Context(), b.url+"/blocks/tip/hash")
		failed <- err
	}()
	if err := e.Faults.Await(t.Context(), "/blocks/tip/hash", 2); err != nil {
		t.Fatal(err)
	}
	e.Faults.ClearAll()
	if err := <-failed; err == nil {
		t.Error("who hung got an answer")
	}
	b.want("/blocks/tip/height", 200, "0")
}

func TestFaultsLie(t *testing.T) {
	c, w := funded(t)
	a := w.Address(chain.P2WPKH, 1)
	hidden := must(w.Pay(t.Context(), Output{a.Script, 5000}))
	shown := must(w.Pay(t.Context(), Output{a.Script, 6000}))
	block := c.MineMempool()
	e := NewEsplora(c, c.Params())
	b := serve(t, e)
	id := hidden.TxHash().String()

	e.Faults.Set("/**", Fault{Drop: id})
	if got := idsOf(b.txs("/address/" + a.Text + "/txs/chain")); !slices.Equal(got, ids(shown)) {
		t.Errorf("history: %v", got)
	}
	if body := string(b.ok("/address/" + a.Text + "/utxo")); strings.Contains(body, id) {
		t.Errorf("utxo: %s", body)
	}
	if body := string(b.ok("/block/" + block.BlockHash().String() + "/txids")); strings.Contains(body, id) {
		t.Errorf("txids: %s", body)
	}
	b.want("/tx/"+id, 404, "Transaction not found")
	b.want("/blocks/tip/height", 200, "121")

	e.Faults.Set("/address/*", Fault{Rewrite: func(_ string, body []byte) []byte {
		return []byte(strings.Replace(string(body), `"tx_count":2`, `"tx_count":1`, 1))
	}})
	if got := b.stats(a.Text); got[0][4] != 1 {
		t.Errorf("counters: %v", got)
	}
}

func TestFaultsCount(t *testing.T) {
	c := NewChain()
	e := NewEsplora(c, c.Params())
	b := serve(t, e)
	a := "/address/" + MiningAddress("").Text
	b.ok("/blocks/tip/height")
	b.ok(a + "/txs/chain?max_txs=3")
	b.ok(a + "/txs/mempool")
	for pattern, want := range map[string]int{
		"/**":                  3,
		"/blocks/tip/height":   1,
		"/blocks/*":            0,
		"/address/*":           0,
		"/address/**":          2,
		"/address/*/txs/**":    2,
		"/address/*/txs/chain": 1,
		"/tx/**":               0,
	} {
		if got := e.Faults.Count(pattern); got != want {
			t.Errorf("%s: %d, want %d", pattern, got, want)
		}
	}
	if got := e.Faults.Requests()[1]; got != "GET "+a+"/txs/chain?max_txs=3" {
		t.Errorf("logged %q", got)
	}
	e.Faults.Forget()
	if n := len(e.Faults.Requests()); n != 0 {
		t.Errorf("%d left in the log", n)
	}
}

func getForBenchmark(b *testing.B, url string) []byte {
	b.Helper()
	resp, body, err := fetch(context.Background(), url)
	if err != nil || resp.StatusCode != http.StatusOK {
		b.Fatal(resp, err)
	}
	return body
}
