package alerts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// deliver hands the messages over in one connection. What became of each is in
// the messages; an error means that nothing was handed over.
func (c *email) deliver(ctx context.Context, messages []*gomail.Msg) error {
	client, err := gomail.NewClient(c.server, c.options(ctx)...)
	if err != nil {
		return fmt.Errorf("prepare the connection to the mail server: %s", trouble(err))
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to the mail server: %s", mailTrouble(errors.Join(err, ctx.Err())))
	}
	client.SendWithSMTPClient(session, messages...) // its error is in the messages
	client.CloseWithSMTPClient(session)             // a mail that was taken stays taken
	return nil
}

func (c *email) options(ctx context.Context) []gomail.Option {
	policy := gomail.TLSMandatory
	if c.settings.TLS == "tls" || c.settings.TLS == "none" {
		policy = gomail.NoTLS // that is, no STARTTLS: for "tls" the connection itself is encrypted
	}
	options := []gomail.Option{
		gomail.WithPort(c.port),
		gomail.WithTLSPolicy(policy),
		gomail.WithTLSConfig(c.trust.Clone()),
		gomail.WithTimeout(c.timeout),
		gomail.WithHELO(strings.TrimPrefix(c.host, "btcwatch.")),
		gomail.WithDialContextFunc(c.dialer(ctx)),
	}
	if c.settings.Username != "" {
		options = append(options, gomail.WithUsername(c.settings.Username), gomail.WithPassword(c.password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return options
}

// dialer makes connections that end with the context of the whole delivery;
// the library looks at a context only while it connects.
func (c *email) dialer(whole context.Context) gomail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var conn net.Conn
		var err error
		if c.settings.TLS == "tls" {
			conn, err = (&tls.Dialer{Config: c.trust}).DialContext(ctx, network, address)
		} else {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		}
		if err == nil {
			context.AfterFunc(whole, func() { conn.Close() })
		}
		return conn, err
	}
}
