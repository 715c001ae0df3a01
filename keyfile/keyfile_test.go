package keyfile_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"btcwatch/keyfile"
)

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecret(t *testing.T) {
	if got, err := keyfile.Secret("secret_file", written(t, " a secret\n")); got != "a secret" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for path, want := range map[string]string{
		written(t, " \n"):                  "is empty",
		filepath.Join(t.TempDir(), "none"): "no such file",
		"":                                 "secret_file is missing",
	} {
		if got, err := keyfile.Secret("secret_file", path); got != "" || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestTrust(t *testing.T) {
	if config, err := keyfile.Trust("ca_file", ""); err != nil || config.RootCAs != nil || config.InsecureSkipVerify {
		t.Errorf("%+v, %v; want the system's authorities", config, err)
	}
	_, err := keyfile.Trust("ca_file", written(t, "S3cret"))
	if err == nil || !strings.Contains(err.Error(), "no certificate") || strings.Contains(err.Error(), "S3cret") {
		t.Error(err)
	}
}

func TestCredential(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "webhook"), []byte("a secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if got, err := keyfile.Secret("secret_file", "credential:webhook"); got != "a secret" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for path, want := range map[string]string{
		"credential:":           "names no credential",
		"credential:..":         "names no credential",
		"credential:../webhook": "names no credential",
		"credential:other":      "there is no credential other in " + dir + ": name it with LoadCredential=",
		"webhook":               "no such file",
	} {
		if got, err := keyfile.Secret("secret_file", path); got != "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v; want %q", path, got, err, want)
		}
	}
	if _, err := keyfile.Trust("ca_file", "credential:webhook"); err == nil || !strings.Contains(err.Error(), "no certificate") || strings.Contains(err.Error(), "a secret") {
		t.Error(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := keyfile.Secret("secret_file", "credential:webhook"); err == nil || !strings.Contains(err.Error(), "/run/credentials/btcwatch.service") {
		t.Error(err)
	}
}

func TestPair(t *testing.T) {
	var config tls.Config
	if err := keyfile.Pair(&config, "cert_file", "", "key_file", ""); err != nil || len(config.Certificates) != 0 {
		t.Error(err)
	}
	secret := written(t, "S3cret")
	for want, files := range map[string][2]string{
		"cert_file and key_file belong together":                     {secret, ""},
		"give both or neither":                                       {"", secret},
		"cert_file and key_file hold no certificate and its private": {secret, secret},
		"cert_file: open ":                                           {secret + "x", secret},
		"key_file: open ":                                            {secret, secret + "x"},
	} {
		err := keyfile.Pair(&config, "cert_file", files[0], "key_file", files[1])
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3cret") {
			t.Errorf("%v; want %q", err, want)
		}
	}
}
