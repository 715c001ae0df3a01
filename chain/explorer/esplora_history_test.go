package explorer

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

// read reads a whole history, and says how often each transaction was yielded.
func read(t *testing.T, e *Explorer) (all []*chain.Transaction, pages int, err error) {
	t.Helper()
	for page, err := range e.Addresses.History(t.Context(), watched()) {
		if err != nil {
			return all, pages, err
		}
		pages++
		all = append(all, page...)
	}
	return all, pages, nil
}

// wantAll holds a history against what the server has, each once.
func wantAll(t *testing.T, got, want []*chain.Transaction) {
	t.Helper()
	count := map[chainhash.Hash]int{}
	for _, tx := range got {
		count[tx.ID]++
	}
	for _, tx := range want {
		if count[tx.ID] != 1 {
			t.Errorf("transaction at height %d came %d times", tx.Place.Height, count[tx.ID])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d transactions came, there are %d", len(got), len(want))
	}
}

func TestHistoryOf120TransactionsTakesFivePages(t *testing.T) {
	server := &electrs{chain: payments(120)}
	e := opened(t, server)
	got, pages, err := read(t, e)
	if err != nil || pages != 5 {
		t.Fatalf("%d pages, %v", pages, err)
	}
	wantAll(t, got, server.chain)
	// Five pages, the empty one, the cursor's status.
	if paths := server.paths(); len(paths) != 7 || !strings.HasSuffix(paths[6], "/status") {
		t.Errorf("asked %d questions: %v", len(paths), paths)
	}
	first := got[0]
	want := server.chain[0]
	if first.Msg.TxHash() != want.ID || *first.Place != *want.Place || first.Spent[0].Value != want.Spent[0].Value || string(first.Spent[0].PkScript) != "\x51" {
		t.Errorf("the newest came as %+v at %+v", first, first.Place)
	}
	if !slices.IsSortedFunc(got, func(a, b *chain.Transaction) int { return int(b.Place.Height - a.Place.Height) }) {
		t.Error("not newest first")
	}
}

func TestHistoryOfAnUnusedAddressIsEmpty(t *testing.T) {
	server := &electrs{}
	got, pages, err := read(t, opened(t, server))
	if err != nil || len(got) != 0 || pages != 0 || len(server.paths()) != 1 {
		t.Errorf("%d transactions, %d pages, %v, asked %v", len(got), pages, err, server.paths())
	}
}

// §1.4: mempool/electrs drops transactions whose outputs it cannot resolve, so
// a short page is no end.
func TestShortPageIsNoEnd(t *testing.T) {
	server := &electrs{chain: payments(70)}
	server.present = func(page []*chain.Transaction) []*chain.Transaction {
		return slices.DeleteFunc(page, func(tx *chain.Transaction) bool { return tx.ID == server.chain[3].ID })
	}
	got, _, err := read(t, opened(t, server))
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, got, slices.Delete(slices.Clone(server.chain), 3, 4))
}

// §1.4: the order inside a page is not guaranteed; duplicates may follow, holes
// must not.
func TestShuffledPagesLoseNothing(t *testing.T) {
	for seed := range uint64(40) {
		chance := rand.New(rand.NewPCG(seed, 1))
		server := &electrs{chain: payments(1 + chance.IntN(60)), pageSize: 1 + chance.IntN(9)}
		if seed%2 == 0 { // all in one block: any of a page may be its lowest
			for i, tx := range server.chain {
				server.chain[i] = confirmed(tx, 500)
			}
		}
		server.present = func(page []*chain.Transaction) []*chain.Transaction {
			chance.Shuffle(len(page), func(i, j int) { page[i], page[j] = page[j], page[i] })
			return page
		}
		got, _, err := read(t, opened(t, server))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		wantAll(t, got, server.chain)
	}
}

