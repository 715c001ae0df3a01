package deploy_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// systemd-analyze verify exits with 0 even on unknown keys, so that any word
// from it counts.
func TestUnitIsValid(t *testing.T) {
	needs(t, "systemd-analyze")
	p := newProject(t, os.Getuid())
	p.must(t, "make", "install", "DESTDIR=stage")
	program := filepath.Join(p.dir, "stage/usr/local/bin/btcwatch")
	unit := strings.ReplaceAll(p.read(t, "stage/usr/local/lib/systemd/system/btcwatch.service"), "/usr/local/bin/btcwatch", program)

	p.write(t, "valid/btcwatch.service", unit, 0o644)
	if out := p.must(t, "systemd-analyze", "verify", "valid/btcwatch.service"); out != "" {
		t.Errorf("systemd-analyze verify has something to say:\n%s", out)
	}
	p.write(t, "invalid/btcwatch.service", strings.Replace(unit, "WatchdogSec=", "WatchdogSecs=", 1), 0o644)
	if out, _ := p.run("systemd-analyze", "verify", "invalid/btcwatch.service"); !strings.Contains(out, "WatchdogSecs") {
		t.Errorf("systemd-analyze verify does not notice an unknown key here, so that this test shows nothing:\n%s", out)
	}
}

// The scale is ten times the exposure that systemd-analyze prints: 15 is 1.5.
func TestUnitIsTight(t *testing.T) {
	needs(t, "systemd-analyze")
	p := newProject(t, os.Getuid())
	p.must(t, "systemd-analyze", "security", "--offline=true", "--threshold=15", "deploy/btcwatch.service")

	p.write(t, "bare/btcwatch.service", "[Service]\nExecStart=/bin/true\n", 0o644)
	if out, err := p.run("systemd-analyze", "security", "--offline=true", "--threshold=15", "bare/btcwatch.service"); err == nil {
		t.Errorf("a bare unit passes, so that this test shows nothing:\n%s", out)
	}
}

// What the private Postgres cannot live with, or the watch cannot live without.
func TestUnitKeepsWhatTheDaemonRestsOn(t *testing.T) {
	unit := newProject(t, os.Getuid()).read(t, "deploy/btcwatch.service")
	for _, line := range []string{
		"Type=notify", "NotifyAccess=main", "WatchdogSec=60", "Restart=always", "StartLimitIntervalSec=0",
		"User=btcwatch", "KillMode=mixed", "StateDirectory=btcwatch", "StateDirectoryMode=0700",
		"RemoveIPC=no", "PrivateIPC=no", "PrivateUsers=no", "ExecReload=/bin/kill -HUP $MAINPID",
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
}

func TestUserAndFolders(t *testing.T) {
	needs(t, "systemd-sysusers")
	needs(t, "systemd-tmpfiles")
	p := newProject(t, os.Getuid())
	p.must(t, "make", "install", "DESTDIR=stage")
	stage := filepath.Join(p.dir, "stage")
	const conf = "btcwatch.conf" // by name, so that systemd looks for it where it would at boot
	if os.Getuid() != 0 {
		if out := p.must(t, "systemd-sysusers", "--dry-run", "--root="+stage, conf); !strings.Contains(out, "btcwatch") {
			t.Errorf("systemd-sysusers would make no user btcwatch:\n%s", out)
		}
		t.Skip("making users and giving files to them needs root, even in a folder")
	}
	p.must(t, "systemd-sysusers", "--root="+stage, conf)
	// A configuration that everybody may read is put right.
	if err := os.Chmod(filepath.Join(stage, "etc/btcwatch/config.toml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := p.must(t, "systemd-tmpfiles", "--root="+stage, "--create", conf); out != "" {
		t.Errorf("systemd-tmpfiles has something to say:\n%s", out)
	}
	user := passwd(t, p.read(t, "stage/etc/passwd"))
	for name, want := range map[string]struct {
		mode     fs.FileMode
		uid, gid int
	}{
		"etc/btcwatch":             {0o750, 0, user.gid},
		"etc/btcwatch/config.toml": {0o640, 0, user.gid},
		"var/lib/btcwatch":         {0o700, user.uid, user.gid},
	} {
		if mode := p.mode(t, "stage", name); mode != want.mode {
			t.Errorf("%s has mode %o, want %o", name, mode, want.mode)
		}
		if uid, gid := p.owner(t, "stage", name); uid != want.uid || gid != want.gid {
			t.Errorf("%s belongs to %d:%d, want %d:%d", name, uid, gid, want.uid, want.gid)
		}
	}
}

// user is the line of btcwatch in a passwd file.
type user struct{ uid, gid int }

func passwd(t *testing.T, text string) user {
	t.Helper()
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if fields[0] != "btcwatch" || len(fields) != 7 {
			continue
		}
		uid, _ := strconv.Atoi(fields[2])
		gid, _ := strconv.Atoi(fields[3])
		if uid == 0 || gid == 0 || fields[5] != "/var/lib/btcwatch" || !strings.HasSuffix(fields[6], "/nologin") {
			t.Errorf("the user is %q", line)
		}
		return user{uid, gid}
	}
	t.Fatalf("no user btcwatch in\n%s", text)
	return user{}
}

// needs skips where a tool of systemd is absent, or fails where CI=true
// promises that make deps has brought it.
func needs(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not here, and make deps installs it", tool)
	}
	t.Skipf("%s is not here; make deps installs it", tool)
}
