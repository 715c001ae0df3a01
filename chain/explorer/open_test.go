package explorer

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/v2"
	"github.com/btcsuite/btcd/chainhash/v2"

	"btcwatch/chain"
)

// Every kind in the table opens and can do something.
func TestKinds(t *testing.T) {
	if !slices.Contains(Kinds(), "esplora") || len(Kinds()) != len(kinds()) {
		t.Errorf("kinds: %v", Kinds())
	}
	seen := map[string]bool{}
	for _, k := range kinds() {
		if k.name == "" || k.name != strings.ToLower(k.name) || seen[k.name] {
			t.Errorf("bad or repeated name %q", k.name)
		}
		seen[k.name] = true
		for _, params := range []*chaincfg.Params{&chaincfg.MainNetParams, &chaincfg.RegressionNetParams} {
			address, path := k.schemes[0]+"://explorer.example:4444", "/api"
			if k.schemes[0] != "https" {
				path = ""
			}
			e, err := Open(Settings{Name: "witness", Kind: k.name, URL: address + path + "/", RequestsPerSecond: 0.5}, params)
			if err != nil {
				t.Errorf("%s: %v", k.name, err)
				continue
			}
			if abilities(e) == "" {
				t.Errorf("%s can do nothing", k.name)
			}
			if e.Name != "witness" || e.Kind != k.name || e.Operator != "explorer.example" || e.URL != address+path {
				t.Errorf("%s: %+v", k.name, e)
			}
			if e.Pace.Interval() != 2*time.Second || e.Pace.Requests() != 0 {
				t.Errorf("%s: interval %v, %d requests before any question", k.name, e.Pace.Interval(), e.Pace.Requests())
			}
			e.Close()
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	good := Settings{Name: "witness", Kind: "esplora", URL: "https://explorer.example/api"}
	for want, change := range map[string]func(s *Settings){
		"unknown kind":             func(s *Settings) { s.Kind = "blockbok" },
		"use esplora":              func(s *Settings) { s.Kind = "" },
		"url must be":              func(s *Settings) { s.URL = "ftp://u:secret@explorer.example" },
		"url must be https://":     func(s *Settings) { s.URL = "" },
		"url must be https":        func(s *Settings) { s.URL = "https://u:secret@" },
		"url cannot be read":       func(s *Settings) { s.URL = "https://u:secret@ho st/" },
		"no ? and no #":            func(s *Settings) { s.URL = "https://u:secret@explorer.example/api?x=1" },
		"requests_per_second":      func(s *Settings) { s.RequestsPerSecond = -1 },
		"timeout":                  func(s *Settings) { s.Timeout = -1 },
		"proxy cannot be read":     func(s *Settings) { s.Proxy = "socks5://u:secret@ho st" },
		"unknown scheme \"socks\"": func(s *Settings) { s.Proxy = "socks://u:secret@h:1" },
	} {
		s := good
		change(&s)
		_, err := Open(s, &chaincfg.MainNetParams)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// The base address may have a path, with or without a slash at its end.
func TestBaseURL(t *testing.T) {
	for _, base := range []string{"", "/", "/api", "/api/", "/a/b//"} {
		var asked string
		e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = r.URL.Path
			io.WriteString(w, "5")
		}))
		at := openedAt(t, e.URL+base)
		if _, err := at.Chain.Tip(t.Context()); err != nil || asked != strings.TrimRight(base, "/")+"/blocks/tip/height" {
			t.Errorf("%q: asked %q, %v", base, asked, err)
		}
	}
}

// Whatever an address holds, it stays one segment of the path.
func TestPathsAreEscaped(t *testing.T) {
	var asked string
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.RequestURI
		io.WriteString(w, "[]")
	}))
	_, _, err := e.Addresses.Mempool(t.Context(), chain.Address{Text: "../tx/x?a=b#c d%"})
	if want := "/address/..%2Ftx%2Fx%3Fa=b%23c%20d%25/txs/mempool"; asked != want || err != nil {
		t.Errorf("asked %q, %v", asked, err)
	}
}

func TestRequestHeaders(t *testing.T) {
	var got http.Header
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		http.SetCookie(w, &http.Cookie{Name: "follow", Value: "me"})
		io.WriteString(w, "5")
	}), func(s *Settings) {
		s.UserAgent = "btcwatch/9 (+https://example.org)"
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("analyst", "p@ss:word")
		s.URL = u.String()
	})
	for range 2 {
		if _, err := e.Chain.Tip(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got.Get("User-Agent") != "btcwatch/9 (+https://example.org)" || got.Get("Cookie") != "" || got.Get("Referer") != "" {
		t.Errorf("headers %v", got)
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("analyst:p@ss:word")); got.Get("Authorization") != want {
		t.Errorf("Authorization %q", got.Get("Authorization"))
	}
	if strings.Contains(e.URL, "analyst") || strings.Contains(e.URL, "@") {
		t.Errorf("the credentials are in %s", e.URL)
	}
}

func TestDefaultUserAgent(t *testing.T) {
	var got string
	e := opened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.UserAgent()
		io.WriteString(w, "5")
	}))
	if _, err := e.Chain.Tip(t.Context()); err != nil || !strings.HasPrefix(got, "btcwatch") {
		t.Errorf("%q, %v", got, err)
	}
}

// No message holds the credentials of the address, whatever goes wrong.
func TestErrorsHoldNoCredentials(t *testing.T) {
	for _, p := range everyEndpoint() {
		e := p.openedAt(t, "http://analyst:secret@127.0.0.1:1", func(s *Settings) { s.Proxy = "http://analyst:secret@127.0.0.1:1" })
		_, err := p.ask(t.Context(), e)
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "analyst") || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := opened(t, status(429, "", "Retry-After", "30"))
	newFakeClock(e.Pace)
	_, err := e.Transactions.Transaction(t.Context(), chainhash.Hash{})
	want := "fetch transaction " + strings.Repeat("0", 64) + " from witness: rate limited: asked too often: lower requests_per_second (HTTP 429); again in 30s"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	if _, ok := RetryAfter(errors.New("other")); ok {
		t.Error("any error has a time")
	}
}

// Tip and block hashes are taken only in the one form they have.
func TestTextAnswers(t *testing.T) {
	for body, want := range map[string]int32{"0": 0, "812345\n": 812345, " 7 ": 7, "2147483647": 2147483647} {
		if got, err := opened(t, text("%s", body)).Chain.Tip(t.Context()); err != nil || got != want {
			t.Errorf("%q: %d, %v", body, got, err)
		}
	}
	for _, body := range []string{"", "-1", "+5", "007", "2147483648", "1e3", "0x10", `"812345"`, "812 345", "812345 812345", "８１２３"} {
		if got, err := opened(t, text("%s", body)).Chain.Tip(t.Context()); !errors.Is(err, ErrMalformed) || got != 0 {
			t.Errorf("%q: %d, %v", body, got, err)
		}
	}
	hash := strings.Repeat("0", 56) + "deadbeef"
	if got, err := opened(t, text("%s\n", hash)).Chain.BlockHash(t.Context(), 1); err != nil || got.String() != hash {
		t.Errorf("%s, %v", got, err)
	}
	for _, body := range []string{hash[1:], hash + "0", `"` + hash + `"`, strings.Repeat("z", 64), "deadbeef"} {
		if _, err := opened(t, text("%s", body)).Chain.BlockHash(t.Context(), 1); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", body, err)
		}
	}
}
