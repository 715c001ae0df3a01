package daemon

import (
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"btcwatch/alerts"
	"btcwatch/chain"
	"btcwatch/chain/explorer"
	"btcwatch/watchlist"
)

// The tables whose names the user chooses: explorers, watch, channels.

func (l *loader) explorers(s *section) {
	list := s.each()
	if len(s.node.keys) == 0 && !s.unread && !l.broken {
		s.fault("", "no explorer is configured; add at least one [explorers.NAME] table (two that share no operator can check each other)")
	}
	urls := map[string]string{}
	for _, one := range list {
		set := l.explorer(one)
		if other := urls[set.URL]; other != "" && set.URL != "" {
			one.fault("url", "the same as that of %s; one explorer asked twice is one witness, keep one of the two", other)
		}
		urls[set.URL] = set.Name
		l.config.Explorers = append(l.config.Explorers, set)
	}
}

func (l *loader) explorer(s *section) explorer.Settings {
	defer s.finish()
	set := explorer.Settings{Name: goodName(s)}
	set.Kind = l.kind(s, "explorer", explorer.Kinds())
	address := l.explorerURL(s, set.Kind)
	set.URL = strings.TrimSuffix(s.text("url", ""), "/")
	set.Operator = s.text("operator", address.Hostname())
	set.Software = strings.ToLower(strings.TrimSpace(s.text("software", "")))
	set.RequestsPerSecond = l.pace(s, address)
	set.Budget = explorer.Budget{Hour: budget(s, "requests_per_hour"), Day: budget(s, "requests_per_day")}
	set.Timeout = s.duration("timeout", 30*time.Second, time.Second, 10*time.Minute)
	set.Proxy = l.proxy(s)
	set.UserAgent = s.text("user_agent", "")
	set.Own = s.flag("own")
	l.explorerKeys(s, &set)
	if slices.Contains(explorer.Keys(set.Kind), "hints") {
		set.Subscriptions = l.subscriptions(s)
	}
	return set
}

// explorerKeys reads what only the kind of this explorer has. The explorer's
// own package finds what is wrong with the values.
func (l *loader) explorerKeys(s *section, set *explorer.Settings) {
	for _, key := range explorer.Keys(set.Kind) {
		if key == "hints" || key == "subscriptions" {
			continue
		}
		value := s.text(key, "")
		switch key {
		case "ca_file":
			set.CAFile = value
		case "certificate_sha256":
			set.CertificateSHA256 = value
		case "cookie_file":
			set.CookieFile = value
		case "user":
			set.User = value
		case "password_file":
			set.PasswordFile = value
		}
	}
}

// mostSubscriptions is what one connection is for; beyond it servers begin to
// refuse.
const mostSubscriptions = 1000

// subscriptions reads of how many addresses an explorer is to give hints.
func (l *loader) subscriptions(s *section) int {
	on := s.flag("hints") || !s.has("hints")
	most := s.integer("subscriptions", mostSubscriptions)
	if most < 1 || most > 100*mostSubscriptions {
		s.fault("subscriptions", "must be from 1 to %d; for none at all set hints = false", 100*mostSubscriptions)
	}
	if !on {
		return 0
	}
	return int(most)
}

// kind reads the kind of an explorer or channel; empty after a fault.
func (l *loader) kind(s *section, what string, known []string) string {
	kind := s.text("kind", "")
	switch {
	case kind == "" && s.has("kind") && s.node.children["kind"].value != "":
		return "" // not text, and already told
	case kind == "":
		l.absent(s, "kind", "no kind is given; write kind = %q (known: %s)", known[0], strings.Join(known, ", "))
	case !slices.Contains(known, kind):
		s.fault("kind", "%s", unknownWord("kind of "+what, kind, known))
		return ""
	}
	return kind
}

// absent tells what is missing, unless part of the file could not be read.
func (l *loader) absent(s *section, key, format string, args ...any) {
	if !l.broken {
		s.fault(key, format, args...)
	}
}

