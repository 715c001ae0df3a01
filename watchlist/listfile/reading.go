package listfile

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"

	"btcwatch/watchlist"
)

// Given is what a person says of a list, besides what the file says itself.
type Given struct {
	Format  string            // its name; empty: recognised
	Symbols []string          // other coins under which Bitcoin addresses are taken
	Columns map[string]string // of a table, see Input

	Listing      watchlist.Listing // what holds where the file says nothing: basis, entity, category, source, notify
	Confidential *bool             // nil: as the file says, and own addresses are

	Params *chaincfg.Params
	Today  time.Time
	Told   func(string) // hears how a table is read; nil: nobody does
}

// shownHeld is how many entries that are not watched a reading remembers.
const shownHeld = 20

// Reading reads one list, judges its entries, and remembers for the person who
// reads along what is not watched. It serves once.
type Reading struct {
	Format  Format
	Held    []watchlist.Row // the first that are not watched
	Reasons map[watchlist.HeldReason]int64
	Entries int64            // read so far
	First   watchlist.Source // of the first entry, as the list says it

	given   Given
	judge   watchlist.Judge
	entries iter.Seq2[watchlist.Entry, error]
	whole   io.Reader
	sum     hash.Hash
}

// Read begins to read a list. name is that of the file, and beside are the files
// that lie where it lies, if any. A *FaultError says what is wrong with the list.
func Read(text io.Reader, name string, beside fs.FS, given Given) (*Reading, error) {
	r := &Reading{given: given, sum: sha256.New(), Reasons: map[watchlist.HeldReason]int64{}}
	r.whole = io.TeeReader(text, r.sum)
	r.judge = watchlist.Judge{Params: given.Params, Symbols: given.Symbols, Today: given.Today}
	var rest io.Reader
	var err error
	if r.Format, rest, err = Open(r.whole, given.Format); err != nil {
		return nil, err
	}
	r.entries = r.Format.Read(Input{Text: rest, Name: name, Beside: beside, Columns: given.Columns, Told: given.Told, Params: given.Params})
	return r, nil
}

// Rows gives the entries as they were judged. After an error nothing follows.
func (r *Reading) Rows() iter.Seq2[watchlist.Row, error] {
	return func(yield func(watchlist.Row, error) bool) {
		for e, err := range r.entries {
			if err == nil {
				err = r.future(e)
			}
			if err != nil {
				yield(watchlist.Row{}, err)
				return
			}
			if r.Entries++; r.Entries == 1 {
				r.First = e.Listing.Source
			}
			r.given.complete(&e)
			row := r.judge.Judge(e)
			if row.Held != nil {
				r.Reasons[row.Held.Reason]++
				if len(r.Held) < shownHeld {
					r.Held = append(r.Held, row)
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// future refuses a source from days to come: whatever it is, it is no date of a
// source.
func (r *Reading) future(e watchlist.Entry) error {
	day, err := time.Parse(time.DateOnly, e.Listing.Source.Date)
	if err == nil && !r.given.Today.IsZero() && day.After(r.given.Today.AddDate(0, 0, 1)) {
		return &FaultError{Line: e.Line, Reason: fmt.Sprintf("the source is of %s, a day that is to come", e.Listing.Source.Date)}
	}
	return nil
}

// Sum is the hash of the file, all of it, once its rows were read.
func (r *Reading) Sum() (sum [32]byte) {
	_, _ = io.Copy(io.Discard, r.whole) // what no entry is made of; an error shows as another hash next time
	copy(sum[:], r.sum.Sum(nil))
	return sum
}

// complete says of an entry what the file does not.
func (g Given) complete(e *watchlist.Entry) {
	l, said := &e.Listing, g.Listing
	for _, field := range []struct {
		at    *string
		value string
	}{
		{&l.Label, said.Label}, {&l.Entity, said.Entity}, {&l.Category, said.Category}, {&l.Source.Title, said.Source.Title},
		{&l.Source.Author, said.Source.Author}, {&l.Source.Publisher, said.Source.Publisher},
		{&l.Source.Date, said.Source.Date}, {&l.Source.URL, said.Source.URL},
	} {
		if *field.at == "" {
			*field.at = field.value
		}
	}
	if l.Basis == watchlist.Unknown {
		l.Basis = said.Basis
	}
	if l.Notify == "" {
		l.Notify = said.Notify
	}
	if l.Notify == watchlist.NotifyEach {
		l.Notify = "" // as where nothing is said
	}
	switch {
	case g.Confidential != nil:
		l.Confidential = *g.Confidential
	case e.Confidential != nil:
		l.Confidential = *e.Confidential
	default:
		l.Confidential = l.Basis.Confidential()
	}
}
