package cli

import (
	"fmt"
	"io"
	"time"

	"btcwatch/daemon"
)

// catchingUp shows on a terminal how the way to the tip of the chain goes, in
// one line below everything else that the daemon prints there.
type catchingUp struct {
	*progress
}

func (t Terminal) catchingUp() *catchingUp {
	return &catchingUp{&progress{terminal: t, ended: true}}
}

// showCatchingUp gives what hears of the way to the tip where a person looks on,
// and puts all that is printed on that terminal above the line that it shows;
// nil where nobody does.
func (s *session) showCatchingUp() func(daemon.CatchingUp) {
	if !s.ErrIsTerminal {
		return nil
	}
	line := s.catchingUp()
	s.Err = line.over(s.Err)
	if s.IsTerminal {
		s.Out = line.over(s.Out)
	}
	return line.tell
}

// tell takes down how it goes; with nothing left to go the line is taken away.
func (c *catchingUp) tell(way daemon.CatchingUp) {
	if way.ToGo() == 0 {
		c.end()
		return
	}
	c.again(wayWords(way))
}

// wayWords says how far it is, how fast it goes and how long it takes.
func wayWords(way daemon.CatchingUp) string {
	text := fmt.Sprintf("catching up: block %s, %s done, %s to go", grouped(int64(way.Height)), grouped(int64(way.Done)), grouped(int64(way.ToGo())))
	if way.Rate > 0 {
		text += fmt.Sprintf(", %.1f a second, about %s left", way.Rate, span(max(time.Second, way.Left.Round(time.Second))))
	}
	return text
}

// over gives a writer for whatever else is printed on the terminal: it takes
// the line away first, which comes again below.
func (c *catchingUp) over(to io.Writer) io.Writer { return overLine{to, c.progress} }

type overLine struct {
	to   io.Writer
	line *progress
}

func (o overLine) Write(text []byte) (int, error) {
	o.line.mu.Lock()
	defer o.line.mu.Unlock()
	o.line.clear()
	return o.to.Write(text)
}
