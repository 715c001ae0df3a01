package explorer

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/btcsuite/btcd/chaincfg/v2"
)

// kind is one kind of explorer: its name in the configuration, and what fills
// an explorer with what that kind can do.
type kind struct {
	name    string
	open    func(e *Explorer, c *client, params *chaincfg.Params)
	schemes []string // of the url
	keys    []string // in the configuration, beside those of every kind
}

// kinds is every kind of explorer there is. A new one is one file and one line
// here.
func kinds() []kind {
	return []kind{
		{name: "esplora", open: openEsplora, schemes: web()},
		{name: "electrum", open: openElectrum, schemes: []string{"ssl", "tcp"}, keys: []string{"ca_file", "certificate_sha256", "hints", "subscriptions"}},
		{name: "node", open: openNode, schemes: web(), keys: []string{"user", "password_file", "cookie_file", "ca_file"}},
		{name: "blockbook", open: openBlockbook, schemes: web()},
		{name: "blockchaininfo", open: openBlockchainInfo, schemes: web()},
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
	c, err := newClient(s, k)
	if err != nil {
		return nil, fmt.Errorf("explorer %s: %w", s.Name, err)
	}
	e := &Explorer{Name: s.Name, Kind: k.name, Operator: s.Operator, URL: c.base.String(), Pace: c.pace, Subscriptions: s.Subscriptions, client: c}
	if e.Operator == "" {
		e.Operator = c.base.Hostname()
	}
	if e.software = s.Software; e.software == "" {
		e.software = FamilyOf(k.name)
	}
	k.open(e, c, params)
	return e, nil
}

// readURL reads the explorer's base address and takes the credentials out of
// it. Its errors do not repeat the text, which may hold a password.
func readURL(text string, schemes []string) (*url.URL, *url.Userinfo, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("url cannot be read: write %s", example(schemes))
	case !slices.Contains(schemes, u.Scheme), u.Hostname() == "":
		return nil, nil, fmt.Errorf("url must be %s (or %s:// for a local explorer)", example(schemes), schemes[len(schemes)-1])
	case slices.Contains(schemes, "tcp") && (u.Port() == "" || strings.Trim(u.Path, "/") != ""):
		return nil, nil, fmt.Errorf("url must have a port and no path: write %s", example(schemes))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, nil, errors.New("url must have no ? and no #")
	}
	user := u.User
	u.User = nil
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, user, nil
}

func example(schemes []string) string {
	if slices.Contains(schemes, "tcp") {
		return schemes[0] + "://HOST:PORT"
	}
	return schemes[0] + "://HOST/PATH"
}

func checkNumbers(s Settings) error {
	if s.RequestsPerSecond < 0 || math.IsNaN(s.RequestsPerSecond) || math.IsInf(s.RequestsPerSecond, 0) {
		return errors.New("requests_per_second must be 0 (no pace) or a positive number")
	}
	if s.Budget.Hour < 0 || s.Budget.Day < 0 {
		return errors.New("requests_per_hour and requests_per_day must be 0 (no limit) or a positive number")
	}
	if s.Timeout < 0 {
		return errors.New("timeout must not be negative")
	}
	return nil
}