// §1.4: a cursor that the server cannot read gives the first page again.
func TestRepeatedFirstPageEnds(t *testing.T) {
	for name, page := range map[string][]*chain.Transaction{"different heights": payments(25), "one transaction": payments(1), "one height": payments(2)} {
		e := opened(t, text("%s", listed(page)))
		got, _, err := read(t, e)
		if !errors.Is(err, ErrMalformed) || len(got) != len(page) {
			t.Errorf("%s: %d transactions, %v", name, len(got), err)
		}
		if e.Pace.Requests() != 2 || e.Pace.Failures()["malformed"] != 1 {
			t.Errorf("%s: %d requests, failures %v", name, e.Pace.Requests(), e.Pace.Failures())
		}
	}
}

// A server that answers two pages in turn goes round no more than once.
func TestPagesInACircleEnd(t *testing.T) {
	all := payments(4)
	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, all[1].ID.String()) {
			w.Write(listed(all[2:]))
		} else {
			w.Write(listed(all[:2]))
		}
	})
	got, _, err := read(t, opened(t, server))
	if err == nil {
		t.Error("no error")
	}
	wantAll(t, got, all)
}

// §1.4 and P1: an unknown cursor gives 200 [], as the end does. Here a
// reorganisation takes the cursor away once, and the history starts over.
func TestUnknownCursorIsNoEnd(t *testing.T) {
	before := payments(60)
	after := slices.Clone(before)
	for i := range 30 { // the newest 30 are mined again, in other blocks
		after[i] = confirmed(before[i], before[i].Place.Height)
		after[i].Place.Block = blockHashAt(after[i].Place.Height, 1)
	}
	after = slices.Delete(after, 24, 25) // but for the first page's cursor
	server := &electrs{chain: before}
	server.before = func(path string) {
		if strings.HasSuffix(path, before[24].ID.String()) {
			server.chain = after
		}
	}
	got, _, err := read(t, opened(t, server))
	if err != nil {
		t.Fatal(err)
	}
	last := map[chainhash.Hash]chainhash.Hash{}
	for _, tx := range got {
		last[tx.ID] = tx.Place.Block
	}
	for _, tx := range after {
		if last[tx.ID] != tx.Place.Block {
			t.Errorf("transaction at height %d was last told of in %s, it is in %s", tx.Place.Height, last[tx.ID], tx.Place.Block)
		}
	}
	// 25 before the reorganisation, then the 29 that moved and the 30 not told.
	if len(got) != 25+29+30 {
		t.Errorf("%d told", len(got))
	}
}

// A cursor still confirmed, but in another block, proves no end either.
func TestCursorInAnotherBlockIsNoEnd(t *testing.T) {
	server := &electrs{chain: payments(3)}
	moved := false
	server.before = func(path string) {
		if strings.HasSuffix(path, "/status") && !moved {
			moved = true
			place := *server.chain[2].Place
			place.Block = blockHashAt(place.Height, 7)
			server.chain[2].Place = &place
		}
	}
	got, _, err := read(t, opened(t, server))
	if err != nil || len(got) != 4 || got[3].Place.Block[8] != 7 {
		t.Errorf("%d told, %v", len(got), err)
	}
}

// A server whose cursors are always unknown is given up, not believed.
func TestCursorNeverKnownIsUnavailable(t *testing.T) {
	all := payments(25)
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/chain"):
			w.Write(listed(all))
		case strings.HasSuffix(r.URL.Path, "/status"):
			w.Write([]byte(`{"confirmed":false}`))
		default:
			w.Write([]byte(`[]`))
		}
	}))
	got, _, err := read(t, e)
	if !errors.Is(err, ErrUnavailable) || len(got) != 25 {
		t.Errorf("%d transactions, %v", len(got), err)
	}
	if e.Pace.Requests() != historyPasses*3 {
		t.Errorf("%d requests", e.Pace.Requests())
	}
}

// The status of the cursor must be had: 404 (the mempool backend's way) is
// "gone", an error is an error.
func TestEndIsNotBelievedWithoutTheCursorsStatus(t *testing.T) {
	for status, kind := range map[int]error{404: ErrUnavailable, 500: ErrUnavailable, 400: ErrRefused} {
		e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/chain"):
				w.Write(listed(payments(2)))
			case strings.HasSuffix(r.URL.Path, "/status"):
				http.Error(w, "Transaction not found", status)
			default:
				w.Write([]byte(`[]`))
			}
		}))
		newFakeClock(e.Pace)
		if _, _, err := read(t, e); !errors.Is(err, kind) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// A cursor that comes again in another block was mined again, further down: the
