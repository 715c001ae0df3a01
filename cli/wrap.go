package cli

import (
	"strings"
	"unicode/utf8"
)

// leastWrap is how many characters a column needs for what goes on in further
// lines to be read with ease.
const leastWrap = 40

// wrapped breaks the last column, where it may be and there is room beside the
// others: what goes on stands below, with nothing beside it.
func (t *table) wrapped(lines [][]string, width int) [][]string {
	last := len(t.columns) - 1
	if width == 0 || !t.columns[last].wrap {
		return lines
	}
	room := width
	for i := range last {
		room -= widest(lines, i) + columnGap
	}
	if room < leastWrap {
		return lines
	}
	var all [][]string
	for _, cells := range lines {
		for n, part := range breakLines(cells[last], room) {
			line := make([]string, len(cells))
			if n == 0 {
				copy(line, cells)
			}
			line[last] = part
			all = append(all, line)
		}
	}
	return all
}

// indented writes a text on lines of its own, as far in as columns are apart.
func indented(text string, width int) string {
	margin := strings.Repeat(" ", columnGap)
	return margin + strings.Join(breakLines(text, width-columnGap), "\n"+margin)
}

// breakLines breaks a text between words, so that no line is longer than width,
// if no word is: an address or a command stays whole. 0 or less: one line.
func breakLines(text string, width int) []string {
	if width <= 0 || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
