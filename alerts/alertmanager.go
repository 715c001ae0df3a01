package alerts

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"btcwatch/keyfile"
)

// alertmanager posts to the API (v2) of Prometheus' Alertmanager. Each event
// has its own labels there, so that a second one is never taken for a repeat of
// the first. What lasts stays until its end is told; the rest ends after
// resolve_after, for Alertmanager itself would end it after five minutes, and
// btcwatch says things once.
type alertmanager struct {
	*receiver
	detail       detail
	resolveAfter time.Duration
	credentials  string // of the Authorization header

	mu sync.Mutex
	// ended remembers which alerts were ended here: the beginning of an outage
	// that is tried again may come after its end, and must not last then.
	ended map[ID]bool
}

type alertmanagerSettings struct {
	URL          string   `toml:"url"`           // as Prometheus has it, without /api/v2/alerts
	Username     string   `toml:"username"`      // with password_file; empty: none is asked for
	PasswordFile string   `toml:"password_file"` // holds the password
	Detail       string   `toml:"detail"`        // brief (default), full
	ResolveAfter Duration `toml:"resolve_after"` // default 24h
	AllowPrivate bool     `toml:"allow_private"` // permit private networks, and http
	CAFile       string   `toml:"ca_file"`       // instead of the system's authorities
	Timeout      Duration `toml:"timeout"`       // default 20s
}

func (s alertmanagerSettings) receiver() receiverSettings {
	return receiverSettings{Name: "Alertmanager", URL: s.URL, AllowPrivate: s.AllowPrivate, CAFile: s.CAFile, Timeout: s.Timeout}
}

func openAlertmanager(s Settings, env Env) (Channel, error) {
	var set alertmanagerSettings
	if err := s.Decode(&set); err != nil {
		return nil, err
	}
	set.URL = apiURL(set.URL)
	shown, detailErr := readDetail(set.Detail)
	c := &alertmanager{detail: shown, resolveAfter: set.ResolveAfter.or(24 * time.Hour)}
	r, err := newReceiver(set.receiver(), env)
	if err := together(err, detailErr, c.logIn(set)); err != nil {
		return nil, err
	}
	c.receiver = r
	return c, nil
}

// apiURL adds the path of the API to an address that does not have it.
func apiURL(url string) string {
	const path = "/api/v2/alerts"
	url = strings.TrimRight(url, "/")
	if url == "" || strings.HasSuffix(url, path) || strings.ContainsAny(url, "?#") {
		return url
	}
	return url + path
}

func (c *alertmanager) logIn(set alertmanagerSettings) error {
	if set.Username == "" {
		if set.PasswordFile != "" {
			return errors.New("password_file is given without username: give both or neither")
		}
		return nil
	}
	password, err := keyfile.Secret("password_file", set.PasswordFile)
	if err != nil {
		return err
	}
	c.credentials = "Basic " + base64.StdEncoding.EncodeToString([]byte(set.Username+":"+password))
	return nil
}

// Send posts the alert once. A repeat differs in endsAt alone, which counts
// from the try: an alert that comes late is not over when it comes.
func (c *alertmanager) Send(ctx context.Context, m Message) error {
	header := http.Header{}
	if c.credentials != "" {
		header.Set("Authorization", c.credentials)
	}
	if err := c.post(ctx, header, encodeJSON(c.alerts(m)), nil); err != nil {
		return err
	}
	if _, ends := endOf(m.Decoded); ends && m.ReplyTo != nil {
		c.end(*m.ReplyTo)
	}
	return nil
}

// maxEnded is how many ends are remembered.
const maxEnded = 1000

func (c *alertmanager) end(id ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended == nil || len(c.ended) >= maxEnded {
		c.ended = map[ID]bool{}
	}
	c.ended[id] = true
}

func (c *alertmanager) over(id ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended[id]
}

