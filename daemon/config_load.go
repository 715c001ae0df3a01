package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNoConfig is wrapped by Find where there is no configuration file.
var ErrNoConfig = errors.New("no configuration file")

// maxConfigSize is far above any list kept by hand; longer lists are imported.
const maxConfigSize = 4 << 20

// Find says which configuration file to read: the one named on the command
// line, else by BTCWATCH_CONFIG, else ./config.toml, else
// /etc/btcwatch/config.toml. Only the last two are looked for.
func Find(flag string, getenv func(string) string) (string, error) {
	return findAmong(flag, getenv, []string{"config.toml", "/etc/btcwatch/config.toml"})
}

func findAmong(flag string, getenv func(string) string, places []string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if named := getenv("BTCWATCH_CONFIG"); named != "" {
		return named, nil
	}
	for _, place := range places {
		// One that is there but cannot be read is the one meant: reading says why.
		if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
			return place, nil
		}
	}
	return "", fmt.Errorf("%w at ./%s or %s; copy config.example.toml to one of them and edit it, or name one with --config FILE or BTCWATCH_CONFIG",
		ErrNoConfig, places[0], places[1])
}

// Check looks at a configuration for what Load itself cannot know, and adds
// what it finds. A channel or explorer with faults of its own may be absent.
type Check func(*Config, *Faults)

// Load reads and checks a configuration. Everything wrong with it is in the
// one error, a *Faults; an error of another type means that the file could
// not be read at all.
func Load(path string, checks ...Check) (*Config, error) {
	data, err := readConfig(path)
	if err != nil {
		return nil, err
	}
	faults := &Faults{file: path}
	root, broken := readTree(data, faults)
	c := &Config{File: path, lines: map[string]int{}}
	noteLines(c.lines, "", root)
	l := &loader{config: c, faults: faults, broken: broken}
	l.load(&section{node: root, faults: faults})
	for _, check := range checks {
		check(c, faults)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, unreadable(path, err)
	}
	if info.IsDir() {
		return nil, fmt.Errorf("read configuration %s: it is a directory; name the file in it", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if len(data) > maxConfigSize {
		return nil, fmt.Errorf("read configuration %s: it is larger than %d MB, which no configuration is; check that it is the file you mean, and import long lists with btcwatch watch import", path, maxConfigSize>>20)
	}
	return data, nil
}

func unreadable(path string, err error) error {
	var what *fs.PathError
	if errors.As(err, &what) {
		err = what.Err // without the path, which stands before it
	}
	advice := "check the path and the disk"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = "check the path, or copy config.example.toml there and edit it"
	case errors.Is(err, fs.ErrPermission):
		advice = "let this user read it, or run as the user it belongs to"
	}
	return fmt.Errorf("read configuration %s: %w; %s", path, err, advice)
}

func noteLines(lines map[string]int, name string, n *node) {
	for _, key := range n.keys {
		child := n.children[key]
		full := key
		if name != "" {
			full = name + "." + key
		}
		lines[full] = child.line
		noteLines(lines, full, child)
	}
}
