package sql

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
)

// The log of Postgres is cut when it is longer than longestLog; keptLog bytes
// of it stay in a second file.
const (
	longestLog = 4 << 20
	keptLog    = 1 << 20
)

// levelPattern finds what is wrong in the words of Postgres and of initdb.
var levelPattern = regexp.MustCompile(`\b(PANIC|FATAL|ERROR|HINT|error|hint): `)

// serverLog is the file that Postgres writes its messages to. Postgres holds
// it open for appending, so it is cut in place: a cluster outlives the
// process that started it, and no pipe would.
type serverLog struct {
	path  string
	owner account
}

func (l serverLog) open() (*os.File, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW
	file, err := os.OpenFile(l.path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := l.owner.own(file); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// size is 0 for a log that is not there.
func (l serverLog) size() int64 {
	info, err := os.Lstat(l.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// bound cuts the log when it has grown too long.
func (l serverLog) bound() error {
	size := l.size()
	if size <= longestLog {
		return nil
	}
	kept, err := l.since(size - keptLog)
	if err != nil {
		return err
	}
	old := serverLog{path: l.path + ".1", owner: l.owner}
	if err := os.Remove(old.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := old.open()
	if err != nil {
		return err
	}
	_, err = file.WriteString(kept)
	return errors.Join(err, file.Close(), os.Truncate(l.path, 0))
}

// since gives what was written from an offset on.
func (l serverLog) since(offset int64) (string, error) {
	file, err := os.OpenFile(l.path, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, offset, longestLog))
	return string(text), err
}

// faults picks the lines of a server's messages that say why it ended, or its
// last ones: short enough for one error message.
func faults(text string) string {
	var told, all []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.Contains(line, "the database system is") { // what we were told while we asked
			continue
		}
		all = append(all, line)
		if at := levelPattern.FindStringIndex(line); at != nil {
			told = append(told, line[at[0]:])
		}
	}
	if len(told) == 0 {
		told = all
	}
	return strings.Join(told[max(0, len(told)-4):], "; ")
}
