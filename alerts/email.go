package alerts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"btcwatch/keyfile"
)

// email sends each recipient a copy of his own, so that one mailbox that is
// gone does not keep the others from being told.
type email struct {
	settings emailSettings
	server   string // host without port
	port     int
	from     *mail.Address
	to       []*mail.Address
	password string
	trust    *tls.Config
	timeout  time.Duration
	host     string // in message ids

	mu sync.Mutex
	// taken remembers, for alerts that some recipients have and others do not
	// yet, who has it. After a restart those may get theirs twice, with the
	// same message id.
	taken map[ID]map[string]bool
}

type emailSettings struct {
	SMTP         string   `toml:"smtp"` // host:port
	From         string   `toml:"from"`
	To           []string `toml:"to"`
	Username     string   `toml:"username"`
	PasswordFile string   `toml:"password_file"`
	TLS          string   `toml:"tls"`         // starttls (default), tls, none
	CAFile       string   `toml:"ca_file"`     // instead of the system's authorities
	AllowPlain   bool     `toml:"allow_plain"` // permit tls = "none" to another machine
	Timeout      Duration `toml:"timeout"`     // default 30s
}

func openEmail(s Settings, env Env) (Channel, error) {
	c := &email{taken: map[ID]map[string]bool{}, host: messageHost(env.Host)}
	if err := s.Decode(&c.settings); err != nil {
		return nil, err
	}
	c.timeout = c.settings.Timeout.or(30 * time.Second)
	err := together(c.readServer(), c.readAddresses(), c.readTLS(), c.readPassword())
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *email) readServer() error {
	host, port, err := net.SplitHostPort(c.settings.SMTP)
	if err != nil || host == "" {
		return errors.New(`smtp is missing or has no port: give the mail server like "mail.example.org:587"`)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return errors.New(`smtp: the port must be a number from 1 to 65535, like "mail.example.org:587"`)
	}
	c.server, c.port = host, int(number)
	return nil
}

func (c *email) readAddresses() error {
	var errs []error
	from, err := mail.ParseAddress(c.settings.From)
	if err != nil {
		errs = append(errs, fmt.Errorf("from: %q is no mail address", c.settings.From))
	}
	c.from = from
	if len(c.settings.To) == 0 {
		errs = append(errs, errors.New("to is missing: name at least one recipient"))
	}
	for _, text := range c.settings.To {
		to, err := mail.ParseAddress(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("to: %q is no mail address", text))
			continue
		}
		c.to = append(c.to, to)
	}
	return errors.Join(errs...)
}

func (c *email) readTLS() (err error) {
	switch c.settings.TLS {
	case "", "starttls", "tls":
	case "none":
		if !loopback(c.server) && !c.settings.AllowPlain {
			return errors.New(`tls = "none" would send alerts over the network for all to read: use "starttls" or "tls", or say allow_plain = true`)
		}
	default:
		return fmt.Errorf(`unknown tls %q: use "starttls", "tls" or "none"`, c.settings.TLS)
	}
	c.trust, err = keyfile.Trust("ca_file", c.settings.CAFile)
	if err == nil {
		c.trust.ServerName = c.server
	}
	return err
}

func (c *email) readPassword() (err error) {
	if c.settings.Username == "" {
		if c.settings.PasswordFile != "" {
			return errors.New("password_file is given without username: give both or neither")
		}
		return nil
	}
	if c.settings.TLS == "none" && !loopback(c.server) {
		return errors.New(`username: a password is never sent without TLS: use tls = "starttls" or "tls"`)
	}
	c.password, err = keyfile.Secret("password_file", c.settings.PasswordFile)
	return err
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// messageHost makes a machine's name fit for a message id.
func messageHost(name string) string {
	name = strings.Trim(strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, name), ".-")
	if name == "" {
		name = "localhost"
	}
	return "btcwatch." + name
}

// Send mails the alert to every recipient who has not got it yet. It returns
// nil only when all have.
func (c *email) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	waiting := c.waiting(m.ID)
	messages, err := c.compose(m, waiting)
	if err != nil {
		return PermanentError(err)
	}
	if err := c.deliver(ctx, messages); err != nil {
		return err
	}
	return c.settle(ctx, m.ID, waiting, messages)
}

func (c *email) waiting(id ID) []*mail.Address {
	c.mu.Lock()
	defer c.mu.Unlock()
	var waiting []*mail.Address
	for _, to := range c.to {
		if !c.taken[id][to.Address] {
			waiting = append(waiting, to)
		}
	}
	return waiting
}
