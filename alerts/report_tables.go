package alerts

import (
	"html"
	"strings"
	"time"
	"unicode/utf8"
)

// table is rows under names of columns, of clean text.
type table struct {
	title string
	head  []string
	right []bool // by column: numbers, under each other at their ends
	rows  [][]string
}

// tables is a report as tables; what has no row has no table.
func (r Report) tables() (all []table) {
	for _, t := range []table{r.paymentTable(), r.alertTable(), r.ageTable(), r.gapTable(), r.explorerTable()} {
		if len(t.rows) > 0 {
			all = append(all, t)
		}
	}
	return all
}

func (r Report) paymentTable() table {
	t := table{title: "Payments", head: []string{"severity", "direction", "payments", "amount", "amount not known"}, right: []bool{false, false, true, true, true}}
	for _, s := range r.Payments {
		amount := "-"
		if s.Unknown < s.Count {
			amount = btc(s.AmountSat)
		}
		t.rows = append(t.rows, []string{s.Severity.String(), directionWord(s.Direction), grouped(s.Count), amount, grouped(s.Unknown)})
	}
	return t
}

func (r Report) alertTable() table {
	t := table{title: "New alerts", head: []string{"severity", "payments", "list and watch"}, right: []bool{false, true, true}}
	for _, c := range r.NewAlerts {
		t.rows = append(t.rows, []string{c.Severity.String(), grouped(c.Payments), grouped(c.Other)})
	}
	return t
}

func (r Report) ageTable() table {
	t := table{title: "Alerts about payments", head: []string{"state", "alerts"}, right: []bool{false, true}}
	if a := r.Ages; a != nil {
		t.rows = [][]string{
			{"open up to 1 day", grouped(a.Day)}, {"open 1 to 7 days", grouped(a.Week)}, {"open over 7 days", grouped(a.Older)},
			{"acknowledged", grouped(a.Acknowledged)}, {"closed in this time", grouped(a.Closed)},
		}
	}
	return t
}

func (r Report) gapTable() table {
	t := table{title: "Gaps", head: []string{"in", "address", "heights", "from", "to", "reason"}, right: make([]bool, 6)}
	for _, g := range r.Gaps {
		t.rows = append(t.rows, []string{clean(g.Kind), orAll(clean(g.Address)), g.heights(), momentWord(g.From, ""), momentWord(g.To, g.until()), clean(g.Reason)})
	}
	return t
}

func orAll(address string) string {
	if address == "" {
		return "all"
	}
	return address
}

func (g Gap) heights() string {
	if g.FromHeight == nil {
		return ""
	}
	text := grouped(*g.FromHeight) + " to "
	if g.ToHeight == nil {
		return text + "now"
	}
	return text + grouped(*g.ToHeight)
}

// until is what stands where a gap has no end.
func (g Gap) until() string {
	if g.From == nil {
		return ""
	}
	return "still open"
}

func (r Report) explorerTable() table {
	t := table{title: "Explorers", head: []string{"name", "state", "tip", "last good answer", "mempool round"}, right: []bool{false, false, true, false, false}}
	for _, e := range r.Explorers {
		tip, round := "", ""
		if e.TipHeight != nil {
			tip = grouped(*e.TipHeight)
		}
		if e.RoundSeconds > 0 {
			round = span(time.Duration(e.RoundSeconds) * time.Second)
		}
		t.rows = append(t.rows, []string{clean(e.Name), clean(e.State), tip, momentWord(e.LastSuccess, ""), round})
	}
	return t
}

func momentWord(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return clock(*t, nil)
}

// text writes a table with its columns under each other.
func (t table) text() string {
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(t.title + "\n")
	for _, row := range append([][]string{t.head}, t.rows...) {
		line := ""
		for i, cell := range row {
			gap := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if line += "  "; t.right[i] {
				line += gap + cell
			} else {
				line += cell + gap
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

func (t table) html() string {
	esc := html.EscapeString
	var b strings.Builder
	b.WriteString("<p><strong>" + esc(t.title) + "</strong></p>\n<table cellpadding=\"3\">\n<tr>")
	for i, name := range t.head {
		b.WriteString("<th align=\"" + t.align(i) + "\">" + esc(name) + "</th>")
	}
	b.WriteString("</tr>\n")
	for _, row := range t.rows {
		b.WriteString("<tr>")
		for i, cell := range row {
			b.WriteString("<td valign=\"top\" align=\"" + t.align(i) + "\"><bdi>" + esc(cell) + "</bdi></td>")
		}
		b.WriteString("</tr>\n")
	}
	b.WriteString("</table>\n")
	return b.String()
}

func (t table) align(column int) string {
	if t.right[column] {
		return "right"
	}
	return "left"
}
