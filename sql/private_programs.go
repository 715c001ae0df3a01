package sql

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// ErrNoPostgres means that the programs of Postgres are not installed, or not
// those of the version that made the private cluster.
var ErrNoPostgres = errors.New("the PostgreSQL server is not installed")

// programsVariable names a directory with initdb, postgres and psql that is
// used before any other.
const programsVariable = "BTCWATCH_PGBIN"

// programs are the programs of one Postgres installation.
type programs struct {
	dir   string
	major int
}

func (p programs) path(name string) string { return filepath.Join(p.dir, name) }

// programSearch says where to look for Postgres.
type programSearch struct {
	override string   // a directory; empty: none
	layouts  []string // directories with %s in place of the major version
	path     []string // directories
}

// usualPlaces are the versioned directories of Debian's and of the PostgreSQL
// project's packages, then PATH.
func usualPlaces() programSearch {
	return programSearch{
		override: os.Getenv(programsVariable),
		layouts:  []string{"/usr/lib/postgresql/%s/bin", "/usr/pgsql-%s/bin"},
		path:     filepath.SplitList(os.Getenv("PATH")),
	}
}

// newest finds the programs to make a new cluster with.
func (s programSearch) newest(ctx context.Context) (programs, error) {
	best := programs{}
	for _, found := range s.all(ctx) {
		if s.override != "" && found.dir == s.override {
			best = found
			break
		}
		if found.major > best.major {
			best = found
		}
	}
	switch {
	case best.major == 0:
		return programs{}, fmt.Errorf("%w: apt-get install postgresql, or name a server in [database] url", ErrNoPostgres)
	case best.major < oldestServer:
		return programs{}, fmt.Errorf("PostgreSQL %d in %s is too old, %d is the oldest that works: install a newer one", best.major, best.dir, oldestServer)
	}
	return best, nil
}

// of finds the programs of the version that made a cluster: no other can run it.
func (s programSearch) of(ctx context.Context, version, cluster string) (programs, error) {
	for _, found := range s.all(ctx) {
		if strconv.Itoa(found.major) == version {
			return found, nil
		}
	}
	return programs{}, fmt.Errorf("%w in the version that made %s: apt-get install postgresql-%s (the data is intact; only PostgreSQL %[3]s can open it)",
		ErrNoPostgres, cluster, version)
}

// all lists every installation with a server.
func (s programSearch) all(ctx context.Context) []programs {
	dirs := slices.DeleteFunc([]string{s.override}, func(dir string) bool { return dir == "" })
	for _, layout := range s.layouts {
		matches, _ := filepath.Glob(fmt.Sprintf(layout, "*")) // only a bad pattern fails
		dirs = append(dirs, matches...)
	}
	var found []programs
	for _, dir := range append(dirs, s.path...) {
		if !executable(dir, "initdb") || !executable(dir, "postgres") {
			continue
		}
		if major := majorVersion(ctx, dir); major > 0 {
			found = append(found, programs{dir: dir, major: major})
		}
	}
	return found
}

// psql finds the client: the newest beside a server, else the first in PATH.
// Debian's own psql in PATH is a script that looks for clusters of its own.
func (s programSearch) psql() (string, error) {
	dirs := slices.DeleteFunc([]string{s.override}, func(dir string) bool { return dir == "" })
	for _, layout := range s.layouts {
		matches, _ := filepath.Glob(fmt.Sprintf(layout, "*"))
		slices.SortFunc(matches, func(a, b string) int { return numberIn(b) - numberIn(a) })
		dirs = append(dirs, matches...)
	}
	for _, dir := range append(dirs, s.path...) {
		if executable(dir, "psql") {
			return filepath.Join(dir, "psql"), nil
		}
	}
	return "", errors.New("psql is not installed: apt-get install postgresql-client")
}

func executable(dir, name string) bool {
	info, err := os.Stat(filepath.Join(dir, name))
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

var (
	versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)
	numberPattern  = regexp.MustCompile(`\d+`)
)

// majorVersion asks a server program for its version, because a directory's
// name may lie; 0 when it does not say.
func majorVersion(ctx context.Context, dir string) int {
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version")
	cmd.Env = cleanEnvironment()
	output, err := cmd.Output()
	match := versionPattern.FindSubmatch(output)
	if err != nil || match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1])) // digits
	return major
}

func numberIn(path string) int {
	n, _ := strconv.Atoi(numberPattern.FindString(path)) // digits or none, which sorts last
	return n
}

// cleanEnvironment is what the server's programs get: none of the PG*
// variables that would turn them elsewhere, and none of our secrets.
func cleanEnvironment() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}