// explorerURL gives the address of an explorer; an empty one after a fault.
func (l *loader) explorerURL(s *section, kind string) *url.URL {
	text := s.text("url", "")
	if text == "" {
		if given := s.node.children["url"]; given == nil || given.value == "" {
			l.absent(s, "url", "no url is given; write where the explorer's API is, such as https://mempool.space/api")
		}
		return &url.URL{}
	}
	schemes := explorer.Schemes(kind)
	u, err := url.Parse(text)
	switch {
	case err != nil || !slices.Contains(schemes, u.Scheme) || u.Hostname() == "":
		s.fault("url", "not an address of an explorer; write one that begins with %s:// (or %s://), such as %s", schemes[0], schemes[1], exampleURL(schemes))
	case u.User != nil && slices.Contains(explorer.Keys(kind), "password_file"):
		s.fault("url", "holds a user name or password; secrets are kept in files: set cookie_file, or user and password_file")
	case u.User != nil:
		s.fault("url", "holds a user name or password; secrets are kept in files, and this kind of explorer takes none")
	case badPort(u):
		s.fault("url", "port %s does not exist; use one from 1 to 65535, or leave it out", u.Port())
	case u.RawQuery != "" || u.Fragment != "":
		s.fault("url", "holds a ? or #; write the address of the API alone, such as https://mempool.space/api")
	default:
		return u
	}
	return &url.URL{}
}

func exampleURL(schemes []string) string {
	if schemes[0] == "https" {
		return "https://mempool.space/api"
	}
	return schemes[0] + "://HOST:50002"
}

func badPort(u *url.URL) bool {
	if u.Port() == "" {
		return false
	}
	port, err := strconv.Atoi(u.Port())
	return err != nil || port < 1 || port > 65535
}

// The slowest pace is a request in a hundred seconds: below it, a question that
// waits for its turn would look like a job that hangs.
const slowestPace = 0.01

// leastBudget is the smallest budget: below it not even each block could be
// asked for.
const leastBudget = 20

// budget reads how many requests an explorer allows; 0: it does not say.
func budget(s *section, key string) int64 {
	n := s.integer(key, 0)
	if n < 0 || n > 0 && n < leastBudget {
		s.fault(key, "%d is no budget to follow blocks with; use %d or more, or leave it out where there is none", n, leastBudget)
		return 0
	}
	return n
}

func (l *loader) pace(s *section, address *url.URL) float64 {
	const key = "requests_per_second"
	pace, ok := s.number(key, 0.5)
	switch {
	case !ok:
	case math.IsNaN(pace) || math.IsInf(pace, 0) || pace < 0:
		s.fault(key, "%v is not a pace; use a number above 0, such as 0.5", pace)
	case pace == 0 && address.Host != "" && !private(address.Hostname()):
		s.fault(key, "0 (no limit) is for an explorer of your own, and %s is public; use a pace that it allows, such as 0.5", address.Hostname())
	case pace > 0 && pace < slowestPace:
		s.fault(key, "%v is less than a request in a hundred seconds, and questions would look as if they hung; use %v or more, and requests_per_day for what it allows in a day", pace, slowestPace)
	}
	return pace
}

// private says whether a host is on this machine or in a network of one's own.
func private(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if !strings.Contains(host, ".") {
		return true // localhost, or a name of the local network
	}
	for _, suffix := range []string{".localhost", ".local", ".internal", ".home.arpa"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

func (l *loader) proxy(s *section) string {
	text := s.text("proxy", "")
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) || u.Hostname() == "":
		s.fault("proxy", "not the address of a proxy; write one that begins with http://, https:// or socks5://, such as socks5://127.0.0.1:9050")
	case holdsPassword(u):
		s.fault("proxy", "holds a password, and a configuration holds no secrets; use a proxy that knows this machine, or leave it empty and set HTTPS_PROXY for the service")
	}
	return text
}

func (l *loader) watch(s *section) {
	seen := map[string]*section{}
	for _, one := range s.each() {
		listing, ok := l.listing(one)
		if !ok {
			continue
		}
		script := string(listing.Address.Script)
		if first := seen[script]; first != nil {
			one.fault("", "the same address as %s on line %d, in another spelling; keep one of the two", first.key, first.node.line)
			continue
		}
		seen[script] = one
		l.config.Watch = append(l.config.Watch, listing)
	}
}

