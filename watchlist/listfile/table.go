package listfile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode"

	"btcwatch/watchlist"
)

// isTable says whether the first line names columns, one of them that of the
// addresses.
func isTable(beginning []byte) bool {
	_, names := header(beginning)
	return len(names) > 1 && slices.ContainsFunc(names, func(name string) bool { return cellNamed(name) == 0 })
}

// header reads the first line of a table: by what its columns are separated, and
// what they are called.
func header(beginning []byte) (separator rune, names []string) {
	line, _, _ := bytes.Cut(bytes.TrimLeft(beginning, "\r\n"), []byte("\n"))
	if len(line) > 10_000 {
		return 0, nil
	}
	for _, one := range ",;\t|" {
		table := csv.NewReader(bytes.NewReader(line))
		table.Comma = one
		if record, err := table.Read(); err == nil && len(record) > len(names) {
			separator, names = one, record
		}
	}
	return separator, names
}

// cellNamed is the number of the field that a column is for; -1: none is known.
func cellNamed(column string) int {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, column)
	return slices.IndexFunc(cells(), func(c cell) bool {
		return plain != "" && (plain == strings.ReplaceAll(c.name, "_", "") || slices.Contains(strings.Fields(c.also), plain))
	})
}

// columns says of each column which field it is; -1: none.
type columns struct {
	fields []int
	own    bool // written here, with formulas of spreadsheets made harmless
}

// guess says which column is what: by what a person said of it, or by its name.
// The first column for a field is it.
func guess(names []string, said map[string]string, told func(string)) (columns, error) {
	c := columns{own: slices.Equal(names, ownNames())}
	taken := map[int]bool{}
	c.fields = make([]int, len(names))
	for i, name := range names {
		c.fields[i] = -1
		if meant, ok := said[name]; ok {
			field := slices.IndexFunc(cells(), func(c cell) bool { return c.name == meant })
			if field < 0 || taken[field] {
				return c, &FaultError{Reason: fmt.Sprintf("the column %q cannot be %q: each of these is meant once: %s", name, meant, strings.Join(ownNames(), ", "))}
			}
			c.fields[i], taken[field] = field, true
		}
	}
	for column := range said {
		if !slices.Contains(names, column) {
			return c, &FaultError{Line: 1, Reason: fmt.Sprintf("there is no column %q; there are %s", column, inShort(strings.Join(names, ", ")))}
		}
	}
	var left []string
	for i, name := range names {
		if c.fields[i] < 0 {
			if field := cellNamed(name); field >= 0 && !taken[field] {
				c.fields[i], taken[field] = field, true
			}
		}
		switch field := c.fields[i]; {
		case field < 0:
			left = append(left, fmt.Sprintf("%q", inShort(name)))
		case told != nil && !c.own:
			told(fmt.Sprintf("Column %d, %q, is read as %s.", i+1, inShort(name), cells()[field].name))
		}
	}
	if told != nil && len(left) > 0 {
		told("Left out: " + strings.Join(left, ", ") + ".")
	}
	if !taken[0] {
		return c, &FaultError{Line: 1, Reason: "no column is named as that of addresses; say which it is: --column NAME=address"}
	}
	return c, nil
}

func ownNames() (names []string) {
	for _, c := range cells() {
		names = append(names, c.name)
	}
	return names
}

// readTable reads a table whose first line names the columns.
func readTable(in Input) iter.Seq2[watchlist.Entry, error] {
	return func(yield func(watchlist.Entry, error) bool) {
		text, head := peek(in.Text)
		separator, names := header(head)
		if separator == 0 {
			yield(watchlist.Entry{}, &FaultError{Line: 1, Reason: "the first line names no columns"})
			return
		}
		c, err := guess(names, in.Columns, in.Told)
		if err != nil {
			yield(watchlist.Entry{}, err)
			return
		}
		table := csv.NewReader(limitLines(text))
		table.Comma, table.ReuseRecord, table.FieldsPerRecord = separator, true, len(names)
		for first := true; ; first = false {
			record, err := table.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(watchlist.Entry{}, csvFault("", err))
				return
			}
			if first {
				continue
			}
			line, _ := table.FieldPos(0)
			e, err := c.entry(record, line, symbolOf(in.Name))
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (c columns) entry(record []string, line int, symbol string) (watchlist.Entry, error) {
	r := row{Symbol: symbol}
	all := cells()
	for i, text := range record {
		if c.fields[i] < 0 {
			continue
		}
		if c.own {
			text = strings.TrimPrefix(text, "'")
		} else {
			text = strings.TrimSpace(text)
		}
		*all[c.fields[i]].at(&r) = text
	}
	return r.entry(line)
}
