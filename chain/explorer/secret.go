package explorer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// trusting is a TLS configuration that trusts the system's authorities, or
// those in a file instead: what signs its own certificate is its own authority.
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

// credentials gives who we are to the explorer, where that does not change: from
// the settings, else from the url.
func credentials(s Settings, inURL *url.Userinfo) (*url.Userinfo, error) {
	switch {
	case s.CookieFile != "" && (s.User != "" || s.PasswordFile != ""):
		return nil, errors.New("cookie_file and user with password_file exclude each other: give one of them")
	case s.User == "" && s.PasswordFile == "":
		return inURL, nil
	case s.User == "" || s.PasswordFile == "":
		return nil, errors.New("user and password_file belong together: give both or neither")
	}
	password, err := readSecret("password_file", s.PasswordFile)
	if err != nil {
		return nil, err
	}
	return url.UserPassword(s.User, password), nil
}

// userinfo gives the credentials of the next request. A node writes its cookie
// anew at each of its starts.
func (c *client) userinfo() (*url.Userinfo, error) {
	if c.cookie == "" {
		return c.user, nil
	}
	text, err := readSecret("cookie_file", c.cookie)
	if err != nil {
		return nil, &Error{Kind: ErrUnavailable, Detail: err.Error() + ": is the node running?"}
	}
	name, password, ok := strings.Cut(text, ":")
	if !ok {
		return nil, &Error{Kind: ErrUnavailable, Detail: "cookie_file: " + c.cookie + " does not hold USER:PASSWORD"}
	}
	return url.UserPassword(name, password), nil
}

// readSecret reads a secret from the file that a key names.
func readSecret(key, path string) (string, error) {
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
