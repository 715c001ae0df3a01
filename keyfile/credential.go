package keyfile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// serviceCredentials is where systemd keeps them for the service as it is
// installed, for commands that a person types while it runs.
const serviceCredentials = "/run/credentials/btcwatch.service"

// read reads a file that a key names: by its path, or as credential:NAME by the
// name that systemd's LoadCredential= gives it.
func read(key, path string) ([]byte, error) {
	path, err := located(key, path)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return raw, nil
}

func located(key, path string) (string, error) {
	name, ok := strings.CutPrefix(path, "credential:")
	if !ok {
		return path, nil
	}
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return "", fmt.Errorf(`%s: %q names no credential: write it like "credential:webhook"`, key, path)
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		dir = serviceCredentials
	}
	path = filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s: there is no credential %s in %s: name it with LoadCredential= in the service, which must be running for commands outside of it: %w", key, name, dir, err)
	}
	return path, nil
}
