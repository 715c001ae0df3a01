package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestDependenciesAsksForNothingThatIsThere(t *testing.T) {
	p := newProject(t, unprivileged())
	out, err := p.run("sh", "deploy/dependencies.sh")
	if err != nil {
		t.Skipf("this machine lacks some of them: %s", out)
	}
	if out != "" {
		t.Errorf("nothing is missing, and yet it says:\n%s", out)
	}
}

func TestDependenciesNamesTheCommand(t *testing.T) {
	p := newProject(t, unprivileged())
	// A PATH without a compiler, with an apt-get that must not be called.
	for _, tool := range []string{"sh", "tr", "id"} {
		where, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		p.write(t, "path/"+tool, "#!/bin/sh\nexec "+where+" \"$@\"\n", 0o755)
	}
	p.write(t, "path/apt-get", "#!/bin/sh\necho apt-get was called\n", 0o755)
	out, err := p.run("env", "PATH="+filepath.Join(p.dir, "path"), "/bin/sh", "deploy/dependencies.sh")
	if err == nil || !strings.Contains(out, "gcc") || !strings.Contains(out, "sudo sh deploy/dependencies.sh") || strings.Contains(out, "was called") {
		t.Errorf("without a compiler and without root: %v\n%s", err, out)
	}
	if err := os.Remove(filepath.Join(p.dir, "path/apt-get")); err != nil {
		t.Fatal(err)
	}
	out, err = p.run("env", "PATH="+filepath.Join(p.dir, "path"), "/bin/sh", "deploy/dependencies.sh")
	if err == nil || !strings.Contains(out, "has no apt-get") {
		t.Errorf("without apt-get: %v\n%s", err, out)
	}
}
