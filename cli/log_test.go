package cli

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// logged gives what a log writes into a file, with JOURNAL_STREAM as the
// journal would set it for a file.
func logged(t *testing.T, stream func(stat syscall.Stat_t) string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	s := &session{Terminal: Terminal{Err: file, Getenv: func(name string) string {
		if name == "JOURNAL_STREAM" {
			return stream(stat)
		}
		return ""
	}}}
	log := slog.New(s.logHandler(slog.LevelInfo))
	log.Debug("not told")
	log.Info("bare")
	log.With("job", "blocks").WithGroup("g").Warn("round failed", "level", 3, "error", "two words")
	log.Error("over")
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLogForTheJournal(t *testing.T) {
	got := logged(t, func(stat syscall.Stat_t) string { return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino) })
	want := "<6>bare\n<4>round failed job=blocks g.level=3 g.error=\"two words\"\n<3>over\n"
	if got != want {
		t.Errorf("got %q", got)
	}
}

func TestLogForPeople(t *testing.T) {
	for _, stream := range []string{"", "1:2", "nonsense"} {
		got := logged(t, func(syscall.Stat_t) string { return stream })
		want := regexp.MustCompile(`^20..-..-.. ..:..:.. INFO  bare
20..-..-.. ..:..:.. WARN  round failed job=blocks g.level=3 g.error="two words"
20..-..-.. ..:..:.. ERROR over
$`)
		if !want.MatchString(got) {
			t.Errorf("got %q", got)
		}
	}
}

// TestSystemd listens where systemd would.
func TestSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	hear := func() string {
		var buffer [512]byte
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer[:])
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
	m := newSystemd(os.Getenv)
	defer m.close()
	if got := hear(); got != moreTime {
		t.Errorf("while starting: %q", got)
	}
	m.tell("READY=1\nSTATUS=watching")
	if got := hear(); !strings.HasPrefix(got, "READY=1") {
		t.Errorf("when ready: %q", got)
	}
	var all sync.WaitGroup
	all.Go(m.askForTime) // a timer that fires late
	all.Wait()
	m.tell("STOPPING=1")
	if got := hear(); got != "STOPPING=1" {
		t.Errorf("after READY: %q", got)
	}
}
