package alerts

import (
	"context"
	"net/http"
	"strconv"
	"strings"
)

// webhook posts bodies as Standard Webhooks 1.0.0 says.
type webhook struct {
	*receiver
	signers []signer // each signs; two of a sort while one replaces the other
}

type webhookSettings struct {
	URL          string   `toml:"url"`
	SecretFile   string   `toml:"secret_file"`
	AllowPrivate bool     `toml:"allow_private"` // permit private networks, and http
	CAFile       string   `toml:"ca_file"`       // instead of the system's authorities
	Timeout      Duration `toml:"timeout"`       // default 20s
}

func (s webhookSettings) receiver() receiverSettings {
	return receiverSettings{Name: "the webhook", URL: s.URL, AllowPrivate: s.AllowPrivate, CAFile: s.CAFile, Timeout: s.Timeout}
}

func openWebhook(s Settings, env Env) (Channel, error) {
	var set webhookSettings
	if err := s.Decode(&set); err != nil {
		return nil, err
	}
	signers, signErr := readSigners(set.SecretFile)
	r, err := newReceiver(set.receiver(), env)
	if err := together(err, signErr); err != nil {
		return nil, err
	}
	return &webhook{receiver: r, signers: signers}, nil
}

// Send posts the body once.
func (c *webhook) Send(ctx context.Context, m Message) error {
	at := strconv.FormatInt(c.now().Unix(), 10)
	return c.post(ctx, http.Header{
		"Webhook-Id":        {m.ID.String()},
		"Webhook-Timestamp": {at},
		"Webhook-Signature": {c.sign(m.ID.String(), at, m.Body)},
	}, m.Body, nil)
}

func (c *webhook) sign(id, at string, body []byte) string {
	text := append([]byte(id+"."+at+"."), body...)
	var signatures []string
	for _, s := range c.signers {
		signatures = append(signatures, s.sign(text))
	}
	return strings.Join(signatures, " ")
}

// PublicKeys are those that a receiver verifies this webhook's signatures with;
// none where only shared secrets sign.
func (c *webhook) PublicKeys() []string {
	var keys []string
	for _, s := range c.signers {
		if key, ok := s.(ed25519Signer); ok {
			keys = append(keys, key.public())
		}
	}
	return keys
}
