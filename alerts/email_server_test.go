package alerts

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailServer is a real SMTP server on loopback that keeps what it takes.
type mailServer struct {
	address string
	caFile  string

	mu     sync.Mutex
	refuse map[string]error // by recipient
	atData error            // refuses every message after its content
	hang   chan struct{}    // keeps every message until closed
	took   []mailTaken
}

type mailTaken struct {
	from, to, user string
	encrypted      bool
	content        string
}

// serveMail starts one; mode is "starttls", "tls" or "none" as in the settings.
func serveMail(t *testing.T, mode string) *mailServer {
	t.Helper()
	certificate := httptest.NewTLSServer(http.NotFoundHandler())
	certificate.Close() // only its certificate for 127.0.0.1 is wanted
	s := &mailServer{refuse: map[string]error{}, caFile: secretFile(t, pemOf(certificate.Certificate().Raw))}
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return &mailSession{server: s, conn: c}, nil
	}))
	server.Domain, server.ErrorLog, server.AllowInsecureAuth = "mail.test", quietLog(), true
	config := &tls.Config{Certificates: certificate.TLS.Certificates}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	switch mode {
	case "starttls":
		server.TLSConfig = config
	case "tls":
		listener = tls.NewListener(listener, config)
	}
	s.address = listener.Addr().String()
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return s
}

func (s *mailServer) taken() []mailTaken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mailTaken(nil), s.took...)
}

func (s *mailServer) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

type mailSession struct {
	server *mailServer
	conn   *smtp.Conn
	now    mailTaken
}

func (m *mailSession) Reset()        { m.now = mailTaken{user: m.now.user} }
func (m *mailSession) Logout() error { return nil }

func (m *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (m *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != "hunter2" {
			return errors.New("please pay at evil.example")
		}
		m.now.user = user
		return nil
	}), nil
}

func (m *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	m.now.from = from
	return nil
}

func (m *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	m.server.mu.Lock()
	defer m.server.mu.Unlock()
	m.now.to += to
	return m.server.refuse[to]
}

func (m *mailSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.server.mu.Lock()
	hang, atData := m.server.hang, m.server.atData
	m.server.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if atData != nil {
		return atData
	}
	_, m.now.encrypted = m.conn.TLSConnectionState()
	m.now.content = string(content)
	m.server.set(func() { m.server.took = append(m.server.took, m.now) })
	return nil
}

func refusal(code int) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: "please pay at evil.example"}
}

// mailTo opens a channel to the server, with further lines of settings.
func mailTo(t *testing.T, s *mailServer, recipients string, more ...string) Channel {
	t.Helper()
	text := `smtp = "` + s.address + `"` + "\n" + `from = "btcwatch <btcwatch@example.org>"` + "\n" +
		`to = [` + recipients + `]` + "\n" + `ca_file = "` + s.caFile + `"` + "\n" + strings.Join(more, "\n")
	c, err := Open(settings("email", text), Env{Host: "watch.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
