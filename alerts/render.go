package alerts

import (
	"html"
	"strings"
	"time"
)

// Subject is one line for a mail: severity, direction, amount, label, state
// and grade of a payment, else the sentence that says what happened.
func Subject(b Body) string {
	d := b.Data
	head := "[" + clean(d.Severity) + "] "
	if d.Network != "" && d.Network != "mainnet" {
		head += clean(d.Network) + ": "
	}
	if d.TxID == "" {
		return head + shorten(sentence(d.Summary), maxText)
	}
	if d.Corrects != "" {
		head += "correction: "
	}
	amount := "amount not known"
	if d.AmountSat != nil {
		amount = d.amount()
	}
	name := shorten(clean(d.Label), 80)
	if name == "" {
		name = clean(d.Address)
	}
	return head + directionWord(d.Direction) + " " + amount + " - " + name + " - " +
		clean(string(d.State)) + ", " + clean(string(d.Proof))
}

// Text is an alert as plain text, with a second clock in the zone.
func Text(b Body, zone *time.Location) string {
	return compose(b, zone).text(plain)
}

// Terminal is Text for a terminal, its severity in colour if wanted.
func Terminal(b Body, zone *time.Location, colour bool) string {
	if colour {
		return compose(b, zone).text(coloured)
	}
	return compose(b, zone).text(plain)
}

// HTML is an alert as a page that loads nothing and links nowhere.
func HTML(b Body, zone *time.Location) string {
	return compose(b, zone).html()
}

func plain(severity, text string) string { return text }

func coloured(severity, text string) string {
	colours := map[string]string{"severe": "1;97;41", "high": "1;31", "medium": "1;33", "low": "36"}
	code, ok := colours[severity]
	if !ok {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

const nameWidth = 14

func (p page) text(emphasize func(severity, text string) string) string {
	var b strings.Builder
	b.WriteString(emphasize(p.severity, strings.ToUpper(p.severity)) + "  " + p.headline + "\n")
	if len(p.facts) > 0 {
		b.WriteByte('\n')
	}
	for _, f := range p.facts {
		name := f.name
		for _, value := range f.values {
			b.WriteString("  " + name + strings.Repeat(" ", nameWidth-len(name)) + value + "\n")
			name = ""
		}
	}
	if len(p.shown()) > 0 {
		b.WriteByte('\n')
	}
	for _, note := range p.shown() {
		b.WriteString(note + "\n")
	}
	for _, t := range p.tables {
		b.WriteString("\n" + t.text())
	}
	b.WriteString("\n" + p.last() + "\n")
	return b.String()
}

// shown are the notes beside the tables.
func (p page) shown() []string {
	if len(p.tables) > 0 {
		return p.beside
	}
	return p.notes
}

// last is the last line: which alert this is, and how to see it again.
func (p page) last() string {
	return "Alert " + p.id + seeAgain + p.command()
}

const seeAgain = "; to see it again and whom it reached: "

func (p page) command() string { return "btcwatch alerts show " + p.id }

func (p page) html() string {
	var b strings.Builder
	esc := html.EscapeString
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"></head><body>\n")
	b.WriteString("<p><strong>" + esc(strings.ToUpper(p.severity)) + "</strong> " + esc(p.headline) + "</p>\n")
	if len(p.facts) > 0 {
		b.WriteString("<table cellpadding=\"3\">\n")
		for _, f := range p.facts {
			b.WriteString("<tr><td valign=\"top\">" + esc(f.name) + "</td><td>")
			for i, value := range f.values {
				if i > 0 {
					b.WriteString("<br>")
				}
				b.WriteString("<bdi>" + esc(value) + "</bdi>")
			}
			b.WriteString("</td></tr>\n")
		}
		b.WriteString("</table>\n")
	}
	for _, note := range p.shown() {
		b.WriteString("<p>" + esc(note) + "</p>\n")
	}
	for _, t := range p.tables {
		b.WriteString(t.html())
	}
	b.WriteString("<p>Alert <code>" + esc(p.id) + "</code>" + seeAgain + "<code>" + esc(p.command()) + "</code></p>\n</body></html>\n")
	return b.String()
}
