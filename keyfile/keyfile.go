// Package keyfile reads what keys of the configuration name by a file, or by the
// credential that systemd keeps in one: secrets and certificates. It is told a key's name for its messages, and keeps nothing
// of what it reads.
package keyfile

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
)

// Secret reads a secret that stands in a file of its own, without the space
// around it; none, or an empty one, is an error. No error repeats what the file
// holds.
func Secret(key, path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("%s is missing: name a file that holds the secret", key)
	}
	raw, err := read(key, path)
	if err != nil {
		return "", err
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
	raw, err := read(key, path)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM form", key, path)
	}
	return config, nil
}

// Pair adds to a configuration the certificate by which this program shows who
// it is, and its key, both in PEM form; none where no file is given.
func Pair(config *tls.Config, certKey, certPath, keyKey, keyPath string) error {
	switch {
	case certPath == "" && keyPath == "":
		return nil
	case certPath == "" || keyPath == "":
		return fmt.Errorf("%s and %s belong together: give both or neither", certKey, keyKey)
	}
	cert, err := read(certKey, certPath)
	if err != nil {
		return err
	}
	private, err := read(keyKey, keyPath)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(cert, private)
	if err != nil {
		// Its text may tell of what the files hold.
		return fmt.Errorf("%s and %s hold no certificate and its private key in PEM form", certKey, keyKey)
	}
	config.Certificates = []tls.Certificate{pair}
	return nil
}
