package cli

import (
	"fmt"
	"sync"
	"time"
)

// progress tells what takes long: on a terminal in one line that comes after
// two seconds and goes when the work is done, elsewhere in a line now and then.
type progress struct {
	terminal Terminal
	began    time.Time

	mu    sync.Mutex
	what  string
	timer *time.Timer
	ended bool
	shown bool
}

const (
	progressAfter  = 2 * time.Second
	progressRedraw = 500 * time.Millisecond
	progressLine   = 15 * time.Second // where nobody sees it move
)

// progress begins to tell of what is being done.
func (t Terminal) progress(what string) *progress {
	p := &progress{terminal: t, began: t.Now(), what: what}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(progressAfter, p.show)
	return p
}

// now says what is being done from here on.
func (p *progress) now(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
}

// say tells something that stays, and draws the line anew below it.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.terminal.Err, format+"\n", args...)
}

// end takes the line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	p.timer.Stop()
	p.clear()
	p.shown = false
}

// again says what is being done, and begins to tell of it where that had ended.
func (p *progress) again(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.what = what
	if p.ended {
		p.ended, p.began = false, p.terminal.Now()
		p.timer = time.AfterFunc(progressAfter, p.show)
	}
}

// clear takes away the line that is shown.
func (p *progress) clear() {
	if p.shown && p.terminal.ErrIsTerminal {
		fmt.Fprint(p.terminal.Err, "\r\x1b[K")
	}
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.shown = true
	took := p.terminal.Now().Sub(p.began).Round(time.Second)
	if p.terminal.ErrIsTerminal {
		fmt.Fprintf(p.terminal.Err, "\r\x1b[K%s … %s", p.what, took)
		p.timer.Reset(progressRedraw)
		return
	}
	fmt.Fprintf(p.terminal.Err, "%s … %s\n", p.what, took)
	p.timer.Reset(progressLine)
}
