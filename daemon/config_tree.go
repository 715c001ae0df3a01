package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// A decoder into structs stops at the first value of a wrong type, matches
// keys in any case and forgets lines. So the file is read into a tree of our
// own first, with the line of every key, and each value is looked at by itself.
type node struct {
	line  int
	kind  unstable.Kind // Table for tables of every spelling
	value any           // of a scalar
	items []*node       // of an array

	keys     []string // of a table, in the order of the file
	children map[string]*node

	header int  // line of the [header] that defined the table; 0: none did
	closed bool // an inline table, or one made by a dotted key
}

func newTable(line int) *node {
	return &node{line: line, kind: unstable.Table, children: map[string]*node{}}
}

func (n *node) put(key string, child *node) *node {
	n.keys = append(n.keys, key)
	n.children[key] = child
	return child
}

// treeReader builds the tree, and goes on after a fault where it can.
type treeReader struct {
	data   []byte
	breaks []int // where the lines end
	parser unstable.Parser
	base   int // where in data the parser began
	faults *Faults
	root   *node
	table  *node // the one whose keys are being read
	path   []string
	broken bool // part of the file could not be read
}

// readTree reads TOML. broken says that part of it could not be read, so that
// what seems to be absent may only be unreadable.
func readTree(data []byte, faults *Faults) (root *node, broken bool) {
	r := &treeReader{data: data, faults: faults, root: newTable(1)}
	for i, b := range data {
		if b == '\n' {
			r.breaks = append(r.breaks, i)
		}
	}
	r.table = r.root
	for next := 0; next >= 0; {
		next = r.readFrom(next)
	}
	r.crossCheck()
	return r.root, r.broken
}

// readFrom reads until the end or a syntax error, and gives the place to go on
// from; negative at the end.
func (r *treeReader) readFrom(base int) int {
	r.base = base
	r.parser.Reset(r.data[base:len(r.data):len(r.data)])
	for r.parser.NextExpression() {
		r.expression(r.parser.Expression())
	}
	err := r.parser.Error()
	if err == nil {
		return -1
	}
	r.broken = true
	at := base
	var syntax *unstable.ParserError
	if errors.As(err, &syntax) {
		at += int(r.parser.Range(syntax.Highlight).Offset)
	}
	r.faults.Add(r.lineAt(at), "", "not valid TOML: "+err.Error()+"; correct the line (text values need quotes)")
	return r.nextHeader(at)
}

var headerLine = regexp.MustCompile(`(?m)^[ \t]*\[[^\[\]\n]+\][ \t]*(#.*)?\r?$`)

// nextHeader finds the next line that can only begin a new table. It may be the
// one with the error: what is wrong may have begun on a line before.
func (r *treeReader) nextHeader(at int) int {
	from := 1 + bytes.LastIndexByte(r.data[:at], '\n')
	if from <= r.base {
		end := bytes.IndexByte(r.data[at:], '\n')
		if end < 0 {
			return -1
		}
		from = at + end + 1
	}
	found := headerLine.FindIndex(r.data[from:])
	if found == nil {
		return -1
	}
	return from + found[0]
}

func (r *treeReader) lineAt(offset int) int {
	before, _ := slices.BinarySearch(r.breaks, offset)
	return 1 + before
}

func (r *treeReader) lineOf(raw unstable.Range) int {
	return r.lineAt(r.base + int(raw.Offset))
}

// keyPart is one part of a possibly dotted key.
type keyPart struct {
	name string
	line int
}

func (r *treeReader) key(n *unstable.Node) []keyPart {
	var parts []keyPart
	for it := n.Key(); it.Next(); {
		parts = append(parts, keyPart{string(it.Node().Data), r.lineOf(it.Node().Raw)})
	}
	return parts
}

func (r *treeReader) expression(n *unstable.Node) {
	switch n.Kind {
	case unstable.Table:
		r.openTable(r.key(n))
	case unstable.ArrayTable:
		parts := r.key(n)
		r.faults.Add(parts[0].line, dotted(parts), "a list of tables ([[…]]) has no place here; write one pair of brackets")
		r.table, r.path = newTable(parts[0].line), names(parts)
	case unstable.KeyValue:
		r.setKey(r.table, r.path, n)
	}
}

