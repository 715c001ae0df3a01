package listfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"btcwatch/watchlist"
)

func isLines(beginning []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimSpace(beginning), []byte("\n"))
	r, err := parseRow(line)
	return err == nil && r.Address != ""
}

// parseRow reads one object, in which nothing is that is not known here: a
// misspelt name would be a thing left unsaid.
func parseRow(line []byte) (r row, err error) {
	object := json.NewDecoder(bytes.NewReader(line))
	object.DisallowUnknownFields()
	if err := object.Decode(&r); err != nil {
		return r, err
	}
	if object.More() {
		return r, errors.New("something follows on the object")
	}
	return r, twice(line)
}

// twice refuses an object in which a name stands twice: which one is meant?
func twice(object []byte) error {
	tokens := json.NewDecoder(bytes.NewReader(object))
	if _, err := tokens.Token(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for tokens.More() {
		token, err := tokens.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if seen[name] {
			return fmt.Errorf("%q stands there twice", inShort(name))
		}
		seen[name] = true
		var value json.RawMessage
		if err := tokens.Decode(&value); err != nil {
			return err
		}
	}
	return nil
}

// readLines reads a JSON object a line, as they are written here.
func readLines(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		lines := bufio.NewScanner(in.Text)
		lines.Buffer(nil, longestLine)
		n := 0
		for lines.Scan() {
			n++
			if len(bytes.TrimSpace(lines.Bytes())) == 0 {
				continue
			}
			r, err := parseRow(lines.Bytes())
			if err != nil {
				yield(watchlist.Entry{}, &FaultError{Line: n, Reason: strings.TrimPrefix(err.Error(), "json: ")})
				return
			}
			e, err := r.entry(n)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(watchlist.Entry{}, lineFault(err, n))
		}
	}
}

// lineFault says what is wrong with the line after n others.
func lineFault(err error, n int) error {
	if errors.Is(err, bufio.ErrTooLong) {
		return &FaultError{Line: n + 1, Reason: fmt.Sprintf("the line is longer than %d bytes; is it a list?", longestLine)}
	}
	return err
}

// peek gives how a text begins, and all of it to read.
func peek(r io.Reader) (io.Reader, []byte) {
	text := bufio.NewReaderSize(r, beginning)
	head, _ := text.Peek(beginning)
	return text, head
}

// limitLines refuses a line that is longer than any of a list, before a reader of
// rows holds it in memory.
func limitLines(r io.Reader) io.Reader { return &lineLimit{from: r, line: 1} }

type lineLimit struct {
	from   io.Reader
	line   int
	length int
}

func (l *lineLimit) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	for _, c := range p[:n] {
		if l.length++; c == '\n' {
			l.line, l.length = l.line+1, 0
		}
		if l.length > longestLine {
			return 0, &FaultError{Line: l.line, Reason: fmt.Sprintf("the line is longer than %d bytes; is it a list?", longestLine)}
		}
	}
	return n, err
}
