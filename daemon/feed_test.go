package daemon

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/jackc/pgx/v5"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/sql"
	"btcwatch/sql/sqltest"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

const (
	fedOne = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"
	fedTwo = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
)

// TestFeed: a list on the web is taken, asked for by its version, refused when it
// is broken, empty or changes too much, and each of that is told once.
func TestFeed(t *testing.T) {
	url := sqltest.Migrated(t)
	store, err := sql.Open(t.Context(), url, &chaincfg.RegressionNetParams, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	lead, err := store.TakeLead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer lead.Release(context.Background())
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer struct {
		status     int
		text, etag string
	}
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("If-None-Match"))
		if answer.etag != "" && r.Header.Get("If-None-Match") == answer.etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", answer.etag)
		w.WriteHeader(answer.status)
		fmt.Fprint(w, answer.text)
	}))
	defer server.Close()
	clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	keep := t.TempDir()
	f := &feed{
		set: ListSettings{Name: "partner", Origin: server.URL + "/list.csv", MaxChange: 20, Given: listfile.Given{
			Params: &chaincfg.RegressionNetParams, Listing: watchlist.Listing{Basis: watchlist.Partner},
		}},
		store: store, writer: store.Writer(lead, sql.Telling{Channels: []alerts.Settings{{Name: "mail", Kind: "email"}}}, nil),
		keep: keep, beat: func() {}, now: func() time.Time { return clock }, log: slog.New(slog.DiscardHandler),
		pauses: []time.Duration{time.Millisecond},
	}
	const whole = "address,label\n" + fedOne + ",one\n" + fedTwo + ",two\n"
	for i, step := range []struct {
		status     int
		text, etag string
		later      time.Duration
		told       string // all alerts of lists until then, by type
		tries      int
		standing   int
	}{
		{500, "", "", 0, "list.failing", 2, 0},
		{500, "", "", time.Hour, "list.failing", 2, 0}, // told already
		{200, whole, `"v1"`, time.Hour, "list.failing list.recovered", 1, 2},
		{200, whole, `"v1"`, time.Hour, "list.failing list.recovered", 1, 2}, // not sent again
		{200, "address,label\n" + fedOne + ",one\n", `"v2"`, time.Hour, "list.failing list.recovered list.failing", 1, 2},
		{200, "", `"v3"`, time.Hour, "list.failing list.recovered list.failing list.failing", 1, 2}, // empty: another kind of failure
		{200, "<html><body>Log in</body></html>", `"v4"`, time.Hour, "list.failing list.recovered list.failing list.failing", 1, 2},
		{200, whole, `"v1"`, 24 * time.Hour, "list.failing list.recovered list.failing list.failing list.recovered", 1, 2},
	} {
		answer.status, answer.text, answer.etag, asked = step.status, step.text, step.etag, nil
		clock = clock.Add(step.later)
		if err := f.round(t.Context()); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		var told string
		var standing int
		err := conn.QueryRow(t.Context(), `
			SELECT coalesce((SELECT string_agg(type, ' ' ORDER BY seq) FROM btcwatch.alert), ''),
			       (SELECT count(*) FROM btcwatch.listing_now WHERE list = 'partner' AND basis = 'partner')`).Scan(&told, &standing)
		if err != nil {
			t.Fatal(err)
		}
		if told != step.told || len(asked) != step.tries || standing != step.standing {
			t.Errorf("%d: told %q, asked %q, %d stand; want %+v", i, told, asked, standing, step)
		}
		if i == 3 && asked[0] != `"v1"` {
			t.Errorf("asked for %q where v1 is known", asked)
		}
		if i == 7 && asked[0] != "" {
			t.Errorf("on another day it is not read in full: %q", asked)
		}
	}
	// Another file, imported by hand, is not what the server means by its version.
	other := sql.Import{List: "partner", Origin: "other.csv", Rows: func(yield func(watchlist.Row, error) bool) {
		one, _ := chain.ParseAddress(fedOne, &chaincfg.RegressionNetParams)
		yield(watchlist.Row{Listing: watchlist.Listing{Address: one}}, nil)
	}}
	if _, err := store.Import(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	asked = nil
	f.set.MaxChange = 0
	if err := f.round(t.Context()); err != nil || fmt.Sprint(asked) != `["v1" ]` {
		t.Errorf("asked %q: %v", asked, err)
	}
	var standing int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM btcwatch.listing_now WHERE list = 'partner'`).Scan(&standing); err != nil || standing != 2 {
		t.Errorf("%d stand (%v)", standing, err)
	}
	// What cannot be read is told as such, and is no error of the job.
	broken := *f
	broken.set.Name, broken.set.Origin, broken.set.File = "broken", t.TempDir(), true
	if err := broken.round(t.Context()); err != nil {
		t.Error(err)
	}
	var kind string
	if err := conn.QueryRow(t.Context(), `SELECT kind FROM btcwatch.list_failure WHERE list = 'broken'`).Scan(&kind); err != nil || kind != "unreachable" {
		t.Errorf("a directory is told as %q (%v)", kind, err)
	}
	kept, err := filepath.Glob(filepath.Join(keep, "*", "*.gz"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %q %v", kept, err)
	}
	file, err := os.Open(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(text); string(got) != whole || err != nil {
		t.Errorf("kept is %q %v", got, err)
	}
	var readings, failures int
	err = conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM btcwatch.list_read), (SELECT count(*) FROM btcwatch.list_failure)`).Scan(&readings, &failures)
	if err != nil || readings != 5 || failures != 6 {
		t.Errorf("%d readings and %d failures are recorded (%v)", readings, failures, err)
	}
}
