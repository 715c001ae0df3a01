package keyfile_test

import (
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
