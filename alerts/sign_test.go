package alerts

import (
	"context"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The first two keys of RFC 8032, 7.1.
const (
	privateOne = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
	publicOne  = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	privateTwo = "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs="
	publicTwo  = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
)

// verifyAsymmetric is what a receiver does: by the words of Standard Webhooks,
// with the public key alone.
func verifyAsymmetric(t *testing.T, public string, h http.Header, body []byte) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(public, "whpk_"))
	if err != nil || len(key) != ed25519.PublicKeySize {
		t.Fatalf("%q is no public key", public)
	}
	signed := h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "." + string(body)
	for _, one := range strings.Split(h.Get("webhook-signature"), " ") {
		encoded, ok := strings.CutPrefix(one, "v1a,")
		if !ok {
			continue
		}
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && ed25519.VerifyWithOptions(key, []byte(signed), signature, &ed25519.Options{}) == nil {
			return true
		}
	}
	return false
}

func TestWebhookSignsAsymmetrically(t *testing.T) {
	var header http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(server.Close)
	m := message(t, told(t)(incoming().Seen(testKey())))
	whole := base64.StdEncoding.EncodeToString(append(decoded(t, privateTwo), decoded(t, publicTwo)...))
	for name, c := range map[string]struct {
		secrets string
		public  []string // that verify
		shared  int      // signatures of the other sort
	}{
		"one":               {"whsk_" + privateOne, []string{publicOne}, 0},
		"two, for rotation": {"whsk_" + privateOne + "\nwhsk_" + privateTwo + "\n", []string{publicOne, publicTwo}, 0},
		"with its public":   {"whsk_" + whole, []string{publicTwo}, 0},
		"beside a secret":   {testSecret + "\nwhsk_" + privateOne, []string{publicOne}, 1},
	} {
		opened, err := Open(settings("webhook", `url = "`+server.URL+`"`+"\n"+`secret_file = "`+secretFile(t, c.secrets)+`"`+"\nallow_private = true"), Env{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := opened.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		var shown []string
		for _, public := range c.public {
			shown = append(shown, "whpk_"+public)
			if !verifyAsymmetric(t, public, header, body) {
				t.Errorf("%s: does not verify with %s", name, public)
			}
			if verifyAsymmetric(t, public, header, append(body, ' ')) {
				t.Errorf("%s: a changed body verifies", name)
			}
		}
		if got := opened.(*webhook).PublicKeys(); strings.Join(got, " ") != strings.Join(shown, " ") {
			t.Errorf("%s: public keys are %v, want %v", name, got, shown)
		}
		if got := strings.Count(header.Get("webhook-signature"), "v1,"); got != c.shared {
			t.Errorf("%s: %d shared signatures", name, got)
		}
		if c.shared == 0 {
			continue
		}
		hook, err := standardwebhooks.NewWebhook(testSecret)
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify(body, header); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verifyAsymmetric(t, publicTwo, header, body) && !strings.Contains(header.Get("webhook-signature"), "v1a") {
		t.Error("verifies without a signature")
	}
}

func decoded(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBadKeysAreRefusedAndNotShown(t *testing.T) {
	other := base64.StdEncoding.EncodeToString(append(decoded(t, privateTwo), decoded(t, publicOne)...))
	long := sha512.Sum512([]byte("x"))
	for secret, want := range map[string]string{
		"whsk_" + other: "not that of its private half",
		"whsk_" + base64.StdEncoding.EncodeToString(long[:]): "not that of its private half",
		"whsk_c2hvcnQ=":                         "openssl genpkey -algorithm ed25519",
		"whsk_" + privateOne[:20]:               "openssl genpkey",
		"whpk_" + publicOne:                     "the private one, whsk_",
		testSecret + "\nwhsk_":                  "openssl genpkey",
		"whsk_" + privateOne + "\nwhsec_aGVs":   "openssl rand",
		privateOne:                              "openssl rand",
		"whsk_" + privateOne + " nonsense_word": "openssl rand",
	} {
		_, err := readSigners(secretFile(t, secret))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", secret, err, want)
			continue
		}
		for _, hidden := range []string{privateOne[:12], "c2hvcnQ", "aGVs", "nonsense"} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("the error shows %q: %v", hidden, err)
			}
		}
	}
}
