package alerts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// trouble says in our own words why a connection failed. The error itself may
// hold what must not be shown: the URL with its credentials, or text chosen by
// the other side.
func trouble(err error) string {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		tlsE tls.RecordHeaderError
		temp net.Error
	)
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate.Error()
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &temp) && temp.Timeout():
		return "it did not answer in time"
	case errors.As(err, &dns):
		return "its host name was not found"
	case errors.As(err, &cert):
		return "its certificate is not trusted for this host name: if its authority is your own, set ca_file"
	case errors.As(err, &tlsE):
		return "it does not speak TLS on this port"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refused the connection"
	}
	return "the connection failed"
}

// together makes one line of all faults that settings have; nil for none.
func together(faults ...error) error {
	err := errors.Join(faults...)
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// readSecret reads a secret that stands in a file of its own.
func readSecret(key, path string) (string, error) {
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

// trusting is a TLS configuration that trusts the system's authorities, or
// those in a file instead.
func trusting(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	raw, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("ca_file: %s holds no certificate in PEM form", caFile)
	}
	return config, nil
}
