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

// decodeRest gives the function by which a kind fills its own struct from the
// keys that the section was not asked for. They are decoded one by one, so
// that every fault is found, with its line.
func (s *section) decodeRest(file string) func(into any) error {
	shared := slices.Clone(s.asked)
	return func(into any) error {
		faults := &Faults{file: file}
		rest := &section{name: s.name, node: s.node, faults: faults}
		for _, key := range s.node.keys {
			if !slices.Contains(shared, key) {
				rest.decodeKey(key, into, shared)
			}
		}
		return faults.Err()
	}
}

func (s *section) decodeKey(key string, into any, shared []string) {
	if lower := strings.ToLower(key); lower != key {
		// go-toml would take To for to.
		s.fault(quoted(key), "unknown key: keys are lower case; write %s", lower)
		return
	}
	value := s.node.children[key].plain()
	if value == nil {
		return // unreadable, and already told
	}
	doc, err := toml.Marshal(map[string]any{key: value})
	if err != nil {
		s.fault(quoted(key), "not understood: %s", err)
		return
	}
	strict := toml.NewDecoder(bytes.NewReader(doc)).DisallowUnknownFields()
	err = strict.Decode(into)
	var unknown *toml.StrictMissingError
	switch {
	case err == nil:
	case errors.As(err, &unknown):
		s.asked = append(shared, kindKeys(into)...)
		for _, one := range unknown.Errors {
			s.unknownInKind(key, one.Key())
		}
	default:
		s.fault(quoted(key), "%s", forPeople(err, s.node.children[key].kind))
	}
}

func (s *section) unknownInKind(key string, path toml.Key) {
	if len(path) > 1 {
		s.fault(quoted(key), "unknown key %s; remove it", path[len(path)-1])
		return
	}
	s.fault(quoted(key), "%s", s.unknown(key))
}

// kindKeys lists the keys that a kind's struct has: go-toml itself writes them.
func kindKeys(settings any) []string {
	doc, err := toml.Marshal(settings)
	if err != nil {
		return nil
	}
	root, _ := readTree(doc, &Faults{})
	return root.keys
}

// plain gives the value as go-toml writes it.
func (n *node) plain() any {
	switch n.kind {
	case unstable.Table:
		table := map[string]any{}
		for _, key := range n.keys {
			table[key] = n.children[key].plain()
		}
		return table
	case unstable.Array:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	}
	return n.value
}

var wrongType = regexp.MustCompile(`cannot decode TOML (\w+) into .*?(?:of type )?\*?([\w.\[\]]+)$`)

// forPeople takes the names of Go out of a decoder's error.
func forPeople(err error, kind unstable.Kind) string {
	text := strings.TrimPrefix(err.Error(), "toml: ")
	match := wrongType.FindStringSubmatch(text)
	if match == nil {
		return text
	}
	got, want := kindName(kind), goTypeName(match[2])
	if kind == unstable.Array && match[1] != "array" {
		return fmt.Sprintf("a place of the list holds a TOML %s; each takes %s", match[1], want)
	}
	return fmt.Sprintf("%s stands here; it takes %s", got, want)
}

func goTypeName(name string) string {
	switch {
	case strings.HasPrefix(name, "[]"):
		return `a list, such as ["…", "…"]`
	case name == "string":
		return `text in quotes, such as "…"`
	case name == "bool":
		return "true or false, without quotes"
	case strings.HasPrefix(name, "int") || strings.HasPrefix(name, "uint"):
		return "a whole number"
	case strings.HasPrefix(name, "float"):
		return "a number"
	}
	return "another type of value"
}