func (l *loader) listing(s *section) (watchlist.Listing, bool) {
	defer s.finish()
	basis := l.basis(s)
	listing := watchlist.Listing{
		List:         "config",
		Label:        s.text("label", ""),
		Entity:       s.text("entity", ""),
		Category:     s.text("category", ""),
		Basis:        basis,
		Confidential: s.flagOr("confidential", basis.Confidential()),
		Notify:       l.notify(s),
		Source:       l.source(s.sub("source")),
	}
	address, err := chain.ParseAddress(s.key, l.config.Network)
	if err != nil {
		s.fault("", "%s", err)
		return listing, false
	}
	listing.Address = address
	return listing, true
}

func (l *loader) basis(s *section) watchlist.Basis {
	basis := watchlist.Basis(s.text("basis", ""))
	if slices.Contains(watchlist.Bases(), basis) {
		return basis
	}
	var allowed []string
	for _, known := range watchlist.Bases() {
		if known != watchlist.Unknown {
			allowed = append(allowed, string(known))
		}
	}
	s.fault("basis", "%s; empty where it is not known", unknownWord("basis", string(basis), allowed))
	return watchlist.Unknown
}

func (l *loader) notify(s *section) watchlist.Notify {
	notify := watchlist.Notify(s.text("notify", ""))
	switch {
	case notify == watchlist.NotifyEach:
		return "" // as where the key is absent, so that neither is a change of the other
	case notify == "" || slices.Contains(watchlist.Notifications(), notify):
		return notify
	}
	var allowed []string
	for _, known := range watchlist.Notifications() {
		allowed = append(allowed, string(known))
	}
	s.fault("notify", "%s", unknownWord("way to notify", string(notify), allowed))
	return ""
}

func (l *loader) source(s *section) watchlist.Source {
	defer s.finish()
	source := watchlist.Source{
		Title:     s.text("title", ""),
		Author:    s.text("author", ""),
		Publisher: s.text("publisher", ""),
		Date:      s.text("date", ""),
		URL:       s.text("url", ""),
		Locator:   s.text("locator", ""),
		Quote:     s.text("quote", ""),
	}
	if u, err := url.Parse(source.URL); source.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		s.fault("url", "not a web address; write one that begins with https:// or http://, or leave it empty")
	}
	return source
}

func (l *loader) channels(s *section) {
	list := s.each()
	if len(s.node.keys) == 0 && !s.unread && !l.broken {
		s.fault("", `no channel is configured, so that alerts would reach nobody; add one, such as [channels.screen] with kind = "stdout"`)
	}
	for _, one := range list {
		if set, ok := l.channel(one); ok {
			l.config.Channels = append(l.config.Channels, set)
		}
	}
}

func (l *loader) channel(s *section) (alerts.Settings, bool) {
	set := alerts.Settings{Name: goodName(s)}
	set.Kind = l.kind(s, "channel", alerts.Kinds())
	set.About = l.about(s)
	if text := s.text("min_severity", ""); text != "" {
		severity, err := alerts.ParseSeverity(text)
		if err != nil {
			s.fault("min_severity", "%s", err)
		}
		set.MinSeverity = severity
	}
	set.Quiet = l.quietHours(s, set.Kind)
	set.Decode = s.decodeRest(l.config.File)
	return set, set.Kind != ""
}

func (l *loader) quietHours(s *section, kind string) alerts.Hours {
	text := s.text("quiet_hours", "")
	if text == "" {
		return alerts.Hours{}
	}
	hours, err := alerts.ParseHours(text)
	switch {
	case kind != "" && !alerts.ForPeople(alerts.Settings{Kind: kind}):
		s.fault("quiet_hours", "a channel of kind %s is for programs, which get each alert at once; remove the key", kind)
	case err != nil:
		s.fault("quiet_hours", "%s", err)
	}
	return hours
}

func (l *loader) about(s *section) []string {
	known := []string{"payment", "list", "service", "blind"}
	list := s.texts("about")
	for _, word := range list {
		if !slices.Contains(known, word) {
			s.fault("about", "%s", unknownWord("subject", word, known))
		}
	}
	return list
}
