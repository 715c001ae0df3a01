// Package recorded finds the recordings and vectors that tests read in place:
// real explorer answers, real blocks and real lists, kept beside the project.
package recorded

import (
	"os"
	"path/filepath"
	"testing"
)

// Path gives the path of a recording. Without the folder of recordings the
// test is skipped, or fails where CI=true promises that it is there.
func Path(t testing.TB, elem ...string) string {
	t.Helper()
	root := filepath.Join(projectRoot(t), "..", "shared")
	if _, err := os.Stat(root); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the recorded data (../shared) is not here, and CI=true promises it: %v", err)
		}
		t.Skip("the recorded data (../shared) is not here")
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// Read gives the bytes of a recording.
func Read(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(Path(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func projectRoot(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("no go.mod above the working directory")
	return ""
}
