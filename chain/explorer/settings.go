package explorer

import "time"

// Settings is one [explorers.NAME] table, checked and with its defaults
// filled in by the caller.
type Settings struct {
	Name              string
	Kind              string
	URL               string
	Operator          string        // empty: the host of URL
	Software          string        // the family of its software; empty: by kind, or as it says
	RequestsPerSecond float64       // 0: no pace of our own (a local explorer)
	Budget            Budget        // beside the pace: what may be asked in an hour and in a day
	Timeout           time.Duration // of one request, body included; 0: 30 s
	Proxy             string        // http://, https:// or socks5://; empty: HTTPS_PROXY and friends
	UserAgent         string        // empty: btcwatch and its version
	Own               bool          // run by who runs btcwatch; says who may hear of addresses, and changes nothing here

	// Keys that only some kinds have; see Keys.
	CAFile            string // certificates in PEM to trust in the place of the system's
	CertificateSHA256 string // of the one certificate that is taken, 64 hexadecimal digits
	CookieFile        string // holds USER:PASSWORD and is read at each question, since it changes with each start of a node
	User              string
	PasswordFile      string
	Subscriptions     int // addresses of which hints are wished for at most; 0: none are
}

// Keys are the keys of [explorers.NAME] that only some kinds have.
func Keys(kindName string) []string { return find(kindName).keys }

// Schemes are what the url of a kind may begin with, the safest first.
func Schemes(kindName string) []string { return find(kindName).schemes }

// find gives a kind by its name; of one that there is not, it has no keys and
// the schemes of the web.
func find(name string) kind {
	for _, k := range kinds() {
		if k.name == name {
			return k
		}
	}
	return kind{schemes: web()}
}

func web() []string { return []string{"https", "http"} }
