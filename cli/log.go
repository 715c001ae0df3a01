package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// quietLog is for commands, which tell themselves what they do: only what
// needs attention comes through.
func (s *session) quietLog() *slog.Logger { return slog.New(s.logHandler(slog.LevelWarn)) }

func (s *session) logHandler(least slog.Level) slog.Handler {
	h := &logHandler{out: s.Err, mu: &sync.Mutex{}, line: &bytes.Buffer{}, journal: s.underJournal()}
	h.fields = slog.NewTextHandler(h.line, &slog.HandlerOptions{Level: least, ReplaceAttr: withoutHead})
	return h
}

// underJournal says whether the log goes to systemd's journal. The variable
// alone does not tell: shells that a service started have it too.
func (s *session) underJournal() bool {
	var device, inode uint64
	if _, err := fmt.Sscanf(s.Getenv("JOURNAL_STREAM"), "%d:%d", &device, &inode); err != nil {
		return false
	}
	file, ok := s.Err.(*os.File)
	if !ok {
		return false
	}
	var stat syscall.Stat_t
	err := syscall.Fstat(int(file.Fd()), &stat)
	return err == nil && uint64(stat.Dev) == device && stat.Ino == inode
}

// logHandler writes a line a record: time, level and message first, for
// people; under the journal, which keeps time and level, a priority and the
// message.
type logHandler struct {
	out     io.Writer
	journal bool
	mu      *sync.Mutex // guards what all handlers of one log share
	line    *bytes.Buffer
	fields  slog.Handler // writes to line what comes after the message
}

func withoutHead(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.fields.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.line.Reset()
	if h.journal {
		fmt.Fprintf(h.line, "<%d>%s ", priority(r.Level), r.Message)
	} else {
		fmt.Fprintf(h.line, "%s %-5s %s ", r.Time.Format("2006-01-02 15:04:05"), r.Level, r.Message)
	}
	if err := h.fields.Handle(ctx, r); err != nil {
		return err
	}
	_, err := h.out.Write(append(bytes.TrimRight(h.line.Bytes(), " \n"), '\n'))
	return err
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fields = h.fields.WithAttrs(attrs)
	return &with
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.fields = h.fields.WithGroup(name)
	return &with
}

// priority is syslog's number for a level.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}
