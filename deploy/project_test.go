package deploy_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// nobody is Debian's unprivileged user, by number so that no lookup is needed.
const nobody = 65534

// project is a copy of what make install reads, with stand-ins for program
// and configuration, and the user who works in it.
type project struct {
	dir string
	uid int
}

// eachUser tries as whoever runs the tests and, where that is root, as an
// ordinary user too.
func eachUser(t *testing.T, try func(*testing.T, project)) {
	t.Run("uid="+strconv.Itoa(os.Getuid()), func(t *testing.T) { try(t, newProject(t, os.Getuid())) })
	if os.Getuid() == 0 {
		t.Run("uid=nobody", func(t *testing.T) { try(t, newProject(t, nobody)) })
	}
}

func unprivileged() int {
	if uid := os.Getuid(); uid != 0 {
		return uid
	}
	return nobody
}

func newProject(t *testing.T, uid int) project {
	t.Helper()
	// Not t.TempDir, whose parent only its owner may enter.
	dir, err := os.MkdirTemp("", "btcwatch-install-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := project{dir, uid}
	copyFile := func(name string) {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, name, string(text), 0o644)
	}
	copyFile("Makefile")
	p.write(t, "config.example.toml", "network = \"mainnet\"\ndata_dir = \"/var/lib/btcwatch\" # of the service\n", 0o644)
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			copyFile(filepath.Join("deploy", entry.Name()))
		}
	}
	p.write(t, "bin/btcwatch", "#!/bin/sh\n", 0o755)
	return p
}

// write makes a file that belongs to the project's user, like its folder.
func (p project) write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	full := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	for _, give := range []string{p.dir, filepath.Dir(full), full} {
		if err := os.Chown(give, p.uid, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// run runs a command in the project as its user, and gives all it says.
func (p project) run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = p.dir
	cmd.Env = environment()
	if p.uid != os.Getuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(p.uid), Gid: nobody}}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (p project) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := p.run(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// environment is ours without what a make around us, or a person, has set for
// another make.
func environment() []string {
	var env []string
	for _, set := range os.Environ() {
		switch name, _, _ := strings.Cut(set, "="); name {
		case "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEFILES", "DESTDIR", "PREFIX", "BINARY", "LIBDIR", "LC_ALL":
		default:
			env = append(env, set)
		}
	}
	return append(env, "LC_ALL=C")
}

func (p project) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (p project) mode(t *testing.T, elem ...string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(filepath.Join(p.dir, filepath.Join(elem...)))
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func (p project) owner(t *testing.T, elem ...string) (uid, gid int) {
	t.Helper()
	info, err := os.Stat(filepath.Join(p.dir, filepath.Join(elem...)))
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return int(stat.Uid), int(stat.Gid)
}

// files lists the files below a folder of the project.
func (p project) files(t *testing.T, folder string) (names []string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(p.dir, folder)); err != nil {
		return nil
	}
	err := fs.WalkDir(os.DirFS(p.dir), folder, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
