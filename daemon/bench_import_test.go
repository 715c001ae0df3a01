package daemon

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/chain"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

// BenchmarkImport reads, judges and imports a plain list of 1,000,000 addresses,
// and reads the same again. Memory is what the program holds, without Postgres.
func BenchmarkImport(b *testing.B) {
	const many = 1_000_000
	for b.Loop() {
		store := must(sql.Open(b.Context(), sqltest.Migrated(b), &chaincfg.MainNetParams, slog.New(slog.DiscardHandler)))
		var most uint64
		take := func() (sql.Changed, time.Duration) {
			began := time.Now()
			format, text, err := listfile.Open(numberedList(many), "")
			if err != nil {
				b.Fatal(err)
			}
			judge := watchlist.Judge{Params: &chaincfg.MainNetParams, Today: time.Now()}
			rows := judged(&judge, format.Read(listfile.Input{Text: text}), func() { most = max(most, heapHeld()) })
			changed := must(store.Import(b.Context(), sql.Import{List: "many", Rows: rows}))
			return changed, time.Since(began)
		}
		before := heapHeld()
		first, took := take()
		again, tookAgain := take()
		if first.Added != many || again.Import != 0 {
			b.Fatalf("%+v, then %+v", first, again)
		}
		store.Close()
		promised(b, "import of 1,000,000 addresses, seconds", took.Seconds(), 60, "s")
		promised(b, "memory of it", float64(most-before)/(1<<20), 300, "MB")
		promised(b, "the same list again, against the first time", tookAgain.Seconds()/took.Seconds(), 1, "")
	}
}

func heapHeld() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// numberedList is a list that is made while it is read.
func numberedList(many int) io.Reader {
	r, w := io.Pipe()
	go func() {
		for n := range many {
			hash := make([]byte, 20)
			binary.BigEndian.PutUint32(hash, uint32(n)+1)
			a, _ := chain.AddressOf(slices.Concat([]byte{0x00, 0x14}, hash), &chaincfg.MainNetParams)
			if _, err := fmt.Fprintf(w, "%s # number %d\n", a.Text, n); err != nil {
				return
			}
		}
		w.CloseWithError(io.EOF)
	}()
	return r
}

func judged(judge *watchlist.Judge, entries iter.Seq2[watchlist.Entry, error], look func()) iter.Seq2[watchlist.Row, error] {
	return func(yield func(watchlist.Row, error) bool) {
		n := 0
		for e, err := range entries {
			if n++; n%50_000 == 0 {
				look()
			}
			if !yield(judge.Judge(e), err) {
				return
			}
		}
	}
}
