package alerts

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileHoldsOneBodyALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	c, err := Open(settings("file", `path = "`+path+`"`), Env{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("opening has made the file")
	}
	var want strings.Builder
	for _, a := range []Alert{told(t)(incoming().Seen(testKey())), told(t)(confirmed().Confirmed(testKey(), 1, true)), outage("x").Blind(testKey())} {
		if err := c.Send(context.Background(), message(t, a)); err != nil {
			t.Fatal(err)
		}
		want.Write(a.Body)
		want.WriteByte('\n')
	}
	if got, _ := os.ReadFile(path); string(got) != want.String() {
		t.Errorf("the file holds\n%s\nnot\n%s", got, want.String())
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("the file is open to others: %v", info.Mode())
	}
}

// A crash can cut a write anywhere. The next one leaves a whole line, and the
// repeat of the one that was cut is there once, or once more after its torso.
func TestFileIsMendedAfterACrash(t *testing.T) {
	const body = `{"id":"b"}`
	for name, c := range map[string]struct{ before, after string }{
		"new":                   {"", body + "\n"},
		"after another":         {"{\"id\":\"a\"}\n", "{\"id\":\"a\"}\n" + body + "\n"},
		"torn in another":       {`{"id":`, "{\"id\":\n" + body + "\n"},
		"torn in itself":        {"{\"id\":\"a\"}\n{\"id\":\"", "{\"id\":\"a\"}\n{\"id\":\"\n" + body + "\n"},
		"only the end missing":  {"{\"id\":\"a\"}\n" + body, "{\"id\":\"a\"}\n" + body + "\n"},
		"written, but not said": {"{\"id\":\"a\"}\n" + body + "\n", "{\"id\":\"a\"}\n" + body + "\n"},
		"written long before":   {body + "\n{\"id\":\"a\"}\n", body + "\n{\"id\":\"a\"}\n" + body + "\n"},
	} {
		path := filepath.Join(t.TempDir(), "alerts.jsonl")
		if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&file{path: path}).Send(context.Background(), Message{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != c.after {
			t.Errorf("%s: the file holds %q, not %q", name, got, c.after)
		}
	}
}

func TestFileThatCannotBeWrittenIsAnErrorAndNoLoss(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	err := (&file{path: "/dev/full"}).Send(context.Background(), Message{Body: []byte("{}")})
	if err == nil || Permanent(err) {
		t.Errorf("a full disk gives %v", err)
	}
}
