package daemon

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// section reads the keys of one table, each by itself: a fault in one does
// not hide the next. It remembers which keys it was asked for, which are the
// keys that the table may have.
type section struct {
	name   string // with dots, for messages; empty at the top
	key    string // the last part of it, as the user wrote it
	node   *node
	faults *Faults
	asked  []string
	unread bool // it is there, but it is no table
}

// sub gives a table within this one; an absent one is empty.
func (s *section) sub(key string) *section {
	found := &section{name: s.dotted(key), key: key, node: s.ask(key), faults: s.faults}
	switch {
	case found.node == nil:
		found.node = newTable(0)
	case found.node.kind != unstable.Table:
		s.fault(key, "%s is a table; write [%s]", key, s.dotted(key))
		found.node, found.unread = newTable(0), true
	}
	return found
}

// each gives the tables within this one, whose names the user chooses.
func (s *section) each() []*section {
	var list []*section
	for _, key := range s.node.keys {
		child := s.node.children[key]
		if child.kind != unstable.Table {
			s.fault(key, "not a table; settings belong under a name, as in [%s.NAME]", s.name)
			continue
		}
		if rest, split := child.splitName(); split {
			s.fault(key, "a name with a dot needs quotes; write [%s.%q]", s.name, key+"."+rest)
			continue
		}
		list = append(list, &section{name: s.dotted(quoted(key)), key: key, node: child, faults: s.faults})
	}
	return list
}

func (s *section) ask(key string) *node {
	s.asked = append(s.asked, key)
	return s.node.children[key]
}

func (s *section) has(key string) bool { return s.node.children[key] != nil }

func (s *section) dotted(key string) string {
	if s.name == "" {
		return key
	}
	return s.name + "." + key
}

// line is that of the key, or of the table where the key is absent.
func (s *section) line(key string) int {
	if child := s.node.children[key]; child != nil {
		return child.line
	}
	return s.node.line
}

func (s *section) fault(key, format string, args ...any) {
	name := s.name
	if key != "" {
		name = s.dotted(key)
	}
	s.faults.Add(s.line(key), name, fmt.Sprintf(format, args...))
}

// text reads a string; absent or empty, it is preset.
func (s *section) text(key, preset string) string {
	child := s.ask(key)
	if child == nil {
		return preset
	}
	text, ok := child.value.(string)
	if !ok {
		s.wrongKind(key, child, `text in quotes, such as "…"`)
		return preset
	}
	if strings.ContainsFunc(text, unicode.IsControl) {
		s.fault(key, "holds a line break or another control character; write it in one line")
		return preset
	}
	if text == "" {
		return preset
	}
	return text
}

// texts reads a list of strings.
func (s *section) texts(key string) []string {
	child := s.ask(key)
	if child == nil {
		return nil
	}
	if child.kind != unstable.Array {
		s.wrongKind(key, child, `a list, such as ["…", "…"]`)
		return nil
	}
	var list []string
	for _, item := range child.items {
		text, ok := item.value.(string)
		if !ok {
			s.wrongKind(key, item, "text in quotes in each place of the list")
			continue
		}
		list = append(list, text)
	}
	return list
}

// integers reads a list of whole numbers; ok is false after a fault.
func (s *section) integers(key string, preset []int64) (list []int64, ok bool) {
	child := s.ask(key)
	if child == nil {
		return preset, true
	}
	if child.kind != unstable.Array {
		s.wrongKind(key, child, "a list of whole numbers, such as [1, 6]")
		return preset, false
	}
	for _, item := range child.items {
		n, isInteger := item.value.(int64)
		if !isInteger {
			s.wrongKind(key, item, "a whole number in each place of the list")
			return preset, false
		}
		list = append(list, n)
	}
	return list, true
}

// integer reads a whole number.
func (s *section) integer(key string, preset int64) int64 {
	child := s.ask(key)
	if child == nil {
		return preset
	}
	n, ok := child.value.(int64)
	if !ok {
		s.wrongKind(key, child, "a whole number")
		return preset
	}
	return n
}

// number reads a number with or without a fraction; ok is false after a fault.
func (s *section) number(key string, preset float64) (n float64, ok bool) {
	child := s.ask(key)
	if child == nil {
		return preset, true
	}
	switch value := child.value.(type) {
	case float64:
		return value, true
	case int64:
		return float64(value), true
	}
	s.wrongKind(key, child, "a number, such as 0.5")
	return preset, false
}

// flag reads true or false; absent, it is false.
func (s *section) flag(key string) bool { return s.flagOr(key, false) }

// flagOr is flag with the value for where the key is absent.
func (s *section) flagOr(key string, preset bool) bool {
	child := s.ask(key)
	if child == nil {
		return preset
	}
	value, ok := child.value.(bool)
	if !ok {
		s.wrongKind(key, child, "true or false, without quotes")
	}
	return value
}

// duration reads a span of time such as "5m" between two bounds.
func (s *section) duration(key string, preset, least, most time.Duration) time.Duration {
	text := s.text(key, "")
	if text == "" {
		return preset
	}
	span, err := time.ParseDuration(text)
	switch {
	case err != nil:
		s.fault(key, `%q is not a duration; write a number and its unit, such as "30s", "5m" or "2h"`, text)
	case span < least || span > most:
		s.fault(key, "%s is out of bounds; use %s to %s", text, plain(least), plain(most))
	default:
		return span
	}
	return preset
}

// plain writes a duration without empty units: 10m instead of 10m0s.
func plain(d time.Duration) string {
	text := d.String()
	for _, empty := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, empty) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func (s *section) wrongKind(key string, got *node, want string) {
	if got.value == nil && got.kind != unstable.Array && got.kind != unstable.Table {
		return // unreadable, and already told
	}
	s.faults.Add(got.line, s.dotted(key), fmt.Sprintf("%s stands here; it takes %s", kindName(got.kind), want))
}

func kindName(kind unstable.Kind) string {
	switch kind {
	case unstable.String:
		return "text"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer:
		return "a whole number"
	case unstable.Float:
		return "a number with a fraction"
	case unstable.Array:
		return "a list"
	case unstable.Table:
		return "a table"
	}
	return "a date or time"
}

// finish refuses every key that was not asked for.
func (s *section) finish() {
	for _, key := range s.node.keys {
		if !slices.Contains(s.asked, key) {
			s.fault(quoted(key), "%s", s.unknown(key))
		}
	}
}

func (s *section) unknown(key string) string {
	if near := nearest(key, s.asked); near != "" {
		if strings.EqualFold(near, key) {
			return fmt.Sprintf("unknown key: keys are lower case; write %s", near)
		}
		return fmt.Sprintf("unknown key; did you mean %s?", near)
	}
	return "unknown key; remove it (the keys here are " + strings.Join(s.asked, ", ") + ")"
}

// splitName recognises [explorers.mempool.space]: a table that nobody wrote,
// around one that somebody did. Only a listing's source is meant that way.
func (n *node) splitName() (rest string, split bool) {
	if n.header > 0 || n.closed || len(n.keys) != 1 || n.keys[0] == "source" {
		return "", false
	}
	return n.keys[0], true
}

// quoted writes a name as TOML wants it in a dotted key.
func quoted(name string) string {
	bare := func(r rune) bool {
		return r == '-' || r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !bare(r) }) < 0 {
		return name
	}
	return fmt.Sprintf("%q", name)
}
