package explorer

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// kind is one kind of explorer: its name in the configuration, and what fills
// an explorer with what that kind can do.
type kind struct {
	name string
	open func(e *Explorer, c *client, params *chaincfg.Params)
}

// kinds is every kind of explorer there is. A new one is one file and one line
// here.
func kinds() []kind {
	return []kind{
		{"esplora", openEsplora},
		{"blockbook", openBlockbook},
		{"blockchaininfo", openBlockchainInfo},
	}
}

// Kinds names every kind of explorer, for messages.
func Kinds() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Open makes an explorer of its settings. It sends nothing: whether the
// explorer is there shows when it is asked.
func Open(s Settings, params *chaincfg.Params) (*Explorer, error) {
	for _, k := range kinds() {
		if k.name == s.Kind {
			return open(k, s, params)
		}
	}
	return nil, fmt.Errorf("explorer %s: unknown kind %q: use %s", s.Name, s.Kind, strings.Join(Kinds(), ", "))
}

func open(k kind, s Settings, params *chaincfg.Params) (*Explorer, error) {
	c, err := newClient(s)
	if err != nil {
		return nil, fmt.Errorf("explorer %s: %w", s.Name, err)
	}
	e := &Explorer{Name: s.Name, Kind: k.name, Operator: s.Operator, URL: c.base.String(), Pace: c.pace, client: c}
	if e.Operator == "" {
		e.Operator = c.base.Hostname()
	}
	k.open(e, c, params)
	return e, nil
}

// readURL reads the explorer's base address and takes the credentials out of
// it. Its errors do not repeat the text, which may hold a password.
func readURL(text string) (*url.URL, *url.Userinfo, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, nil, errors.New("url cannot be read: write https://HOST/PATH")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, nil, errors.New("url must be https://HOST/PATH (or http:// for a local explorer)")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, nil, errors.New("url must have no ? and no #")
	}
	user := u.User
	u.User = nil
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, user, nil
}

func checkNumbers(s Settings) error {
	if s.RequestsPerSecond < 0 || math.IsNaN(s.RequestsPerSecond) || math.IsInf(s.RequestsPerSecond, 0) {
		return errors.New("requests_per_second must be 0 (no pace) or a positive number")
	}
	if s.Timeout < 0 {
		return errors.New("timeout must not be negative")
	}
	return nil
}