// history starts over, and tells of it anew.
func TestCursorMinedAgainFurtherDown(t *testing.T) {
	server := &electrs{chain: payments(6), pageSize: 2}
	mined := false
	server.before = func(path string) {
		if strings.HasSuffix(path, server.chain[3].ID.String()) && !mined {
			mined = true
			cursor := confirmed(server.chain[1], 100)
			cursor.Place.Block = blockHashAt(100, 3)
			// After the cursor of this question, where a walk from the top has been.
			server.chain = slices.Insert(slices.Delete(server.chain, 1, 2), 3, cursor)
		}
	}
	got, _, err := read(t, opened(t, server))
	if err != nil || len(got) != 7 {
		t.Fatalf("%d told, %v", len(got), err)
	}
	last := map[chainhash.Hash]chain.Place{}
	for _, tx := range got {
		last[tx.ID] = *tx.Place
	}
	if len(last) != 6 {
		t.Errorf("%d transactions", len(last))
	}
	for _, tx := range server.chain {
		if last[tx.ID] != *tx.Place {
			t.Errorf("told of %v, stands at %v", last[tx.ID], *tx.Place)
		}
	}
}

// A page newer than its cursor cannot come after it.
func TestPageNewerThanItsCursorStartsOver(t *testing.T) {
	all := payments(6)
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/chain") {
			w.Write(listed(all[4:]))
		} else {
			w.Write(listed(all[:2]))
		}
	}))
	if _, _, err := read(t, e); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestHistoryRefusesUnconfirmed(t *testing.T) {
	e := opened(t, text("%s", listed([]*chain.Transaction{payments(1)[0], payment(7)})))
	if got, _, err := read(t, e); !errors.Is(err, ErrMalformed) || len(got) != 0 {
		t.Errorf("%d transactions, %v", len(got), err)
	}
}

func TestHistoryCanBeStopped(t *testing.T) {
	server := &electrs{chain: payments(120)}
	for range opened(t, server).Addresses.History(t.Context(), watched()) {
		break
	}
	if n := len(server.paths()); n != 1 {
		t.Errorf("%d questions asked", n)
	}
}

// A history that has begun waits for its pages; one that has not fails at once.
func TestHistoryBegunOutlastsPassingTrouble(t *testing.T) {
	troubles := 0
	server := &electrs{chain: payments(60)}
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/chain") && troubles < 3 {
			troubles++
			w.Header().Set("Retry-After", "7")
			w.WriteHeader([]int{429, 502, 503}[troubles-1])
			return
		}
		server.ServeHTTP(w, r)
	}))
	clock := newFakeClock(e.Pace)
	got, _, err := read(t, e)
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, got, server.chain)
	if want := []time.Duration{7 * time.Second, 4 * time.Second, 7 * time.Second}; !slices.Equal(clock.slept, want) {
		t.Errorf("waited %v, want %v", clock.slept, want)
	}
}

func TestHistoryNotBegunFailsAtOnce(t *testing.T) {
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }))
	clock := newFakeClock(e.Pace)
	if _, _, err := read(t, e); !errors.Is(err, ErrUnavailable) || e.Pace.Requests() != 1 || len(clock.slept) != 0 {
		t.Errorf("%v after %d requests, waited %v", err, e.Pace.Requests(), clock.slept)
	}
}

func TestHistoryDoesNotOutlastALongPause(t *testing.T) {
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/chain") {
			w.Write(listed(payments(25)))
			return
		}
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(429)
	}))
	clock := newFakeClock(e.Pace)
	_, _, err := read(t, e)
	if after, ok := RetryAfter(err); !errors.Is(err, ErrRateLimited) || !ok || after != 30*time.Minute || len(clock.slept) != 0 {
		t.Errorf("%v, again in %v", err, after)
	}
}
