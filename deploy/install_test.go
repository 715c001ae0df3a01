// Package deploy_test tries what make install puts on a machine: in a folder,
// never on the machine that runs the tests.
package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallStages(t *testing.T) {
	eachUser(t, func(t *testing.T, p project) {
		out := p.must(t, "make", "install", "DESTDIR=stage")
		if !strings.Contains(out, "Staged below stage") {
			t.Errorf("make install says nothing about what it staged:\n%s", out)
		}
		for name, mode := range map[string]fs.FileMode{
			"usr/local/bin/btcwatch":                        0o755,
			"usr/local/lib/systemd/system/btcwatch.service": 0o644,
			"usr/local/lib/sysusers.d/btcwatch.conf":        0o644,
			"usr/local/lib/tmpfiles.d/btcwatch.conf":        0o644,
			"etc/btcwatch":                                  0o750,
			"etc/btcwatch/config.toml":                      0o640,
		} {
			if got := p.mode(t, "stage", name); got != mode {
				t.Errorf("%s has mode %o, want %o", name, got, mode)
			}
		}
		if got, want := p.read(t, "stage/etc/btcwatch/config.toml"), p.read(t, "config.example.toml"); got != want {
			t.Error("the installed configuration is not the example")
		}
		if _, err := os.Stat(filepath.Join(p.dir, "stage/var/lib/btcwatch")); err == nil {
			t.Error("/var/lib/btcwatch is for systemd-tmpfiles to make, with its owner")
		}
	})
}

func TestInstallKeepsAnEditedConfiguration(t *testing.T) {
	eachUser(t, func(t *testing.T, p project) {
		p.must(t, "make", "install", "DESTDIR=stage")
		const edited = "# edited by the operator\n"
		config := filepath.Join(p.dir, "stage/etc/btcwatch/config.toml")
		if err := os.WriteFile(config, []byte(edited), 0o640); err != nil {
			t.Fatal(err)
		}
		p.write(t, "bin/btcwatch", "#!/bin/sh\n# newer\n", 0o755)

		if out := p.must(t, "make", "install", "DESTDIR=stage"); !strings.Contains(out, "kept") {
			t.Errorf("the second install does not say that it kept the configuration:\n%s", out)
		}
		if p.read(t, "stage/etc/btcwatch/config.toml") != edited {
			t.Error("the second install overwrote the configuration")
		}
		if !strings.Contains(p.read(t, "stage/usr/local/bin/btcwatch"), "newer") {
			t.Error("the second install did not replace the program")
		}

		p.must(t, "make", "uninstall", "DESTDIR=stage")
		if left := p.files(t, "stage"); len(left) != 1 || left[0] != "stage/etc/btcwatch/config.toml" {
			t.Errorf("after make uninstall there are %q; only the configuration should stay", left)
		}
	})
}

func TestInstallUnderAnotherPrefix(t *testing.T) {
	p := newProject(t, os.Getuid())
	p.must(t, "make", "install", "DESTDIR=stage", "PREFIX=/usr")
	unit := p.read(t, "stage/usr/lib/systemd/system/btcwatch.service")
	if !strings.Contains(unit, "\nExecStart=/usr/bin/btcwatch run ") {
		t.Error("the unit does not start the program where PREFIX=/usr put it")
	}
}

func TestInstallRefusesWithAReason(t *testing.T) {
	p := newProject(t, unprivileged())
	// Should it ever not refuse, it finds nothing that it may write to.
	if out, err := p.run("make", "install", "PREFIX=/nonexistent"); err == nil || !strings.Contains(out, "sudo make install") {
		t.Errorf("make install as an ordinary user: %v\n%s", err, out)
	}
	if err := os.Remove(filepath.Join(p.dir, "bin/btcwatch")); err != nil {
		t.Fatal(err)
	}
	if out, err := p.run("make", "install", "DESTDIR=stage"); err == nil || !strings.Contains(out, "make build") {
		t.Errorf("make install before make build: %v\n%s", err, out)
	}
	if left := p.files(t, "stage"); len(left) > 0 {
		t.Errorf("a refused install left %q", left)
	}
}

func TestRunWritesItsConfigurationOnce(t *testing.T) {
	p := newProject(t, unprivileged())
	p.must(t, "make", "config.toml")
	if got, want := p.read(t, "config.toml"), "network = \"mainnet\"\ndata_dir = \"./data\"\n"; got != want {
		t.Errorf("make run would write\n%s\nwant\n%s", got, want)
	}
	if mode := p.mode(t, "config.toml"); mode != 0o600 {
		t.Errorf("config.toml has mode %o, want 600", mode)
	}
	p.write(t, "config.toml", "# mine\n", 0o600)
	p.must(t, "make", "config.toml")
	if got := p.read(t, "config.toml"); got != "# mine\n" {
		t.Errorf("make run overwrote config.toml with\n%s", got)
	}
}

func TestRunKnowsTheExample(t *testing.T) {
	example, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	p := newProject(t, os.Getuid())
	p.write(t, "config.example.toml", string(example), 0o644)
	p.must(t, "make", "config.toml")
	if !strings.Contains(p.read(t, "config.toml"), "\ndata_dir = \"./data\"\n") {
		t.Error("make run would not keep its data in ./data")
	}
}
