package listfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// mostElement is how many bytes one entry of a JSON or XML file may have: it is
// held in memory whole.
const mostElement = 64 << 20

// countedText is a text that knows its lines, and refuses an element that is too
// large to be one before it is held.
type countedText struct {
	from  io.Reader
	read  int64
	limit int64   // up to where the present element may reach
	ends  []int64 // of lines, from the present place on
	line  int     // of the place last asked for
}

func countLines(r io.Reader) *countedText { return &countedText{from: r, limit: mostElement, line: 1} }

func (c *countedText) Read(p []byte) (int, error) {
	if c.read >= c.limit {
		return 0, &FaultError{Line: c.line, Reason: fmt.Sprintf("an entry is larger than %d MB; is it a list?", mostElement>>20)}
	}
	n, err := c.from.Read(p[:min(int64(len(p)), c.limit-c.read)])
	for i, b := range p[:n] {
		if b == '\n' {
			c.ends = append(c.ends, c.read+int64(i))
		}
	}
	c.read += int64(n)
	return n, err
}

// at says on which line a place is; places come in rising order. The next element
// begins there.
func (c *countedText) at(offset int64) int {
	passed := 0
	for passed < len(c.ends) && c.ends[passed] < offset {
		passed++
	}
	c.ends, c.line, c.limit = c.ends[passed:], c.line+passed, offset+mostElement
	return c.line
}

// element is one object of a JSON file, as it stands there.
type element struct {
	raw  json.RawMessage
	line int // on which it ends
}

// elements gives the objects of a JSON file one by one: of the list under a name
// of the outermost object, of an outermost list, or those that follow each other,
// one a line.
func elements(r io.Reader, name string) iter.Seq2[element, error] {
	return func(yield func(element, error) bool) {
		text := countLines(r)
		s := &jsonStream{text: text, tokens: json.NewDecoder(text), yield: yield}
		if err := s.walk(name); err != nil && !errors.Is(err, errEnough) {
			yield(element{}, s.fault(err))
		}
	}
}

var errEnough = errors.New("enough")

type jsonStream struct {
	text   *countedText
	tokens *json.Decoder
	yield  func(element, error) bool
}

func (s *jsonStream) fault(err error) error {
	if fault := new(FaultError); errors.As(err, &fault) {
		return fault
	}
	line := s.text.at(s.tokens.InputOffset())
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &FaultError{Line: s.text.at(s.text.read), Reason: "the JSON ends amid an object: it is cut off"}
	}
	return &FaultError{Line: line, Reason: "the JSON cannot be read: " + strings.TrimPrefix(err.Error(), "json: ")}
}

// walk visits the file. A name that stands in no outermost object means that the
// objects follow each other.
func (s *jsonStream) walk(name string) error {
	if name == "" {
		return s.sequence()
	}
	first, err := s.tokens.Token()
	switch {
	case err != nil:
		return err
	case first == json.Delim('['):
		err = s.list()
	case first == json.Delim('{'):
		err = s.under(name)
	default:
		return &FaultError{Line: 1, Reason: "it begins with neither an object nor a list"}
	}
	if err != nil {
		return err
	}
	if s.tokens.More() {
		return errors.New("something follows on its end")
	}
	return nil
}

func (s *jsonStream) sequence() error {
	for {
		var raw json.RawMessage
		err := s.tokens.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = s.give(raw)
		}
		if err != nil {
			return err
		}
	}
}

func (s *jsonStream) give(raw json.RawMessage) error {
	line := s.text.at(s.tokens.InputOffset())
	if len(raw) == 0 || raw[0] != '{' {
		return &FaultError{Line: line, Reason: "something other than an object stands there"}
	}
	if err := twice(raw); err != nil {
		return &FaultError{Line: line, Reason: err.Error()}
	}
	if !s.yield(element{raw, line}, nil) {
		return errEnough
	}
	return nil
}

// list gives the elements of a list that has begun.
func (s *jsonStream) list() error {
	for s.tokens.More() {
		var raw json.RawMessage
		if err := s.tokens.Decode(&raw); err != nil {
			return err
		}
		if err := s.give(raw); err != nil {
			return err
		}
	}
	_, err := s.tokens.Token()
	return err
}

// under finds the list in an object that has begun.
func (s *jsonStream) under(name string) error {
	found := false
	for s.tokens.More() {
		key, err := s.tokens.Token()
		if err != nil {
			return err
		}
		if key != name {
			var other json.RawMessage
			if err := s.tokens.Decode(&other); err != nil {
				return err
			}
			continue
		}
		if found {
			return fmt.Errorf("%q stands there twice", name)
		}
		found = true
		begins, err := s.tokens.Token()
		if err != nil {
			return err
		}
		if begins != json.Delim('[') {
			return fmt.Errorf("%q is no list", name)
		}
		if err := s.list(); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("it has no %q", name)
	}
	_, err := s.tokens.Token()
	return err
}
