package cli

import (
	"strings"
	"sync"
	"testing"
	"time"

	"btcwatch/daemon"
)

// screen is what a terminal was sent.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *screen) await(t *testing.T, words string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(s.String(), words); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q is not shown: %q", words, s)
		}
	}
}

// TestCatchingUpIsShown: one line below what the daemon prints, gone at the tip,
// and there again when it is behind once more.
func TestCatchingUpIsShown(t *testing.T) {
	to := &screen{}
	s := &session{Terminal: Terminal{Out: to, Err: to, ErrIsTerminal: true, IsTerminal: true, Now: time.Now}}
	tell := s.showCatchingUp()
	way := daemon.CatchingUp{Height: 840_100, Tip: 841_344, Done: 100, Rate: 2.04, Left: 610 * time.Second}
	line := "\r\x1b[Kcatching up: block 840,100, 100 done, 1,244 to go, 2.0 a second, about 10 min 10 s left … "
	tell(way)
	to.await(t, line)
	if _, err := s.Err.Write([]byte("a line of the log\n")); err != nil {
		t.Fatal(err)
	}
	to.await(t, "s\r\x1b[Ka line of the log\n")
	if _, err := s.Out.Write([]byte("an alert\n")); err != nil {
		t.Fatal(err)
	}
	to.await(t, "\r\x1b[Kan alert\n")
	before := strings.Count(to.String(), line)
	for deadline := time.Now().Add(time.Minute); strings.Count(to.String(), line) == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the line does not come again: %q", to)
		}
	}
	tell(daemon.CatchingUp{Height: 841_344, Tip: 841_344})
	if text := to.String(); !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("at the tip the line stays: %q", text)
	}
	tell(daemon.CatchingUp{Height: 841_344, Tip: 841_346})
	to.await(t, "\r\x1b[Kcatching up: block 841,344, 0 done, 2 to go … ")
	tell(daemon.CatchingUp{Height: 841_346, Tip: 841_346})
}

// TestCatchingUpIsNotShownToPrograms: what is no terminal gets the log alone.
func TestCatchingUpIsNotShownToPrograms(t *testing.T) {
	to := &screen{}
	s := &session{Terminal: Terminal{Out: to, Err: to, IsTerminal: true, Now: time.Now}}
	if s.showCatchingUp() != nil || s.Err != to || s.Out != to {
		t.Error("something would be shown")
	}
}
