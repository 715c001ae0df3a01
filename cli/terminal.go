package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"
)

// Terminal is what a command has of the world around it: where a person types
// and reads, or a program does.
type Terminal struct {
	In            io.Reader
	Out, Err      io.Writer
	InIsTerminal  bool // a person can be asked
	IsTerminal    bool // Out is looked at by a person
	ErrIsTerminal bool
	Width         int // columns of the terminal; 0: as wide as it takes
	Getenv        func(string) string
	Now           func() time.Time
}

// System is the terminal that this process was started on.
func System() Terminal {
	isTerminal := func(f *os.File) bool { return isatty.IsTerminal(f.Fd()) }
	t := Terminal{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InIsTerminal: isTerminal(os.Stdin), IsTerminal: isTerminal(os.Stdout), ErrIsTerminal: isTerminal(os.Stderr),
		Getenv: os.Getenv, Now: time.Now,
	}
	if t.IsTerminal {
		t.Width = width(os.Stdout, os.Getenv("COLUMNS"))
	}
	return t
}

func width(f *os.File, columns string) int {
	if n, err := strconv.Atoi(columns); err == nil && n > 0 {
		return n
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// coloured says whether the output may have colours: https://no-color.org.
func (t Terminal) coloured() bool {
	return t.IsTerminal && t.Getenv("NO_COLOR") == "" && t.Getenv("TERM") != "dumb"
}

// confirm asks whether something is meant; anything but yes ends the command.
func (s *session) confirm() error {
	fmt.Fprint(s.Err, "Type yes to do this: ")
	line, err := bufio.NewReader(s.In).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if strings.TrimSpace(line) != "yes" {
		s.say("Nothing is changed.")
		return exitCode(1)
	}
	return nil
}