func (r *treeReader) openTable(parts []keyPart) {
	line := parts[0].line
	at := r.root
	for _, part := range parts {
		child := at.children[part.name]
		switch {
		case child == nil:
			child = at.put(part.name, newTable(line))
		case child.kind != unstable.Table || child.closed:
			r.faults.Add(line, dotted(parts), fmt.Sprintf("%s is already set on line %d; keep one of the two", part.name, child.line))
			child = newTable(line)
		}
		at = child
	}
	if at.header > 0 {
		r.faults.Add(line, dotted(parts), fmt.Sprintf("the table is there twice, first on line %d; make them one", at.header))
	}
	if at.header == 0 {
		at.header, at.line = line, line
	}
	r.table, r.path = at, names(parts)
}

func (r *treeReader) setKey(at *node, path []string, n *unstable.Node) {
	parts := r.key(n)
	last := parts[len(parts)-1]
	name := strings.Join(append(append([]string{}, path...), names(parts)...), ".")
	for _, part := range parts[:len(parts)-1] {
		child := at.children[part.name]
		if child == nil {
			child = at.put(part.name, newTable(part.line))
			child.closed = true
		}
		if child.kind != unstable.Table {
			r.faults.Add(part.line, name, fmt.Sprintf("%s is already set on line %d; keep one of the two", part.name, child.line))
			return
		}
		at = child
	}
	if earlier := at.children[last.name]; earlier != nil {
		r.faults.Add(last.line, name, fmt.Sprintf("set twice, first on line %d; keep one of the two", earlier.line))
		return
	}
	at.put(last.name, r.value(n.Value(), last.line, name))
}

func (r *treeReader) value(v *unstable.Node, line int, name string) *node {
	switch v.Kind {
	case unstable.InlineTable:
		table := newTable(line)
		table.closed = true
		for it := v.Children(); it.Next(); {
			if it.Node().Kind == unstable.KeyValue {
				r.setKey(table, strings.Split(name, "."), it.Node())
			}
		}
		return table
	case unstable.Array:
		array := &node{line: line, kind: v.Kind}
		for it := v.Children(); it.Next(); {
			if it.Node().Kind != unstable.Comment {
				array.items = append(array.items, r.value(it.Node(), line, name))
			}
		}
		return array
	case unstable.String:
		return &node{line: line, kind: v.Kind, value: string(v.Data)}
	}
	return &node{line: line, kind: v.Kind, value: r.scalar(string(v.Data), line, name)}
}

// scalar leaves numbers, dates and booleans to go-toml, one by one.
func (r *treeReader) scalar(text string, line int, name string) any {
	var one map[string]any
	if err := toml.Unmarshal([]byte("x = "+text), &one); err != nil {
		r.faults.Add(line, name, fmt.Sprintf("%s is not a TOML value: %s", text, strings.TrimPrefix(err.Error(), "toml: ")))
		return nil
	}
	return one["x"]
}

// crossCheck asks go-toml's own decoder too, which knows every rule of TOML;
// what it finds on a line that already has a fault is that fault.
func (r *treeReader) crossCheck() {
	if r.broken {
		return
	}
	var all map[string]any
	err := toml.Unmarshal(r.data, &all)
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		if line, _ := wrong.Position(); !r.faults.onLine(line) {
			r.faults.Add(line, strings.Join(wrong.Key(), "."), "not valid TOML: "+strings.TrimPrefix(wrong.Error(), "toml: "))
		}
		return
	}
	if err != nil {
		r.faults.Add(0, "", "not valid TOML: "+err.Error())
	}
}

func names(parts []keyPart) []string {
	list := make([]string, len(parts))
	for i, part := range parts {
		list[i] = part.name
	}
	return list
}

func dotted(parts []keyPart) string { return strings.Join(names(parts), ".") }
