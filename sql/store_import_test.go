package sql_test

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"btcwatch/sql"
	"btcwatch/watchlist"
)

func rowsOf(rows ...watchlist.Row) iter.Seq2[watchlist.Row, error] {
	return func(yield func(watchlist.Row, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

func heldRow(line int, text string) watchlist.Row {
	return watchlist.Row{Line: line, Text: text, Symbol: "XBT", Held: &watchlist.Held{Reason: watchlist.HeldChecksum, Words: "bad checksum"}}
}

// full is a listing of which every field says something of its own.
func full(n int) watchlist.Listing {
	at := func(s string) string { return fmt.Sprintf("%s %d \x00\xff", s, n) }
	return watchlist.Listing{
		Address: numberedOwn(n), Label: at("label"), Entity: at("entity"), Category: at("category"), Basis: watchlist.Designation, Confidential: n%2 == 0,
		Source: watchlist.Source{Title: at("title"), Author: at("author"), Publisher: at("publisher"), Date: "2024", URL: at("url"),
			Locator: at("locator"), Quote: at("quote")},
		Version: at("version"), Confidence: watchlist.Confidence{Percent: n % 101, Said: true},
		From: time.Date(2020, 1, 1+n%28, 0, 0, 0, 0, time.UTC),
	}
}

// What is imported is what the store gives back, each field of it.
func TestImportKeepsAllThatAListSays(t *testing.T) {
	b, _ := started(t)
	want := full(3)
	i := sql.Import{List: "pack", Origin: "pack.yaml", Actor: "tester", Format: "tagpack", Rows: rowsOf(watchlist.Row{Listing: want}, heldRow(9, "1Ab"))}
	changed, err := b.store.Import(t.Context(), i)
	b.must(err)
	if changed.Import == 0 || changed.Added != 1 || changed.Held != 1 || changed.Entries != 2 {
		t.Errorf("%+v", changed)
	}
	got, err := b.store.Listings(t.Context(), want.Address)
	b.must(err)
	plain := func(s string) string { return strings.NewReplacer("\x00", "\ufffd", "\xff", "\ufffd").Replace(s) }
	want.List, want.Label, want.Entity, want.Category, want.Version = "pack", plain(want.Label), plain(want.Entity), plain(want.Category), plain(want.Version)
	s := &want.Source
	s.Title, s.Author, s.Publisher, s.URL, s.Locator, s.Quote = plain(s.Title), plain(s.Author), plain(s.Publisher), plain(s.URL), plain(s.Locator), plain(s.Quote)
	got[0].Address.Kind = want.Address.Kind // which the script says
	if len(got) != 1 || fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", want) {
		t.Errorf("imported\n%+v, got\n%+v", want, got)
	}
	b.expect(`SELECT list || ' ' || line || ' ' || address_text || ' ' || symbol || ' ' || reason FROM report.held`, "pack 9 1Ab XBT checksum")
	i.Rows = rowsOf(watchlist.Row{Listing: full(3)}, heldRow(9, "1Ab"))
	if changed, err := b.store.Import(t.Context(), i); err != nil || changed.Import != 0 {
		t.Errorf("the same file again: %+v %v", changed, err)
	}
	i.Rows = rowsOf(watchlist.Row{Listing: full(3)}, heldRow(10, "1Ab"))
	if changed, err := b.store.Import(t.Context(), i); err != nil || changed.Import == 0 || changed.Added+changed.Changed+changed.Retired != 0 {
		t.Errorf("another row held: %+v %v", changed, err)
	}
	b.expect(`SELECT line::text FROM report.held`, "10")
}

// Files of three lists come in any order, whole and in part, and a trial of each
// says the same and changes nothing. The model is a map.
func TestImportsAgainstAModel(t *testing.T) {
	b, _ := started(t)
	random := rand.New(rand.NewPCG(1, 2))
	model := map[string]map[int]string{"a": {}, "b": {}, "c": {}}
	known := map[string]map[int]bool{"a": {}, "b": {}, "c": {}}
	for round := range 60 {
		list := string("abc"[random.IntN(3)])
		add := random.IntN(3) == 0
		before := maps.Clone(model[list])
		if !add {
			clear(model[list])
		}
		var rows []watchlist.Row
		want := sql.Changed{}
		for n := range 12 {
			if random.IntN(2) == 0 {
				continue
			}
			label := fmt.Sprint("label ", random.IntN(2))
			rows = append(rows, watchlist.Row{Listing: watchlist.Listing{Address: numberedOwn(n), Label: label}})
			old, there := before[n]
			switch {
			case !there:
				want.Added++
			case old != label:
				want.Changed++
			}
			model[list][n], known[list][n] = label, true
		}
		for n := range before {
			if _, stays := model[list][n]; !stays {
				want.Retired++
			}
		}
		if len(rows) == 0 {
			model[list] = before
			continue
		}
		i := sql.Import{List: list, Origin: "file", Rows: rowsOf(rows...), Add: add, Dry: true}
		trial, err := b.store.Import(t.Context(), i)
		b.must(err)
		i.Dry = false
		got, err := b.store.Import(t.Context(), i)
		b.must(err)
		if (got.Import != 0) != (want.Added+want.Changed+want.Retired > 0) {
			t.Fatalf("round %d: %+v, want %+v", round, got, want)
		}
		trial.Import, got.Import, want.Entries = 0, 0, int64(len(rows))
		if got != want || trial != want {
			t.Fatalf("round %d: %+v, the trial %+v, want %+v", round, got, trial, want)
		}
	}
	var standing, histories []string
	for list, on := range model {
		for n, label := range on {
			standing = append(standing, list+" "+numberedOwn(n).Text+" "+label)
		}
		for n := range known[list] {
			histories = append(histories, list+" "+numberedOwn(n).Text)
		}
	}
	slices.Sort(standing)
	slices.Sort(histories)
	b.expect(`
		SELECT l.list || ' ' || s.address || ' ' || l.label
		FROM btcwatch.listing_now l
		JOIN btcwatch.script s ON s.id = l.script_id`, strings.Join(standing, " "))
	b.expect(`SELECT DISTINCT list || ' ' || address FROM report.listings`, strings.Join(histories, " "))
	b.expect(`SELECT count(*)::text FROM report.listings a JOIN report.listings b USING (list, address) WHERE a.known_from < b.known_from AND (a.known_to IS NULL OR a.known_to > b.known_from)`, "0")
}

func TestImportIsAllOrNothing(t *testing.T) {
	b, _ := started(t)
	broken := errors.New("line 3: broken")
	_, err := b.store.Import(t.Context(), sql.Import{List: "l", Rows: func(yield func(watchlist.Row, error) bool) {
		_ = yield(watchlist.Row{Listing: full(1)}, nil) && yield(watchlist.Row{}, broken)
	}})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	b.expect(`SELECT count(*)::text FROM btcwatch.import WHERE list = 'l'`, "0")
	b.expect(`SELECT count(*)::text FROM report.listings`, "0")
	for _, list := range []string{"", "config", "command"} {
		if _, err := b.store.Import(t.Context(), sql.Import{List: list, Rows: rowsOf()}); !errors.Is(err, sql.ErrReserved) {
			t.Errorf("as %q: %v", list, err)
		}
	}
}

func TestImportRefusesTooMuchChange(t *testing.T) {
	b, _ := started(t)
	of := func(numbers ...int) iter.Seq2[watchlist.Row, error] {
		var rows []watchlist.Row
		for _, n := range numbers {
			rows = append(rows, watchlist.Row{Listing: full(n)})
		}
		return rowsOf(rows...)
	}
	i := sql.Import{List: "l", Rows: of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), MaxChange: 20}
	size := new(sql.SizeError)
	if _, err := b.store.Import(t.Context(), sql.Import{List: "l", Rows: of()}); !errors.As(err, &size) {
		t.Errorf("a list of nothing is taken: %v", err)
	}
	_, err := b.store.Import(t.Context(), i)
	b.must(err) // the first is taken whatever its size
	for _, c := range []struct {
		rows  iter.Seq2[watchlist.Row, error]
		taken bool
	}{
		{of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), true}, // 2 of 10
		{of(1, 2, 3, 4, 5, 6, 7, 8, 9), false},            // 3 of 12
		{of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14), false},
		{of(), false},
		{rowsOf(heldRow(1, "x")), false},
	} {
		i.Rows = c.rows
		_, err := b.store.Import(t.Context(), i)
		size := new(sql.SizeError)
		if c.taken && err != nil || !c.taken && !errors.As(err, &size) {
			t.Errorf("taken should be %v: %v", c.taken, err)
		}
	}
	b.expect(`SELECT count(*)::text FROM btcwatch.listing_now`, "12")
}
