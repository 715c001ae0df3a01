package alerts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"btcwatch/keyfile"
)

// syslog writes alerts as RFC 5424 has it: in one datagram to a socket of this
// machine, or counted in octets over TCP (RFC 6587) or TLS (RFC 5425).
//
// No syslog server answers. Over TCP and TLS a message counts as taken when the
// server, told that nothing more comes, ends the connection in good order: then
// it has read all of it.
type syslog struct {
	network  string // unixgram or tcp
	address  string
	secure   *tls.Config // nil: plain
	facility int
	format   syslogFormat
	host     string
	version  string
	timeout  time.Duration
}

type syslogSettings struct {
	Address    string   `toml:"address"`     // unix:///dev/log, tcp://host:601, tls://host:6514
	Facility   string   `toml:"facility"`    // default local0
	Format     string   `toml:"format"`      // text (default), cef, json
	CAFile     string   `toml:"ca_file"`     // instead of the system's authorities
	CertFile   string   `toml:"cert_file"`   // for a server that asks who is calling
	KeyFile    string   `toml:"key_file"`    // of that certificate
	AllowPlain bool     `toml:"allow_plain"` // permit tcp:// to another machine
	Timeout    Duration `toml:"timeout"`     // default 20s
}

func openSyslog(s Settings, env Env) (Channel, error) {
	var set syslogSettings
	if err := s.Decode(&set); err != nil {
		return nil, err
	}
	c := &syslog{host: hostField(env.Host), version: env.Version, timeout: set.Timeout.or(20 * time.Second)}
	if err := together(c.readAddress(set), c.readFacility(set.Facility), c.readFormat(set.Format)); err != nil {
		return nil, err
	}
	return c, nil
}

// syslogLocal says whether the settings of a channel name a socket of this
// machine.
func syslogLocal(s Settings) bool {
	var set syslogSettings
	return s.Decode(&set) == nil && strings.HasPrefix(set.Address, "unix:")
}

func (c *syslog) readAddress(set syslogSettings) error {
	const advice = `write it like "unix:///dev/log", "tcp://127.0.0.1:601" or "tls://logs.example.org:6514"`
	if set.Address == "" {
		return errors.New("address is missing: " + advice)
	}
	target, err := url.Parse(set.Address)
	if err != nil {
		return errors.New("address cannot be read: " + advice)
	}
	if target.Scheme == "unix" {
		c.network, c.address = "unixgram", target.Path
		if target.Host != "" || !strings.HasPrefix(target.Path, "/") || len(target.Path) > 107 { // what a socket's path may have
			return errors.New("address: the path of a socket begins with / and has at most 107 characters: " + advice)
		}
		return c.refuseTLS(set)
	}
	c.network, c.address = "tcp", target.Host
	if target.Port() == "" || target.Hostname() == "" || strings.Trim(target.Path, "/") != "" || target.User != nil {
		return errors.New("address needs a host and a port: " + advice)
	}
	switch target.Scheme {
	case "tls":
		return c.readTLS(set, target.Hostname())
	case "tcp":
		if !loopback(target.Hostname()) && !set.AllowPlain {
			return errors.New("address: tcp:// would send alerts over the network for all to read: use tls://, or say allow_plain = true")
		}
		return c.refuseTLS(set)
	}
	return errors.New("address: " + advice)
}

func (c *syslog) refuseTLS(set syslogSettings) error {
	if set.CAFile+set.CertFile+set.KeyFile != "" {
		return errors.New("ca_file, cert_file and key_file are for tls:// alone: leave them out, or change address")
	}
	return nil
}

func (c *syslog) readTLS(set syslogSettings, host string) (err error) {
	if c.secure, err = keyfile.Trust("ca_file", set.CAFile); err != nil {
		return err
	}
	c.secure.ServerName = host
	return keyfile.Pair(c.secure, "cert_file", set.CertFile, "key_file", set.KeyFile)
}

// facilities are those of RFC 5424, in the order of their numbers, by the names
// that every syslog knows them by; four have none that all agree on.
func facilities() []string {
	return []string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "", "",
		"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
}

func (c *syslog) readFacility(name string) error {
	if name == "" {
		name = "local0"
	}
	c.facility = slices.Index(facilities(), name)
	if c.facility < 1 { // kern is the kernel's own
		return fmt.Errorf("unknown facility %q: use local0 to local7, user, daemon, auth, authpriv or another of syslog's names", name)
	}
	return nil
}

// Send writes the alert once.
func (c *syslog) Send(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return fmt.Errorf("connect to syslog: %s", trouble(errors.Join(err, ctx.Err())))
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := c.write(conn, c.line(m)); err != nil {
		return fmt.Errorf("write to syslog: %s", trouble(errors.Join(err, ctx.Err())))
	}
	return nil
}

func (c *syslog) dial(ctx context.Context) (net.Conn, error) {
	if c.secure != nil {
		return (&tls.Dialer{Config: c.secure}).DialContext(ctx, c.network, c.address)
	}
	return (&net.Dialer{}).DialContext(ctx, c.network, c.address)
}

func (c *syslog) write(conn net.Conn, line []byte) error {
	if c.network == "unixgram" {
		_, err := conn.Write(line)
		return err
	}
	if _, err := fmt.Fprintf(conn, "%d %s", len(line), line); err != nil {
		return err
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	return readToEnd(conn)
}

// readToEnd waits until the other side ends the connection. Whatever it says
// before that is not for us.
func readToEnd(conn net.Conn) error {
	_, err := io.Copy(io.Discard, io.LimitReader(conn, 64<<10))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // it closed without TLS's goodbye, as many do
	}
	return err
}