// postedAlert is an alert as the API takes it. What tells alerts apart there is
// the whole set of labels.
type postedAlert struct {
	Labels      postedLabels      `json:"labels"`
	Annotations postedAnnotations `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

type postedLabels struct {
	AlertName string `json:"alertname"`
	AlertID   string `json:"alert_id"`
	Severity  string `json:"severity"`
	Network   string `json:"network,omitempty"`
	Origin    string `json:"service"` // the word by which routes tell programs apart
}

type postedAnnotations struct {
	Summary     string `json:"summary"`
	Description string `json:"description,omitempty"`
	Follows     string `json:"follows,omitempty"`
	Command     string `json:"command"`
	Label       string `json:"label,omitempty"`
	Address     string `json:"address,omitempty"`
	TxID        string `json:"txid,omitempty"`
}

// lasting is how long an alert is said to last of which the end will be told.
const lasting = 10 * 365 * 24 * time.Hour

// skew is by how much clocks may differ: an end that lies ahead of
// Alertmanager's clock would be passed over there.
const skew = time.Minute

// alerts are what one message comes to. The end of an outage ends its alert,
// and makes one of its own only where not all that was missed is made up for.
func (c *alertmanager) alerts(m Message) []postedAlert {
	d := m.Decoded.Data
	own := postedAlert{
		Labels:      postedLabels{AlertName: string(m.Decoded.Type), AlertID: m.ID.String(), Severity: clean(d.Severity), Network: clean(d.Network), Origin: "btcwatch"},
		Annotations: c.annotations(m),
		StartsAt:    began(m.Decoded),
	}
	now := c.now().UTC()
	own.EndsAt = now.Add(c.resolveAfter)
	if lasts(m.Decoded) && !c.over(m.ID) {
		own.EndsAt = now.Add(lasting)
	}
	if own.StartsAt.After(now) {
		own.StartsAt = now // a start after the end would be refused
	}
	ended, ends := endOf(m.Decoded)
	if !ends || m.ReplyTo == nil {
		return []postedAlert{own}
	}
	over := own
	over.Labels.AlertName, over.Labels.AlertID = string(ended), m.ReplyTo.String()
	over.EndsAt = earlier(m.Decoded.Timestamp, now).Add(-skew)
	over.StartsAt = earlier(over.StartsAt, over.EndsAt)
	if m.Decoded.Type == WatchRestored && (d.Closed == nil || *d.Closed) || m.Decoded.Type == ExplorerRecovered || m.Decoded.Type == ListRecovered {
		return []postedAlert{over}
	}
	own.StartsAt = earlier(m.Decoded.Timestamp, now)
	return []postedAlert{over, own}
}

// began is when what an alert tells of began; for an outage and its end alike.
func began(b Body) time.Time {
	if b.Data.Since != nil {
		return *b.Data.Since
	}
	return b.Timestamp
}

// lasts says whether the end of what an alert tells is told too.
func lasts(b Body) bool {
	switch b.Type {
	case WatchBlind, ExplorerFailing, ChainStuck, ListFailing:
		return true
	}
	return false
}

// endOf says alerts of which type a message ends: the first of its thread.
func endOf(b Body) (Type, bool) {
	switch {
	case b.Type == ExplorerRecovered:
		return ExplorerFailing, true
	case b.Type == ListRecovered:
		return ListFailing, true
	case b.Type == WatchRestored && b.Data.Kind == "chain", b.Type == ChainReorged && b.Data.Corrects != "":
		return ChainStuck, true
	case b.Type == WatchRestored:
		return WatchBlind, true
	}
	return "", false
}

func (c *alertmanager) annotations(m Message) postedAnnotations {
	p := compose(m.Decoded, m.Zone)
	a := postedAnnotations{
		Summary: c.detail.headline(m.Decoded), Follows: following(m), Command: p.command(), Label: clean(m.Decoded.Data.Label),
	}
	if c.detail == detailFull {
		a.Address, a.TxID = clean(m.Decoded.Data.Address), clean(m.Decoded.Data.TxID)
		p.tables = nil // its receivers write in letters of different widths
		a.Description = shorten(p.text(plain), 10_000)
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
