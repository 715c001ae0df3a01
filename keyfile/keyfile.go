// Package keyfile reads what keys of the configuration name by a file: secrets
// and certificates. It is told a key's name for its messages, and keeps nothing
// of what it reads.
package keyfile

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
)

// Secret reads a secret that stands in a file of its own, without the space
// around it; none, or an empty one, is an error. No error repeats what the file
// holds.
func Secret(key, path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("%s is missing: name a file that holds the secret", key)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	secret := strings.TrimSpace(string(raw))
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty", key, path)
	}
	return secret, nil
}

// Trust is a TLS configuration that trusts the system's authorities, or those in
// a file in PEM form instead where one is given: what signs its own certificate
// is its own authority.
func Trust(key, path string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if path == "" {
		return config, nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", key, path)
	}
	return config, nil
}
