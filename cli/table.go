package cli

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is rows for people.
type table struct {
	columns []column
	rows    [][]string
}

type column struct {
	name  string
	right bool                     // numbers stand under each other
	cut   bool                     // may be shortened to fit the terminal
	spare bool                     // left out where every row has nothing to say
	below bool                     // goes to a line of its own where the terminal is too narrow for all
	wrap  bool                     // the last one: goes on in further lines, where they are long enough
	label string                   // what it is called on a line of its own; empty: it speaks for itself
	paint func(text string) colour // nil: never
}

// colour is an escape code of the terminal; that of ordinary text is none.
type colour string

const (
	red      colour = "\x1b[31m"
	green    colour = "\x1b[32m"
	yellow   colour = "\x1b[33m"
	cyan     colour = "\x1b[36m"
	ordinary colour = ""
	endPaint        = "\x1b[0m"
)

const (
	columnGap = 2
	leastCut  = 20 // characters that a column keeps when it is cut
)

func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = tame(cell)
	}
	t.rows = append(t.rows, row)
}

// print writes the table with its head, fitted to the terminal.
func (t *table) print(to Terminal) error {
	t.leaveOut()
	lines := t.wrapped(append([][]string{t.head()}, t.rows...), to.Width)
	below := t.fold(lines, to.Width)
	t.shorten(lines, to.Width)
	t.align(lines)
	for n, cells := range lines {
		if _, err := io.WriteString(to.Out, t.line(cells, n > 0 && to.coloured())+"\n"+below[n]); err != nil {
			return err
		}
	}
	return nil
}

// line is one of them; align has made the cells of a column equally wide.
func (t *table) line(cells []string, coloured bool) string {
	var line strings.Builder
	for i, cell := range cells {
		text := strings.TrimRight(cell, " ")
		line.WriteString(t.painted(i, text, coloured))
		if strings.TrimSpace(strings.Join(cells[i+1:], "")) == "" {
			break
		}
		line.WriteString(strings.Repeat(" ", utf8.RuneCountInString(cell)-utf8.RuneCountInString(text)+columnGap))
	}
	return line.String()
}

func (t *table) head() []string {
	head := make([]string, len(t.columns))
	for i, c := range t.columns {
		head[i] = c.name
	}
	return head
}

// fold takes the columns that may go below out of lines that are too wide, and
// gives what is to stand under each of them, indented.
func (t *table) fold(lines [][]string, width int) (below []string) {
	below = make([]string, len(lines))
	if width == 0 || t.width(lines) <= width {
		return below
	}
	columns := t.columns
	t.columns = slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return c.below })
	for n, cells := range lines {
		var stays []string
		for i, cell := range cells {
			if c := columns[i]; c.below {
				below[n] += c.belowLine(cell, n == 0, width)
			} else {
				stays = append(stays, cell)
			}
		}
		lines[n] = stays
	}
	return below
}

// belowLine is a cell on lines of its own, indented.
func (c column) belowLine(cell string, head bool, width int) string {
	if cell == "" {
		return ""
	}
	if c.label != "" && !head {
		cell = c.label + ": " + cell
	}
	if c.cut {
		cell = cutTo(cell, max(width-columnGap, leastCut))
	}
	return indented(cell, width) + "\n"
}

// width is what the lines take at least, the columns that may be cut cut.
func (t *table) width(lines [][]string) int {
	width := -columnGap
	for i, c := range t.columns {
		widest := widest(lines, i)
		if c.cut {
			widest = min(widest, leastCut)
		}
		width += columnGap + widest
	}
	return width
}

// leaveOut takes the spare columns away that are empty.
func (t *table) leaveOut() {
	for i := len(t.columns) - 1; i >= 0; i-- {
		said := func(row []string) bool { return row[i] != "" }
		if !t.columns[i].spare || slices.ContainsFunc(t.rows, said) {
			continue
		}
		t.columns = slices.Delete(t.columns, i, i+1)
		for n, row := range t.rows {
			t.rows[n] = slices.Delete(row, i, i+1)
		}
	}
}

func (t *table) painted(column int, cell string, coloured bool) string {
	paint := t.columns[column].paint
	if paint == nil || !coloured || cell == "" || paint(cell) == ordinary {
		return cell
	}
	return string(paint(cell)) + cell + endPaint
}

// shorten cuts the column that may be cut, so that the rest fits.
func (t *table) shorten(lines [][]string, width int) {
	for i, c := range t.columns {
		if !c.cut || width == 0 {
			continue
		}
		room := width
		for j := range t.columns {
			if j != i {
				room -= widest(lines, j) + columnGap
			}
		}
		for _, cells := range lines {
			cells[i] = cutTo(cells[i], max(room, leastCut))
		}
	}
}

func (t *table) align(lines [][]string) {
	for i, c := range t.columns {
		width := widest(lines, i)
		for _, cells := range lines {
			space := strings.Repeat(" ", width-utf8.RuneCountInString(cells[i]))
			if c.right {
				cells[i] = space + cells[i]
			} else {
				cells[i] += space
			}
		}
	}
}

func widest(lines [][]string, column int) int {
	width := 0
	for _, cells := range lines {
		width = max(width, utf8.RuneCountInString(cells[column]))
	}
	return width
}

func cutTo(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "…"
}

// tame takes out of a text what would move the cursor, colour the terminal or
// deceive the eye: labels come from lists that others wrote.
func tame(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.In(r, unicode.Cf, unicode.Co), r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
}

// printJSON writes one object a line.
func printJSON[T any](to io.Writer, rows ...T) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	for _, row := range rows {
		if err := encoder.Encode(row); err != nil {
			return err
		}
	}
	return nil
}
