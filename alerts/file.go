package alerts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// file appends one body a line. The file is opened anew for each, so that it
// can be moved away at any time.
type file struct {
	mu   sync.Mutex
	path string
}

type fileSettings struct {
	Path string `toml:"path"`
}

func openFile(s Settings, _ Env) (Channel, error) {
	var set fileSettings
	if err := s.Decode(&set); err != nil {
		return nil, err
	}
	if set.Path == "" {
		return nil, errors.New("path is missing: name the file that alerts are appended to")
	}
	if err := appendable(set.Path); err != nil {
		return nil, err
	}
	return &file{path: set.Path}, nil
}

// appendable looks whether a file could be appended to, without making it.
func appendable(path string) error {
	const writable, enterable = 2, 1
	dir := filepath.Dir(path)
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("path: there is no directory %s: make it, or name another path", dir)
		}
		if syscall.Access(dir, writable|enterable) != nil {
			return fmt.Errorf("path: the directory %s cannot be written: allow this user to, or name another path", dir)
		}
	case err != nil:
		return fmt.Errorf("path: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("path: %s is not a regular file: name one", path)
	case syscall.Access(path, writable) != nil:
		return fmt.Errorf("path: %s cannot be written: allow this user to, or name another path", path)
	}
	return nil
}

// Send appends the body and returns when it is on the disk. When it is the
// last line already, because the one who wrote it was killed before it could
// say so, it is not written twice.
func (c *file) Send(_ context.Context, m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, err := os.OpenFile(c.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open the file of alerts: %w", err)
	}
	err = errors.Join(appendLine(f, m.Body), f.Close())
	if err != nil {
		return fmt.Errorf("append to the file of alerts: %w", err)
	}
	return nil
}

func appendLine(f *os.File, body []byte) error {
	tail, err := lastBytes(f, len(body)+1)
	if err != nil {
		return err
	}
	if missing := missing(tail, body); len(missing) > 0 {
		if _, err := f.Write(missing); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if len(tail) > 0 {
		return nil
	}
	return syncDir(filepath.Dir(f.Name())) // the file may be new
}

// missing is what has to follow the end of a file so that it ends with the
// line: a crash may have torn the last one, or cut off only its end.
func missing(tail, body []byte) []byte {
	line := append(bytes.Clone(body), '\n')
	switch {
	case bytes.HasSuffix(tail, line):
		return nil
	case bytes.HasSuffix(tail, body):
		return []byte("\n")
	case len(tail) > 0 && tail[len(tail)-1] != '\n':
		return append([]byte("\n"), line...)
	}
	return line
}

func lastBytes(f *os.File, n int) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	tail := make([]byte, min(int64(n), info.Size()))
	_, err = f.ReadAt(tail, info.Size()-int64(len(tail)))
	return tail, err
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
