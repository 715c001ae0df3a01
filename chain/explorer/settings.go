package explorer

import "time"

// Settings is one [explorers.NAME] table, checked and with its defaults
// filled in by the caller.
type Settings struct {
	Name              string
	Kind              string
	URL               string
	Operator          string        // empty: the host of URL
	RequestsPerSecond float64       // 0: no pace of our own (a local explorer)
	Timeout           time.Duration // of one request, body included; 0: 30 s
	Proxy             string        // http://, https:// or socks5://; empty: HTTPS_PROXY and friends
	UserAgent         string        // empty: btcwatch and its version
}
