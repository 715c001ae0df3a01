package daemon

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"btcwatch/sql"
	"btcwatch/watchlist"
	"btcwatch/watchlist/listfile"
)

// feed reads one list again and again, and takes it where it can be taken.
type feed struct {
	set    ListSettings
	store  *sql.Store
	writer *sql.Writer
	keep   string // the directory in which what was taken is kept
	beat   func()
	now    func() time.Time
	log    *slog.Logger
	pauses []time.Duration // between tries to fetch it

	// What was last taken in this life.
	etag   string
	sum    [32]byte
	readAt time.Time // when it was read in full
}

// fetchPauses are waited between tries to fetch a list, before it is told that it
// cannot be.
func fetchPauses() []time.Duration { return []time.Duration{time.Minute, 5 * time.Minute} }

// addFeeds puts the lists on the schedule. One that was never read as it is
// configured now, or is overdue, is read at once.
func (l *leader) addFeeds(ctx context.Context, jobs *scheduler) error {
	for _, set := range l.config.Lists {
		name := "list " + set.Name
		run := name + " " + set.digest()
		last, err := l.store.LastRun(ctx, run)
		if err != nil {
			return err
		}
		f := &feed{
			set: set, store: l.store, writer: l.writer, keep: filepath.Join(l.config.DataDir, "lists"), beat: func() { l.pulse.beat(name) },
			now: l.Now, log: l.Log, pauses: fetchPauses(),
		}
		err = jobs.add(name, set.Schedule, last, func(ctx context.Context) {
			l.pulse.begin(name)
			defer l.pulse.end(name, time.Time{})
			if err := f.round(ctx); err != nil {
				l.failed(ctx, name, err)
				return
			}
			if err := l.store.SaveRun(ctx, run, l.Now()); err != nil {
				l.failed(ctx, name, err)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// digest tells settings of a list apart: what follows from them is to follow soon
// after they are changed.
func (s ListSettings) digest() string {
	confidential := "unsaid"
	if s.Given.Confidential != nil {
		confidential = strconv.FormatBool(*s.Given.Confidential)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %+v %d", s.Origin, s.Given.Format, s.Given.Symbols, confidential, s.Given.Listing, s.MaxChange))
	return hex.EncodeToString(sum[:8])
}

// round reads the list once. What is wrong with the list is recorded and told;
// an error is one of our own.
func (f *feed) round(ctx context.Context) error {
	began := f.now()
	text, etag, err := f.open(ctx)
	if errors.Is(err, errNotModified) {
		same, err := f.store.ListUnchanged(ctx, f.set.Name, f.sum)
		if err != nil {
			return err
		}
		if !same { // somebody imported another file meanwhile
			f.etag = ""
			return f.round(ctx)
		}
		f.log.Info("list read", "list", f.set.Name, "changed", false, "took", f.now().Sub(began))
		return f.writer.ListTaken(ctx, f.set.Name)
	}
	if err != nil {
		return f.failed(ctx, "unreachable", err)
	}
	defer text.Close()
	from := &noting{Reader: text}
	changed, sum, err := f.take(ctx, from)
	if from.err != nil {
		return f.failed(ctx, "unreachable", from.err)
	}
	fault, size := new(listfile.FaultError), new(sql.SizeError)
	switch {
	case errors.As(err, &fault) || errors.Is(err, listfile.ErrUnknown):
		return f.failed(ctx, "fault", err)
	case errors.As(err, &size):
		return f.failed(ctx, "size", err)
	case err != nil:
		return fmt.Errorf("take the list %s: %w", f.set.Name, err)
	}
	f.etag, f.sum, f.readAt = etag, sum, began
	if err := f.keepCopy(text, sum); err != nil {
		f.log.Warn("list not kept", "list", f.set.Name, "error", err)
	}
	f.log.Info("list read", "list", f.set.Name, "changed", changed.Import != 0, "added", changed.Added, "retired", changed.Retired,
		"held", changed.Held, "took", f.now().Sub(began))
	return f.writer.ListTaken(ctx, f.set.Name)
}

// noting remembers why a text could not be read on, which is no fault of what
// was read.
type noting struct {
	io.Reader
	err error
}

func (n *noting) Read(p []byte) (int, error) {
	read, err := n.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return read, err
}

func (f *feed) failed(ctx context.Context, kind string, reason error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.log.Warn("list not taken", "list", f.set.Name, "kind", kind, "error", reason)
	return f.writer.ListFailed(ctx, sql.ListFailed{List: f.set.Name, Origin: f.set.Origin, Kind: kind, Reason: reason.Error()})
}

// open opens the file, or fetches the list, with a few tries.
func (f *feed) open(ctx context.Context) (io.ReadSeekCloser, string, error) {
	if f.set.File {
		file, err := os.Open(f.set.Origin)
		return file, "", err
	}
	for try := 0; ; try++ {
		fetched, err := FetchList(ctx, f.set.Origin, f.known(), f.beat)
		if err == nil {
			return fetched.Text, fetched.ETag, nil
		}
		if errors.Is(err, errNotModified) || try == len(f.pauses) || ctx.Err() != nil {
			return nil, "", err
		}
		f.log.Info("list not fetched, trying again", "list", f.set.Name, "error", err, "wait", f.pauses[try])
		f.rest(ctx, f.pauses[try])
	}
}

// rest waits, with signs of life.
func (f *feed) rest(ctx context.Context, pause time.Duration) {
	const step = 20 * time.Second
	for ; pause > 0 && ctx.Err() == nil; pause -= step {
		sleep(ctx, min(pause, step))
		f.beat()
	}
}

// known is the version that a server need not send again. Once a day it is sent
// all the same: orders end by the day, and whoever changes the configuration
// expects the list to follow it.
func (f *feed) known() string {
	if f.readAt.IsZero() || !sameDay(f.readAt, f.now()) {
		return ""
	}
	return f.etag
}

func sameDay(a, b time.Time) bool {
	return a.UTC().Format(time.DateOnly) == b.UTC().Format(time.DateOnly)
}

func (f *feed) take(ctx context.Context, text io.Reader) (changed sql.Changed, sum [32]byte, err error) {
	given := f.set.Given
	given.Today = f.now()
	given.Told = func(line string) { f.log.Info("list columns", "list", f.set.Name, "read", line) }
	var beside fs.FS
	if f.set.File {
		beside = os.DirFS(filepath.Dir(f.set.Origin))
	}
	reading, err := listfile.Read(text, f.set.Origin, beside, given)
	if err != nil {
		return changed, sum, err
	}
	changed, err = f.store.Import(ctx, sql.Import{
		List: f.set.Name, Origin: f.set.Origin, Format: reading.Format.Name, SHA256: reading.Sum,
		Rows: f.alive(reading.Rows()), MaxChange: f.set.MaxChange,
	})
	return changed, reading.Sum(), err
}

func (f *feed) alive(rows iter.Seq2[watchlist.Row, error]) iter.Seq2[watchlist.Row, error] {
	return func(yield func(watchlist.Row, error) bool) {
		n := 0
		for row, err := range rows {
			if n++; n%1000 == 0 {
				f.beat()
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// mostCopies is how many versions of a list are kept as files.
const mostCopies = 20

// keepCopy keeps a list as it came, under its hash, by which the database knows
// it. The oldest of many go.
func (f *feed) keepCopy(text io.ReadSeeker, sum [32]byte) error {
	dir := filepath.Join(f.keep, url.PathEscape("list "+f.set.Name))
	path := filepath.Join(dir, hex.EncodeToString(sum[:])+".gz")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := text.Seek(0, io.SeekStart); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // it has another name when all went well
	packed := gzip.NewWriter(file)
	_, err = io.Copy(packed, text)
	if err = errors.Join(err, packed.Close(), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return forgetOldest(dir)
}

func forgetOldest(dir string) error {
	found, err := filepath.Glob(filepath.Join(dir, "*.gz"))
	if err != nil {
		return err
	}
	age := map[string]time.Time{}
	for _, path := range found {
		if info, err := os.Stat(path); err == nil {
			age[path] = info.ModTime()
		}
	}
	slices.SortFunc(found, func(a, b string) int { return age[b].Compare(age[a]) })
	for _, path := range found[min(len(found), mostCopies):] {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
