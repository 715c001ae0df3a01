package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"btcwatch/keyfile"
)

// webhook posts bodies as Standard Webhooks 1.0.0 says. Only 2xx is success
// and only 410 is final: receivers answer 404 or 403 while somebody mends
// them, and an alert given up is worse than one tried in vain.
type webhook struct {
	url     string
	secrets [][]byte // each signs; two while one replaces the other
	agent   string
	timeout time.Duration
	now     func() time.Time
	client  *http.Client
}

type webhookSettings struct {
	URL          string   `toml:"url"`
	SecretFile   string   `toml:"secret_file"`
	AllowPrivate bool     `toml:"allow_private"` // permit private networks, and http
	CAFile       string   `toml:"ca_file"`       // instead of the system's authorities
	Timeout      Duration `toml:"timeout"`       // default 20s
}

func openWebhook(s Settings, env Env) (Channel, error) {
	var set webhookSettings
	if err := s.Decode(&set); err != nil {
		return nil, err
	}
	secrets, secretErr := webhookSecrets(set.SecretFile)
	client, clientErr := webhookClient(set, webhookDialer(set))
	if err := together(checkURL(set), secretErr, clientErr); err != nil {
		return nil, err
	}
	return &webhook{
		url:     set.URL,
		secrets: secrets,
		agent:   strings.TrimSuffix("btcwatch/"+env.Version, "/"),
		timeout: set.Timeout.or(20 * time.Second),
		now:     env.Now,
		client:  client,
	}, nil
}

// checkURL never repeats the URL: its path and query are often the only
// password of a receiver.
func checkURL(set webhookSettings) error {
	target, err := url.Parse(set.URL)
	switch {
	case set.URL == "":
		return errors.New("url is missing: give the address that takes the alerts")
	case err != nil || target.Host == "":
		return errors.New("url cannot be read: give it like https://example.org/path")
	case target.Scheme == "http" && set.AllowPrivate:
		return nil
	case target.Scheme != "https":
		return errors.New("url must begin with https:// (http:// only together with allow_private = true)")
	}
	return nil
}

// webhookSecrets reads one secret a line. During a rotation there are two, and
// a receiver that knows either can verify.
func webhookSecrets(path string) ([][]byte, error) {
	text, err := keyfile.Secret("secret_file", path)
	if err != nil {
		return nil, err
	}
	const advice = `each line must be whsec_ and 24 to 64 bytes in base64; make one with: printf 'whsec_%s\n' "$(openssl rand -base64 32)"`
	var secrets [][]byte
	for line := range strings.FieldsSeq(text) {
		encoded, marked := strings.CutPrefix(line, "whsec_")
		secret, err := base64.StdEncoding.DecodeString(encoded)
		if !marked || err != nil || len(secret) < 24 || len(secret) > 64 {
			return nil, errors.New("secret_file: " + advice)
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// webhookClient calls nobody but the receiver: no proxy, which would hide from
// the guard where a name leads, and no redirect.
func webhookClient(set webhookSettings, dialer *net.Dialer) (*http.Client, error) {
	trust, err := keyfile.Trust("ca_file", set.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        trust,
			DisableKeepAlives:      true, // days may pass between two alerts
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func webhookDialer(set webhookSettings) *net.Dialer {
	if set.AllowPrivate {
		return &net.Dialer{}
	}
	return &net.Dialer{Control: publicOnly}
}

// Send posts the body once.
func (c *webhook) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(m.Body))
	if err != nil {
		return PermanentError(errors.New("post to the webhook: its url cannot be read"))
	}
	at := strconv.FormatInt(c.now().Unix(), 10)
	request.Header = http.Header{
		"Content-Type":      {"application/json"},
		"User-Agent":        {c.agent},
		"Webhook-Id":        {m.ID.String()},
		"Webhook-Timestamp": {at},
		"Webhook-Signature": {c.sign(m.ID.String(), at, m.Body)},
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("post to the webhook: %s", trouble(err))
	}
	response.Body.Close() // what it holds is never read, and so never shown
	return c.judge(response)
}

func (c *webhook) sign(id, at string, body []byte) string {
	var signatures []string
	for _, secret := range c.secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}

func (c *webhook) judge(response *http.Response) error {
	code := response.StatusCode
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusGone:
		return PermanentError(fmt.Errorf("post to the webhook: it answered 410: %w", ErrGone))
	case code >= 300 && code < 400:
		return fmt.Errorf("post to the webhook: it answered %d, and redirects are not followed: put the final url into the configuration", code)
	}
	err := error(fmt.Errorf("post to the webhook: it answered %s", strings.TrimSpace(strconv.Itoa(code)+" "+http.StatusText(code))))
	if after, ok := retryAfter(response.Header.Get("Retry-After"), c.now()); ok {
		return laterError{err, after}
	}
	return err
}

// retryAfter reads the header in both of its forms. No receiver can put an
// alert off for longer than a day at a time.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	const most = 24 * time.Hour
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(most/time.Second))) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), most), true
	}
	return 0, false
}
