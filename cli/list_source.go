package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"btcwatch/daemon"
	"btcwatch/watchlist/listfile"
)

// listSource is where a list is read from: a file, standard input or the web.
type listSource struct {
	name   string // as the person gave it
	text   io.ReadCloser
	beside fs.FS // nil: nothing lies beside it
}

// readList opens a list, begins to read it and lets it be worked on. What goes
// wrong is said with its name.
func (s *session) readList(name string, given listfile.Given, work func(*listSource, *listfile.Reading) error) error {
	ctx, stop := interruptible()
	defer stop()
	source, err := s.openList(ctx, name)
	if err != nil {
		return err
	}
	defer source.text.Close()
	reading, err := listfile.Read(source.text, source.name, source.beside, given)
	if err != nil {
		return fmt.Errorf("%s: %w", source.name, err)
	}
	return work(source, reading)
}

// openList opens a list for reading. What the web has is fetched whole first, so
// that nothing waits for a slow server later.
func (s *session) openList(ctx context.Context, name string) (*listSource, error) {
	switch {
	case name == "-":
		if s.InIsTerminal {
			s.say("Reading what you type; Ctrl-D ends it.")
		}
		return &listSource{name: "standard input", text: io.NopCloser(s.In)}, nil
	case isURL(name):
		if strings.HasPrefix(name, "http://") {
			s.say("Warning: %s is not encrypted, so that anybody on the way could change the list.", tame(name))
		}
		p := s.progress("fetching " + name)
		defer p.end()
		fetched, err := daemon.FetchList(ctx, name, "", func() {})
		if err != nil {
			return nil, err
		}
		return &listSource{name: name, text: fetched.Text}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		file.Close()
		return nil, errors.New(name + " is a directory: name a file in it")
	}
	return &listSource{name: name, text: file, beside: os.DirFS(filepath.Dir(name))}, nil
}

func isURL(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://")
}

// listName is what a list is called after where it comes from.
func listName(source string) string {
	base := filepath.Base(source)
	if u, err := url.Parse(source); isURL(source) && err == nil {
		base = path.Base(u.Path)
	}
	base = strings.TrimSuffix(base, filepath.Ext(base))
	if base == "." || base == "/" || base == "-" {
		return ""
	}
	return base
}
