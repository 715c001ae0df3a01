package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
)

// narrator tells what happens, each line with a clock.
type narrator struct {
	out    io.Writer
	colour bool
	began  time.Time
	mu     sync.Mutex
}

func newNarrator(out *os.File) *narrator {
	colour := isatty.IsTerminal(out.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &narrator{out: out, colour: colour, began: time.Now()}
}

// The colours in use.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
)

const (
	width  = 100
	margin = "       " // as wide as the clock
)

// tell says what happened.
func (n *narrator) tell(format string, args ...any) {
	n.line(n.clock(), "", "", fmt.Sprintf(format, args...))
}

// happened says that something happened as it should.
func (n *narrator) happened(format string, args ...any) {
	n.line(n.clock(), green, "✓ ", fmt.Sprintf(format, args...))
}

// proves says what the lines before show.
func (n *narrator) proves(text string) { n.line(margin, faint, "proves: ", text) }

// quote gives a text for people, indented.
func (n *narrator) quote(text string) {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		lines = append(lines, wrapped(line, width-len(margin)-2)...)
	}
	n.show(strings.Join(lines, "\n"))
}

// show gives a text as it is, indented.
func (n *narrator) show(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(strings.TrimRight(text, "\n") + "\n") {
		fmt.Fprint(n.out, margin+n.paint(faint, "│ ")+line)
	}
}

func (n *narrator) blank() { n.raw("") }

func (n *narrator) raw(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintln(n.out, text)
}

func (n *narrator) heading(text string) { n.raw("\n" + margin + n.paint(bold, text)) }

// failed says why the demo ends.
func (n *narrator) failed(err error) {
	n.line(n.clock(), red, "FAILED: ", strings.TrimSpace(err.Error()))
}

// line writes a text after a clock and a mark. It is broken before it is
// painted, for colours have no width.
func (n *narrator) line(head, colour, mark, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.SplitSeq(mark+text, "\n") {
		for _, part := range wrapped(line, width-len(margin)) {
			part, marked := strings.CutPrefix(part, mark)
			if marked {
				part = n.paint(colour, mark) + part
			}
			fmt.Fprintln(n.out, head+part)
			head, mark = margin, ""
		}
	}
}

func (n *narrator) clock() string {
	past := time.Since(n.began)
	return fmt.Sprintf("%02d:%02d  ", int(past.Minutes()), int(past.Seconds())%60)
}

func (n *narrator) paint(colour, text string) string {
	if !n.colour || colour == "" || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// namedLine is "  name   value", whose further lines go under the value.
var namedLine = regexp.MustCompile(`^ {2}\S+( \S+)? {2,}`)

// wrapped breaks a line between words. What is longer than a line, such as a
// transaction id, stays whole.
func wrapped(text string, width int) []string {
	head := namedLine.FindString(text)
	line, indent := head, strings.Repeat(" ", len(head))
	var lines []string
	for i, word := range strings.Split(text[len(head):], " ") {
		switch {
		case i == 0:
			line += word
		case len([]rune(line))+1+len([]rune(word)) > width:
			lines = append(lines, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// btc writes an amount for people.
func btc(sat int64) string {
	whole, rest := sat/1e8, sat%1e8
	if rest == 0 {
		return fmt.Sprintf("%d BTC", whole)
	}
	return fmt.Sprintf("%d.%s BTC", whole, strings.TrimRight(fmt.Sprintf("%08d", rest), "0"))
}
