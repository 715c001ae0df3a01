package explorer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"btcwatch/chain"
)

// A question about the chain goes before all those about addresses that came
// earlier, and those keep their order.
func TestBlocksGoFirst(t *testing.T) {
	var (
		asked   []string // one request at a time
		started = make(chan struct{}, 1)
		answer  = make(chan struct{})
	)
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		started <- struct{}{}
		<-answer
		if strings.HasSuffix(r.URL.Path, "/tip/height") {
			io.WriteString(w, "5")
			return
		}
		io.WriteString(w, "[]")
	}))
	var all sync.WaitGroup
	ask := func(question func() error, place int) {
		all.Go(func() {
			if err := question(); err != nil {
				t.Error(err)
			}
		})
		awaitQueued(t, e, place)
	}
	mempool := func(name string) func() error {
		return func() error {
			_, _, err := e.Addresses.Mempool(t.Context(), chain.Address{Text: name})
			return err
		}
	}
	ask(mempool("a"), 0)
	<-started
	ask(mempool("b"), 1)
	ask(mempool("c"), 2)
	ask(func() error { _, err := e.Chain.Tip(t.Context()); return err }, 3)
	for range 3 {
		answer <- struct{}{}
		<-started
	}
	close(answer)
	all.Wait()
	want := []string{"/address/a/txs/mempool", "/blocks/tip/height", "/address/b/txs/mempool", "/address/c/txs/mempool"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked in the order %q, want %q", asked, want)
	}
}

func queued(e *Explorer) int {
	t := &e.Chain.(esplora).client.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.urgent) + len(t.waiting)
}

func awaitQueued(t *testing.T, e *Explorer, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); queued(e) != n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", queued(e), n)
		}
	}
}

// However those that wait come and go, one is let through at a time and the
// turn is never lost.
func TestTurnsAreNeverLost(t *testing.T) {
	var (
		turns turns
		all   sync.WaitGroup
		count int // guarded by the turn
		got   int
	)
	for i := range 400 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*100*time.Microsecond)
			if i%3 == 0 {
				ctx, cancel = context.WithCancel(t.Context())
			}
			defer cancel()
			err := turns.take(ctx, i%5 == 0)
			if errors.Is(err, context.DeadlineExceeded) {
				return
			}
			if err != nil {
				t.Error(fmt.Errorf("turn %d: %w", i, err))
				return
			}
			defer turns.give()
			if count++; count != 1 {
				t.Errorf("%d at once", count)
			}
			got++
			time.Sleep(50 * time.Microsecond)
			count--
		})
	}
	all.Wait()
	if got < 134 || turns.taken || len(turns.urgent)+len(turns.waiting) > 0 {
		t.Errorf("%d came through; left behind: %+v", got, &turns)
	}
}
