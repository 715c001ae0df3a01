package alerts

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// script makes a program; $DIR in it is a directory of the test.
func script(t *testing.T, text string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.ReplaceAll(text, "$DIR", dir)+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

func TestExecGivesTheBodyAndNothingElse(t *testing.T) {
	t.Setenv("BTCWATCH_SECRET", "hunter2")
	path, dir := script(t, `cat >$DIR/body; env >$DIR/env; printf '%s|' "$@" >$DIR/args; pwd >$DIR/pwd`)
	c := openAt(t, "exec", `command = ["`+path+`", "a b", "$(touch x)", ";"]`, timeNow())
	m := message(t, told(t)(incoming().Seen(testKey())))
	m.Attempt = 3
	if err := c.Send(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if read("body") != string(m.Body) {
		t.Errorf("got %q", read("body"))
	}
	if read("args") != "a b|$(touch x)|;|" || read("pwd") != "/\n" {
		t.Errorf("arguments %q in %q", read("args"), read("pwd"))
	}
	for line := range strings.Lines(read("env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		want, known := map[string]string{
			"BTCWATCH_ALERT_ID": m.ID.String(), "BTCWATCH_ALERT_TYPE": "transaction.seen",
			"BTCWATCH_ALERT_SEVERITY": "medium", "BTCWATCH_ALERT_ATTEMPT": "3", "LANG": "C.UTF-8",
		}[name]
		if known && value != want || !known && name != "PATH" && name != "PWD" && name != "_" && name != "SHLVL" && name != "OLDPWD" {
			t.Errorf("the environment holds %q", line)
		}
	}
	if strings.Count(read("env"), "BTCWATCH_ALERT_") != 4 {
		t.Error(read("env"))
	}
}

func TestExecJudgesHowTheProgramEnds(t *testing.T) {
	for text, c := range map[string]struct {
		permanent bool
		words     string // empty: success
	}{
		"exit 0":             {false, ""},
		"cat >/dev/null":     {false, ""},
		"exit 75":            {false, "exit code 75"},
		"exit 1":             {false, "exit code 1"},
		"exit 65":            {true, "refused the alert for good (exit code 65)"},
		"exit 127":           {false, "exit code 127"},
		"kill -TERM $$":      {false, "a signal ended it"},
		"sleep 300 & exit 0": {false, ""}, // what it leaves behind holds nothing up
		"yes hunter2 | head -c 3000000; echo token >&2; exit 9": {false, "exit code 9"},
	} {
		path, _ := script(t, text)
		err := openAt(t, "exec", `command = ["`+path+`"]`, timeNow()).Send(context.Background(), message(t, samples(t)["daily"]))
		if (err == nil) != (c.words == "") || err != nil && !strings.Contains(err.Error(), c.words) || Permanent(err) != c.permanent {
			t.Errorf("%s: %v, permanent %v", text, err, Permanent(err))
		}
		discreet(t, err)
	}
}

// TestExecIsKilledWhole: with what it has started itself, at its timeout and
// when the daemon stops.
func TestExecIsKilledWhole(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, stopped := range []bool{false, true} {
		path, dir := script(t, `sleep 300 & echo $! >$DIR/child.new; mv $DIR/child.new $DIR/child; wait`)
		c := openAt(t, "exec", `command = ["`+path+`"]`+"\ntimeout = \"2s\"", timeNow())
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		child := filepath.Join(dir, "child")
		var pid int
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			for pid == 0 && ctx.Err() == nil {
				if text, err := os.ReadFile(child); err == nil {
					pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
				}
				time.Sleep(5 * time.Millisecond)
			}
			if stopped {
				cancel()
			}
		}()
		err := c.Send(ctx, message(t, samples(t)["blind"]))
		cancel()
		<-watched
		want := "did not end in time and was killed"
		if stopped {
			want = "was interrupted"
		}
		if err == nil || Permanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if pid == 0 {
			t.Fatal("the program's child was never seen")
		}
		within(t, "the end of the child", func() bool { return gone(pid) })
	}
}

// gone says whether a process runs no more: whoever adopts it may be slow to
// bury it.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(text), ") Z ")
}

func TestExecSaysWhatCannotBeStarted(t *testing.T) {
	path, dir := script(t, "exit 0")
	c := openAt(t, "exec", `command = ["`+path+`"]`, timeNow())
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(context.Background(), message(t, samples(t)["blind"])); err == nil || Permanent(err) || !strings.Contains(err.Error(), "make it executable") {
		t.Errorf("%v", err)
	}
	os.Remove(path)
	if err := os.WriteFile(path, []byte("no program at all"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(context.Background(), message(t, samples(t)["blind"])); err == nil || Permanent(err) || !strings.Contains(err.Error(), "exec format error") {
		t.Errorf("%v", err)
	}
	os.Remove(path)
	if err := c.Send(context.Background(), message(t, samples(t)["blind"])); err == nil || Permanent(err) || !strings.Contains(err.Error(), "there is no program") {
		t.Errorf("%v", err)
	}
	for table, want := range map[string]string{
		``:                           "command is missing",
		`command = []`:               "command is missing",
		`command = ["sh"]`:           "no whole path",
		`command = ["` + path + `"]`: "there is no program",
		`command = ["` + dir + `"]`:  "make it executable",
		`command = ["/bin/true"]` + "\ntimeout = \"41s\"": "at most 40s",
		`command = ["/bin/true", ""]`:                     "",
		`command = ["/bin/true", "\u0000"]`:               "NUL",
	} {
		_, err := Open(settings("exec", table), Env{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", table, err, want)
		}
	}
}
