package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Faults collects everything that is wrong with a configuration, so that it
// is told at once. It is an error as soon as it holds a fault; see Err.
type Faults struct {
	file string
	list []fault
}

type fault struct {
	line int // 0: the file as a whole
	key  string
	text string
}

// Add records a fault: the line it is on (0: the file as a whole), the key
// with dots, and what is wrong and what to do about it.
func (f *Faults) Add(line int, key, text string) {
	found := fault{line, key, text}
	if !slices.Contains(f.list, found) {
		f.list = append(f.list, found)
	}
}

// Include records what another check found. Faults keep their own lines;
// joined errors count one by one; any other error is put at line and key.
func (f *Faults) Include(line int, key string, err error) {
	if err == nil {
		return
	}
	var other *Faults
	if errors.As(err, &other) {
		for _, found := range other.list {
			f.Add(found.line, found.key, found.text)
		}
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			f.Include(line, key, one)
		}
		return
	}
	f.Add(line, key, err.Error())
}

// Err is nil without faults, and the faults otherwise.
func (f *Faults) Err() error {
	if len(f.list) == 0 {
		return nil
	}
	return f
}

// Error is one line for each fault, "file:line: key: what is wrong; what to
// do", in the order of the file; what concerns the whole file comes last.
func (f *Faults) Error() string {
	lines := make([]string, 0, len(f.list))
	for _, found := range f.sorted() {
		lines = append(lines, f.where(found)+found.text)
	}
	return strings.Join(lines, "\n")
}

func (f *Faults) sorted() []fault {
	list := slices.Clone(f.list)
	slices.SortStableFunc(list, func(a, b fault) int {
		if (a.line == 0) != (b.line == 0) {
			return cmp.Compare(b.line, a.line)
		}
		return cmp.Compare(a.line, b.line)
	})
	return list
}

func (f *Faults) where(found fault) string {
	where := f.file
	if found.line > 0 {
		where = fmt.Sprintf("%s:%d", f.file, found.line)
	}
	if found.key != "" {
		where += ": " + found.key
	}
	return where + ": "
}

// onLine says whether a fault is already known for a line.
func (f *Faults) onLine(line int) bool {
	return slices.ContainsFunc(f.list, func(found fault) bool { return found.line == line })
}

// within says whether a fault is already known for a table.
func (f *Faults) within(table string) bool {
	return slices.ContainsFunc(f.list, func(found fault) bool {
		return found.key == table || strings.HasPrefix(found.key, table+".")
	})
}
